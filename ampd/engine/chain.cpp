#include "chain.hpp"

#include <algorithm>

namespace amp {
namespace {

/// A tail that stays 100 dB under full scale is over.
constexpr float kQuiet = 1e-5F;

}  // namespace

float Chain::set(int index, float value, bool jump) noexcept AMP_RT {
  const auto i = static_cast<size_t>(index);
  const ParamInfo& info = params_[i].info;
  values_[i] = std::clamp(value, info.minimum, info.maximum);
  if (info.taper == Taper::kToggle) values_[i] = values_[i] >= 0.5F ? 1.0F : 0.0F;
  changed_[i] = 1;
  any_changed_ = true;
  apply(i, jump);
  return values_[i];
}

void Chain::apply(size_t index, bool jump) noexcept AMP_RT {
  const Target& target = targets_[index];
  const float value = values_[index];
  jump = jump && !(target.in_tail && ringing());
  switch (target.kind) {
    case Target::Kind::kChain: {
      const auto move = [jump](dsp::Ramp& ramp, float to) { jump ? ramp.jump(to) : ramp.to(to); };
      if (target.param == kInputGain) move(input_gain_, input_trim_ * from_db(value));
      if (target.param == kMix) move(mix_, value);
      if (target.param == kOutputGain) {
        move(output_left_, output_trim_ * from_db(value));
        move(output_right_, output_trim_ * from_db(value));
      }
      break;
    }
    case Target::Kind::kBlock:
      target.block->set(target.param, value, jump);
      break;
    case Target::Kind::kStage:
      target.stage->set_own(target.param, value, jump);
      jump ? dc_share_.jump(any_amp_open() ? 1 : 0) : dc_share_.to(any_amp_open() ? 1 : 0);
      break;
    case Target::Kind::kSnapshot: {
      values_[index] = std::round(value);
      const auto& scene = scenes_[static_cast<size_t>(values_[index])];
      move_to(scene, scene, 0, jump);
      break;
    }
    case Target::Kind::kMorph:
      move_to(scenes_[morph_[0]], scenes_[morph_[1]], value, jump);
      break;
  }
}

/// Between two scenes; what both have in common, a morph leaves as the player has set it.
void Chain::move_to(const std::vector<float>& low, const std::vector<float>& high, float share,
                    bool jump) noexcept AMP_RT {
  const bool is_morph = &low != &high;
  for (size_t i = 0; i < params_.size(); ++i) {
    if (!is_plain(i)) continue;
    if (is_morph && low[i] == high[i]) continue;
    float value = low[i] + share * (high[i] - low[i]);
    if (params_[i].info.taper == Taper::kToggle) value = share < 0.5F ? low[i] : high[i];
    if (values_[i] != value) set(static_cast<int>(i), value, jump);
  }
}

void Chain::set_tempo(float bpm, bool jump) noexcept AMP_RT {
  for (size_t s = 0; s < stages_.size(); ++s)
    stages_[s]->block().set_tempo(bpm, jump && !(s >= tail_at_ && ringing()));
}

void Chain::recall(bool jump) noexcept AMP_RT {
  for (size_t i = 0; i < params_.size(); ++i) {
    values_[i] = scenes_[0][i];
    if (is_plain(i)) apply(i, jump);
  }
}

void Chain::reset() noexcept AMP_RT {
  rewind(kAll);
  enter();
}

void Chain::rewind(int64_t frames) noexcept AMP_RT {
  // Values first: what a model in several sizes resets is the size that is wanted.
  for (size_t i = 0; i < params_.size(); ++i) {
    values_[i] = scenes_[0][i];
    if (!targets_[i].in_tail && is_plain(i)) apply(i, true);
  }
  const bool own_tail = !ringing();  // else it belongs to the audio thread
  for (size_t s = 0; s < (own_tail ? stages_.size() : tail_at_); ++s) stages_[s]->reset();
  if (own_tail) tail_gain_.jump(1);
  std::fill(delay_.begin(), delay_.end(), 0.0F);
  for (size_t c = 0; c < dc_.size(); ++c) dc_[c].reset(rest_[c]);
  last_ = {};
  faulted_ = false;
  broken_ = -1;
  // Where less is to be had than all blocks remember, those in front miss it, by whole grids.
  const int64_t missing = std::max<int64_t>(0, memory_frames_ + latency_frames_ - frames);
  heard_ = frames == kAll ? kAll : (missing + grid_frames_ - 1) / grid_frames_ * grid_frames_;
  dc_learned_ = frames == kAll;
}

void Chain::enter() noexcept AMP_RT {
  heard_ = kAll;
  std::fill(spent_ns_.begin(), spent_ns_.end(), 0);
  for (size_t i = 0; i < params_.size(); ++i)
    if (targets_[i].in_tail && is_plain(i)) apply(i, true);
  tail_gain_.to(1);
  for (size_t s = tail_at_; s < stages_.size(); ++s) stages_[s]->wake(false);
  finish_ringing();
}

bool Chain::leave() noexcept AMP_RT {
  quiet_frames_ = 0;
  pause_frames_ = 0;  // as the knobs stand now
  for (size_t s = tail_at_; s < stages_.size(); ++s)
    pause_frames_ += stages_[s]->block().pause_frames();
  const bool rings = tail_at_ < stages_.size() && !faulted_;
  ringing_.store(rings, std::memory_order_release);
  return rings;
}

bool Chain::is_quiet() const noexcept AMP_RT {
  return quiet_frames_ > pause_frames_ || (tail_gain_.target() == 0 && !tail_gain_.moving());
}

void Chain::delay_dry(const float* in, float* dry, int frames) noexcept AMP_RT {
  if (delay_.empty()) {
    std::copy_n(in, frames, dry);
    return;
  }
  for (int i = 0; i < frames; ++i) {
    dry[i] = delay_[delay_at_];
    delay_[delay_at_] = in[i];
    delay_at_ = delay_at_ + 1 == delay_.size() ? 0 : delay_at_ + 1;
  }
}

void Chain::warm(const float* in, int frames) noexcept AMP_RT {
  std::array<std::array<float, kMaxFrames>, 2> out;
  for (int at = 0; at < frames;) {
    int64_t length = frames - at;
    for (const int64_t start : starts_)
      if (start > heard_) length = std::min(length, start - heard_);
    if (dc_start_ > heard_) length = std::min(length, dc_start_ - heard_);
    if (!dc_learned_ && dc_start_ <= heard_) {
      dc_learned_ = true;
      for (DcBlocker& dc : dc_) dc.learn();
    }
    delay_dry(in + at, out[1].data(), static_cast<int>(length));
    run_head(in + at, out[0].data(), out[1].data(), static_cast<int>(length));
    at += static_cast<int>(length);
  }
}

void Chain::process(const float* in, const ChainOutput& out, int frames,
                    const float* share) noexcept AMP_RT {
  delay_dry(in, out.dry, frames);
  if (share != nullptr)
    for (int i = 0; i < frames; ++i) out.dry[i] *= share[i];
  if (!faulted_) {
    run_head(in, out.left, out.right, frames);
    if (share != nullptr)
      for (int i = 0; i < frames; ++i) {
        out.left[i] *= share[i];
        out.right[i] *= share[i];
      }
    if (tail_at_ < stages_.size()) {
      Signal signal{.channel = {out.left, out.right},
                    .width = head_width_,
                    .frames = frames,
                    .clean = nullptr};
      run_tail(signal, broken_);
    }
    if (!faulted_ && is_sound(out.left, frames) && is_sound(out.right, frames)) {
      blend(out.dry, out.left, out.right, frames);
      last_ = {out.left[frames - 1], out.right[frames - 1]};
      return;
    }
    fault();
  }
  play_dry(out.dry, out.left, out.right, frames);
}

/// Both channels are filled, whatever the width.
void Chain::run_head(const float* in, float* left, float* right, int frames) noexcept AMP_RT {
  Signal signal{.channel = {left, right}, .width = 1, .frames = frames, .clean = in};
  std::copy_n(in, frames, left);
  input_gain_.scale(left, frames);
  run_stages(signal, 0, tail_at_, broken_);
  heard_ += frames;
  if (signal.width == 1) std::copy_n(left, frames, right);
  if (!is_sound(left, frames) || !is_sound(right, frames)) {
    fault();
    for (float* const side : {left, right}) std::fill_n(side, frames, 0.0F);  // not into the tail
  } else if (block_dc_ && (starts_.empty() || heard_ > starts_.back())) {
    take_dc_off(left, right, frames);
  }
}

bool Chain::any_amp_open() const noexcept AMP_RT {
  return std::any_of(amps_.begin(), amps_.end(), [](const Stage* amp) { return amp->is_open(); });
}

/// While no amp is heard what is known of their offset stays, for when one comes back.
void Chain::take_dc_off(float* left, float* right, int frames) noexcept AMP_RT {
  if (!dc_share_.moving() && dc_share_.target() == 1) {
    dc_[0].process(left, frames);
    dc_[1].process(right, frames);
    return;
  }
  for (int i = 0; i < frames; ++i) {
    const float share = dc_share_.next();
    left[i] -= share * dc_[0].offset();
    right[i] -= share * dc_[1].offset();
  }
}

void Chain::run_stages(Signal& signal, size_t from, size_t to, int& broken) noexcept AMP_RT {
  int64_t before_ns = clock_();
  for (size_t s = from; s < to; ++s)
    if (s >= starts_.size() || heard_ >= starts_[s]) {
      stages_[s]->process(signal);
      if (broken < 0)
        for (size_t c = 0; c < static_cast<size_t>(signal.width); ++c)
          if (!is_sound(signal.channel[c], signal.frames)) broken = static_cast<int>(s);
      const int64_t now_ns = clock_();
      spent_ns_[s] += now_ns - before_ns;
      before_ns = now_ns;
    }
}

void Chain::rest(size_t block) noexcept AMP_RT {
  stages_[block]->rest();
  dc_share_.to(any_amp_open() ? 1 : 0);
}

void Chain::wake(size_t block, bool smaller) noexcept AMP_RT {
  stages_[block]->wake(smaller);
  dc_share_.to(any_amp_open() ? 1 : 0);
}

void Chain::run_tail(Signal& signal, int& broken) noexcept AMP_RT {
  run_stages(signal, tail_at_, stages_.size(), broken);
  float* const left = signal.channel[0];
  float* const right = signal.channel[1];
  if (signal.width == 1) std::copy_n(left, signal.frames, right);
  if (!tail_gain_.moving() && tail_gain_.target() == 1) return;
  for (int i = 0; i < signal.frames; ++i) {
    const float gain = tail_gain_.next();
    left[i] *= gain;
    right[i] *= gain;
  }
}

void Chain::ring(float* left, float* right, int frames) noexcept AMP_RT {
  std::fill_n(left, frames, 0.0F);
  std::fill_n(right, frames, 0.0F);
  Signal signal{.channel = {left, right}, .width = head_width_, .frames = frames, .clean = nullptr};
  int broken = -1;  // the chain's own belongs to whoever warms it by now
  run_tail(signal, broken);
  if (!is_sound(left, frames) || !is_sound(right, frames)) {
    std::fill_n(left, frames, 0.0F);
    std::fill_n(right, frames, 0.0F);
    tail_gain_.jump(0);
  }
  float peak = 0;
  for (int i = 0; i < frames; ++i) {
    const float wet = mix_.next();
    left[i] *= wet * output_left_.next();
    right[i] *= wet * output_right_.next();
    peak = std::max({peak, std::abs(left[i]), std::abs(right[i])});
  }
  quiet_frames_ = peak < kQuiet ? quiet_frames_ + frames : 0;
}

void Chain::blend(const float* dry, float* left, float* right, int frames) noexcept AMP_RT {
  if (mix_.moving() || mix_.target() != 1)
    for (int i = 0; i < frames; ++i) {
      const float wet = mix_.next();
      left[i] = wet * left[i] + (1 - wet) * dry[i];
      right[i] = wet * right[i] + (1 - wet) * dry[i];
    }
  output_left_.scale(left, frames);
  output_right_.scale(right, frames);
}

void Chain::fault() noexcept AMP_RT {
  faulted_ = true;
  to_dry_.jump(0);
  to_dry_.to(1);
}

/// From the last sound sample to the dry signal in one ramp, so that a fault does not click.
void Chain::play_dry(const float* dry, float* left, float* right, int frames) noexcept AMP_RT {
  for (int i = 0; i < frames; ++i) {
    const float share = to_dry_.next();
    left[i] = share * dry[i] + (1 - share) * last_[0];
    right[i] = share * dry[i] + (1 - share) * last_[1];
  }
}

}  // namespace amp
