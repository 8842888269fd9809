#include "loudness.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <complex>
#include <numbers>

#include "engine.hpp"
#include "offline.hpp"

namespace amp::plugin {
namespace {

using Complex = std::complex<double>;

// The guitar of ampd/probe.py, number for number.
constexpr double kSeconds = 3;
constexpr double kPeak = 0.3;
constexpr std::array kStringsHz{82.41, 110.0, 146.83, 196.0, 246.94, 329.63};
constexpr int kNotes = 12;
constexpr double kNoteSeconds = 1;
constexpr double kDampedSeconds = 0.05;
constexpr double kPickAt = 0.18;
constexpr double kPickupAt = 0.11;
constexpr double kPickupHz = 3500;
constexpr double kPickupQ = 1.6;
constexpr double kHighestHz = 6000;
constexpr double kDecayPerS = 2;
constexpr double kDecayPerPartial = 0.35;
constexpr double kQuietestDb = -200;
constexpr double kSilentLufs = -70;

// The filters of BS.1770 at 48 kHz.
constexpr double kWeightRateHz = 48000;
constexpr std::array<std::array<double, 6>, 2> kFilters{{
    {1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241,
     0.73248077421585},
    {1.0, -2.0, 1.0, 1.0, -1.99004745483398, 0.99007225036621},
}};
constexpr double kOffsetDb = -0.691;

constexpr int kSettleFrames = 64;
constexpr int kSettleRounds = 4096;

std::vector<double> note(double frequency_hz, int rate_hz) {
  const double highest = std::min(kHighestHz, 0.45 * rate_hz);
  const int partials = static_cast<int>(highest / frequency_hz);
  std::vector<double> strength(static_cast<size_t>(partials));
  for (int n = 1; n <= partials; ++n) {
    const double ratio = n * frequency_hz / kPickupHz;
    const double inside = 1 - ratio * ratio;
    strength[static_cast<size_t>(n - 1)] =
        std::sin(std::numbers::pi * kPickAt * n) * std::sin(std::numbers::pi * kPickupAt * n) / n /
        std::sqrt(inside * inside + (ratio / kPickupQ) * (ratio / kPickupQ));
  }
  std::vector<double> wave(static_cast<size_t>(std::lround(kNoteSeconds * rate_hz)));
  for (size_t i = 0; i < wave.size(); ++i) {
    const double time_s = static_cast<double>(i) / rate_hz;
    const Complex turn =
        std::exp(Complex(-kDecayPerPartial, 2 * std::numbers::pi * frequency_hz) * time_s);
    double real = 0;  // Horner, written out: a product of std::complex looks for NaN
    double imaginary = 0;
    for (auto amplitude = strength.rbegin(); amplitude != strength.rend(); ++amplitude) {
      const double sum = real + *amplitude;
      real = sum * turn.real() - imaginary * turn.imag();
      imaginary = sum * turn.imag() + imaginary * turn.real();
    }
    const double hand = std::min(1.0, (kNoteSeconds - time_s) / kDampedSeconds);
    wave[i] = imaginary * std::exp(-kDecayPerS * time_s) * hand;
  }
  return wave;
}

/// Discrete Fourier transform of any length, fast for products of small primes: decimation in time,
/// the smallest prime factor first. `step` apart in `in`, `size` of them.
void transform(const double* in, size_t step, size_t size, const std::vector<Complex>& turns,
               Complex* out) {
  if (size == 1) {
    out[0] = in[0];
    return;
  }
  size_t prime = 2;
  while (size % prime != 0) ++prime;
  const size_t part = size / prime;
  for (size_t p = 0; p < prime; ++p)
    transform(in + p * step, step * prime, part, turns, out + p * part);
  const size_t stride = turns.size() / size;
  std::vector<Complex> terms(prime);
  for (size_t k = 0; k < part; ++k) {
    for (size_t p = 0; p < prime; ++p) terms[p] = out[p * part + k] * turns[stride * p * k];
    for (size_t q = 0; q < prime; ++q) {
      Complex sum = 0;
      for (size_t p = 0; p < prime; ++p)
        sum += terms[p] * turns[turns.size() / prime * (p * q % prime)];
      out[q * part + k] = sum;
    }
  }
}

std::vector<double> power_of(const std::vector<float>& side, size_t size) {
  std::vector<Complex> turns(size);
  for (size_t n = 0; n < size; ++n)
    turns[n] =
        std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(n) / static_cast<double>(size));
  const std::vector<double> in(side.begin(), side.begin() + static_cast<ptrdiff_t>(size));
  std::vector<Complex> out(size);
  transform(in.data(), 1, size, turns, out.data());
  std::vector<double> power(size / 2 + 1);
  for (size_t k = 0; k < power.size(); ++k) power[k] = std::norm(out[k]);
  return power;
}

double weight(double at_hz) {
  if (at_hz > kWeightRateHz / 2) return 0;
  const Complex delay = std::polar(1.0, -2 * std::numbers::pi * at_hz / kWeightRateHz);
  double gain = 1;
  for (const auto& f : kFilters)
    gain *=
        std::norm((f[0] + delay * (f[1] + delay * f[2])) / (f[3] + delay * (f[4] + delay * f[5])));
  return gain;
}

/// The largest size up to `frames` that is a product of 2, 3, 5 and 7: at common rates all of it.
size_t smooth(size_t frames) {
  for (;; --frames) {
    size_t rest = frames;
    for (const size_t prime : {2U, 3U, 5U, 7U})
      while (rest % prime == 0) rest /= prime;
    if (rest == 1) return frames;
  }
}

float bounded(double db) {
  return static_cast<float>(std::clamp<double>(db, -kMostTrimDb, kMostTrimDb));
}

}  // namespace

