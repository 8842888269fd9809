#pragma once

#include <variant>
#include <vector>

#include "model.hpp"

namespace amp::nn {

/// Bounds that loaders hold the layers of a stack to.
inline constexpr int kMostUnits = 1024;
inline constexpr int kMostKnobs = 2;

/// A dense layer, or a dilated causal convolution where there are several taps.
struct ConvLayer {
  int ins = 1;
  int outs = 1;
  int taps = 1;
  int dilation = 1;
  std::vector<float> weight;  ///< [taps][ins][outs], oldest tap first
  std::vector<float> bias;    ///< [outs]
};

/// An LSTM or GRU layer; gates in the order of dsp::RecurrentArgs.
struct RecurrentLayer {
  bool is_gru = false;
  int ins = 1;
  int hidden = 1;
  std::vector<float> weight;     ///< [ins][gate][hidden]
  std::vector<float> recurrent;  ///< [hidden][gate][hidden]
  std::vector<float> bias;       ///< [gate][hidden]; a GRU's r and z hold both of their biases
  std::vector<float> inner;      ///< [hidden], GRU only: what stands beside U_n h
  std::vector<float> h;          ///< [hidden], or empty for zero: the state of the file
  std::vector<float> c;          ///< [hidden], or empty for zero, LSTM only
};

/// What is done to each channel, or to the channels of one frame (softmax).
struct PointLayer {
  enum class Kind : uint8_t { kTanh, kSigmoid, kRelu, kElu, kSoftmax, kPrelu, kAffine };
  Kind kind = Kind::kTanh;
  int channels = 1;
  std::vector<float> scale;  ///< [channels]: kPrelu's slope below zero, kAffine's factor
  std::vector<float> shift;  ///< [channels]: kAffine
};

using StackLayer = std::variant<ConvLayer, RecurrentLayer, PointLayer>;

/// Layers one behind the other, the sample and the knobs in, the first channel out:
///   x = in_gain * input;  y = out_gain * (net(x, knobs) + (skip ? x : 0))
struct StackSpec {
  std::vector<StackLayer> layers;
  int knobs = 0;
  float in_gain = 1;
  float out_gain = 1;
  bool skip = false;
  int prewarm_frames = 0;  ///< zeros that the net heard before its first sample
};

/// A model of this form; fills the info's size, cost, field, settling time and knobs.
class StackModel final : public Model {
 public:
  StackModel(ModelInfo model_info, StackSpec stack);
  [[nodiscard]] std::unique_ptr<Net> make_net(dsp::Isa isa) const override;

  const StackSpec spec;
};

}  // namespace amp::nn
