#pragma once

#include <algorithm>
#include <array>
#include <memory>

#include "model.hpp"

namespace amp::nn {

/// The widest array that a loader accepts.
inline constexpr int kMaxChannels = 256;

/// The float64 truth, one frame after the other. Thread: control.
std::unique_ptr<Net> make_scalar_wavenet(std::shared_ptr<const Model> model);

/// The planar, vectorised net on the kernels of `isa`. Thread: control.
std::unique_ptr<Net> make_vector_wavenet(std::shared_ptr<const Model> model, dsp::Isa isa);

}  // namespace amp::nn
