#include "table.hpp"

#include <array>

namespace amp {
namespace {

struct Row {
  const char* kind;
  std::unique_ptr<Block> (*make)(const BlockSpec&, BuildContext&);
};

// boost: a second name of gain, for the one that is switched by foot.
constexpr std::array kTable{
    Row{"gain", make_gain},   Row{"boost", make_gain},    Row{"gate", make_gate},
    Row{"eq", make_eq},       Row{"amp", make_amp},       Row{"cab", make_cab},
    Row{"delay", make_delay}, Row{"reverb", make_reverb},
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
