#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "midi.hpp"
#include "rt.hpp"

namespace amp {

class Chain;

/// Wait-free queue of fixed size between one producer and one consumer thread.
/// push and pop never block; push returns false when full, pop when empty.
/// Thread: push the producer, pop the consumer, either may be the audio thread.
template <typename T, size_t kSize>
class Mailbox {
  static_assert((kSize & (kSize - 1)) == 0, "size must be a power of two");

 public:
  bool push(const T& item) noexcept AMP_RT {
    const size_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) == kSize) return false;
    items_[tail & (kSize - 1)] = item;
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  bool pop(T& item) noexcept AMP_RT {
    const size_t head = head_.load(std::memory_order_relaxed);
    if (head == tail_.load(std::memory_order_acquire)) return false;
    item = items_[head & (kSize - 1)];
    head_.store(head + 1, std::memory_order_release);
    return true;
  }

  [[nodiscard]] bool empty() const noexcept AMP_RT {
    return head_.load(std::memory_order_acquire) == tail_.load(std::memory_order_acquire);
  }

 private:
  std::array<T, kSize> items_{};
  alignas(64) std::atomic<size_t> head_{0};
  alignas(64) std::atomic<size_t> tail_{0};
};

/// Control -> audio: what is asked.
struct Command {
  enum class Kind : uint8_t {
    kSelect,
    kParam,
    kGlobal,
    kPanic,
    kTap,
    kClearBindings,  ///< of the rack; those of a chain are its own
    kBind,
    kRefresh,  ///< tell the controller everything again
    kAsk,      ///< report how things stand: facts were lost
  };
  Kind kind = Kind::kSelect;
  bool fresh = false;  ///< kSelect: take the parked chain even where the slot plays already
  int slot = -1;
  int index = 0;    ///< kParam: of the chain's params; kGlobal: a Global; kSelect: instead of what
  float value = 0;  ///< in the param's unit
  uint32_t id = 0;  ///< returned in the facts it causes
  Binding binding{};
};

/// Audio -> control: what happened, at which engine frame.
struct Fact {
  enum class Kind : uint8_t {
    kSelected,
    kAudible,
    kSwitched,
    kSuperseded,
    kChanged,
    kRefused,
    kFault,  ///< by the block `index`, -1 their sum
    kLate,
    kNow,         ///< how things stand: wanted in `slot`, heard in `index`; values follow
    kProgram,     ///< a program of another bank was asked for: bank * 128 + program in `index`
    kAction,      ///< a MidiAction that is control's to do, in `index`
    kController,  ///< while learning: channel * 128 + controller in `index`, its value
    kRest,        ///< the block `index` rests: value 1; plays its smallest size: 0.5; or all: 0
  };
  Kind kind = Kind::kChanged;
  int slot = -1;
  int index = 0;
  float value = 0;
  int64_t frame = 0;
  uint32_t id = 0;
};

/// Audio -> warm: the chain of `slot` is wanted; only the newest serial counts. A chain that was
/// delivered comes back in it to be brought on from where it was.
struct Request {
  int slot = -1;
  uint32_t serial = 0;
  Chain* chain = nullptr;
  int64_t position = 0;
};

/// Warm -> audio: a chain that has heard the input up to `position`; null where the slot is empty.
struct Delivery {
  Chain* chain = nullptr;
  int slot = -1;
  uint32_t serial = 0;
  int64_t position = 0;
};

/// Audio -> warm: a chain that no longer plays, to be parked again or freed.
struct Retired {
  Chain* chain = nullptr;
  int slot = -1;
};

/// Audio -> warm: a callback that took longer than its period, on CLOCK_MONOTONIC.
struct LateBlock {
  int64_t begin_ns = 0;
  int64_t end_ns = 0;
  int64_t period_ns = 0;
  int64_t frame = 0;
};

}  // namespace amp
