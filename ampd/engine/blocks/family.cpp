#include "family.hpp"

#include <algorithm>
#include <numeric>

namespace amp {

Family::Family(std::vector<Member> members, int ramp_frames)
    : members_(std::move(members)),
      slept_at_(members_.size()),
      knob_(ramp_frames, members_.front().at),
      wanted_(members_.front().at) {
  for (const Member& each : members_) {
    memory_frames_ = std::max(memory_frames_, each.hosted.memory_frames);
    grid_frames_ = std::lcm(grid_frames_, each.hosted.grid_frames);
  }
}

int Family::latency_frames() const noexcept AMP_RT {
  return members_.front().hosted.latency_frames;
}

size_t Family::memory_bytes() const noexcept {
  size_t bytes = 0;
  for (const Member& each : members_) bytes += each.hosted.net->memory_bytes();
  return bytes;
}

int Family::playing() const noexcept AMP_RT {
  if (members_.size() == 1) return 1;
  return coming_ != kNone && awake_ ? 3 : 2;
}

void Family::turn(float position, bool jump) noexcept AMP_RT {
  wanted_ = position;
  if (members_.size() == 1) return;
  if (jump && beyond() == kNone)
    knob_.jump(wanted_);
  else
    approach();
}

void Family::reset() noexcept AMP_RT {
  for (Member& each : members_) each.hosted.net->reset();
  std::fill(slept_at_.begin(), slept_at_.end(), 0);
  coming_ = kNone;
  clock_ = 0;
  low_ = 0;
  const int last_pair = static_cast<int>(members_.size()) - 2;
  while (low_ < last_pair && wanted_ > high_at()) ++low_;
  knob_.jump(wanted_);
}

/// The net behind the neighbour that the knob is asked to pass.
int Family::beyond() noexcept AMP_RT {
  if (wanted_ > high_at()) return low_ + 2;
  return wanted_ < low_at() ? low_ - 1 : kNone;
}

void Family::approach() noexcept AMP_RT {
  knob_.to(std::clamp(wanted_, low_at(), high_at()));
}

void Family::process(float* mono, int frames) noexcept AMP_RT {
  if (members_.size() == 1) return members_[0].hosted.net->process(mono, mono, frames);
  for (int at = 0; at < frames;) {
    step();
    const int length = std::min(frames - at, frames_to_step());
    play(mono + at, length);
    at += length;
  }
}

/// All that changes at this very frame.
void Family::step() noexcept AMP_RT {
  if (coming_is_warm() && !knob_.moving()) {
    const bool up = coming_ > low_;
    slept_at_[static_cast<size_t>(up ? low_ : low_ + 1)] = clock_;
    low_ += up ? 1 : -1;
    coming_ = kNone;
    approach();
  }
  choose_coming();
  if (coming_ == kNone || awake_ || frames_to_wake() > 0) return;
  if (member(coming_).starts_anew) member(coming_).hosted.net->reset();
  awake_ = true;
  heard_frames_ = 0;
}

void Family::choose_coming() noexcept AMP_RT {
  const int needed = beyond();
  if (needed == coming_) return;
  if (coming_ != kNone && awake_) slept_at_[static_cast<size_t>(coming_)] = clock_;
  coming_ = needed;
  awake_ = false;
}

bool Family::coming_is_warm() noexcept AMP_RT {
  if (coming_ == kNone || !awake_) return false;
  // A turn back may have come since: then nothing is to be passed.
  if (coming_ != beyond()) return false;
  const nn::HostedNet& hosted = member(coming_).hosted;
  return heard_frames_ >= hosted.memory_frames + hosted.latency_frames;
}

/// A resampler goes on at the place of its cycle where it stood, or anew where the cycle begins.
int Family::frames_to_wake() noexcept AMP_RT {
  const int grid = member(coming_).hosted.grid_frames;
  const int place =
      member(coming_).starts_anew ? 0 : slept_at_[static_cast<size_t>(coming_)] % grid;
  return (place - clock_ % grid + grid) % grid;
}

/// Frames that can be played at once, at least 1: until the net that comes wakes, is warm, or the
/// knob reaches the neighbour.
int Family::frames_to_step() noexcept AMP_RT {
  if (coming_ == kNone) return kMaxFrames;
  if (!awake_) return frames_to_wake();
  if (knob_.moving()) return knob_.left_frames();
  const nn::HostedNet& hosted = member(coming_).hosted;
  return std::max(1, hosted.memory_frames + hosted.latency_frames - heard_frames_);
}

void Family::play(float* mono, int frames) noexcept AMP_RT {
  if (coming_ != kNone && awake_) {
    member(coming_).hosted.net->process(mono, unheard_.data(), frames);
    heard_frames_ += frames;
  }
  member(low_ + 1).hosted.net->process(mono, high_out_.data(), frames);
  member(low_).hosted.net->process(mono, mono, frames);
  mix(mono, frames);
  clock_ = (clock_ + frames) % grid_frames_;
}

void Family::mix(float* mono, int frames) noexcept AMP_RT {
  const float low = low_at();
  const float span = high_at() - low;
  if (!knob_.moving() && knob_.target() == low) return;
  for (int i = 0; i < frames; ++i) {
    const float share = (knob_.next() - low) / span;
    mono[i] = (1 - share) * mono[i] + share * high_out_[static_cast<size_t>(i)];
  }
}

}  // namespace amp
