#include "guard.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "fixtures.hpp"
#include "toy.hpp"

using namespace amp;
using namespace amp::test;
using Kind = Fact::Kind;

namespace {

constexpr int kRate = 48000;
constexpr int kPeriod = 64;
constexpr int64_t kPeriodNs = 1'333'333;

/// A guard in front of three blocks, that is told durations.
class Told {
 public:
  Guard guard{kRate};
  int64_t frame = 0;
  std::vector<Guard::Advice> advices;  ///< all but nothing

  /// A callback in which the blocks take these shares of a period, one behind the other.
  Guard::Advice callback(const std::vector<double>& blocks) {
    double whole = 0;
    for (size_t b = 0; b < blocks.size(); ++b) {
      whole += blocks[b];
      guard.note_block(b, ns(blocks[b]));
    }
    frame += kPeriod;
    const Guard::Advice advice = guard.note_callback(ns(whole), kPeriodNs, frame);
    if (advice.block >= 0) advices.push_back(advice);
    return advice;
  }
  /// As many late ones as make a block rest.
  void late(const std::vector<double>& blocks) {
    for (int i = 0; i < 3; ++i) callback(blocks);
  }
  /// The same of a block that has a smaller size.
  void late_in_sizes(const std::vector<double>& blocks) {
    late(blocks);
    guard.offer_smaller();
  }
  [[nodiscard]] std::vector<Plays> plays() const {
    std::vector<Plays> all;
    for (const Guard::Advice& advice : advices) all.push_back(advice.plays);
    return all;
  }
  void callbacks(double seconds, const std::vector<double>& blocks) {
    for (const int64_t end = frame + static_cast<int64_t>(seconds * kRate); frame < end;)
      callback(blocks);
  }

 private:
  static int64_t ns(double share) { return static_cast<int64_t>(share * kPeriodNs); }
};

/// What the engine takes for the time: each look at it is so much later than the one before.
struct FakeClock {
  static inline std::vector<int64_t> steps_ns;
  static inline size_t at;
  static inline int64_t now_ns;

  static int64_t tell() noexcept AMP_RT {
    if (at < steps_ns.size()) now_ns += steps_ns[at++];
    return now_ns;
  }
};

/// An engine of two amps that a host plays, on the fake clock.
class Slow {
 public:
  explicit Slow(const nlohmann::json& first = native_model(4, 3, {1, 2, 4}, 1))
      : engine(kRate, options()) {
    files_.push_back(dir_.write("1.json", first.dump()));
    files_.push_back(dir_.write("2.json", native_model(4, 3, {1, 2, 4}, 2).dump()));
    engine.park(0, engine.build(rig()));
    engine.select(0, false);
    engine.attach(0);
    for (int i = 0; i < 50; ++i) callback(0, 0);
    engine.facts();
  }
  ~Slow() { engine.detach(); }

  [[nodiscard]] RigSpec rig() const {
    return {.values = {},
            .blocks = {{.kind = "amp", .name = "one", .values = {}, .model = files_[0]},
                       {.kind = "amp", .name = "two", .values = {}, .model = files_[1]}}};
  }

  /// One callback, in which the two amps take these times, and everything else none.
  std::vector<float> callback(double first_share, double second_share) {
    const auto ns = [](double share) { return static_cast<int64_t>(share * kPeriodNs); };
    FakeClock::steps_ns = {0, 0, ns(first_share), ns(second_share)};
    FakeClock::at = 0;
    std::vector<float> in(kPeriod);
    for (float& sample : in)
      sample = 0.25F * std::sin(static_cast<float>(played_++ % 480) * 0.1309F);  // 1 kHz
    heard_ = in;
    std::vector<float> left(kPeriod);
    std::vector<float> right(kPeriod);
    Callback call{
        .in = in.data(), .left = left.data(), .right = right.data(), .frames = kPeriod, .midi = {}};
    engine.process(call);
    engine.service();
    return left;
  }
  [[nodiscard]] const std::vector<float>& heard() const { return heard_; }

  Engine engine;

