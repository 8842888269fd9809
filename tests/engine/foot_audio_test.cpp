#include <doctest/doctest.h>

#include "effect.hpp"
#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;
using Kind = Fact::Kind;

namespace {

constexpr uint8_t kKnob = 7;
constexpr uint8_t kMuteSwitch = 20;
constexpr uint8_t kPanicSwitch = 21;
constexpr uint8_t kTapSwitch = 22;

MidiEvent program_change(int frame, uint8_t program) {
  return {.frame = frame, .size = 2, .data = {0xC0, program, 0}};
}

MidiEvent control(int frame, uint8_t number, uint8_t value) {
  return {.frame = frame, .size = 3, .data = {0xB0, number, value}};
}

Binding action(MidiAction what, uint8_t number) {
  return {.target = Binding::Target::kAction, .action = what, .control = number};
}

/// A gain of -20 dB that controller 7 turns to 0 dB.
RigSpec rig_with_knob() {
  RigSpec rig;
  rig.blocks = {{.kind = "gain", .name = "gain", .values = {{"gain_db", -20}}, .model = ""}};
  rig.bindings = {
      {.path = "gain/gain_db", .binding = {.control = kKnob}, .low = -40.0F, .high = 0.0F}};
  return rig;
}

/// Rigs in all of `slots`, the first one playing.
void begin(Rack& rack, const std::vector<int>& slots, const RigSpec& rig = rig_with_knob()) {
  for (const int slot : slots) rack.park(slot, rig);
  rack.engine.set_bindings({{.target = Binding::Target::kGlobal,
                             .index = kMute,
                             .control = kMuteSwitch,
                             .is_switch = true},
                            action(MidiAction::kPanic, kPanicSwitch),
                            action(MidiAction::kTap, kTapSwitch)});
  rack.engine.select(slots.front(), false);
  rack.play(std::vector<float>(48000));
  static_cast<void>(rack.engine.facts());
  rack.midi_out.clear();
}

std::vector<Fact> changes_of(Rack& rack, int slot, int index) {
  std::vector<Fact> found;
  for (const Fact& fact : rack.facts(Kind::kChanged))
    if (fact.slot == slot && fact.index == index) found.push_back(fact);
  return found;
}

constexpr int kGainParam = 3;

}  // namespace

TEST_CASE("a controller acts at its own frame, as a param that is set just there") {
  const std::vector<float> input = noise(4800, 1);
  for (const int frame : {0, 1, 63, 64, 1013}) {
    Rack by_foot;
    Rack by_hand;
    begin(by_foot, {0});
    begin(by_hand, {0});
    const std::vector<float> heard = by_foot.play(input, 256, {control(frame, kKnob, 127)});
    const auto at = static_cast<size_t>(frame);
    std::vector<float> expected = by_hand.play(part(input, 0, at));
    by_hand.engine.set_param(0, kGainParam, 0);
    const std::vector<float> rest = by_hand.play(part(input, at, 4800));
    expected.insert(expected.end(), rest.begin(), rest.end());
    CHECK(heard == expected);
    CHECK(changes_of(by_foot, 0, kGainParam).at(0).frame == 48000 + frame);
    REQUIRE(heard.back() == input.back());
  }
}

TEST_CASE("a controller after a program change belongs to the new rig, warmed or not") {
  // In one callback with the program change, in the next one, and after the rig has come in.
  for (const int frame : {1, 20, 64, 100, 2000}) {
    Rack rack;
    begin(rack, {0, 1});
    rack.engine.set_programs({0, 1});
    const std::vector<float> output = rack.play(std::vector<float>(9600, 1), 64,
                                                {program_change(0, 1), control(frame, kKnob, 127)});
    CHECK(output.back() == 1);
    for (const Fact& fact : rack.facts(Kind::kChanged)) CHECK(fact.slot == 1);
    if (frame > 100) continue;
    // It comes in with the value: from -20 dB of the old one straight up, never below.
    for (size_t i = 1; i < output.size(); ++i) REQUIRE(output[i] >= output[i - 1] - 1e-6F);
  }
}

