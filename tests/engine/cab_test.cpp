#include <doctest/doctest.h>

#include <cmath>
#include <complex>
#include <numbers>

#include "blocks/speaker.hpp"
#include "blocks/table.hpp"
#include "dsp/convolver.hpp"
#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;

namespace {

using Sound = std::vector<std::vector<float>>;

enum Param { kLowCut, kHighCut };

constexpr int kRateHz = 48000;
constexpr double kTwoPi = 2 * std::numbers::pi;

std::unique_ptr<Block> cab(const dsp::Response& file, int file_rate_hz = kRateHz,
                           int rate_hz = kRateHz) {
  BlockSpec spec{.kind = "cab", .name = "cab", .values = {}, .model = {}};
  if (!file.empty())
    spec.impulse = std::make_shared<Impulse>(
        Impulse{.name = "room.wav", .sample_rate_hz = file_rate_hz, .channels = file});
  BuildContext context{.sample_rate_hz = rate_hz, .isa = dsp::best_isa(), .models = {}};
  return make_block(spec, context);
}

/// What changes nothing but for its cuts.
std::unique_ptr<Block> click(int rate_hz = kRateHz) {
  return cab({{1.0F}}, rate_hz, rate_hz);
}

dsp::Response noisy(int channels, size_t frames) {
  dsp::Response file;
  for (int c = 0; c < channels; ++c) file.push_back(noise(frames, 7U + static_cast<unsigned>(c)));
  return file;
}

/// Play on from where `block` stands, in calls of `length` frames.
Sound play(Block& block, const Sound& input, int length = 64) {
  Sound output = {input.front(), input.back()};
  const auto frames = static_cast<int>(input.front().size());
  Signal signal;
  for (int at = 0; at < frames; at += length) {
    signal = {.channel = {output[0].data() + at, output[1].data() + at},
              .width = static_cast<int>(input.size()),
              .frames = std::min(length, frames - at)};
    block.process(signal);
  }
  output.resize(static_cast<size_t>(signal.width));
  return output;
}

std::vector<float> stretch(const std::vector<float>& sound, size_t from, size_t count) {
  return {sound.begin() + static_cast<ptrdiff_t>(from),
          sound.begin() + static_cast<ptrdiff_t>(from + count)};
}

std::vector<float> sine(double hz, size_t frames, int rate_hz = kRateHz) {
  std::vector<float> signal(frames);
  for (size_t i = 0; i < frames; ++i)
    signal[i] = static_cast<float>(std::sin(kTwoPi * hz * static_cast<double>(i) / rate_hz));
  return signal;
}

/// The level of `block` at `hz`, in dB: its response to one click, as it stands.
double level_db(Block& block, double hz, int rate_hz = kRateHz) {
  block.reset();
  std::vector<float> input(static_cast<size_t>(rate_hz));
  input[0] = 1;
  const std::vector<float> answer = play(block, {input}).front();
  std::complex<double> sum = 0;
  for (size_t i = 0; i < answer.size(); ++i)
    sum += static_cast<double>(answer[i]) *
           std::polar(1.0, -kTwoPi * hz * static_cast<double>(i) / rate_hz);
  return 20 * std::log10(std::abs(sum));
}

float largest_step(const std::vector<float>& signal) {
  float most = 0;
  for (size_t i = 1; i < signal.size(); ++i)
    most = std::max(most, std::abs(signal[i] - signal[i - 1]));
  return most;
}

std::string refusal(const dsp::Response& file, int rate_hz) {
  try {
    cab(file, rate_hz);
  } catch (const nn::LoadError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

// Oracle: the direct sum in float64 with the response as it is prepared. 2e-6 of peak, as all nets.
TEST_CASE("a cab plays its response from the frame of the click on") {
  for (const int channels : {1, 2}) {
    const dsp::Response file = noisy(channels, 500);
    const dsp::Response response = dsp::prepare_response(file, kRateHz, kRateHz);
    const std::unique_ptr<Block> block = cab(file);
    CHECK(block->latency_frames() == 0);
    CHECK(block->has_mix());
    CHECK(block->default_mix() == 1);
    CHECK_FALSE(block->rings());
    const std::vector<float> input = noise(1500, 1);
    const Sound output = play(*block, {input});
    REQUIRE(static_cast<int>(output.size()) == channels);
    for (size_t c = 0; c < output.size(); ++c) {
      double worst = 0;
      for (size_t n = 0; n < input.size(); ++n) {
        double sum = 0;
        for (size_t j = 0; j < response[c].size() && j <= n; ++j)
          sum += static_cast<double>(response[c][j]) * static_cast<double>(input[n - j]);
        worst = std::max(worst, std::abs(sum - static_cast<double>(output[c][n])));
      }
      CHECK(worst <= 2e-6 * static_cast<double>(peak(output[c])));
    }
  }
}

TEST_CASE("a cab sounds the same for every block length while its cuts move, and after a reset") {
  for (const int channels : {1, 2})
    for (const size_t width : {1, 2}) {
      CAPTURE(channels);
      CAPTURE(width);
      const std::unique_ptr<Block> block = cab(noisy(channels, 300));
      Sound input = {noise(448, 1), noise(448, 2)};
      input.resize(width);
      const auto song = [&](int length) {
        block->set(kLowCut, 100, true);
        block->set(kHighCut, 20000, true);
        block->reset();
        Sound all;
        for (const float hz : {100.0F, 800.0F, 20.0F, 300.0F}) {
          block->set(kLowCut, hz, false);
          block->set(kHighCut, hz * 12, false);
          const Sound output = play(*block, input, length);
          all.insert(all.end(), output.begin(), output.end());
        }
        return all;
      };
      const Sound whole = song(64);
      for (const int length : {1, 7, 63}) CHECK(song(length) == whole);
    }
}

TEST_CASE("cuts that are off change no bit, nor after they were on") {
  const dsp::Response file = noisy(1, 300);
  const std::unique_ptr<Block> plain = cab(file);
  const std::unique_ptr<Block> turned = cab(file);
  const std::vector<float> input = noise(6400, 3);
  Sound expected = play(*plain, {input});
  dsp::Convolver bare(dsp::prepare_response(file, kRateHz, kRateHz), dsp::best_isa());
  std::vector<float> direct = input;
  for (int at = 0; at < 6400; at += 64) bare.process({&direct[static_cast<size_t>(at)]}, 1, 64);
  CHECK(expected[0] == direct);

  turned->set(kLowCut, 200, false);
  turned->set(kHighCut, 4000, false);
  const std::vector<float> on = play(*turned, {stretch(input, 0, 3200)}).front();
  CHECK(largest_difference(on, stretch(direct, 0, 3200)) > 0.1F);
  turned->set(kLowCut, 20, false);
  turned->set(kHighCut, 20000, false);
  const std::vector<float> off = play(*turned, {stretch(input, 3200, 3200)}).front();
  const auto settled = static_cast<size_t>(480 + turned->memory_frames());
  CHECK(stretch(off, settled, 3200 - settled) == stretch(direct, 3200 + settled, 3200 - settled));
}

// Oracle: Butterworth of order 2, 1 / (1 + (f / cutoff)^4), with frequencies bent as the
// trapezoidal rule bends them.
TEST_CASE("a cut is 3 dB down where it stands and falls by 12 dB an octave") {
  for (const int rate_hz : {44100, 48000, 192000}) {
    const std::unique_ptr<Block> block = click(rate_hz);
    const double flat = level_db(*block, 1000, rate_hz);
    CHECK(std::abs(flat) <= 0.01);
    const auto bent = [&](double hz) { return std::tan(std::numbers::pi * hz / rate_hz); };
    for (const double cutoff : {21.0, 100.0, 1000.0})
      for (const double hz : {0.5 * cutoff, cutoff, 4 * cutoff}) {
        block->set(kLowCut, static_cast<float>(cutoff), true);
        const double truth = -10 * std::log10(1 + std::pow(bent(cutoff) / bent(hz), 4));
        CHECK(level_db(*block, hz, rate_hz) - flat == doctest::Approx(truth).epsilon(0.005));
      }
    block->set(kLowCut, 20, true);
    for (const double cutoff : {1000.0, 8000.0, 19900.0})
      for (const double hz : {0.5 * cutoff, cutoff, 1.08 * cutoff}) {
        block->set(kHighCut, static_cast<float>(cutoff), true);
        const double truth = -10 * std::log10(1 + std::pow(bent(hz) / bent(cutoff), 4));
        CHECK(level_db(*block, hz, rate_hz) - flat == doctest::Approx(truth).epsilon(0.005));
      }
  }
}

// A step of a sine is at most 2 pi hz / rate; a click is many times that. 1.05: as R6.
TEST_CASE("a cut that is turned, on or off does not click") {
  for (const double hz : {82.0, 220.0, 997.0})
    for (const int param : {kLowCut, kHighCut}) {
      CAPTURE(hz);
      CAPTURE(param);
      const std::unique_ptr<Block> block = click();
      const std::vector<float> input = sine(hz, 8000);
      const float steady = largest_step(input);
      std::vector<float> output;
      const float off = param == kLowCut ? 20 : 20000;
      size_t at = 0;
      for (const float cutoff : {off, 1000.0F, 1010.0F, 300.0F + 900.0F * static_cast<float>(param),
                                 off, 500.0F + 600.0F * static_cast<float>(param), off}) {
        block->set(param, cutoff, false);
        const std::vector<float> now = play(*block, {stretch(input, at, 1000)}).front();
        output.insert(output.end(), now.begin(), now.end());
        at += 1000;
      }
      CHECK(largest_step(output) <= 1.05F * steady);
      CHECK(largest_difference(output, stretch(input, 0, output.size())) > 0.02F);
    }
}

// Without cuts bit for bit; the filters' charge is 120 dB down, and as much again of rounding.
TEST_CASE("a cab depends on its memory alone where it starts on the grid") {
  const std::vector<float> input = noise(24000, 5);
  for (const float low_cut : {20.0F, 21.0F, 120.0F}) {
    CAPTURE(low_cut);
    const std::unique_ptr<Block> block = cab(noisy(1, 700));
    block->set(kLowCut, low_cut, true);
    block->set(kHighCut, low_cut == 20 ? 20000 : 5000, true);
    const std::vector<float> whole = play(*block, {input}).front();
    const auto grid = static_cast<size_t>(block->grid_frames());
    CHECK(grid == 64);
    const size_t from = 20 * grid;
    const auto memory = static_cast<size_t>(block->memory_frames());
    REQUIRE(from + memory < input.size());
    block->reset();
    const std::vector<float> late =
        play(*block, {stretch(input, from, input.size() - from)}).front();
    const size_t count = late.size() - memory;
    const float difference =
        largest_difference(stretch(late, memory, count), stretch(whole, from + memory, count));
    CHECK(difference <= (low_cut == 20 ? 0 : 4e-6F * peak(whole)));
  }
}

TEST_CASE("a cab of another rate's response is that sound at the engine's") {
  // Oracle: the level at each frequency does not depend on the engine's rate.
  dsp::Response file = built_in_speaker(44100);
  const std::unique_ptr<Block> own = cab(file, 44100, 44100);
  const std::unique_ptr<Block> other = cab(file, 44100, 48000);
  for (const double hz : {50.0, 110.0, 450.0, 2800.0, 6000.0, 9000.0})
    CHECK(level_db(*other, hz, 48000) == doctest::Approx(level_db(*own, hz, 44100)).epsilon(0.003));
}

// Figures of the design: a closed box below, presence, and a steep fall above 5 kHz, without which
// a distorted amp is a swarm of bees.
TEST_CASE("a cab without a file is a guitar speaker at every rate") {
  for (const int rate_hz : {44100, 48000, 96000}) {
    CAPTURE(rate_hz);
    const std::unique_ptr<Block> block = cab({}, 0, rate_hz);
    const auto at = [&](double hz) { return level_db(*block, hz, rate_hz); };
    CHECK(at(110) > at(80) + 1);
    CHECK(at(110) > at(450) + 3);
    CHECK(at(40) < at(110) - 12);
    CHECK(at(2800) > at(450) + 9);
    CHECK(at(2800) > at(5000) + 6);
    CHECK(at(10000) < at(2800) - 40);
    CHECK(at(15000) < at(2800) - 60);
    CHECK(block->memory_frames() <= 0.043 * rate_hz);
  }
}

TEST_CASE("a cab takes two sides as they come") {
  const std::unique_ptr<Block> mono = cab(noisy(1, 300));
  const std::vector<float> left = noise(1000, 1);
  const std::vector<float> right = noise(1000, 2);
  const Sound both = play(*mono, {left, right});
  mono->reset();
  CHECK(largest_difference(both[0], play(*mono, {left}).front()) <= 1e-6F * peak(both[0]));
  mono->reset();
  CHECK(largest_difference(both[1], play(*mono, {right}).front()) <= 1e-6F * peak(both[1]));
}

TEST_CASE("a cab whose file is no response is refused with its place and name") {
  CHECK(refusal({{1.0F}}, 48000) == "accepted");
  CHECK(refusal({{0.0F}}, 48000) == "chain.cab: room.wav is silent, expected an impulse response.");
  CHECK(refusal({{1.0F}}, 5) ==
        "chain.cab: room.wav has a sample rate of 5 Hz, expected 8000 to 768000 Hz.");
}
