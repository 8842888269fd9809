#pragma once

#include <memory>
#include <vector>

#include "activation.hpp"
#include "conv.hpp"
#include "model.hpp"

namespace amp::nn {

/// An activation and the convolution behind it.
struct ConvStep {
  Activation before;
  ConvSpec conv;
};

/// Convolutions one after the other: NAM's ConvNet and Linear, and the head behind a WaveNet.
using ConvStackSpec = std::vector<ConvStep>;

/// A playing stack. The spec must outlive it. Thread: the owner's.
template <typename T>
class ConvStack {
 public:
  ConvStack(const ConvStackSpec& spec, const dsp::Kernels& kernels) : spec_(spec) {
    for (const ConvStep& step : spec) {
      convs_.emplace_back(step.conv, kernels);
      outs_.push_back(make_planes<T>(step.conv.outs));
    }
  }

  /// in: planes that are changed in place; returns the planes of the last convolution.
  T* run(T* in, int frames, bool settle) noexcept AMP_RT {
    for (size_t i = 0; i < convs_.size(); ++i) {
      activate(spec_[i].before, in, spec_[i].conv.ins, frames);
      convs_[i].run(in, outs_[i].data(), frames, settle);
      in = outs_[i].data();
    }
    return in;
  }

  [[nodiscard]] size_t bytes() const noexcept {
    size_t total = 0;
    for (size_t i = 0; i < convs_.size(); ++i)
      total += convs_[i].bytes() + outs_[i].size() * sizeof(T);
    return total;
  }

 private:
  const ConvStackSpec& spec_;
  std::vector<Conv<T>> convs_;
  std::vector<std::vector<T>> outs_;
};

/// ConvNet (batch norms folded into the weights) or Linear (one long convolution, direct form).
class ConvStackModel final : public Model {
 public:
  ConvStackModel(ModelInfo model_info, ConvStackSpec stack)
      : Model(std::move(model_info)), spec(std::move(stack)) {}
  [[nodiscard]] std::unique_ptr<Net> make_net(dsp::Isa isa) const override;

  const ConvStackSpec spec;
};

}  // namespace amp::nn
