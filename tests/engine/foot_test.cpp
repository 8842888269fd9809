#include "foot.hpp"

#include <doctest/doctest.h>

#include <random>
#include <set>
#include <type_traits>
#include <vector>

using namespace amp;

// It is copied byte by byte: whatever it holds is in it, and no call of it can come to the heap.
static_assert(std::is_trivially_copyable_v<Foot>);

namespace {

using Target = Binding::Target;

constexpr int kRate = 48000;
constexpr int64_t kQuiet = kRate / 20;
constexpr int64_t kEcho = kRate / 50;

Binding param(int index, int control, MidiMode mode = MidiMode::kAbsolute) {
  Binding binding;
  binding.index = static_cast<int16_t>(index);
  binding.control = static_cast<uint8_t>(control);
  binding.mode = mode;
  return binding;
}

Binding global(int index, int control, MidiMode mode = MidiMode::kAbsolute) {
  Binding binding = param(index, control, mode);
  binding.target = Target::kGlobal;
  return binding;
}

struct Sent {
  int64_t frame;
  int size;
  std::array<uint8_t, 3> data;
  bool operator==(const Sent&) const = default;
};

/// A foot, a chain of bindings and the values that they turn, run in blocks of 64 frames.
struct Stage {
  explicit Stage(std::vector<Binding> chain = {}, int rate = kRate)
      : foot(rate), bindings(std::move(chain)), states(bindings.size()) {}

  [[nodiscard]] Bound bound() { return {bindings, states}; }
  float& value_of(const Binding& binding) {
    if (binding.target == Target::kAction) return snapshot;
    return binding.target == Target::kGlobal ? globals[static_cast<size_t>(binding.index)]
                                             : params[static_cast<size_t>(binding.index)];
  }
  void message(int control, int value, int channel = 0) {
    const MidiEvent event{.size = 3,
                          .data = {static_cast<uint8_t>(0xB0 | channel),
                                   static_cast<uint8_t>(control), static_cast<uint8_t>(value)}};
    acted = 0;
    foot.control(
        event, frame, bound(), [&](const Binding& binding) { return value_of(binding); },
        [&](const Binding& binding, float v) {
          ++acted;
          if (binding.target == Target::kAction) return;
          value_of(binding) = v;
          foot.note(binding.target, binding.index, bound());
        });
  }
  void set(Target target, int index, float value) {
    (target == Target::kGlobal ? globals : params)[static_cast<size_t>(index)] = value;
    foot.note(target, index, bound());
  }
  /// Run on; returns what was sent meanwhile.
  std::vector<Sent> run(int64_t frames, int block = 64) {
    std::vector<Sent> sent;
    for (int64_t left = frames; left > 0;) {
      const int now = static_cast<int>(std::min<int64_t>(block, left));
      std::array<MidiEvent, 256> out{};
      const int count = foot.collect(
          frame, now, bound(), [&](const Binding& binding) { return value_of(binding); }, out);
      for (int i = 0; i < count; ++i) {
        const MidiEvent& event = out[static_cast<size_t>(i)];
        REQUIRE(event.frame >= 0);
        REQUIRE(event.frame < now);
        sent.push_back({frame + event.frame, event.size, event.data});
      }
      frame += now;
      left -= now;
    }
    return sent;
  }

  Foot foot;
  std::vector<Binding> bindings;
  std::vector<BindingState> states;
  std::array<float, 256> params{};
  std::array<float, 256> globals{};
  float snapshot = 0;
  int64_t frame = 1000;
  int acted = 0;
};

std::vector<int> values(const std::vector<Sent>& sent) {
  std::vector<int> values;
  for (const Sent& message : sent) values.push_back(message.data[2]);
  return values;
}

using Values = std::vector<int>;

}  // namespace

TEST_CASE("a controller turns all that it is bound to, in the rig and outside") {
  Stage stage({param(3, 11), param(4, 11), param(5, 12)});
  stage.foot.add(global(0, 11));
  stage.message(11, 127);
  CHECK(stage.acted == 3);
  CHECK(stage.params[3] == 1);
  CHECK(stage.params[4] == 1);
  CHECK(stage.params[5] == 0);
  CHECK(stage.globals[0] == 1);
}

