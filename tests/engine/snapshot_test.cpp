#include <doctest/doctest.h>

#include <set>

#include "effect.hpp"
#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;
using Kind = Fact::Kind;

namespace {

BlockSpec gain(const std::string& name, float db) {
  return {.kind = "gain", .name = name, .values = {{"gain_db", db}}, .model = ""};
}

/// 0 dB as it is; snapshots of -6, -12 with the second block off, -20 dB.
RigSpec rig_with_snapshots() {
  RigSpec rig;
  rig.blocks = {gain("a", 0), gain("b", 0)};
  rig.snapshots = {
      {{"a/gain_db", -6}}, {{"a/gain_db", -12}, {"b/bypass", 1}}, {{"a/gain_db", -20}}};
  return rig;
}

struct Playing {
  Rack rack;
  const Chain* chain;

  Playing() : chain(rack.park(0, rig_with_snapshots())) {
    rack.park_clean(1);
    rack.engine.set_programs({0, 1});
    rack.engine.select(0, false);
    rack.play(std::vector<float>(4800));
    static_cast<void>(rack.engine.facts());
  }
  void set(const std::string& path, float value) {
    rack.engine.set_param(0, chain->find(path), value);
    rack.play(std::vector<float>(960));
  }
  /// The level now, a factor.
  float level() { return rack.play(std::vector<float>(64, 1)).back(); }
  /// All that was told to have changed since the last call, by path.
  std::map<std::string, float> changes() {
    std::map<std::string, float> found;
    for (const Fact& fact : rack.facts(Kind::kChanged))
      if (fact.slot == 0) found[chain->params()[static_cast<size_t>(fact.index)].path] = fact.value;
    return found;
  }
};

float db(float value) {
  return from_db(value);
}

}  // namespace

TEST_CASE("a rig with snapshots comes in with its own values") {
  Playing playing;
  CHECK(playing.level() == 1);
  playing.rack.engine.select(1, false);
  playing.rack.play(std::vector<float>(4800));
  playing.rack.engine.select(0, false);
  playing.rack.play(std::vector<float>(4800));
  CHECK(playing.level() == 1);
}

TEST_CASE("a snapshot moves values and bypasses, and each one that changed is told") {
  Playing playing;
  using Changes = std::map<std::string, float>;
  playing.set("snapshot", 2);
  CHECK(playing.changes() == Changes{{"a/gain_db", -12}, {"b/bypass", 1}, {"snapshot", 2}});
  CHECK(playing.level() == doctest::Approx(db(-12)).epsilon(1e-6));
  playing.set("b/gain_db", 6);
  CHECK(playing.changes() == Changes{{"b/gain_db", 6}});
  playing.set("snapshot", 1);
  CHECK(playing.changes() ==
        Changes{{"a/gain_db", -6}, {"b/bypass", 0}, {"b/gain_db", 0}, {"snapshot", 1}});
  playing.set("snapshot", 0);
  CHECK(playing.changes() == Changes{{"a/gain_db", 0}, {"snapshot", 0}});
  CHECK(playing.level() == 1);
}

TEST_CASE("the rig's own values come back where it is selected again") {
  Playing playing;
  playing.set("snapshot", 2);
  playing.set("morph", 0.5F);
  playing.set("output/gain_db", -3);
  CHECK(playing.level() < 0.4F);
  playing.rack.engine.select(0, false);
  playing.rack.play(std::vector<float>(960));
  CHECK(playing.level() == 1);
  for (int i = 0; i < playing.chain->param_count(); ++i)
    CHECK(playing.chain->value(i) == playing.chain->initial_values()[static_cast<size_t>(i)]);
}

TEST_CASE("a snapshot and a morph make no step beyond those of a knob") {
  for (const auto& [path, value] : {std::pair{"snapshot", 3.0F}, std::pair{"morph", 0.4F}}) {
    std::vector<std::vector<float>> outputs;
    const std::vector<float> ones(2000, 1);
    for (const int block : {1, 7, 64}) {
      Chain chain(rig_with_snapshots(), 48000, dsp::best_isa());
      std::vector<float> output(ones.size());
      std::array<float, kMaxFrames> right{};
      std::array<float, kMaxFrames> dry{};
      for (size_t at = 0; at < ones.size();) {
        if (at == 700) chain.set(chain.find(path), value, false);
        const size_t end = at < 700 ? 700 : ones.size();
        const size_t frames = std::min(static_cast<size_t>(block), end - at);
        chain.process(&ones[at], {&output[at], right.data(), dry.data()}, static_cast<int>(frames));
        at += frames;
      }
      outputs.push_back(output);
    }
    CHECK(outputs[1] == outputs[0]);
    CHECK(outputs[2] == outputs[0]);
    CHECK(outputs[0].back() < 0.5F);
    CHECK(largest_step(outputs[0]) <= 1.1F / 480);  // at most 1 in 10 ms
  }
}

