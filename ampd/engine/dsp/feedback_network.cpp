#include "feedback_network.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace amp::dsp {
namespace {

constexpr double kPi = std::numbers::pi;

// Of the wander: at 1 Hz four cents of pitch, too little to be heard as a chorus.
constexpr double kDepthMs = 0.35;
constexpr int kReach = 4;  // frames of the cubic

// Lines in a geometric row: long enough that their modes, 0.65 a hertz, overlap where a guitar
// has its notes, short enough that the first rounds are as dense as a plate.
constexpr double kShortestMs = 27;
constexpr double kLongestMs = 127;
constexpr std::array<double, 8> kAllpassMs{3.1, 9.7, 4.3, 11.9, 5.9, 13.7, 7.3, 16.1};
constexpr float kAllpassGain = 0.5F;

/// The next prime from here: lengths without a common divisor do not ring together.
int prime_frames(double milliseconds, int sample_rate_hz) {
  const auto is_prime = [](int number) {
    for (int d = 2; d * d <= number; ++d)
      if (number % d == 0) return false;
    return true;
  };
  int frames = std::max(2, static_cast<int>(milliseconds * sample_rate_hz / 1000));
  while (!is_prime(frames)) ++frames;
  return frames;
}

/// What one round takes away: a gain and a one-pole low-pass in the line, a gain in its allpass.
struct Loss {
  double gain;
  double open;
  double keep;
  double energy;  ///< what is left of it at 1 kHz
};

double lowpass_gain(double pole, double radians) noexcept AMP_RT {
  return (1 - pole) / std::sqrt(1 - 2 * pole * std::cos(radians) + pole * pole);
}

/// Each frame of delay loses the same, in a line and in its allpass, so that all modes die alike.
Loss loss_of(const WanderingLine& line, double decay_s, double damping_hz,
             int sample_rate_hz) noexcept AMP_RT {
  const double radians = 2 * kPi / sample_rate_hz;
  const double decades = -3 / (decay_s * sample_rate_hz);  // a frame
  const double gain = std::pow(10, decades * line.round_frames());
  const double damped = std::min(damping_hz, 0.49 * sample_rate_hz);
  // The pole whose low-pass has `gain` at the damped frequency: (1 - p)^2 = gain^2 |1 - p z|^2.
  const double square = gain * gain;
  const double half = 1 - square * std::cos(radians * damped);
  const double whole = 1 - square;
  const double pole = (half - std::sqrt(half * half - whole * whole)) / whole;
  const double here = lowpass_gain(pole, radians * std::min(1000.0, damped / 4));
  const double keep = std::pow(10, decades * line.allpass_frames());
  return {.gain = gain / keep / here, .open = 1 - pole, .keep = keep, .energy = square};
}

void take(Ramp& ramp, double value, bool jump) noexcept AMP_RT {
  const auto target = static_cast<float>(value);
  jump ? ramp.jump(target) : ramp.to(target);
}

void butterfly(float* a, float* b, size_t count) noexcept AMP_RT {
  for (size_t i = 0; i < count; ++i) {
    const float sum = a[i] + b[i];
    b[i] = a[i] - b[i];
    a[i] = sum;
  }
}

}  // namespace

Allpass::Allpass(double milliseconds, float gain, int sample_rate_hz, int ramp_frames)
    : frames_(prime_frames(milliseconds, sample_rate_hz)),
      gain_(gain),
      keep_(ramp_frames, 1),
      ring_(frames_) {}

void Allpass::run(float* signal, int frames) noexcept AMP_RT {
  std::array<float, kMaxFrames> late;
  std::array<float, kMaxFrames> inside;
  ring_.read(frames_, late.data(), frames);
  const auto count = static_cast<size_t>(frames);
  size_t moved = 0;
  for (; moved < count && keep_.moving(); ++moved) late[moved] *= keep_.next();
  const float keep = keep_.target();  // copies: `signal` could alias the members
  const float gain = gain_;
  for (size_t i = moved; i < count; ++i) late[i] *= keep;
  for (size_t i = 0; i < count; ++i) {
    inside[i] = signal[i] - gain * late[i];
    signal[i] = late[i] + gain * inside[i];
  }
  ring_.write(inside.data(), frames);
}

