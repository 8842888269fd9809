#pragma once

#include "../rt.hpp"

namespace amp {

/// -1 dBFS.
inline constexpr float kCeiling = 0.89125094F;

/// A sample beyond this (80 dB over full scale) counts as broken, like one that is not finite.
inline constexpr float kBroken = 1e4F;

/// True if all samples are finite and below kBroken. Thread: any; AMP_RT.
bool is_sound(const float* signal, int frames) noexcept AMP_RT;

/// Takes the direct current off one channel: a first-order high-pass of 5 Hz. Thread: the owner's.
class DcBlocker {
 public:
  explicit DcBlocker(int sample_rate_hz) noexcept;

  /// Start with `offset` as the direct current that is already known.
  void reset(float offset) noexcept AMP_RT {
    dc_ = static_cast<double>(offset);
    heard_ = kSettled;
  }
  /// What comes until settle() is the middle of a sound: the direct current is its mean so far, and
  /// so is soon where a stage that had always played would have it.
  void learn() noexcept AMP_RT { heard_ = 0; }
  void settle() noexcept AMP_RT { heard_ = kSettled; }
  void process(float* signal, int frames) noexcept AMP_RT;
  /// The direct current that is known now.
  [[nodiscard]] float offset() const noexcept AMP_RT { return static_cast<float>(dc_); }

 private:
  static constexpr double kSettled = 1e9;
  double step_;
  double heard_ = kSettled;
  double dc_ = 0;  ///< in float32 it would stop 90 dB under the signal
};

/// The last stage of the engine, over both outputs: holds their peak at kCeiling with one gain for
/// both, down at once, up again in about 80 ms. Below the ceiling samples pass bit for bit; what is
/// not finite becomes silence. Thread: audio.
class Ceiling {
 public:
  explicit Ceiling(int sample_rate_hz) noexcept;

  void process(float* const* channel, int frames) noexcept AMP_RT;

 private:
  float release_step_;
  float gain_ = 1;
};

}  // namespace amp
