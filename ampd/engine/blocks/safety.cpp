#include "safety.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace amp {

bool is_sound(const float* signal, int frames) noexcept AMP_RT {
  bool sound = true;
  for (int i = 0; i < frames; ++i) sound &= std::abs(signal[i]) <= kBroken;
  return sound;
}

DcBlocker::DcBlocker(int sample_rate_hz) noexcept
    : step_(2 * std::numbers::pi * 5 / sample_rate_hz) {}

void DcBlocker::process(float* signal, int frames) noexcept AMP_RT {
  for (int i = 0; i < frames; ++i) {
    const double step = heard_ * step_ < 1 ? 1 / ++heard_ : step_;
    dc_ += std::max(step, step_) * (static_cast<double>(signal[i]) - dc_);
    signal[i] -= static_cast<float>(dc_);
  }
}

Ceiling::Ceiling(int sample_rate_hz) noexcept
    : release_step_(1 / (0.080F * static_cast<float>(sample_rate_hz))) {}

void Ceiling::process(float* const* channel, int frames) noexcept AMP_RT {
  for (int i = 0; i < frames; ++i) {
    float peak = 0;
    for (int c = 0; c < 2; ++c) {
      if (!(std::abs(channel[c][i]) <= kBroken)) channel[c][i] = 0;
      peak = std::max(peak, std::abs(channel[c][i]));
    }
    gain_ += release_step_ * (1 - gain_);
    if (gain_ > 0.9999F) gain_ = 1;
    if (peak * gain_ > kCeiling) gain_ = kCeiling / peak;
    if (gain_ == 1) continue;
    for (int c = 0; c < 2; ++c)
      channel[c][i] = std::clamp(channel[c][i] * gain_, -kCeiling, kCeiling);
  }
}

}  // namespace amp