std::vector<float> guitar_signal(int sample_rate_hz) {
  const auto frames = static_cast<size_t>(std::lround(kSeconds * sample_rate_hz));
  std::vector<double> signal(frames);
  for (int n = 0; n < kNotes; ++n) {
    const double frequency_hz =
        kStringsHz[static_cast<size_t>(n) * 5 % kStringsHz.size()] * (1 + n % 2);
    const size_t first = static_cast<size_t>(n) * frames / kNotes;
    const std::vector<double> wave = note(frequency_hz, sample_rate_hz);
    for (size_t i = 0; i < std::min(wave.size(), frames - first); ++i) signal[first + i] += wave[i];
  }
  double peak = 0;
  for (const double sample : signal) peak = std::max(peak, std::abs(sample));
  std::vector<float> kept(frames);
  for (size_t i = 0; i < frames; ++i) kept[i] = static_cast<float>(signal[i] * kPeak / peak);
  return kept;
}

double loudness_lufs(const std::vector<std::vector<float>>& sides, int sample_rate_hz) {
  const size_t size = smooth(sides.at(0).size());
  double sum = 0;
  for (const std::vector<float>& side : sides) {
    const std::vector<double> power = power_of(side, size);
    for (size_t k = 0; k < power.size(); ++k)
      sum += power[k] * weight(static_cast<double>(k) * sample_rate_hz / static_cast<double>(size));
  }
  const auto frames = static_cast<double>(size);
  const double mean_square = 2 * sum / (frames * frames) / static_cast<double>(sides.size());
  if (mean_square <= 0) return kQuietestDb;
  return std::max(kQuietestDb, kOffsetDb + 10 * std::log10(mean_square));
}

double rig_loudness_lufs(const RigSpec& rig, int sample_rate_hz) {
  Engine engine(sample_rate_hz, {.threaded = false, .with_safety = false, .isa = dsp::best_isa()});
  std::unique_ptr<Chain> chain = engine.build(rig);
  const auto latency = static_cast<size_t>(chain->latency_frames());
  engine.park(0, std::move(chain));
  engine.select(0, false);
  std::vector<float> in(kSettleFrames);
  std::vector<float> left(kSettleFrames);
  std::vector<float> right(kSettleFrames);
  bool settled = false;
  for (int round = 0; round < kSettleRounds && !settled; ++round) {
    play_offline(engine, in.data(), left.data(), right.data(), kSettleFrames, kSettleFrames, {});
    engine.service();
    for (const Fact& fact : engine.facts()) settled |= fact.kind == Fact::Kind::kSwitched;
  }
  in = guitar_signal(sample_rate_hz);
  const size_t frames = in.size();
  in.resize(frames + latency);
  left.resize(in.size());
  right.resize(in.size());
  play_offline(engine, in.data(), left.data(), right.data(), static_cast<int64_t>(in.size()),
               kMaxFrames, {});
  const auto from = static_cast<ptrdiff_t>(latency);
  return loudness_lufs({{left.begin() + from, left.end()}, {right.begin() + from, right.end()}},
                       sample_rate_hz);
}

Trim normalized(double lufs) {
  if (lufs < kSilentLufs) return {};
  return {.input_db = 0, .output_db = bounded(kTargetLufs - lufs)};
}

Trim calibrated(const nn::ModelInfo* first, const nn::ModelInfo* last) {
  Trim trim;
  if (first != nullptr && first->input_level_dbu)
    trim.input_db = bounded(static_cast<double>(kInputDbu) - *first->input_level_dbu);
  if (last != nullptr && last->output_level_dbu)
    trim.output_db = bounded(*last->output_level_dbu - static_cast<double>(kInputDbu));
  return trim;
}

}  // namespace amp::plugin
