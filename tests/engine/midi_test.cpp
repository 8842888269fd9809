#include "midi.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <vector>

using namespace amp;

namespace {

using Bytes = std::vector<uint8_t>;

constexpr std::array kCurves{MidiCurve::kLinear, MidiCurve::kSlowStart, MidiCurve::kFastStart,
                             MidiCurve::kSmooth};
constexpr std::array<std::array<float, 2>, 4> kRanges{
    {{0, 1}, {-60, 0}, {20000, 20}, {0.25F, 0.5F}}};

MidiEvent change(int control, int value, int channel = 0) {
  return {.size = 3,
          .data = {static_cast<uint8_t>(0xB0 | channel), static_cast<uint8_t>(control),
                   static_cast<uint8_t>(value)}};
}

Binding bound(MidiMode mode, float low = 0, float high = 1, MidiCurve curve = MidiCurve::kLinear) {
  Binding binding;
  binding.control = 11;
  binding.mode = mode;
  binding.curve = curve;
  binding.low = low;
  binding.high = high;
  return binding;
}

Binding doing(MidiAction action, MidiMode mode = MidiMode::kAbsolute) {
  Binding binding = bound(mode);
  binding.target = Binding::Target::kAction;
  binding.action = action;
  return binding;
}

/// A controller and its one binding, from the first message on.
struct Knob {
  Binding binding;
  BindingState state{};

  MidiOutcome send(int value, float now = 0) {
    return apply(binding, state, change(binding.control, value), now);
  }
  /// The values of it that did something.
  std::vector<int> that_act(const std::vector<int>& values) {
    std::vector<int> acting;
    for (const int value : values)
      if (send(value).acts) acting.push_back(value);
    return acting;
  }
};

long double curved(MidiCurve curve, long double x) {
  switch (curve) {
    case MidiCurve::kSlowStart:
      return std::pow(x, 3.0L);
    case MidiCurve::kFastStart:
      return 1 - std::pow(1 - x, 3.0L);
    case MidiCurve::kSmooth:
      return 3 * std::pow(x, 2.0L) - 2 * std::pow(x, 3.0L);
    default:
      return x;
  }
}

/// The message that the last of `stream` completes, found by looking back over all that came.
std::optional<Bytes> completed(const Bytes& stream) {
  Bytes heard;
  for (const uint8_t byte : stream)
    if (byte < 0xF8) heard.push_back(byte);
  if (stream.back() >= 0x80) return {};
  size_t status = heard.size();
  while (status > 0 && heard[status - 1] < 0x80) --status;
  if (status == 0 || heard[status - 1] >= 0xF0) return {};
  const uint8_t kind = heard[status - 1] >> 4U;
  const size_t length = kind == 0xC || kind == 0xD ? 1 : 2;
  if ((heard.size() - status) % length != 0) return {};
  Bytes message{heard[status - 1]};
  message.insert(message.end(), heard.end() - static_cast<ptrdiff_t>(length), heard.end());
  return message;
}

/// What a bad day brings: whole messages, running status, SysEx without an end, garbage, the clock.
Bytes bad_day(std::mt19937& random, size_t least) {
  Bytes stream;
  const auto pick = [&](int from, int to) {
    return static_cast<uint8_t>(std::uniform_int_distribution<int>(from, to)(random));
  };
  while (stream.size() < least) {
    const int kind = pick(0, 5);
    if (kind == 0) stream.push_back(pick(0xF0, 0xFF));
    if (kind == 1) stream.push_back(pick(0x80, 0xEF));
    if (kind == 2) stream.push_back(pick(0xF8, 0xFF));
    if (kind == 3) stream.insert(stream.end(), {0xF0, pick(0, 127), pick(0, 127)});
    for (int i = pick(0, 5); i > 0; --i) stream.push_back(pick(0, 127));
  }
  return stream;
}

std::vector<Bytes> parsed(const Bytes& stream) {
  MidiParser parser;
  std::vector<Bytes> messages;
  MidiEvent event;
  for (const uint8_t byte : stream)
    if (parser.take(byte, event))
      messages.emplace_back(event.data.begin(), event.data.begin() + event.size);
  return messages;
}

}  // namespace

