#pragma once

#include <array>

#include "delay_ring.hpp"
#include "ramp.hpp"

namespace amp::dsp {

/// Two channels late by the same time. A new time is faded to, from one place of the ring to the
/// other: no click and no change of pitch. A time that comes during a fade waits for its end, the
/// last one wins. The fade is a straight line, so that it never makes a feedback loop louder.
/// Thread: the owner's; AMP_RT but for the constructor.
class FadingDelay {
 public:
  static constexpr float kFadeSeconds = 0.050F;

  FadingDelay(int longest_frames, int sample_rate_hz)
      : ring_{DelayRing(longest_frames), DelayRing(longest_frames)},
        fade_(static_cast<int>(kFadeSeconds * static_cast<float>(sample_rate_hz)), 1) {}

  /// delay_frames: 0 to the longest.
  void to(int delay_frames, bool jump) noexcept AMP_RT {
    wanted_ = delay_frames;
    if (!jump) return;
    from_ = to_ = wanted_;
    fade_.jump(1);
  }

  /// Silence behind, and the wanted time at once.
  void clear() noexcept AMP_RT {
    for (DelayRing& ring : ring_) ring.clear();
    to(wanted_, true);
  }

  /// Of `frames` frames, how many can be read before they are written, or before the fade ends.
  [[nodiscard]] int stretch(int frames, bool written) noexcept AMP_RT {
    if (!fade_.moving() && wanted_ != to_) {
      from_ = to_;
      to_ = wanted_;
      fade_.jump(0);
      fade_.to(1);
    }
    const int ready = written ? frames : std::min({frames, to_, fade_.moving() ? from_ : to_});
    return fade_.moving() ? std::min(ready, fade_.left_frames()) : ready;
  }

  /// frames: what `stretch` allowed. written: the frames are in the ring already.
  void read(std::array<float*, 2> out, int frames, bool written) noexcept AMP_RT {
    const int newest = written ? frames : 0;
    for (size_t c = 0; c < 2; ++c) ring_[c].read(to_ + newest, out[c], frames);
    if (!fade_.moving()) return;
    std::array<std::array<float, kMaxFrames>, 2> old;
    for (size_t c = 0; c < 2; ++c) ring_[c].read(from_ + newest, old[c].data(), frames);
    for (int i = 0; i < frames; ++i) {
      const float weight = fade_.next();
      for (size_t c = 0; c < 2; ++c) {
        const float before = old[c][static_cast<size_t>(i)];
        out[c][i] = before + weight * (out[c][i] - before);
      }
    }
  }

  void write(std::array<const float*, 2> in, int frames) noexcept AMP_RT {
    for (size_t c = 0; c < 2; ++c) ring_[c].write(in[c], frames);
  }

  /// The longest time that plays or is on its way.
  [[nodiscard]] int longest_frames() const noexcept AMP_RT {
    return std::max({wanted_, to_, fade_.moving() ? from_ : to_});
  }
  [[nodiscard]] size_t memory_bytes() const noexcept {
    return ring_[0].memory_bytes() + ring_[1].memory_bytes();
  }

 private:
  std::array<DelayRing, 2> ring_;
  int from_ = 1;
  int to_ = 1;
  int wanted_ = 1;
  Ramp fade_;  ///< 0 where it left, 1 there
};

}  // namespace amp::dsp
