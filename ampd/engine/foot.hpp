#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <span>

#include "midi.hpp"

namespace amp {

/// The bindings of a chain and what each of them remembers: two spans of one length.
struct Bound {
  std::span<const Binding> bindings;
  std::span<BindingState> states;
};

inline constexpr int kMostGlobalBindings = 128;

/// All that stands between the player's feet and the rack: the bindings that belong to no rig, what
/// a controller change does through them and through those of the chain that plays, and what goes
/// back to the controllers, no faster than a MIDI cable carries it.
///
/// No loops: to a controller that moves nothing goes back for 50 ms, then only what differs from
/// what it shows; and what was sent and is heard again within 20 ms is taken for its echo.
/// Of several bindings of one controller the first that has feedback gives it, the chain's before
/// the global ones. Fixed size. Thread: audio; frames are the engine's.
class Foot {
 public:
  static constexpr int kMostQueued = 32;
  static constexpr int kBytesPerSecond = 3125;  ///< of a MIDI cable: 31,250 baud, 10 bits a byte

  explicit Foot(int sample_rate_hz) noexcept;

  /// Take the global bindings away; what waits to be sent stays.
  void clear() noexcept AMP_RT { global_count_ = 0; }
  /// Add a global binding; false where kMostGlobalBindings are there.
  bool add(const Binding& binding) noexcept AMP_RT;

  /// What a message does: `act(binding, value)` for each binding of the chain, then each global
  /// one, that does something; `now(binding)` must give the value that a binding's target walks to.
  /// Neither may change the bindings.
  template <class Now, class Act>
  void control(const MidiEvent& event, int64_t frame, const Bound& chain, Now&& now,
               Act&& act) noexcept AMP_RT {
    if (is_echo(event, frame, chain)) return;
    for (size_t i = 0; i < count(chain); ++i) {
      const Entry entry = at(chain, i);
      if (!listens(*entry.binding, event) || is_replaced(chain, i)) continue;
      const MidiOutcome outcome = take(entry, event, frame, now(*entry.binding));
      if (outcome.acts) act(*entry.binding, outcome.value);
    }
  }

  /// A value changed, whoever changed it: `index` as in Binding, of kAction the snapshot.
  void note(Binding::Target target, int index, const Bound& chain) noexcept AMP_RT;

  /// Tell every controller everything, as after a change of rigs or a new connection.
  void refresh(const Bound& chain) noexcept AMP_RT;

  /// Send `message`, before all that bindings have to say; false where kMostQueued wait.
  bool queue(const MidiEvent& message) noexcept AMP_RT;

  /// What is to be sent within `frames` frames from `frame` on, in order; MidiEvent::frame counts
  /// from `frame`. Returns how many messages are in `out`; what has no room there waits. `now` as
  /// in control, and of kSnapshot the snapshot's number, 0 none.
  template <class Now>
  int collect(int64_t frame, int frames, const Bound& chain, Now&& now,
              std::span<MidiEvent> out) noexcept AMP_RT {
    size_t filled = 0;
    int64_t when = frame;
    while (filled < out.size()) {
      when = std::max(when, cable_free());
      if (when >= frame + frames) break;
      MidiEvent message;
      if (!next_queued(message) && !next_feedback(when, chain, now, message)) {
        when = next_due(chain);
        continue;
      }
      message.frame = static_cast<int>(when - frame);
      out[filled++] = message;
      cable_free_ = when * kBytesPerSecond + int64_t{message.size} * sample_rate_hz_;
    }
    return static_cast<int>(filled);
  }

 private:
  struct Entry {
    const Binding* binding;
    BindingState* state;
  };

  [[nodiscard]] size_t count(const Bound& chain) const noexcept AMP_RT {
    return chain.bindings.size() + global_count_;
  }
  /// The chain's bindings, then the global ones.
  [[nodiscard]] Entry at(const Bound& chain, size_t i) noexcept AMP_RT {
    if (i < chain.bindings.size()) return {&chain.bindings[i], &chain.states[i]};
    const size_t global = i - chain.bindings.size();
    return {&globals_[global], &states_[global]};
  }
  /// First frame at which the cable has carried all that was sent.
  [[nodiscard]] int64_t cable_free() const noexcept AMP_RT {
    return (cable_free_ + kBytesPerSecond - 1) / kBytesPerSecond;
  }

  [[nodiscard]] bool is_echo(const MidiEvent& event, int64_t frame,
                             const Bound& chain) noexcept AMP_RT;
  MidiOutcome take(const Entry& entry, const MidiEvent& event, int64_t frame,
                   float now) noexcept AMP_RT;
  /// Whether it is a global one that gives way to one of the chain.
  [[nodiscard]] bool is_replaced(const Bound& chain, size_t i) noexcept AMP_RT;
  /// Whether its controller hears from another binding, or not at all.
  [[nodiscard]] bool is_silent(const Bound& chain, size_t i) noexcept AMP_RT;
  bool next_queued(MidiEvent& message) noexcept AMP_RT;
  void tell(const Entry& entry, int value, int64_t when, MidiEvent& message) noexcept AMP_RT;
  /// When the first of those that wait may be told; the end of time where none waits.
  [[nodiscard]] int64_t next_due(const Bound& chain) noexcept AMP_RT;

  /// The next of the bindings in turn, so that one that never rests leaves the others their part.
  template <class Now>
  bool next_feedback(int64_t when, const Bound& chain, Now& now,
                     MidiEvent& message) noexcept AMP_RT {
    const size_t all = count(chain);
    for (size_t k = 0; k < all; ++k) {
      const size_t i = (turn_ + k) % all;
      const Entry entry = at(chain, i);
      if (!entry.state->waits || entry.state->quiet_until > when) continue;
      entry.state->waits = false;
      const int value = feedback(*entry.binding, now(*entry.binding));
      if (value < 0 || value == entry.state->shown || is_silent(chain, i)) continue;
      tell(entry, value, when, message);
      turn_ = i + 1;
      return true;
    }
    return false;
  }

  int sample_rate_hz_;
  int64_t quiet_frames_;
  int64_t echo_frames_;
  int64_t cable_free_ = 0;  ///< in frames, times kBytesPerSecond
  size_t turn_ = 0;
  uint8_t channel_ = 0;  ///< on which a controller spoke last
  size_t global_count_ = 0;
  size_t queued_ = 0;
  size_t queue_head_ = 0;
  std::array<MidiEvent, kMostQueued> queue_{};
  std::array<Binding, kMostGlobalBindings> globals_{};
  std::array<BindingState, kMostGlobalBindings> states_{};
};

}  // namespace amp
