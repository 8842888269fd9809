#pragma once

#include <atomic>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "blocks/safety.hpp"
#include "blocks/table.hpp"
#include "dsp/ramp.hpp"
#include "midi.hpp"
#include "stage.hpp"

namespace amp {

/// A controller and the path of what it is bound to: "amp/gain_db", or "foot/3", the bypass of the
/// third block.
struct BindingSpec {
  std::string path;
  Binding binding;           ///< of a param: target, index, is_switch and ends are found out
  std::optional<float> low;  ///< none: the param's own end
  std::optional<float> high;
  bool from_map = true;  ///< of the player's map: left out where the rig has no such param
};

/// The most snapshots of a rig, and the most messages that it sends when it comes in.
inline constexpr size_t kMostSnapshots = 8;
inline constexpr size_t kMostOnLoad = 16;
inline constexpr size_t kMostBindings = 128;

/// A rig as plain values: what a chain is built from.
struct RigSpec {
  std::map<std::string, float> values;  ///< "input/gain_db", "mix", "output/gain_db"
  std::vector<BlockSpec> blocks;
  std::vector<std::map<std::string, float>> snapshots{};  ///< laid over the values, by path
  std::array<int, 2> morph{1, 2};  ///< what "morph" goes between; 0 is the rig itself
  float input_trim_db = 0;         ///< in front of everything, not a knob
  float output_trim_db = 0;        ///< likewise behind it
  std::vector<BindingSpec> bindings{};
  std::vector<MidiEvent> on_load{};  ///< sent when the rig comes in; their frames do not count
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
///
/// It has two parts. The head is everything up to the first block behind the last amp that rings;
/// the tail is that block and all behind it, and empty where nothing rings. A change of rigs fades
/// what goes from head to tail, so that echoes of the old rig are heard to their end and those of
/// the new one begin with what is played into it.
///
/// One thread owns the head at any time: control while it is built, warm while it is parked and
/// brought up to date, audio while it plays. The tail is the audio thread's from the first time
/// that it is heard: the chain may be parked, and warmed again, while its tail still rings.
class Chain {
 public:
  /// Raises nn::LoadError with the place in the rig: an unknown param, a value out of range, a
  /// model that cannot be played. Thread: control; it reads files and allocates.
  /// block_dc: what its models add of direct current is taken off, from the first sample on.
  /// clock: what take_spent is measured by.
  Chain(const RigSpec& rig, int sample_rate_hz, dsp::Isa isa, bool block_dc = true,
        Clock clock = monotonic_ns);

  [[nodiscard]] const std::vector<ChainParam>& params() const { return params_; }
  /// The param at `path`, "foot/3" the bypass of the third block; -1 where there is none.
  [[nodiscard]] int find(const std::string& path) const;
  [[nodiscard]] const std::vector<float>& initial_values() const { return scenes_[0]; }
  [[nodiscard]] const std::vector<nn::ModelInfo>& models() const { return models_; }
  [[nodiscard]] size_t memory_bytes() const;
  /// What stands where: names of the blocks, "amp+amp2" of two side by side.
  [[nodiscard]] const std::vector<std::string>& block_names() const { return block_names_; }

  /// Frames of past input on which the head's output depends: the blocks' fields in series.
  [[nodiscard]] int memory_frames() const noexcept AMP_RT { return memory_frames_; }
  [[nodiscard]] int latency_frames() const noexcept AMP_RT { return latency_frames_; }

  /// What a frame of it costs, in ns of this machine's CPU: measure_cost, 0 before. Thread: any.
  [[nodiscard]] float cost_ns() const noexcept AMP_RT { return cost_ns_; }
  void measure_cost();

  /// Frames of the last input to warm a chain with before it comes: all that it remembers but what
  /// is heard between its entrance and when nothing else is heard, kOverlapSeconds, or an eighth.
  [[nodiscard]] int64_t warm_frames() const noexcept AMP_RT { return warm_frames_; }
  static constexpr float kOverlapSeconds = 0.006F;

  /// The last position up to `position` that lies whole grids (Block::grid_frames) from `from`:
  /// input may be left out between the two, and a chain may be reset where `from` is 0.
  [[nodiscard]] int64_t grid_before(int64_t position, int64_t from) const noexcept AMP_RT {
    return position - (position - from) % grid_frames_;
  }

  /// Take a value, clamped to its range, and return what was taken. A snapshot or a morph moves
  /// others too: take_changes tells of them. index < param_count().
  float set(int index, float value, bool jump) noexcept AMP_RT;
  [[nodiscard]] float value(int index) const noexcept AMP_RT {
    return values_[static_cast<size_t>(index)];
  }
  [[nodiscard]] int param_count() const noexcept AMP_RT { return static_cast<int>(params_.size()); }
  [[nodiscard]] int snapshot_count() const noexcept AMP_RT {
    return static_cast<int>(scenes_.size()) - 1;
  }
  /// The param "snapshot", -1 where the rig has none.
  [[nodiscard]] int snapshot_param() const noexcept AMP_RT { return snapshot_param_; }
  void set_tempo(float bpm, bool jump) noexcept AMP_RT;

