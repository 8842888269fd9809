#pragma once

#include <cstddef>
#include <vector>

#include "../rt.hpp"

namespace amp {

/// -1 dBFS.
inline constexpr float kCeiling = 0.89125094F;

/// A sample beyond this (80 dB over full scale) counts as broken, like one that is not finite.
inline constexpr float kBroken = 1e4F;

/// True if all samples are finite and below kBroken. Thread: any; AMP_RT.
bool is_sound(const float* signal, int frames) noexcept AMP_RT;

/// Takes the direct current off one channel: a high-pass of 8 Hz, first order, that forgets what is
/// older than kSeconds. So a rig that heard that much before a switch takes off what it would have
/// if it had always played. Within 0.12 dB of the signal from 41 Hz on, 0.44 dB at 31 Hz.
/// Thread: the owner's; processing is AMP_RT.
class DcBlocker {
 public:
  /// What of the past decides the output.
  static constexpr float kSeconds = 0.045F;

  explicit DcBlocker(int sample_rate_hz);

  /// Start with `offset` as the direct current that is already known.
  void reset(float offset) noexcept AMP_RT;
  /// What comes is the middle of a sound: the direct current is its mean so far, until kSeconds of
  /// it are known.
  void learn() noexcept AMP_RT;
  void process(float* signal, int frames) noexcept AMP_RT;
  /// The direct current that is known now.
  [[nodiscard]] float offset() const noexcept AMP_RT {
    return weight_ > 0 ? static_cast<float>(sum_ / weight_) : 0.0F;
  }

 private:
  double step_;
  double oldest_;   ///< what is left of a sample's weight when it is forgotten
  double sum_ = 0;  ///< of the samples by weight; in float32 it would stop 90 dB under the signal
  double weight_ = 0;
  std::vector<float> heard_;  ///< a ring
  size_t at_ = 0;
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
  float taken_ = 0;  ///< 1 - gain: near a gain of 1 it still moves, where the gain would stand
};

}  // namespace amp
