// The kernels, written once and compiled by kernels_*.cpp for each instruction set with
//   AMP_ISA    the namespace, and
//   AMP_LANES  floats in a vector.
// Nothing of the standard library's templates is used here: a copy that the linker picked from a
// file built with wider instructions would crash machines without them.

#include "kernels.hpp"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace amp::dsp::AMP_ISA {
namespace {

constexpr int kLanes = AMP_LANES;
// What a call costs here is more than what is called.
#define AMP_INLINE [[gnu::always_inline]] inline

using Vec = float __attribute__((vector_size(kLanes * sizeof(float))));

// Nothing is aligned: taps start anywhere.
AMP_INLINE Vec load(const float* p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
AMP_INLINE void store(float* p, Vec v) {
  __builtin_memcpy(p, &v, sizeof v);
}
AMP_INLINE Vec splat(float v) {
  return v - Vec{};
}

// The second where either is not a number.
#if defined(__AVX512F__)
constexpr __mmask16 kAll = 0xFFFF;  // the forms without a mask make GCC 12 warn
AMP_INLINE Vec lesser(Vec a, Vec b) {
  return _mm512_maskz_min_ps(kAll, a, b);
}
AMP_INLINE Vec greater(Vec a, Vec b) {
  return _mm512_maskz_max_ps(kAll, a, b);
}
#elif defined(__AVX2__)
AMP_INLINE Vec lesser(Vec a, Vec b) {
  return _mm256_min_ps(a, b);
}
AMP_INLINE Vec greater(Vec a, Vec b) {
  return _mm256_max_ps(a, b);
}
#else
AMP_INLINE Vec lesser(Vec a, Vec b) {
  return a < b ? a : b;
}
AMP_INLINE Vec greater(Vec a, Vec b) {
  return a > b ? a : b;
}
#endif

// x * P(x^2) / Q(x^2), both of order 4 and 1 at 0, fitted to least relative error over |x| <= 8.4
// by a Lawson-weighted least-squares iteration; own. 1.1e-8 in exact arithmetic.
AMP_INLINE Vec tanh_of(Vec x) {
  const Vec limit = splat(8.4F);
  x = lesser(limit, x);
  x = greater(-limit, x);
  const Vec s = x * x;
  Vec p = splat(1.4521219695841204e-08F);
  p = p * s + splat(2.1427260433038528e-05F);
  p = p * s + splat(3.5445953151434814e-03F);
  p = p * s + splat(0.1342212295921505F);
  Vec q = splat(8.246385854035412e-07F);
  q = q * s + splat(3.366229351567816e-04F);
  q = q * s + splat(2.6062876442035893e-02F);
  q = q * s + splat(0.46755449938966287F);
  q = q * s + splat(1.0F);
  return (x * s * p + x) / q;  // the 1 of P rounds once, with x
}

// How many accumulators the registers hold beside a group of vectors and a weight.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int kWidestTile = 8;
constexpr int most_vecs(int outs) {
  return outs > 4 ? 2 : 4;
}
#else
constexpr int kWidestTile = 6;
constexpr int most_vecs(int outs) {
  return outs > 4 ? 2 : outs > 2 ? 3 : 4;
}
#endif

// The sums of kOuts outputs and kVecs vectors of frames from frame t on, all in registers. kPacked:
// outputs that stand side by side in the packed weights; twice as many outputs are two tiles, the
// second kPacked * row floats behind the first. kTaps is 0 where only the call knows it.
template <int kOuts, int kVecs, int kPacked>
AMP_INLINE void accumulate_tap(Vec (&sum)[kOuts][kVecs], const float* x, const float* weight,
                               ptrdiff_t second) {
  Vec v[kVecs];
#pragma GCC unroll 4
  for (int n = 0; n < kVecs; ++n) v[n] = load(x + n * kLanes);
#pragma GCC unroll 16
  for (int o = 0; o < kOuts; ++o) {
    const Vec w = splat(weight[o < kPacked ? o : o - kPacked + second]);
#pragma GCC unroll 4
    for (int n = 0; n < kVecs; ++n) sum[o][n] = sum[o][n] + w * v[n];
  }
}

template <int kOuts, int kVecs, int kPacked, int kTaps>
AMP_INLINE void accumulate(Vec (&sum)[kOuts][kVecs], const ConvArgs& a, int t,
                           const float* weight) {
  const ptrdiff_t second = static_cast<ptrdiff_t>(kPacked) * a.in_channels * a.taps;
  const float* const* const x = a.x;
  ptrdiff_t at = t;
  if constexpr (kTaps == 0) {
    for (int i = 0; i < a.in_channels; ++i, at += a.x_stride)
      for (int k = 0; k < a.taps; ++k, weight += kPacked)
        accumulate_tap<kOuts, kVecs, kPacked>(sum, x[k] + at, weight, second);
  } else {
    const float* tap[kTaps];
#pragma GCC unroll 16
    for (int k = 0; k < kTaps; ++k) tap[k] = x[k];
    for (int i = 0; i < a.in_channels; ++i, at += a.x_stride, weight += kTaps * kPacked)
#pragma GCC unroll 16
      for (int k = 0; k < kTaps; ++k)
        accumulate_tap<kOuts, kVecs, kPacked>(sum, tap[k] + at, weight + k * kPacked, second);
  }
}

template <int kOuts, int kVecs>
AMP_INLINE void start(Vec (&sum)[kOuts][kVecs], const ConvArgs& a, int out, int t) {
  const bool biased = a.bias != nullptr;
#pragma GCC unroll 16
  for (int o = 0; o < kOuts; ++o) {
    const Vec bias = splat(biased ? a.bias[out + o] : 0.0F);
#pragma GCC unroll 4
    for (int n = 0; n < kVecs; ++n) sum[o][n] = bias;
  }
  if (a.mixin == nullptr) return;
#pragma GCC unroll 4
  for (int n = 0; n < kVecs; ++n) {
    const Vec u = load(a.condition + t + n * kLanes);
#pragma GCC unroll 16
    for (int o = 0; o < kOuts; ++o) sum[o][n] = sum[o][n] + splat(a.mixin[out + o]) * u;
  }
}

template <int kOuts, int kVecs>
AMP_INLINE void finish(Vec (&sum)[kOuts][kVecs], const ConvArgs& a, int out, int t) {
  if (a.plus != nullptr) {
    const float* plus = a.plus + static_cast<ptrdiff_t>(out) * a.plus_stride + t;
#pragma GCC unroll 16
    for (int o = 0; o < kOuts; ++o, plus += a.plus_stride)
#pragma GCC unroll 4
      for (int n = 0; n < kVecs; ++n) sum[o][n] = load(plus + n * kLanes) + sum[o][n];
  }
  float* to = a.out + static_cast<ptrdiff_t>(out) * a.out_stride + t;
#pragma GCC unroll 16
  for (int o = 0; o < kOuts; ++o, to += a.out_stride)
#pragma GCC unroll 4
    for (int n = 0; n < kVecs; ++n) store(to + n * kLanes, sum[o][n]);
}

inline const ConvArgs& sum_of(const ConvArgs& a) {
  return a;
}
inline const ConvArgs& sum_of(const LayerArgs& a) {
  return a.sum;
}

// Whether the head adds up behind the tiles, several a layer. Between them, its loads and stores
// keep back the taps of the next where registers are few, unless the curve takes so long that they
// hide.
AMP_INLINE bool hears_apart(const LayerArgs& a) {
  return kWidestTile < 8 && a.curve == Curve::kLeaky && a.sum.out_channels > kWidestTile;
}

// Unrolled as a whole: the next sums overlap with it only where few instructions are in between.
template <int kOuts, int kVecs>
AMP_INLINE void finish(Vec (&sum)[kOuts][kVecs], const LayerArgs& a, int out, int t) {
  if (a.curve == Curve::kTanh) {
#pragma GCC unroll 16
    for (int o = 0; o < kOuts; ++o)
#pragma GCC unroll 4
      for (int n = 0; n < kVecs; ++n) sum[o][n] = tanh_of(sum[o][n]);
  } else {
    const Vec slope = splat(a.slope);
#pragma GCC unroll 16
    for (int o = 0; o < kOuts; ++o)
#pragma GCC unroll 4
      for (int n = 0; n < kVecs; ++n) sum[o][n] = sum[o][n] > 0.0F ? sum[o][n] : sum[o][n] * slope;
  }
  const bool apart = hears_apart(a);
  float* z = a.sum.out + static_cast<ptrdiff_t>(out) * a.sum.out_stride + t;
  float* head = a.head + static_cast<ptrdiff_t>(out) * a.head_stride + t;
  const float* before = a.head_before + static_cast<ptrdiff_t>(out) * a.head_before_stride + t;
#pragma GCC unroll 16
  for (int o = 0; o < kOuts; ++o) {
#pragma GCC unroll 4
    for (int n = 0; n < kVecs; ++n) {
      store(z + n * kLanes, sum[o][n]);
      if (!apart) store(head + n * kLanes, load(before + n * kLanes) + sum[o][n]);
    }
    z += a.sum.out_stride;
    head += a.head_stride;
    before += a.head_before_stride;
  }
  if (a.mix != nullptr || a.next == nullptr) return;
  const float* x = a.sum.x[a.sum.taps - 1] + static_cast<ptrdiff_t>(out) * a.sum.x_stride + t;
  float* next = a.next + static_cast<ptrdiff_t>(out) * a.next_stride + t;
#pragma GCC unroll 16
  for (int o = 0; o < kOuts; ++o, x += a.sum.x_stride, next += a.next_stride)
#pragma GCC unroll 4
    for (int n = 0; n < kVecs; ++n) store(next + n * kLanes, load(x + n * kLanes) + sum[o][n]);
}

template <typename Args, int kOuts, int kVecs, int kPacked, int kTaps>
AMP_INLINE void tile(const Args& a, int out, int t, const float* weight) {
  Vec sum[kOuts][kVecs];
  start(sum, sum_of(a), out, t);
  accumulate<kOuts, kVecs, kPacked, kTaps>(sum, sum_of(a), t, weight);
  finish(sum, a, out, t);
}

// All frames of one packed tile. Several vectors share each weight that is loaded; what is left
// takes fewer, so that no more than the last vector is computed beyond the frames asked for. The
// sums of a frame are the same either way.
template <typename Args, int kPacked, int kTaps>
void tile_row(const Args& a, int out, const float* weight) {
  constexpr int kMost = most_vecs(kPacked);
  for (int t = 0; t < sum_of(a).frames;) {
    const int left = (sum_of(a).frames - t + kLanes - 1) / kLanes;
    if (kMost >= 4 && left >= 4) {
      tile<Args, kPacked, kMost >= 4 ? 4 : 1, kPacked, kTaps>(a, out, t, weight);
      t += 4 * kLanes;
    } else if (kMost >= 3 && left >= 3) {
      tile<Args, kPacked, kMost >= 3 ? 3 : 1, kPacked, kTaps>(a, out, t, weight);
      t += 3 * kLanes;
    } else if (left >= 2) {
      tile<Args, kPacked, 2, kPacked, kTaps>(a, out, t, weight);
      t += 2 * kLanes;
    } else {
      tile<Args, kPacked, 1, kPacked, kTaps>(a, out, t, weight);
      t += kLanes;
    }
  }
}

// One tile, or two of the same width where one vector of frames gives too few sums to keep the
// multiply-add units busy. Returns how many outputs it did.
template <typename Args, int kPacked, int kTaps>
int tiles(const Args& a, int out, bool has_twin, const float* weight) {
  if (kPacked > 4 && kWidestTile >= 8 && has_twin && sum_of(a).frames <= kLanes) {
    tile<Args, 2 * kPacked, 1, kPacked, kTaps>(a, out, 0, weight);
    return 2 * kPacked;
  }
  tile_row<Args, kPacked, kTaps>(a, out, weight);
  return kPacked;
}

template <typename Args, int kTaps>
void run(const Args& args) {
  const ConvArgs& a = sum_of(args);
  for (int out = 0; out < a.out_channels;) {
    const int width = tile_width(a.out_channels, out, kWidestTile);
    const float* const weight = a.weight + static_cast<ptrdiff_t>(out) * a.in_channels * a.taps;
    const int next = out + width;
    const bool twin =
        next < a.out_channels && tile_width(a.out_channels, next, kWidestTile) == width;
    switch (width) {
      case 8:
        out += tiles<Args, kWidestTile, kTaps>(args, out, twin, weight);
        break;
      case 7:
        out += tiles<Args, kWidestTile >= 7 ? 7 : 1, kTaps>(args, out, twin, weight);
        break;
      case 6:
        out += tiles<Args, 6, kTaps>(args, out, twin, weight);
        break;
      case 5:
        out += tiles<Args, 5, kTaps>(args, out, twin, weight);
        break;
      case 4:
        out += tiles<Args, 4, kTaps>(args, out, twin, weight);
        break;
      case 3:
        out += tiles<Args, 3, kTaps>(args, out, twin, weight);
        break;
      case 2:
        out += tiles<Args, 2, kTaps>(args, out, twin, weight);
        break;
      default:
        out += tiles<Args, 1, kTaps>(args, out, twin, weight);
        break;
    }
  }
}

// The lengths of kernels that files really have are unrolled.
void conv(const ConvArgs& args) noexcept AMP_RT {
  if (args.taps == 1) return run<ConvArgs, 1>(args);
  run<ConvArgs, 0>(args);
}

void run_layer(const LayerArgs& args) {
  switch (args.sum.taps) {
    case 3:
      return run<LayerArgs, 3>(args);
    case 6:
      return run<LayerArgs, 6>(args);
    default:
      return run<LayerArgs, 0>(args);
  }
}

// A layer of one vector of frames, whose mix takes z from the registers: one curve is worked out
// while the mix multiplies by the one before. In the order of the tiles, so to the same sums.
template <int kChannels, int kTaps>
void short_layer(const LayerArgs& a) {
  constexpr int kPacked = tile_width(kChannels, 0, kWidestTile);
  Vec z[kChannels][1];
  start(z, a.sum, 0, 0);
  accumulate<kChannels, 1, kPacked, kTaps>(z, a.sum, 0, a.sum.weight);
  const bool biased = a.mix_bias != nullptr;
  const float* x = a.sum.x[kTaps - 1];
  float* next = a.next;
#pragma GCC unroll 16
  for (int out = 0; out < kChannels; out += kPacked) {
    Vec sum[kPacked];
#pragma GCC unroll 16
    for (int o = 0; o < kPacked; ++o) sum[o] = splat(biased ? a.mix_bias[out + o] : 0.0F);
#pragma GCC unroll 16
    for (int i = 0; i < kChannels; ++i) {
      if (out == 0) z[i][0] = tanh_of(z[i][0]);
      const float* const weight = a.mix + out * kChannels + i * kPacked;
#pragma GCC unroll 16
      for (int o = 0; o < kPacked; ++o) sum[o] = sum[o] + splat(weight[o]) * z[i][0];
    }
#pragma GCC unroll 16
    for (int o = 0; o < kPacked; ++o, x += a.sum.x_stride, next += a.next_stride)
      store(next, load(x) + sum[o]);
  }
  const float* before = a.head_before;
  float* head = a.head;
#pragma GCC unroll 16
  for (int i = 0; i < kChannels; ++i, before += a.head_before_stride, head += a.head_stride)
    store(head, load(before) + z[i][0]);
}

// Whether the layer was one of the shapes that short_layer is written for, and is done.
[[maybe_unused]] bool run_short_layer(const LayerArgs& a) {
  if (a.sum.frames > kLanes || a.sum.taps != 3 || a.curve != Curve::kTanh) return false;
  if (a.mix == nullptr || a.next == nullptr) return false;
  switch (a.sum.out_channels) {
    case 16:
      short_layer<16, 3>(a);
      return true;
    case 12:
      short_layer<12, 3>(a);
      return true;
    case 8:
      short_layer<8, 3>(a);
      return true;
    case 6:
      short_layer<6, 3>(a);
      return true;
    case 4:
      short_layer<4, 3>(a);
      return true;
    default:
      return false;
  }
}

void add_to_head(const LayerArgs& a) {
  const float* z = a.sum.out;
  const float* before = a.head_before;
  float* head = a.head;
  for (int c = 0; c < a.sum.out_channels; ++c) {
    for (int t = 0; t < a.sum.frames; t += kLanes) store(head + t, load(before + t) + load(z + t));
    z += a.sum.out_stride;
    before += a.head_before_stride;
    head += a.head_stride;
  }
}

void layer(const LayerArgs& args) noexcept AMP_RT {
  if constexpr (kWidestTile >= 8)  // elsewhere the registers do not hold z beside the sums
    if (run_short_layer(args)) return;
  run_layer(args);
  if (hears_apart(args)) add_to_head(args);
  if (args.next == nullptr || args.mix == nullptr) return;
  const float* const z[1] = {args.sum.out};
  run<ConvArgs, 1>({.in_channels = args.sum.out_channels,
                    .out_channels = args.sum.out_channels,
                    .taps = 1,
                    .frames = args.sum.frames,
                    .x = z,
                    .x_stride = args.sum.out_stride,
                    .weight = args.mix,
                    .bias = args.mix_bias,
                    .plus = args.sum.x[args.sum.taps - 1],
                    .plus_stride = args.sum.x_stride,
                    .out = args.next,
                    .out_stride = args.next_stride});
}

void repeat(float* planes, int channels, int stride, int from, int to, int frames) noexcept AMP_RT {
  for (int c = 0; c < channels; ++c, planes += stride)
    for (int t = 0; t < frames; t += kLanes) store(planes + to + t, load(planes + from + t));
}

constexpr int kChains = kLanes >= 16 ? 16 : 12;  // with two constants, all that the registers hold

// So many chains hide the latency of the multiply-add units, which then run at their peak.
float burn(long rounds, float factor, float term) noexcept {
  const Vec a = splat(factor);
  const Vec b = splat(term);
  Vec sum[kChains];
  for (int i = 0; i < kChains; ++i) sum[i] = splat(static_cast<float>(i));
  for (long round = 0; round < rounds; ++round)
    for (int i = 0; i < kChains; ++i) sum[i] = sum[i] * a + b;
  Vec all = sum[0];
  for (int i = 1; i < kChains; ++i) all = all + sum[i];
  float total = 0;
  for (int lane = 0; lane < kLanes; ++lane) total += all[lane];
  return total;
}

}  // namespace

extern const Kernels kTable;
const Kernels kTable{layer, conv, repeat, kWidestTile, burn, kChains * kLanes};

#undef AMP_INLINE

}  // namespace amp::dsp::AMP_ISA
