#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

namespace amp::test {

/// A NAM WaveNet of `config` with random weights, file version 0.7.0.
nlohmann::json general_model(const nlohmann::json& config, unsigned seed);

/// What a NAM WaveNet document (condition_dsp included) gives for `input` after long silence:
/// own and independent, in float64, over the whole signal at once, straight from the formulas of
/// the format. Reads the same weights in the same order as any other reader must.
std::vector<double> general_reference(const nlohmann::json& document,
                                      const std::vector<float>& input);

}  // namespace amp::test
