#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "kernels.hpp"

namespace amp::dsp {

/// Instruction sets that kernels are built for, slowest first. kScalar is the float64 truth,
/// kGeneric plain C++: vectors of four in what every machine of the architecture has.
enum class Isa : uint8_t { kScalar, kGeneric, kNeon, kAvx2, kAvx512 };

/// Those that this machine can run, slowest first. Thread: any.
std::vector<Isa> available_isas();

/// The fastest of them. Thread: any.
Isa best_isa();

std::string_view isa_name(Isa isa);

/// "auto" is best_isa(). Raises std::invalid_argument for a name that is unknown or cannot run
/// here; the text lists those that can.
Isa isa_from_name(std::string_view name);

/// The kernels of `isa`; those of kGeneric for kScalar. Thread: any.
const Kernels& kernels(Isa isa);

/// Output channels are computed in tiles, see tile_width. A matrix [outs][row], row = in * taps, is
/// packed tile after tile as [row][tile], so that a tile reads its weights in one line.
/// widest: Kernels::widest_tile of those that will read it.
std::vector<float> pack_tiles(const std::vector<float>& matrix, int outs, int row, int widest);

}  // namespace amp::dsp
