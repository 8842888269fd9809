#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "block.hpp"

namespace amp {

/// Keeps a rig in time that the machine cannot carry: tells which block of it is to rest, and when
/// it may be tried again. It is told how long things took and looks at no clock. Thread: audio.
///
/// A late callback between light ones is the machine's; no rest would mend it. Where three within a
/// second are late, and the last three in a row took half of their period or more, the block that
/// takes most of them rests, at once; one that has a smaller size plays that as soon as it has
/// faded out. After kHoldSeconds it is tried again; if that fails too it stays as it is until the
/// rig is selected again, so that nothing goes in and out for ever.
class Guard {
 public:
  static constexpr size_t kMostBlocks = 16;  ///< of a chain; those behind them never rest
  static constexpr int kHoldSeconds = 10;

  /// What is to be done with the block of this number, -1: nothing.
  struct Advice {
    int block = -1;
    Plays plays = Plays::kWhole;
  };

  explicit Guard(int sample_rate_hz) noexcept : sample_rate_hz_(sample_rate_hz) {}

  /// Another chain is heard, with all its blocks.
  void forget() noexcept AMP_RT;

  /// The player asks for the rig that is heard: what rests may be tried at once.
  void pardon() noexcept AMP_RT;

  /// What a block took of the callback that note_callback is then told of. block: any.
  void note_block(size_t block, int64_t spent_ns) noexcept AMP_RT {
    if (block < kMostBlocks) spent_ns_[at_][block] = spent_ns;
  }

  /// The block that was just told to rest has a smaller size.
  void offer_smaller() noexcept AMP_RT { spared_[spared_count_ - 1].smaller = Smaller::kNext; }

  /// A callback is over, at this frame of the engine.
  Advice note_callback(int64_t spent_ns, int64_t period_ns, int64_t frame) noexcept AMP_RT;

 private:
  static constexpr size_t kLook = 3;  ///< late callbacks, and callbacks that must be heavy

  /// Of a block that does not play as it is.
  struct Spared {
    enum class Smaller : uint8_t { kNone, kNext, kTried };
    int block = -1;
    bool rests = true;
    Smaller smaller = Smaller::kNone;
  };
  using Smaller = Spared::Smaller;

  [[nodiscard]] int64_t seconds(float count) const noexcept AMP_RT {
    return static_cast<int64_t>(count * static_cast<float>(sample_rate_hz_));
  }
  [[nodiscard]] int dearest(int64_t least_ns) const noexcept AMP_RT;
  [[nodiscard]] bool rests(size_t block) const noexcept AMP_RT;
  Advice rest(int64_t period_ns, int64_t frame) noexcept AMP_RT;
  Advice shrink(int64_t frame) noexcept AMP_RT;
  Advice give_back(int64_t frame) noexcept AMP_RT;

  int sample_rate_hz_;
  std::array<std::array<int64_t, kMostBlocks>, kLook> spent_ns_{};  ///< of the last callbacks
  size_t at_ = 0;
  size_t heavy_ = 0;                          ///< callbacks in a row
  std::array<int64_t, kLook> late_{};         ///< frames of the last late ones, newest first
  size_t late_count_ = 0;                     ///< of them that count
  std::array<Spared, kMostBlocks> spared_{};  ///< newest last
  size_t spared_count_ = 0;
  int64_t settled_at_ = 0;  ///< what was changed shows from this frame on
  int64_t hold_until_ = 0;
  int64_t tried_at_ = -1;  ///< when a block was tried again, -1 never
  bool given_up_ = false;
};

}  // namespace amp
