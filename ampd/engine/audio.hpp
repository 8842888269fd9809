#pragma once

#include <array>
#include <span>
#include <utility>

#include "blocks/safety.hpp"
#include "deck.hpp"
#include "foot.hpp"
#include "guard.hpp"
#include "lines.hpp"

namespace amp {

/// Values that belong to the whole rack and outlive a change of rigs.
enum Global { kBypass, kMute, kTuner, kTunerMutes, kTunerReference, kMaster, kTempo, kGlobalCount };
inline constexpr std::array<ParamInfo, kGlobalCount> kGlobals{
    ParamInfo{"bypass", "", 0, 1, 0, Taper::kToggle, "1: the dry guitar, whatever the rig"},
    ParamInfo{"mute", "", 0, 1, 0, Taper::kToggle, "1: silence"},
    ParamInfo{"tuner", "", 0, 1, 0, Taper::kToggle, "1: the tuner listens"},
    ParamInfo{"tuner_mutes", "", 0, 1, 1, Taper::kToggle, "1: silence while the tuner listens"},
    ParamInfo{"tuner_reference_hz", "Hz", 430, 450, 440, Taper::kLinear, "what A4 is"},
    ParamInfo{"master_db", "dB", -90, 12, 0, Taper::kLinear, "level of everything; -90 is silence"},
    ParamInfo{"tempo_bpm", "BPM", 30, 300, 120, Taper::kLinear, "what echoes in beats follow"},
};

/// The most MIDI messages that one callback sends.
inline constexpr int kMostMidiOut = 64;

/// What a host hands over in one callback.
struct Callback {
  const float* in = nullptr;  ///< `frames` samples; what is not finite counts as silence
  float* left = nullptr;      ///< must not overlap `in`
  float* right = nullptr;
  int frames = 0;                   ///< any number >= 1
  std::span<const MidiEvent> midi;  ///< whole channel messages in frame order
  int midi_out_count = 0;           ///< out: how many of midi_out are to be sent
  std::array<MidiEvent, kMostMidiOut> midi_out{};
};

struct EngineOptions {
  bool threaded = true;     ///< run a warm thread; else service() stands in for it
  bool with_safety = true;  ///< false: the output before the safety stage, for measurements
  dsp::Isa isa = dsp::Isa::kGeneric;
  /// The share of a core that two chains may take together in a crossfade; beyond it a change of
  /// rigs is a duck.
  float budget = 0.7F;
  Clock clock = monotonic_ns;  ///< what callbacks and blocks are measured by
};

/// All that the audio thread may touch. Everything else reaches it through Lines.
/// Built by control before the host starts; then every call is the audio thread's.
class Audio {
 public:
  Audio(Lines& lines, int sample_rate_hz, const EngineOptions& options);

  /// Run one callback: commands, deliveries, then the frames, cut at MIDI events and into blocks
  /// of kMaxFrames. Thread: audio.
  void process(Callback& callback) noexcept AMP_RT;

  /// The chains it holds, for their owner to free when no host runs. Thread: control.
  [[nodiscard]] std::array<Chain*, 2> held() const { return deck_.held(); }

 private:
  /// What was asked of a rig that is still being warmed.
  struct Deferred {
    bool is_midi = false;
    Command command;
    MidiEvent event;
  };

  void take_command(const Command& command) noexcept AMP_RT;
  void take_midi(const MidiEvent& event) noexcept AMP_RT;
  void take_controller(const MidiEvent& event) noexcept AMP_RT;
  void turn_controller(const MidiEvent& event, const Bound& chain, bool replayed) noexcept AMP_RT;
  void act(const Binding& binding, float value) noexcept AMP_RT;
  void do_action(MidiAction action, int index, float value) noexcept AMP_RT;
  void ask_for_set(MidiAction action, float direction) noexcept AMP_RT;
  void choose_snapshot_at(int value) noexcept AMP_RT;
  void step_snapshot(int direction) noexcept AMP_RT;
  void choose_snapshot(int number) noexcept AMP_RT;
  void program_change(int program) noexcept AMP_RT;
  void step(int direction) noexcept AMP_RT;
  void select(int slot, bool fresh, uint32_t id, bool echo) noexcept AMP_RT;
  void set_param(const Command& command) noexcept AMP_RT;
  void set_chain(Chain& chain, int index, float value, uint32_t id) noexcept AMP_RT;
  void set_global(int index, float value, uint32_t id) noexcept AMP_RT;
  void tap(uint32_t id) noexcept AMP_RT;
  void panic(uint32_t id) noexcept AMP_RT;
  void answer_ask() noexcept AMP_RT;
  void defer(const Deferred& what) noexcept AMP_RT;
  void forget_deferred() noexcept AMP_RT;
  void refuse(const Command& command) noexcept AMP_RT;
  void replay() noexcept AMP_RT;
  void look_at_deck() noexcept AMP_RT;
  [[nodiscard]] Bound bound() noexcept AMP_RT;
  [[nodiscard]] float now(const Binding& binding) noexcept AMP_RT;
  void note(Binding::Target target, int index) noexcept AMP_RT;
  void refresh() noexcept AMP_RT;
  void send(Callback& callback, int at, int frames) noexcept AMP_RT;
  void run(const float* in, float* left, float* right, int frames) noexcept AMP_RT;
  void apply_globals(float* left, float* right, int frames) noexcept AMP_RT;
  void measure(int64_t begin_ns, int frames) noexcept AMP_RT;
  void spare(Chain& chain, const Guard::Advice& advice) noexcept AMP_RT;
  void report_rest(int block, Plays plays) noexcept AMP_RT;
  [[nodiscard]] bool holds() const noexcept AMP_RT;
  [[nodiscard]] int64_t frame() const noexcept AMP_RT { return lines_.history.written(); }

  Lines& lines_;
  int sample_rate_hz_;
  bool with_safety_;
  Clock clock_;
  Deck deck_;
  Guard guard_;
  Foot foot_;
  int bank_msb_ = -1;  ///< latched until the next program change, -1 not sent
  int bank_lsb_ = -1;
  int64_t hold_until_ = 0;  ///< control is fetching another bank: what is asked is meant for it
  std::array<Deferred, 256> deferred_{};
  int deferred_count_ = 0;
  std::array<float, kGlobalCount> globals_{};
  std::array<int64_t, 4> taps_{};  ///< frames of the last taps, newest first
  int tap_count_ = 0;
  Ceiling ceiling_;
  dsp::Ramp bypass_;
  dsp::Ramp mute_;
  dsp::Ramp master_;
  alignas(64) std::array<float, kMaxFrames> in_{};
  alignas(64) std::array<float, kMaxFrames> dry_{};
};

}  // namespace amp
