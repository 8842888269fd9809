#pragma once

#include <cstdint>
#include <vector>

#include "../rt.hpp"

namespace amp::nn {

/// What NAM calls an activation, with the parameters that Core reads.
struct Activation {
  enum class Kind : uint8_t {
    kIdentity,
    kTanh,
    kHardtanh,
    kFasttanh,
    kReLU,
    kLeakyReLU,  ///< also PReLU: slopes has one entry, or one a channel
    kSigmoid,
    kSiLU,
    kHardswish,
    kLeakyHardtanh,
    kSoftsign,
  };
  Kind kind = Kind::kIdentity;
  std::vector<float> slopes{0.01F};  ///< below zero, of kLeakyReLU
  float minimum = -1;                ///< of kLeakyHardtanh
  float maximum = 1;
  float minimum_slope = 0.01F;
  float maximum_slope = 0.01F;
};

/// Apply it in place to `channels` planes of dsp::kPlaneFrames, of which `frames` count. tanh is
/// the true one. T is float or double. Thread: any; AMP_RT.
template <typename T>
void activate(const Activation& activation, T* planes, int channels, int frames) noexcept AMP_RT;

extern template void activate<float>(const Activation&, float*, int, int) noexcept AMP_RT;
extern template void activate<double>(const Activation&, double*, int, int) noexcept AMP_RT;

}  // namespace amp::nn