TEST_CASE("the parser finds what looking back over the whole stream finds") {
  std::mt19937 random(1);
  int found = 0;
  for (int day = 0; day < 200; ++day) {
    const Bytes stream = bad_day(random, 300);
    MidiParser parser;
    Bytes heard;
    for (const uint8_t byte : stream) {
      heard.push_back(byte);
      const std::optional<Bytes> expected = completed(heard);
      MidiEvent event{.frame = 17};
      REQUIRE(parser.take(byte, event) == expected.has_value());
      REQUIRE(event.frame == 17);
      if (!expected) continue;
      REQUIRE(Bytes(event.data.begin(), event.data.begin() + event.size) == *expected);
      REQUIRE((event.size == 3 || event.data[2] == 0));
      ++found;
    }
  }
  CHECK(found > 5000);
}

TEST_CASE("a message with its status is found whatever came before and whatever clock runs in it") {
  std::mt19937 random(2);
  for (int day = 0; day < 1000; ++day) {
    Bytes stream = bad_day(random, 40);
    stream.insert(stream.end(), {0xF0, 0x7D, 0xB0, 0xFE, 123, 0xF8, 0xF8, 0});
    REQUIRE(parsed(stream).back() == Bytes{0xB0, 123, 0});
  }
}

TEST_CASE("running status goes on after the clock and ends at SysEx and system common") {
  const Bytes first{0xB2, 7, 100};
  CHECK(parsed({0xB2, 7, 100, 0xF8, 8, 0xFA, 9}) == std::vector<Bytes>{first, {0xB2, 8, 9}});
  for (const uint8_t common : Bytes{0xF0, 0xF1, 0xF2, 0xF6, 0xF7})
    CHECK(parsed({0xB2, 7, 100, common, 8, 9, 10}) == std::vector<Bytes>{first});
  CHECK(parsed({0xC5, 1, 2, 3}) == std::vector<Bytes>{{0xC5, 1}, {0xC5, 2}, {0xC5, 3}});
}

TEST_CASE("a binding hears its controller on its channel, or on any") {
  Binding binding = bound(MidiMode::kAbsolute);
  for (int channel = 0; channel < 16; ++channel) {
    binding.channel = kOmni;
    CHECK(listens(binding, change(11, 5, channel)));
    binding.channel = 9;
    CHECK(listens(binding, change(11, 5, channel)) == (channel == 9));
    CHECK_FALSE(listens(binding, change(12, 5, channel)));
  }
  binding.channel = kOmni;
  CHECK_FALSE(listens(binding, change(11 + 32, 5)));
  binding.mode = MidiMode::kFourteenBit;
  CHECK(listens(binding, change(11 + 32, 5)));
  CHECK_FALSE(listens(binding, {.size = 3, .data = {0x90, 11, 5}}));
  CHECK_FALSE(listens(binding, {.size = 2, .data = {0xC0, 11, 0}}));
}

TEST_CASE("an absolute controller follows its curve over its range, either way round") {
  for (const auto& [low, high] : kRanges)
    for (const MidiCurve curve : kCurves) {
      Knob knob{bound(MidiMode::kAbsolute, low, high, curve)};
      for (int value = 0; value < 128; ++value) {
        const MidiOutcome outcome = knob.send(value);
        const long double share = curved(curve, value / 127.0L);
        const auto expected = static_cast<double>(low + (high - low) * share);
        REQUIRE(outcome.acts);
        // One rounding to float.
        REQUIRE(std::abs(outcome.value - expected) <= std::abs(expected) * 0x1p-24 + 1e-12);
      }
      CHECK(knob.send(0).value == low);
      CHECK(knob.send(127).value == high);
    }
}

TEST_CASE("a switch is off up to 63 and on from 64, and may be turned round") {
  for (const MidiMode mode : {MidiMode::kAbsolute, MidiMode::kMomentary, MidiMode::kFourteenBit}) {
    Knob knob{bound(mode, 1, 0, MidiCurve::kSlowStart)};
    knob.binding.is_switch = true;
    for (int value = 0; value < 128; ++value) {
      CHECK(knob.send(value).acts);
      CHECK(knob.send(value).value == (value < 64 ? 1 : 0));
    }
  }
}

