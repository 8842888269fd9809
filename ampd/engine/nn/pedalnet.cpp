#include "pedalnet.hpp"

#include <cmath>

#include "rows.hpp"

namespace amp::nn {
namespace {

template <class Number>
struct Layer {
  RowConv<Number> conv;
  RowConv<Number> out;
  Rows<Number> mix;
};

template <class Number>
class PedalNet final : public Net {
 public:
  PedalNet(const PedalNetSpec& spec, dsp::Isa isa)
      : spec_(spec),
        kernels_(dsp::row_kernels_of<Number>(isa)),
        width_(dsp::padded(spec.channels)),
        input_(1, 1, 1, spec.input, spec.input_bias, spec.channels, kernels_) {
    const int c = spec.channels;
    for (const PedalNetLayer& layer : spec.layers)
      layers_.push_back(
          {RowConv<Number>(c, spec.taps, layer.dilation, layer.weight, layer.bias, c, kernels_),
           RowConv<Number>(c, 1, 1, layer.out, layer.out_bias, c, kernels_),
           pad_rows<Number>(layer.mix, 1)});
    const size_t rows = static_cast<size_t>(width_) * kMaxFrames;
    for (auto* buffer : {&stream_, &z_, &added_}) buffer->resize(rows);
    sum_.resize(rows * 2);
    in_.resize(static_cast<size_t>(dsp::kRowPad) * kMaxFrames);
    head_.resize(static_cast<size_t>(dsp::kRowPad) * kMaxFrames);
  }

  void reset() noexcept AMP_RT override {
    for (Layer<Number>& layer : layers_) layer.conv.reset();
  }

  void process(const float* in, float* out, int frames) noexcept AMP_RT override {
    for (int t = 0; t < frames; ++t) in_[row(t, dsp::kRowPad)] = static_cast<Number>(in[t]);
    input_.run(in_.data(), stream_.data(), frames);
    std::fill(head_.begin(), head_.end(), static_cast<Number>(spec_.mix_bias));
    for (Layer<Number>& layer : layers_) run_layer(layer, frames);
    for (int t = 0; t < frames; ++t)
      out[t] = static_cast<float>(head_[row(t, dsp::kRowPad)] * static_cast<Number>(spec_.level));
  }

  [[nodiscard]] size_t memory_bytes() const noexcept override {
    size_t numbers = stream_.size() + sum_.size() + z_.size() + added_.size();
    numbers += in_.size() + head_.size();
    size_t bytes = numbers * sizeof(Number) + input_.bytes();
    for (const Layer<Number>& layer : layers_)
      bytes += layer.conv.bytes() + layer.out.bytes() + layer.mix.size() * sizeof(Number);
    return bytes;
  }

 private:
  static size_t row(int frame, int width) noexcept AMP_RT {
    return static_cast<size_t>(frame) * static_cast<size_t>(width);
  }

  void run_layer(Layer<Number>& layer, int frames) noexcept AMP_RT {
    layer.conv.run(stream_.data(), sum_.data(), frames);
    for (int t = 0; t < frames; ++t)
      apply_gate(&sum_[row(t, layer.conv.width())], &z_[row(t, width_)]);
    kernels_.multiply({.frames = frames,
                       .ins = spec_.channels,
                       .width = dsp::kRowPad,
                       .in = z_.data(),
                       .in_stride = width_,
                       .weight = layer.mix.data(),
                       .out = head_.data()});
    layer.out.run(z_.data(), added_.data(), frames);
    for (size_t i = 0; i < row(frames, width_); ++i) stream_[i] += added_[i];
  }

  void apply_gate(Number* sum, Number* z) noexcept AMP_RT {
    Number* const b = sum + width_;
    switch (spec_.gate) {
      case Gate::kGated:
        kernels_.tanh(sum, width_);
        kernels_.sigmoid(b, width_);
        for (int c = 0; c < width_; ++c) z[c] = sum[c] * b[c];
        return;
      case Gate::kSoftgated:
        for (int c = 0; c < width_; ++c) z[c] = softsign(sum[c]) * softsign(b[c]);
        return;
      case Gate::kTanh:
        kernels_.tanh(sum, width_);
        break;
      case Gate::kSigmoid:
        kernels_.sigmoid(sum, width_);
        break;
      case Gate::kRelu:
        for (int c = 0; c < width_; ++c) sum[c] = std::max(sum[c], Number{0});
        break;
      case Gate::kSoftsign:
        for (int c = 0; c < width_; ++c) sum[c] = softsign(sum[c]);
        break;
      case Gate::kLinear:
        break;
    }
    std::copy_n(sum, width_, z);
  }

  static Number softsign(Number x) noexcept AMP_RT { return x / (1 + std::abs(x)); }

  const PedalNetSpec& spec_;
  const dsp::RowKernels<Number>& kernels_;
  int width_;
  RowConv<Number> input_;
  std::vector<Layer<Number>> layers_;
  Rows<Number> in_;
  Rows<Number> stream_;
  Rows<Number> sum_;
  Rows<Number> z_;
  Rows<Number> added_;
  Rows<Number> head_;
};

ModelInfo measure(ModelInfo info, const PedalNetSpec& spec) {
  size_t macs = spec.input.size();
  size_t biases = spec.input_bias.size() + 1;
  info.receptive_field_frames = 1;
  for (const PedalNetLayer& layer : spec.layers) {
    info.receptive_field_frames += (spec.taps - 1) * layer.dilation;
    macs += layer.weight.size() + layer.out.size() + layer.mix.size();
    biases += layer.bias.size() + layer.out_bias.size();
  }
  info.mac_per_sample = static_cast<int>(macs);
  info.weight_count = static_cast<int>(macs + biases);
  return info;
}

}  // namespace

PedalNetModel::PedalNetModel(ModelInfo model_info, PedalNetSpec pedalnet)
    : Model(measure(std::move(model_info), pedalnet)), spec(std::move(pedalnet)) {}

std::unique_ptr<Net> PedalNetModel::make_net(dsp::Isa isa) const {
  if (isa == dsp::Isa::kScalar) return std::make_unique<PedalNet<double>>(spec, isa);
  return std::make_unique<PedalNet<float>>(spec, isa);
}

}  // namespace amp::nn