TEST_CASE("controllers that wait for a rig of another bank go to it, or back to the old one") {
  for (const bool answered : {true, false}) {
    Rack rack;
    begin(rack, {0, 1});
    rack.engine.set_programs({0});
    rack.play(std::vector<float>(64, 1), 64,
              {control(0, 32, 1), program_change(1, 0), control(2, kKnob, 127)});
    CHECK(rack.facts(Kind::kChanged).empty());
    if (answered) rack.engine.select(1, false);
    rack.play(std::vector<float>(23000, 1));
    CHECK(changes_of(rack, 1, kGainParam).size() == (answered ? 1 : 0));
    rack.play(std::vector<float>(2000, 1));  // the half second is over
    const float now = rack.play(std::vector<float>(960, 1)).back();
    CHECK(now == 1);
    CHECK(rack.facts(Kind::kSelected).size() == (answered ? 1 : 0));
  }
}

TEST_CASE("what waits for another bank is not meant for a program of this one that follows") {
  Rack rack;
  begin(rack, {0, 1});
  rack.engine.set_programs({0, 1});
  rack.play(
      std::vector<float>(64), 64,
      {control(0, 32, 1), program_change(1, 0), control(2, kKnob, 127), program_change(3, 1)});
  CHECK(rack.play(std::vector<float>(30000, 1)).back() == doctest::Approx(0.1F));
  CHECK(rack.facts(Kind::kSwitched).back().slot == 1);
  CHECK(rack.facts(Kind::kChanged).empty());
}

TEST_CASE("mute and panic do not wait for the rig that was asked for") {
  Rack rack;
  begin(rack, {0, 1});
  rack.engine.set_programs({0, 1});
  rack.play(std::vector<float>(64), 64,
            {program_change(3, 1), control(10, kMuteSwitch, 127), control(20, kPanicSwitch, 0)});
  const std::vector<Fact> changed = rack.facts(Kind::kChanged);
  REQUIRE(changed.size() == 4);
  CHECK(changed[0].index == kMute);
  CHECK(changed[0].value == 1);
  CHECK(changed[0].frame == 48000 + 10);
  CHECK(changed[2].index == kMute);
  CHECK(changed[2].value == 0);
  CHECK(changed[3].index == kBypass);
  CHECK(changed[3].value == 1);
  CHECK(changed[3].frame == 48000 + 20);
  // And are not done a second time when it has come.
  rack.play(std::vector<float>(9600));
  CHECK(rack.facts(Kind::kSwitched).back().slot == 1);
  CHECK(rack.facts(Kind::kChanged).empty());
}

TEST_CASE("of the program changes of one callback only the last is heard") {
  Rack rack;
  begin(rack, {0, 1, 2, 3});
  rack.engine.set_programs({0, 1, 2, 3});
  rack.play(std::vector<float>(9600), 256,
            {program_change(0, 1), program_change(5, 2), program_change(200, 3)});
  const std::vector<Fact> audible = rack.facts(Kind::kAudible);
  REQUIRE(audible.size() == 1);
  CHECK(audible[0].slot == 3);
  CHECK(rack.facts(Kind::kSuperseded).size() == 2);
}

TEST_CASE("bank select is latched for one program change, by either controller or both") {
  struct Row {
    std::vector<std::pair<uint8_t, uint8_t>> controls;
    int bank;
  };
  const std::vector<Row> rows{
      {{{0, 2}}, 2},          {{{32, 3}}, 3},           {{{0, 0}, {32, 3}}, 3},
      {{{0, 2}, {32, 0}}, 2}, {{{32, 1}, {0, 1}}, 129}, {{{0, 5}, {0, 6}}, 6}};
  for (const Row& row : rows) {
    Rack rack;
    begin(rack, {0, 1});
    rack.engine.set_programs({0, 1}, 0);
    std::vector<MidiEvent> midi;
    for (const auto& [number, value] : row.controls) midi.push_back(control(0, number, value));
    midi.push_back(program_change(1, 9));
    rack.play(std::vector<float>(64), 64, midi);
    const std::vector<Fact> asked = rack.facts(Kind::kProgram);
    REQUIRE(asked.size() == 1);
    CHECK(asked[0].index == row.bank * 128 + 9);
    // The next one is of the current bank again.
    rack.play(std::vector<float>(9600), 64, {program_change(0, 1)});
    CHECK(rack.facts(Kind::kSwitched).back().slot == 1);
    CHECK(rack.facts(Kind::kProgram).empty());
  }
  Rack rack;  // the bank that is current anyhow needs nobody
  begin(rack, {0, 1});
  rack.engine.set_programs({0, 1}, 3);
  rack.play(std::vector<float>(9600), 64, {control(0, 32, 3), program_change(1, 1)});
  CHECK(rack.facts(Kind::kSwitched).back().slot == 1);
}

