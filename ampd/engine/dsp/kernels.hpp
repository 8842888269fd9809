#pragma once

#include "../rt.hpp"

namespace amp::dsp {

/// Frames per plane that every scratch plane has room for, beyond which no kernel touches it.
inline constexpr int kPlaneFrames = 96;

/// Kernels compute whole groups of vectors: they may read and write up to this many frames past
/// the ones asked for, which callers leave as slack. The values there mean nothing.
inline constexpr int kSlackFrames = 32;

/// One layer of a WaveNet over a planar signal: plane c of `x` starts at x[tap] + c * x_stride.
struct LayerArgs {
  int channels = 0;
  int taps = 0;
  int frames = 0;                    ///< 1..64
  const float* const* x = nullptr;   ///< [taps] plane 0 as each tap sees it, oldest first
  int x_stride = 0;                  ///< floats between planes of x
  const float* weight = nullptr;     ///< packed [out][in * tap], see pack_tiles
  const float* bias = nullptr;       ///< [channels]
  const float* mixin = nullptr;      ///< [channels], or null
  const float* condition = nullptr;  ///< [frames], used with mixin
  float* z = nullptr;                ///< planes of kPlaneFrames: tanh of the sum
  float* head = nullptr;             ///< planes of kPlaneFrames, z is added to them
  const float* mix = nullptr;        ///< packed [out][in], or null for the identity
  const float* mix_bias = nullptr;   ///< [channels], or null
  float* next = nullptr;             ///< where x + mix * z + mix_bias goes, or null for nowhere
  int next_stride = 0;
};

/// A dilated convolution: out = bias + sum over taps and channels of weight * x.
struct ConvArgs {
  int in_channels = 0;
  int out_channels = 0;
  int taps = 0;
  int frames = 0;                   ///< 1..64
  const float* const* x = nullptr;  ///< [taps] plane 0 as each tap sees it, oldest first
  int x_stride = 0;                 ///< floats between planes of x
  const float* weight = nullptr;    ///< packed [out][in * tap], see pack_tiles
  const float* bias = nullptr;      ///< [out], or null
  float* out = nullptr;
  int out_stride = 0;
};

/// A matrix of constants over planes: out = bias + weight * in.
struct DenseArgs {
  int in_channels = 0;
  int out_channels = 0;
  int frames = 0;
  const float* in = nullptr;
  int in_stride = 0;
  const float* weight = nullptr;  ///< packed [out][in]
  const float* bias = nullptr;    ///< [out], or null
  float* out = nullptr;
  int out_stride = 0;
};

/// The fused kernels of one instruction set. Inputs need no alignment; outputs must not overlap
/// inputs, but for head and next, which are added to or written. Thread: any; AMP_RT.
/// Truth: nn/wavenet_scalar.cpp in float64, max |diff| 2e-6 of peak over a whole net
/// (wavenet_test.cpp). tanh: odd rational of order 9/8, |error| <= 3e-7, relative near 0.
struct Kernels {
  void (*layer)(const LayerArgs&) noexcept AMP_RT;
  void (*dense)(const DenseArgs&) noexcept AMP_RT;
  void (*conv)(const ConvArgs&) noexcept AMP_RT;
  /// Nothing but multiply-adds, burn_macs of them a round: the peak that benchmarks compare with.
  float (*burn)(long rounds, float factor, float term) noexcept;
  int burn_macs;
};

}  // namespace amp::dsp
