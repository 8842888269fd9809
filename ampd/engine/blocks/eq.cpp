#include <algorithm>
#include <cmath>

#include "../dsp/ramp.hpp"
#include "../dsp/svf.hpp"
#include "table.hpp"

namespace amp {
namespace {

using dsp::Stereo;

constexpr std::array kParams{
    ParamInfo{"low_cut_hz", "Hz", dsp::Cut::kLowOffHz, 1000, dsp::Cut::kLowOffHz, Taper::kLog,
              "takes off what lies below, 12 dB an octave; 20 is off"},
    ParamInfo{"low_hz", "Hz", 40, 500, 120, Taper::kLog, "middle of the low shelf"},
    ParamInfo{"low_db", "dB", -18, 18, 0, Taper::kLinear, "gain of the low shelf"},
    ParamInfo{"peak1_hz", "Hz", 40, 16000, 400, Taper::kLog, "middle of the first peak"},
    ParamInfo{"peak1_db", "dB", -18, 18, 0, Taper::kLinear, "gain of the first peak"},
    ParamInfo{"peak1_q", "", 0.3F, 8, 0.7F, Taper::kLog, "narrowness of the first peak"},
    ParamInfo{"peak2_hz", "Hz", 40, 16000, 2000, Taper::kLog, "middle of the second peak"},
    ParamInfo{"peak2_db", "dB", -18, 18, 0, Taper::kLinear, "gain of the second peak"},
    ParamInfo{"peak2_q", "", 0.3F, 8, 0.7F, Taper::kLog, "narrowness of the second peak"},
    ParamInfo{"high_hz", "Hz", 1000, 16000, 4000, Taper::kLog, "middle of the high shelf"},
    ParamInfo{"high_db", "dB", -18, 18, 0, Taper::kLinear, "gain of the high shelf"},
    ParamInfo{"high_cut_hz", "Hz", 1000, dsp::Cut::kHighOffHz, dsp::Cut::kHighOffHz, Taper::kLog,
              "takes off what lies above, 24 dB an octave; 20000 is off"},
};

constexpr float kShelfQ = 0.70710678F;

/// A shelf or a peak. Its analog prototypes, s in units of the middle, A^2 the gain:
///   peak        (s^2 + A/Q s + 1) / (s^2 + s/(A Q) + 1)
///   low shelf   (s^2 + sqrt(A)/Q s + A) A / (A s^2 + sqrt(A)/Q s + 1)
///   high shelf  the low shelf's mirror: s becomes 1/s
/// What moves by ramps is the warped middle, 1/Q and A. At 0 dB it is skipped and forgets; it comes
/// back from there with A = 1, where its output is the input whatever the state.
class Band {
 public:
  enum class Shape : uint8_t { kLowShelf, kPeak, kHighShelf };

  Band(Shape shape, int sample_rate_hz) noexcept
      : shape_(shape),
        sample_rate_hz_(sample_rate_hz),
        middle_(ramp_frames(sample_rate_hz), 1),
        damping_(ramp_frames(sample_rate_hz), 1 / kShelfQ),
        root_(ramp_frames(sample_rate_hz), 1) {}

  void set_hz(float hz, bool jump) noexcept AMP_RT {
    take(middle_, dsp::warped(hz, sample_rate_hz_), jump || !active());
  }
  void set_q(float q, bool jump) noexcept AMP_RT { take(damping_, 1 / q, jump || !active()); }
  void set_db(float db, bool jump) noexcept AMP_RT {
    if (!active()) {
      middle_.jump(middle_.target());
      damping_.jump(damping_.target());
    }
    take(root_, from_db(db / 2), jump);
    if (!active()) filter_.clear();
  }

  [[nodiscard]] bool active() const noexcept AMP_RT {
    return root_.moving() || root_.target() != 1;
  }
  void clear() noexcept AMP_RT { filter_.clear(); }

  void run(Stereo* signal, int frames) noexcept AMP_RT {
    if (!active()) return;
    int i = 0;
    for (; i < frames && moving(); ++i) {
      middle_.next();
      damping_.next();
      root_.next();
      tune();
      signal[i] = filter_.next(signal[i]);
    }
    filter_.run(signal + i, frames - i);
    if (!active()) filter_.clear();
  }

  [[nodiscard]] int decay_frames() const noexcept AMP_RT {
    if (!active()) return 0;
    const Place place = where();
    return dsp::Svf::decay_frames(place.g, place.k);
  }

 private:
  struct Place {
    double g;
    double k;
  };

  [[nodiscard]] bool moving() const noexcept AMP_RT {
    return middle_.moving() || damping_.moving() || root_.moving();
  }

  void take(dsp::Ramp& ramp, float value, bool jump) noexcept AMP_RT {
    jump ? ramp.jump(value) : ramp.to(value);
    tune();
  }

  [[nodiscard]] Place where() const noexcept AMP_RT {
    const auto g = static_cast<double>(middle_.current());
    const auto k = static_cast<double>(damping_.current());
    const auto a = static_cast<double>(root_.current());
    if (shape_ == Shape::kPeak) return {g, k / a};
    return {shape_ == Shape::kLowShelf ? g / std::sqrt(a) : g * std::sqrt(a), k};
  }