TEST_CASE("the rig after, and the one before, go round over the gaps of the programs") {
  Rack rack;
  begin(rack, {5, 7, 9});
  std::vector<int> programs(128, -1);
  programs[0] = 5;
  programs[3] = 7;
  programs[127] = 9;
  rack.engine.set_programs(programs);
  rack.engine.set_bindings({action(MidiAction::kRigNext, 30), action(MidiAction::kRigPrev, 31),
                            action(MidiAction::kRigStep, 32 + 1)});
  const auto after = [&](uint8_t number, uint8_t value) {
    rack.play(std::vector<float>(4800), 64, {control(1, number, value)});
    return rack.facts(Kind::kSwitched).back().slot;
  };
  for (const int expected : {7, 9, 5, 7}) CHECK(after(30, 127) == expected);
  for (const int expected : {5, 9, 7, 5}) CHECK(after(31, 127) == expected);
  for (const int expected : {7, 9, 5}) CHECK(after(33, 64) == expected);
  for (const int expected : {9, 7, 5}) CHECK(after(33, 0) == expected);
  // Several in one callback count each.
  rack.play(std::vector<float>(4800), 64,
            {control(1, 33, 127), control(2, 33, 127), control(3, 33, 0)});
  CHECK(rack.facts(Kind::kSwitched).back().slot == 7);
}

TEST_CASE("taps give the mean of the last three intervals, and begin anew after a pause") {
  const auto tempo_of = [](const std::vector<int>& frames) {
    Rack rack;
    begin(rack, {0});
    std::vector<MidiEvent> midi;
    for (const int frame : frames) midi.push_back(control(frame, kTapSwitch, 127));
    rack.play(std::vector<float>(static_cast<size_t>(frames.back()) + 1), 64, midi);
    const std::vector<Fact> changed = changes_of(rack, -1, kTempo);
    return changed.empty() ? 0.0F : changed.back().value;
  };
  CHECK(tempo_of({100}) == 120);  // as it was, told again
  CHECK(tempo_of({100, 24100}) == 120);
  CHECK(tempo_of({100, 24100, 44100}) == doctest::Approx(60.0 * 48000 * 2 / 44000));
  CHECK(tempo_of({100, 24100, 44100, 64100}) == doctest::Approx(60.0 * 48000 * 3 / 64000));
  // The fifth pushes the first out.
  CHECK(tempo_of({100, 24100, 44100, 64100, 84100}) == 144);
  CHECK(tempo_of({100, 24100, 24100 + 106000}) == 120);  // 2.2 s later: a first tap
  CHECK(tempo_of({100, 24100, 130100, 130100 + 16000}) == 180);
  CHECK(tempo_of({100, 1100}) == 300);  // 2,880 beats a minute are clamped
}

TEST_CASE("while it learns, a controller is told and does nothing") {
  Rack rack;
  begin(rack, {0});
  rack.engine.learn(true);
  rack.play(std::vector<float>(64), 64,
            {{.frame = 9, .size = 3, .data = {0xB5, kKnob, 99}}, control(10, kMuteSwitch, 127)});
  const std::vector<Fact> moved = rack.facts(Kind::kController);
  REQUIRE(moved.size() == 2);
  CHECK(moved[0].index == 5 * 128 + kKnob);
  CHECK(moved[0].value == 99);
  CHECK(moved[0].frame == 48000 + 9);
  CHECK(rack.facts(Kind::kChanged).empty());
  rack.engine.learn(false);
  rack.play(std::vector<float>(64), 64, {control(10, kMuteSwitch, 127)});
  CHECK(rack.facts(Kind::kController).empty());
  CHECK(rack.facts(Kind::kChanged).size() == 1);
}

