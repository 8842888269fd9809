#pragma once

#include <array>
#include <memory>
#include <vector>

#include "audio.hpp"
#include "dsp/pitch.hpp"
#include "warm.hpp"

namespace amp {

/// How long something took in each callback since the last reading, as shares of its period.
struct Shares {
  uint32_t callbacks = 0;  ///< how many were measured
  float p50 = 0;
  float p99 = 0;
  float maximum = 0;
};

/// What the audio thread has to do.
struct Load {
  Shares whole;
  int slot = -1;               ///< the chain that is heard stands there
  std::vector<Shares> blocks;  ///< of each of its blocks, at most kMostBlocksTold
  uint32_t late_engine = 0;    ///< blocks late by the engine's own CPU time, since the start
  uint32_t late_machine = 0;   ///< blocks late while the thread did not run, since the start
};

/// How loud a signal was since the last reading, 1 is full scale.
struct Level {
  float peak = 0;
  float rms = 0;
};

/// The guitar as it came in, and both sides as they went out.
struct Levels {
  Level in, left, right;
};

/// An eventfd for its lifetime, or -1.
class EventFd {
 public:
  explicit EventFd(bool open);
  ~EventFd();
  EventFd(const EventFd&) = delete;
  EventFd& operator=(const EventFd&) = delete;
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_;
};

/// The rack: slots of built chains, of which one plays. Links neither Python nor JACK.
class Engine {
 public:
  Engine(int sample_rate_hz, const EngineOptions& options);
  ~Engine();  ///< no host may be running
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // ---- control half: one thread at a time ----------------------------------------------------

  /// Build a chain from a rig; nothing that plays changes. Raises nn::LoadError. Thread: any.
  [[nodiscard]] std::unique_ptr<Chain> build(const RigSpec& rig) const;
  /// Park a chain in a slot, 0..kSlotCount - 1.
  void park(int slot, std::unique_ptr<Chain> chain);
  void clear(int slot);
  /// Switch to a slot; `fresh` takes the parked chain even where the slot plays already. Refused
  /// where a slot is named in `instead_of` and another one is wanted by then: a foot was faster.
  /// Returns the command's id, 0 if the queue to the audio thread is full (no host runs).
  uint32_t select(int slot, bool fresh, int instead_of = -1) noexcept AMP_RT;
  /// Set a param of the chain that plays or is about to play in `slot`. Returns as select.
  uint32_t set_param(int slot, int index, float value) noexcept AMP_RT;
  uint32_t set_global(Global global, float value) noexcept AMP_RT;
  /// The tempo's tap, and: whatever hangs or howls, the dry guitar at once. Return as select.
  uint32_t tap() { return send({.kind = Command::Kind::kTap}); }
  uint32_t panic() { return send({.kind = Command::Kind::kPanic}); }
  /// MIDI program n of bank `bank` selects slots[n], -1 none; at most kProgramCount.
  void set_programs(const std::vector<int>& slots, int bank = 0);
  /// The controllers of the whole rack, in place of those before; those of a rig are built into its
  /// chain. False where the queue has no room for them now.
  bool set_bindings(const std::vector<Binding>& bindings);
  /// Tell the controllers all their values again. Returns as select.
  uint32_t refresh_controllers() { return send({.kind = Command::Kind::kRefresh}); }
  /// Whether values go back to the controllers.
  void set_feedback(bool on) { lines_.feedback = on; }
  /// While on, a controller that moves does nothing but become a fact.
  void learn(bool on) { lines_.learning = on; }
  /// All facts since the last call, late blocks among them. Where some were lost, how things stand
  /// is asked for and follows.
  std::vector<Fact> facts();
  /// One of them, without a look at those that were lost; false where none waits. For a host whose
  /// audio thread is its control: this, select, set_param and set_global neither allocate nor wait.
  bool pop_fact(Fact& fact) noexcept AMP_RT { return lines_.facts.pop(fact); }
  /// Readable when facts wait; -1 unless threaded.
  [[nodiscard]] int facts_fd() const { return facts_fd_.get(); }
  Load load();
  /// Thread: any, one at a time.
  Levels levels();

  /// Work of the warm thread where there is none. Thread: the only one.
  void service() { warm_.round(); }
  /// A host starts or ends: the real-time priority of the thread that will call process, not above
  /// 0 where it has none. Thread: supervisor.
  /// Between the two a rig that is too much for the machine is made lighter.
  void attach(int priority) {
    lines_.live = true;
    warm_.attach(priority);
  }
  void detach() {
    lines_.live = false;
    warm_.detach();
  }

  [[nodiscard]] int sample_rate_hz() const { return sample_rate_hz_; }
  [[nodiscard]] dsp::Isa isa() const { return options_.isa; }
  /// Frames played since the start. Thread: any.
  [[nodiscard]] int64_t frame() const { return lines_.history.written(); }

  /// The note that the last tenth of a second of the guitar is. Thread: any, one at a time.
  dsp::Pitch pitch(float reference_hz);

  // ---- audio half: the host's callback -------------------------------------------------------

  void process(Callback& callback) noexcept AMP_RT { audio_.process(callback); }

 private:
  /// What of some counts was read before.
  using Counted = std::array<uint32_t, ShareCounts::kSteps>;

  uint32_t send(Command command) noexcept AMP_RT;
  static Shares read(ShareCounts& counts, Counted& before);

  int sample_rate_hz_;
  EngineOptions options_;
  EventFd facts_fd_;
  uint32_t last_id_ = 0;
  std::vector<Counted> counted_;  ///< of the whole, then of each block
  int counted_slot_ = -1;
  std::array<double, Gauges::kSignalCount> energy_before_{};
  int64_t metered_ = 0;  ///< frames
  dsp::PitchFinder pitch_finder_;
  Lines lines_;
  Audio audio_;
  Warm warm_;
};

}  // namespace amp
