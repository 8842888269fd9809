#include "audio.hpp"

#include <algorithm>
#include <cmath>
#include <ctime>
#include <numbers>

namespace amp {
namespace {

/// Long enough that two different sounds join without a click, short enough to feel at once.
constexpr float kFadeSeconds = 0.020F;

/// A chain that is being brought up to date may cost this many frames a callback beyond the
/// callback's own, twice over: enough to catch up, too little to be late.
constexpr int kCatchUpFrames = 256;

int64_t now_ns() noexcept AMP_RT {
  timespec now{};
  AMP_RT_TRUST_BEGIN  // the vDSO answers in user space
      clock_gettime(CLOCK_MONOTONIC, &now);
  AMP_RT_TRUST_END
  return now.tv_sec * int64_t{1'000'000'000} + now.tv_nsec;
}

}  // namespace

Audio::Audio(Lines& lines, int sample_rate_hz, bool with_safety)
    : lines_(lines),
      sample_rate_hz_(sample_rate_hz),
      with_safety_(with_safety),
      fade_frames_(static_cast<int>(kFadeSeconds * static_cast<float>(sample_rate_hz))),
      ceiling_(sample_rate_hz),
      globals_{dsp::Ramp(ramp_frames(sample_rate_hz), 0),
               dsp::Ramp(ramp_frames(sample_rate_hz), 0)},
      fade_in_(static_cast<size_t>(fade_frames_)) {
  for (size_t i = 0; i < fade_in_.size(); ++i) {
    const float phase = static_cast<float>(i + 1) / static_cast<float>(fade_frames_ + 1);
    fade_in_[i] = 0.5F - 0.5F * std::cos(std::numbers::pi_v<float> * phase);
  }
}

void Audio::process(Callback& callback) noexcept AMP_RT {
  const int64_t begin_ns = now_ns();
  const FtzGuard ftz;
  catch_up_budget_ = std::max(kCatchUpFrames, 2 * callback.frames);
  take_commands(callback);
  take_deliveries();
  size_t event = 0;
  for (int at = 0; at < callback.frames;) {
    while (event < callback.midi.size() && callback.midi[event].frame <= at)
      take_midi(callback.midi[event++]);
    int end = std::min(at + kMaxFrames, callback.frames);
    if (event < callback.midi.size()) end = std::min(end, callback.midi[event].frame);
    run(callback.in + at, callback.left + at, callback.right + at, end - at);
    at = end;
  }
  measure(begin_ns, callback.frames);
}

void Audio::take_commands(Callback& callback) noexcept AMP_RT {
  Command command;
  while (lines_.commands.pop(command)) take_command(command, callback);
}

void Audio::take_command(const Command& command, Callback& callback) noexcept AMP_RT {
  switch (command.kind) {
    case Command::Kind::kSelect:
      select(command.slot, command.fresh, command.id);
      for (size_t p = 0; p < lines_.programs.size(); ++p)
        if (lines_.programs[p].load(std::memory_order_relaxed) == command.slot)
          callback.echoed_program = static_cast<int>(p);
      break;
    case Command::Kind::kParam:
      set_param(command);
      break;
    case Command::Kind::kGlobal: {
      const float value = command.value >= 0.5F ? 1.0F : 0.0F;
      globals_[static_cast<size_t>(command.index)].to(value);
      report(Fact::Kind::kChanged, -1, command.id, command.index, value);
      break;
    }
  }
}

void Audio::set_param(const Command& command) noexcept AMP_RT {
  Chain* const chain = switch_ == Switch::kNone ? current_.chain : next_.chain;
  const bool deferrable = pending_ && deferred_count_ < static_cast<int>(deferred_.size());
  if (command.slot == wanted_slot_ && deferrable) {
    deferred_[static_cast<size_t>(deferred_count_++)] = command;
  } else if (command.slot == wanted_slot_ && !pending_ && chain != nullptr &&
             command.index < chain->param_count()) {
    const float taken = chain->set(command.index, command.value, switch_ == Switch::kCatchingUp);
    report(Fact::Kind::kChanged, command.slot, command.id, command.index, taken);
  } else {
    report(Fact::Kind::kRefused, command.slot, command.id, command.index);
  }
}

void Audio::take_midi(const MidiEvent& event) noexcept AMP_RT {
  if (event.size < 2 || (event.data[0] & 0xF0) != 0xC0) return;
  const int slot = lines_.programs[event.data[1] & 0x7F].load(std::memory_order_relaxed);
  if (slot >= 0) select(slot, false, 0);
}

/// The last selection wins: a switch that is not audible yet gives way, one that is finishes its
/// fade first.
void Audio::select(int slot, bool fresh, uint32_t id) noexcept AMP_RT {
  if (pending_ || switch_ != Switch::kNone)
    report(Fact::Kind::kSuperseded, wanted_slot_, wanted_id_);
  deferred_count_ = 0;
  wanted_slot_ = slot;
  wanted_id_ = id;
  report(Fact::Kind::kSelected, slot, id);
  const Playing& newest = switch_ == Switch::kNone ? current_ : next_;
  const bool here = !fresh && newest.chain != nullptr && newest.slot == slot;
  if (here && !newest.chain->faulted()) {
    pending_ = false;
    newest.chain->recall(switch_ == Switch::kCatchingUp);
    if (switch_ == Switch::kNone) report(Fact::Kind::kSwitched, slot, id);
    return;
  }
  pending_ = true;
  requested_ = false;
  if (switch_ == Switch::kCatchingUp) {
    retire(next_);
    switch_ = Switch::kNone;
  }
  if (switch_ == Switch::kFading) return;
  if (here) retire(current_);  // a faulted chain is dry already: it comes back from dry, warmed
  request();
}

void Audio::request() noexcept AMP_RT {
  requested_ = lines_.requests.push({.slot = wanted_slot_, .serial = ++serial_});
}

void Audio::take_deliveries() noexcept AMP_RT {
  if (pending_ && !requested_ && switch_ == Switch::kNone) request();
  Delivery delivery;
  while (lines_.deliveries.pop(delivery)) {
    if (!pending_ || !requested_ || delivery.serial != serial_) {
      Playing unwanted{delivery.chain, delivery.slot};
      retire(unwanted);
      continue;
    }
    pending_ = requested_ = false;
    if (delivery.chain == nullptr) {
      report(Fact::Kind::kRefused, delivery.slot, wanted_id_);
      wanted_slot_ = current_.slot;
    } else {
      next_ = {delivery.chain, delivery.slot};
      next_position_ = delivery.position;
      switch_ = Switch::kCatchingUp;
    }
    for (int i = 0; i < deferred_count_; ++i) set_param(deferred_[static_cast<size_t>(i)]);
    deferred_count_ = 0;
  }
}

/// Let the new chain hear what was played since the warm thread let go of it, a bounded number of
/// frames a callback.
void Audio::catch_up() noexcept AMP_RT {
  const int64_t now = frame();
  if (now - next_position_ > History::kFrames / 2)
    next_position_ = next_.chain->grid_before(now - kMaxFrames, next_position_);
  std::array<float, kMaxFrames> heard;
  while (next_position_ < now && catch_up_budget_ > 0) {
    const int frames = static_cast<int>(std::min<int64_t>(kMaxFrames, now - next_position_));
    lines_.history.read(next_position_, heard.data(), frames);
    next_.chain->process(heard.data(),
                         {next_out_[0].data(), next_out_[1].data(), next_out_[2].data()}, frames);
    next_position_ += frames;
    catch_up_budget_ -= frames;
  }
  if (next_position_ == now) start_fade();
}

void Audio::start_fade() noexcept AMP_RT {
  switch_ = Switch::kFading;
  fade_at_ = 0;
  fault_reported_[1] = false;
  report(Fact::Kind::kAudible, next_.slot, wanted_id_);
}

void Audio::finish_fade() noexcept AMP_RT {
  retire(current_);
  current_ = next_;
  next_ = {};
  fault_reported_[0] = fault_reported_[1];
  switch_ = Switch::kNone;
  if (pending_)
    request();
  else
    report(Fact::Kind::kSwitched, current_.slot, wanted_id_);
}

void Audio::retire(Playing& playing) noexcept AMP_RT {
  if (playing.chain != nullptr) lines_.retired.push({.chain = playing.chain, .slot = playing.slot});
  playing = {};
}

void Audio::run(const float* in, float* left, float* right, int frames) noexcept AMP_RT {
  if (switch_ == Switch::kCatchingUp) catch_up();
  for (int i = 0; i < frames; ++i)
    in_[static_cast<size_t>(i)] = std::abs(in[i]) <= kBroken ? in[i] : 0;
  run_chains(in_.data(), left, right, frames);
  lines_.history.write(in_.data(), frames);
  std::array<float*, 2> out{left, right};
  apply_globals(left, right, frames);
  if (with_safety_) ceiling_.process(out.data(), frames);
  if (switch_ == Switch::kFading && fade_at_ == fade_frames_) finish_fade();
}

void Audio::run_chains(const float* in, float* left, float* right, int frames) noexcept AMP_RT {
  if (current_.chain != nullptr) {
    current_.chain->process(in, {left, right, dry_.data()}, frames);
    note_fault(current_);
  } else {
    for (float* to : {left, right, dry_.data()}) std::copy_n(in, frames, to);
  }
  if (switch_ != Switch::kFading) return;
  next_.chain->process(in, {next_out_[0].data(), next_out_[1].data(), next_out_[2].data()}, frames);
  note_fault(next_);
  const std::array<float*, 3> old{left, right, dry_.data()};
  for (int i = 0; i < frames; ++i) {
    const float share = fade_at_ < fade_frames_ ? fade_in_[static_cast<size_t>(fade_at_++)] : 1.0F;
    for (size_t c = 0; c < old.size(); ++c) {
      const float from = old[c][i];
      const float to = next_out_[c][static_cast<size_t>(i)];
      old[c][i] = share == 1.0F ? to : from + share * (to - from);
    }
  }
}

void Audio::apply_globals(float* left, float* right, int frames) noexcept AMP_RT {
  dsp::Ramp& bypass = globals_[kBypass];
  if (bypass.moving() || bypass.target() != 0)
    for (int i = 0; i < frames; ++i) {
      const float dry = dry_[static_cast<size_t>(i)];
      const float share = bypass.next();
      left[i] = share == 1.0F ? dry : left[i] + share * (dry - left[i]);
      right[i] = share == 1.0F ? dry : right[i] + share * (dry - right[i]);
    }
  dsp::Ramp& mute = globals_[kMute];
  if (mute.moving() || mute.target() != 0)
    for (int i = 0; i < frames; ++i) {
      const float open = 1 - mute.next();
      left[i] *= open;
      right[i] *= open;
    }
}

void Audio::note_fault(const Playing& playing) noexcept AMP_RT {
  bool& reported = fault_reported_[playing.chain == current_.chain ? 0 : 1];
  if (!playing.chain->faulted() || reported) return;
  reported = true;
  report(Fact::Kind::kFault, playing.slot, 0);
}

void Audio::measure(int64_t begin_ns, int frames) noexcept AMP_RT {
  const int64_t end_ns = now_ns();
  const int64_t period_ns = int64_t{1'000'000'000} * frames / sample_rate_hz_;
  const int64_t spent_ns = end_ns - begin_ns;
  const auto step =
      static_cast<size_t>(std::min<int64_t>(spent_ns * 400 / period_ns, LoadCounts::kSteps - 1));
  lines_.load.steps[step].fetch_add(1, std::memory_order_relaxed);
  const auto permille =
      static_cast<uint32_t>(std::min<int64_t>(spent_ns * 1000 / period_ns, 1'000'000));
  if (permille > lines_.load.highest_permille.load(std::memory_order_relaxed))
    lines_.load.highest_permille.store(permille, std::memory_order_relaxed);
  if (spent_ns > period_ns)
    lines_.late.push(
        {.begin_ns = begin_ns, .end_ns = end_ns, .period_ns = period_ns, .frame = frame()});
}

void Audio::report(Fact::Kind kind, int slot, uint32_t id, int index, float value) noexcept AMP_RT {
  lines_.facts.push(
      {.kind = kind, .slot = slot, .index = index, .value = value, .frame = frame(), .id = id});
}

}  // namespace amp
