#include <complex>
#include <numbers>

#include "effect.hpp"
#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;

namespace {

/// Echoes that are nothing but late and quieter.
Effect plain(float time_ms, float feedback, float spread = 0, int rate_hz = 48000) {
  Effect delay("delay", rate_hz);
  delay.set("time_ms", time_ms);
  delay.set("feedback", feedback);
  delay.set("spread", spread);
  delay.set("low_cut_hz", 20);
  delay.set("high_cut_hz", 20000);
  return delay;
}

}  // namespace

TEST_CASE("echoes come at their time, each quieter by the feedback, and nothing between them") {
  for (const int rate : {8000, 48000, 192000}) {
    Effect delay = plain(100, 0.5F, 0, rate);
    const size_t time = static_cast<size_t>(rate) / 10;
    const Sound sound = delay.play(click(5 * time));
    for (size_t i = 0; i < sound.left.size(); ++i) {
      const bool echo = i > 0 && i % time == 0;
      const float expected = echo ? std::pow(0.5F, static_cast<float>(i / time - 1)) : 0;
      REQUIRE(sound.left[i] == expected);
      REQUIRE(sound.right[i] == expected);
    }
  }
}

TEST_CASE("spread throws echoes from the left to the right and back") {
  Effect delay = plain(10, 0.5F, 1);
  const Sound sound = delay.play(click(2000), 64, click(2000));
  CHECK(sound.left[480] == 1);
  CHECK(sound.right[480] == 0);
  CHECK(sound.left[960] == 0);
  CHECK(sound.right[960] == 0.5F);
  CHECK(sound.left[1440] == 0.25F);
}

TEST_CASE("each echo goes through both cuts once more") {
  Effect delay("delay");
  delay.set("time_ms", 100);
  delay.set("feedback", 0.5F);
  delay.set("low_cut_hz", 200);
  delay.set("high_cut_hz", 3000);
  const std::vector<float> wave = delay.play(click(24000)).left;
  for (const double hz : {200.0, 3000.0})
    for (size_t echo = 1; echo <= 3; ++echo) {
      std::complex<double> sum = 0;
      for (size_t i = 0; i < 4800; ++i)
        sum += static_cast<double>(wave[4800 * echo + i]) *
               std::polar(1.0, -2 * std::numbers::pi * hz * static_cast<double>(i) / 48000);
      const double level_db = 20 * std::log10(std::abs(sum));
      const auto n = static_cast<double>(echo);
      // -3.01 dB a round; the other cut takes less than 0.02 dB of it, and 100 ms hold it all.
      CHECK(level_db == doctest::Approx(-3.01 * n - 6.02 * (n - 1)).epsilon(0.02));
    }
}

TEST_CASE("a new time is a straight fade of 50 ms from one place to the other") {
  Effect delay = plain(100, 0);
  const std::vector<float> input = noise(24000, 1);
  delay.play({input.begin(), input.begin() + 9600});
  delay.set("time_ms", 150, false);
  const std::vector<float> output = delay.play({input.begin() + 9600, input.end()}).left;
  for (size_t i = 0; i < output.size(); ++i) {
    const float weight = std::min(1.0F, static_cast<float>(i + 1) / 2400);
    const float expected = (1 - weight) * input[9600 + i - 4800] + weight * input[9600 + i - 7200];
    REQUIRE(std::abs(output[i] - expected) <= 1e-6F);  // float32 rounding
  }
}

