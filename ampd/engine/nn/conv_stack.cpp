#include "conv_stack.hpp"

namespace amp::nn {
namespace {

template <typename T>
class ConvStackNet final : public Net {
 public:
  ConvStackNet(const ConvStackModel& model, dsp::Isa isa)
      : stack_(model.spec, dsp::kernels(isa)), input_(make_planes<T>(1)) {
    ConvStackNet::reset();
  }

  void reset() noexcept AMP_RT override {
    input_[0] = 0;
    stack_.run(input_.data(), 1, true);
  }

  void process(const float* in, float* out, int frames) noexcept AMP_RT override {
    std::copy_n(in, frames, input_.data());
    const T* const result = stack_.run(input_.data(), frames, false);
    for (int t = 0; t < frames; ++t) out[t] = static_cast<float>(result[t]);
  }

  [[nodiscard]] size_t memory_bytes() const noexcept override { return stack_.bytes(); }

 private:
  ConvStack<T> stack_;
  std::vector<T> input_;
};

}  // namespace

std::unique_ptr<Net> ConvStackModel::make_net(dsp::Isa isa) const {
  if (isa == dsp::Isa::kScalar) return std::make_unique<ConvStackNet<double>>(*this, isa);
  return std::make_unique<ConvStackNet<float>>(*this, isa);
}

}  // namespace amp::nn
