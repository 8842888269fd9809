#pragma once

#include <array>
#include <cstdint>

#include "../rt.hpp"
#include "ramp.hpp"

namespace amp::dsp {

/// Left and right side by side. In double, where the poles of 20 Hz at 192 kHz keep their place.
using Stereo = double __attribute__((vector_size(16)));

/// Cutoff as the trapezoidal rule bends it: tan(pi hz / rate). Nothing lies beyond 0.49 of the
/// rate.
float warped(float hz, int sample_rate_hz) noexcept AMP_RT;

/// A filter of two integrators, both by the trapezoidal rule, its loop solved without a delay, so
/// that it may be tuned at every frame. With s in units of the cutoff and D = s^2 + k s + 1:
///   out = input * in + band * (s / D) in + low * (1 / D) in
/// The equations of the two states are multiplied out: from one state to the next are two
/// operations instead of six. Thread: the owner's; AMP_RT.
/// Source: own, from the trapezoidal rule; the structure is Zavalishin's, "The Art of VA Filter
/// Design", chapter 4. Truth: the transfer function above (eq_test.cpp).
class Svf {
 public:
  /// What leaves the filter.
  struct Mix {
    double input = 1;
    double band = 0;
    double low = 0;
  };

  /// g: `warped` cutoff, > 0; k: 1 / Q, > 0.
  void tune(double g, double k, const Mix& mix) noexcept AMP_RT;
  void clear() noexcept AMP_RT { band_ = low_ = Stereo{}; }

  Stereo next(Stereo in) noexcept AMP_RT {
    const Stereo out = (to_out_[0] * in + to_out_[1] * band_) + to_out_[2] * low_;
    const Stereo band = (to_band_[1] * band_ + to_band_[2] * low_) + to_band_[0] * in;
    low_ = (to_low_[1] * band_ + to_low_[2] * low_) + to_low_[0] * in;
    band_ = band;
    return out;
  }

  /// `frames` frames in place.
  void run(Stereo* signal, int frames) noexcept AMP_RT;

  /// Frames in which what was heard falls by 100 dB.
  static int decay_frames(double g, double k) noexcept AMP_RT;

 private:
  using Row = std::array<double, 3>;  ///< weights of the input and of both states
  Row to_out_{1, 0, 0};
  Row to_band_{};
  Row to_low_{};
  Stereo band_{};
  Stereo low_{};
};

/// A low or high cut of 12 dB an octave a section, maximally flat, that can be off: then samples
/// pass bit for bit. It comes and goes by a straight line between the two, for off and the lowest
/// cut differ in phase. It raises no frequency, at rest or on its way. Thread: the owner's; AMP_RT.
class Cut {
 public:
  enum class Side : uint8_t { kLow, kHigh };

  /// sections: 1 or 2; ramp_frames: how long a change takes. It starts off.
  Cut(Side side, int sections, int sample_rate_hz, int ramp_frames) noexcept;

  /// kLow is off at kLowOffHz and below, kHigh at kHighOffHz and above, or where the rate ends.
  void set(float hz, bool jump) noexcept AMP_RT;
  void clear() noexcept AMP_RT;
  void run(Stereo* signal, int frames) noexcept AMP_RT;

  [[nodiscard]] bool active() const noexcept AMP_RT {
    return weight_.moving() || weight_.target() != 0;
  }
  [[nodiscard]] int decay_frames() const noexcept AMP_RT;

  static constexpr float kLowOffHz = 20;
  static constexpr float kHighOffHz = 20000;

 private:
  [[nodiscard]] bool is_off(float hz) const noexcept AMP_RT;
  void tune(float g) noexcept AMP_RT;

  Side side_;
  int sections_;
  int sample_rate_hz_;
  Ramp cutoff_;  ///< warped
  Ramp weight_;  ///< 0 off, 1 filtered
  std::array<Svf, 2> section_;
};

}  // namespace amp::dsp
