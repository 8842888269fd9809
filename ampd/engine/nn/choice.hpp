#pragma once

#include <memory>
#include <vector>

#include "model.hpp"

namespace amp::nn {

struct Choice {
  double below = 1;  ///< played for a quality below this; the last one for all above it too
  std::shared_ptr<const Model> model;
};

/// One model in several sizes: NAM's SlimmableContainer and slimmable WaveNet. It starts at the
/// largest. A net keeps all sizes built; the one that comes hears the live input as long as it
/// remembers, silently, and is then where it would be had it always played; a fade of 20 ms
/// follows. Sizes that are not heard cost nothing.
class ChoiceModel final : public Model {
 public:
  /// choices: at least one, ascending.
  ChoiceModel(ModelInfo model_info, std::vector<Choice> sizes);
  [[nodiscard]] std::unique_ptr<Net> make_net(dsp::Isa isa) const override;

  const std::vector<Choice> choices;
};

/// Models one behind the other: NAM's Sequential, as in amp and cabinet.
class SequenceModel final : public Model {
 public:
  SequenceModel(ModelInfo model_info, std::vector<std::shared_ptr<const Model>> chain);
  [[nodiscard]] std::unique_ptr<Net> make_net(dsp::Isa isa) const override;

  const std::vector<std::shared_ptr<const Model>> models;
};

}  // namespace amp::nn