 private:
  static EngineOptions options() {
    return {.threaded = false,
            .with_safety = false,
            .isa = dsp::best_isa(),
            .budget = kNeverDuck,
            .clock = FakeClock::tell};
  }
  TempDir dir_;
  std::vector<std::string> files_;
  std::vector<float> heard_;
  size_t played_ = 0;
};

std::vector<Fact> rests(Engine& engine) {
  std::vector<Fact> found;
  for (const Fact& fact : engine.facts())
    if (fact.kind == Kind::kRest) found.push_back(fact);
  return found;
}

}  // namespace

TEST_CASE("of three late callbacks in a row the third makes the dearest block rest") {
  Told told;
  told.callbacks(1, {0.1, 0.3, 0.1});
  CHECK(told.callback({0.2, 0.8, 0.1}).block == -1);
  CHECK(told.callback({0.2, 0.8, 0.1}).block == -1);
  const Guard::Advice advice = told.callback({0.2, 0.8, 0.1});
  CHECK(advice.block == 1);
  CHECK(advice.plays == Plays::kNothing);
}

TEST_CASE("three late callbacks within a second count, three within longer do not") {
  for (const auto& [seconds, expected] : {std::pair{0.45, 1U}, std::pair{0.6, 0U}}) {
    Told told;
    for (int i = 0; i < 3; ++i) {
      told.callbacks(seconds, {0.1, 0.8});
      told.callback({0.1, 1.0});
    }
    CAPTURE(seconds);
    CHECK(told.advices.size() == expected);
  }
}

TEST_CASE("late callbacks between light ones are the machine's, and no block rests for them") {
  Told told;
  for (int i = 0; i < 100; ++i) {
    told.callbacks(0.01, {0.1, 0.3});
    told.callback({0.1, 5.0});
    told.callback({3.0, 0.3});
  }
  CHECK(told.advices.empty());
}

TEST_CASE("what disturbed one callback does not make its block the dearest") {
  Told told;
  told.callback({0.2, 0.9});
  told.callback({4.0, 0.9});
  CHECK(told.callback({0.2, 0.9}).block == 1);
}

TEST_CASE("where one block is not enough the next one rests, and a light one never") {
  Told told;
  told.late({0.01, 0.9, 0.6});
  REQUIRE(told.advices.size() == 1);
  CHECK(told.advices[0].block == 1);
  told.callbacks(0.03, {0.01, 0, 0.6});
  told.late({0.01, 0, 1.5});
  REQUIRE(told.advices.size() == 2);
  CHECK(told.advices[1].block == 2);
  // All that is left is light: the time goes elsewhere.
  for (int i = 0; i < 2000; ++i) {
    told.frame += kPeriod;
    CHECK(told.guard.note_callback(2 * kPeriodNs, kPeriodNs, told.frame).block == -1);
  }
}

TEST_CASE("a block that rests already is not told to rest again") {
  Told told;
  told.callbacks(1, {0.1, 1.2});
  REQUIRE(told.advices.size() == 2);
  CHECK(told.advices[0].block == 1);
  CHECK(told.advices[1].block == 0);
}

TEST_CASE("a block that wakes is heard once it has heard as much as it remembers") {
  auto toy = std::make_unique<Toy>(192);
  toy->latency = 192;
  Stage stage(std::move(toy), kRate, 1);
  std::vector<float> played;
  const auto play = [&](size_t count) {
    std::vector<float> all;
    for (size_t at = 0; at < count; at += kPeriod) {
      std::array<std::array<float, kMaxFrames>, 2> sides{};
      for (float& sample : sides[0])
        played.push_back(sample = 1 + 0.001F * static_cast<float>(played.size()));
      Signal signal{.channel = {sides[0].data(), sides[1].data()},
                    .width = 1,
                    .frames = kPeriod,
                    .clean = nullptr};
      stage.process(signal);
      all.insert(all.end(), sides[0].begin(), sides[0].end());
    }
    return all;
  };
  const auto dry = [&](size_t count) {
    const size_t end = played.size() - 192;
    return part(played, end - count, end);
  };
  play(640);
  stage.rest();
  play(512);
  const std::vector<float> resting = play(64);
  CHECK(resting == dry(64));
  stage.wake(false);
  const std::vector<float> waking = play(192);
  CHECK(waking == dry(192));
  play(512);
  const std::vector<float> whole = play(64);
  const std::vector<float> expected = dry(64);
  for (size_t i = 0; i < whole.size(); ++i) CHECK(whole[i] == 3 * expected[i]);
}

