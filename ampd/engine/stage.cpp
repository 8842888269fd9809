#include "stage.hpp"

#include <algorithm>

#include "blocks/table.hpp"

namespace amp {
namespace {

constexpr ParamInfo kBypassInfo{
    "bypass", "", 0, 1, 0, Taper::kToggle, "1: the sound passes as if the block were not there"};

int width_behind(Block& block, int in_width) {
  std::array<std::array<float, kMaxFrames>, 2> silence{};
  Signal signal{.channel = {silence[0].data(), silence[1].data()},
                .width = in_width,
                .frames = 1,
                .clean = nullptr};
  block.process(signal);
  block.reset();
  return std::max(in_width, signal.width);
}

}  // namespace

Stage::Stage(std::unique_ptr<Block> block, int sample_rate_hz, int in_width)
    : block_(std::move(block)),
      rings_(block_->rings()),
      width_(width_behind(*block_, in_width)),
      own_params_{kBypassInfo},
      open_(ramp_frames(sample_rate_hz), 1),
      mix_(ramp_frames(sample_rate_hz), block_->has_mix() ? block_->default_mix() : 1),
      present_(ramp_frames(sample_rate_hz), 1) {
  if (block_->has_mix())
    own_params_.push_back({"mix", "", 0, 1, block_->default_mix(), Taper::kLinear,
                           "0 what came in, 1 what the block made of it"});
  for (auto& ring : delay_) ring.resize(static_cast<size_t>(block_->latency_frames()));
}

void Stage::set_own(int param, float value, bool jump) noexcept AMP_RT {
  dsp::Ramp& ramp = param == kBypass ? open_ : mix_;
  const float target = param == kBypass ? (value >= 0.5F ? 0.0F : 1.0F) : value;
  jump ? ramp.jump(target) : ramp.to(target);
}

void Stage::reset() noexcept AMP_RT {
  resize(false, true);
  block_->reset();
  for (auto& ring : delay_) std::fill(ring.begin(), ring.end(), 0.0F);
  delay_at_ = 0;
  present_.jump(1);
  rests_ = false;
  unheard_frames_ = 0;
}

void Stage::rest() noexcept AMP_RT {
  rests_ = true;
  present_.to(0);
}

void Stage::resize(bool smaller, bool at_once) noexcept AMP_RT {
  if (smaller != smaller_) block_->shrink(smaller, at_once);
  smaller_ = smaller;
}

void Stage::wake(bool smaller) noexcept AMP_RT {
  resize(smaller, rests_);
  if (!rests_) return;
  rests_ = false;
  if (rings_) block_->reset();  // no echoes of what was played before its rest
  unheard_frames_ = block_->memory_frames() + block_->latency_frames();
}

/// Whether the block is to be played; what it remembers of before its rest is not to be heard.
bool Stage::listens(int frames) noexcept AMP_RT {
  if (rests_) return present_.moving();
  if (present_.target() == 1) return true;
  if (unheard_frames_ > 0)
    unheard_frames_ -= frames;
  else
    present_.to(1);
  return true;
}

/// What came in, as if there were no block.
void Stage::pass(Signal& signal) noexcept AMP_RT {
  widen(signal);
  for (size_t c = 0; c < static_cast<size_t>(signal.width); ++c)
    std::copy_n(dry_[c].data(), signal.frames, signal.channel[c]);
  for (int i = 0; i < signal.frames; ++i) {
    open_.next();
    mix_.next();
  }
}

void Stage::widen(Signal& signal) const noexcept AMP_RT {
  if (signal.width >= width_) return;
  std::copy_n(signal.channel[0], signal.frames, signal.channel[1]);
  signal.width = width_;
}

void Stage::keep_dry(const Signal& signal) noexcept AMP_RT {
  const auto length = delay_[0].size();
  for (size_t c = 0; c < dry_.size(); ++c) {
    const float* const from = signal.channel[signal.width == 2 ? c : 0];
    if (length == 0) {
      std::copy_n(from, signal.frames, dry_[c].data());
      continue;
    }
    size_t at = delay_at_;
    for (int i = 0; i < signal.frames; ++i) {
      dry_[c][static_cast<size_t>(i)] = delay_[c][at];
      delay_[c][at] = from[i];
      at = at + 1 == length ? 0 : at + 1;
    }
  }
  if (length > 0) delay_at_ = (delay_at_ + static_cast<size_t>(signal.frames)) % length;
}

void Stage::process(Signal& signal) noexcept AMP_RT {
  keep_dry(signal);
  if (!listens(signal.frames)) return pass(signal);
  if (rings_) return ring(signal);
  block_->process(signal);
  widen(signal);
  const bool whole = open_.target() * mix_.target() * present_.target() == 1;
  if (open_.moving() || mix_.moving() || present_.moving() || !whole) blend(signal);
}

void Stage::blend(Signal& signal) noexcept AMP_RT {
  for (int i = 0; i < signal.frames; ++i) {
    const float share = open_.next() * mix_.next() * present_.next();
    for (int c = 0; c < signal.width; ++c) {
      float& out = signal.channel[static_cast<size_t>(c)][i];
      const float dry = dry_[static_cast<size_t>(c)][static_cast<size_t>(i)];
      // Told apart, because dry + 0 * wet is not dry where the block gave Inf or -0.
      out = share == 0 ? dry : share == 1 ? out : dry + share * (out - dry);
    }
  }
}

void Stage::ring(Signal& signal) noexcept AMP_RT {
  std::array<float, kMaxFrames> open;
  for (int i = 0; i < signal.frames; ++i) open[static_cast<size_t>(i)] = open_.next();
  if (open_.moving() || open[0] != 1)
    for (int c = 0; c < signal.width; ++c)
      for (int i = 0; i < signal.frames; ++i)
        signal.channel[static_cast<size_t>(c)][i] *= open[static_cast<size_t>(i)];
  block_->process(signal);
  widen(signal);
  for (int i = 0; i < signal.frames; ++i) {
    const float mix = mix_.next();
    const float present = present_.next();
    const float wet = present * std::min(1.0F, 2 * mix);
    const float through = std::min(1.0F, 2 - 2 * mix);
    const float dry = 1 - present * open[static_cast<size_t>(i)] * (1 - through);
    for (int c = 0; c < signal.width; ++c) {
      float& out = signal.channel[static_cast<size_t>(c)][i];
      const float rung = wet == 0 ? 0 : wet * out;  // 0 * NaN is not 0
      out = dry * dry_[static_cast<size_t>(c)][static_cast<size_t>(i)] + rung;
    }
  }
}

size_t Stage::memory_bytes() const noexcept {
  return sizeof(Stage) + block_->memory_bytes() + 2 * delay_[0].size() * sizeof(float);
}

}  // namespace amp
