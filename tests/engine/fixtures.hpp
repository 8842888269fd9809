#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine.hpp"

namespace amp::test {

/// A folder that is gone with the object.
class TempDir {
 public:
  TempDir();
  ~TempDir();
  /// Write `text` to a file in it and return the file's path.
  [[nodiscard]] std::string write(const std::string& name, const std::string& text) const;

 private:
  std::filesystem::path path_;
};

/// Numbers in [-1, 1), the same for the same seed.
std::vector<float> noise(size_t count, unsigned seed);

std::vector<float> part(const std::vector<float>& signal, size_t from, size_t to);

/// What the old rig hears of each frame of a crossfade that begins with the first one.
float old_share(size_t frame_of_fade);

/// The file of an amp that is silent up to an input of 0.6 and beyond it gives what is not finite:
/// the loader does not try it so loud.
nlohmann::json exploding_model();

/// A residual WaveNet with random weights that keep it stable, as the project's own JSON.
nlohmann::json native_model(int channels, int kernel, const std::vector<int>& dilations,
                            unsigned seed);

/// A NAM A1 WaveNet of two arrays with random weights, file version 0.5.4.
nlohmann::json nam_model(int channels, int head, const std::vector<int>& dilations, unsigned seed);

/// A model that changes nothing, made for `sample_rate_hz`.
nlohmann::json straight_wire(int sample_rate_hz);

/// A NAM container of two models, the small one for a quality below 0.5.
nlohmann::json two_sizes(const nlohmann::json& small, const nlohmann::json& large);

/// The model of `document`, written to a file and loaded as any other.
std::shared_ptr<const nn::Model> load(const nlohmann::json& document);

/// Run `net` over `input` in calls of `block` frames.
std::vector<float> run(nn::Net& net, const std::vector<float>& input, int block);

float peak(const std::vector<float>& signal);
float largest_difference(const std::vector<float>& a, const std::vector<float>& b);

inline constexpr float kNeverDuck = 1e9F;
inline constexpr float kAlwaysDuck = 0;

/// An engine without threads and two slots of different sound, played in calls of 64 frames.
class Rack {
 public:
  /// budget: EngineOptions::budget; without bounds every change is a fade, or a slow machine would
  /// decide what is tested, and 0 makes a duck of every change.
  explicit Rack(bool with_safety = false, int sample_rate_hz = 48000, float budget = kNeverDuck);

  /// Park a rig with one amp (gain_db 0) in `slot`; level_db and seed tell rigs apart, offset is
  /// direct current that the model adds, model_rate_hz what it was made for.
  void park_amp(int slot, unsigned seed, float level_db = 0, float offset = 0,
                int model_rate_hz = 48000);
  void park_clean(int slot, float output_db = 0);
  /// Returns the chain, which is the engine's.
  Chain* park(int slot, const RigSpec& rig);
  /// The rig `blocks` with one amp behind them, as of park_amp.
  void park_behind(int slot, std::vector<BlockSpec> blocks, unsigned seed, float offset = 0);
  /// Play `input`, its service rounds between blocks; returns the left output.
  std::vector<float> play(const std::vector<float>& input, int block = 64,
                          const std::vector<MidiEvent>& midi = {});
  /// Facts of one kind since the last call.
  std::vector<Fact> facts(Fact::Kind kind);

  Engine engine;
  std::vector<MidiEvent> midi_out;  ///< all that was sent, frames as in each callback

 private:
  TempDir dir_;
  std::vector<Fact> facts_;
};

}  // namespace amp::test
