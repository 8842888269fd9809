#include <algorithm>
#include <cmath>

#include "../dsp/fading_delay.hpp"
#include "../dsp/feedback_network.hpp"
#include "../dsp/ramp.hpp"
#include "../dsp/svf.hpp"
#include "table.hpp"

namespace amp {
namespace {

constexpr float kLongestPreDelayMs = 200;

constexpr std::array kParams{
    ParamInfo{"decay_s", "s", 0.2F, 10, 1.8F, Taper::kLog, "time to fall by 60 dB, at 1 kHz"},
    ParamInfo{"pre_delay_ms", "ms", 0, kLongestPreDelayMs, 10, Taper::kLinear,
              "from the sound to the room's answer"},
    ParamInfo{"damping_hz", "Hz", 1000, 20000, 6000, Taper::kLog, "where it dies twice as fast"},
    ParamInfo{"low_cut_hz", "Hz", dsp::Cut::kLowOffHz, 1000, 100, Taper::kLog,
              "what lies below does not enter; 20 is off"},
    ParamInfo{"width", "", 0, 1, 1, Taper::kLinear, "0: both sides the same, 1: all the room"},
};

// Of the diffusers, which blur what enters before the room does; each side has its own.
using Stages = std::array<double, 4>;
constexpr Stages kLeftMs{1.9, 3.1, 5.3, 7.9};
constexpr Stages kRightMs{2.3, 3.7, 4.7, 8.7};
constexpr std::array<float, 4> kStageGain{0.7F, 0.7F, 0.6F, 0.6F};

/// Low cut, pre-delay, diffusers, room, width.
class Reverb final : public Block {
 public:
  enum Param { kDecay, kPreDelay, kDamping, kLowCut, kWidth };

  explicit Reverb(int rate_hz)
      : rate_hz_(rate_hz),
        low_cut_(dsp::Cut::Side::kLow, 1, rate_hz, ramp_frames(rate_hz)),
        pre_delay_(pre_frames(kLongestPreDelayMs), rate_hz),
        left_(diffuser(kLeftMs, rate_hz)),
        right_(diffuser(kRightMs, rate_hz)),
        network_(rate_hz, ramp_frames(rate_hz)),
        width_(ramp_frames(rate_hz), 0),
        most_frames_(std::min({kMaxFrames, left_.front().frames(), right_.front().frames()})) {
    for (size_t p = 0; p < kParams.size(); ++p)
      set(static_cast<int>(p), kParams[p].default_value, true);
  }

  [[nodiscard]] std::span<const ParamInfo> params() const noexcept AMP_RT override {
    return kParams;
  }

  void set(int param, float value, bool jump) noexcept AMP_RT override {
    switch (param) {
      case kDecay:
        decay_s_ = value;
        return network_.set(decay_s_, damping_hz_, jump);
      case kDamping:
        damping_hz_ = value;
        return network_.set(decay_s_, damping_hz_, jump);
      case kPreDelay:
        return pre_delay_.to(pre_frames(value), jump);
      case kLowCut:
        return low_cut_.set(value, jump);
      default:
        return jump ? width_.jump(value) : width_.to(value);
    }
  }

  void reset() noexcept AMP_RT override {
    low_cut_.clear();
    pre_delay_.clear();
    for (dsp::Allpass& each : left_) each.clear();
    for (dsp::Allpass& each : right_) each.clear();
    network_.clear();
  }

  void process(Signal& signal) noexcept AMP_RT override {
    if (signal.width == 1) std::copy_n(signal.channel[0], signal.frames, signal.channel[1]);
    signal.width = 2;
    for (int at = 0; at < signal.frames;) {
      int frames = network_.stretch(std::min(signal.frames - at, most_frames_));
      frames = pre_delay_.stretch(frames, true);
      play(signal.channel[0] + at, signal.channel[1] + at, frames);
      at += frames;
    }
  }

  [[nodiscard]] bool has_mix() const noexcept override { return true; }
  [[nodiscard]] float default_mix() const noexcept override { return 0.2F; }
  [[nodiscard]] bool rings() const noexcept AMP_RT override { return true; }
  /// Behind the pre-delay come the lines, and from a line that is heard all others.
  [[nodiscard]] int pause_frames() const noexcept AMP_RT override {
    return pre_delay_.longest_frames() + 2 * network_.longest_frames();
  }
  [[nodiscard]] size_t memory_bytes() const noexcept override {
    size_t bytes = pre_delay_.memory_bytes() + network_.memory_bytes();
    for (const dsp::Allpass& each : left_) bytes += each.memory_bytes();
    for (const dsp::Allpass& each : right_) bytes += each.memory_bytes();
    return bytes;
  }

 private:
  static std::vector<dsp::Allpass> diffuser(const Stages& milliseconds, int rate_hz) {
    std::vector<dsp::Allpass> stages;
    stages.reserve(milliseconds.size());
    for (size_t s = 0; s < milliseconds.size(); ++s)
      stages.emplace_back(milliseconds[s], kStageGain[s], rate_hz, ramp_frames(rate_hz));
    return stages;
  }

  [[nodiscard]] int pre_frames(float ms) const noexcept AMP_RT {
    return static_cast<int>(std::lround(ms * static_cast<float>(rate_hz_) / 1000));
  }

  void play(float* left, float* right, int frames) noexcept AMP_RT {
    std::array<dsp::Stereo, kMaxFrames> both;
    for (int i = 0; i < frames; ++i) both[static_cast<size_t>(i)] = dsp::Stereo{left[i], right[i]};
    low_cut_.run(both.data(), frames);
    for (int i = 0; i < frames; ++i) {
      left[i] = static_cast<float>(both[static_cast<size_t>(i)][0]);
      right[i] = static_cast<float>(both[static_cast<size_t>(i)][1]);
    }
    pre_delay_.write({left, right}, frames);
    pre_delay_.read({left, right}, frames, true);
    for (dsp::Allpass& each : left_) each.run(left, frames);
    for (dsp::Allpass& each : right_) each.run(right, frames);
    network_.run(left, right, frames);
    for (int i = 0; i < frames; ++i) {
      const float middle = 0.5F * (left[i] + right[i]);
      const float side = 0.5F * width_.next() * (left[i] - right[i]);
      left[i] = middle + side;
      right[i] = middle - side;
    }
  }

  int rate_hz_;
  float decay_s_ = 1;
  float damping_hz_ = 6000;
  dsp::Cut low_cut_;
  dsp::FadingDelay pre_delay_;
  std::vector<dsp::Allpass> left_;
  std::vector<dsp::Allpass> right_;
  dsp::FeedbackNetwork network_;
  dsp::Ramp width_;
  int most_frames_;  ///< that the diffusers take at once
};

}  // namespace

std::unique_ptr<Block> make_reverb(const BlockSpec&, BuildContext& context) {
  return std::make_unique<Reverb>(context.sample_rate_hz);
}

}  // namespace amp
