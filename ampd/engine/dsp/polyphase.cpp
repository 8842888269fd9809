#include "polyphase.hpp"

#include <array>
#include <cmath>
#include <numbers>

namespace amp::dsp {
namespace {

/// So many sums run side by side that the compiler makes vectors of them.
constexpr int kLanes = 8;

/// Modified Bessel function of the first kind, order 0, by its series.
double bessel_i0(double x) {
  double term = 1;
  double sum = 1;
  for (int k = 1; term > sum * 1e-17; ++k) {
    term *= (x / (2 * k)) * (x / (2 * k));
    sum += term;
  }
  return sum;
}

double value_of(const Kernel& kernel, double distance) {
  const double place = distance / kernel.half_width;
  if (std::abs(place) > 1) return 0;
  const double phase = 2 * std::numbers::pi * kernel.cutoff * distance;
  const double sinc = std::abs(phase) < 1e-9 ? 1 : std::sin(phase) / phase;
  return sinc * bessel_i0(kernel.beta * std::sqrt(1 - place * place));
}

}  // namespace

double Kernel::beta_of(double attenuation_db) {
  return 0.1102 * (attenuation_db - 8.7);
}

double Kernel::width_of(double attenuation_db, double transition) {
  return (attenuation_db - 7.95) / (2.285 * 2 * std::numbers::pi * transition);
}

int PolyphaseBank::reach_frames(int taps) {
  return (taps + kLanes - 1) / kLanes * kLanes;
}

PolyphaseBank::PolyphaseBank(const std::vector<double>& newest_frames, int taps,
                             const Kernel& kernel)
    : reach_(reach_frames(taps)), taps_(newest_frames.size() * static_cast<size_t>(reach_)) {
  float* row = taps_.data();
  std::vector<double> values(static_cast<size_t>(taps));
  for (const double newest : newest_frames) {
    double sum = 0;
    for (int age = 0; age < taps; ++age)
      sum += values[static_cast<size_t>(age)] = value_of(kernel, newest - age);
    row += reach_;
    for (int age = 0; age < taps; ++age)
      row[-1 - age] = static_cast<float>(values[static_cast<size_t>(age)] / sum);
  }
}

float PolyphaseBank::at(int row, const float* end) const noexcept AMP_RT {
  const float* const taps = &taps_[static_cast<size_t>(row) * static_cast<size_t>(reach_)];
  const float* const signal = end - reach_;
  std::array<float, kLanes> sums{};
  for (int i = 0; i < reach_; i += kLanes)
    for (int lane = 0; lane < kLanes; ++lane)
      sums[static_cast<size_t>(lane)] += taps[i + lane] * signal[i + lane];
  return ((sums[0] + sums[4]) + (sums[1] + sums[5])) + ((sums[2] + sums[6]) + (sums[3] + sums[7]));
}

}  // namespace amp::dsp
