#pragma once

#include <array>
#include <atomic>
#include <memory>

#include "gauges.hpp"
#include "mailbox.hpp"

namespace amp {

/// MIDI programs 0..127 address the slots of the current bank; a few more hold rigs outside it.
inline constexpr int kProgramCount = 128;
inline constexpr int kSlotCount = 132;

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

/// Every queue and number that the audio thread shares with others, and nothing else.
struct Lines {
  Mailbox<Command, 1024> commands;   ///< control -> audio
  Mailbox<Fact, 4096> facts;         ///< audio -> control
  Mailbox<Request, 64> requests;     ///< audio -> warm
  Mailbox<Retired, 64> retired;      ///< audio -> warm; each chain in it came as a delivery
  Mailbox<Delivery, 16> deliveries;  ///< warm -> audio
  Mailbox<LateBlock, 64> late;       ///< audio -> warm
  std::array<std::atomic<int16_t>, kProgramCount> programs;  ///< MIDI program -> slot, -1 none
  std::atomic<int> bank{0};             ///< the MIDI bank that `programs` belong to
  std::atomic<bool> learning{false};    ///< controllers are told to control and do nothing
  std::atomic<bool> feedback{true};     ///< values go back to the controllers
  std::atomic<bool> live{false};        ///< a host plays: what is late is heard
  std::atomic<bool> facts_lost{false};  ///< control has to ask how things stand
  /// When the callback after the last one should end, on CLOCK_MONOTONIC: what it asks for may be
  /// answered from then on.
  std::atomic<int64_t> next_end_ns{0};
  /// CPU time of the thread of the last callback: a host's word on its threads is not enough, as
  /// jack2 names three.
  std::atomic<clockid_t> audio_clock{0};
  History history;
  Gauges gauges;

  Lines() {
    for (auto& slot : programs) slot = -1;
  }

  /// Tell control what happened at this frame. Thread: audio.
  void report(Fact fact) noexcept AMP_RT {
    fact.frame = history.written();
    if (!facts.push(fact)) facts_lost.store(true, std::memory_order_relaxed);
  }
};

}  // namespace amp
