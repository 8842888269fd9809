#pragma once

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include "model.hpp"

namespace amp::nn {

/// The widest array that a loader accepts.
inline constexpr int kMaxChannels = 256;

/// One dilated convolution with its activation and its way on:
///   z = curve(conv(x) + bias + mixin * u);  x' = x + mix * z + mix_bias
struct WaveNetLayer {
  int kernel_size = 3;
  int dilation = 1;
  dsp::Curve curve = dsp::Curve::kTanh;
  float slope = 0;              ///< of Curve::kLeaky, below zero
  std::vector<float> weight;    ///< [channels out][channels in][kernel], oldest tap first
  std::vector<float> bias;      ///< [channels]
  std::vector<float> mixin;     ///< [channels], or empty for none
  std::vector<float> mix;       ///< [channels out][channels in], or empty for the identity
  std::vector<float> mix_bias;  ///< [channels], or empty for zero

  [[nodiscard]] int history_frames() const { return (kernel_size - 1) * dilation; }
};

/// A stack of layers of one width:
///   x = rechannel * input + rechannel_bias;  head = conv(start + sum z) + head_bias
/// `start` is the previous array's head, or x where head_starts_from_stream.
struct WaveNetArray {
  int input_size = 1;
  int channels = 1;
  int head_size = 1;
  int head_kernel = 1;
  int head_dilation = 1;
  bool head_starts_from_stream = false;
  std::vector<float> rechannel;       ///< [channels][input_size]
  std::vector<float> rechannel_bias;  ///< [channels], or empty for zero
  std::vector<WaveNetLayer> layers;
  std::vector<float> head_weight;  ///< [head_size][channels][head_kernel], oldest tap first
  std::vector<float> head_bias;    ///< [head_size], or empty for zero

  [[nodiscard]] int head_history_frames() const { return (head_kernel - 1) * head_dilation; }
};

/// A causal WaveNet, mono in and out: the last array's head times head_scale is the output.
/// The project's residual WaveNet and the NAM A1 and A2 WaveNets are of this form.
struct WaveNetSpec {
  std::vector<WaveNetArray> arrays;
  float head_scale = 1;
};

/// A model of this form; fills the info's field, cost and size from the layers.
class WaveNetModel final : public Model {
 public:
  WaveNetModel(ModelInfo model_info, WaveNetSpec wavenet);
  [[nodiscard]] std::unique_ptr<Net> make_net(dsp::Isa isa) const override;

  const WaveNetSpec spec;
};

/// The float64 truth, one frame after the other. Thread: control.
std::unique_ptr<Net> make_scalar_wavenet(const WaveNetModel& model);

/// The planar, vectorised net on the kernels of `isa`. Thread: control.
std::unique_ptr<Net> make_vector_wavenet(const WaveNetModel& model, dsp::Isa isa);

}  // namespace amp::nn
