#pragma once

#include <span>
#include <string>
#include <vector>

#include "chain.hpp"

namespace amp {

/// What a net costs on this core.
struct Cost {
  nn::ModelInfo model;
  double least_ns_per_sample = 0;  ///< the best round: the code, without what disturbed it
  double median_ns_per_sample = 0;
  double peak_gmac_per_s = 0;  ///< what this core's multiply-add units can do, same run
};

/// Play guitar-like noise through the bare net, `block_frames` at a time, in rounds of about 5 ms
/// of thread CPU time, warm, and before each round measure the peak: what disturbs the machine
/// meets both. Raises nn::LoadError. Thread: any, for about rounds * 7 ms.
///   rounds  at least 3
Cost measure_cost(const std::string& path, dsp::Isa isa, int block_frames, int rounds);

/// What a chain did with a signal.
struct Trial {
  std::vector<float> block_ns;  ///< that each block took, thread CPU time
  float peak = 0;               ///< of what came out, before the safety stage; infinity: not sound
};

/// Play `signal` through `chain`, `block_frames` at a time, 1..kMaxFrames; what is left behind the
/// last whole block is not played. Thread: the chain's owner.
Trial try_chain(Chain& chain, std::span<const float> signal, int block_frames);

}  // namespace amp
