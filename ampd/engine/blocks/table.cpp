#include "table.hpp"

#include <array>

namespace amp {
namespace {

struct Row {
  const char* kind;
  std::unique_ptr<Block> (*make)(const BlockSpec&, BuildContext&);
};

constexpr std::array kTable{
    Row{"gain", make_gain},
    Row{"amp", make_amp},
};

}  // namespace

std::unique_ptr<Block> make_block(const BlockSpec& spec, BuildContext& context) {
  std::string known;
  for (const Row& row : kTable) {
    if (spec.kind == row.kind) return row.make(spec, context);
    known += (known.empty() ? "" : ", ") + std::string(row.kind);
  }
  throw nn::LoadError("chain: found the block kind \"" + spec.kind + "\", expected one of " +
                      known + ".");
}

}  // namespace amp