TEST_CASE("a morph goes between two snapshots and leaves alone what both share") {
  Playing playing;
  playing.set("b/gain_db", -3);
  playing.set("morph", 0.25F);
  CHECK(playing.level() == doctest::Approx(db(-6 - 0.25F * 6 - 3)).epsilon(1e-6));
  CHECK(playing.changes() ==
        std::map<std::string, float>{{"b/gain_db", -3}, {"a/gain_db", -7.5F}, {"morph", 0.25F}});
  playing.set("morph", 0.75F);  // beyond the middle the switch is that of the upper end
  CHECK(playing.changes() ==
        std::map<std::string, float>{{"a/gain_db", -10.5F}, {"b/bypass", 1}, {"morph", 0.75F}});
  CHECK(playing.level() == doctest::Approx(db(-10.5F)).epsilon(1e-6));
}

TEST_CASE("a controller chooses snapshots by number, the next one and the one before, round") {
  Playing playing;
  playing.rack.engine.set_bindings(
      {{.target = Binding::Target::kAction, .action = MidiAction::kSnapshot, .control = 69}});
  const auto chosen = [&](uint8_t value) {
    playing.rack.play(std::vector<float>(64), 64,
                      {{.frame = 5, .size = 3, .data = {0xB0, 69, value}}});
    return playing.chain->value(playing.chain->snapshot_param());
  };
  // There are three: 3 to 7 choose nothing, 8 goes on, 9 goes back.
  const std::array<std::pair<uint8_t, float>, 13> steps{{{0, 1},
                                                         {2, 3},
                                                         {3, 3},
                                                         {7, 3},
                                                         {1, 2},
                                                         {8, 3},
                                                         {8, 1},
                                                         {9, 3},
                                                         {9, 2},
                                                         {9, 1},
                                                         {9, 3},
                                                         {10, 3},
                                                         {127, 3}}};
  for (const auto& [value, expected] : steps) CHECK(chosen(value) == expected);
}

TEST_CASE("a snapshot that is chosen right after a program change is the new rig's") {
  Playing playing;
  playing.rack.engine.set_bindings(
      {{.target = Binding::Target::kAction, .action = MidiAction::kSnapshot, .control = 69}});
  playing.rack.engine.select(1, false);
  playing.rack.play(std::vector<float>(4800));
  playing.rack.play(std::vector<float>(64), 64,
                    {{.frame = 3, .size = 2, .data = {0xC0, 0, 0}},
                     {.frame = 9, .size = 3, .data = {0xB0, 69, 1}}});
  playing.rack.play(std::vector<float>(4800));
  CHECK(playing.rack.facts(Kind::kSwitched).back().slot == 0);
  CHECK(playing.chain->value(playing.chain->snapshot_param()) == 2);
  CHECK(playing.level() == doctest::Approx(db(-12)).epsilon(1e-6));
}

TEST_CASE("a snapshot of an unknown param, or one too many, is refused by its place") {
  const auto refusal = [](const RigSpec& rig) -> std::string {
    try {
      const Chain chain(rig, 48000, dsp::best_isa());
    } catch (const nn::LoadError& error) {
      return error.what();
    }
    return "accepted";
  };
  RigSpec rig = rig_with_snapshots();
  rig.snapshots[1]["c/gain_db"] = 0;
  CHECK(refusal(rig) == "snapshots 2: c/gain_db is not a param of this rig.");
  rig = rig_with_snapshots();
  rig.snapshots[2]["a/gain_db"] = 99;
  CHECK(refusal(rig) == "snapshots 3: a/gain_db is 99, expected -60 to 40 dB.");
  rig = rig_with_snapshots();
  rig.snapshots[0]["morph"] = 1;
  CHECK(refusal(rig) == "snapshots 1: morph is not a param of this rig.");
  rig.snapshots = std::vector<std::map<std::string, float>>(9);
  CHECK(refusal(rig) == "snapshots: found 9, expected at most 8.");
  rig.snapshots.resize(1);
  CHECK(refusal(rig) == "morph names snapshot 2, expected 0 to 1.");
}
