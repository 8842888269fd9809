#include "deck.hpp"

#include <doctest/doctest.h>
#include <malloc.h>

#include <nlohmann/json.hpp>
#include <random>

#include "effect.hpp"
#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;
using Kind = Fact::Kind;

namespace {

MidiEvent program_change(int frame, uint8_t program) {
  return {.frame = frame, .size = 2, .data = {0xC0, program, 0}};
}

/// The longest time from a first frame quieter than `steady` to the last.
size_t longest_dip(const std::vector<float>& wave, float steady) {
  size_t longest = 0;
  size_t length = 0;
  for (const float v : wave) {
    length = v < steady ? length + 1 : 0;
    longest = std::max(longest, length);
  }
  return longest;
}

void append(std::vector<float>& all, const std::vector<float>& more) {
  all.insert(all.end(), more.begin(), more.end());
}

}  // namespace

TEST_CASE("a duck is quieter for at most 10 ms, whatever the callback, and says so") {
  for (const int callback : {16, 64, 128, 144, 256, 1024, 4096}) {
    Rack rack(false, 48000, kAlwaysDuck);
    for (int slot = 0; slot < 2; ++slot) rack.park_clean(slot);
    rack.engine.select(0, false);
    rack.play(std::vector<float>(3 * 4096, 1), callback);
    static_cast<void>(rack.engine.facts());
    std::vector<float> output;
    for (int change = 0; change < 4; ++change) {
      rack.engine.select(1 - change % 2, false);
      append(output, rack.play(std::vector<float>(3 * 4096, 1), callback));
    }
    const std::vector<Fact> audible = rack.facts(Kind::kAudible);
    REQUIRE(audible.size() == 4);
    for (const Fact& fact : audible) CHECK(fact.value == 1);
    INFO("callback ", callback, " dip ", longest_dip(output, 1));
    CHECK(longest_dip(output, 1) > 100);
    CHECK(longest_dip(output, 1) <= 480);
    // Half a cosine over 3 ms at its steepest.
    CHECK(largest_step(output) <= 1.01F * 1.5708F / 145);
  }
}

TEST_CASE("bypassed, the guitar is heard bit for bit through every switch") {
  for (const float budget : {kAlwaysDuck, kNeverDuck}) {
    CAPTURE(budget);
    const std::vector<float> input = noise(9600, 1);
    Rack rack(false, 48000, budget);
    for (int slot = 0; slot < 2; ++slot) rack.park_amp(slot, 10U + static_cast<unsigned>(slot));
    rack.engine.set_global(kBypass, 1);
    rack.engine.select(0, false);
    rack.play(std::vector<float>(9600));
    rack.engine.select(1, false);
    CHECK(rack.play(input) == input);
    CHECK(rack.facts(Kind::kSwitched).size() == 2);
  }
}

TEST_CASE("a crossfade of two equal sounds is never quieter, and says what it was") {
  Rack rack(false, 48000, kNeverDuck);
  for (int slot = 0; slot < 2; ++slot) rack.park_clean(slot);
  rack.engine.select(0, false);
  rack.play(std::vector<float>(9600, 1));
  static_cast<void>(rack.engine.facts());
  rack.engine.select(1, false);
  for (const float v : rack.play(std::vector<float>(9600, 1)))
    REQUIRE(v == doctest::Approx(1).epsilon(1e-6));
  CHECK(rack.facts(Kind::kAudible).at(0).value == 0);
}

TEST_CASE("after a duck the output is what the new rig would always have given") {
  const std::vector<float> input = noise(24000, 1);
  Rack rack(false, 48000, kAlwaysDuck);
  Rack steady(false, 48000, kAlwaysDuck);
  rack.park_amp(0, 10);
  rack.park_amp(1, 11);
  steady.park_amp(1, 11);
  for (Rack* const each : {&rack, &steady}) {
    each->engine.select(each == &rack ? 0 : 1, false);
    each->play(std::vector<float>(9600));
  }
  const std::vector<float> expected = steady.play(input);
  rack.play(part(input, 0, 12000));
  rack.engine.select(1, false);
  const std::vector<float> output = rack.play(part(input, 12000, 24000));
  const auto done = static_cast<size_t>(rack.facts(Kind::kSwitched).back().frame) - 9600;
  CHECK(done <= 12000 + 64 + 480);
  CHECK(part(output, done - 12000, 12000) == part(expected, done, 24000));
}

