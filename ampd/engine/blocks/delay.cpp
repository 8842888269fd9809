#include <algorithm>
#include <cmath>

#include "../dsp/fading_delay.hpp"
#include "../dsp/ramp.hpp"
#include "../dsp/svf.hpp"
#include "table.hpp"

namespace amp {
namespace {

constexpr float kLongestMs = 2000;

constexpr std::array kParams{
    ParamInfo{"time_ms", "ms", 1, kLongestMs, 350, Taper::kLog, "from one echo to the next"},
    ParamInfo{"feedback", "", 0, 0.95F, 0.3F, Taper::kLinear, "of one echo, what the next one has"},
    ParamInfo{"beats", "", 0, 4, 0, Taper::kLinear,
              "time in beats of the tempo, halved until it fits; 0: time_ms counts"},
    ParamInfo{"low_cut_hz", "Hz", dsp::Cut::kLowOffHz, 1000, 100, Taper::kLog,
              "each echo loses what lies below; 20 is off"},
    ParamInfo{"high_cut_hz", "Hz", 1000, dsp::Cut::kHighOffHz, 6000, Taper::kLog,
              "each echo loses what lies above; 20000 is off"},
    ParamInfo{"spread", "", 0, 1, 0, Taper::kLinear, "0: all in the middle, 1: left, right, left"},
};

/// Two lines, each fed by the other: every second echo comes from the right one, and spread says
/// how far apart they stand. Cuts and fades raise nothing and the lines only change places, so
/// that the loop loses at least 1 - feedback in a round: it needs no limiter.
class Delay final : public Block {
 public:
  enum Param { kTime, kFeedback, kBeats, kLowCut, kHighCut, kSpread };

  explicit Delay(int rate_hz)
      : rate_hz_(rate_hz),
        lines_(static_cast<int>(kLongestMs) * rate_hz / 1000 + 1, rate_hz),
        low_cut_(dsp::Cut::Side::kLow, 1, rate_hz, ramp_frames(rate_hz)),
        high_cut_(dsp::Cut::Side::kHigh, 1, rate_hz, ramp_frames(rate_hz)),
        feedback_(ramp_frames(rate_hz), 0),
        spread_(ramp_frames(rate_hz), 0) {
    for (size_t p = 0; p < kParams.size(); ++p)
      set(static_cast<int>(p), kParams[p].default_value, true);
  }

  [[nodiscard]] std::span<const ParamInfo> params() const noexcept AMP_RT override {
    return kParams;
  }

  void set(int param, float value, bool jump) noexcept AMP_RT override {
    switch (param) {
      case kTime:
        time_ms_ = value;
        return retime(jump);
      case kFeedback:
        return jump ? feedback_.jump(value) : feedback_.to(value);
      case kBeats:
        beats_ = value;
        return retime(jump);
      case kLowCut:
        return low_cut_.set(value, jump);
      case kHighCut:
        return high_cut_.set(value, jump);
      default:
        return jump ? spread_.jump(value) : spread_.to(value);
    }
  }

  void set_tempo(float bpm, bool jump) noexcept AMP_RT override {
    bpm_ = bpm;
    retime(jump);
  }

  void reset() noexcept AMP_RT override {
    lines_.clear();
    low_cut_.clear();
    high_cut_.clear();
  }

  void process(Signal& signal) noexcept AMP_RT override {
    const size_t second = signal.width == 2 ? 1 : 0;
    signal.width = 2;
    for (int at = 0; at < signal.frames;) {
      const int frames = lines_.stretch(signal.frames - at, false);
      play({signal.channel[0] + at, signal.channel[second] + at}, signal.channel[1] + at, frames);
      at += frames;
    }
  }

  [[nodiscard]] bool has_mix() const noexcept override { return true; }
  [[nodiscard]] float default_mix() const noexcept override { return 0.3F; }
  [[nodiscard]] bool rings() const noexcept AMP_RT override { return true; }
  [[nodiscard]] int pause_frames() const noexcept AMP_RT override {
    return lines_.longest_frames();
  }
  [[nodiscard]] size_t memory_bytes() const noexcept override { return lines_.memory_bytes(); }

 private:
  void retime(bool jump) noexcept AMP_RT {
    float ms = time_ms_;
    if (beats_ > 0) {
      ms = 60000 / bpm_ * beats_;
      while (ms > kLongestMs) ms /= 2;
    }
    const auto frames = static_cast<int>(std::lround(ms * static_cast<float>(rate_hz_) / 1000));
    lines_.to(std::max(frames, 1), jump);
  }

  /// in: left and right, the same for a mono signal; the left one is overwritten too.
  void play(std::array<float*, 2> in, float* right, int frames) noexcept AMP_RT {
    std::array<std::array<float, kMaxFrames>, 2> line;
    lines_.read({line[0].data(), line[1].data()}, frames, false);
    std::array<dsp::Stereo, kMaxFrames> echo;
    for (size_t i = 0; i < static_cast<size_t>(frames); ++i)
      echo[i] = dsp::Stereo{line[0][i], line[1][i]};
    low_cut_.run(echo.data(), frames);
    high_cut_.run(echo.data(), frames);
    for (size_t i = 0; i < static_cast<size_t>(frames); ++i) {
      const auto odd = static_cast<float>(echo[i][0]);
      const auto even = static_cast<float>(echo[i][1]);
      const float feedback = feedback_.next();
      const float far = 1 - spread_.next();
      line[0][i] = 0.5F * (in[0][i] + in[1][i]) + feedback * even;
      line[1][i] = feedback * odd;
      in[0][i] = odd + far * even;
      right[i] = even + far * odd;
    }
    lines_.write({line[0].data(), line[1].data()}, frames);
  }

  int rate_hz_;
  float time_ms_ = 0;
  float beats_ = 0;
  float bpm_ = 120;
  dsp::FadingDelay lines_;  ///< odd echoes, even ones
  dsp::Cut low_cut_;
  dsp::Cut high_cut_;
  dsp::Ramp feedback_;
  dsp::Ramp spread_;
};

}  // namespace

std::unique_ptr<Block> make_delay(const BlockSpec&, BuildContext& context) {
  return std::make_unique<Delay>(context.sample_rate_hz);
}

}  // namespace amp
