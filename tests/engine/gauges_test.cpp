#include "gauges.hpp"

#include <doctest/doctest.h>

#include <cmath>

#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;

namespace {

double rms(const std::vector<float>& signal) {
  double energy = 0;
  for (const float sample : signal) energy += static_cast<double>(sample) * sample;
  return std::sqrt(energy / static_cast<double>(signal.size()));
}

BlockSpec gain(const std::string& name, float db) {
  return {.kind = "gain", .name = name, .values = {{"gain_db", db}}, .model = ""};
}

}  // namespace

TEST_CASE("the meters tell peak and mean square of what came in and of what went out") {
  Rack rack(true);
  rack.park_clean(0, -6);
  rack.engine.select(0, false);
  rack.play(std::vector<float>(24000));
  static_cast<void>(rack.engine.levels());
  const std::vector<float> input = noise(10000, 3);
  const std::vector<float> output = rack.play(input, 37);
  const Levels levels = rack.engine.levels();
  // A float sum of 37 squares is off by less than 37 roundings.
  CHECK(levels.in.rms == doctest::Approx(rms(input)).epsilon(4e-6));
  CHECK(levels.left.rms == doctest::Approx(rms(output)).epsilon(4e-6));
  CHECK(levels.right.rms == levels.left.rms);
  CHECK(levels.in.peak == peak(input));
  CHECK(levels.left.peak == peak(output));
  CHECK(levels.right.peak == peak(output));
}

TEST_CASE("a level is told once") {
  Rack rack;
  rack.play(noise(1000, 4));
  CHECK(rack.engine.levels().in.peak > 0);
  rack.play(std::vector<float>(1000));
  const Levels levels = rack.engine.levels();
  CHECK(levels.in.peak == 0);
  // What is left is rounding of a sum that came near 1000.
  CHECK(levels.in.rms < 1e-6);
}

TEST_CASE("a share is told no lower than it is, and no more than a thirty-second higher") {
  constexpr int64_t kPeriod = 1'333'333;
  for (int64_t spent = 43; spent < 8 * kPeriod; spent += 1 + spent / 50) {
    ShareCounts counts;
    counts.add(spent, kPeriod);
    int step = 0;
    while (counts.count(step) == 0) ++step;
    const double share = static_cast<double>(spent) / kPeriod;
    CAPTURE(spent);
    // The scale counts millionths of a period; one of them is lost to rounding down.
    CHECK(ShareCounts::share(step) >= share - 1e-6);
    CHECK(ShareCounts::share(step) <= share * (1 + 1.0 / 32) + 1e-6);
    CHECK(counts.take_highest() == doctest::Approx(share).epsilon(1e-6).scale(1));
    CHECK(counts.take_highest() == 0);
  }
}

TEST_CASE("nothing is beside the scale: no time at all, a hundred periods") {
  ShareCounts counts;
  counts.add(0, 1000);
  counts.add(100'000, 1000);
  uint32_t counted = 0;
  for (int step = 0; step < ShareCounts::kSteps; ++step) counted += counts.count(step);
  CHECK(counted == 2);
  CHECK(counts.take_highest() == doctest::Approx(8).epsilon(1e-6));
}

TEST_CASE("each block of the rig that is heard is told in every callback") {
  Rack rack;
  const Chain* const chain =
      rack.park(0, {.values = {}, .blocks = {gain("boost", 1), gain("boost2", 2)}});
  CHECK(chain->block_names() == std::vector<std::string>{"boost", "boost2"});
  rack.park(1, {.values = {}, .blocks = {gain("boost", 1)}});
  rack.engine.select(0, false);
  rack.play(noise(24000, 5));
  static_cast<void>(rack.engine.load());
  rack.play(noise(64 * 100, 6), 64);
  const Load load = rack.engine.load();
  CHECK(load.slot == 0);
  CHECK(load.whole.callbacks == 100);
  REQUIRE(load.blocks.size() == 2);
  for (const Shares& block : load.blocks) {
    CHECK(block.callbacks == 100);
    CHECK(block.p50 > 0);
    CHECK(block.p50 <= block.p99);
    CHECK(block.p99 <= block.maximum);
    CHECK(block.maximum <= load.whole.maximum);
  }
  rack.engine.select(1, false);
  rack.play(noise(24000, 7));
  CHECK(rack.engine.load().blocks.empty());  // two rigs in one reading
  rack.play(noise(64 * 100, 8), 64);
  const Load other = rack.engine.load();
  CHECK(other.slot == 1);
  REQUIRE(other.blocks.size() == 1);
  CHECK(other.blocks[0].callbacks == 100);
}

TEST_CASE("a callback of many frames is one share of each block") {
  Rack rack;
  rack.park(0, {.values = {}, .blocks = {gain("boost", 1)}});
  rack.engine.select(0, false);
  rack.play(noise(24000, 9));
  static_cast<void>(rack.engine.load());
  rack.play(noise(4096 * 5, 10), 4096);
  const Load load = rack.engine.load();
  CHECK(load.whole.callbacks == 5);
  REQUIRE(load.blocks.size() == 1);
  CHECK(load.blocks[0].callbacks == 5);
}
