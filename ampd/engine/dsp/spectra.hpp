#pragma once

#include "../rt.hpp"

namespace amp::dsp {

enum class Isa : uint8_t;  // isa.hpp brings the standard library, which kernels keep away from

/// A long response is convolved in parts of this many taps, and so many frames at a time.
inline constexpr int kPartFrames = 64;

/// The spectrum of 2 * kPartFrames real frames x is that of the polynomial x(t) modulo t^64 - i:
///   X[k] = sum over n of (x[n] + i x[n + 64]) w^n e^(-2 pi i n k / 64),  w = e^(i pi / 128).
/// A product of two of them is the convolution modulo t^128 + 1. What wraps round is negated, not
/// added, which is nothing to overlap-save; in return all 64 bins are alike, and no step is needed
/// to take a real signal's halves apart.
inline constexpr int kBins = kPartFrames;

/// Bins stand in groups of this many: a kernel brings one group after the other through all parts
/// and reads memory in one direction.
inline constexpr int kGroupBins = 16;
inline constexpr int kGroups = kBins / kGroupBins;

template <class Number>
struct alignas(64) Bins {
  Number re[kGroupBins];
  Number im[kGroupBins];
};

/// Sounds of 1 or 2 channels against a response of 1 or 2: out o hears in[min(o, ins - 1)] through
/// response[min(o, responses - 1)]; there are max(ins, responses) outs.
template <class Number>
struct FilterArgs {
  int ins = 1;
  int responses = 1;
  int taps = 0;                    ///< 1..kPartFrames
  int frames = 0;                  ///< 1..kPartFrames
  const Number* in[2] = {};        ///< frame 0, behind the taps - 1 frames before it
  const Number* response[2] = {};  ///< [taps]
  Number* out[2] = {};
};

/// Spectra of the last `parts` windows and of as many parts of a response, [group][parts]. The
/// windows lie in a ring: the newest at `newest`, older ones behind it.
template <class Number>
struct ProductArgs {
  int ins = 1;
  int responses = 1;
  int parts = 0;
  int newest = 0;
  const Bins<Number>* window[2] = {};
  const Bins<Number>* response[2] = {};
  Bins<Number>* out[2] = {};  ///< [group]
};

/// What a transform multiplies with; the plain one computes it anew.
struct TransformTable {
  float skew_re[kBins];  ///< w^n
  float skew_im[kBins];
  float turn_re[kBins];  ///< [k][c] of 8 x 8: e^(-2 pi i c k / 64)
  float turn_im[kBins];
};
const TransformTable& transform_table();

/// The kernels of a partitioned convolution. Those of float may read and write up to kSlackFrames
/// (kernels.hpp) frames more than were asked for. Thread: any; AMP_RT. Truth: the double ones,
/// plain sums by the formulas above, max |diff| 1e-6 of peak (convolver_test.cpp).
template <class Number>
struct SpectrumKernels {
  /// out[t] = sum over taps of response[j] in[t - j]; the sum of a frame does not depend on others.
  void (*filter)(const FilterArgs<Number>&) noexcept AMP_RT;
  /// The spectrum of frames[2 * kPartFrames]; group g goes to out[g * stride].
  void (*forward)(const TransformTable& table, const Number* frames, Bins<Number>* out,
                  int stride) noexcept AMP_RT;
  /// kBins times the later kPartFrames of the 2 * kPartFrames frames whose spectrum is `bins`.
  void (*inverse)(const TransformTable& table, const Bins<Number>* bins,
                  Number* frames) noexcept AMP_RT;
  /// Each out is the sum over parts of window times response; p parts back meets part p.
  void (*product)(const ProductArgs<Number>&) noexcept AMP_RT;
};

const SpectrumKernels<double>& scalar_spectrum_kernels();
const SpectrumKernels<float>& spectrum_kernels(Isa isa);  ///< those of kGeneric for kScalar

}  // namespace amp::dsp
