#include "foot.hpp"

namespace amp {
namespace {

constexpr int kQuietMs = 50;
constexpr int kEchoMs = 20;

/// Whether one controller can move both.
bool share_controller(const Binding& a, const Binding& b) noexcept AMP_RT {
  return a.control == b.control &&
         (a.channel == b.channel || a.channel == kOmni || b.channel == kOmni);
}

/// Bring on what the controller shows by what came from it.
void heed(const Binding& binding, BindingState& state, int value, bool acts) noexcept AMP_RT {
  // Lights with values of their own, and the ring of an encoder, show only what they were sent.
  if (binding.led_count > 0 || binding.mode == MidiMode::kRelative) return;
  const bool toggles =
      binding.mode == MidiMode::kToggle && binding.target != Binding::Target::kAction;
  // The light of such a switch may have followed the foot, or wait to be told: it is told in any
  // case, also after a release that comes before.
  if (toggles && acts) {
    state.shown = -1;
  } else if (!toggles || state.shown >= 0) {
    state.shown = static_cast<int16_t>(value);
    state.echo_until = 0;  // it is the controller's own word, which was never sent
  }
}

}  // namespace

Foot::Foot(int sample_rate_hz) noexcept
    : sample_rate_hz_(sample_rate_hz),
      quiet_frames_(int64_t{kQuietMs} * sample_rate_hz / 1000),
      echo_frames_(int64_t{kEchoMs} * sample_rate_hz / 1000) {}

bool Foot::add(const Binding& binding) noexcept AMP_RT {
  if (global_count_ == globals_.size()) return false;
  globals_[global_count_] = binding;
  states_[global_count_++] = {};
  return true;
}

bool Foot::is_echo(const MidiEvent& event, int64_t frame, const Bound& chain) noexcept AMP_RT {
  for (size_t i = 0; i < count(chain); ++i) {
    const Entry entry = at(chain, i);
    if (frame >= entry.state->echo_until || event.data[2] != entry.state->shown) continue;
    if (event.data[1] != entry.binding->control || !listens(*entry.binding, event)) continue;
    entry.state->echo_until = 0;
    return true;
  }
  return false;
}

MidiOutcome Foot::take(const Entry& entry, const MidiEvent& event, int64_t frame,
                       float now) noexcept AMP_RT {
  BindingState& state = *entry.state;
  channel_ = event.data[0] & 0x0F;
  state.channel = channel_;
  state.quiet_until = frame + quiet_frames_;
  state.waits = true;
  const MidiOutcome outcome = apply(*entry.binding, state, event, now);
  if (event.data[1] == entry.binding->control)
    heed(*entry.binding, state, event.data[2], outcome.acts);
  return outcome;
}

bool Foot::is_replaced(const Bound& chain, size_t i) noexcept AMP_RT {
  if (i < chain.bindings.size()) return false;
  const Binding& binding = *at(chain, i).binding;
  if (binding.target == Binding::Target::kAction && binding.action == MidiAction::kPanic)
    return false;
  return std::any_of(chain.bindings.begin(), chain.bindings.end(), [&](const Binding& other) {
    return other.replaces && share_controller(other, binding);
  });
}

bool Foot::is_silent(const Bound& chain, size_t i) noexcept AMP_RT {
  if (is_replaced(chain, i)) return true;
  const Binding& binding = *at(chain, i).binding;
  for (size_t k = 0; k < i; ++k) {
    const Binding& other = *at(chain, k).binding;
    if (has_feedback(other) && share_controller(other, binding) && !is_replaced(chain, k))
      return true;
  }
  return false;
}

void Foot::note(Binding::Target target, int index, const Bound& chain) noexcept AMP_RT {
  for (size_t i = 0; i < count(chain); ++i) {
    const Entry entry = at(chain, i);
    if (entry.binding->target != target) continue;
    if (target == Binding::Target::kAction || entry.binding->index == index)
      entry.state->waits = true;
  }
}

void Foot::refresh(const Bound& chain) noexcept AMP_RT {
  for (size_t i = 0; i < count(chain); ++i) {
    BindingState& state = *at(chain, i).state;
    state.shown = -1;
    state.waits = true;
  }
}

bool Foot::queue(const MidiEvent& message) noexcept AMP_RT {
  if (queued_ == queue_.size()) return false;
  queue_[(queue_head_ + queued_++) % queue_.size()] = message;
  return true;
}

bool Foot::next_queued(MidiEvent& message) noexcept AMP_RT {
  if (queued_ == 0) return false;
  message = queue_[queue_head_];
  queue_head_ = (queue_head_ + 1) % queue_.size();
  --queued_;
  return true;
}

void Foot::tell(const Entry& entry, int value, int64_t when, MidiEvent& message) noexcept AMP_RT {
  uint8_t channel = entry.binding->channel;
  if (channel == kOmni) channel = entry.state->channel;
  if (channel == kOmni) channel = channel_;
  entry.state->shown = static_cast<int16_t>(value);
  entry.state->echo_until = when + echo_frames_;
  message.size = 3;
  message.data = {static_cast<uint8_t>(0xB0 | (channel & 0x0F)),
                  static_cast<uint8_t>(entry.binding->control & 0x7F), static_cast<uint8_t>(value)};
}

int64_t Foot::next_due(const Bound& chain) noexcept AMP_RT {
  int64_t due = std::numeric_limits<int64_t>::max();
  for (size_t i = 0; i < count(chain); ++i) {
    const BindingState& state = *at(chain, i).state;
    if (state.waits) due = std::min(due, state.quiet_until);
  }
  return due;
}

}  // namespace amp
