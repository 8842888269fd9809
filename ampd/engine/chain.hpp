#pragma once

#include <memory>
#include <string>
#include <vector>

#include "blocks/safety.hpp"
#include "blocks/table.hpp"
#include "dsp/ramp.hpp"

namespace amp {

/// A rig as plain values: what a chain is built from.
struct RigSpec {
  std::map<std::string, float> values;  ///< "input/gain_db", "mix", "output/gain_db"
  std::vector<BlockSpec> blocks;
};

/// One knob of a chain and where it is addressed.
struct ChainParam {
  std::string path;  ///< "input/gain_db", "amp/level_db"
  ParamInfo info;
};

/// Where a chain puts a block of frames: left, right, and its input delayed to match them.
struct ChainOutput {
  float* left = nullptr;
  float* right = nullptr;
  float* dry = nullptr;
};

/// A running rig: input gain, blocks in order, mix with the aligned dry signal, output gain.
/// At any time one thread owns it: control while it is built, warm while it is parked and brought
/// up to date, audio while it plays.
class Chain {
 public:
  /// Raises nn::LoadError with the place in the rig: an unknown param, a value out of range, a
  /// model that cannot be played. Thread: control; it reads files and allocates.
  /// block_dc: what its models add of direct current is taken off, from the first sample on.
  Chain(const RigSpec& rig, int sample_rate_hz, dsp::Isa isa, bool block_dc = true);

  [[nodiscard]] const std::vector<ChainParam>& params() const { return params_; }
  [[nodiscard]] const std::vector<float>& initial_values() const { return initial_; }
  [[nodiscard]] const std::vector<nn::ModelInfo>& models() const { return models_; }
  [[nodiscard]] size_t memory_bytes() const;

  /// Frames of past input on which the output depends: the blocks' fields in series.
  [[nodiscard]] int memory_frames() const noexcept AMP_RT { return memory_frames_; }
  [[nodiscard]] int latency_frames() const noexcept AMP_RT { return latency_frames_; }

  /// The last position up to `position` that lies whole grids (Block::grid_frames) from `from`:
  /// input may be left out between the two, and a chain may be reset where `from` is 0.
  [[nodiscard]] int64_t grid_before(int64_t position, int64_t from) const noexcept AMP_RT {
    return position - (position - from) % grid_frames_;
  }

  /// Take a value, clamped to its range, and return what was taken. index < params().size().
  float set(int index, float value, bool jump) noexcept AMP_RT;
  [[nodiscard]] int param_count() const noexcept AMP_RT { return static_cast<int>(params_.size()); }

  /// All values back to the rig's own.
  void recall(bool jump) noexcept AMP_RT;

  /// Silence behind, the rig's own values, no fault. Where the next frame's position is one of
  /// grid_before, the chain will sound as if it had always played.
  void reset() noexcept AMP_RT;

  /// in: `frames` finite samples, 1..kMaxFrames; out must not overlap it. If a block gives a sample
  /// that is not sound, the output is the dry signal from this call on, until reset.
  void process(const float* in, const ChainOutput& out, int frames) noexcept AMP_RT;

  /// True once a block has given a sample that is not sound.
  [[nodiscard]] bool faulted() const noexcept AMP_RT { return faulted_; }

 private:
  enum Own { kInputGain, kMix, kOutputGain, kOwnCount };

  void add_params(const std::string& place, std::span<const ParamInfo> infos,
                  const std::map<std::string, float>& values);
  void run_blocks(const ChainOutput& out, int frames) noexcept AMP_RT;
  void learn_rest();
  void delay_dry(const float* in, float* dry, int frames) noexcept AMP_RT;
  void blend(const float* dry, float* left, float* right, int frames) noexcept AMP_RT;
  void play_dry(const float* dry, float* left, float* right, int frames) noexcept AMP_RT;

  std::vector<ChainParam> params_;
  std::vector<float> initial_;
  std::vector<std::pair<Block*, int>> targets_;  ///< of params_, null for the chain's own
  std::vector<std::unique_ptr<Block>> blocks_;
  std::vector<nn::ModelInfo> models_;
  std::vector<float> delay_;
  size_t delay_at_ = 0;
  int memory_frames_ = 1;
  int latency_frames_ = 0;
  int grid_frames_ = 1;
  dsp::Ramp input_gain_;
  dsp::Ramp mix_;
  dsp::Ramp output_left_;
  dsp::Ramp output_right_;
  dsp::Ramp to_dry_;
  bool block_dc_ = false;
  std::array<DcBlocker, 2> dc_;
  std::array<float, 2> rest_{};  ///< what the blocks give for silence
  std::array<float, 2> last_{};
  bool faulted_ = false;
};

}  // namespace amp
