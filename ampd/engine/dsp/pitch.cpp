#include "pitch.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace amp::dsp {
namespace {

constexpr double kWindowS = 0.1;
constexpr double kLowestHz = 29;
constexpr double kHighestHz = 1400;
constexpr double kQuietest = 1e-4;  // RMS: -80 dBFS

// The period is looked for at the first rate; the fit has so many frames a period that its partials
// fill the band, and never more than the second rate.
constexpr double kCoarseHz = 12000;
constexpr double kFineHz = 6000;
constexpr double kFramesAPeriod = 24;

// The shortest lag that comes so close to the best is the period. The strongest octave of a string
// is 0.88 where the fundamental lies 12 dB under the second partial.
constexpr double kAsGood = 0.95;
constexpr double kLeastLikeness = 0.5;

// Of power. A string whose odd partials lie 27 dB under the rest is one an octave higher.
constexpr double kNoPartials = 2e-3;
constexpr double kLeastClarity = 0.95;

constexpr int kLanes = 8;

/// One row of taps. It passes up to `pass` and stops at 0.5, in cycles a frame behind it.
PolyphaseBank low_pass(int factor, double pass, double attenuation_db) {
  const double width = Kernel::width_of(attenuation_db, (0.5 - pass) / factor);
  const int half = static_cast<int>(std::ceil(width / 2));
  const Kernel kernel{half + 0.5, (0.5 + pass) / 2 / factor, Kernel::beta_of(attenuation_db)};
  return {{static_cast<double>(half)}, 2 * half + 1, kernel};
}

/// A chord repeats like one low string that nobody plays, without the lowest partials; hum can
/// stand where the first would be. On a string the second is there wherever the first is weak: a
/// pick-up that weakens the first is near the bridge, and a pick that spares the second is at the
/// middle.
bool is_played(const StringFit& fit) {
  const double first = fit.share_of_strongest(1);
  return first > 0.25 || (first > 0.01 && fit.share_of_strongest(2) > 0.06);
}

int nearest(double value) {
  return static_cast<int>(std::lround(value));
}

}  // namespace

PitchFinder::PitchFinder(int sample_rate_hz)
    : window_frames_(static_cast<int>(kWindowS * sample_rate_hz)),
      factor_(std::max(1, nearest(sample_rate_hz / kCoarseHz))),
      rate_hz_(static_cast<double>(sample_rate_hz) / factor_),
      longest_lag_(static_cast<int>(rate_hz_ / kLowestHz)),
      first_(low_pass(factor_, 0.15, 60)) {
  const int frames = (window_frames_ - first_.reach_frames()) / factor_ + 1;
  sound_.resize(static_cast<size_t>(frames));
  thinned_.resize(sound_.size());
  likeness_.resize(static_cast<size_t>(longest_lag_) + 1 + kLanes);
  const int most = std::max(1, nearest(rate_hz_ / kFramesAPeriod / kLowestHz));
  for (int factor = 1; factor <= most; ++factor) second_.push_back(low_pass(factor, 0.2, 50));
}

/// Take the window down to the first rate, without its mean; false if there is nothing to hear.
bool PitchFinder::listen(const float* newest) {
  const float* end = newest + window_frames_;
  float mean = 0;
  for (size_t i = sound_.size(); i-- > 0; end -= factor_) mean += sound_[i] = first_.at(0, end);
  mean /= static_cast<float>(sound_.size());
  float power = 0;
  for (float& sample : sound_) {
    sample -= mean;
    power += sample * sample;
  }
  power /= static_cast<float>(sound_.size());
  return std::isfinite(power) && power > kQuietest * kQuietest;
}

