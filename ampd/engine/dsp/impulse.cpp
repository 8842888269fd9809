#include "impulse.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <complex>
#include <numbers>
#include <stdexcept>
#include <string>

namespace amp::dsp {
namespace {

constexpr int kLowestRateHz = 8000;
constexpr int kHighestRateHz = 768000;
constexpr double kPredelaySeconds = 0.001;
constexpr double kKeptSilenceSeconds = 0.00025;
constexpr double kPinkLowHz = 80;
constexpr double kPinkHighHz = 5000;
constexpr double kLeastPinkShare = 1e-6;  ///< of the power that white noise keeps

/// All in frames of the lower rate. The window's main lobe is 8 bins wide: it falls from 0.9 to 1
/// of half the rate within 160 frames.
constexpr double kHalfWidth = 80;
constexpr double kCutoff = 0.475;
constexpr int kSteps = 1024;  ///< a frame; a straight line between two errs by 3e-7 at most

void check(const Response& file, int rate_hz) {
  if (file.empty() || file.front().empty())
    throw std::invalid_argument("holds no samples, expected an impulse response.");
  if (file.size() > 2)
    throw std::invalid_argument("has " + std::to_string(file.size()) +
                                " channels, expected 1 or 2; export it as mono or stereo.");
  if (file.back().size() != file.front().size())
    throw std::invalid_argument("has channels of " + std::to_string(file.front().size()) + " and " +
                                std::to_string(file.back().size()) +
                                " frames, expected one length.");
  if (rate_hz < kLowestRateHz || rate_hz > kHighestRateHz)
    throw std::invalid_argument("has a sample rate of " + std::to_string(rate_hz) +
                                " Hz, expected 8000 to 768000 Hz.");
  bool silent = true;
  for (const std::vector<float>& channel : file)
    for (size_t i = 0; i < channel.size(); ++i) {
      if (!std::isfinite(channel[i]))
        throw std::invalid_argument("has a sample that is not finite, at frame " +
                                    std::to_string(i) + "; export it anew.");
      silent = silent && channel[i] == 0;
    }
  if (silent) throw std::invalid_argument("is silent, expected an impulse response.");
}

size_t frames_of(double seconds, int rate_hz) {
  return static_cast<size_t>(std::lround(seconds * rate_hz));
}

/// Frames before the first, or from behind the last, that are zero in every channel.
template <bool kFromEnd>
size_t silent_frames(const Response& response) {
  const auto sounds = [](float v) { return v != 0; };
  auto least = static_cast<std::ptrdiff_t>(response.front().size());
  for (const std::vector<float>& channel : response)
    least = std::min(
        least, kFromEnd ? std::find_if(channel.rbegin(), channel.rend(), sounds) - channel.rbegin()
                        : std::find_if(channel.begin(), channel.end(), sounds) - channel.begin());
  return static_cast<size_t>(least);
}

/// What of the file can be heard, so that a long one costs no more than a short one, and brought by
/// a power of two to full scale, where no sum leaves float32.
Response cut_out(const Response& file, int rate_hz) {
  const size_t silence = silent_frames<false>(file);
  const size_t from = silence > frames_of(kPredelaySeconds, rate_hz)
                          ? silence - frames_of(kKeptSilenceSeconds, rate_hz)
                          : 0;
  const size_t sound_end = file.front().size() - silent_frames<true>(file);
  const size_t end = std::min(sound_end, from + frames_of(2 * kResponseSeconds, rate_hz));
  float peak = 0;
  Response heard;
  for (const std::vector<float>& channel : file) {
    heard.emplace_back(channel.begin() + static_cast<std::ptrdiff_t>(from),
                       channel.begin() + static_cast<std::ptrdiff_t>(end));
    for (const float v : heard.back()) peak = std::max(peak, std::abs(v));
  }
  const int exponent = std::ilogb(peak);
  for (std::vector<float>& channel : heard)
    for (float& v : channel) v = std::scalbn(v, -exponent);
  return heard;
}

void trim(std::vector<float>& channel, int rate_hz) {
  const size_t most = frames_of(kResponseSeconds, rate_hz);
  if (channel.size() <= most) return;
  channel.resize(most);
  const size_t fade = frames_of(kFadeSeconds, rate_hz);
  for (size_t i = 0; i < fade; ++i) {
    const double place = static_cast<double>(i + 1) / static_cast<double>(fade + 1);
    channel[most - fade + i] *= static_cast<float>(0.5 + 0.5 * std::cos(std::numbers::pi * place));
  }
}

/// The kernel from its middle outwards. Source of the window (Blackman-Harris, 92 dB): Harris 1978,
/// "On the use of windows for harmonic analysis with the discrete Fourier transform", table 1.
std::vector<double> sinc_table() {
  std::vector<double> table(static_cast<size_t>(kHalfWidth * kSteps) + 2);
  for (size_t i = 0; i < table.size(); ++i) {
    const double distance = static_cast<double>(i) / kSteps;
    const double phase = 2 * std::numbers::pi * kCutoff * distance;
    const double turn = std::numbers::pi * std::min(distance / kHalfWidth, 1.0);
    const double window = 0.35875 + 0.48829 * std::cos(turn) + 0.14128 * std::cos(2 * turn) +
                          0.01168 * std::cos(3 * turn);
    table[i] = 2 * kCutoff * window * (i == 0 ? 1 : std::sin(phase) / phase);
  }
  return table;
}

/// In place; the size is a power of two. Radix 2, by decimation in time.
void transform(std::vector<std::complex<double>>& x) {
  for (size_t i = 1, j = 0; i < x.size(); ++i) {
    size_t bit = x.size() / 2;
    for (; (j & bit) != 0; bit /= 2) j ^= bit;
    j ^= bit;
    if (i < j) std::swap(x[i], x[j]);
  }
  for (size_t half = 1; half < x.size(); half *= 2) {
    const double step = -std::numbers::pi / static_cast<double>(half);
    for (size_t k = 0; k < half; ++k) {
      const std::complex<double> turn = std::polar(1.0, step * static_cast<double>(k));
      for (size_t at = k; at < x.size(); at += 2 * half) {
        const std::complex<double> odd = turn * x[at + half];
        x[at + half] = x[at] - odd;
        x[at] += odd;
      }
    }
  }
}

double white_power(const Response& response) {
  double sum = 0;
  for (const std::vector<float>& channel : response)
    for (const float v : channel) sum += static_cast<double>(v) * v;
  return sum / static_cast<double>(response.size());
}

}  // namespace

std::vector<float> resample(const std::vector<float>& response, int from_hz, int to_hz) {
  if (from_hz == to_hz) return response;
  const std::vector<double> table = sinc_table();
  const double step = static_cast<double>(from_hz) / to_hz;
  const double scale = std::min(1.0, 1 / step);  // frames of the file to frames of the lower rate
  const double reach = kHalfWidth / scale;
  const auto last = static_cast<double>(response.size() - 1);
  std::vector<float> out(static_cast<size_t>((last + reach) / step) + 1);
  for (size_t n = 0; n < out.size(); ++n) {
    const double point = static_cast<double>(n) * step;
    const auto end = static_cast<size_t>(std::min(last, std::floor(point + reach)));
    double sum = 0;
    for (auto m = static_cast<size_t>(std::max(0.0, std::ceil(point - reach))); m <= end; ++m) {
      const double place = std::abs(point - static_cast<double>(m)) * scale * kSteps;
      const auto below = static_cast<size_t>(place);
      const double value =
          table[below] + (place - static_cast<double>(below)) * (table[below + 1] - table[below]);
      sum += value * static_cast<double>(response[m]);
    }
    out[n] = static_cast<float>(sum * scale * step);
  }
  return out;
}

double pink_power(const Response& response, int rate_hz) {
  // Bins of 2 Hz or less; both channels in one transform, whose two halves share their power.
  const size_t size =
      std::bit_ceil(std::max(2 * response.front().size(), static_cast<size_t>(rate_hz / 2)));
  std::vector<std::complex<double>> x(size);
  for (size_t i = 0; i < response.front().size(); ++i)
    x[i] = {static_cast<double>(response.front()[i]),
            response.size() > 1 ? static_cast<double>(response.back()[i]) : 0};
  transform(x);
  const double hz_to_bin = static_cast<double>(size) / rate_hz;
  const auto end =
      static_cast<size_t>(std::min(kPinkHighHz * hz_to_bin, 0.5 * static_cast<double>(size)));
  double passed = 0;
  double all = 0;
  for (auto k = static_cast<size_t>(std::ceil(kPinkLowHz * hz_to_bin)); k <= end; ++k) {
    const double weight = 1 / static_cast<double>(k);
    passed += weight * (std::norm(x[k]) + std::norm(x[size - k]));
    all += weight * 2 * static_cast<double>(response.size());
  }
  return passed / all;
}

Response prepare_response(const Response& file, int file_rate_hz, int rate_hz) {
  check(file, file_rate_hz);
  Response ready;
  for (const std::vector<float>& channel : cut_out(file, file_rate_hz)) {
    ready.push_back(resample(channel, file_rate_hz, rate_hz));
    trim(ready.back(), rate_hz);
  }
  const double power = pink_power(ready, rate_hz);
  if (!(power > kLeastPinkShare * white_power(ready)))
    throw std::invalid_argument(
        "has hardly any sound between 80 Hz and 5 kHz, expected the impulse response of a "
        "cabinet.");
  const double factor = 1 / std::sqrt(power);
  for (std::vector<float>& channel : ready)
    for (float& v : channel) v = static_cast<float>(factor * static_cast<double>(v));
  return ready;
}

}  // namespace amp::dsp
