#include "midi.hpp"

#include <algorithm>
#include <cmath>

namespace amp {
namespace {

constexpr int kPressed = 64;
constexpr double kSevenBits = 127;
constexpr double kFourteenBits = 16383;

/// Data bytes of a message of the channel, by its status.
int data_bytes(uint8_t status) noexcept AMP_RT {
  const int kind = status & 0xF0;
  return kind == 0xC0 || kind == 0xD0 ? 1 : 2;
}

double curved(MidiCurve curve, double x) noexcept AMP_RT {
  const double left = 1 - x;
  switch (curve) {
    case MidiCurve::kSlowStart:
      return x * x * x;
    case MidiCurve::kFastStart:
      return 1 - left * left * left;
    case MidiCurve::kSmooth:
      return x * x * (3 - 2 * x);
    case MidiCurve::kLinear:
      break;
  }
  return x;
}

double straightened(MidiCurve curve, double y) noexcept AMP_RT {
  switch (curve) {
    case MidiCurve::kSlowStart:
      return std::cbrt(y);
    case MidiCurve::kFastStart:
      return 1 - std::cbrt(1 - y);
    case MidiCurve::kSmooth:
      // The root in 0..1 of the cubic 2x^3 - 3x^2 + y, by the threefold angle.
      return 0.5 - std::sin(std::asin(1 - 2 * y) / 3);
    case MidiCurve::kLinear:
      break;
  }
  return y;
}

/// Value of the target where the controller stands at `x`, 0..1.
float value_at(const Binding& binding, double x) noexcept AMP_RT {
  if (binding.is_switch) return x < 0.5 ? binding.low : binding.high;
  // In double, so that the ends are met exactly.
  const double low = binding.low;
  return static_cast<float>(low + (binding.high - low) * curved(binding.curve, x));
}

/// Share of the range at which `value` lies, 0..1.
double share_of(const Binding& binding, float value) noexcept AMP_RT {
  const double low = binding.low;
  if (binding.high == binding.low) return 0;
  return std::clamp((value - low) / (binding.high - low), 0.0, 1.0);
}

bool is_high(const Binding& binding, float value) noexcept AMP_RT {
  return share_of(binding, value) > 0.5;
}

bool is_lower_half(const Binding& binding, const MidiEvent& event) noexcept AMP_RT {
  return binding.mode == MidiMode::kFourteenBit && event.data[1] == binding.control + 32;
}

/// Steps of an encoder, in two's complement of seven bits.
int steps_of(int value) noexcept AMP_RT {
  return value < kPressed ? value : value - 128;
}

/// Value of the target after `steps`, which are not 0.
float stepped(const Binding& binding, int steps, float now) noexcept AMP_RT {
  if (binding.is_switch) return steps > 0 ? binding.high : binding.low;
  double x = straightened(binding.curve, share_of(binding, now));
  float value = now;
  // Where a curve is flat a step can be too small for a float: then further, until one is heard.
  while (value == now && (steps > 0 ? x < 1 : x > 0)) {
    x = std::clamp(x + steps / kSevenBits, 0.0, 1.0);
    value = value_at(binding, x);
  }
  return value;
}

bool is_press(int last, int value) noexcept AMP_RT {
  return value >= kPressed && (last < kPressed || last == value);
}

/// What a controller of positions does at `value`.
MidiOutcome moved(const Binding& binding, int value, bool press, float now) noexcept AMP_RT {
  switch (binding.mode) {
    case MidiMode::kToggle:
      return {press, is_high(binding, now) ? binding.low : binding.high};
    case MidiMode::kMomentary:
      return {true, value >= kPressed ? binding.high : binding.low};
    case MidiMode::kTrigger:
      return {press, binding.high};
    case MidiMode::kFourteenBit:
      return {true, value_at(binding, value * 128 / kFourteenBits)};
    case MidiMode::kAbsolute:
    case MidiMode::kRelative:
      break;
  }
  return {true, value_at(binding, value / kSevenBits)};
}

bool takes_any_value(MidiAction action) noexcept AMP_RT {
  return action == MidiAction::kRigStep || action == MidiAction::kSnapshot ||
         action == MidiAction::kPanic;
}

/// Upper half of the 14-bit number that stands for `value`.
int upper_half(const Binding& binding, double x, float value) noexcept AMP_RT {
  const int upper = static_cast<int>(std::lround(x * kFourteenBits)) >> 7;
  // A value that is rounded to a float may have come to lie just below the step that gave it.
  const bool is_next = upper < 127 && value_at(binding, (upper + 1) * 128 / kFourteenBits) == value;
  return is_next ? upper + 1 : upper;
}

int light(const Binding& binding, float value) noexcept AMP_RT {
  const int last = std::min<int>(binding.led_count, kMostLeds) - 1;
  const bool counts = binding.target == Binding::Target::kAction;
  const double state = counts ? value : share_of(binding, value) * (binding.is_switch ? 1 : last);
  return binding.leds[static_cast<size_t>(std::clamp<long>(std::lround(state), 0, last))] & 0x7F;
}

}  // namespace

bool MidiParser::take(uint8_t byte, MidiEvent& message) noexcept AMP_RT {
  if (byte >= 0xF8) return false;  // the clock and its like may stand anywhere
  if (byte >= 0x80) {
    data_ = {byte};
    filled_ = 1;
    wanted_ = byte < 0xF0 ? 1 + data_bytes(byte) : 0;
    return false;
  }
  if (wanted_ == 0) return false;
  data_[static_cast<size_t>(filled_++)] = byte;
  if (filled_ < wanted_) return false;
  filled_ = 1;
  message.size = wanted_;
  message.data = data_;
  return true;
}

bool listens(const Binding& binding, const MidiEvent& event) noexcept AMP_RT {
  if (event.size != 3 || (event.data[0] & 0xF0) != 0xB0) return false;
  if (binding.channel != kOmni && binding.channel != (event.data[0] & 0x0F)) return false;
  return event.data[1] == binding.control || is_lower_half(binding, event);
}

MidiOutcome apply(const Binding& binding, BindingState& state, const MidiEvent& event,
                  float now) noexcept AMP_RT {
  const bool does = binding.target == Binding::Target::kAction;
  int value = event.data[2];
  if (is_lower_half(binding, event)) {
    if (does || state.last < 0) return {};
    return {true, value_at(binding, (state.last * 128 + value) / kFourteenBits)};
  }
  if (binding.mode == MidiMode::kRelative) {
    const int steps = steps_of(value);
    if (steps == 0) return {};
    if (!does) return {true, stepped(binding, steps, now)};
    value = steps > 0 ? 127 : 0;
  }
  const bool press = is_press(state.last, value);
  state.last = static_cast<int16_t>(value);
  if (does) return {press || takes_any_value(binding.action), static_cast<float>(value)};
  return moved(binding, value, press, now);
}

bool has_feedback(const Binding& binding) noexcept AMP_RT {
  if (binding.target == Binding::Target::kAction) return binding.action == MidiAction::kSnapshot;
  return binding.mode != MidiMode::kTrigger;
}

int feedback(const Binding& binding, float value) noexcept AMP_RT {
  if (!has_feedback(binding)) return -1;
  if (binding.led_count > 0) return light(binding, value);
  if (binding.target == Binding::Target::kAction)
    return std::clamp(static_cast<int>(value), 0, 128) - 1;
  if (binding.is_switch || binding.mode == MidiMode::kToggle ||
      binding.mode == MidiMode::kMomentary)
    return is_high(binding, value) ? 127 : 0;
  const double x = straightened(binding.curve, share_of(binding, value));
  if (binding.mode == MidiMode::kFourteenBit) return upper_half(binding, x, value);
  return static_cast<int>(std::lround(x * kSevenBits));
}

}  // namespace amp
