#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <mutex>
#include <numbers>
#include <stdexcept>

#include "../dsp/convolver.hpp"
#include "../dsp/ramp.hpp"
#include "speaker.hpp"
#include "table.hpp"

namespace amp {
namespace {

enum Param { kLowCut, kHighCut };

constexpr std::array kParams{
    ParamInfo{"low_cut_hz", "Hz", 20, 1000, 20, Taper::kLog, "what is lower goes; 20 is off"},
    ParamInfo{"high_cut_hz", "Hz", 1000, 20000, 20000, Taper::kLog,
              "what is higher goes; 20000 is off"},
};

/// Takes off one end of the sound by 12 dB an octave (Butterworth); off, it passes bit for bit. The
/// cutoff walks to its target by octaves, and on its way from or to off the filter is mixed in.
/// Source: Simper 2013, "Solving the continuous SVF equations using trapezoidal integration and
/// equivalent currents".
class Cut {
 public:
  Cut(bool low, float off_hz, int sample_rate_hz) noexcept
      : low_(low),
        off_hz_(off_hz),
        sample_rate_hz_(sample_rate_hz),
        octave_(ramp_frames(sample_rate_hz), std::log2(off_hz)),
        amount_(ramp_frames(sample_rate_hz), 0) {
    tune();
  }

  void set(float hz, bool jump) noexcept AMP_RT {
    const bool on = hz != off_hz_;
    const bool from_rest = amount_.current() == 0 && !amount_.moving();
    if (from_rest) state_ = {};
    if (on) jump || from_rest ? octave_.jump(std::log2(hz)) : octave_.to(std::log2(hz));
    const float amount = on ? 1 : 0;
    jump ? amount_.jump(amount) : amount_.to(amount);
    tune();
  }

  void reset() noexcept AMP_RT { state_ = {}; }

  void process(const std::array<float*, 2>& channel, int width, int frames) noexcept AMP_RT {
    if (width > width_) state_[1] = state_[0];
    width_ = width;
    for (int i = 0; i < frames; ++i) {
      if (octave_.moving()) {
        octave_.next();
        tune();
      }
      const float amount = amount_.next();
      if (amount == 0 && !amount_.moving()) return;
      for (size_t c = 0; c < static_cast<size_t>(width); ++c) {
        const float in = channel[c][i];
        const float out = filter(state_[c], in);
        channel[c][i] = amount == 1 ? out : in + amount * (out - in);
      }
    }
  }

  /// After so long a filter that is on is 120 dB down.
  [[nodiscard]] int memory_frames() const noexcept AMP_RT {
    if (amount_.target() == 0) return 0;
    const float turns = std::log(1e6F) / (std::numbers::sqrt2_v<float> * std::numbers::pi_v<float>);
    return static_cast<int>(turns * static_cast<float>(sample_rate_hz_) /
                            std::exp2(octave_.target()));
  }

 private:
  /// Charges of the two capacitors; in float32 they would be heard at 20 Hz and a high rate.
  struct State {
    double first = 0;
    double second = 0;
  };

  void tune() noexcept AMP_RT {
    const double hz = std::min(std::exp2(static_cast<double>(octave_.current())),
                               0.49 * static_cast<double>(sample_rate_hz_));
    const double g = std::tan(std::numbers::pi * hz / sample_rate_hz_);
    a1_ = 1 / (1 + g * (g + std::numbers::sqrt2));
    a2_ = g * a1_;
    a3_ = g * a2_;
  }

  float filter(State& state, float in) const noexcept AMP_RT {
    const double x = static_cast<double>(in);
    const double rest = x - state.second;
    const double band = a1_ * state.first + a2_ * rest;
    const double low = state.second + a2_ * state.first + a3_ * rest;
    state.first = 2 * band - state.first;
    state.second = 2 * low - state.second;
    return static_cast<float>(low_ ? x - std::numbers::sqrt2 * band - low : low);
  }

  bool low_;
  float off_hz_;
  int sample_rate_hz_;
  dsp::Ramp octave_;  ///< log2 of the cutoff in Hz
  dsp::Ramp amount_;  ///< 0 the input, 1 the filter
  double a1_ = 0;
  double a2_ = 0;
  double a3_ = 0;
  int width_ = 1;
  std::array<State, 2> state_{};
};

class Cab final : public Block {
 public:
  Cab(const dsp::Response& response, const BuildContext& context)
      : cuts_{Cut(true, kParams[kLowCut].minimum, context.sample_rate_hz),
              Cut(false, kParams[kHighCut].maximum, context.sample_rate_hz)},
        convolver_(response, context.isa) {}

  [[nodiscard]] std::span<const ParamInfo> params() const noexcept AMP_RT override {
    return kParams;
  }

  void set(int param, float value, bool jump) noexcept AMP_RT override {
    cuts_[static_cast<size_t>(param)].set(value, jump);
  }

  void reset() noexcept AMP_RT override {
    for (Cut& cut : cuts_) cut.reset();
    convolver_.reset();
  }

  /// Cuts first: before a response of two sides they cost half.
  void process(Signal& signal) noexcept AMP_RT override {
    for (Cut& cut : cuts_) cut.process(signal.channel, signal.width, signal.frames);
    signal.width = convolver_.process(signal.channel, signal.width, signal.frames);
  }

  [[nodiscard]] bool has_mix() const noexcept override { return true; }

  [[nodiscard]] int memory_frames() const noexcept AMP_RT override {
    int frames = convolver_.memory_frames();
    for (const Cut& cut : cuts_) frames += cut.memory_frames();
    return frames;
  }
  [[nodiscard]] int grid_frames() const noexcept AMP_RT override {
    return dsp::Convolver::grid_frames();
  }
  [[nodiscard]] size_t memory_bytes() const noexcept override { return convolver_.memory_bytes(); }

 private:
  std::array<Cut, 2> cuts_;
  dsp::Convolver convolver_;
};

/// The built-in speaker at a rate, worked out once in a process: it takes longer than all else that
/// a small rig is built of.
std::shared_ptr<const dsp::Response> speaker(int rate_hz) {
  static std::mutex mutex;
  static std::map<int, std::shared_ptr<const dsp::Response>> known;
  const std::lock_guard lock(mutex);
  std::shared_ptr<const dsp::Response>& response = known[rate_hz];
  if (response == nullptr)
    response = std::make_shared<dsp::Response>(
        dsp::prepare_response(built_in_speaker(rate_hz), rate_hz, rate_hz));
  return response;
}

}  // namespace

std::unique_ptr<Block> make_cab(const BlockSpec& spec, BuildContext& context) {
  const int rate_hz = context.sample_rate_hz;
  if (spec.impulse == nullptr) return std::make_unique<Cab>(*speaker(rate_hz), context);
  const Impulse& impulse = *spec.impulse;
  try {
    return std::make_unique<Cab>(
        dsp::prepare_response(impulse.channels, impulse.sample_rate_hz, rate_hz), context);
  } catch (const std::invalid_argument& error) {
    throw nn::LoadError("chain." + spec.name + ": " + impulse.name + " " + error.what());
  }
}

}  // namespace amp
