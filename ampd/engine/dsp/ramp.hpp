#pragma once

#include "../rt.hpp"

namespace amp::dsp {

/// A value that walks in a straight line to its target, one step a frame, so that no knob clicks.
/// The value at a frame depends only on the frames since `to`, never on how they were cut into
/// blocks. Thread: the owner's; AMP_RT.
class Ramp {
 public:
  /// length_frames >= 1; the value starts at rest.
  explicit Ramp(int length_frames, float value = 0) noexcept
      : length_frames_(length_frames), target_(value) {}

  void jump(float value) noexcept AMP_RT {
    target_ = value;
    left_frames_ = 0;
  }

  void to(float value) noexcept AMP_RT {
    const float now = current();
    if (value == target_) return;
    target_ = value;
    step_ = (value - now) / static_cast<float>(length_frames_);
    left_frames_ = length_frames_;
  }

  /// Walk one frame and return the value there; the target is met exactly.
  float next() noexcept AMP_RT {
    if (left_frames_ > 0) --left_frames_;
    return current();
  }

  [[nodiscard]] float current() const noexcept AMP_RT {
    // Exact in double: contracted to one multiply-add or not, it rounds once and to the same bits.
    return static_cast<float>(target_ - static_cast<double>(step_) * left_frames_);
  }
  [[nodiscard]] float target() const noexcept AMP_RT { return target_; }
  [[nodiscard]] bool moving() const noexcept AMP_RT { return left_frames_ > 0; }
  /// Frames until it rests.
  [[nodiscard]] int left_frames() const noexcept AMP_RT { return left_frames_; }

  /// Multiply `frames` frames by the value.
  void scale(float* signal, int frames) noexcept AMP_RT {
    int i = 0;
    for (; i < frames && moving(); ++i) signal[i] *= next();
    if (target_ == 1.0F) return;
    for (; i < frames; ++i) signal[i] *= target_;
  }

 private:
  int length_frames_;
  int left_frames_ = 0;
  float target_;
  float step_ = 0;
};

}  // namespace amp::dsp
