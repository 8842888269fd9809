#include "wavenet.hpp"

#include <cmath>

namespace amp::nn {
namespace {

/// The truth: plain loops in float64, one frame after the other, nothing clever.
class ScalarWaveNet final : public Net {
 public:
  explicit ScalarWaveNet(const WaveNetModel& model) : model_(model) {
    for (const WaveNetArray& array : spec().arrays) {
      for (const WaveNetLayer& layer : array.layers)
        histories_.emplace_back(layer.history_frames(), array.channels);
      histories_.emplace_back(array.head_history_frames(), array.channels);
    }
    for (int frame = 0; frame < model_.info.receptive_field_frames; ++frame) step(0.0);
    rest_ = histories_;
  }

  void reset() noexcept AMP_RT override {
    for (size_t i = 0; i < histories_.size(); ++i) {
      std::copy(rest_[i].frames.begin(), rest_[i].frames.end(), histories_[i].frames.begin());
      histories_[i].newest = rest_[i].newest;
    }
  }

  void process(const float* in, float* out, int frames) noexcept AMP_RT override {
    for (int t = 0; t < frames; ++t) out[t] = static_cast<float>(step(in[t]));
  }

  [[nodiscard]] size_t memory_bytes() const noexcept override {
    size_t bytes = 0;
    for (const History& history : histories_) bytes += 2 * history.frames.size() * sizeof(double);
    return bytes;
  }

 private:
  using Values = std::array<double, kMaxChannels>;

  /// The last inputs of one convolution, one row of channels a frame, round and round.
  struct History {
    History(int history_frames, int width)
        : channels(static_cast<size_t>(width)),
          frames(static_cast<size_t>(history_frames + 1) * channels) {}

    void push(const Values& values) noexcept AMP_RT {
      newest = (newest + 1) % length();
      std::copy_n(values.begin(), channels, &frames[static_cast<size_t>(newest) * channels]);
    }
    [[nodiscard]] double at(int back, size_t channel) const noexcept AMP_RT {
      const auto row = static_cast<size_t>((newest - back + length()) % length());
      return frames[row * channels + channel];
    }
    [[nodiscard]] int length() const noexcept AMP_RT {
      return static_cast<int>(frames.size() / channels);
    }

    size_t channels;
    std::vector<double> frames;
    int newest = 0;
  };

  [[nodiscard]] const WaveNetSpec& spec() const { return model_.spec; }

  double step(double input) noexcept AMP_RT {
    Values stream{input};
    Values head{};
    History* history = histories_.data();
    for (const WaveNetArray& array : spec().arrays) {
      stream =
          dense(array.rechannel, array.rechannel_bias, stream, array.channels, array.input_size);
      if (array.head_starts_from_stream) head = stream;
      for (const WaveNetLayer& layer : array.layers)
        stream = run_layer(array, layer, *history++, input, stream, head);
      history->push(head);
      head = convolve(array.head_weight, array.head_bias, *history++, array.head_size,
                      array.head_kernel, array.head_dilation);
    }
    return head[0] * static_cast<double>(spec().head_scale);
  }

  static Values convolve(const std::vector<float>& weight, const std::vector<float>& bias,
                         const History& history, int outs, int kernel,
                         int dilation) noexcept AMP_RT {
    Values out{};
    const float* w = weight.data();
    for (size_t o = 0; o < static_cast<size_t>(outs); ++o) {
      double sum = bias.empty() ? 0.0 : static_cast<double>(bias[o]);
      for (size_t i = 0; i < history.channels; ++i)
        for (int k = 0; k < kernel; ++k)
          sum += static_cast<double>(*w++) * history.at((kernel - 1 - k) * dilation, i);
      out[o] = sum;
    }
    return out;
  }

  static Values dense(const std::vector<float>& weight, const std::vector<float>& bias,
                      const Values& in, int outs, int ins) noexcept AMP_RT {
    Values out{};
    const float* w = weight.data();
    for (int o = 0; o < outs; ++o) {
      double sum = bias.empty() ? 0.0 : static_cast<double>(bias[static_cast<size_t>(o)]);
      for (int i = 0; i < ins; ++i) sum += static_cast<double>(*w++) * in[static_cast<size_t>(i)];
      out[static_cast<size_t>(o)] = sum;
    }
    return out;
  }

  static double curve(const WaveNetLayer& layer, double sum) noexcept AMP_RT {
    if (layer.curve == dsp::Curve::kTanh) return std::tanh(sum);
    return sum > 0 ? sum : sum * static_cast<double>(layer.slope);
  }

  static Values run_layer(const WaveNetArray& array, const WaveNetLayer& layer, History& history,
                          double input, const Values& stream, Values& head) noexcept AMP_RT {
    history.push(stream);
    Values z = convolve(layer.weight, layer.bias, history, array.channels, layer.kernel_size,
                        layer.dilation);
    for (size_t c = 0; c < history.channels; ++c) {
      if (!layer.mixin.empty()) z[c] += static_cast<double>(layer.mixin[c]) * input;
      z[c] = curve(layer, z[c]);
      head[c] += z[c];
    }
    Values next =
        layer.mix.empty() ? z : dense(layer.mix, layer.mix_bias, z, array.channels, array.channels);
    for (size_t c = 0; c < history.channels; ++c) next[c] += stream[c];
    return next;
  }

  const WaveNetModel& model_;
  std::vector<History> histories_;
  std::vector<History> rest_;
};

}  // namespace

std::unique_ptr<Net> make_scalar_wavenet(const WaveNetModel& model) {
  return std::make_unique<ScalarWaveNet>(model);
}

}  // namespace amp::nn
