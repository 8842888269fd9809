#pragma once

#include <vector>

#include "model.hpp"

namespace amp::nn {

/// What stands between a convolution and its way on; the gated ones take two halves a and b.
enum class Gate : uint8_t {
  kGated,      ///< tanh(a) * sigmoid(b)
  kSoftgated,  ///< softsign(a) * softsign(b)
  kTanh,
  kRelu,
  kSigmoid,
  kSoftsign,
  kLinear,
};

/// z = gate(conv(x) + bias);  x' = x + out * z + out_bias;  the layer's part of the mix hears z.
struct PedalNetLayer {
  int dilation = 1;
  std::vector<float> weight;    ///< [taps][channels][halves * channels], oldest tap first
  std::vector<float> bias;      ///< [halves * channels]
  std::vector<float> out;       ///< [channels in][channels out]
  std::vector<float> out_bias;  ///< [channels]
  std::vector<float> mix;       ///< [channels]
};

/// PedalNetRT's WaveNet: no way round the layers but their skips, every convolution from zero.
struct PedalNetSpec {
  int channels = 1;
  int taps = 1;
  Gate gate = Gate::kGated;
  std::vector<float> input;       ///< [channels]
  std::vector<float> input_bias;  ///< [channels]
  std::vector<PedalNetLayer> layers;
  float mix_bias = 0;
  float level = 1;  ///< factor of the output

  [[nodiscard]] int halves() const {
    return gate == Gate::kGated || gate == Gate::kSoftgated ? 2 : 1;
  }
};

class PedalNetModel final : public Model {
 public:
  PedalNetModel(ModelInfo model_info, PedalNetSpec pedalnet);
  [[nodiscard]] std::unique_ptr<Net> make_net(dsp::Isa isa) const override;

  const PedalNetSpec spec;
};

}  // namespace amp::nn
