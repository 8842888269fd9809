#include "safety.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>

namespace amp {

bool is_sound(const float* signal, int frames) noexcept AMP_RT {
  bool sound = true;
  for (int i = 0; i < frames; ++i) sound &= std::abs(signal[i]) <= kBroken;
  return sound;
}

DcBlocker::DcBlocker(int sample_rate_hz)
    : step_(2 * std::numbers::pi * 8 / sample_rate_hz),
      heard_(static_cast<size_t>(kSeconds * static_cast<float>(sample_rate_hz))) {
  oldest_ = std::pow(1 - step_, static_cast<double>(heard_.size()));
  reset(0);
}

void DcBlocker::reset(float offset) noexcept AMP_RT {
  std::fill(heard_.begin(), heard_.end(), offset);
  weight_ = 1 - oldest_;
  sum_ = weight_ * static_cast<double>(offset);
}

void DcBlocker::learn() noexcept AMP_RT {
  std::fill(heard_.begin(), heard_.end(), 0.0F);
  weight_ = sum_ = 0;
}

void DcBlocker::process(float* signal, int frames) noexcept AMP_RT {
  for (int i = 0; i < frames; ++i) {
    const float forgotten = std::exchange(heard_[at_], signal[i]);
    at_ = at_ + 1 == heard_.size() ? 0 : at_ + 1;
    sum_ += step_ * (static_cast<double>(signal[i]) - sum_) -
            step_ * oldest_ * static_cast<double>(forgotten);
    weight_ = std::min(weight_ + step_ * (1 - weight_), 1 - oldest_);
    signal[i] -= static_cast<float>(sum_ / weight_);
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
    taken_ -= release_step_ * taken_;
    if (peak * (1 - taken_) > kCeiling) taken_ = 1 - kCeiling / peak;
    const float gain = 1 - taken_;
    if (gain == 1) continue;
    for (int c = 0; c < 2; ++c)
      channel[c][i] = std::clamp(channel[c][i] * gain, -kCeiling, kCeiling);
  }
}

}  // namespace amp
