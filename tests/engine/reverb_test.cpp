#include <complex>
#include <numbers>

#include "effect.hpp"
#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;

namespace {

constexpr double kPi = std::numbers::pi;

Effect room(float decay_s, float damping_hz = 6000, int rate_hz = 48000) {
  Effect reverb("reverb", rate_hz);
  reverb.set("decay_s", decay_s);
  reverb.set("damping_hz", damping_hz);
  reverb.set("pre_delay_ms", 0);
  return reverb;
}

double power(const std::vector<float>& wave) {
  double sum = 0;
  for (const float v : wave) sum += static_cast<double>(v) * static_cast<double>(v);
  return sum;
}

/// Energy of the half octave on either side of `hz`, in windows of 1024 frames every 512.
std::vector<double> band_energy(const std::vector<float>& wave, double hz, double rate_hz) {
  std::vector<double> energy;
  const int first = static_cast<int>(std::ceil(hz / std::numbers::sqrt2 * 1024 / rate_hz));
  const int last = static_cast<int>(hz * std::numbers::sqrt2 * 1024 / rate_hz);
  for (size_t at = 0; at + 1024 <= wave.size(); at += 512) {
    double sum = 0;
    for (int bin = first; bin <= last; ++bin) {
      const std::complex<double> turn = std::polar(1.0, -2 * kPi * bin / 1024);
      std::complex<double> phase = 1;
      std::complex<double> value = 0;
      for (size_t i = 0; i < 1024; ++i, phase *= turn)
        value += phase * static_cast<double>(wave[at + i]) *
                 (1 - std::cos(2 * kPi * static_cast<double>(i) / 1024));
      sum += std::norm(value);
    }
    energy.push_back(sum);
  }
  return energy;
}

/// Seconds for 60 dB, from the slope between -5 and -35 dB of the energy still to come
/// (Schroeder 1965; ISO 3382).
double decay_s(const std::vector<float>& impulse, double hz, double rate_hz) {
  std::vector<double> left = band_energy(impulse, hz, rate_hz);
  for (size_t i = left.size() - 1; i > 0; --i) left[i - 1] += left[i];
  double count = 0;
  double sum_x = 0;
  double sum_y = 0;
  double sum_xx = 0;
  double sum_xy = 0;
  for (size_t i = 0; i < left.size(); ++i) {
    const double y = 10 * std::log10(left[i] / left[0]);
    if (y > -5 || y < -35) continue;
    const double x = static_cast<double>(i) * 512 / rate_hz;
    count += 1;
    sum_x += x;
    sum_y += y;
    sum_xx += x * x;
    sum_xy += x * y;
  }
  return -60 * (count * sum_xx - sum_x * sum_x) / (count * sum_xy - sum_x * sum_y);
}

/// Part of the frames beyond one standard deviation, in units of what noise has: 1 is as dense as
/// noise (Abel and Huang 2006). 20 ms from `from` on.
double echo_density(const std::vector<float>& wave, size_t from) {
  const std::vector<float> part(wave.begin() + static_cast<std::ptrdiff_t>(from),
                                wave.begin() + static_cast<std::ptrdiff_t>(from + 960));
  const double deviation = std::sqrt(power(part) / 960);
  const auto outside = std::count_if(part.begin(), part.end(), [&](float v) {
    return std::abs(static_cast<double>(v)) > deviation;
  });
  return static_cast<double>(outside) / 960 / 0.3173;
}

}  // namespace

TEST_CASE("a room dies in its decay time, at every rate") {
  for (const auto [seconds, rate] :
       {std::pair{0.5F, 48000}, {1.8F, 48000}, {6.0F, 48000}, {1.8F, 8000}, {1.8F, 192000}}) {
    Effect reverb = room(seconds, 6000, rate);
    const auto frames = static_cast<size_t>(seconds * static_cast<float>(rate));
    const std::vector<float> impulse = reverb.play(click(frames)).left;
    CAPTURE(seconds);
    CAPTURE(rate);
    // 10 %: what the ear takes for the same room twice over (a step of 5 %).
    CHECK(decay_s(impulse, 1000, rate) == doctest::Approx(seconds).epsilon(0.10));
  }
}

TEST_CASE("a room dies about twice as fast where it is damped") {
  Effect reverb = room(2);
  const std::vector<float> impulse = reverb.play(click(96000)).left;
  // The low-pass of each line is tuned to one point of a slope, and an octave around it is
  // measured.
  CHECK(decay_s(impulse, 6000, 48000) == doctest::Approx(1).epsilon(0.20));
}

TEST_CASE("a tenth of a second after a click the room is as dense as noise") {
  Effect reverb = room(1.8F, 20000);
  const Sound sound = reverb.play(click(24000));
  for (size_t from = 4800; from < 20000; from += 960) {
    // Noise itself stays within 0.13 of 1 in 960 frames (three deviations of a count).
    CHECK(echo_density(sound.left, from) > 0.8);
    CHECK(echo_density(sound.right, from) > 0.8);
  }
}

