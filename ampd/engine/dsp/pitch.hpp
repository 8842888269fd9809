#pragma once

#include <vector>

#include "polyphase.hpp"
#include "string_fit.hpp"

namespace amp::dsp {

/// What a tuner shows.
struct Pitch {
  float hz = 0;       ///< of the fundamental; 0: no single string is heard
  float cents = 0;    ///< from `note`, -50 to 50
  int note = 0;       ///< the nearest note, MIDI number: 69 is the reference A4
  float clarity = 0;  ///< share of the sound's energy that one string explains, 0 to 1
};

/// Finds the pitch of one plucked string in the last tenth of a second: 29 to 1400 Hz, B0 of a bass
/// to E6. It looks at little of the past, so that the answer stands 100 ms after the pluck.
///
/// The period comes from the normalised square difference of the signal; a string is then fitted
/// (StringFit), which needs three periods where counting them would need many, and which tells a
/// string from noise and from a chord. On a glide the answer is the pitch in the window's middle.
/// Truth: synthetic strings, hum and noise beside them, 1 cent from E1 to E6, 2 below it
/// (pitch_test.cpp). Source: McLeod and Wyvill 2005 (the period).
/// Thread: control. Allocates in the constructor only.
class PitchFinder {
 public:
  /// sample_rate_hz: 8000 or more.
  explicit PitchFinder(int sample_rate_hz);

  /// How many samples `find` looks at: 100 ms.
  [[nodiscard]] int window_frames() const { return window_frames_; }

  /// newest: window_frames() samples, the newest last; full scale 1.0. Below -80 dBFS RMS, and
  /// where one is not finite, nothing is heard. reference_hz: what A4 is tuned to, 430 to 450; only
  /// `note` and `cents` depend on it.
  [[nodiscard]] Pitch find(const float* newest, float reference_hz);

 private:
  struct Peak {
    double lag_frames;
    double height;
  };

  [[nodiscard]] bool listen(const float* newest);
  void compare_lags();
  [[nodiscard]] bool is_peak(int lag) const;
  [[nodiscard]] Peak peak_near(double lag) const;
  [[nodiscard]] double coarse_hz();
  [[nodiscard]] StringFit fitted(double hz);

  int window_frames_;
  int factor_;                         ///< of the first decimation
  double rate_hz_;                     ///< behind it, about 12 kHz
  int longest_lag_;                    ///< period of the lowest pitch, at that rate
  PolyphaseBank first_;                ///< the filters of the decimations, one row each
  std::vector<PolyphaseBank> second_;  ///< [factor - 1]
  std::vector<float> sound_;           ///< behind the first decimation
  std::vector<float> thinned_;         ///< behind the second
  std::vector<float> likeness_;        ///< [lag]: 1 where the sound repeats, -1 where it is turned
};

}  // namespace amp::dsp
