#pragma once

#include <string>

#include "nn/model.hpp"

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

}  // namespace amp