TEST_CASE("what rests is tried again after ten seconds, once, and then left alone") {
  Told told;
  told.late({0.1, 1.2});
  REQUIRE(told.advices.size() == 1);
  const int64_t rested_at = told.frame;
  told.callbacks(9.7, {0.1, 0});
  CHECK(told.advices.size() == 1);
  told.callbacks(0.4, {0.1, 0});
  REQUIRE(told.advices.size() == 2);
  CHECK(told.advices[1].block == 1);
  CHECK(told.advices[1].plays == Plays::kWhole);
  CHECK(told.frame - rested_at >= 9.7 * kRate);
  told.late({0.1, 1.2});
  REQUIRE(told.advices.size() == 3);
  CHECK(told.advices[2].plays == Plays::kNothing);
  told.callbacks(120, {0.1, 0});
  CHECK(told.advices.size() == 3);
}

TEST_CASE("a machine that is fast again has all blocks back, the last that went first") {
  Told told;
  told.late({0.9, 1.2});
  told.callbacks(0.03, {0.9, 0});
  told.late({1.3, 0});
  REQUIRE(told.advices.size() == 2);
  told.callbacks(60, {0.1, 0.1});
  REQUIRE(told.advices.size() == 4);
  CHECK(told.advices[2].block == 0);
  CHECK(told.advices[3].block == 1);
}

TEST_CASE(
    "a block in sizes plays its smaller one once it has faded out, and ten seconds later all") {
  Told told;
  told.late_in_sizes({0.1, 1.2});
  const int64_t rested_at = told.frame;
  while (told.advices.size() < 2) told.callback({0.1, 0});
  CHECK(told.advices[1].block == 1);
  CHECK(told.frame - rested_at >= 0.020 * kRate);
  CHECK(told.frame - rested_at < 0.022 * kRate);
  told.callbacks(9.9, {0.1, 0.3});
  CHECK(told.plays() == std::vector{Plays::kNothing, Plays::kSmaller});
  told.callbacks(0.2, {0.1, 0.3});
  CHECK(told.plays() == std::vector{Plays::kNothing, Plays::kSmaller, Plays::kWhole});
  told.late_in_sizes({0.1, 1.2});
  told.callbacks(120, {0.1, 0.3});
  CHECK(told.plays() == std::vector{Plays::kNothing, Plays::kSmaller, Plays::kWhole,
                                    Plays::kNothing, Plays::kSmaller});
}

TEST_CASE("a smaller size that is too much goes too, and all comes back by the same steps") {
  Told told;
  told.late_in_sizes({0.1, 1.2});
  told.callbacks(0.1, {0.1, 0.3});
  told.late({0.1, 1.1});
  CHECK(told.plays() == std::vector{Plays::kNothing, Plays::kSmaller, Plays::kNothing});
  told.callbacks(9.9, {0.1, 0});
  CHECK(told.advices.size() == 3);
  told.callbacks(10.2, {0.1, 0.2});
  told.callbacks(60, {0.1, 0.2});
  CHECK(told.plays() == std::vector{Plays::kNothing, Plays::kSmaller, Plays::kNothing,
                                    Plays::kSmaller, Plays::kWhole});
  for (const Guard::Advice& advice : told.advices) CHECK(advice.block == 1);
}

TEST_CASE("a rig that is selected again is tried again at once") {
  Told told;
  told.late({0.1, 1.2});
  told.callbacks(11, {0.1, 0});
  told.late({0.1, 1.2});
  told.callbacks(60, {0.1, 0});
  REQUIRE(told.advices.size() == 3);
  told.guard.pardon();
  const Guard::Advice advice = told.callback({0.1, 0});
  CHECK(advice.block == 1);
  CHECK(advice.plays == Plays::kWhole);
}

TEST_CASE("what was counted of one rig does not fall on the next") {
  Told told;
  told.callback({0.1, 1.2});
  told.callback({0.1, 1.2});
  told.guard.forget();
  CHECK(told.callback({1.2, 0.1}).block == -1);
  CHECK(told.callback({1.2, 0.1}).block == -1);
  CHECK(told.callback({1.2, 0.1}).block == 0);
}

