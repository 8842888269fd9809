// The kernels, written once and compiled by kernels_*.cpp for each instruction set with
//   AMP_ISA    the namespace, and
//   AMP_LANES  floats in a vector.
// Nothing of the standard library's templates is used here: a copy that the linker picked from a
// file built with wider instructions would crash machines without them.

#include "kernels.hpp"

namespace amp::dsp::AMP_ISA {
namespace {

constexpr int kLanes = AMP_LANES;
using Vec = float __attribute__((vector_size(kLanes * sizeof(float))));

// Nothing is aligned: taps start anywhere.
inline Vec load(const float* p) {
  Vec v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline void store(float* p, Vec v) { __builtin_memcpy(p, &v, sizeof v); }
inline Vec splat(float v) { return v - Vec{}; }

// x * P(x^2) / Q(x^2), both of order 4 and 1 at 0, fitted to least relative error over |x| <= 8.4
// by a Lawson-weighted least-squares iteration; own. 1.1e-8 in exact arithmetic.
inline Vec tanh_of(Vec x) {
  const Vec limit = splat(8.4F);
  x = x > limit ? limit : x;
  x = x < -limit ? -limit : x;
  const Vec s = x * x;
  Vec p = splat(1.4521219695841204e-08F);
  p = p * s + splat(2.1427260433038528e-05F);
  p = p * s + splat(3.5445953151434814e-03F);
  p = p * s + splat(0.1342212295921505F);
  p = p * s + splat(1.0F);
  Vec q = splat(8.246385854035412e-07F);
  q = q * s + splat(3.366229351567816e-04F);
  q = q * s + splat(2.6062876442035893e-02F);
  q = q * s + splat(0.46755449938966287F);
  q = q * s + splat(1.0F);
  return x * p / q;
}

// sum over in and taps of weight * x, for kOuts output channels and kVecs vectors of frames from
// frame t on. The accumulators live in registers: kOuts * kVecs of them. kPacked: outputs that
// stand side by side in the packed weights.
template <int kOuts, int kVecs, int kPacked>
inline void accumulate(Vec (&sum)[kOuts][kVecs], const float* const* x, int stride, int channels,
                       int taps, int t, const float* weight) {
  for (int i = 0; i < channels; ++i) {
    const int offset = i * stride + t;
    for (int k = 0; k < taps; ++k) {
      Vec v[kVecs];
      for (int n = 0; n < kVecs; ++n) v[n] = load(x[k] + offset + n * kLanes);
      for (int o = 0; o < kOuts; ++o) {
        const Vec w = splat(weight[o]);
        for (int n = 0; n < kVecs; ++n) sum[o][n] = sum[o][n] + w * v[n];
      }
      weight += kPacked;
    }
  }
}

template <int kOuts, int kVecs, int kPacked>
void layer_tile(const LayerArgs& a, int out, const float* weight) {
  for (int t = 0; t < a.frames; t += kVecs * kLanes) {
    Vec sum[kOuts][kVecs];
    for (int o = 0; o < kOuts; ++o)
      for (int n = 0; n < kVecs; ++n) sum[o][n] = splat(a.bias[out + o]);
    if (a.mixin != nullptr)
      for (int n = 0; n < kVecs; ++n) {
        const Vec u = load(a.condition + t + n * kLanes);
        for (int o = 0; o < kOuts; ++o) sum[o][n] = sum[o][n] + splat(a.mixin[out + o]) * u;
      }
    accumulate<kOuts, kVecs, kPacked>(sum, a.x, a.x_stride, a.channels, a.taps, t, weight);
    for (int o = 0; o < kOuts; ++o)
      for (int n = 0; n < kVecs; ++n) {
        const int at = (out + o) * kPlaneFrames + t + n * kLanes;
        const Vec z = tanh_of(sum[o][n]);
        store(a.z + at, z);
        store(a.head + at, load(a.head + at) + z);
        if (a.next != nullptr && a.mix == nullptr) {
          const int from = (out + o) * a.x_stride + t + n * kLanes;
          store(a.next + (out + o) * a.next_stride + t + n * kLanes,
                load(a.x[a.taps - 1] + from) + z);
        }
      }
  }
}

template <int kOuts, int kVecs, int kPacked>
void mix_tile(const LayerArgs& a, int out, const float* weight) {
  const float* const z[1] = {a.z};
  for (int t = 0; t < a.frames; t += kVecs * kLanes) {
    Vec sum[kOuts][kVecs];
    for (int o = 0; o < kOuts; ++o)
      for (int n = 0; n < kVecs; ++n)
        sum[o][n] = splat(a.mix_bias != nullptr ? a.mix_bias[out + o] : 0.0F);
    accumulate<kOuts, kVecs, kPacked>(sum, z, kPlaneFrames, a.channels, 1, t, weight);
    for (int o = 0; o < kOuts; ++o)
      for (int n = 0; n < kVecs; ++n) {
        const int at = t + n * kLanes;
        store(a.next + (out + o) * a.next_stride + at,
              load(a.x[a.taps - 1] + (out + o) * a.x_stride + at) + sum[o][n]);
      }
  }
}

template <int kOuts, int kVecs, int kPacked>
void conv_tile(const ConvArgs& a, int out, const float* weight) {
  for (int t = 0; t < a.frames; t += kVecs * kLanes) {
    Vec sum[kOuts][kVecs];
    for (int o = 0; o < kOuts; ++o)
      for (int n = 0; n < kVecs; ++n)
        sum[o][n] = splat(a.bias != nullptr ? a.bias[out + o] : 0.0F);
    accumulate<kOuts, kVecs, kPacked>(sum, a.x, a.x_stride, a.in_channels, a.taps, t, weight);
    for (int o = 0; o < kOuts; ++o)
      for (int n = 0; n < kVecs; ++n)
        store(a.out + (out + o) * a.out_stride + t + n * kLanes, sum[o][n]);
  }
}

// 16 accumulators fit where there are 32 vector registers; with 16 registers a packed tile of 8 is
// computed in two halves.
constexpr int kMaxOuts = kLanes >= 16 ? 8 : 4;

inline int tile_of(int left) { return left >= 8 ? 8 : left >= 4 ? 4 : left >= 2 ? 2 : 1; }

// Two vectors a tile share each weight that is loaded; a short block takes one, and computes less
// that nobody asked for. The sums of a frame are the same either way.
#define AMP_TILE(tile, packed)                                              \
  {                                                                         \
    constexpr int kOuts = (packed) < kMaxOuts ? (packed) : kMaxOuts;        \
    for (int o = 0; o < (packed); o += kOuts) {                             \
      if (args.frames > kLanes)                                             \
        tile<kOuts, 2, packed>(args, out + o, weight + o);                  \
      else                                                                  \
        tile<kOuts, 1, packed>(args, out + o, weight + o);                  \
    }                                                                       \
  }

#define AMP_TILES(tile, channels, weights, row)                             \
  for (int out = 0; out < (channels);) {                                    \
    const int width = tile_of((channels) - out);                            \
    const float* const weight = (weights) + out * (row);                    \
    switch (width) {                                                        \
      case 8: AMP_TILE(tile, 8) break;                                      \
      case 4: AMP_TILE(tile, 4) break;                                      \
      case 2: AMP_TILE(tile, 2) break;                                      \
      default: AMP_TILE(tile, 1) break;                                     \
    }                                                                       \
    out += width;                                                           \
  }

void layer(const LayerArgs& args) noexcept AMP_RT {
  AMP_TILES(layer_tile, args.channels, args.weight, args.channels * args.taps)
  if (args.next == nullptr || args.mix == nullptr) return;
  AMP_TILES(mix_tile, args.channels, args.mix, args.channels)
}

void conv(const ConvArgs& args) noexcept AMP_RT {
  AMP_TILES(conv_tile, args.out_channels, args.weight, args.in_channels * args.taps)
}

void dense(const DenseArgs& args) noexcept AMP_RT {
  const float* const in[1] = {args.in};
  conv({.in_channels = args.in_channels,
        .out_channels = args.out_channels,
        .taps = 1,
        .frames = args.frames,
        .x = in,
        .x_stride = args.in_stride,
        .weight = args.weight,
        .bias = args.bias,
        .out = args.out,
        .out_stride = args.out_stride});
}

#undef AMP_TILE
#undef AMP_TILES

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
const Kernels kTable{layer, dense, conv, burn, kChains * kLanes};

}  // namespace amp::dsp::AMP_ISA
