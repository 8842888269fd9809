#include "pair.hpp"

#include <algorithm>
#include <numeric>

#include "table.hpp"

namespace amp {
namespace {

constexpr std::array kParams{
    ParamInfo{"blend", "", 0, 1, 0.5F, Taper::kLinear, "0 the first of the two alone, 1 this one"},
    ParamInfo{"invert", "", 0, 1, 0, Taper::kToggle, "1: its polarity turned over"},
};

}  // namespace

Pair::Pair(std::unique_ptr<Block> first, std::unique_ptr<Block> second, int sample_rate_hz)
    : blend_(ramp_frames(sample_rate_hz), kParams[kBlend].default_value),
      sign_(ramp_frames(sample_rate_hz), 1) {
  sides_[0].block = std::move(first);
  sides_[1].block = std::move(second);
  for (Side& side : sides_)
    side.wait.resize(2 * static_cast<size_t>(latency_frames() - side.block->latency_frames()));
}

std::span<const ParamInfo> Pair::params() const noexcept AMP_RT {
  return kParams;
}

void Pair::set(int param, float value, bool jump) noexcept AMP_RT {
  dsp::Ramp& ramp = param == kBlend ? blend_ : sign_;
  const float target = param == kBlend ? value : (value >= 0.5F ? -1.0F : 1.0F);
  jump ? ramp.jump(target) : ramp.to(target);
}

void Pair::reset() noexcept AMP_RT {
  for (Side& side : sides_) {
    side.block->reset();
    std::fill(side.wait.begin(), side.wait.end(), 0.0F);
    side.at = 0;
  }
}

void Pair::play(Side& side, const Signal& signal) noexcept AMP_RT {
  for (size_t c = 0; c < 2; ++c)
    std::copy_n(signal.channel[signal.width == 2 ? c : 0], signal.frames, side.out[c].data());
  Signal own{.channel = {side.out[0].data(), side.out[1].data()},
             .width = signal.width,
             .frames = signal.frames,
             .clean = signal.clean};
  side.block->process(own);
  side.width = own.width;
  if (own.width == 1) std::copy_n(side.out[0].data(), signal.frames, side.out[1].data());
  const size_t length = side.wait.size() / 2;
  if (length == 0) return;
  for (int i = 0; i < signal.frames; ++i) {
    for (size_t c = 0; c < 2; ++c)
      std::swap(side.out[c][static_cast<size_t>(i)], side.wait[c * length + side.at]);
    side.at = side.at + 1 == length ? 0 : side.at + 1;
  }
}

void Pair::process(Signal& signal) noexcept AMP_RT {
  for (Side& side : sides_) play(side, signal);
  signal.width = std::max(sides_[0].width, sides_[1].width);
  for (int i = 0; i < signal.frames; ++i) {
    const float share = blend_.next();
    const float sign = sign_.next();
    for (size_t c = 0; c < 2; ++c) {
      const float a = sides_[0].out[c][static_cast<size_t>(i)];
      const float b = sign * sides_[1].out[c][static_cast<size_t>(i)];
      // Told apart, because 0 * a is not 0 where a side gave Inf or NaN.
      signal.channel[c][i] = share == 0 ? a : share == 1 ? b : a + share * (b - a);
    }
  }
}

void Pair::set_tempo(float bpm, bool jump) noexcept AMP_RT {
  for (Side& side : sides_) side.block->set_tempo(bpm, jump);
}

bool Pair::can_shrink() const noexcept AMP_RT {
  return sides_[0].block->can_shrink() || sides_[1].block->can_shrink();
}

void Pair::shrink(bool on, bool at_once) noexcept AMP_RT {
  for (Side& side : sides_) side.block->shrink(on, at_once);
}

int Pair::latency_frames() const noexcept AMP_RT {
  return std::max(sides_[0].block->latency_frames(), sides_[1].block->latency_frames());
}

int Pair::memory_frames() const noexcept AMP_RT {
  return std::max(sides_[0].block->memory_frames(), sides_[1].block->memory_frames());
}

int Pair::grid_frames() const noexcept AMP_RT {
  return std::lcm(sides_[0].block->grid_frames(), sides_[1].block->grid_frames());
}

size_t Pair::memory_bytes() const noexcept {
  size_t bytes = sizeof(Pair);
  for (const Side& side : sides_)
    bytes += side.block->memory_bytes() + side.wait.size() * sizeof(float);
  return bytes;
}

}  // namespace amp