  void tune() noexcept AMP_RT {
    const Place place = where();
    const auto a = static_cast<double>(root_.current());
    dsp::Svf::Mix mix;
    switch (shape_) {
      case Shape::kPeak:
        mix = {1, place.k * (a * a - 1), 0};
        break;
      case Shape::kLowShelf:
        mix = {1, place.k * (a - 1), a * a - 1};
        break;
      case Shape::kHighShelf:
        mix = {a * a, place.k * (1 - a) * a, 1 - a * a};
        break;
    }
    filter_.tune(place.g, place.k, mix);
  }

  Shape shape_;
  int sample_rate_hz_;
  dsp::Ramp middle_;   ///< warped
  dsp::Ramp damping_;  ///< 1 / Q
  dsp::Ramp root_;     ///< A
  dsp::Svf filter_;
};

class Eq final : public Block {
 public:
  enum Param {
    kLowCut,
    kLowHz,
    kLowDb,
    kPeak1Hz,
    kPeak1Db,
    kPeak1Q,
    kPeak2Hz,
    kPeak2Db,
    kPeak2Q,
    kHighHz,
    kHighDb,
    kHighCut,
  };
  enum { kLow, kPeak1, kPeak2, kHigh, kBandCount };

  explicit Eq(int rate_hz)
      : low_cut_(dsp::Cut::Side::kLow, 1, rate_hz, ramp_frames(rate_hz)),
        high_cut_(dsp::Cut::Side::kHigh, 2, rate_hz, ramp_frames(rate_hz)),
        band_{Band(Band::Shape::kLowShelf, rate_hz), Band(Band::Shape::kPeak, rate_hz),
              Band(Band::Shape::kPeak, rate_hz), Band(Band::Shape::kHighShelf, rate_hz)} {
    for (size_t p = 0; p < kParams.size(); ++p)
      set(static_cast<int>(p), kParams[p].default_value, true);
  }

  [[nodiscard]] std::span<const ParamInfo> params() const noexcept AMP_RT override {
    return kParams;
  }

  void set(int param, float value, bool jump) noexcept AMP_RT override {
    switch (param) {
      case kLowCut:
        return low_cut_.set(value, jump);
      case kLowHz:
        return band_[kLow].set_hz(value, jump);
      case kLowDb:
        return band_[kLow].set_db(value, jump);
      case kPeak1Hz:
        return band_[kPeak1].set_hz(value, jump);
      case kPeak1Db:
        return band_[kPeak1].set_db(value, jump);
      case kPeak1Q:
        return band_[kPeak1].set_q(value, jump);
      case kPeak2Hz:
        return band_[kPeak2].set_hz(value, jump);
      case kPeak2Db:
        return band_[kPeak2].set_db(value, jump);
      case kPeak2Q:
        return band_[kPeak2].set_q(value, jump);
      case kHighHz:
        return band_[kHigh].set_hz(value, jump);
      case kHighDb:
        return band_[kHigh].set_db(value, jump);
      default:
        return high_cut_.set(value, jump);
    }
  }

  void reset() noexcept AMP_RT override {
    low_cut_.clear();
    high_cut_.clear();
    for (Band& band : band_) band.clear();
  }

  void process(Signal& signal) noexcept AMP_RT override {
    if (!active()) return;
    const float* const left = signal.channel[0];
    const float* const right = signal.channel[signal.width == 2 ? 1 : 0];
    std::array<Stereo, kMaxFrames> both;
    for (int i = 0; i < signal.frames; ++i)
      both[static_cast<size_t>(i)] = Stereo{left[i], right[i]};
    low_cut_.run(both.data(), signal.frames);
    for (Band& band : band_) band.run(both.data(), signal.frames);
    high_cut_.run(both.data(), signal.frames);
    for (int c = 0; c < signal.width; ++c)
      for (int i = 0; i < signal.frames; ++i)
        signal.channel[static_cast<size_t>(c)][i] =
            static_cast<float>(both[static_cast<size_t>(i)][c]);
  }

  /// Until the slowest band that is on has fallen by 100 dB, and the others, which begin from what
  /// it gives them, by 20.
  [[nodiscard]] int memory_frames() const noexcept AMP_RT override {
    int slowest = 0;
    int sum = 0;
    const auto count = [&](int frames) noexcept AMP_RT {
      slowest = std::max(slowest, frames);
      sum += frames;
    };
    count(low_cut_.decay_frames());
    count(high_cut_.decay_frames());
    for (const Band& band : band_) count(band.decay_frames());
    return slowest + (sum - slowest) / 5;
  }

 private:
  [[nodiscard]] bool active() const noexcept AMP_RT {
    return low_cut_.active() || high_cut_.active() ||
           std::any_of(band_.begin(), band_.end(),
                       [](const Band& band) noexcept AMP_RT { return band.active(); });
  }

  dsp::Cut low_cut_;
  dsp::Cut high_cut_;
  std::array<Band, kBandCount> band_;
};

}  // namespace

std::unique_ptr<Block> make_eq(const BlockSpec&, BuildContext& context) {
  return std::make_unique<Eq>(context.sample_rate_hz);
}

}  // namespace amp
