#pragma once

#include <array>
#include <cstddef>

namespace amp::dsp {

/// A plucked string, fitted to a short piece of sound by least squares.
///
/// Partial n lies at n * hz * sqrt((1 + B n^2) / (1 + B)), so that `hz` is the fundamental of a
/// stiff string; it has its own amplitude and phase and dies by exp(-(d + e * (n - 1)) t). Beside
/// the partials stand a constant and the hum of the mains. Amplitudes are linear; hz, B, d and e
/// are found by Gauss-Newton, the lowest partials first, because a higher one turns faster and
/// bears a smaller error of the start. What is known of strings and of hum holds the unknowns where
/// the sound says nothing of them. The piece is weighted by half a sine.
/// Source: stiff string, Fletcher 1964; the fit is our own. Thread: any; allocates nothing.
class StringFit {
 public:
  static constexpr int kMostPartials = 12;

  /// sound: [frames], all partials up to half of rate_hz are taken to be in it.
  /// hz: the start, at most about 1 % off.
  StringFit(const float* sound, int frames, double rate_hz, double hz);

  /// The fundamental.
  [[nodiscard]] double hz() const { return string_.hz; }
  /// Share of the energy that the string and the hum explain, 0 to 1.
  [[nodiscard]] double clarity() const { return 1 - unexplained_; }
  /// Power of partial n, 1 to kMostPartials, as a share of the strongest one's, 0 to 1.
  [[nodiscard]] double share_of_strongest(size_t n) const;
  /// Power of the partials that are no multiples of `times`, as a share of all, 0 to 1: about 0 if
  /// the sound is a string of `times` the pitch.
  [[nodiscard]] double share_beside(int times) const;

 private:
  static constexpr std::array kHumHz{50.0, 60.0};
  static constexpr size_t kWheels = kMostPartials + kHumHz.size();
  static constexpr size_t kRest = 5;  ///< columns: constant, then the slopes by the four unknowns
  static constexpr size_t kMostColumns = 2 * kWheels + kRest;

  struct String {
    double hz;
    double stiffness;  ///< B
    double decay_per_s = 0;
    double decay_per_partial_per_s = 0;

    [[nodiscard]] double stretch(size_t n) const;  ///< frequency of partial n over hz
  };
  struct Partial {
    double cosine = 0;
    double sine = 0;
    [[nodiscard]] double power() const { return cosine * cosine + sine * sine; }
  };
  /// Cosines and sines, turned on from frame to frame: the partials, then the hum.
  struct Wheels {
    std::array<double, kWheels> cosine, sine, turn_cosine, turn_sine;
    void set(size_t wheel, double decay_per_s, double turns_per_s, double start_s, double step_s);
    void turn(size_t count);
  };
  /// Upper half of the normal matrix; the right-hand side is the column behind the last.
  using Normal = std::array<std::array<double, kMostColumns + 1>, kMostColumns>;
  using Answer = std::array<double, kMostColumns>;

  void round(size_t partials);
  void gather(Normal& normal);
  [[nodiscard]] Wheels wheels_at(double start_s) const;
  [[nodiscard]] std::array<double, 4> slopes(const Wheels& wheels) const;
  void hold(Normal& normal) const;
  [[nodiscard]] double left_over(const Normal& normal, const Answer& answer) const;
  void take(const Answer& answer);

  const float* sound_;
  int frames_;
  double rate_hz_;
  String string_;
  size_t partials_ = 0;
  size_t columns_ = 0;
  double energy_ = 0;       ///< weighted, of the piece
  double weight_ = 0;       ///< sum of the squared weights
  double unexplained_ = 1;  ///< share of the energy
  std::array<Partial, kMostPartials> strength_{};
};

}  // namespace amp::dsp
