#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "effect.hpp"
#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;
using Kind = Fact::Kind;

namespace {

constexpr size_t kMs = 48;

/// Echoes alone: nothing of what goes in is heard before time_ms.
BlockSpec echoes(float time_ms, float feedback = 0.5F) {
  return {.kind = "delay",
          .name = "delay",
          .values = {{"time_ms", time_ms},
                     {"feedback", feedback},
                     {"low_cut_hz", 20},
                     {"high_cut_hz", 20000},
                     {"mix", 1}},
          .model = ""};
}

RigSpec rig_of(BlockSpec block) {
  RigSpec rig;
  rig.blocks.push_back(std::move(block));
  return rig;
}

/// Play `input`, with a change to slots[i] before frame `at[i]`.
std::vector<float> play_changes(Rack& rack, const std::vector<float>& input,
                                const std::vector<std::pair<size_t, int>>& changes) {
  std::vector<float> output;
  size_t from = 0;
  for (const auto& [at, slot] : changes) {
    const std::vector<float> more = rack.play(part(input, from, at));
    output.insert(output.end(), more.begin(), more.end());
    rack.engine.select(slot, false);
    from = at;
  }
  const std::vector<float> more = rack.play(part(input, from, input.size()));
  output.insert(output.end(), more.begin(), more.end());
  return output;
}

/// What one rig, always playing, makes of an input of which it hears shares[i] of frame i.
std::vector<float> steady(const RigSpec& rig, const std::vector<float>& input,
                          const std::vector<float>& shares) {
  Rack rack;
  rack.park(0, rig);
  rack.engine.select(0, false);
  rack.play(std::vector<float>(9600));
  std::vector<float> heard = input;
  for (size_t i = 0; i < heard.size(); ++i) heard[i] *= shares[i];
  return rack.play(heard);
}

/// Frames of the input, which began at engine frame `origin`, at which rigs began to be heard.
std::vector<size_t> entrances(Rack& rack, size_t origin) {
  std::vector<size_t> frames;
  for (const Fact& fact : rack.facts(Kind::kAudible))
    if (static_cast<size_t>(fact.frame) >= origin)
      frames.push_back(static_cast<size_t>(fact.frame) - origin);
  return frames;
}

std::vector<float> shares_until(size_t entrance, size_t frames) {
  std::vector<float> shares(frames, 1);
  for (size_t i = entrance; i < frames; ++i) shares[i] = old_share(i - entrance);
  return shares;
}

}  // namespace

TEST_CASE("echoes of the rig that went are heard as if it had stayed, with nothing new in them") {
  const std::vector<float> input = noise(1500 * kMs, 1);
  for (const float time_ms : {40.0F, 300.0F}) {
    Rack rack;
    rack.park(0, rig_of(echoes(time_ms)));
    rack.park(1, rig_of(echoes(2000)));  // silent for the whole test
    rack.engine.select(0, false);
    rack.play(std::vector<float>(9600));
    const std::vector<float> output = play_changes(rack, input, {{500 * kMs, 1}});
    const std::vector<size_t> entered = entrances(rack, 9600);
    REQUIRE(entered.size() == 1);
    const std::vector<float> expected =
        steady(rig_of(echoes(time_ms)), input, shares_until(entered[0], input.size()));
    REQUIRE(peak(part(expected, entered[0] + 480, expected.size())) > 0.1F);
    // A tail that stays 100 dB under full scale is over.
    CHECK(largest_difference(output, expected) <= 1e-5F);
  }
}

TEST_CASE("a room rings on over a change of rigs too") {
  const std::vector<float> input = noise(1000 * kMs, 2);
  const BlockSpec room{.kind = "reverb", .name = "reverb", .values = {{"mix", 1}}, .model = ""};
  Rack rack;
  rack.park(0, rig_of(room));
  rack.park(1, rig_of(echoes(2000)));
  rack.engine.select(0, false);
  rack.play(std::vector<float>(9600));
  const std::vector<float> output = play_changes(rack, input, {{300 * kMs, 1}});
  const std::vector<size_t> entered = entrances(rack, 9600);
  REQUIRE(entered.size() == 1);
  const std::vector<float> expected =
      steady(rig_of(room), input, shares_until(entered[0], input.size()));
  CHECK(largest_difference(output, expected) <= 1e-5F);
}

