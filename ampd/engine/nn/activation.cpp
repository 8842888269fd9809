#include "activation.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "../dsp/kernels.hpp"

namespace amp::nn {
namespace {

template <typename T, typename F>
void each(T* plane, int frames, F f) noexcept AMP_RT {
  for (int t = 0; t < frames; ++t) plane[t] = f(plane[t]);
}

template <typename T>
T sigmoid(T x) noexcept AMP_RT {
  return T(1) / (T(1) + std::exp(-x));
}

/// Core's rational approximation, for files that name it.
template <typename T>
T fast_tanh(T x) noexcept AMP_RT {
  const T ax = std::abs(x);
  const T x2 = x * x;
  const T a = T(2.45550750702956F);
  const T b = T(2.44506634652299F);
  return x * (a + a * ax + (T(0.893229853513558F) + T(0.821226666969744F) * ax) * x2) /
         (b + (b + x2) * std::abs(x + T(0.814642734961073F) * x * ax));
}

template <typename T>
void leaky_hardtanh(const Activation& activation, T* plane, int frames) noexcept AMP_RT {
  const T low = T(activation.minimum);
  const T high = T(activation.maximum);
  const T below = T(activation.minimum_slope);
  const T above = T(activation.maximum_slope);
  each(plane, frames, [=](T x) {
    if (x < low) return (x - low) * below + low;
    return x > high ? (x - high) * above + high : x;
  });
}

template <typename T>
void one_plane(const Activation& activation, float slope, T* p, int frames) noexcept AMP_RT {
  using Kind = Activation::Kind;
  switch (activation.kind) {
    case Kind::kIdentity:
      return;
    case Kind::kTanh:
      return each(p, frames, [](T x) { return std::tanh(x); });
    case Kind::kHardtanh:
      return each(p, frames, [](T x) { return std::min(std::max(x, T(-1)), T(1)); });
    case Kind::kFasttanh:
      return each(p, frames, fast_tanh<T>);
    case Kind::kReLU:
      return each(p, frames, [](T x) { return x > T(0) ? x : T(0); });
    case Kind::kLeakyReLU:
      return each(p, frames, [s = T(slope)](T x) { return x > T(0) ? x : s * x; });
    case Kind::kSigmoid:
      return each(p, frames, sigmoid<T>);
    case Kind::kSiLU:
      return each(p, frames, [](T x) { return x * sigmoid(x); });
    case Kind::kHardswish:
      return each(p, frames,
                  [](T x) { return x * std::min(std::max(x + T(3), T(0)), T(6)) * T(1.0 / 6); });
    case Kind::kLeakyHardtanh:
      return leaky_hardtanh(activation, p, frames);
    case Kind::kSoftsign:
      return each(p, frames, [](T x) { return x / (T(1) + std::abs(x)); });
  }
}

}  // namespace

template <typename T>
void activate(const Activation& activation, T* planes, int channels, int frames) noexcept AMP_RT {
  const size_t last = activation.slopes.size() - 1;
  for (int c = 0; c < channels; ++c)
    one_plane(activation, activation.slopes[std::min(static_cast<size_t>(c), last)],
              planes + static_cast<ptrdiff_t>(c) * dsp::kPlaneFrames, frames);
}

template void activate<float>(const Activation&, float*, int, int) noexcept AMP_RT;
template void activate<double>(const Activation&, double*, int, int) noexcept AMP_RT;

}  // namespace amp::nn
