#pragma once

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
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

/// A residual WaveNet with random weights that keep it stable, as the project's own JSON.
nlohmann::json native_model(int channels, int kernel, const std::vector<int>& dilations,
                            unsigned seed);

/// A NAM A1 WaveNet of two arrays with random weights, file version 0.5.4.
nlohmann::json nam_model(int channels, int head, const std::vector<int>& dilations, unsigned seed);

/// A model that changes nothing, made for `sample_rate_hz`.
nlohmann::json straight_wire(int sample_rate_hz);

/// The model of `document`, written to a file and loaded as any other.
std::shared_ptr<const nn::Model> load(const nlohmann::json& document);

/// Run `net` over `input` in calls of `block` frames.
std::vector<float> run(nn::Net& net, const std::vector<float>& input, int block);

float peak(const std::vector<float>& signal);
float largest_difference(const std::vector<float>& a, const std::vector<float>& b);

/// An engine without threads and two slots of different sound, played in calls of 64 frames.
class Rack {
 public:
  explicit Rack(bool with_safety = false, int sample_rate_hz = 48000);

  /// Park a rig with one amp (gain_db 0) in `slot`; level_db and seed tell rigs apart, offset is
  /// direct current that the model adds, model_rate_hz what it was made for.
  void park_amp(int slot, unsigned seed, float level_db = 0, float offset = 0,
                int model_rate_hz = 48000);
  void park_clean(int slot, float output_db = 0);
  /// Play `input`, its service rounds between blocks; returns the left output.
  std::vector<float> play(const std::vector<float>& input, int block = 64,
                          const std::vector<MidiEvent>& midi = {});
  /// Facts of one kind since the last call.
  std::vector<Fact> facts(Fact::Kind kind);

  Engine engine;
  int echoed_program = -1;

 private:
  TempDir dir_;
  std::vector<Fact> facts_;
};

}  // namespace amp::test
