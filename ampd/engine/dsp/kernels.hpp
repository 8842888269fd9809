#pragma once

#include <cstddef>
#include <cstdint>

#include "../rt.hpp"

namespace amp::dsp {

/// Frames per plane that every scratch plane has room for, beyond which no kernel touches it.
inline constexpr int kPlaneFrames = 96;

/// Kernels compute whole vectors: they may read and write up to this many frames past the ones
/// asked for, which callers leave as slack. The values there mean nothing.
inline constexpr int kSlackFrames = 16;

/// A dilated convolution over planar signals: out = plus + bias + mixin * condition + sum over taps
/// and channels of weight * x. Plane c of `x` starts at x[tap] + c * x_stride.
struct ConvArgs {
  int in_channels = 0;
  int out_channels = 0;
  int taps = 0;
  int frames = 0;                    ///< 1..64
  const float* const* x = nullptr;   ///< [taps] plane 0 as each tap sees it, oldest first
  int x_stride = 0;                  ///< floats between planes of x
  const float* weight = nullptr;     ///< packed [out][in * tap], see pack_tiles
  const float* bias = nullptr;       ///< [out], or null
  const float* mixin = nullptr;      ///< [out], or null
  const float* condition = nullptr;  ///< [frames], used with mixin
  const float* plus = nullptr;       ///< planes, or null
  int plus_stride = 0;
  float* out = nullptr;
  int out_stride = 0;
};

enum class Curve : uint8_t { kTanh, kLeaky };

/// One layer of a WaveNet: z = curve(sum); head = head_before + z; next = x + mix * z + mix_bias.
struct LayerArgs {
  ConvArgs sum;  ///< its out is z; as many channels out as in; plus is not used
  Curve curve = Curve::kTanh;
  float slope = 0;                     ///< of kLeaky, below zero
  const float* head_before = nullptr;  ///< planes; may be head itself
  int head_before_stride = 0;
  float* head = nullptr;
  int head_stride = 0;
  const float* mix = nullptr;       ///< packed [out][in], or null for the identity
  const float* mix_bias = nullptr;  ///< [channels], or null
  float* next = nullptr;            ///< planes, or null where nobody listens
  int next_stride = 0;
};

/// How many outputs stand side by side in the packed tile that begins at output `out`: as few tiles
/// as possible of at most `widest`, as even as possible, the wide ones first.
constexpr int tile_width(int outs, int out, int widest) {
  const int tiles = (outs - out + widest - 1) / widest;
  return (outs - out + tiles - 1) / tiles;
}

/// The fused kernels of one instruction set. Inputs need no alignment; outputs must not overlap
/// inputs, but for head and next, which are added to or written. Thread: any; AMP_RT.
/// Truth: nn/wavenet_scalar.cpp in float64, max |diff| 2e-6 of peak over a whole net
/// (wavenet_test.cpp). tanh: odd rational of order 9/8, |error| <= 3e-7, relative near 0.
struct Kernels {
  void (*layer)(const LayerArgs&) noexcept AMP_RT;
  void (*conv)(const ConvArgs&) noexcept AMP_RT;
  /// Copies `frames` frames of every plane from frame `from` to frame `to`.
  void (*repeat)(float* planes, int channels, int stride, int from, int to,
                 int frames) noexcept AMP_RT;
  int widest_tile;  ///< what pack_tiles packs to
  /// Nothing but multiply-adds, burn_macs of them a round: the peak that benchmarks compare with.
  float (*burn)(long rounds, float factor, float term) noexcept;
  int burn_macs;
};

}  // namespace amp::dsp
