#pragma once

#include <array>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "chain.hpp"
#include "lines.hpp"

namespace amp {

/// Brings chains up to date. It owns every chain that is parked in a slot, warms the one that the
/// audio thread asks for with the last real input, frees those that came back and have no slot as
/// soon as their tails have died away,
/// tells late blocks that the engine caused from those that the machine caused, and wakes the
/// control thread when facts wait.
class Warm {
 public:
  /// threaded: run its own thread, real-time where the system allows; else round() is called.
  /// event_fd: written to when facts wait, or -1.
  Warm(Lines& lines, bool threaded, int event_fd);
  ~Warm();
  Warm(const Warm&) = delete;
  Warm& operator=(const Warm&) = delete;

  /// Park a chain, in place of what was parked there. Thread: control.
  void park(int slot, std::unique_ptr<Chain> chain);
  /// Empty a slot; a chain of it that plays is freed when it comes back. Thread: control.
  void clear(int slot);

  /// One round of work. Thread: warm, or the only thread of an offline host.
  void round();

  /// A host plays from now on: the CPU time of its thread tells who was late, and the own thread
  /// takes a real-time priority below `priority`, which the audio thread has or will have; not
  /// above 0 where it is an ordinary one. Thread: supervisor.
  void attach(int priority);
  void detach();

  /// Facts about late blocks, for control. Thread: control.
  bool pop_fact(Fact& fact) { return facts_.pop(fact); }
  /// Blocks that were late since the start, by the engine's own CPU time or while the machine kept
  /// the thread from running. Thread: any.
  [[nodiscard]] uint32_t late_by_engine() const { return late_by_engine_; }
  [[nodiscard]] uint32_t late_by_machine() const { return late_by_machine_; }

 private:
  struct Slot {
    std::unique_ptr<Chain> parked;
    const Chain* newest = nullptr;  ///< the one that is parked here when it comes back
  };
  struct Sample {
    int64_t wall_ns;
    int64_t cpu_ns;
  };

  void work();
  /// How long there is nothing to do.
  [[nodiscard]] std::chrono::nanoseconds pause() const;
  void take_back(const Retired& retired);
  void deliver(const Request& request);
  /// Feed the chain what was played until now; position: where it stands, -1 at its beginning.
  [[nodiscard]] int64_t bring_up(Chain& chain, int64_t position) const;
  /// Free the chain as soon as the audio thread does not ring its tail any more.
  void discard(std::unique_ptr<Chain> chain);
  void judge_late_blocks();

  Lines& lines_;
  int event_fd_;
  Mailbox<Fact, 256> facts_;
  std::mutex slots_mutex_;  ///< control and warm; never the audio thread
  std::array<Slot, kSlotCount> slots_;
  std::vector<std::unique_ptr<Chain>> discarded_;  ///< they ring; slots_mutex_ too

  std::mutex audio_mutex_;
  bool has_audio_ = false;
  clockid_t audio_clock_ = 0;  ///< of the samples
  std::deque<Sample> samples_;
  std::deque<LateBlock> late_;

  std::atomic<uint32_t> late_by_engine_{0};
  std::atomic<uint32_t> late_by_machine_{0};

  std::mutex stop_mutex_;
  std::condition_variable stop_signal_;
  bool stopping_ = false;
  std::atomic<bool> busy_{false};
  std::thread thread_;
};

}  // namespace amp
