#include "svf.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

namespace amp::dsp {
namespace {

constexpr float kHighest = 0.49F;  ///< of the rate

/// Damping of the sections of a Butterworth filter: 2 sin of the pole's angle.
double damping(int section, int sections) noexcept AMP_RT {
  if (sections == 1) return std::numbers::sqrt2;
  return section == 0 ? 1.8477590650225735 : 0.7653668647301796;
}

}  // namespace

float warped(float hz, int sample_rate_hz) noexcept AMP_RT {
  const double part = std::min(hz / static_cast<float>(sample_rate_hz), kHighest);
  return static_cast<float>(std::tan(std::numbers::pi * part));
}

void Svf::tune(double g, double k, const Mix& mix) noexcept AMP_RT {
  // band = a (s1 + g (in - s2)), low = s2 + g band; the states become 2 band - s1 and 2 low - s2.
  const double a = 1 / (1 + g * (g + k));
  const double b = g * a;
  const double c = g * b;
  to_band_ = {2 * b, 2 * a - 1, -2 * b};
  to_low_ = {2 * c, 2 * b, 1 - 2 * c};
  to_out_ = {mix.input + mix.band * b + mix.low * c, mix.band * a + mix.low * b,
             mix.low * (1 - c) - mix.band * b};
}

void Svf::run(Stereo* signal, int frames) noexcept AMP_RT {
  Svf local = *this;  // in registers: `signal` could else alias the states
  for (int i = 0; i < frames; ++i) signal[i] = local.next(signal[i]);
  band_ = local.band_;
  low_ = local.low_;
}

int Svf::decay_frames(double g, double k) noexcept AMP_RT {
  // Poles p of s^2 + k s + 1, and where the trapezoidal rule puts the slower one.
  const double half = k / 2;
  const double square = half * half - 1;
  const double real = square > 0 ? half - std::sqrt(square) : half;
  const double imaginary = square > 0 ? 0 : std::sqrt(-square);
  const double in = (1 - g * real) * (1 - g * real) + g * imaginary * g * imaginary;
  const double out = (1 + g * real) * (1 + g * real) + g * imaginary * g * imaginary;
  const double nepers_a_frame = std::log(out / in) / 2;
  return static_cast<int>(std::ceil(5 * std::numbers::ln10 / nepers_a_frame));
}

Cut::Cut(Side side, int sections, int sample_rate_hz, int ramp_frames) noexcept
    : side_(side),
      sections_(sections),
      sample_rate_hz_(sample_rate_hz),
      cutoff_(ramp_frames, 1),
      weight_(ramp_frames, 0) {}

bool Cut::is_off(float hz) const noexcept AMP_RT {
  if (side_ == Side::kLow) return hz <= kLowOffHz;
  return hz >= kHighOffHz || hz >= kHighest * static_cast<float>(sample_rate_hz_);
}

void Cut::set(float hz, bool jump) noexcept AMP_RT {
  const bool off = is_off(hz);
  if (!off) {
    const float g = warped(hz, sample_rate_hz_);
    jump || !active() ? cutoff_.jump(g) : cutoff_.to(g);
    if (!cutoff_.moving()) tune(g);
  }
  const float weight = off ? 0.0F : 1.0F;
  jump ? weight_.jump(weight) : weight_.to(weight);
  if (!active()) clear();
}

void Cut::clear() noexcept AMP_RT {
  for (Svf& section : section_) section.clear();
}

void Cut::tune(float g) noexcept AMP_RT {
  for (int s = 0; s < sections_; ++s) {
    const double k = damping(s, sections_);
    const Svf::Mix mix = side_ == Side::kLow ? Svf::Mix{1, -k, -1} : Svf::Mix{0, 0, 1};
    section_[static_cast<size_t>(s)].tune(static_cast<double>(g), k, mix);
  }
}

void Cut::run(Stereo* signal, int frames) noexcept AMP_RT {
  int i = 0;
  for (; i < frames && active() && (weight_.moving() || cutoff_.moving()); ++i) {
    if (cutoff_.moving()) tune(cutoff_.next());
    const double weight = static_cast<double>(weight_.next());
    Stereo out = signal[i];
    for (int s = 0; s < sections_; ++s) out = section_[static_cast<size_t>(s)].next(out);
    signal[i] += weight * (out - signal[i]);
    if (!active()) clear();
  }
  if (!active()) return;
  for (int s = 0; s < sections_; ++s) section_[static_cast<size_t>(s)].run(signal + i, frames - i);
}

int Cut::decay_frames() const noexcept AMP_RT {
  if (!active()) return 0;
  // The least damped section is the slowest.
  return Svf::decay_frames(static_cast<double>(cutoff_.current()),
                           damping(sections_ - 1, sections_));
}

}  // namespace amp::dsp
