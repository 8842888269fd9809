#include "audio.hpp"

#include <algorithm>
#include <cmath>

namespace amp {
namespace {

/// Taps further apart than this begin a new tempo.
constexpr float kLongestTapSeconds = 2.2F;

/// So long does what is asked wait for a rig of another bank.
constexpr float kHoldSeconds = 0.5F;

bool chooses_snapshot(const Binding& binding) noexcept AMP_RT {
  return binding.target == Binding::Target::kAction &&
         (binding.action == MidiAction::kSnapshot || binding.action == MidiAction::kSnapshotNext ||
          binding.action == MidiAction::kSnapshotPrev);
}

}  // namespace

Audio::Audio(Lines& lines, int sample_rate_hz, const EngineOptions& options)
    : lines_(lines),
      sample_rate_hz_(sample_rate_hz),
      with_safety_(options.with_safety),
      clock_(options.clock),
      deck_(lines, sample_rate_hz, options.budget),
      guard_(sample_rate_hz),
      foot_(sample_rate_hz),
      ceiling_(sample_rate_hz),
      bypass_(ramp_frames(sample_rate_hz), 0),
      mute_(ramp_frames(sample_rate_hz), 0),
      master_(ramp_frames(sample_rate_hz), 1) {
  for (size_t g = 0; g < globals_.size(); ++g) globals_[g] = kGlobals[g].default_value;
}

void Audio::process(Callback& callback) noexcept AMP_RT {
  const int64_t begin_ns = clock_();
  const FtzGuard ftz;
  Command command;
  while (lines_.commands.pop(command)) take_command(command);
  deck_.begin(callback.frames);
  look_at_deck();
  callback.midi_out_count = 0;
  size_t event = 0;
  for (int at = 0; at < callback.frames;) {
    while (event < callback.midi.size() && callback.midi[event].frame <= at)
      take_midi(callback.midi[event++]);
    int end = std::min(at + kMaxFrames, callback.frames);
    if (event < callback.midi.size()) end = std::min(end, callback.midi[event].frame);
    const int64_t before = frame();
    run(callback.in + at, callback.left + at, callback.right + at, end - at);
    look_at_deck();
    send(callback, at, static_cast<int>(frame() - before));
    at = end;
  }
  measure(begin_ns, callback.frames);
}

void Audio::take_command(const Command& command) noexcept AMP_RT {
  switch (command.kind) {
    case Command::Kind::kSelect:
      if (command.index >= 0 && command.index != deck_.wanted_slot()) return refuse(command);
      select(command.slot, command.fresh, command.id, true);
      break;
    case Command::Kind::kParam:
      set_param(command);
      break;
    case Command::Kind::kGlobal:
      set_global(command.index, command.value, command.id);
      break;
    case Command::Kind::kPanic:
      panic(command.id);
      break;
    case Command::Kind::kTap:
      tap(command.id);
      break;
    case Command::Kind::kClearBindings:
      foot_.clear();
      break;
    case Command::Kind::kBind:
      foot_.add(command.binding);
      break;
    case Command::Kind::kRefresh:
      refresh();
      break;
    case Command::Kind::kAsk:
      answer_ask();
      break;
  }
}

// --- rigs ---------------------------------------------------------------------------------------

void Audio::select(int slot, bool fresh, uint32_t id, bool echo) noexcept AMP_RT {
  // What waits for a rig of another bank was sent after its program change.
  if (hold_until_ == 0) forget_deferred();
  hold_until_ = 0;
  if (slot == deck_.heard_slot()) guard_.pardon();
  deck_.select(slot, fresh, id);
  if (!echo) return;
  for (size_t p = 0; p < lines_.programs.size(); ++p)
    if (lines_.programs[p].load(std::memory_order_relaxed) == slot) {
      foot_.queue({.frame = 0, .size = 2, .data = {0xC0, static_cast<uint8_t>(p), 0}});
      return;
    }
}

/// A program of the current bank needs no help; one of another bank is control's to fetch.
void Audio::program_change(int program) noexcept AMP_RT {
  const int msb = std::exchange(bank_msb_, -1);
  const int lsb = std::exchange(bank_lsb_, -1);
  const int current = lines_.bank.load(std::memory_order_relaxed);
  // Many a controller sends only one of the two, and means the same by either.
  const int bank = msb < 0 && lsb < 0 ? current
                   : msb <= 0         ? std::max(lsb, 0)
                   : lsb <= 0         ? msb
                                      : msb * 128 + lsb;
  if (bank != current) {
    forget_deferred();
    hold_until_ =
        frame() + static_cast<int64_t>(kHoldSeconds * static_cast<float>(sample_rate_hz_));
    lines_.report({.kind = Fact::Kind::kProgram, .index = bank * 128 + program});
    return;
  }
  const int slot = lines_.programs[static_cast<size_t>(program)].load(std::memory_order_relaxed);
  if (slot < 0) return;
  hold_until_ = 0;  // what waits was meant for the rig of the other bank
  select(slot, false, 0, false);
}

/// The next program that has a rig, or the one before; it goes round.
void Audio::step(int direction) noexcept AMP_RT {
  const auto slot_of = [this](int program) {
    return lines_.programs[static_cast<size_t>(program)].load(std::memory_order_relaxed);
  };
  int here = direction > 0 ? -1 : kProgramCount;
  for (int p = 0; p < kProgramCount; ++p)
    if (slot_of(p) >= 0 && slot_of(p) == deck_.wanted_slot()) here = p;
  for (int distance = 1; distance <= kProgramCount + 1; ++distance) {
    const int p = (here + direction * distance + 2 * kProgramCount) % kProgramCount;
    if (slot_of(p) >= 0) return select(slot_of(p), false, 0, true);
  }
}

bool Audio::holds() const noexcept AMP_RT {
  return deck_.pending() || frame() < hold_until_;
}

void Audio::defer(const Deferred& what) noexcept AMP_RT {
  if (deferred_count_ < static_cast<int>(deferred_.size())) {
    deferred_[static_cast<size_t>(deferred_count_++)] = what;
    return;
  }
  // Full: the newest word on the same knob counts.
  for (int i = deferred_count_ - 1; i >= 0; --i) {
    Deferred& old = deferred_[static_cast<size_t>(i)];
    const bool same = what.is_midi ? old.event.data[0] == what.event.data[0] &&
                                         old.event.data[1] == what.event.data[1]
                                   : old.command.index == what.command.index;
    if (old.is_midi != what.is_midi || !same) continue;
    if (!old.is_midi) refuse(old.command);
    old = what;
    return;
  }
  if (!what.is_midi) refuse(what.command);
}

void Audio::forget_deferred() noexcept AMP_RT {
  for (int i = 0; i < deferred_count_; ++i)
    if (const Deferred& what = deferred_[static_cast<size_t>(i)]; !what.is_midi)
      refuse(what.command);
  deferred_count_ = 0;
}

void Audio::refuse(const Command& command) noexcept AMP_RT {
  lines_.report({.kind = Fact::Kind::kRefused,
                 .slot = command.slot,
                 .index = command.index,
                 .id = command.id});
}

void Audio::replay() noexcept AMP_RT {
  const int count = std::exchange(deferred_count_, 0);
  for (int i = 0; i < count; ++i) {
    const Deferred what = deferred_[static_cast<size_t>(i)];
    if (!what.is_midi)
      set_param(what.command);
    else if (holds())  // one of those before has asked for another rig
      defer(what);
    else
      turn_controller(what.event, bound(), true);
  }
}

void Audio::look_at_deck() noexcept AMP_RT {
  if (hold_until_ != 0 && frame() >= hold_until_) hold_until_ = 0;
  if (deferred_count_ > 0 && !holds()) replay();
  if (deck_.take_arrival()) refresh();
  if (deck_.take_refusal()) answer_ask();  // control takes another rig for the wanted one
  if (!deck_.take_entrance()) return;
  guard_.forget();
  if (Chain* const chain = deck_.wanted(); chain != nullptr)
    for (const MidiEvent& message : chain->on_load()) foot_.queue(message);
}

// --- MIDI ---------------------------------------------------------------------------------------

void Audio::take_midi(const MidiEvent& event) noexcept AMP_RT {
  const int kind = event.data[0] & 0xF0;
  if (kind == 0xC0 && event.size >= 2) program_change(event.data[1] & 0x7F);
  if (kind == 0xB0 && event.size == 3) take_controller(event);
}

void Audio::take_controller(const MidiEvent& event) noexcept AMP_RT {
  if (event.data[1] == 0 || event.data[1] == 32) {
    (event.data[1] == 0 ? bank_msb_ : bank_lsb_) = event.data[2];
    return;
  }
  if (lines_.learning.load(std::memory_order_relaxed)) {
    lines_.report({.kind = Fact::Kind::kController,
                   .index = (event.data[0] & 0x0F) * 128 + event.data[1],
                   .value = static_cast<float>(event.data[2])});
    return;
  }
  if (holds()) {
    turn_controller(event, {}, false);  // mute and panic do not wait, nor what chooses a rig
    defer({.is_midi = true, .command = {}, .event = event});
  } else {
    turn_controller(event, bound(), false);
  }
}

/// A message that waits for a rig is turned twice: what is not the rig's when it comes, the rest
/// when it is replayed.
void Audio::turn_controller(const MidiEvent& event, const Bound& chain,
                            bool replayed) noexcept AMP_RT {
  const Binding* const first = chain.bindings.data();
  const Binding* const last = first + chain.bindings.size();
  foot_.control(
      event, frame(), chain, [this](const Binding& binding) { return now(binding); },
      [&](const Binding& binding, float value) {
        const bool of_rig = (&binding >= first && &binding < last) || chooses_snapshot(binding);
        if (of_rig ? !holds() : !replayed) act(binding, value);
      });
}

Bound Audio::bound() noexcept AMP_RT {
  Chain* const chain = deck_.wanted();
  if (chain == nullptr) return {};
  return {chain->bindings(), chain->binding_states()};
}

float Audio::now(const Binding& binding) noexcept AMP_RT {
  Chain* const chain = deck_.wanted();
  switch (binding.target) {
    case Binding::Target::kGlobal:
      return globals_[static_cast<size_t>(binding.index)];
    case Binding::Target::kParam:
      return chain == nullptr ? 0 : chain->value(binding.index);
    case Binding::Target::kAction:
      break;
  }
  const bool has = chain != nullptr && chain->snapshot_param() >= 0;
  return has ? chain->value(chain->snapshot_param()) : 0;
}

void Audio::act(const Binding& binding, float value) noexcept AMP_RT {
  switch (binding.target) {
    case Binding::Target::kParam:
      if (Chain* const chain = deck_.wanted(); chain != nullptr)
        set_chain(*chain, binding.index, value, 0);
      break;
    case Binding::Target::kGlobal:
      set_global(binding.index, value, 0);
      break;
    case Binding::Target::kAction:
      do_action(binding.action, binding.index, value);
      break;
  }
}

void Audio::do_action(MidiAction action, int index, float value) noexcept AMP_RT {
  switch (action) {
    case MidiAction::kRigNext:
      return step(1);
    case MidiAction::kRigPrev:
      return step(-1);
    case MidiAction::kRigStep:
      return step(value >= 64 ? 1 : -1);
    case MidiAction::kRigProgram:
      return program_change(index);
    case MidiAction::kSnapshot:
      return choose_snapshot_at(static_cast<int>(value));
    case MidiAction::kSnapshotNext:
      return step_snapshot(1);
    case MidiAction::kSnapshotPrev:
      return step_snapshot(-1);
    case MidiAction::kTap:
      return tap(0);
    case MidiAction::kPanic:
      return panic(0);
    case MidiAction::kSetNext:
      return ask_for_set(action, 1);
    case MidiAction::kSetPrev:
      return ask_for_set(action, -1);
    case MidiAction::kNone:
    case MidiAction::kActionCount:
      return;
  }
}

void Audio::ask_for_set(MidiAction action, float direction) noexcept AMP_RT {
  lines_.report(
      {.kind = Fact::Kind::kAction, .index = static_cast<int>(action), .value = direction});
}

/// By the value of a controller: 0 to 7 are the snapshots, 8 the next one, 9 the one before.
void Audio::choose_snapshot_at(int value) noexcept AMP_RT {
  if (value < 8) return choose_snapshot(value + 1);
  if (value < 10) step_snapshot(value == 8 ? 1 : -1);
}

/// The next snapshot of the rig, or the one before; it goes round.
void Audio::step_snapshot(int direction) noexcept AMP_RT {
  const Chain* const chain = deck_.wanted();
  if (chain == nullptr || chain->snapshot_count() == 0) return;
  const int snapshot = static_cast<int>(chain->value(chain->snapshot_param()));
  const int count = chain->snapshot_count();
  if (direction > 0) return choose_snapshot(snapshot % count + 1);
  choose_snapshot(snapshot <= 1 ? count : snapshot - 1);
}

void Audio::choose_snapshot(int number) noexcept AMP_RT {
  Chain* const chain = deck_.wanted();
  if (chain != nullptr && number >= 1 && number <= chain->snapshot_count())
    set_chain(*chain, chain->snapshot_param(), static_cast<float>(number), 0);
}

void Audio::note(Binding::Target target, int index) noexcept AMP_RT {
  if (lines_.feedback.load(std::memory_order_relaxed)) foot_.note(target, index, bound());
}

void Audio::refresh() noexcept AMP_RT {
  if (lines_.feedback.load(std::memory_order_relaxed)) foot_.refresh(bound());
}

void Audio::send(Callback& callback, int at, int frames) noexcept AMP_RT {
  const std::span<MidiEvent> room =
      std::span(callback.midi_out).subspan(static_cast<size_t>(callback.midi_out_count));
  const int count = foot_.collect(
      frame() - frames, frames, bound(), [this](const Binding& binding) { return now(binding); },
      room);
  for (MidiEvent& message : room.first(static_cast<size_t>(count))) message.frame += at;
  callback.midi_out_count += count;
}

// --- values -------------------------------------------------------------------------------------

void Audio::set_param(const Command& command) noexcept AMP_RT {
  Chain* const chain = deck_.wanted();
  const bool meant = command.slot == deck_.wanted_slot();
  if (meant && deck_.pending())
    defer({.is_midi = false, .command = command, .event = {}});
  else if (meant && chain != nullptr && command.index < chain->param_count())
    set_chain(*chain, command.index, command.value, command.id);
  else
    refuse(command);
}

void Audio::set_chain(Chain& chain, int index, float value, uint32_t id) noexcept AMP_RT {
  chain.set(index, value, deck_.inaudible());
  chain.take_changes([&](int changed, float taken) noexcept AMP_RT {
    lines_.report({.kind = Fact::Kind::kChanged,
                   .slot = deck_.wanted_slot(),
                   .index = changed,
                   .value = taken,
                   .id = changed == index ? id : 0});
    note(Binding::Target::kParam, changed);
    if (changed == chain.snapshot_param()) note(Binding::Target::kAction, static_cast<int>(taken));
  });
}

void Audio::set_global(int index, float value, uint32_t id) noexcept AMP_RT {
  const auto i = static_cast<size_t>(index);
  const ParamInfo& info = kGlobals[i];
  value = std::clamp(value, info.minimum, info.maximum);
  if (info.taper == Taper::kToggle) value = value >= 0.5F ? 1.0F : 0.0F;
  globals_[i] = value;
  bypass_.to(globals_[kBypass]);
  const bool tuning = globals_[kTuner] != 0 && globals_[kTunerMutes] != 0;
  mute_.to(globals_[kMute] != 0 || tuning ? 1.0F : 0.0F);
  master_.to(globals_[kMaster] <= kGlobals[kMaster].minimum ? 0 : from_db(globals_[kMaster]));
  if (index == kTempo) deck_.set_tempo(value);
  lines_.report(
      {.kind = Fact::Kind::kChanged, .slot = -1, .index = index, .value = value, .id = id});
  note(Binding::Target::kGlobal, index);
}

/// The mean of the last intervals, once there are two taps.
void Audio::tap(uint32_t id) noexcept AMP_RT {
  const auto longest =
      static_cast<int64_t>(kLongestTapSeconds * static_cast<float>(sample_rate_hz_));
  if (tap_count_ > 0 && frame() - taps_[0] > longest) tap_count_ = 0;
  std::move_backward(taps_.begin(), taps_.end() - 1, taps_.end());
  taps_[0] = frame();
  tap_count_ = std::min(tap_count_ + 1, static_cast<int>(taps_.size()));
  const int intervals = tap_count_ - 1;
  const auto frames = static_cast<float>(taps_[0] - taps_[static_cast<size_t>(intervals)]);
  const bool known = frames > 0;
  const float bpm = 60 * static_cast<float>(sample_rate_hz_ * intervals) / (known ? frames : 1);
  set_global(kTempo, known ? bpm : globals_[kTempo], id);
}

/// Whatever hangs or howls: the dry guitar, at once.
void Audio::panic(uint32_t id) noexcept AMP_RT {
  deck_.hush();
  set_global(kTuner, 0, 0);
  set_global(kMute, 0, 0);
  set_global(kBypass, 1, id);
}

void Audio::answer_ask() noexcept AMP_RT {
  lines_.report(
      {.kind = Fact::Kind::kNow, .slot = deck_.wanted_slot(), .index = deck_.heard_slot()});
  for (int g = 0; g < kGlobalCount; ++g)
    lines_.report({.kind = Fact::Kind::kChanged,
                   .slot = -1,
                   .index = g,
                   .value = globals_[static_cast<size_t>(g)]});
  const Chain* const chain = deck_.wanted();
  for (int i = 0; chain != nullptr && i < chain->param_count(); ++i)
    lines_.report({.kind = Fact::Kind::kChanged,
                   .slot = deck_.wanted_slot(),
                   .index = i,
                   .value = chain->value(i)});
  const Chain* const heard = deck_.heard();
  if (heard != nullptr && heard->faulted())
    lines_.report(
        {.kind = Fact::Kind::kFault, .slot = deck_.heard_slot(), .index = heard->broken_block()});
  for (size_t b = 0; heard != nullptr && b < heard->block_count(); ++b)
    if (heard->plays(b) != Plays::kWhole) report_rest(static_cast<int>(b), heard->plays(b));
}

// --- sound --------------------------------------------------------------------------------------

void Audio::run(const float* in, float* left, float* right, int frames) noexcept AMP_RT {
  for (int i = 0; i < frames; ++i)
    in_[static_cast<size_t>(i)] = std::abs(in[i]) <= kBroken ? in[i] : 0;
  deck_.run(in_.data(), {left, right, dry_.data()}, frames);
  lines_.history.write(in_.data(), frames);
  std::array<float*, 2> out{left, right};
  apply_globals(left, right, frames);
  if (with_safety_) ceiling_.process(out.data(), frames);
  lines_.gauges.meters[Gauges::kIn].add(in_.data(), frames);
  lines_.gauges.meters[Gauges::kLeft].add(left, frames);
  lines_.gauges.meters[Gauges::kRight].add(right, frames);
  deck_.end();
}

void Audio::apply_globals(float* left, float* right, int frames) noexcept AMP_RT {
  if (bypass_.moving() || bypass_.target() != 0)
    for (int i = 0; i < frames; ++i) {
      const float dry = dry_[static_cast<size_t>(i)];
      const float share = bypass_.next();
      left[i] = share == 1.0F ? dry : left[i] + share * (dry - left[i]);
      right[i] = share == 1.0F ? dry : right[i] + share * (dry - right[i]);
    }
  if (master_.moving() || master_.target() != 1)
    for (int i = 0; i < frames; ++i) {
      const float gain = master_.next();
      left[i] *= gain;
      right[i] *= gain;
    }
  if (mute_.moving() || mute_.target() != 0)
    for (int i = 0; i < frames; ++i) {
      const float open = 1 - mute_.next();
      left[i] *= open;
      right[i] *= open;
    }
}

void Audio::measure(int64_t begin_ns, int frames) noexcept AMP_RT {
  const int64_t end_ns = clock_();
  const int64_t period_ns = int64_t{1'000'000'000} * frames / sample_rate_hz_;
  lines_.next_end_ns.store(end_ns + period_ns, std::memory_order_relaxed);
  lines_.audio_clock.store(own_cpu_clock(), std::memory_order_relaxed);
  const int64_t spent_ns = end_ns - begin_ns;
  Gauges& gauges = lines_.gauges;
  gauges.load.add(spent_ns, period_ns);
  gauges.slot.store(deck_.heard_slot(), std::memory_order_relaxed);
  if (Chain* const chain = deck_.heard(); chain != nullptr) {
    chain->take_spent([&](size_t block, int64_t block_ns) {
      if (block < gauges.block.size()) gauges.block[block].add(block_ns, period_ns);
      guard_.note_block(block, block_ns);
    });
    // Two chains at once take what they take, and offline nobody hears what is late.
    if (deck_.at_rest() && lines_.live.load(std::memory_order_relaxed))
      spare(*chain, guard_.note_callback(spent_ns, period_ns, frame()));
  }
  if (spent_ns > period_ns)
    lines_.late.push(
        {.begin_ns = begin_ns, .end_ns = end_ns, .period_ns = period_ns, .frame = frame()});
}

void Audio::spare(Chain& chain, const Guard::Advice& advice) noexcept AMP_RT {
  if (advice.block < 0) return;
  const auto block = static_cast<size_t>(advice.block);
  if (advice.plays == Plays::kNothing) {
    chain.rest(block);
    if (chain.can_shrink(block)) guard_.offer_smaller();
  } else {
    chain.wake(block, advice.plays == Plays::kSmaller);
  }
  report_rest(advice.block, advice.plays);
}

void Audio::report_rest(int block, Plays plays) noexcept AMP_RT {
  const float left_out = plays == Plays::kNothing ? 1 : plays == Plays::kSmaller ? 0.5F : 0;
  lines_.report(
      {.kind = Fact::Kind::kRest, .slot = deck_.heard_slot(), .index = block, .value = left_out});
}

}  // namespace amp