TEST_CASE("no note stands out of a room") {
  Effect reverb = room(1.8F, 20000);
  const std::vector<float> impulse = reverb.play(click(72000)).left;
  std::vector<double> bins;
  for (int hz = 500; hz < 1500; ++hz) {
    const std::complex<double> turn = std::polar(1.0, -2 * kPi * hz / 48000);
    std::complex<double> phase = 1;
    std::complex<double> value = 0;
    for (size_t i = 24000; i < 72000; ++i, phase *= turn) {
      const auto n = static_cast<double>(i - 24000) / 48000;
      value += phase * static_cast<double>(impulse[i]) * std::pow(10, 3 * n / 1.8) *
               (1 - std::cos(2 * kPi * n));
    }
    bins.push_back(std::norm(value));
  }
  double mean = 0;
  for (const double bin : bins) mean += bin / static_cast<double>(bins.size());
  // Of 1000 bins of noise the strongest is 8 to 11 dB over their mean; a lone mode has 30.
  CHECK(10 * std::log10(*std::max_element(bins.begin(), bins.end()) / mean) < 14);
}

TEST_CASE("noise leaves a room as loud as it came, however long the decay") {
  for (const float seconds : {0.3F, 1.8F, 8.0F}) {
    Effect reverb = room(seconds, 20000);
    reverb.set("low_cut_hz", 20);
    const Sound sound = reverb.play(click(static_cast<size_t>(seconds * 48000)));
    // The highest octave still is damped: up to 3.5 dB of white noise.
    CHECK(10 * std::log10(power(sound.left)) == doctest::Approx(-1.5).epsilon(2.0 / 2.5));
    CHECK(10 * std::log10(power(sound.left) / power(sound.right)) ==
          doctest::Approx(0).epsilon(0.5));
  }
}

TEST_CASE("the sides of a room have little in common, and all where it has no width") {
  Effect reverb = room(1.8F);
  const std::vector<float> input = noise(48000, 1);
  const Sound wide = reverb.play(input);
  double common = 0;
  for (size_t i = 0; i < input.size(); ++i)
    common += static_cast<double>(wide.left[i]) * static_cast<double>(wide.right[i]);
  CHECK(std::abs(common) < 0.15 * std::sqrt(power(wide.left) * power(wide.right)));
  reverb->reset();
  reverb.set("width", 0);
  const Sound narrow = reverb.play(input);
  CHECK(narrow.left == narrow.right);
}

TEST_CASE("the block length does not change a room, while its knobs turn either") {
  const std::vector<float> input = noise(19200, 1);
  const auto turned = [&](int block) {
    Effect reverb("reverb");
    Sound all;
    const std::vector<std::pair<const char*, float>> turns{
        {"pre_delay_ms", 40}, {"decay_s", 0.4F},    {"width", 0.5F},
        {"pre_delay_ms", 0},  {"damping_hz", 1500}, {"low_cut_hz", 20}};
    for (size_t t = 0; t < turns.size(); ++t) {
      reverb.set(turns[t].first, turns[t].second, false);
      const float* const at = input.data() + 448 * t;
      const Sound part =
          reverb.play({at, t + 1 < turns.size() ? at + 448 : input.data() + input.size()}, block);
      all.left.insert(all.left.end(), part.left.begin(), part.left.end());
      all.right.insert(all.right.end(), part.right.begin(), part.right.end());
    }
    return all;
  };
  const Sound truth = turned(64);
  for (const int block : {1, 7}) {
    const Sound cut = turned(block);
    CHECK(cut.left == truth.left);
    CHECK(cut.right == truth.right);
  }
}

TEST_CASE("no knob of a room clicks") {
  const std::vector<std::array<std::pair<const char*, float>, 2>> turns{
      {std::pair{"decay_s", 0.5F}, {"decay_s", 5.0F}},
      {std::pair{"damping_hz", 2000.0F}, {"damping_hz", 12000.0F}},
      {std::pair{"pre_delay_ms", 5.0F}, {"pre_delay_ms", 150.0F}},
      {std::pair{"low_cut_hz", 20.0F}, {"low_cut_hz", 400.0F}},
      {std::pair{"width", 0.0F}, {"width", 1.0F}}};
  const std::vector<float> input = sine(48000, 220, 0.3);
  for (const auto& turn : turns)
    for (const size_t from : {0U, 1U}) {
      Effect reverb("reverb");
      reverb.set(turn[from].first, turn[from].second);
      reverb.play(input);
      reverb.set(turn[1 - from].first, turn[1 - from].second, false);
      const std::vector<float> output = reverb.play(input).left;
      // 220 Hz at 1, which nothing exceeds here, bend by 0.0288^2 = 0.0008 a frame, and a ramp of
      // 10 ms that starts or ends bends what walks 1 by 1 / 480 = 0.0021. A step bends by itself.
      CAPTURE(turn[0].first);
      CAPTURE(from);
      CHECK(sharpest_bend(output) < 0.003F);
    }
}

TEST_CASE("a room rings to its end without a pause longer than it says, and resets to silence") {
  Effect reverb("reverb");
  CHECK(reverb->rings());
  CHECK(reverb->has_mix());
  CHECK(reverb->memory_frames() == 0);
  reverb.set("decay_s", 0.5F);
  reverb.set("pre_delay_ms", 200);
  const std::vector<float> tail = reverb.play(click(96000)).left;
  int pause = 0;
  int longest = 0;
  for (size_t i = 0; i < 48000; ++i) {
    pause = std::abs(tail[i]) > 1e-5F ? 0 : pause + 1;
    longest = std::max(longest, pause);
  }
  CHECK(longest <= reverb->pause_frames());
  CHECK(longest >= 9599);
  CHECK(peak({tail.begin() + 72000, tail.end()}) < 1e-6F);  // 1.5 s are 180 dB
  reverb->reset();
  CHECK(peak(reverb.play(std::vector<float>(48000)).left) == 0);
  reverb->reset();
  CHECK(reverb.play(click(96000)).left == tail);
}
