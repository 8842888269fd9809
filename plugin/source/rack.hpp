#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "blocks/safety.hpp"
#include "dsp/ramp.hpp"
#include "engine.hpp"
#include "setting.hpp"

namespace amp::plugin {

/// A value that one thread leaves for another, the newest only. Neither waits: `take` finds nothing
/// while it is being written, and finds it the next time.
template <typename T>
class Latest {
 public:
  /// Thread: control.
  void leave(const T& value) {
    while (busy_.test_and_set(std::memory_order_acquire)) {
    }
    value_ = value;
    fresh_ = true;
    busy_.clear(std::memory_order_release);
  }
  /// Thread: audio.
  bool take(T& value) noexcept AMP_RT {
    if (busy_.test_and_set(std::memory_order_acquire)) return false;
    const bool fresh = fresh_;
    if (fresh) value = value_;
    fresh_ = false;
    busy_.clear(std::memory_order_release);
    return fresh;
  }

 private:
  std::atomic_flag busy_ = ATOMIC_FLAG_INIT;
  bool fresh_ = false;
  T value_{};
};

/// The trims of a setting, by Level.
struct Trims {
  std::array<Trim, kLevelCount> by_level{};
  bool measured = false;  ///< else that of kNormalized is not known, and none
};

/// A setting that was built for a rack: a chain for each side.
struct Built {
  std::array<std::unique_ptr<Chain>, 2> chains;
  ParamMap map;
  Trims trims{};
  Values values{};  ///< with which it was built
  int latency_frames = 0;
  float cost_ns = 0;  ///< of a frame, all sides
};

/// Levels since they were last looked at, by channel; any thread may look.
struct Meters {
  std::array<std::atomic<float>, 2> in{};
  std::array<std::atomic<float>, 2> out{};
  std::atomic<bool> in_clipped{false};   ///< the guitar reached full scale
  std::atomic<bool> out_clipped{false};  ///< the ceiling held the sound down
};

/// The engines of one instance at one rate: one for a mono guitar, one a side for stereo. A change
/// of settings is the engines' own: built aside, warmed, faded. The audio thread is their control:
/// it selects, and turns params, at the head of each block.
///
/// Threads: control is one at a time (a lock of the processor's); audio is the host's; background
/// is the workshop's, which stands in for the engines' own warm threads.
class Rack {
 public:
  /// sides: 1, or 2 for stereo in and out. ask: called on the background's thread when kNormalized
  /// is wanted of a setting that was not measured; offer_trims answers.
  Rack(int sample_rate_hz, int sides, std::function<void()> ask);

  [[nodiscard]] int sample_rate_hz() const { return rate_hz_; }
  [[nodiscard]] int sides() const { return static_cast<int>(engines_.size()); }
  /// With which it began. Thread: control.
  [[nodiscard]] const Values& values() const { return begun_with_; }

  /// Build a setting; nothing that plays changes. Raises nn::LoadError. Thread: any.
  [[nodiscard]] Built build(const Setting& setting, const Values& values, const Trims& trims) const;

  /// Play silence until nothing but this is heard, as the daemon does before it renders. Thread:
  /// control, before the first block.
  void begin(Built built);

  /// Have it faded in from the next block on. Thread: control.
  void offer(Built built);
  /// Trims of the setting that was offered last, once they are known. Thread: control.
  void offer_trims(const Trims& trims) {
    trims_.leave({.slot = offered_.load(std::memory_order_relaxed), .trims = trims});
  }

  /// Params and the sound that they belong to change together: from the first call to the second
  /// the params of the instance are not heeded. Thread: control.
  void begin_change() { ++changes_; }
  void end_change() { ++changes_; }

  /// Ask nobody any more. Thread: control.
  void close();

  /// Warm what is wanted, free what is not. True while a change is on its way. Thread: background,
  /// and audio where it need not be on time.
  bool service();