WanderingLine::WanderingLine(const Shape& shape, int sample_rate_hz, int ramp_frames)
    : frames_(prime_frames(shape.milliseconds, sample_rate_hz)),
      depth_(kDepthMs * sample_rate_hz / 1000 * kOne),
      turn_cos_(std::cos(2 * kPi * shape.wander_hz * kTick / sample_rate_hz)),
      turn_sin_(std::sin(2 * kPi * shape.wander_hz * kTick / sample_rate_hz)),
      start_(2 * kPi * shape.start),
      ring_(frames_ + static_cast<int>(2 * depth_ / kOne) + kReach),
      allpass_(shape.allpass_ms, kAllpassGain, sample_rate_hz, ramp_frames) {
  clear();
}

void WanderingLine::clear() noexcept AMP_RT {
  ring_.clear();
  allpass_.clear();
  cos_ = std::cos(start_);
  sin_ = std::sin(start_);
  offset_ = static_cast<int>(depth_ * (1 + sin_));
  step_ = 0;
}

void WanderingLine::turn() noexcept AMP_RT {
  const double next = turn_cos_ * cos_ - turn_sin_ * sin_;
  sin_ = turn_cos_ * sin_ + turn_sin_ * cos_;
  cos_ = next;
  step_ = (static_cast<int>(depth_ * (1 + sin_)) - offset_) / kTick;
}

void WanderingLine::read(float* out, int frames) noexcept AMP_RT {
  // In runs in which the whole part of the length stays.
  for (int at = 0; at < frames;) {
    const int whole = offset_ >> kBits;
    int run = frames - at;
    if ((offset_ + step_ * (run - 1)) >> kBits != whole) {
      run = 1;
      while ((offset_ + step_ * run) >> kBits == whole) ++run;
    }
    std::array<float, kMaxFrames + kReach> span;
    ring_.read(frames_ + whole + 2 - at, span.data(), run + 3);
    between(span.data(), out + at, run);
    at += run;
  }
  allpass_.run(out, frames);
}

/// The cubic through four samples: 1.1 dB down at a quarter of the rate at worst, and nowhere over
/// one, so that the network stays stable.
void WanderingLine::between(const float* span, float* out, int frames) noexcept AMP_RT {
  const int fraction = offset_ & ((1 << kBits) - 1);
  for (int i = 0; i < frames; ++i) {
    const float f = static_cast<float>(fraction + step_ * i) * static_cast<float>(1 / kOne);
    const float d = span[i];
    const float c = span[i + 1];
    const float b = span[i + 2];
    const float a = span[i + 3];
    const float first = c - a * (1 / 3.0F) - b * 0.5F - d * (1 / 6.0F);
    const float second = (a + c) * 0.5F - b;
    const float third = (d - a) * (1 / 6.0F) + (b - c) * 0.5F;
    out[i] = ((third * f + second) * f + first) * f + b;
  }
  offset_ += step_ * frames;
}

FeedbackNetwork::FeedbackNetwork(int sample_rate_hz, int ramp_frames)
    : sample_rate_hz_(sample_rate_hz),
      gain_{Ramp(ramp_frames), Ramp(ramp_frames), Ramp(ramp_frames), Ramp(ramp_frames),
            Ramp(ramp_frames), Ramp(ramp_frames), Ramp(ramp_frames), Ramp(ramp_frames)},
      open_(gain_),
      drive_(ramp_frames) {
  line_.reserve(kLines);
  for (size_t l = 0; l < kLines; ++l) {
    const double part = static_cast<double>(l) / (kLines - 1);
    // Wanders of no common period, from places that are spread evenly.
    line_.emplace_back(
        WanderingLine::Shape{.milliseconds = kShortestMs * std::pow(kLongestMs / kShortestMs, part),
                             .allpass_ms = kAllpassMs[l],
                             .wander_hz = 0.37 + 0.65 * part,
                             .start = static_cast<double>(l) * std::numbers::phi},
        sample_rate_hz, ramp_frames);
  }
}

