#include "blocks/safety.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "fixtures.hpp"

using namespace amp;

TEST_CASE("what stays under the ceiling passes bit for bit") {
  Ceiling ceiling(48000);
  std::vector<float> left = test::noise(4800, 1);
  for (float& v : left) v *= 0.88F;
  std::vector<float> right = left;
  const std::vector<float> before = left;
  float* channels[2] = {left.data(), right.data()};
  ceiling.process(channels, static_cast<int>(left.size()));
  CHECK(left == before);
  CHECK(right == before);
}

TEST_CASE("nothing gets over -1 dBFS, not even what is not a number") {
  Ceiling ceiling(48000);
  std::vector<float> left = test::noise(4800, 1);
  for (size_t i = 0; i < left.size(); ++i) left[i] *= 20;
  left[100] = NAN;
  left[200] = INFINITY;
  left[300] = -3e38F;
  std::vector<float> right = left;
  float* channels[2] = {left.data(), right.data()};
  ceiling.process(channels, static_cast<int>(left.size()));
  for (const float v : left) {
    REQUIRE(std::isfinite(v));
    REQUIRE(std::abs(v) <= kCeiling);
  }
}

TEST_CASE("a peak that is over is forgotten, bit for bit") {
  Ceiling ceiling(48000);
  std::vector<float> left(3 * 48000);
  for (size_t i = 0; i < left.size(); ++i)
    left[i] = 0.5F * std::sin(static_cast<float>(i % 48) * 0.1309F);
  left[10] = 4;
  std::vector<float> right = left;
  const std::vector<float> before = left;
  float* channels[2] = {left.data(), right.data()};
  ceiling.process(channels, static_cast<int>(left.size()));
  CHECK(left[60] != before[60]);
  // 2 s are 25 times its 80 ms: of a factor of 0.78 less than half a float's last bit is left.
  for (const auto* side : {&left, &right})
    CHECK(std::equal(side->begin() + 2 * 48000, side->end(), before.begin() + 2 * 48000));
}

TEST_CASE("direct current is gone once the stage forgets its beginning, at once where known") {
  std::vector<float> signal(24000, 0.5F);
  DcBlocker blocker(48000);
  blocker.process(signal.data(), 24000);
  CHECK(signal.front() > 0.49F);
  CHECK(std::abs(signal[2160]) < 1e-6F);  // 45 ms; what is left is rounding
  std::vector<float> known(64, 0.5F);
  blocker.reset(0.5F);
  blocker.process(known.data(), 64);
  for (const float v : known) CHECK(v == 0);
}

TEST_CASE("a direct-current stage that learned for 45 ms is one that had always played") {
  std::vector<float> always = test::noise(20000, 9);
  for (size_t i = 0; i < always.size(); ++i) always[i] += 0.3F + 1e-5F * static_cast<float>(i);
  std::vector<float> later(always.begin() + 9000, always.end());
  DcBlocker old(48000);
  DcBlocker young(48000);
  old.process(always.data(), static_cast<int>(always.size()));
  young.reset(-0.2F);
  young.learn();
  young.process(later.data(), static_cast<int>(later.size()));
  // Both round to float32 at about 1; the sums behind them are doubles.
  CHECK(test::largest_difference({later.begin() + 2160, later.end()},
                                 {always.begin() + 11160, always.end()}) < 2e-7F);
}

TEST_CASE("the strings of a guitar and of a bass pass the direct-current stage") {
  // |1 - h|, h the first-order low-pass of 8 Hz less what it gave 2160 frames before: the low B,
  // E and A of a bass, the low E of a guitar.
  for (const auto& [hz, expected] :
       {std::pair{31.0F, 0.9513F}, {41.0F, 0.9995F}, {55.0F, 0.9869F}, {82.4F, 1.0051F}}) {
    CAPTURE(hz);
    std::vector<float> signal(48000);
    for (size_t i = 0; i < signal.size(); ++i)
      signal[i] = std::sin(static_cast<float>(i) * 2 * std::numbers::pi_v<float> * hz / 48000);
    DcBlocker(48000).process(signal.data(), 48000);
    CHECK(test::peak({signal.begin() + 24000, signal.end()}) ==
          doctest::Approx(expected).epsilon(0.002));
  }
}