  /// A block of any length, turned as the params are now; `ins` and `outs` 1 or 2 channels, which
  /// may be the same arrays. on_time: false where the host waits for the sound, as in an offline
  /// render: then it is the same every time. Thread: audio.
  void process(const float* const* in, int ins, float* const* out, int outs, int frames,
               const Params& params, bool on_time) noexcept;

  [[nodiscard]] Meters& meters() { return meters_; }
  /// Whether anybody would hear it end now: the guitar was played, and a block ago. Thread: any.
  [[nodiscard]] bool is_heard() const;
  /// Whether a block has been played since begin. Thread: any.
  [[nodiscard]] bool started() const { return last_block_ns_.load(std::memory_order_relaxed) > 0; }
  /// Changes that were heard, since the start. Thread: any.
  [[nodiscard]] int switches() const { return switches_.load(std::memory_order_relaxed); }
  /// What was offered is heard, and nothing else. Thread: any.
  [[nodiscard]] bool settled() const {
    return offered_.load(std::memory_order_acquire) == heard_.load(std::memory_order_acquire);
  }
  /// A block gave sound that was not finite; the guitar plays dry. Thread: any.
  [[nodiscard]] bool faulted() const { return faulted_.load(std::memory_order_relaxed); }

 private:
  static constexpr int kChunkFrames = 1024;
  static constexpr int kLongestDelay = 1 << 15;

  /// What the audio thread takes of a Built; the chains are parked.
  struct Offer {
    int slot = -1;
    ParamMap map;
    Trims trims{};
    Values values{};
    int latency_frames = 0;
  };
  struct LateTrims {
    int slot = -1;
    Trims trims{};
  };
  struct Side {
    std::unique_ptr<Engine> engine;
    int heard = -1;           ///< slot
    std::vector<float> past;  ///< input, a ring, for the dry side of bypass
    alignas(64) std::array<float, kChunkFrames> in{};
    alignas(64) std::array<float, kChunkFrames> left{};
    alignas(64) std::array<float, kChunkFrames> right{};
  };

  int park(Built& built);
  void take(const Offer& offer) noexcept AMP_RT;
  [[nodiscard]] float wanted(int param, const Values& values) const noexcept AMP_RT;
  void turn(const Values& values) noexcept AMP_RT;
  void run(const std::array<const float*, 2>& in, int ins, int frames) noexcept AMP_RT;
  void give(const std::array<float*, 2>& out, int outs, int frames) noexcept AMP_RT;
  [[nodiscard]] float dry(const Side& side, int frame, float newer) const noexcept AMP_RT;
  void note_facts() noexcept AMP_RT;

  int rate_hz_;
  std::vector<Side> engines_;
  int next_slot_ = 0;
  Values begun_with_{};
  Latest<Offer> offers_;
  Latest<LateTrims> trims_;
  std::atomic<int> changes_{0};  ///< begun and ended: odd while there is one
  std::function<void()> ask_;    ///< service_mutex_
  std::atomic<bool> asks_{false};
  std::mutex service_mutex_;  ///< background, and audio that need not be on time

  // The audio thread's.
  Offer playing_;
  LateTrims late_trims_;
  bool has_late_trims_ = false;
  bool has_asked_ = false;
  Values sent_{};  ///< as the chain takes them
  dsp::Ramp bypass_;
  dsp::Ramp newer_delay_;  ///< share of delay_ over old_delay_
  int delay_ = 0;
  int old_delay_ = 0;
  size_t past_at_ = 0;

  Meters meters_;
  std::atomic<int64_t> last_block_ns_{0};  ///< of the steady clock
  std::atomic<bool> has_sounded_{false};   ///< a sample that came in was not 0
  std::atomic<bool> faulted_{false};
  std::atomic<int> switches_{0};
  std::atomic<int> offered_{-1};  ///< slots
  std::atomic<int> heard_{-1};
};

}  // namespace amp::plugin