/// All lags are compared over the same newest frames, so that a high note is judged without what
/// sounded before it. Lags stand side by side in lanes, of which the compiler makes vectors.
void PitchFinder::compare_lags() {
  const float* const end = sound_.data() + sound_.size();
  const int frames = static_cast<int>(sound_.size()) - longest_lag_ - kLanes;
  for (int lag = 0; lag <= longest_lag_; lag += kLanes) {
    std::array<float, kLanes> product{};
    std::array<float, kLanes> power{};
    for (int i = 1; i <= frames; ++i) {
      const float now = end[-i];
      const float* const then = end - i - lag - kLanes + 1;
      for (size_t lane = 0; lane < kLanes; ++lane) {
        product[lane] += now * then[lane];
        power[lane] += now * now + then[lane] * then[lane];
      }
    }
    float* const likeness = &likeness_[static_cast<size_t>(lag)];
    for (size_t lane = 0; lane < kLanes; ++lane)
      likeness[kLanes - 1 - lane] = power[lane] > 0 ? 2 * product[lane] / power[lane] : 0;
  }
}

bool PitchFinder::is_peak(int lag) const {
  const float* const at = &likeness_[static_cast<size_t>(lag)];
  return at[0] > at[-1] && at[0] >= at[1];
}

/// The peak uphill from `lag`, between the frames by a parabola.
PitchFinder::Peak PitchFinder::peak_near(double lag) const {
  const auto value = [&](int at) {
    return static_cast<double>(likeness_[static_cast<size_t>(at)]);
  };
  int at = std::clamp(nearest(lag), 1, longest_lag_ - 1);
  while (at > 1 && value(at - 1) > value(at)) --at;
  while (at < longest_lag_ - 1 && value(at + 1) > value(at)) ++at;
  const double bend = value(at - 1) - 2 * value(at) + value(at + 1);
  const double slope = value(at + 1) - value(at - 1);
  if (bend >= 0) return {1.0 * at, value(at)};
  return {at - 0.5 * slope / bend, value(at) - slope * slope / (8 * bend)};
}

/// 0 if nothing repeats.
double PitchFinder::coarse_hz() {
  compare_lags();
  int first = 1;  // behind the peak at lag 0
  while (first < longest_lag_ && likeness_[static_cast<size_t>(first)] > 0) ++first;
  double best = 0;
  for (int lag = first; lag < longest_lag_; ++lag)
    if (is_peak(lag)) best = std::max(best, peak_near(lag).height);
  if (best < kLeastLikeness) return 0;
  int period = first;
  while (!is_peak(period) || peak_near(period).height < kAsGood * best) ++period;
  // Twice the periods, half the error, which stays too small to miss the next peak.
  double lag = peak_near(period).lag_frames;
  for (int periods = 2; periods * lag < longest_lag_ - 1; periods *= 2)
    lag = peak_near(periods * lag).lag_frames / periods;
  return rate_hz_ / lag;
}

StringFit PitchFinder::fitted(double hz) {
  const double wanted_hz = std::min(kFineHz, kFramesAPeriod * hz);
  const int factor = std::clamp(nearest(rate_hz_ / wanted_hz), 1, static_cast<int>(second_.size()));
  const PolyphaseBank& bank = second_[static_cast<size_t>(factor - 1)];
  const int frames = (static_cast<int>(sound_.size()) - bank.reach_frames()) / factor + 1;
  const float* end = sound_.data() + sound_.size();
  for (int i = frames; i-- > 0; end -= factor) thinned_[static_cast<size_t>(i)] = bank.at(0, end);
  return {thinned_.data(), frames, rate_hz_ / factor, hz};
}

Pitch PitchFinder::find(const float* newest, float reference_hz) {
  if (!listen(newest)) return {};
  const double start_hz = coarse_hz();
  if (start_hz == 0) return {};
  StringFit fit = fitted(start_hz);
  for (const int times : {3, 2})
    if (fit.share_beside(times) < kNoPartials) fit = fitted(times * fit.hz());
  if (!is_played(fit)) return {};
  Pitch pitch;
  pitch.clarity = static_cast<float>(fit.clarity());
  if (fit.clarity() < kLeastClarity || fit.hz() < kLowestHz || fit.hz() > kHighestHz) return pitch;
  const double exact = 69 + 12 * std::log2(fit.hz() / static_cast<double>(reference_hz));
  pitch.hz = static_cast<float>(fit.hz());
  pitch.note = nearest(exact);
  pitch.cents = static_cast<float>(100 * (exact - pitch.note));
  return pitch;
}

}  // namespace amp::dsp