TEST_CASE("an engine that is late three times is without its dearest block 50 ms later") {
  Slow slow;
  for (int i = 0; i < 3; ++i) slow.callback(0.9, 0.4);
  const std::vector<Fact> told = rests(slow.engine);
  REQUIRE(told.size() == 1);
  CHECK(told[0].slot == 0);
  CHECK(told[0].index == 0);
  CHECK(told[0].value == 1);
  // What the rig is without that amp, from its first frame on.
  Slow bare;
  bare.engine.set_param(0, bare.engine.build(bare.rig())->find("one/bypass"), 1);
  for (int i = 0; i < 3; ++i) bare.callback(0, 0);
  for (int64_t ms = 0; ms < 50;) {
    slow.callback(0, 0.4);
    bare.callback(0, 0);
    ms = ms + 1000 * kPeriod / kRate;
  }
  // The second amp remembers 15 frames; what is taken off as direct current is forgotten in 45 ms.
  for (int i = 0; i < 40; ++i) {
    const std::vector<float> output = slow.callback(0, 0.4);
    CHECK(largest_difference(output, bare.callback(0, 0)) < 1e-6F);
  }
}

TEST_CASE("a block that goes and comes back does not click") {
  Slow slow;
  std::vector<float> all;
  const auto play = [&](int callbacks, double first_share) {
    for (int i = 0; i < callbacks; ++i) {
      const std::vector<float> more = slow.callback(first_share, 0.1);
      all.insert(all.end(), more.begin(), more.end());
    }
  };
  play(100, 0.1);
  float steady = 0;
  for (size_t i = 1; i < all.size(); ++i) steady = std::max(steady, std::abs(all[i] - all[i - 1]));
  play(3, 1.2);
  play(11 * kRate / kPeriod, 0);
  const std::vector<Fact> told = rests(slow.engine);
  REQUIRE(told.size() == 2);
  CHECK(told[1].value == 0);
  float largest = 0;
  for (size_t i = 1; i < all.size(); ++i)
    largest = std::max(largest, std::abs(all[i] - all[i - 1]));
  // The dry sine itself steps by 0.033; the two sounds are mixed in between.
  CHECK(largest <= steady + 0.035F);
  const std::vector<float> again = slow.callback(0, 0.1);
  Slow whole;
  for (size_t i = 0; i < all.size() / kPeriod; ++i) whole.callback(0, 0);
  CHECK(largest_difference(again, whole.callback(0, 0)) < 1e-5F);
}

TEST_CASE("an engine that is late plays the smaller size of its amp, and then the whole one") {
  const nlohmann::json small = nam_model(2, 1, {1, 2, 4}, 3);
  const nlohmann::json sizes = two_sizes(small, nam_model(8, 4, {1, 2, 4}, 4));
  Slow slow(sizes);
  Slow smaller(small);
  Slow whole(sizes);
  std::vector<float> all;
  const auto play = [&](int callbacks, double first_share) {
    for (int i = 0; i < callbacks; ++i) {
      const std::vector<float> more = slow.callback(first_share, 0.1);
      all.insert(all.end(), more.begin(), more.end());
      smaller.callback(0, 0);
      whole.callback(0, 0);
    }
  };
  const auto step = [&] {
    float largest = 0;
    for (size_t i = 1; i < all.size(); ++i)
      largest = std::max(largest, std::abs(all[i] - all[i - 1]));
    return largest;
  };
  play(100, 0.1);
  float steady = step();
  play(3, 1.2);
  play(200, 0.1);
  std::vector<Fact> told = rests(slow.engine);
  REQUIRE(told.size() == 2);
  CHECK(told[0].value == 1);
  CHECK(told[1].value == 0.5F);
  const std::vector<float> spared = smaller.callback(0, 0);
  CHECK(peak(spared) > 0.01F);
  // The second amp and what is taken off as direct current have long forgotten the other size.
  CHECK(largest_difference(slow.callback(0, 0.1), spared) < 1e-5F);
  CHECK(largest_difference(whole.callback(0, 0), spared) > 0.001F);
  play(11 * kRate / kPeriod, 0.1);
  told = rests(slow.engine);
  REQUIRE(told.size() == 1);
  CHECK(told[0].value == 0);
  CHECK(largest_difference(slow.callback(0, 0.1), whole.callback(0, 0)) < 1e-5F);
  // The dry sine itself steps by 0.033, the sounds are mixed in between.
  CHECK(step() <= steady + 0.035F);
}