TEST_CASE("a rig's binding that replaces takes the controller from the global ones, not panic") {
  Stage stage({param(3, 11)});
  stage.bindings[0].replaces = true;
  Binding panic = global(0, 11);
  panic.target = Target::kAction;
  panic.action = MidiAction::kPanic;
  stage.foot.add(global(0, 11));
  stage.foot.add(global(1, 12));
  stage.foot.add(panic);
  stage.message(11, 127);
  CHECK(stage.acted == 2);
  CHECK(stage.globals[0] == 0);
  stage.message(12, 127);
  CHECK(stage.globals[1] == 1);
  stage.set(Target::kGlobal, 0, 0.5F);
  CHECK(values(stage.run(kRate)) == Values{});  // nor does it move a pedal that is not its own
}

TEST_CASE("global bindings are replaced as a whole and are at most 128") {
  Stage stage;
  for (int i = 0; i < kMostGlobalBindings; ++i) CHECK(stage.foot.add(global(i, i)));
  CHECK_FALSE(stage.foot.add(global(200, 5)));
  stage.message(127, 127);
  CHECK(stage.globals[127] == 1);
  stage.foot.clear();
  stage.message(100, 127);
  CHECK(stage.acted == 0);
  CHECK(stage.foot.add(global(7, 100)));
  stage.message(100, 127);
  CHECK(stage.globals[7] == 1);
}

TEST_CASE("a new set of global bindings remembers nothing of the old one") {
  Stage stage;
  stage.foot.add(global(0, 20, MidiMode::kToggle));
  stage.message(20, 100);
  stage.foot.clear();
  stage.foot.add(global(0, 20, MidiMode::kToggle));
  stage.message(20, 127);  // after 100 without a release it would be no press
  CHECK(stage.acted == 1);
}

TEST_CASE("a change from elsewhere is told to the controller once, on its channel") {
  Stage stage({param(0, 20), param(1, 21)});
  stage.bindings[0].channel = 5;
  stage.set(Target::kParam, 0, 0.5F);
  stage.set(Target::kParam, 0, 0.25F);
  const std::vector<Sent> sent = stage.run(kRate);
  REQUIRE(sent.size() == 1);
  CHECK(sent[0] == Sent{1000, 3, {0xB5, 20, 32}});
  stage.set(Target::kParam, 0, 0.251F);  // the same 127th
  CHECK(stage.run(kRate).empty());
}

TEST_CASE("an omni binding answers where it was spoken to, before that where anyone was") {
  Stage stage({param(0, 20), param(1, 21)});
  stage.foot.refresh(stage.bound());
  for (const Sent& message : stage.run(kRate)) CHECK(message.data[0] == 0xB0);
  stage.message(20, 1, 3);
  stage.message(21, 1, 4);
  stage.states[0] = stage.states[1];
  stage.states[0].channel = 3;
  stage.run(kRate);
  stage.set(Target::kParam, 0, 1);
  stage.set(Target::kParam, 1, 1);
  std::vector<Sent> sent = stage.run(kRate);
  REQUIRE(sent.size() == 2);
  CHECK(sent[0].data[0] + sent[1].data[0] == 0xB3 + 0xB4);
  Stage next({param(0, 20)});
  next.message(99, 1, 7);  // bound to nothing
  next.foot.refresh(next.bound());
  CHECK(next.run(kRate)[0].data[0] == 0xB0);
  next.message(20, 1, 7);
  next.states[0] = {};  // the next rig
  next.foot.refresh(next.bound());
  CHECK(next.run(kRate)[0].data[0] == 0xB7);
}

TEST_CASE("to a controller that moves nothing goes back, and nothing after that shows the same") {
  Stage stage({param(0, 20)});
  std::vector<Sent> sent;
  for (int value = 0; value < 128; ++value) {
    stage.message(20, value);
    for (const Sent& message : stage.run(kRate / 100)) sent.push_back(message);
  }
  for (const Sent& message : stage.run(kRate)) sent.push_back(message);
  CHECK(sent.empty());
}

TEST_CASE("what something else set while the controller moved is told 50 ms after it rests") {
  for (const int block : {1, 7, 64, 1024}) {
    Stage stage({param(0, 20)});
    stage.message(20, 100);
    stage.run(480, block);
    stage.set(Target::kParam, 0, 0);
    const std::vector<Sent> sent = stage.run(kRate, block);
    REQUIRE(sent.size() == 1);
    CHECK(sent[0] == Sent{1000 + kQuiet, 3, {0xB0, 20, 0}});
  }
}

