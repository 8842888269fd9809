#pragma once

#include <memory>
#include <optional>
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
  std::string family;          ///< "ampd", "nam", "rtneural", "state_dict" or "pedalnet"
  std::string architecture;    ///< "residual_wavenet", "wavenet", "convnet", "lstm", "gru", ...
  std::string name;            ///< from the file's metadata, else the file's stem
  int sample_rate_hz = 0;      ///< 0: the file does not say
  int unsaid_rate_hz = 48000;  ///< what counts then: the rate that its family is trained at
  bool causal = true;
  int receptive_field_frames = 1;  ///< 1 + sum((kernel - 1) * dilation): memory, not delay
  int memory_frames = 0;  ///< frames in which a recurrent net settles; 0: the field says it all
  int latency_frames = 0;
  int weight_count = 0;
  int mac_per_sample = 0;
  std::optional<double> loudness_db;  ///< what the file's metadata claims: RMS of full scale
  /// What it claims of the capture: the dBu RMS of a 1 kHz sine that is 0 dBFS peak there.
  std::optional<double> input_level_dbu;
  std::optional<double> output_level_dbu;
  bool has_quality = false;        ///< Net::set_quality chooses between sizes of the model
  std::vector<std::string> knobs;  ///< of a net that was trained with them: [a-z0-9_], 0..1
  std::vector<std::string> warnings;

  [[nodiscard]] int playing_rate_hz() const {
    return sample_rate_hz ? sample_rate_hz : unsaid_rate_hz;
  }
};

/// One playing instance of a model, with its state.
class Net {
 public:
  Net() = default;
  virtual ~Net() = default;
  Net(const Net&) = delete;
  Net& operator=(const Net&) = delete;

  /// Back to the state that the model starts from: after infinite silence, or what the file says.
  /// Thread: the owner's.
  virtual void reset() noexcept AMP_RT = 0;

  /// in, out: `frames` samples, 1..kMaxFrames, may be the same array. Thread: the owner's.
  virtual void process(const float* in, float* out, int frames) noexcept AMP_RT = 0;

  /// 0 is the smallest, 1 the largest size of a model that has several, which is where a net
  /// starts. A change fades in once the size that comes has heard as much as it remembers;
  /// `at_once` it plays from the next frame on, as if behind silence, and so it does after a reset.
  /// Thread: the owner's.
  virtual void set_quality(float quality, bool at_once) noexcept AMP_RT {
    static_cast<void>(quality);
    static_cast<void>(at_once);
  }

  /// Turn a knob of ModelInfo::knobs, from the next process on; 0.5 until then. reset leaves it.
  virtual void set_knob(int knob, float value) noexcept AMP_RT {
    static_cast<void>(knob);
    static_cast<void>(value);
  }

  [[nodiscard]] virtual size_t memory_bytes() const noexcept = 0;
};

/// A model file that was read, validated and tried. Immutable, shared by the nets that play it.
class Model {
 public:
  explicit Model(ModelInfo model_info) : info(std::move(model_info)) {}
  virtual ~Model() = default;
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

  /// A net that is ready to play, in its silent steady state; it must not outlive the model.
  /// Isa::kScalar gives the plain float64 truth that every other path is compared with.
  /// Thread: control; it allocates.
  [[nodiscard]] virtual std::unique_ptr<Net> make_net(dsp::Isa isa) const = 0;

  const ModelInfo info;
};

/// Read a model file of any family: bounded, validated, and run on its self-test where it has one.
/// Raises LoadError. Thread: control; it reads the file and allocates.
std::shared_ptr<const Model> load_model(const std::string& path);

/// The same for a file that stands in memory; `name` is its path in errors and in the info.
std::shared_ptr<const Model> load_model(std::string_view bytes, const std::string& name);

}  // namespace amp::nn