TEST_CASE("a selection in the middle of a duck wins, after at most one more change") {
  // Frames after the first selection: while it waits, fades out, is silent, fades in.
  for (size_t at = 0; at <= 576; at += 32)
    for (const int second : {0, 1, 2, 77}) {
      Rack rack(false, 48000, kAlwaysDuck);
      for (int slot = 0; slot < 3; ++slot) rack.park_clean(slot);
      rack.engine.set_programs({0, 1, 2});
      rack.engine.select(0, false);
      rack.play(std::vector<float>(9600, 1));
      static_cast<void>(rack.engine.facts());
      rack.engine.select(1, false);
      std::vector<float> output = rack.play(std::vector<float>(at, 1), 32);
      const uint32_t id = rack.engine.select(second, false);
      append(output, rack.play(std::vector<float>(9600, 1), 32));
      CHECK(output.back() == 1);
      CHECK(longest_dip(output, 1) <= 480);
      CHECK(largest_step(output) <= 1.01F * 1.5708F / 145);
      const std::vector<Fact> refused = rack.facts(Kind::kRefused);
      CHECK(refused.size() == (second == 77 ? 1 : 0));
      if (second != 77) {
        const Fact last = rack.facts(Kind::kSwitched).back();
        CHECK(last.slot == second);
        CHECK(last.id == id);
      }
      CHECK(rack.facts(Kind::kAudible).size() <= 2);
    }
}

TEST_CASE("a program change back while the new rig catches up is not refused") {
  Rack rack;
  rack.park_clean(0);
  rack.park_clean(1, -20);
  rack.engine.set_programs({0, 1});
  rack.engine.select(0, false);
  rack.play(std::vector<float>(4800, 1));
  static_cast<void>(rack.engine.facts());
  // The new rig arrives at the beginning of the second callback, the change back just behind it.
  const std::vector<float> output =
      rack.play(std::vector<float>(4800, 1), 64, {program_change(0, 1), program_change(64, 0)});
  CHECK(rack.facts(Kind::kRefused).empty());
  CHECK(rack.facts(Kind::kSwitched).back().slot == 0);
  CHECK(rack.facts(Kind::kAudible).empty());
  CHECK(output == std::vector<float>(4800, 1));
}

TEST_CASE("a selection that is repeated without end does not put off its rig") {
  Rack rack;
  rack.park_clean(0);
  rack.park_clean(1, -20);
  rack.engine.select(0, false);
  rack.play(std::vector<float>(4800, 1));
  static_cast<void>(rack.engine.facts());
  std::vector<float> output;
  // Each comes just before the answer to the one before it.
  for (int repeat = 0; repeat < 75; ++repeat) {
    rack.engine.select(1, false);
    append(output, rack.play(std::vector<float>(64, 1)));
  }
  CHECK(rack.facts(Kind::kAudible).size() == 1);
  CHECK(output[64 + 480] == doctest::Approx(0.1F).epsilon(1e-5));
}

TEST_CASE("of selections at random the last one is always heard in the end, and no rig is lost") {
  constexpr int kRigs = 6;
  for (const float budget : {kAlwaysDuck, kNeverDuck}) {
    Rack rack(false, 48000, budget);
    for (int slot = 0; slot < kRigs; ++slot) rack.park_clean(slot, -static_cast<float>(slot));
    std::mt19937 random(1);  // NOLINT(bugprone-random-generator-seed): the same every time
    const auto below = [&](int end) { return std::uniform_int_distribution(0, end - 1)(random); };
    rack.engine.select(0, false);
    float last = rack.play(std::vector<float>(9600, 1)).back();
    float step = 0;
    for (int round = 0; round < 2000; ++round) {
      int slot = 0;
      for (int s = below(4); s >= 0; --s) {
        slot = below(kRigs);
        if (below(8) == 0) rack.engine.select(77, false);
        if (below(8) == 0) rack.park_clean(slot, -static_cast<float>(slot));
        rack.engine.select(slot, false);
        if (s == 0) break;
        for (const float v : rack.play(std::vector<float>(static_cast<size_t>(1 + below(600)), 1),
                                       1 + below(100))) {
          step = std::max(step, std::abs(v - last));
          last = v;
        }
      }
      for (const float v : rack.play(std::vector<float>(3000, 1))) {
        step = std::max(step, std::abs(v - last));
        last = v;
      }
      REQUIRE(last == doctest::Approx(from_db(-static_cast<float>(slot))).epsilon(1e-5));
      static_cast<void>(rack.engine.facts());
    }
    // Half a cosine over 3 ms, or two of 20 ms at once; values that come back walk for 10 ms.
    CHECK(step <= 1.01F * 1.5708F / 145);
    for (int slot = 0; slot < kRigs; ++slot) {
      rack.engine.select(slot, false);
      rack.play(std::vector<float>(4800));
      CHECK(rack.facts(Kind::kSwitched).back().slot == slot);
    }
    CHECK(rack.facts(Kind::kRefused).empty());
  }
}

TEST_CASE("an engine that is destroyed in the middle of a change frees all of its chains") {
  const auto destroy_after = [](float budget, size_t frames) {
    Rack rack(false, 48000, budget);
    for (int slot = 0; slot < 2; ++slot) rack.park_clean(slot);
    rack.engine.select(0, false);
    rack.play(std::vector<float>(4800));
    rack.engine.select(1, false);
    rack.play(std::vector<float>(frames), 48);
    // A callback without its service round leaves something in each queue.
    std::array<float, 48> in{};
    std::array<float, 48> left{};
    std::array<float, 48> right{};
    Callback callback{.in = in.data(), .left = left.data(), .right = right.data(), .frames = 48};
    rack.engine.process(callback);
  };
  destroy_after(kNeverDuck, 0);  // what is allocated once and for all
  const size_t before = mallinfo2().uordblks;
  for (const float budget : {kAlwaysDuck, kNeverDuck})
    for (size_t frames = 0; frames < 1200; frames += 48) {
      destroy_after(budget, frames);
      CHECK(mallinfo2().uordblks == before);
    }
}