void FeedbackNetwork::set(float decay_s, float damping_hz, bool jump) noexcept AMP_RT {
  double kept = 0;
  for (size_t l = 0; l < kLines; ++l) {
    const Loss loss = loss_of(line_[l], static_cast<double>(decay_s),
                              static_cast<double>(damping_hz), sample_rate_hz_);
    take(gain_[l], loss.gain / std::sqrt(static_cast<double>(kLines)), jump);
    take(open_[l], loss.open, jump);
    line_[l].keep(loss.keep, jump);
    kept += loss.energy / kLines;
  }
  take(drive_, std::sqrt(1 - kept), jump);
}

void FeedbackNetwork::clear() noexcept AMP_RT {
  for (WanderingLine& line : line_) line.clear();
  state_.fill(0);
  until_turn_ = 0;
}

int FeedbackNetwork::stretch(int frames) noexcept AMP_RT {
  if (until_turn_ == 0) {
    for (WanderingLine& line : line_) line.turn();
    until_turn_ = WanderingLine::kTick;
  }
  return std::min({frames, until_turn_, line_.front().allpass_frames()});
}

void FeedbackNetwork::run(float* left, float* right, int frames) noexcept AMP_RT {
  Lines at;
  for (size_t l = 0; l < kLines; ++l) line_[l].read(at[l].data(), frames);
  lose(at, frames);
  mix(at, left, right, frames);
  for (size_t l = 0; l < kLines; ++l) line_[l].write(at[l].data(), frames);
  until_turn_ -= frames;
}

bool FeedbackNetwork::loss_moves() const noexcept AMP_RT {
  bool moves = false;
  for (size_t l = 0; l < kLines; ++l) moves |= gain_[l].moving() || open_[l].moving();
  return moves;
}

void FeedbackNetwork::lose(Lines& at, int frames) noexcept AMP_RT {
  const auto count = static_cast<size_t>(frames);
  size_t i = 0;
  std::array<float, kLines> state = state_;
  for (; i < count && loss_moves(); ++i)
    for (size_t l = 0; l < kLines; ++l) {
      state[l] += open_[l].next() * (at[l][i] - state[l]);
      at[l][i] = gain_[l].next() * state[l];
    }
  std::array<float, kLines> gain;
  std::array<float, kLines> open;
  for (size_t l = 0; l < kLines; ++l) {
    gain[l] = gain_[l].target();
    open[l] = open_[l].target();
  }
  for (; i < count; ++i)
    for (size_t l = 0; l < kLines; ++l) {
      state[l] += open[l] * (at[l][i] - state[l]);
      at[l][i] = gain[l] * state[l];
    }
  state_ = state;
}

/// Each side hears its own sound at once and the lines by signs that are orthogonal to the other
/// side's. Then the lines are mixed and take what enters: left in four of them, right in four.
void FeedbackNetwork::mix(Lines& at, float* left, float* right, int frames) noexcept AMP_RT {
  const auto count = static_cast<size_t>(frames);
  Frames in_left;
  Frames in_right;
  for (size_t i = 0; i < count; ++i) {
    const float drive = drive_.next();
    in_left[i] = drive * left[i];
    in_right[i] = drive * right[i];
  }
  for (size_t i = 0; i < count; ++i) {
    left[i] = in_left[i] + (at[0][i] - at[1][i] + at[2][i] - at[3][i]) +
              (at[4][i] - at[5][i] + at[6][i] - at[7][i]);
    right[i] = in_right[i] + (at[0][i] + at[1][i] - at[2][i] - at[3][i]) +
               (at[4][i] + at[5][i] - at[6][i] - at[7][i]);
  }
  for (size_t half = kLines / 2; half > 0; half /= 2)
    for (size_t l = 0; l < kLines; ++l)
      if ((l & half) == 0) butterfly(at[l].data(), at[l + half].data(), count);
  for (size_t l = 0; l < kLines; ++l) {
    const Frames& in = l % 2 == 0 ? in_left : in_right;
    for (size_t i = 0; i < count; ++i) at[l][i] += in[i];
  }
}

int FeedbackNetwork::longest_frames() const noexcept AMP_RT {
  int longest = 0;
  for (const WanderingLine& line : line_)
    longest = std::max(longest, static_cast<int>(line.round_frames()) + line.allpass_frames());
  return longest;
}

size_t FeedbackNetwork::memory_bytes() const noexcept {
  size_t bytes = 0;
  for (const WanderingLine& line : line_) bytes += line.memory_bytes();
  return bytes;
}

}  // namespace amp::dsp