TEST_CASE("what the player wants of the size holds once the machine can") {
  const nlohmann::json small = nam_model(2, 1, {1, 2, 4}, 3);
  Slow slow(two_sizes(small, nam_model(8, 4, {1, 2, 4}, 4)));
  const int quality = slow.engine.build(slow.rig())->find("one/quality");
  for (int i = 0; i < 3; ++i) slow.callback(1.2, 0.1);
  for (int i = 0; i < 200; ++i) slow.callback(0.1, 0.1);
  slow.engine.set_param(0, quality, 0);
  for (int i = 0; i < 11 * kRate / kPeriod; ++i) slow.callback(0.1, 0.1);
  CHECK(rests(slow.engine).size() == 3);
  Slow smaller(small);
  for (int i = 0; i < 203 + 11 * kRate / kPeriod; ++i) smaller.callback(0, 0);
  CHECK(largest_difference(slow.callback(0.1, 0.1), smaller.callback(0, 0)) < 1e-5F);
  // There is no smaller one now: it is left out as any block.
  for (int i = 0; i < 3; ++i) slow.callback(1.2, 0.1);
  for (int i = 0; i < 200; ++i) slow.callback(0.1, 0.1);
  const std::vector<Fact> told = rests(slow.engine);
  REQUIRE(told.size() == 1);
  CHECK(told[0].value == 1);
}

TEST_CASE("without a host nothing rests, however long it takes") {
  Slow slow;
  slow.engine.detach();
  for (int i = 0; i < 100; ++i) slow.callback(2, 2);
  CHECK(rests(slow.engine).empty());
}

TEST_CASE("a rig that is left with a block at rest comes back whole") {
  Slow slow;
  slow.engine.park(1, slow.engine.build({.values = {}, .blocks = {}}));
  for (int i = 0; i < 3; ++i) slow.callback(0.9, 0.4);
  CHECK(rests(slow.engine).size() == 1);
  slow.engine.select(1, false);
  for (int i = 0; i < 11 * kRate / kPeriod; ++i) slow.callback(0, 0);
  CHECK(rests(slow.engine).empty());
  slow.engine.select(0, false);
  for (int i = 0; i < 200; ++i) slow.callback(0, 0);
  Slow whole;
  for (int i = 0; i < 203 + 11 * kRate / kPeriod; ++i) whole.callback(0, 0);
  CHECK(largest_difference(slow.callback(0, 0), whole.callback(0, 0)) < 1e-6F);
  CHECK(rests(slow.engine).empty());
}

TEST_CASE("control that lost facts is told what rests") {
  Slow slow;
  for (int i = 0; i < 3; ++i) slow.callback(0.9, 0.4);
  // Nobody reads: the queue overflows.
  for (int i = 0; i < 5000; ++i) {
    slow.engine.set_global(kMaster, static_cast<float>(i % 2));
    slow.callback(0, 0);
  }
  slow.engine.facts();
  slow.callback(0, 0);
  const std::vector<Fact> told = rests(slow.engine);
  REQUIRE(told.size() == 1);
  CHECK(told[0].index == 0);
}

TEST_CASE("the block that breaks is named") {
  const TempDir dir;
  const std::string broken = dir.write("broken.nam", exploding_model().dump());
  Rack rack;
  rack.park(0, {.values = {},
                .blocks = {{.kind = "gain", .name = "boost", .values = {}, .model = ""},
                           {.kind = "amp", .name = "amp", .values = {}, .model = broken}}});
  rack.engine.select(0, false);
  rack.play(std::vector<float>(4800));
  rack.play(std::vector<float>(64, 0.9F));
  const std::vector<Fact> faults = rack.facts(Kind::kFault);
  REQUIRE(faults.size() == 1);
  CHECK(faults[0].index == 1);
}