TEST_CASE("a tail behind an amp rings with the level of its rig") {
  const std::vector<float> input = noise(600 * kMs, 3);
  Rack rack;
  Rack twin;  // the same model, from the same seed
  for (Rack* const each : {&rack, &twin}) {
    RigSpec rig = rig_of(echoes(100));
    rig.values = {{"output/gain_db", -6}, {"mix", 0.5F}};
    each->park(0, rig);
    each->engine.select(0, false);
    each->play(std::vector<float>(9600));
  }
  rack.park(1, rig_of(echoes(2000)));
  const std::vector<float> output = play_changes(rack, input, {{300 * kMs, 1}});
  const size_t entered = entrances(rack, 9600).back();
  std::vector<float> heard = input;
  for (size_t i = entered; i < heard.size(); ++i) heard[i] *= old_share(i - entered);
  CHECK(largest_difference(output, twin.play(heard)) <= 1e-6F);
}

TEST_CASE("the new rig has no echo of what was played before it came in") {
  Rack rack;
  rack.park_clean(0);
  rack.park(1, rig_of(echoes(50)));
  rack.engine.select(0, false);
  rack.play(noise(9600, 4));
  rack.engine.select(1, false);
  const std::vector<float> output = rack.play(std::vector<float>(24000));
  CHECK(rack.facts(Kind::kSwitched).back().slot == 1);
  CHECK(peak(output) == 0);
}

TEST_CASE("a rig that comes back while its echoes still ring goes on ringing and adds to them") {
  const std::vector<float> input = noise(1500 * kMs, 5);
  Rack rack;
  rack.park(0, rig_of(echoes(300)));
  rack.park(1, rig_of(echoes(2000)));
  rack.engine.select(0, false);
  rack.play(std::vector<float>(9600));
  const std::vector<float> output = play_changes(rack, input, {{500 * kMs, 1}, {650 * kMs, 0}});
  const std::vector<size_t> entered = entrances(rack, 9600);
  REQUIRE(entered.size() == 2);
  std::vector<float> shares = shares_until(entered[0], input.size());
  for (size_t i = entered[1]; i < shares.size(); ++i) shares[i] = 1 - old_share(i - entered[1]);
  CHECK(largest_difference(output, steady(rig_of(echoes(300)), input, shares)) <= 1e-6F);
}

TEST_CASE("a tail is over when its last echo has died away, and not in the pause before") {
  Rack rack;
  Chain* const chain = rack.park(0, rig_of(echoes(1000, 0.1F)));
  rack.park_clean(1, -60);
  rack.engine.select(0, false);
  rack.play(std::vector<float>(9600));
  std::vector<float> burst = noise(100 * kMs, 6);
  rack.play(burst);
  rack.engine.select(1, false);
  // Echoes of 1, 0.1, 0.01 .. 1e-5 at the end of each second.
  for (int second = 0; second < 4; ++second) {
    const std::vector<float> output = rack.play(std::vector<float>(1000 * kMs));
    CHECK(peak(output) >= 0.9F * std::pow(0.1F, static_cast<float>(second)));
    CHECK(chain->ringing());
  }
  rack.play(std::vector<float>(4000 * kMs));
  CHECK_FALSE(chain->ringing());
}

TEST_CASE("what becomes of a rig does not change how its tail rings") {
  const std::vector<float> input = noise(400 * kMs, 7);
  std::vector<std::vector<float>> outputs;
  for (int fate = 0; fate < 4; ++fate) {
    Rack rack;
    rack.park(0, rig_of(echoes(100)));
    rack.park(1, rig_of(echoes(2000)));
    rack.engine.select(0, false);
    rack.play(std::vector<float>(9600));
    std::vector<float> output = play_changes(rack, input, {{300 * kMs, 1}});
    if (fate == 1) rack.park(0, rig_of(echoes(10)));
    if (fate == 2) rack.engine.clear(0);
    const std::vector<float> rest = rack.play(std::vector<float>(300 * kMs));
    output.insert(output.end(), rest.begin(), rest.end());
    if (fate == 3) rack.engine.clear(1);
    outputs.push_back(output);
    // The engine is destroyed while the tail rings.
  }
  REQUIRE(peak(part(outputs[0], 500 * kMs, 700 * kMs)) > 0.01F);
  for (size_t fate = 1; fate < outputs.size(); ++fate) CHECK(outputs[fate] == outputs[0]);
}

TEST_CASE("of more than four tails the oldest is hushed, without a click") {
  Rack rack;
  for (int slot = 0; slot < 6; ++slot) rack.park(slot, rig_of(echoes(500, 0.95F)));
  rack.engine.select(0, false);
  rack.play(std::vector<float>(9600));
  const std::vector<float> tone = sine(500 * kMs, 100, 0.5);
  rack.play(tone);
  std::vector<float> output;
  const auto silence_in = [&](int slot) {
    rack.engine.select(slot, false);
    const std::vector<float> more = rack.play(std::vector<float>(50 * kMs));
    output.insert(output.end(), more.begin(), more.end());
    return more;
  };
  for (int slot = 1; slot < 5; ++slot) CHECK(peak(silence_in(slot)) > 0.4F);
  CHECK(peak(part(silence_in(5), 45 * kMs, 50 * kMs)) == 0);
  // Of the tone, and of a fade of 10 ms, 2.2 times as steep in its middle; a tenth more for the two
  // at once.
  CHECK(largest_step(output) <= 1.1F * (largest_step(tone) + 0.5F * 2.2F / 480));
}

