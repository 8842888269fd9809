#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "rt.hpp"

namespace amp {

/// One short MIDI message at its frame of the block.
struct MidiEvent {
  int frame = 0;
  int size = 0;
  std::array<uint8_t, 3> data{};
};

/// Bytes of a MIDI stream -> whole channel messages. Knows running status, real-time bytes in the
/// midst of others, SysEx without an end, and garbage: whatever came before, a status byte starts
/// anew. One parser a port. Thread: audio.
class MidiParser {
 public:
  /// Take one byte; true where it completes a channel message, which is then in `message`.
  bool take(uint8_t byte, MidiEvent& message) noexcept AMP_RT;

 private:
  std::array<uint8_t, 3> data_{};
  int filled_ = 0;  ///< bytes of data_, the status included
  int wanted_ = 0;  ///< bytes of the message that is running, 0: wait for a status
};

/// How the values of a controller become a value of what it is bound to. A press is a value from 64
/// up that comes after one below, or a second time: many a foot switch never sends its release,
/// and a pedal on its way up sends no value twice.
enum class MidiMode : uint8_t {
  kAbsolute,     ///< 0..127 over the range; of a switch 0-63 off, 64-127 on
  kToggle,       ///< a press turns it over, from what it is now
  kMomentary,    ///< the high end while it is pressed, then the low one
  kTrigger,      ///< a press sets the high end
  kRelative,     ///< 1..63 steps up, 127..64 steps down, each a 127th of the way along the curve
  kFourteenBit,  ///< controller n brings the upper seven bits and clears the lower, n + 32 those
};

/// Where between its ends a controller is, as a share of the range: x, x^3, 1 - (1 - x)^3, and
/// x^2 (3 - 2x).
enum class MidiCurve : uint8_t { kLinear, kSlowStart, kFastStart, kSmooth };

/// What a controller can do besides turning a param or a global. Each is done at a press, whatever
/// the mode, but for the three that say otherwise; an encoder's step up counts as 127, down as 0.
enum class MidiAction : uint8_t {
  kNone,
  kRigNext,
  kRigPrev,
  kRigStep,     ///< any value: 0-63 the rig before, 64-127 the next one
  kRigProgram,  ///< the program in Binding::index
  kSnapshot,    ///< any value: 0-7 snapshot 1 to 8, 8 the next one, 9 the one before
  kSnapshotNext,
  kSnapshotPrev,
  kSetNext,
  kSetPrev,
  kTap,
  kPanic,  ///< any value
  kActionCount
};

inline constexpr uint8_t kOmni = 0xFF;
inline constexpr int kMostLeds = 10;

/// One controller bound to one target.
struct Binding {
  enum class Target : uint8_t { kParam, kGlobal, kAction };
  Target target = Target::kParam;
  MidiAction action = MidiAction::kNone;
  int16_t index = 0;        ///< param of the chain, global, or the action's own
  uint8_t channel = kOmni;  ///< 0..15, or kOmni
  uint8_t control = 0;      ///< 0..127
  MidiMode mode = MidiMode::kAbsolute;
  MidiCurve curve = MidiCurve::kLinear;
  bool is_switch = false;  ///< the target is on or off
  float low = 0;           ///< the value at 0, in the target's unit; may be above `high`
  float high = 1;          ///< the value at 127
  /// What goes back to a controller whose lights have values of their own: leds[0] for off or the
  /// first state, leds[1] for on or the second, and so on. 0 of them: the controller's own scale.
  std::array<uint8_t, kMostLeds> leds{};
  uint8_t led_count = 0;
  bool replaces = false;  ///< of a chain: global ones of this controller rest, but for a panic
};

/// What one binding remembers between messages. Thread: audio.
struct BindingState {
  int16_t last = -1;        ///< what the controller sent last, of a 14-bit one the upper bits
  int16_t shown = -1;       ///< what it shows: what it sent or was sent; -1 not known
  uint8_t channel = kOmni;  ///< on which it spoke last, kOmni never
  bool waits = false;       ///< what it shows may have to be set right
  int64_t quiet_until = 0;  ///< engine frame until which nothing goes back: it moves itself
  int64_t echo_until = 0;   ///< engine frame until which `shown` may come back by a MIDI thru
};

/// What a message does through a binding.
struct MidiOutcome {
  bool acts = false;  ///< the target takes `value`, or the action is done with it
  float value = 0;    ///< in the target's unit; of an action the controller's 0..127
};

/// Whether the binding listens to this message: only to a controller change, of a 14-bit one to
/// both halves.
bool listens(const Binding& binding, const MidiEvent& event) noexcept AMP_RT;

/// What a message that the binding listens to does; `now` is the value that its target walks to.
/// `state.last` is brought on. The lower half of a 14-bit controller does nothing before an upper.
MidiOutcome apply(const Binding& binding, BindingState& state, const MidiEvent& event,
                  float now) noexcept AMP_RT;

/// Whether anything ever goes back through the binding: not of a trigger, and of actions only
/// where they choose a snapshot.
bool has_feedback(const Binding& binding) noexcept AMP_RT;

/// The controller's value, 0..127, that stands for `value` of the target: the inverse of apply, of
/// a 14-bit one the upper half; or the light's value where the binding has them, from low to high
/// in equal parts. Of kSnapshot `value` is the snapshot's number, 0 none. -1: nothing goes back.
int feedback(const Binding& binding, float value) noexcept AMP_RT;

}  // namespace amp
