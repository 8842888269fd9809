#include "wavenet.hpp"

#include <cmath>

namespace amp::nn {
namespace {

/// The truth: plain loops in float64, one frame after the other, nothing clever.
class ScalarWaveNet final : public Net {
 public:
  explicit ScalarWaveNet(const WaveNetModel& model) : model_(model) {
    for (const WaveNetArray& array : spec().arrays)
      for (const WaveNetLayer& layer : array.layers) {
        const int frames = layer.dilation * (array.kernel_size - 1) + 1;
        histories_.push_back(
            {std::vector<double>(static_cast<size_t>(frames) * static_cast<size_t>(array.channels)),
             0});
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

  /// The last inputs of one layer, one row of channels a frame, round and round.
  struct History {
    std::vector<double> frames;
    int newest = 0;
  };

  [[nodiscard]] const WaveNetSpec& spec() const { return model_.spec; }

  double step(double input) noexcept AMP_RT {
    Values stream{input};
    Values head{};
    size_t index = 0;
    for (const WaveNetArray& array : spec().arrays) {
      stream =
          dense(array.rechannel, array.rechannel_bias, stream, array.channels, array.input_size);
      if (array.head_starts_from_stream) head = stream;
      for (const WaveNetLayer& layer : array.layers)
        stream = run_layer(array, layer, histories_[index++], input, stream, head);
      head = dense(array.head_weight, array.head_bias, head, array.head_size, array.channels);
    }
    return head[0] * static_cast<double>(spec().head_scale);
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

  static Values run_layer(const WaveNetArray& array, const WaveNetLayer& layer, History& history,
                          double input, const Values& stream, Values& head) noexcept AMP_RT {
    const auto channels = static_cast<size_t>(array.channels);
    const int length = static_cast<int>(history.frames.size() / channels);
    history.newest = (history.newest + 1) % length;
    std::copy_n(stream.begin(), channels,
                &history.frames[static_cast<size_t>(history.newest) * channels]);
    Values z{};
    const float* w = layer.weight.data();
    for (size_t o = 0; o < channels; ++o) {
      double sum = static_cast<double>(layer.bias[o]);
      if (!layer.mixin.empty()) sum += static_cast<double>(layer.mixin[o]) * input;
      for (size_t i = 0; i < channels; ++i)
        for (int k = 0; k < array.kernel_size; ++k) {
          const int back = (array.kernel_size - 1 - k) * layer.dilation;
          const auto row = static_cast<size_t>((history.newest - back + length) % length);
          sum += static_cast<double>(*w++) * history.frames[row * channels + i];
        }
      z[o] = std::tanh(sum);
      head[o] += z[o];
    }
    Values next =
        layer.mix.empty() ? z : dense(layer.mix, layer.mix_bias, z, array.channels, array.channels);
    for (size_t c = 0; c < channels; ++c) next[c] += stream[c];
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
