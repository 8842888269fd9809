#include "speaker.hpp"

#include <array>
#include <cmath>
#include <cstdint>
#include <numbers>

namespace amp {
namespace {

constexpr double kSeconds = 0.040;  ///< the box has rung down by 87 dB

enum class Shape : uint8_t { kHighPass, kLowPass, kPeak };

struct Filter {
  Shape shape;
  double hz;
  double q;
  double gain_db;  ///< of a peak
};

/// In the order of their frequencies. The low-passes are one Butterworth filter of order 6.
constexpr std::array kSpeaker{
    Filter{Shape::kHighPass, 92, 1.15, 0},     // the box: 12 dB an octave, a hump at 110 Hz
    Filter{Shape::kPeak, 200, 0.9, 1.5},       // the warmth of a closed back
    Filter{Shape::kPeak, 450, 0.9, -4.5},      // between the box and the cone
    Filter{Shape::kPeak, 1250, 2.5, 2},        // the cone's first modes
    Filter{Shape::kPeak, 1750, 3, -2.5},       // and what lies between them
    Filter{Shape::kPeak, 2900, 1.3, 7.5},      // presence
    Filter{Shape::kPeak, 3700, 5, -3},         // the dust cap against the cone
    Filter{Shape::kLowPass, 4900, 0.5176, 0},  // above, the cone no longer follows:
    Filter{Shape::kLowPass, 4900, 0.7071, 0},  // the three
    Filter{Shape::kLowPass, 4900, 1.9319, 0},  // pairs of poles
    Filter{Shape::kPeak, 6300, 4, -6},         // the cone's edge, out of phase
};

/// Run `x` through one filter. Source: Bristow-Johnson, "Cookbook formulae for audio EQ biquad
/// filter coefficients".
void run(const Filter& filter, std::vector<double>& x, int sample_rate_hz) {
  const double phase = 2 * std::numbers::pi * filter.hz / sample_rate_hz;
  const double cosine = std::cos(phase);
  const double alpha = std::sin(phase) / (2 * filter.q);
  const double root = std::pow(10.0, filter.gain_db / 40);
  const double sign = filter.shape == Shape::kHighPass ? -1 : 1;
  const bool peak = filter.shape == Shape::kPeak;
  const double a0 = 1 + (peak ? alpha / root : alpha);
  const double b0 = (peak ? 1 + alpha * root : 0.5 * (1 - sign * cosine)) / a0;
  const double b1 = (peak ? -2 * cosine : sign - cosine) / a0;
  const double b2 = (peak ? 1 - alpha * root : 0.5 * (1 - sign * cosine)) / a0;
  const double a1 = -2 * cosine / a0;
  const double a2 = (1 - (peak ? alpha / root : alpha)) / a0;
  double first = 0;
  double second = 0;
  for (double& v : x) {
    const double out = b0 * v + first;
    first = b1 * v - a1 * out + second;
    second = b2 * v - a2 * out;
    v = out;
  }
}

}  // namespace

dsp::Response built_in_speaker(int sample_rate_hz) {
  std::vector<double> x(static_cast<size_t>(kSeconds * sample_rate_hz));
  x.front() = 1;
  for (const Filter& filter : kSpeaker) run(filter, x, sample_rate_hz);
  return {{x.begin(), x.end()}};
}

}  // namespace amp
