#include "blocks/safety.hpp"

#include <doctest/doctest.h>

#include <cmath>

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

TEST_CASE("direct current is gone after half a second, and at once where it is known") {
  std::vector<float> signal(24000, 0.5F);
  DcBlocker blocker(48000);
  blocker.process(signal.data(), 24000);
  CHECK(signal.front() > 0.49F);
  CHECK(std::abs(signal.back()) < 1e-6F);  // exp(-2 pi 5 Hz * 0.5 s) * 0.5 = 7e-8, and rounding
  std::vector<float> known(64, 0.5F);
  blocker.reset(0.5F);
  blocker.process(known.data(), 64);
  for (const float v : known) CHECK(v == 0);
}

TEST_CASE("the low E of a bass passes the direct-current stage") {
  // 41 Hz through a first-order 5 Hz high-pass: -0.06 dB.
  std::vector<float> signal(48000);
  for (size_t i = 0; i < signal.size(); ++i)
    signal[i] = std::sin(static_cast<float>(i) * 2 * 3.14159265F * 41 / 48000);
  DcBlocker(48000).process(signal.data(), 48000);
  CHECK(test::peak({signal.begin() + 24000, signal.end()}) ==
        doctest::Approx(0.993).epsilon(0.002));
}