  /// Call `tell(index, value)` for every param that was set since the last call.
  template <class Tell>
  void take_changes(Tell&& tell) noexcept AMP_RT {
    if (!any_changed_) return;
    any_changed_ = false;
    for (size_t i = 0; i < changed_.size(); ++i)
      if (changed_[i] != 0) {
        changed_[i] = 0;
        tell(static_cast<int>(i), values_[i]);
      }
  }

  [[nodiscard]] std::span<const Binding> bindings() const noexcept AMP_RT { return bindings_; }
  [[nodiscard]] std::span<BindingState> binding_states() noexcept AMP_RT { return binding_states_; }
  [[nodiscard]] std::span<const MidiEvent> on_load() const noexcept AMP_RT { return on_load_; }

  /// All values back to the rig's own.
  void recall(bool jump) noexcept AMP_RT;

  /// Silence behind, the rig's own values, no fault. Where the next frame's position is one of
  /// grid_before, the chain will sound as if it had always played. Thread: control.
  void reset() noexcept AMP_RT;

  /// reset, but for a tail that still rings, before warm() is called for `frames` frames: a block
  /// begins only where what it hears from then on still matters, since a gate remembers longer than
  /// the amp behind it and costs nothing. kAll: what is warmed with goes back to the engine's first
  /// frame, and all blocks hear all of it. Thread: the head's owner.
  void rewind(int64_t frames) noexcept AMP_RT;
  static constexpr int64_t kAll = std::numeric_limits<int64_t>::max() / 2;

  /// Let the head hear `frames` frames, 1..kMaxFrames; nobody listens. Thread: the head's owner.
  void warm(const float* in, int frames) noexcept AMP_RT;

  /// The chain is heard from now on: its tail takes the values that were set while it was parked.
  /// Thread: audio.
  void enter() noexcept AMP_RT;

  /// in: `frames` finite samples, 1..kMaxFrames; out must not overlap it. share: what of the head
  /// and of the dry signal is heard, a factor a frame, or null for all. If a block gives a sample
  /// that is not sound, the output is the dry signal from this call on, until reset.
  void process(const float* in, const ChainOutput& out, int frames,
               const float* share = nullptr) noexcept AMP_RT;

  /// The chain is not heard any more; true where its tail is still to be rung. Thread: audio.
  bool leave() noexcept AMP_RT;
  /// The tail alone, with nothing going in. Thread: audio.
  void ring(float* left, float* right, int frames) noexcept AMP_RT;
  /// Fade the tail out; enter fades it in again.
  void hush() noexcept AMP_RT { tail_gain_.to(0); }
  /// Nothing is left of the tail: finish_ringing may be called.
  [[nodiscard]] bool is_quiet() const noexcept AMP_RT;
  void finish_ringing() noexcept AMP_RT { ringing_.store(false, std::memory_order_release); }
  /// The audio thread rings the tail: the chain may be warmed but not destroyed. Thread: any.
  [[nodiscard]] bool ringing() const noexcept AMP_RT {
    return ringing_.load(std::memory_order_acquire);
  }

  /// Call `tell(block, ns)` for what each block took since the last call, or since enter. Thread:
  /// audio, while it is heard.
  template <class Tell>
  void take_spent(Tell&& tell) noexcept AMP_RT {
    for (size_t s = 0; s < spent_ns_.size(); ++s) tell(s, std::exchange(spent_ns_[s], 0));
  }

  /// True once a block has given a sample that is not sound.
  [[nodiscard]] bool faulted() const noexcept AMP_RT { return faulted_; }
  /// Which block that was, by block_names(); -1 for none, or for their sum.
  [[nodiscard]] int broken_block() const noexcept AMP_RT { return broken_; }

  /// Spare the machine a block, in the time of a bypass, or let it be heard again, as it is or in
  /// its smallest size, once it has heard what it remembers; rewind and enter wake all. block <
  /// block_count(). Thread: audio.
  void rest(size_t block) noexcept AMP_RT;
  void wake(size_t block, bool smaller) noexcept AMP_RT;
  [[nodiscard]] Plays plays(size_t block) const noexcept AMP_RT { return stages_[block]->plays(); }
  [[nodiscard]] bool can_shrink(size_t block) const noexcept AMP_RT {
    return stages_[block]->block().can_shrink();
  }
  [[nodiscard]] size_t block_count() const noexcept AMP_RT { return stages_.size(); }

