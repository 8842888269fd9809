#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <span>

#include "blocks/safety.hpp"
#include "chain.hpp"
#include "mailbox.hpp"

namespace amp {

/// MIDI programs 0..127 address the slots of the current bank; a few more hold rigs outside it.
inline constexpr int kProgramCount = 128;
inline constexpr int kSlotCount = 132;

/// Values that belong to the whole rack and outlive a switch of rigs.
enum Global { kBypass, kMute, kGlobalCount };
inline constexpr std::array<ParamInfo, kGlobalCount> kGlobals{
    ParamInfo{"bypass", "", 0, 1, 0, Taper::kToggle, "1: the dry guitar, whatever the rig"},
    ParamInfo{"mute", "", 0, 1, 0, Taper::kToggle, "1: silence"},
};

/// One short MIDI message at its frame of the block.
struct MidiEvent {
  int frame = 0;
  int size = 0;
  std::array<uint8_t, 3> data{};
};

/// What a host hands over in one callback.
struct Callback {
  const float* in = nullptr;  ///< `frames` samples; what is not finite counts as silence
  float* left = nullptr;      ///< must not overlap `in`
  float* right = nullptr;
  int frames = 0;                   ///< any number >= 1
  std::span<const MidiEvent> midi;  ///< in frame order
  int echoed_program = -1;          ///< out: to be sent as a program change, or -1
};

/// The last seconds of input, written by the audio thread and read by the warm thread while it is
/// written: samples are relaxed atomics, and the reader checks afterwards that it was not
/// overtaken.
class History {
 public:
  static constexpr int64_t kFrames = int64_t{1} << 18;

  History() : samples_(std::make_unique<std::atomic<float>[]>(kFrames)) {}

  /// Thread: audio.
  void write(const float* in, int frames) noexcept AMP_RT {
    const int64_t at = written_.load(std::memory_order_relaxed);
    for (int i = 0; i < frames; ++i) slot(at + i).store(in[i], std::memory_order_relaxed);
    written_.store(at + frames, std::memory_order_release);
  }
  /// Frames from `position` on, which must have been written. Thread: any.
  void read(int64_t position, float* out, int frames) const noexcept AMP_RT {
    for (int i = 0; i < frames; ++i) out[i] = slot(position + i).load(std::memory_order_relaxed);
  }
  /// Frames written since the start: the engine's clock. Thread: any.
  [[nodiscard]] int64_t written() const noexcept AMP_RT {
    return written_.load(std::memory_order_acquire);
  }

 private:
  [[nodiscard]] std::atomic<float>& slot(int64_t position) const noexcept AMP_RT {
    return samples_[static_cast<size_t>(position & (kFrames - 1))];
  }
  std::unique_ptr<std::atomic<float>[]> samples_;
  std::atomic<int64_t> written_{0};
};

/// How long callbacks took, as shares of their period, counted in steps of 1/400.
struct LoadCounts {
  static constexpr int kSteps = 600;
  std::array<std::atomic<uint32_t>, kSteps> steps{};
  std::atomic<uint32_t> highest_permille{0};
};

/// Every queue and number that the audio thread shares with others, and nothing else.
struct Lines {
  Mailbox<Command, 1024> commands;   ///< control -> audio
  Mailbox<Fact, 4096> facts;         ///< audio -> control
  Mailbox<Request, 64> requests;     ///< audio -> warm
  Mailbox<Retired, 64> retired;      ///< audio -> warm; each chain in it came as a delivery
  Mailbox<Delivery, 16> deliveries;  ///< warm -> audio
  Mailbox<LateBlock, 64> late;       ///< audio -> warm
  std::array<std::atomic<int16_t>, kProgramCount> programs;  ///< MIDI program -> slot, -1 none
  History history;
  LoadCounts load;

  Lines() {
    for (auto& slot : programs) slot = -1;
  }
};

/// All that the audio thread may touch. Everything else reaches it through Lines.
/// Built by control before the host starts; then every call is the audio thread's.
class Audio {
 public:
  Audio(Lines& lines, int sample_rate_hz, bool with_safety);

  /// Run one callback: commands, deliveries, then the frames, cut at MIDI events and into blocks
  /// of kMaxFrames. Thread: audio.
  void process(Callback& callback) noexcept AMP_RT;

  /// The chains it holds, for their owner to free when no host runs. Thread: control.
  [[nodiscard]] std::array<Chain*, 2> held() const { return {current_.chain, next_.chain}; }

 private:
  struct Playing {
    Chain* chain = nullptr;
    int slot = -1;
  };
  enum class Switch : uint8_t { kNone, kCatchingUp, kFading };

  void take_commands(Callback& callback) noexcept AMP_RT;
  void take_command(const Command& command, Callback& callback) noexcept AMP_RT;
  void set_param(const Command& command) noexcept AMP_RT;
  void take_deliveries() noexcept AMP_RT;
  void take_midi(const MidiEvent& event) noexcept AMP_RT;
  void select(int slot, bool fresh, uint32_t id) noexcept AMP_RT;
  void request() noexcept AMP_RT;
  void catch_up() noexcept AMP_RT;
  void start_fade() noexcept AMP_RT;
  void finish_fade() noexcept AMP_RT;
  void run(const float* in, float* left, float* right, int frames) noexcept AMP_RT;
  void run_chains(const float* in, float* left, float* right, int frames) noexcept AMP_RT;
  void apply_globals(float* left, float* right, int frames) noexcept AMP_RT;
  void note_fault(const Playing& playing) noexcept AMP_RT;
  void retire(Playing& playing) noexcept AMP_RT;
  void measure(int64_t begin_ns, int frames) noexcept AMP_RT;
  void report(Fact::Kind kind, int slot, uint32_t id, int index = 0,
              float value = 0) noexcept AMP_RT;
  [[nodiscard]] int64_t frame() const noexcept AMP_RT { return lines_.history.written(); }

  Lines& lines_;
  int sample_rate_hz_;
  bool with_safety_;
  int fade_frames_;
  Playing current_;
  Playing next_;
  Switch switch_ = Switch::kNone;
  int wanted_slot_ = -1;  ///< the last selection wins
  uint32_t wanted_id_ = 0;
  bool pending_ = false;    ///< the wanted chain is not here yet
  bool requested_ = false;  ///< and the warm thread was asked for it
  uint32_t serial_ = 0;
  int64_t next_position_ = 0;  ///< what next_ has heard
  int64_t catch_up_budget_ = 0;
  int fade_at_ = 0;
  std::array<Command, 64> deferred_{};  ///< params asked of a chain that is being warmed
  int deferred_count_ = 0;
  std::array<bool, 2> fault_reported_{};
  Ceiling ceiling_;
  std::array<dsp::Ramp, kGlobalCount> globals_;
  std::vector<float> fade_in_;  ///< share of the new chain, per frame of the fade
  alignas(64) std::array<float, kMaxFrames> in_{};
  alignas(64) std::array<float, kMaxFrames> dry_{};
  alignas(64) std::array<std::array<float, kMaxFrames>, 3> next_out_{};
};

}  // namespace amp