TEST_CASE("a panic cuts tails and leaves the dry guitar") {
  const std::vector<float> input = noise(100 * kMs, 8);
  Rack rack;
  rack.park(0, rig_of(echoes(500, 0.95F)));
  rack.park(1, rig_of(echoes(2000)));
  rack.engine.select(0, false);
  rack.play(noise(1000 * kMs, 9));
  rack.engine.select(1, false);
  rack.play(std::vector<float>(50 * kMs));
  rack.engine.panic();
  const std::vector<float> output = rack.play(input);
  CHECK(part(output, 20 * kMs, 100 * kMs) == part(input, 20 * kMs, 100 * kMs));
  rack.engine.set_global(kBypass, 0);
  CHECK(peak(part(rack.play(std::vector<float>(100 * kMs)), 20 * kMs, 100 * kMs)) == 0);
}

TEST_CASE("a fault in front of the echoes is not heard again when the rig comes back") {
  const TempDir dir;
  const std::string file = dir.write("m.json", exploding_model().dump());
  RigSpec rig = rig_of({.kind = "amp", .name = "amp", .values = {}, .model = file});
  rig.blocks.push_back(echoes(100));
  Rack rack;
  rack.park(0, rig);
  rack.park_clean(1, -60);
  rack.engine.select(0, false);
  rack.play(std::vector<float>(9600));
  const std::vector<float> loud = sine(200 * kMs, 100, 0.9);
  const std::vector<float> dry = rack.play(loud);
  CHECK(rack.facts(Kind::kFault).size() == 1);
  CHECK(part(dry, 100 * kMs, 200 * kMs) == part(loud, 100 * kMs, 200 * kMs));
  rack.engine.select(1, false);
  for (const float v : rack.play(std::vector<float>(200 * kMs))) REQUIRE(std::isfinite(v));
  rack.engine.select(0, false);
  rack.play(std::vector<float>(100 * kMs));
  CHECK(peak(rack.play(sine(500 * kMs, 100, 0.5))) == 0);  // the model is silent below 0.6
  CHECK(rack.facts(Kind::kFault).empty());
}

TEST_CASE("a tail that breaks ends in the dry sound and is empty the next time") {
  RigSpec rig = rig_of(echoes(100, 0.95F));
  for (const char* const name : {"gain", "gain2"})
    rig.blocks.push_back({.kind = "gain", .name = name, .values = {{"gain_db", 40}}, .model = ""});
  Rack rack;
  rack.park(0, rig);
  rack.park_clean(1);
  rack.engine.select(0, false);
  rack.play(std::vector<float>(9600));
  // 80 dB over 1.5 counts as broken.
  const std::vector<float> loud = sine(300 * kMs, 100, 1.5);
  const std::vector<float> dry = rack.play(loud);
  CHECK(rack.facts(Kind::kFault).size() == 1);
  CHECK(part(dry, 200 * kMs, 300 * kMs) == part(loud, 200 * kMs, 300 * kMs));
  rack.engine.select(1, false);
  rack.play(std::vector<float>(100 * kMs));
  rack.engine.select(0, false);
  CHECK(peak(rack.play(std::vector<float>(1000 * kMs))) == 0);
  CHECK(rack.facts(Kind::kFault).empty());
}

TEST_CASE("a tempo that was set while a tail rang does not click when its rig comes back") {
  BlockSpec in_beats = echoes(350, 0.95F);
  in_beats.values["beats"] = 0.5F;
  Rack rack;
  rack.park(0, rig_of(in_beats));
  rack.park(1, rig_of(echoes(2000)));
  rack.engine.select(0, false);
  rack.play(std::vector<float>(9600));
  const std::vector<float> tone = sine(1000 * kMs, 100, 0.1);
  const float before = largest_step(rack.play(tone));
  rack.engine.select(1, false);
  std::vector<float> output = rack.play(std::vector<float>(100 * kMs));
  rack.engine.set_global(kTempo, 137);
  rack.engine.select(0, false);
  const std::vector<float> rest = rack.play(std::vector<float>(200 * kMs));
  output.insert(output.end(), rest.begin(), rest.end());
  REQUIRE(peak(output) > 0.1F);
  // The delay's own fade of 50 ms between its two times, each as loud as the echoes are; twice,
  // since at the new time other echoes lie on each other.
  CHECK(largest_step(output) <= 2 * (before + 2 * peak(output) / 2400));
}