TEST_CASE("100,000 selections leave memory as it was after a thousand") {
  constexpr int kSlots = 8;
  Rack rack;
  for (int slot = 0; slot < kSlots; ++slot) rack.park_clean(slot, -static_cast<float>(slot));
  std::mt19937 random(2);  // NOLINT(bugprone-random-generator-seed): the same every time
  const std::vector<float> silence(64);
  size_t after_thousand = 0;
  for (int i = 0; i < 100'000; ++i) {
    rack.engine.select(std::uniform_int_distribution(0, kSlots - 1)(random), false);
    rack.play(silence);
    if (i % 100 == 0) static_cast<void>(rack.engine.facts());
    if (i == 1000) after_thousand = mallinfo2().uordblks;
  }
  static_cast<void>(rack.engine.facts());
  // The list of facts that `facts` returned last may differ by a few; a chain is over 3 KB.
  CHECK(mallinfo2().uordblks <= after_thousand + 3000);
}

TEST_CASE("a gate in front of an amp does not let the amp's offset thump") {
  Rack rack(true);
  rack.park_clean(0);
  rack.park_behind(1, {{.kind = "gate", .name = "gate", .values = {}, .model = ""}}, 10, 0.3F);
  rack.engine.select(0, false);
  const std::vector<float> silence(48000);
  rack.play(silence);
  for (const int slot : {1, 0}) {
    rack.engine.select(slot, false);
    CHECK(peak(rack.play(silence)) <= 1e-5F);  // what float32 leaves of an offset of 0.3
  }
}

TEST_CASE("a rig of blocks that remember differently is where it would be had it always played") {
  // A history shorter than they remember, one that is longer, and one longer than is kept.
  for (const auto& [rate_hz, before] :
       {std::pair{48000, size_t{1000}}, std::pair{48000, size_t{48000}},
        std::pair{192000, size_t{400000}}}) {
    const std::vector<float> input = noise(before + 40000, 3);
    // Behind the gate an amp that remembers longer than the fade: 43 ms.
    const TempDir dir;
    const std::string file =
        dir.write("m.json", native_model(4, 3, {1, 2, 4, 8, 16, 32, 64, 128, 256, 512}, 1).dump());
    RigSpec rig;
    rig.blocks = {{.kind = "gate",
                   .name = "gate",
                   .values = {{"hold_ms", 500}, {"release_ms", 1000}},
                   .model = ""},
                  {.kind = "amp", .name = "amp", .values = {}, .model = file}};
    Rack rack(false, rate_hz);
    Rack steady(false, rate_hz);
    rack.park_clean(0);
    for (Rack* const each : {&rack, &steady}) {
      each->park(1, rig);
      each->engine.select(each == &rack ? 0 : 1, false);
      each->play(std::vector<float>(960));
    }
    const std::vector<float> expected = steady.play(input);
    rack.play(part(input, 0, before));
    rack.engine.select(1, false);
    const std::vector<float> output = rack.play(part(input, before, input.size()));
    const auto done = static_cast<size_t>(rack.facts(Kind::kSwitched).back().frame) - 960;
    REQUIRE(done < before + 10000);
    CHECK(part(output, done - before, output.size()) == part(expected, done, input.size()));
  }
}

TEST_CASE(
    "an amp behind a gate is warmed with what it remembers itself, not with the gate's time") {
  const TempDir dir;
  RigSpec rig;
  rig.blocks = {{.kind = "gate", .name = "gate", .values = {}, .model = ""},
                {.kind = "amp",
                 .name = "amp",
                 .values = {},
                 .model = dir.write("m.json", exploding_model().dump())}};
  Chain chain(rig, 48000, dsp::best_isa(), false);
  const int memory = chain.memory_frames();
  REQUIRE(memory > 48 * 100);  // the gate's; the amp remembers one frame
  // The model breaks at what it hears above 0.6: a fault tells that it has been running.
  const std::vector<float> loud(kMaxFrames, 0.9F);
  chain.rewind(memory);
  for (int at = 0; at < memory - 1;) {
    const int frames = std::min(kMaxFrames, memory - 1 - at);
    chain.warm(loud.data(), frames);
    at += frames;
  }
  CHECK_FALSE(chain.faulted());
  chain.warm(loud.data(), 1);
  CHECK(chain.faulted());
  chain.rewind(Chain::kAll);
  chain.warm(loud.data(), kMaxFrames);  // the gate opens in 48
  CHECK(chain.faulted());
}
