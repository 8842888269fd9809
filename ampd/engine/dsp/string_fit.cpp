#include "string_fit.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace amp::dsp {
namespace {

constexpr double kTurn = 2 * std::numbers::pi;

// What is known beforehand: a middle and a spread, as of a normal distribution.
constexpr double kStiffness = 6e-5;
constexpr double kStiffnessSpread = 2e-4;
constexpr double kMostStiffness = 1e-3;
constexpr double kDecaySpreadPerS = 10;
constexpr double kDecaySpreadPerPartialPerS = 1;
constexpr double kHzSpread = 0.02;   // share of hz
constexpr double kHumSpread = 0.01;  // share of the sound's amplitude
// No real sound follows the model closer; else a clean sine would free what it says nothing of.
constexpr double kLeastUnexplained = 1e-6;

// The first round finds amplitudes only: without them the sound does not change with the pitch.
constexpr std::array<size_t, 5> kRounds{4, 4, 8, StringFit::kMostPartials,
                                        StringFit::kMostPartials};

/// Solve the symmetric system by elimination; false if it is singular.
template <class Matrix, class Vector>
bool solve(Matrix& upper, size_t size, Vector& answer) {
  for (size_t j = 0; j < size; ++j) {
    const double pivot = upper[j][j];
    if (!(pivot > 0)) return false;
    for (size_t i = j + 1; i < size; ++i) {
      const double factor = upper[j][i] / pivot;
      for (size_t k = i; k <= size; ++k) upper[i][k] -= factor * upper[j][k];
    }
  }
  for (size_t j = size; j-- > 0;) {
    double sum = upper[j][size];
    for (size_t k = j + 1; k < size; ++k) sum -= upper[j][k] * answer[k];
    answer[j] = sum / upper[j][j];
  }
  return true;
}

}  // namespace

double StringFit::String::stretch(size_t n) const {
  const auto number = static_cast<double>(n);
  return number * std::sqrt((1 + stiffness * number * number) / (1 + stiffness));
}

void StringFit::Wheels::set(size_t wheel, double decay_per_s, double turns_per_s, double start_s,
                            double step_s) {
  const double size = std::exp(-decay_per_s * start_s);
  const double shrink = std::exp(-decay_per_s * step_s);
  cosine[wheel] = size * std::cos(kTurn * turns_per_s * start_s);
  sine[wheel] = size * std::sin(kTurn * turns_per_s * start_s);
  turn_cosine[wheel] = shrink * std::cos(kTurn * turns_per_s * step_s);
  turn_sine[wheel] = shrink * std::sin(kTurn * turns_per_s * step_s);
}

void StringFit::Wheels::turn(size_t count) {
  for (size_t w = 0; w < count; ++w) {
    const double before = cosine[w];
    cosine[w] = before * turn_cosine[w] - sine[w] * turn_sine[w];
    sine[w] = before * turn_sine[w] + sine[w] * turn_cosine[w];
  }
}

StringFit::StringFit(const float* sound, int frames, double rate_hz, double hz)
    : sound_(sound), frames_(frames), rate_hz_(rate_hz), string_{hz, kStiffness} {
  const auto all = static_cast<size_t>(std::clamp(0.5 * rate_hz / hz, 1.0, 1.0 * kMostPartials));
  for (const size_t most : kRounds) round(std::min(most, all));
}

double StringFit::share_of_strongest(size_t n) const {
  double strongest = 0;
  for (const Partial& partial : strength_) strongest = std::max(strongest, partial.power());
  return strongest > 0 ? strength_[n - 1].power() / strongest : 0;
}

double StringFit::share_beside(int times) const {
  double all = 0;
  double beside = 0;
  int n = 0;
  for (const Partial& partial : strength_) {
    all += partial.power();
    if (++n % times != 0) beside += partial.power();
  }
  return all > 0 ? beside / all : 1;
}

void StringFit::round(size_t partials) {
  partials_ = partials;
  columns_ = 2 * (partials + kHumHz.size()) + kRest;
  Normal normal{};
  gather(normal);
  Normal held = normal;
  hold(held);
  Answer answer{};
  if (!solve(held, columns_, answer)) {
    unexplained_ = 1;
    return;
  }
  unexplained_ = std::clamp(left_over(normal, answer) / energy_, 0.0, 1.0);
  take(answer);
}

StringFit::Wheels StringFit::wheels_at(double start_s) const {
  Wheels wheels{};
  for (size_t k = 0; k < partials_; ++k)
    wheels.set(k, string_.decay_per_s + string_.decay_per_partial_per_s * static_cast<double>(k),
               string_.stretch(k + 1) * string_.hz, start_s, 1 / rate_hz_);
  for (size_t h = 0; h < kHumHz.size(); ++h)
    wheels.set(partials_ + h, 0, kHumHz[h], start_s, 1 / rate_hz_);
  return wheels;
}