TEST_CASE("a toggle's light is right whether it follows the foot or waits to be told") {
  Stage stage({param(0, 20, MidiMode::kToggle)});
  stage.bindings[0].is_switch = true;
  for (const int held_ms : {10, 200}) {  // shorter than the 50 ms and longer
    for (const int state : {1, 0}) {
      int followed = 0;  // by a light that follows the foot
      int told = 1 - state ? 127 : 0;
      const auto hear = [&](const std::vector<Sent>& sent) {
        for (const Sent& message : sent) followed = told = message.data[2];
      };
      stage.message(20, followed = 127);
      hear(stage.run(kRate * held_ms / 1000));
      stage.message(20, followed = 0);
      hear(stage.run(kRate));
      CHECK(stage.params[0] == static_cast<float>(state));
      CHECK(followed == 127 * state);
      CHECK(told == 127 * state);
    }
  }
}

TEST_CASE("a light with values of its own is told of changes alone") {
  Stage stage({param(0, 20)});
  stage.bindings[0].is_switch = true;
  stage.bindings[0].leds = {3, 9};
  stage.bindings[0].led_count = 2;
  stage.foot.refresh(stage.bound());
  CHECK(values(stage.run(kRate)) == Values{3});
  stage.message(20, 127);
  CHECK(values(stage.run(kRate)) == Values{9});
  stage.message(20, 100);
  CHECK(values(stage.run(kRate)).empty());
}

TEST_CASE("a foot that says the same twice is no echo of what was sent before it") {
  Stage stage({param(0, 20)});
  stage.set(Target::kParam, 0, 1);
  REQUIRE(values(stage.run(kEcho / 4)) == Values{127});
  for (int press = 0; press < 2; ++press) {
    stage.message(20, 40);
    CHECK(stage.acted == 1);
    stage.run(kEcho / 8);
  }
}

TEST_CASE("a thru from the output to the input moves nothing and ends") {
  for (const MidiMode mode : {MidiMode::kAbsolute, MidiMode::kToggle, MidiMode::kMomentary})
    for (const int64_t delay : {int64_t{64}, kEcho - 128, kEcho + 64, kRate / 4L}) {
      Stage stage({param(0, 20, mode), param(1, 20)});
      stage.params[1] = 0.77F;  // turned by the same controller, which shows the other
      stage.set(Target::kParam, 0, mode == MidiMode::kAbsolute ? 0.3F : 1.0F);
      std::vector<Sent> on_the_way;
      int count = 0;
      for (int block = 0; block < 3000; ++block) {
        for (const Sent& message : stage.run(64)) {
          on_the_way.push_back(message);
          ++count;
        }
        while (!on_the_way.empty() && on_the_way[0].frame + delay <= stage.frame) {
          stage.message(20, on_the_way[0].data[2]);
          on_the_way.erase(on_the_way.begin());
        }
      }
      CHECK(count <= 2);
      if (delay < kEcho) {
        CHECK(count == 1);
        CHECK(stage.params[0] == (mode == MidiMode::kAbsolute ? 0.3F : 1.0F));
        CHECK(stage.params[1] == 0.77F);
      }
    }
}

TEST_CASE("of two bindings of one controller the rig's gives the feedback") {
  Stage stage({param(0, 20, MidiMode::kTrigger), param(1, 20), param(2, 20)});
  stage.foot.add(global(0, 20));
  stage.params[1] = 1;
  stage.foot.refresh(stage.bound());
  CHECK(values(stage.run(kRate)) == Values{127});
  stage.set(Target::kGlobal, 0, 0.5F);
  CHECK(stage.run(kRate).empty());
}

TEST_CASE("a snapshot that something else chose is told as the number that would choose it") {
  Stage stage;
  Binding select = global(0, 69);
  select.target = Target::kAction;
  select.action = MidiAction::kSnapshot;
  stage.foot.add(select);
  stage.snapshot = 3;
  stage.foot.note(Target::kAction, 0, stage.bound());
  CHECK(values(stage.run(kRate)) == Values{2});
  stage.message(69, 8);  // the next one
  stage.snapshot = 4;
  stage.foot.note(Target::kAction, 0, stage.bound());
  CHECK(values(stage.run(kRate)) == Values{3});
}