TEST_CASE("a toggle turns over what the target is now, whoever set it") {
  Knob knob{bound(MidiMode::kToggle, -20, 6)};
  CHECK(knob.send(127, -20).value == 6);
  CHECK_FALSE(knob.send(0, 6).acts);
  CHECK(knob.send(127, -20).value == 6);  // another rig came, which has it low
  knob.send(0, 6);
  CHECK(knob.send(100, 3).value == -20);
}

TEST_CASE("a press is a way up through 64, or the same value again without a release") {
  const std::vector<int> pedal{0, 30, 64, 65, 90, 127, 126, 64, 63, 64, 2};
  const std::vector<int> no_release{127, 127, 127};
  for (const MidiMode mode : {MidiMode::kToggle, MidiMode::kTrigger}) {
    CHECK(Knob{bound(mode)}.that_act(pedal) == std::vector<int>{64, 64});
    CHECK(Knob{bound(mode)}.that_act(no_release) == no_release);
    CHECK(Knob{bound(mode)}.that_act({63, 63, 0, 0}).empty());
  }
  CHECK(Knob{doing(MidiAction::kTap)}.that_act(pedal) == std::vector<int>{64, 64});
  CHECK(Knob{doing(MidiAction::kTap)}.that_act(no_release) == no_release);
}

TEST_CASE("a trigger sets the high end and a momentary switch lets it go again") {
  Knob trigger{bound(MidiMode::kTrigger, 2, 5)};
  CHECK(trigger.send(127).value == 5);
  Knob momentary{bound(MidiMode::kMomentary, 2, 5)};
  CHECK(momentary.send(64).value == 5);
  CHECK(momentary.send(63).value == 2);
}

TEST_CASE("an encoder steps a 127th of its way and stops at the ends") {
  for (const auto& [low, high] : kRanges)
    for (const MidiCurve curve : kCurves) {
      Knob encoder{bound(MidiMode::kRelative, low, high, curve)};
      Knob pedal{bound(MidiMode::kAbsolute, low, high, curve)};
      for (const int steps : {1, 2, 63, -1, -2, -63, -64})
        for (int from = 0; from < 128; ++from) {
          const float now = pedal.send(from).value;
          const int to = std::clamp(from + steps, 0, 127);
          const MidiOutcome outcome = encoder.send(steps & 0x7F, now);
          REQUIRE(outcome.acts);
          // A float of the target places the controller to a thirtieth of a step here.
          REQUIRE(feedback(pedal.binding, outcome.value) == to);
          if (curve == MidiCurve::kLinear)
            REQUIRE(std::abs(outcome.value - pedal.send(to).value) <= 1e-6F * std::abs(high - low));
        }
    }
  Knob encoder{bound(MidiMode::kRelative)};
  CHECK_FALSE(encoder.send(0, 0.5F).acts);
  encoder.binding.is_switch = true;
  CHECK(encoder.send(1, 0).value == 1);
  CHECK(encoder.send(127, 1).value == 0);
}

TEST_CASE("an encoder leaves the flat end of a curve, however coarse floats are there") {
  Knob encoder{bound(MidiMode::kRelative, 430, 450, MidiCurve::kSlowStart)};
  float now = 430;
  for (int step = 0; step < 127; ++step) now = encoder.send(1, now).value;
  CHECK(now == 450);
}

TEST_CASE("the upper half of fourteen bits clears the lower, which then refines it") {
  Knob knob{bound(MidiMode::kFourteenBit, 0, 16383)};
  const auto refine = [&](int value) {
    return apply(knob.binding, knob.state, change(11 + 32, value), 0);
  };
  CHECK_FALSE(refine(5).acts);  // of which upper half?
  for (const int upper : {0, 1, 64, 127})
    for (const int lower : {0, 1, 127}) {
      CHECK(knob.send(upper).value == doctest::Approx(upper * 128).epsilon(1e-6));
      CHECK(refine(lower).value == doctest::Approx(upper * 128 + lower).epsilon(1e-6));
    }
  CHECK(refine(127).value == 16383);
}

TEST_CASE("actions that choose by the value take any, with the value; panic needs none") {
  std::vector<int> all(128);
  for (int value = 0; value < 128; ++value) all[static_cast<size_t>(value)] = value;
  for (const MidiAction action :
       {MidiAction::kRigStep, MidiAction::kSnapshot, MidiAction::kPanic}) {
    Knob knob{doing(action)};
    CHECK(knob.that_act(all) == all);
    CHECK(knob.send(9).value == 9);
  }
  CHECK(Knob{doing(MidiAction::kRigNext)}.that_act(all) == std::vector<int>{64});
}