TEST_CASE("a rig that comes in sends its messages, its program and its values") {
  RigSpec rig = rig_with_knob();
  rig.on_load = {{.frame = 0, .size = 3, .data = {0xB1, 80, 5}},
                 {.frame = 0, .size = 2, .data = {0xC2, 17, 0}}};
  Rack rack;
  begin(rack, {0});
  rack.park(1, rig);
  rack.engine.set_programs({0, 1});
  rack.engine.select(1, false);
  rack.play(std::vector<float>(9600));
  using Bytes = std::array<uint8_t, 3>;
  std::vector<Bytes> sent;
  for (const MidiEvent& message : rack.midi_out) sent.push_back(message.data);
  const auto has = [&](const Bytes& bytes) { return std::count(sent.begin(), sent.end(), bytes); };
  CHECK(has({0xC0, 1, 0}) == 1);
  CHECK(has({0xB1, 80, 5}) == 1);
  CHECK(has({0xC2, 17, 0}) == 1);
  CHECK(has({0xB0, kKnob, 64}) == 1);  // -20 dB is the middle of -40 to 0
  CHECK(sent.front() == Bytes{0xC0, 1, 0});
  // Chosen by the foot, the program is not sent back; the rest is.
  rack.midi_out.clear();
  rack.play(std::vector<float>(4800), 64, {program_change(0, 0)});
  rack.play(std::vector<float>(4800), 64, {program_change(0, 1)});
  sent.clear();
  for (const MidiEvent& message : rack.midi_out) sent.push_back(message.data);
  CHECK(has({0xC0, 1, 0}) == 0);
  CHECK(has({0xB1, 80, 5}) == 1);
}

TEST_CASE("a value that control sets is told to the controller that is bound to it") {
  Rack rack;
  begin(rack, {0});
  rack.engine.set_param(0, kGainParam, 0);
  rack.play(std::vector<float>(4800));
  REQUIRE(rack.midi_out.size() == 1);
  CHECK(rack.midi_out[0].data == std::array<uint8_t, 3>{0xB0, kKnob, 127});
  rack.engine.set_global(kMute, 1);
  rack.play(std::vector<float>(4800));
  REQUIRE(rack.midi_out.size() == 2);
  CHECK(rack.midi_out[1].data == std::array<uint8_t, 3>{0xB0, kMuteSwitch, 127});
}

TEST_CASE("a param that waits for a rig that is not to come any more is refused by its id") {
  Rack rack;
  begin(rack, {0, 1, 2});
  rack.engine.select(1, false);
  const uint32_t id = rack.engine.set_param(1, kGainParam, -3);
  rack.engine.select(2, false);
  rack.play(std::vector<float>(4800));
  const std::vector<Fact> refused = rack.facts(Kind::kRefused);
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].id == id);
  CHECK(rack.facts(Kind::kChanged).empty());
}

TEST_CASE("of more than can wait for a rig each param is taken or refused") {
  Rack rack;
  begin(rack, {0, 1});
  rack.engine.select(1, false);
  for (int i = 0; i < 300; ++i) rack.engine.set_param(1, kGainParam, static_cast<float>(-i % 40));
  const uint32_t other = rack.engine.set_param(1, 2, -1);  // the output: nobody of its name waits
  rack.play(std::vector<float>(4800));
  const std::vector<Fact> refused = rack.facts(Kind::kRefused);
  CHECK(refused.size() + rack.facts(Kind::kChanged).size() == 301);
  CHECK(refused.back().id == other);
}

TEST_CASE("facts that were lost in a full queue are asked for again") {
  Rack rack;
  begin(rack, {0, 1});
  rack.engine.select(1, false);
  for (int i = 0; i < 12; ++i) {
    for (int k = 0; k < 500; ++k) rack.engine.set_global(kMaster, static_cast<float>(-(k % 50)));
    if (i == 11) rack.engine.set_param(1, kGainParam, -7);
    rack.play(std::vector<float>(960));
  }
  REQUIRE(rack.engine.facts().size() >= 4096);
  rack.play(std::vector<float>(64));
  std::vector<Fact> answer = rack.engine.facts();
  REQUIRE_FALSE(answer.empty());
  CHECK(answer[0].kind == Kind::kNow);
  CHECK(answer[0].slot == 1);
  CHECK(answer[0].index == 1);
  std::map<std::pair<int, int>, float> values;
  for (const Fact& fact : answer) values[{fact.slot, fact.index}] = fact.value;
  CHECK(values[{-1, kMaster}] == -49);
  CHECK(values[{1, kGainParam}] == -7);
  rack.play(std::vector<float>(64));
  CHECK(rack.engine.facts().empty());  // asked once
}
