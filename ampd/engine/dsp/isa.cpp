#include "isa.hpp"

#include <stdexcept>
#include <string>

#include "kernels.hpp"

namespace amp::dsp {

namespace generic {
extern const Kernels kTable;
}
#if defined(AMP_X86)
namespace avx2 {
extern const Kernels kTable;
}
namespace avx512 {
extern const Kernels kTable;
}
#elif defined(AMP_NEON)
namespace neon {
extern const Kernels kTable;
}
#endif

std::vector<Isa> available_isas() {
  std::vector<Isa> isas{Isa::kScalar, Isa::kGeneric};
#if defined(AMP_X86)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    isas.push_back(Isa::kAvx2);
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("avx512vl"))
      isas.push_back(Isa::kAvx512);
  }
#elif defined(AMP_NEON)
  isas.push_back(Isa::kNeon);  // every aarch64 has it
#endif
  return isas;
}

Isa best_isa() {
  return available_isas().back();
}

std::string_view isa_name(Isa isa) {
  switch (isa) {
    case Isa::kScalar:
      return "scalar";
    case Isa::kGeneric:
      return "generic";
    case Isa::kNeon:
      return "neon";
    case Isa::kAvx2:
      return "avx2";
    case Isa::kAvx512:
      return "avx512";
  }
  return "";
}

Isa isa_from_name(std::string_view name) {
  if (name == "auto") return best_isa();
  std::string known = "auto";
  for (const Isa isa : available_isas()) {
    if (name == isa_name(isa)) return isa;
    known += ", " + std::string(isa_name(isa));
  }
  throw std::invalid_argument("isa: found \"" + std::string(name) +
                              "\", expected one that this machine runs: " + known);
}

std::vector<float> pack_tiles(const std::vector<float>& matrix, int outs, int row, int widest) {
  std::vector<float> packed;
  packed.reserve(matrix.size());
  for (int out = 0; out < outs;) {
    const int width = tile_width(outs, out, widest);
    for (int i = 0; i < row; ++i)
      for (int o = 0; o < width; ++o)
        packed.push_back(matrix[static_cast<size_t>(out + o) * static_cast<size_t>(row) +
                                static_cast<size_t>(i)]);
    out += width;
  }
  return packed;
}

const Kernels& kernels(Isa isa) {
#if defined(AMP_X86)
  if (isa == Isa::kAvx512) return avx512::kTable;
  if (isa == Isa::kAvx2) return avx2::kTable;
#elif defined(AMP_NEON)
  if (isa == Isa::kNeon) return neon::kTable;
#endif
  static_cast<void>(isa);
  return generic::kTable;
}

}  // namespace amp::dsp
