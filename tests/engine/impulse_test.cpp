#include "dsp/impulse.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <complex>
#include <numbers>

#include "blocks/speaker.hpp"
#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;

namespace {

constexpr double kTwoPi = 2 * std::numbers::pi;

/// `sound` of time in seconds, sampled for 60 ms.
template <class Function>
std::vector<float> sample(Function sound, int rate_hz) {
  std::vector<float> samples(static_cast<size_t>(0.060 * rate_hz));
  for (size_t i = 0; i < samples.size(); ++i)
    samples[i] = static_cast<float>(sound(static_cast<double>(i) / rate_hz));
  return samples;
}

/// The error of a resampled response against the sound sampled at the other rate, of peak.
template <class Function>
double resampling_error(Function sound, int from_hz, int to_hz) {
  const std::vector<float> found = dsp::resample(sample(sound, from_hz), from_hz, to_hz);
  const std::vector<float> truth = sample(sound, to_hz);
  const double scale = static_cast<double>(to_hz) / from_hz;
  double worst = 0;
  for (size_t i = 0; i < truth.size(); ++i)
    worst = std::max(
        worst, std::abs(scale * static_cast<double>(found[i]) - static_cast<double>(truth[i])));
  return worst / static_cast<double>(peak(truth));
}

std::complex<double> response_at(const std::vector<float>& response, double hz, int rate_hz) {
  std::complex<double> sum = 0;
  for (size_t i = 0; i < response.size(); ++i)
    sum += static_cast<double>(response[i]) *
           std::polar(1.0, -kTwoPi * hz * static_cast<double>(i) / rate_hz);
  return sum;
}

template <class Check>
void for_every_pair(Check check) {
  for (const int from_hz : {22050, 44100, 48000, 96000, 192000})
    for (const int to_hz : {44100, 48000, 96000}) {
      if (from_hz == to_hz) continue;
      CAPTURE(from_hz);
      CAPTURE(to_hz);
      check(from_hz, to_hz);
    }
}

/// Pink noise of 80 Hz to 5 kHz, a second that repeats: a sine at every whole Hz, in random phase.
std::vector<float> pink_noise(int rate_hz) {
  const std::vector<float> phases = noise(5001, 1);
  std::vector<float> pink(static_cast<size_t>(rate_hz));
  for (int hz = 80; hz <= 5000; ++hz)
    for (size_t i = 0; i < pink.size(); ++i)
      pink[i] += static_cast<float>(
          std::sin(kTwoPi * (static_cast<double>(hz) * static_cast<double>(i) / rate_hz +
                             static_cast<double>(phases[static_cast<size_t>(hz)]))) /
          std::sqrt(hz));
  return pink;
}

double rms(const std::vector<float>& signal) {
  double sum = 0;
  for (const float v : signal) sum += static_cast<double>(v) * static_cast<double>(v);
  return std::sqrt(sum / static_cast<double>(signal.size()));
}

/// By how much repeating `sound` is louder through `response`, in dB.
double gain_db(const std::vector<float>& response, const std::vector<float>& sound) {
  std::vector<float> out(sound.size());
  for (size_t n = 0; n < sound.size(); ++n)
    for (size_t j = 0; j < response.size(); ++j)
      out[n] += response[j] * sound[(n + sound.size() - j) % sound.size()];
  return 20 * std::log10(rms(out) / rms(sound));
}

std::string refusal(const dsp::Response& file, int rate_hz = 48000) {
  try {
    dsp::prepare_response(file, rate_hz, 48000);
  } catch (const std::invalid_argument& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

// Oracle: the same sound, sampled at the other rate. 1e-4: -80 dB. The bursts have 340 Hz to either
// side until they are 80 dB down.
TEST_CASE("a response of another rate is the same sound within -80 dB") {
  for_every_pair([](int from_hz, int to_hz) {
    const double limit_hz = 0.45 * std::min(from_hz, to_hz) - 340;
    for (const double hz : {100.0, 1000.0, 5000.0, 0.5 * limit_hz, limit_hz}) {
      const auto burst = [hz](double t) {
        const double place = (t - 0.025) / 0.002;
        return std::exp(-0.5 * place * place) * std::sin(kTwoPi * hz * t);
      };
      CHECK_MESSAGE(resampling_error(burst, from_hz, to_hz) <= 1e-4, hz << " Hz");
    }
    const auto decaying = [](double t) {
      return t * t * t *
             (std::exp(-t / 0.002) * std::sin(kTwoPi * 800 * t) +
              std::exp(-t / 0.0005) * std::sin(kTwoPi * 2500 * t));
    };
    CHECK(resampling_error(decaying, from_hz, to_hz) <= 1e-4);
  });
}

// Oracle: the Fourier sum of the file itself. A speaker starts within a few frames, so that what is
// lost before the first one counts here. At 22.05 kHz it has too much sound at the upper end.
TEST_CASE("a speaker's frequency response is kept at another rate within -80 dB") {
  for_every_pair([](int from_hz, int to_hz) {
    if (from_hz < 44100) return;
    const std::vector<float> file = built_in_speaker(from_hz).front();
    const std::vector<float> found = dsp::resample(file, from_hz, to_hz);
    double most = 0;
    double worst = 0;
    for (double hz = 20; hz <= 0.45 * std::min(from_hz, to_hz); hz *= 1.02) {
      const std::complex<double> truth = response_at(file, hz, from_hz);
      most = std::max(most, std::abs(truth));
      worst = std::max(worst, std::abs(response_at(found, hz, to_hz) - truth));
    }
    CHECK(worst <= 1e-4 * most);
  });
}

// 23 kHz lies beyond half of 44.1 kHz; folded it would be heard at 21.1 kHz.
TEST_CASE("what the lower rate cannot hold does not come back as another tone") {
  const auto burst = [](double t) {
    const double place = (t - 0.025) / 0.002;
    return std::exp(-0.5 * place * place) * std::sin(kTwoPi * 23000 * t);
  };
  for (const int from_hz : {48000, 96000, 192000})
    CHECK(peak(dsp::resample(sample(burst, from_hz), from_hz, 44100)) <= 1e-4F);
}

// Oracle: pink noise, played through. 0.1 dB: its 4921 lines are not the integral.
TEST_CASE("pink noise passes a response at 0 dB, however loud its file is") {
  const std::vector<float> pink = pink_noise(48000);
  for (const float level : {1e-6F, 1.0F, 1e3F}) {
    dsp::Response file = built_in_speaker(48000);
    file.front().resize(1000);
    for (float& v : file.front()) v *= level;
    const dsp::Response ready = dsp::prepare_response(file, 48000, 48000);
    CHECK(std::abs(gain_db(ready.front(), pink)) <= 0.1);
  }
}

TEST_CASE("the sides of a stereo response keep their balance, and together pass 0 dB") {
  dsp::Response file = {built_in_speaker(48000).front(), {}};
  file[0].resize(500);
  file[1] = file[0];
  for (float& v : file[1]) v *= 0.5F;
  const dsp::Response ready = dsp::prepare_response(file, 48000, 48000);
  for (size_t i = 0; i < file[0].size(); ++i)
    REQUIRE(ready[1][i] == doctest::Approx(0.5 * static_cast<double>(ready[0][i])).epsilon(1e-6));
  // 1 and 1/4 of a power, whose mean is 1.
  CHECK(std::abs(gain_db(ready[0], pink_noise(48000)) - 10 * std::log10(1.6)) <= 0.1);
}

TEST_CASE("a pause of zeros before the sound is cut to 0.25 ms, a short one stays") {
  for (const int rate_hz : {44100, 48000, 96000}) {
    CAPTURE(rate_hz);
    const auto start = [&](int zeros) {
      std::vector<float> file(static_cast<size_t>(zeros + 100));
      file[static_cast<size_t>(zeros)] = 1;
      const std::vector<float> ready = dsp::prepare_response({file}, rate_hz, rate_hz).front();
      return std::find_if(ready.begin(), ready.end(), [](float v) { return v != 0; }) -
             ready.begin();
    };
    const int most = rate_hz / 1000;
    CHECK(start(0) == 0);
    CHECK(start(most) == most);
    CHECK(start(most + 1) == std::lround(0.00025 * rate_hz));
    CHECK(start(10 * rate_hz) == std::lround(0.00025 * rate_hz));
  }
}

TEST_CASE("a pause is cut only where both sides of a response are silent") {
  dsp::Response file(2, std::vector<float>(2000));
  file[0][500] = 1;
  file[1][700] = 1;
  const dsp::Response ready = dsp::prepare_response(file, 48000, 48000);
  CHECK(ready[0][12] > 0);
  CHECK(ready[1][212] > 0);
}

TEST_CASE("a response ends after 200 ms, with a fade, and where its file falls silent") {
  const dsp::Response endless(1, noise(96000, 3));
  const std::vector<float> cut = dsp::prepare_response(endless, 48000, 48000).front();
  REQUIRE(cut.size() == 9600);
  const float factor = cut[0] / endless[0][0];
  CHECK(cut[9119] == doctest::Approx(factor * endless[0][9119]).epsilon(1e-6));
  CHECK(cut[9359] == doctest::Approx(0.5F * factor * endless[0][9359]).epsilon(0.01));
  CHECK(std::abs(cut[9599]) <= 1e-4F * factor);
  dsp::Response short_one = {noise(300, 3)};
  short_one.front().resize(96000);
  const std::vector<float> whole = dsp::prepare_response(short_one, 48000, 48000).front();
  REQUIRE(whole.size() == 300);
  CHECK(whole[299] / whole[0] ==
        doctest::Approx(short_one.front()[299] / short_one.front()[0]).epsilon(1e-6));
}

TEST_CASE("what is no impulse response is refused with what was found and expected") {
  const std::vector<float> good = noise(100, 1);
  std::vector<float> broken = good;
  broken[7] = NAN;
  std::vector<float> alternating(100);
  for (size_t i = 0; i < alternating.size(); ++i) alternating[i] = i % 2 == 0 ? 1.0F : -1.0F;
  for (size_t i = 0; i < alternating.size(); ++i)
    alternating[i] *=
        static_cast<float>(std::exp(-0.01 * std::pow(static_cast<double>(i) - 50, 2)));
  CHECK(refusal({good}) == "accepted");
  CHECK(refusal({}) == "holds no samples, expected an impulse response.");
  CHECK(refusal({{}, {}}) == "holds no samples, expected an impulse response.");
  CHECK(refusal({good, good, good}) ==
        "has 3 channels, expected 1 or 2; export it as mono or stereo.");
  CHECK(refusal({good, {1.0F}}) == "has channels of 100 and 1 frames, expected one length.");
  CHECK(refusal({good, broken}) == "has a sample that is not finite, at frame 7; export it anew.");
  CHECK(refusal({std::vector<float>(100)}) == "is silent, expected an impulse response.");
  CHECK(
      refusal({alternating}) ==
      "has hardly any sound between 80 Hz and 5 kHz, expected the impulse response of a cabinet.");
  for (const int rate_hz : {0, -1, 7999, 768001})
    CHECK(refusal({good}, rate_hz) ==
          "has a sample rate of " + std::to_string(rate_hz) + " Hz, expected 8000 to 768000 Hz.");
  for (const int rate_hz : {8000, 768000}) CHECK(refusal({good}, rate_hz) == "accepted");
}

TEST_CASE("numbers at the ends of float32 leave a response finite") {
  for (const float level : {1e-38F, 3e38F}) {
    std::vector<float> file = noise(2000, 1);
    for (float& v : file) v *= level;
    for (const int rate_hz : {44100, 48000}) {
      const dsp::Response ready = dsp::prepare_response({file}, rate_hz, 48000);
      for (const float v : ready.front()) REQUIRE(std::isfinite(v));
    }
  }
}