TEST_CASE("an encoder on an action is a press for every step up and none for a step down") {
  CHECK(Knob{doing(MidiAction::kRigNext, MidiMode::kRelative)}.that_act({1, 1, 127, 3, 0}) ==
        std::vector<int>{1, 1, 3});
  Knob step{doing(MidiAction::kRigStep, MidiMode::kRelative)};
  CHECK(step.send(2).value == 127);
  CHECK(step.send(126).value == 0);
  CHECK(step.send(126).acts);
}

TEST_CASE("feedback is the inverse of apply for every value, curve and range") {
  for (const MidiMode mode : {MidiMode::kAbsolute, MidiMode::kFourteenBit})
    for (const auto& [low, high] : kRanges)
      for (const MidiCurve curve : kCurves) {
        Knob knob{bound(mode, low, high, curve)};
        for (int value = 0; value < 128; ++value) {
          const float target = knob.send(value).value;
          const int back = feedback(knob.binding, target);
          // Two values of the controller may give one float; then either is right.
          REQUIRE(knob.send(back).value == target);
          if (value == 0 || knob.send(value - 1).value != target)
            if (value == 127 || knob.send(value + 1).value != target) REQUIRE(back == value);
        }
      }
}

TEST_CASE("feedback of a value beyond the range or of no range stays a controller's value") {
  for (const MidiCurve curve : kCurves) {
    CHECK(feedback(bound(MidiMode::kAbsolute, 2, 4, curve), 1) == 0);
    CHECK(feedback(bound(MidiMode::kAbsolute, 2, 4, curve), 5) == 127);
    CHECK(feedback(bound(MidiMode::kAbsolute, 3, 3, curve), 3) == 0);
  }
}

TEST_CASE("feedback of what is on or off is the end that it is nearer to") {
  for (const MidiMode mode : {MidiMode::kToggle, MidiMode::kMomentary}) {
    CHECK(feedback(bound(mode, -20, 6), -19) == 0);
    CHECK(feedback(bound(mode, -20, 6), 5) == 127);
  }
  Binding engaged = bound(MidiMode::kAbsolute, 1, 0);  // of a bypass
  engaged.is_switch = true;
  CHECK(feedback(engaged, 1) == 0);
  CHECK(feedback(engaged, 0) == 127);
}

TEST_CASE("nothing goes back of a trigger or an action, but the snapshot") {
  CHECK(feedback(bound(MidiMode::kTrigger), 1) == -1);
  for (int i = 1; i < static_cast<int>(MidiAction::kActionCount); ++i) {
    const Binding binding = doing(static_cast<MidiAction>(i));
    CHECK((feedback(binding, 3) >= 0) == (binding.action == MidiAction::kSnapshot));
    CHECK(has_feedback(binding) == (binding.action == MidiAction::kSnapshot));
  }
  const Binding snapshot = doing(MidiAction::kSnapshot);
  CHECK(feedback(snapshot, 0) == -1);
  for (int number = 1; number <= 8; ++number)
    CHECK(feedback(snapshot, static_cast<float>(number)) == number - 1);
}

TEST_CASE("lights have their own values: by state, by part of the range, by snapshot") {
  Binding light = bound(MidiMode::kToggle, 1, 0);
  light.is_switch = true;
  light.leds = {5, 77};
  light.led_count = 2;
  CHECK(feedback(light, 1) == 5);
  CHECK(feedback(light, 0) == 77);
  light = bound(MidiMode::kAbsolute, 0, 3, MidiCurve::kSlowStart);
  light.leds = {10, 20, 30, 40};
  light.led_count = 4;
  for (int state = 0; state < 4; ++state)
    CHECK(feedback(light, static_cast<float>(state)) == 10 * (state + 1));
  light = doing(MidiAction::kSnapshot);
  light.leds = {1, 2, 3};
  light.led_count = 3;
  CHECK(feedback(light, 0) == 1);
  CHECK(feedback(light, 2) == 3);
  CHECK(feedback(light, 8) == 3);
  light.led_count = 255;
  CHECK(feedback(light, 100) == 0);  // the tenth and last
}