 private:
  enum Own { kInputGain, kMix, kOutputGain };

  /// What turns when a param is set.
  struct Target {
    enum class Kind : uint8_t { kChain, kBlock, kStage, kSnapshot, kMorph };
    Kind kind = Kind::kChain;
    bool in_tail = true;  ///< the audio thread's: what is set while the chain is parked must wait
    Block* block = nullptr;
    Stage* stage = nullptr;
    int param = 0;
  };

  struct Knob {
    ParamInfo info;
    Target target;
  };

  void add_own_params(const RigSpec& rig);
  void add_blocks(const RigSpec& rig, int sample_rate_hz, dsp::Isa isa);
  void add_stage(std::unique_ptr<Block> block, int sample_rate_hz);
  void add_params(const std::string& place, const std::vector<Knob>& knobs,
                  const std::map<std::string, float>& values);
  void add_scenes(const RigSpec& rig);
  void add_bindings(const RigSpec& rig);
  void divide(size_t behind_last_amp);
  void measure_memory(int sample_rate_hz);
  void learn_rest();

  /// Neither "snapshot" nor "morph", which have no value of their own to turn.
  [[nodiscard]] bool is_plain(size_t index) const noexcept AMP_RT {
    const Target::Kind kind = targets_[index].kind;
    return kind != Target::Kind::kSnapshot && kind != Target::Kind::kMorph;
  }
  void apply(size_t index, bool jump) noexcept AMP_RT;
  void move_to(const std::vector<float>& low, const std::vector<float>& high, float share,
               bool jump) noexcept AMP_RT;
  void run_head(const float* in, float* left, float* right, int frames) noexcept AMP_RT;
  void take_dc_off(float* left, float* right, int frames) noexcept AMP_RT;
  [[nodiscard]] bool any_amp_open() const noexcept AMP_RT;
  /// broken: the first block that gives no number, where it was -1.
  void run_stages(Signal& signal, size_t from, size_t to, int& broken) noexcept AMP_RT;
  void run_tail(Signal& signal, int& broken) noexcept AMP_RT;
  void delay_dry(const float* in, float* dry, int frames) noexcept AMP_RT;
  void blend(const float* dry, float* left, float* right, int frames) noexcept AMP_RT;
  void fault() noexcept AMP_RT;
  void play_dry(const float* dry, float* left, float* right, int frames) noexcept AMP_RT;

  std::vector<ChainParam> params_;
  std::vector<Target> targets_;             ///< of params_
  std::vector<std::vector<float>> scenes_;  ///< the rig's own values, then its snapshots
  std::vector<float> values_;               ///< as asked for now
  std::vector<uint8_t> changed_;
  bool any_changed_ = false;
  std::array<size_t, 2> morph_{};
  int snapshot_param_ = -1;
  std::vector<std::unique_ptr<Stage>> stages_;
  std::vector<std::string> block_names_;  ///< of stages_
  std::vector<int64_t> spent_ns_;         ///< likewise
  Clock clock_;
  size_t tail_at_ = 0;           ///< the first stage of the tail
  std::vector<int64_t> starts_;  ///< frames after rewind at which each of the head begins
  int64_t heard_ = kAll;         ///< frames since rewind
  std::vector<nn::ModelInfo> models_;
  std::vector<Binding> bindings_;
  std::vector<BindingState> binding_states_;
  std::vector<MidiEvent> on_load_;
  std::vector<float> delay_;
  size_t delay_at_ = 0;
  int memory_frames_ = 1;
  int64_t warm_frames_ = 0;
  int latency_frames_ = 0;
  int grid_frames_ = 1;
  int head_width_ = 1;
  float input_trim_ = 1;
  float output_trim_ = 1;
  float cost_ns_ = 0;
  dsp::Ramp input_gain_;
  dsp::Ramp mix_;
  dsp::Ramp output_left_;
  dsp::Ramp output_right_;
  dsp::Ramp to_dry_;
  dsp::Ramp tail_gain_;
  std::vector<Stage*> amps_;
  bool block_dc_ = false;
  dsp::Ramp dc_share_;  ///< 0 where all amps are bypassed: the guitar keeps what it brings
  std::array<DcBlocker, 2> dc_;
  int64_t dc_start_ = 0;  ///< frames after rewind from which on the models give what they should
  bool dc_learned_ = true;
  std::array<float, 2> rest_{};  ///< what the head gives for silence
  std::array<float, 2> last_{};
  bool faulted_ = false;
  int broken_ = -1;
  std::atomic<bool> ringing_{false};
  int64_t pause_frames_ = 0;  ///< so long may a tail be silent that is not over
  int64_t quiet_frames_ = 0;
};

}  // namespace amp
