#pragma once

#include <memory>
#include <vector>

#include "block.hpp"
#include "dsp/ramp.hpp"

namespace amp {

/// A block in its place: what a foot switch does to it. It adds "bypass" and, where the block has
/// one, "mix" to the block's own params. Bypassed or at mix 0 it passes every bit. The dry side
/// waits as long as the block is late, so that a mix does not comb. Thread: as for its Chain.
class Stage {
 public:
  enum Own { kBypass, kMix };

  /// in_width: channels that come in, 1 or 2. Thread: control; it allocates.
  Stage(std::unique_ptr<Block> block, int sample_rate_hz, int in_width);

  [[nodiscard]] Block& block() noexcept AMP_RT { return *block_; }
  [[nodiscard]] const Block& block() const noexcept AMP_RT { return *block_; }
  /// "bypass", "mix": the params that Own numbers.
  [[nodiscard]] std::span<const ParamInfo> own_params() const noexcept { return own_params_; }
  /// Channels that go out, whatever is bypassed.
  [[nodiscard]] int width() const noexcept AMP_RT { return width_; }

  void set_own(int param, float value, bool jump) noexcept AMP_RT;
  /// Whether anything of the block is heard, or will be at the end of a ramp.
  [[nodiscard]] bool is_open() const noexcept AMP_RT {
    return !rests_ && open_.target() * mix_.target() != 0;
  }

  /// Fade the block out as bypass does, and from then on do not even play it: it costs nothing.
  void rest() noexcept AMP_RT;
  /// Play it again, in its smallest size or as it is set: unheard for as long as it remembers, then
  /// faded in; what rings begins anew. One that does not rest changes its size while it is heard.
  void wake(bool smaller) noexcept AMP_RT;
  [[nodiscard]] Plays plays() const noexcept AMP_RT {
    return rests_ ? Plays::kNothing : smaller_ ? Plays::kSmaller : Plays::kWhole;
  }
  void reset() noexcept AMP_RT;

  /// In place. A block that rings mixes with a dry side that stays whole up to the middle of its
  /// mix; bypassed it hears nothing and rings to its end.
  void process(Signal& signal) noexcept AMP_RT;

  [[nodiscard]] size_t memory_bytes() const noexcept;

 private:
  void resize(bool smaller, bool at_once) noexcept AMP_RT;
  void keep_dry(const Signal& signal) noexcept AMP_RT;
  [[nodiscard]] bool listens(int frames) noexcept AMP_RT;
  void pass(Signal& signal) noexcept AMP_RT;
  void widen(Signal& signal) const noexcept AMP_RT;
  void blend(Signal& signal) noexcept AMP_RT;
  void ring(Signal& signal) noexcept AMP_RT;

  std::unique_ptr<Block> block_;
  bool rings_;
  int width_;
  std::vector<ParamInfo> own_params_;
  dsp::Ramp open_;  ///< 1 - bypass
  dsp::Ramp mix_;
  dsp::Ramp present_;  ///< 0 while it rests
  bool rests_ = false;
  bool smaller_ = false;
  int64_t unheard_frames_ = 0;   ///< that it has still to hear before it fades in
  std::vector<float> delay_[2];  ///< the dry side's wait, a ring each
  size_t delay_at_ = 0;
  alignas(64) std::array<std::array<float, kMaxFrames>, 2> dry_{};
};

}  // namespace amp