/// Of the sound, by hz, stiffness and the two decays, each divided by the time.
std::array<double, 4> StringFit::slopes(const Wheels& wheels) const {
  std::array<double, 4> slope{};
  for (size_t k = 0; k < partials_; ++k) {
    const Partial& a = strength_[k];
    const double value = a.cosine * wheels.cosine[k] + a.sine * wheels.sine[k];
    const double turned = a.sine * wheels.cosine[k] - a.cosine * wheels.sine[k];
    const auto beyond = static_cast<double>(k);
    const double square = (beyond + 1) * (beyond + 1);
    const double by_hz = kTurn * string_.stretch(k + 1) * turned;
    slope[0] += by_hz;
    slope[1] += by_hz * string_.hz * 0.5 *
                (square / (1 + string_.stiffness * square) - 1 / (1 + string_.stiffness));
    slope[2] -= value;
    slope[3] -= beyond * value;
  }
  return slope;
}

void StringFit::gather(Normal& normal) {
  // Time is counted from the middle, where it disturbs amplitude and phase the least.
  const double start_s = -0.5 * (frames_ - 1) / rate_hz_;
  Wheels wheels = wheels_at(start_s);
  const size_t turning = partials_ + kHumHz.size();
  energy_ = weight_ = 0;
  std::array<double, kMostColumns + 1> row{};
  for (int i = 0; i < frames_; ++i) {
    const double time_s = start_s + i / rate_hz_;
    const double weight = std::sin(std::numbers::pi * (i + 0.5) / frames_);
    for (size_t w = 0; w < turning; ++w) {
      row[2 * w] = weight * wheels.cosine[w];
      row[2 * w + 1] = weight * wheels.sine[w];
    }
    size_t column = 2 * turning;
    row[column++] = weight;
    for (const double slope : slopes(wheels)) row[column++] = weight * time_s * slope;
    const double heard = weight * static_cast<double>(sound_[i]);
    row[column] = heard;
    energy_ += heard * heard;
    weight_ += weight * weight;
    for (size_t a = 0; a < columns_; ++a)
      for (size_t b = a; b <= columns_; ++b) normal[a][b] += row[a] * row[b];
    wheels.turn(turning);
  }
}

/// Add what is known beforehand, weighed against what the last round left unexplained.
void StringFit::hold(Normal& normal) const {
  const double variance = std::max(unexplained_, kLeastUnexplained) * energy_ / weight_;
  const auto towards = [&](size_t column, double middle, double spread) {
    const double pull = variance / (spread * spread);
    normal[column][column] += pull;
    normal[column][columns_] += pull * middle;
  };
  const double amplitude = std::sqrt(2 * energy_ / weight_);
  const size_t rest = columns_ - kRest;
  for (size_t c = 2 * partials_; c <= rest; ++c) towards(c, 0, kHumSpread * amplitude);
  towards(rest + 1, 0, kHzSpread * string_.hz);
  towards(rest + 2, kStiffness - string_.stiffness, kStiffnessSpread);
  towards(rest + 3, -string_.decay_per_s, kDecaySpreadPerS);
  towards(rest + 4, -string_.decay_per_partial_per_s, kDecaySpreadPerPartialPerS);
}

/// The energy that an answer leaves: |y|^2 - 2 b'x + x'Ax.
double StringFit::left_over(const Normal& normal, const Answer& answer) const {
  double left = energy_;
  for (size_t i = 0; i < columns_; ++i) {
    double sum = normal[i][i] * answer[i] - 2 * normal[i][columns_];
    for (size_t k = i + 1; k < columns_; ++k) sum += 2 * normal[i][k] * answer[k];
    left += answer[i] * sum;
  }
  return left;
}

void StringFit::take(const Answer& answer) {
  for (size_t k = 0; k < partials_; ++k) strength_[k] = {answer[2 * k], answer[2 * k + 1]};
  const size_t rest = columns_ - kRest;
  const double step = std::clamp(answer[rest + 1] / string_.hz, -kHzSpread, kHzSpread);
  string_.hz *= 1 + step;
  string_.stiffness = std::clamp(string_.stiffness + answer[rest + 2], 0.0, kMostStiffness);
  string_.decay_per_s = std::clamp(string_.decay_per_s + answer[rest + 3], -3 * kDecaySpreadPerS,
                                   6 * kDecaySpreadPerS);
  string_.decay_per_partial_per_s =
      std::clamp(string_.decay_per_partial_per_s + answer[rest + 4],
                 -10 * kDecaySpreadPerPartialPerS, 10 * kDecaySpreadPerPartialPerS);
}

}  // namespace amp::dsp
