#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "conv_stack.hpp"

namespace amp::nn {

/// Feature-wise modulation by the condition: v * scale (+ shift), both from one 1x1 convolution.
struct FilmSpec {
  bool shift = true;
  ConvSpec conv;  ///< outs: the width of v, twice that with shift
};

/// Where a layer may be modulated, in file order.
enum Film : uint8_t {
  kConvPre,
  kConvPost,
  kMixinPre,
  kMixinPost,
  kActivationPre,
  kActivationPost,
  kLayer1x1Post,
  kHead1x1Post,
  kFilmCount,
};

enum class Gating : uint8_t { kNone, kGated, kBlended };

/// One layer. z = conv(x) + mixin(c), as wide as the bottleneck, or twice as wide where gated:
///   kNone     s = act(z)
///   kGated    s = act(z1) * secondary(z2)
///   kBlended  a = secondary(z2);  s = a * act(z1) + (1 - a) * z1
///   head sum += head1x1(s), or s;  x += layer1x1(s), or x stays as it is (as Core has it)
struct GeneralLayer {
  int bottleneck = 1;
  Gating gating = Gating::kNone;
  Activation activation;
  Activation secondary;
  ConvSpec conv;
  ConvSpec mixin;
  std::optional<ConvSpec> layer1x1;
  std::optional<ConvSpec> head1x1;
  std::array<std::optional<FilmSpec>, kFilmCount> films;
};

struct GeneralArray {
  ConvSpec rechannel;
  std::vector<GeneralLayer> layers;
  ConvSpec head;
};

/// A WaveNet with every option of NAM files 0.5 to 0.7, mono in. The condition c of its layers is
/// the input, or what another net makes of it.
struct GeneralSpec {
  std::shared_ptr<const GeneralSpec> condition;  ///< a WaveNet of any number of outputs, or null
  std::shared_ptr<const Model> condition_model;  ///< a mono model of another kind, or null
  std::vector<GeneralArray> arrays;
  float head_scale = 1;
  ConvStackSpec post_head;  ///< behind head_scale; empty for none

  [[nodiscard]] int outs() const {
    return post_head.empty() ? arrays.back().head.outs : post_head.back().conv.outs;
  }
  /// Every convolution but those of the condition, in file order.
  [[nodiscard]] std::vector<ConvSpec*> convs();
  [[nodiscard]] std::vector<const ConvSpec*> convs() const;
  /// 1 + every history on the longest way through it, the condition's before its own.
  [[nodiscard]] long field_frames() const;
  [[nodiscard]] long condition_frames() const;  ///< what the condition remembers
};

/// A WaveNet that is not of the form WaveNetSpec. Truth: the same code in float64.
class GeneralWaveNetModel final : public Model {
 public:
  GeneralWaveNetModel(ModelInfo model_info, GeneralSpec wavenet)
      : Model(std::move(model_info)), spec(std::move(wavenet)) {}
  [[nodiscard]] std::unique_ptr<Net> make_net(dsp::Isa isa) const override;

  const GeneralSpec spec;
};

}  // namespace amp::nn