TEST_CASE("of many new times the last one wins, whatever the block length") {
  const std::vector<float> input = noise(19200, 1);
  const auto swept = [&](int block) {
    Effect delay = plain(50, 0.4F, 0.5F);
    Sound all;
    for (size_t at = 0; at < input.size(); at += 448) {
      if (at < 9600) delay.set("time_ms", 1 + static_cast<float>(at) / 100, false);
      const size_t end = std::min(at + 448, input.size());
      const Sound part = delay.play({input.data() + at, input.data() + end}, block);
      all.left.insert(all.left.end(), part.left.begin(), part.left.end());
      all.right.insert(all.right.end(), part.right.begin(), part.right.end());
    }
    CHECK(delay->pause_frames() == 4564);  // 1 + 9408 / 100 ms
    return all;
  };
  const Sound truth = swept(64);
  for (const int block : {1, 7}) {
    const Sound cut = swept(block);
    CHECK(cut.left == truth.left);
    CHECK(cut.right == truth.right);
  }
}

TEST_CASE("a new time does not click") {
  Effect delay = plain(100, 0.5F);
  const std::vector<float> input = sine(96000, 500, 0.3);
  const std::vector<float> before = delay.play({input.begin(), input.begin() + 48000}).left;
  delay.set("time_ms", 123.4F, false);
  const std::vector<float> output = delay.play({input.begin() + 48000, input.end()}).left;
  // 100 ms are whole periods: all echoes add up to 0.6, and nothing gets louder. A frame of the
  // sine is 0.0393 then, and the fade walks 1 / 2400 of what both places differ by, 1.2 at most.
  const float bound = 0.6F * 2 * 3.14159265F * 500 / 48000 + 1.2F / 2400;
  CHECK(largest_step(output) <= bound);
  CHECK(std::abs(output[0] - before.back()) <= bound);
}

TEST_CASE("beats follow the tempo and halve until they fit") {
  Effect delay = plain(350, 0);
  delay.set("beats", 0.5F);
  CHECK(delay->pause_frames() == 12000);  // 120 a minute until somebody says otherwise
  delay->set_tempo(100, true);
  CHECK(delay->pause_frames() == 14400);
  delay.set("beats", 4);
  delay->set_tempo(30, true);
  CHECK(delay->pause_frames() == 96000);  // 8 s, halved twice
  const std::vector<float> wave = delay.play(click(96001)).left;
  CHECK(wave[96000] == 1);
  delay.set("beats", 0);
  CHECK(delay->pause_frames() == 16800);
}

TEST_CASE("the most feedback stays bounded and dies away") {
  Effect delay("delay");
  delay.set("time_ms", 1);
  delay.set("feedback", 0.95F);
  delay.set("spread", 1);
  std::vector<float> input = noise(48000, 1);
  for (float& v : input) v = v > 0 ? 1.0F : -1.0F;
  const std::vector<float> loud = delay.play(input).left;
  CHECK(peak(loud) <= 20);  // 1 / (1 - 0.95)
  const std::vector<float> tail = delay.play(std::vector<float>(48000)).left;
  // 0.95 a millisecond: 1000 rounds, of which 500 suffice for 200 dB.
  CHECK(peak({tail.begin() + 24000, tail.end()}) <= 20 * std::pow(0.95F, 500.0F));
}

TEST_CASE("knobs of a delay do not depend on the block length") {
  const std::vector<float> input = noise(9600, 1);
  const auto turned = [&](int block) {
    Effect delay("delay");
    delay.set("time_ms", 3);
    delay.set("spread", 1, false);
    delay.set("feedback", 0.9F, false);
    delay.set("high_cut_hz", 2000, false);
    delay.set("low_cut_hz", 20, false);
    return delay.play(input, block);
  };
  const Sound truth = turned(64);
  for (const int block : {1, 7}) {
    const Sound cut = turned(block);
    CHECK(cut.left == truth.left);
    CHECK(cut.right == truth.right);
  }
}

TEST_CASE("a delay rings in stereo, and is silent after a reset") {
  Effect delay("delay");
  CHECK(delay->rings());
  CHECK(delay->has_mix());
  CHECK(delay->memory_frames() == 0);
  CHECK(delay.play(noise(48000, 1)).right.size() == 48000);
  delay->reset();
  CHECK(peak(delay.play(std::vector<float>(48000)).left) == 0);
}
