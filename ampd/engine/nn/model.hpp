#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "../dsp/isa.hpp"
#include "../rt.hpp"

namespace amp::nn {

/// A model file that cannot be played; the text says file, place, found, expected, way out.
class LoadError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// What a model is, without its weights.
struct ModelInfo {
  std::string path;
  std::string family;        ///< "ampd" or "nam"
  std::string architecture;  ///< "residual_wavenet" or "wavenet"
  std::string name;          ///< from the file's metadata, else the file's stem
  int sample_rate_hz = 0;    ///< 0: the file does not say, 48000 is assumed
  bool causal = true;
  int receptive_field_frames = 1;  ///< 1 + sum((kernel - 1) * dilation): memory, not delay
  int latency_frames = 0;
  int weight_count = 0;
  int mac_per_sample = 0;
  std::vector<std::string> warnings;

  [[nodiscard]] int playing_rate_hz() const { return sample_rate_hz ? sample_rate_hz : 48000; }
};

/// One dilated convolution with its activation and its way on:
///   z = tanh(conv(x) + bias + mixin * u);  x' = x + mix * z + mix_bias
struct WaveNetLayer {
  int dilation = 1;
  std::vector<float> weight;    ///< [channels out][channels in][kernel], oldest tap first
  std::vector<float> bias;      ///< [channels]
  std::vector<float> mixin;     ///< [channels], or empty for none
  std::vector<float> mix;       ///< [channels out][channels in], or empty for the identity
  std::vector<float> mix_bias;  ///< [channels], or empty for zero
};

/// A stack of layers of one width:
///   x = rechannel * input + rechannel_bias;  head = head_weight * (start + sum z) + head_bias
/// `start` is the previous array's head, or x where head_starts_from_stream.
struct WaveNetArray {
  int input_size = 1;
  int channels = 1;
  int kernel_size = 3;
  int head_size = 1;
  bool head_starts_from_stream = false;
  std::vector<float> rechannel;       ///< [channels][input_size]
  std::vector<float> rechannel_bias;  ///< [channels], or empty for zero
  std::vector<WaveNetLayer> layers;
  std::vector<float> head_weight;  ///< [head_size][channels]
  std::vector<float> head_bias;    ///< [head_size], or empty for zero
};

/// A causal WaveNet, mono in and out: the last array's head times head_scale is the output.
/// Both the project's residual WaveNet and the NAM A1 WaveNet are of this form.
struct WaveNetSpec {
  std::vector<WaveNetArray> arrays;
  float head_scale = 1;
};

/// A model file that was read, validated and tried. Immutable, shared by the nets that play it.
struct Model {
  ModelInfo info;
  WaveNetSpec wavenet;
};

/// One playing instance of a model, with its state.
class Net {
 public:
  Net() = default;
  virtual ~Net() = default;
  Net(const Net&) = delete;
  Net& operator=(const Net&) = delete;

  /// Back to the steady state after infinite silence. Thread: the owner's.
  virtual void reset() noexcept AMP_RT = 0;

  /// in, out: `frames` samples, 1..kMaxFrames, may be the same array. Thread: the owner's.
  virtual void process(const float* in, float* out, int frames) noexcept AMP_RT = 0;

  [[nodiscard]] virtual size_t memory_bytes() const noexcept = 0;
};

/// Read a model file of any family: bounded, validated, and run on its self-test where it has one.
/// Raises LoadError. Thread: control; it reads the file and allocates.
std::shared_ptr<const Model> load_model(const std::string& path);

/// Build a net that is ready to play, in its silent steady state. Isa::kScalar gives the plain
/// float64 truth that every other path is compared with. Thread: control.
std::unique_ptr<Net> make_net(std::shared_ptr<const Model> model, dsp::Isa isa);

/// Fill receptive_field_frames, weight_count and mac_per_sample from the layers.
void measure(const WaveNetSpec& spec, ModelInfo& info);

}  // namespace amp::nn