TEST_CASE("a refresh tells every controller, queued messages first, at the pace of the cable") {
  for (const int rate : {44100, 48000, 96000})
    for (const int block : {1, 7, 64, 4096}) {
      std::vector<Binding> chain;
      for (int i = 0; i < 60; ++i) chain.push_back(param(i, i));
      Stage stage(chain, rate);
      for (int i = 60; i < 120; ++i) stage.foot.add(global(i, i));
      stage.foot.refresh(stage.bound());
      for (int i = 0; i < Foot::kMostQueued; ++i)
        CHECK(stage.foot.queue({.size = 2, .data = {0xC0, static_cast<uint8_t>(i), 0}}));
      CHECK_FALSE(stage.foot.queue({.size = 2, .data = {0xC0, 99, 0}}));
      const std::vector<Sent> sent = stage.run(rate, block);
      REQUIRE(sent.size() == Foot::kMostQueued + 120);
      std::set<int> told;
      for (size_t i = 0; i < sent.size(); ++i) {
        if (i < Foot::kMostQueued)
          CHECK(sent[i].data == std::array<uint8_t, 3>{0xC0, static_cast<uint8_t>(i), 0});
        else
          told.insert(sent[i].data[1]);
      }
      CHECK(told.size() == 120);
    }
}

TEST_CASE("in no 100 ms does more go out than a cable carries, and no less while more waits") {
  std::mt19937 random(3);
  for (const int rate : {44100, 48000, 96000}) {
    std::vector<Binding> chain;
    for (int i = 0; i < 100; ++i) chain.push_back(param(i, i));
    Stage stage(chain, rate);
    std::vector<Sent> sent;
    while (stage.frame < 2 * rate) {
      for (int i = 0; i < 100; ++i)
        stage.set(Target::kParam, i, static_cast<float>(random() % 128) / 127.0F);
      if (random() % 4 == 0) stage.foot.queue({.size = 2, .data = {0xC0, 1, 0}});
      for (const Sent& message : stage.run(64)) sent.push_back(message);
    }
    // When a wire that takes each byte as it is given has carried it: if no byte waits for the one
    // before, no stretch of time, of 100 ms or any other, holds more than the wire carries.
    std::vector<double> carried;
    for (const Sent& message : sent)
      for (int i = 1; i <= message.size; ++i)
        carried.push_back(static_cast<double>(message.frame) / rate + i * 320e-6);
    for (size_t i = 1; i < carried.size(); ++i)
      REQUIRE(carried[i] - carried[i - 1] >= 320e-6 - 1e-9);
    // Up to a frame a message is lost to whole frames, of 46 at 48 kHz.
    const double seconds = carried.back() - carried.front();
    CHECK(static_cast<double>(carried.size()) >= 0.97 * seconds * Foot::kBytesPerSecond);
  }
}

TEST_CASE("a controller that never rests leaves the others their turn") {
  std::vector<Binding> chain;
  for (int i = 0; i < 10; ++i) chain.push_back(param(i, i));
  Stage stage(chain);
  stage.set(Target::kParam, 9, 1);
  std::set<int> told;
  for (int block = 0; block < 20; ++block) {
    for (int i = 0; i < 9; ++i) stage.set(Target::kParam, i, static_cast<float>(block % 7) / 7.0F);
    for (const Sent& message : stage.run(64)) told.insert(message.data[1]);
  }
  CHECK(told.size() == 10);
}

TEST_CASE("what finds no room in the host's list comes with the next") {
  Stage stage;
  for (int i = 0; i < 3; ++i)
    stage.foot.queue({.size = 2, .data = {0xC0, static_cast<uint8_t>(i), 0}});
  std::array<MidiEvent, 2> out{};
  const auto none = [](const Binding&) { return 0.0F; };
  CHECK(stage.foot.collect(0, 4096, stage.bound(), none, out) == 2);
  CHECK(stage.foot.collect(4096, 4096, stage.bound(), none, out) == 1);
  CHECK(out[0].data[1] == 2);
}
