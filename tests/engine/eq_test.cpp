#include <complex>
#include <numbers>

#include "effect.hpp"
#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;

namespace {

using Complex = std::complex<double>;
using Values = std::vector<std::pair<std::string, float>>;

constexpr double kPi = std::numbers::pi;

Effect eq(const Values& values, int rate_hz = 48000) {
  Effect effect("eq", rate_hz);
  for (const auto& [name, value] : values) effect.set(name, value);
  return effect;
}

/// s of the analog prototype where the bilinear rule puts `hz`, in units of the band's middle.
Complex place(double hz, double middle_hz, double rate_hz) {
  return {0, std::tan(kPi * hz / rate_hz) / std::tan(kPi * middle_hz / rate_hz)};
}

Complex peak_at(Complex s, double db, double q) {
  const double a = std::pow(10, db / 40);
  return (s * s + s * (a / q) + 1.0) / (s * s + s / (a * q) + 1.0);
}

Complex low_shelf_at(Complex s, double db) {
  const double a = std::pow(10, db / 40);
  const double slope = std::sqrt(2 * a);
  return a * (s * s + slope * s + a) / (a * s * s + slope * s + 1.0);
}

Complex low_cut_at(Complex s) {
  return s * s / (s * s + std::numbers::sqrt2 * s + 1.0);
}

Complex high_cut_at(Complex s) {
  return 1.0 /
         ((s * s + 2 * std::sin(kPi / 8) * s + 1.0) * (s * s + 2 * std::cos(kPi / 8) * s + 1.0));
}

/// The response to a click, at `hz`.
double response_db(const std::vector<float>& impulse, double hz, double rate_hz) {
  Complex sum = 0;
  for (size_t i = 0; i < impulse.size(); ++i)
    sum += static_cast<double>(impulse[i]) *
           std::polar(1.0, -2 * kPi * hz * static_cast<double>(i) / rate_hz);
  return 20 * std::log10(std::abs(sum));
}

double db(Complex response) {
  return 20 * std::log10(std::abs(response));
}

constexpr double kPoints[] = {30, 90, 120, 400, 1100, 2000, 3000, 3500};

/// Every point where less than 60 dB are taken away, below what float32 samples can say.
template <class Truth>
void check_response(const Values& values, int rate_hz, Truth truth) {
  Effect effect = eq(values, rate_hz);
  const std::vector<float> impulse = effect.play(click(static_cast<size_t>(rate_hz))).left;
  for (const double hz : kPoints) {
    const double expected = db(truth(hz));
    if (expected < -60) continue;
    CAPTURE(rate_hz);
    CAPTURE(hz);
    CHECK(std::abs(response_db(impulse, hz, rate_hz) - expected) < 0.05);
  }
}

const Values kAll{{"low_cut_hz", 80}, {"low_db", 4},   {"peak1_db", -7},     {"peak2_db", 9},
                  {"peak2_q", 3},     {"high_db", -3}, {"high_cut_hz", 7000}};

}  // namespace

TEST_CASE("a flat eq leaves every bit") {
  Effect effect("eq");
  const std::vector<float> input = noise(4800, 1);
  CHECK(effect.play(input).left == input);
  CHECK(effect->memory_frames() == 0);
  Effect slow("eq", 8000);
  slow.set("high_cut_hz", 5000);  // beyond half the rate there is nothing to cut
  CHECK(slow.play(input).left == input);
}

TEST_CASE("every band of an eq is its analog prototype, bent by the bilinear rule") {
  for (const int rate : {8000, 48000, 192000}) {
    check_response({{"peak1_hz", 400}, {"peak1_db", 12}, {"peak1_q", 4}}, rate,
                   [&](double hz) { return peak_at(place(hz, 400, rate), 12, 4); });
    check_response({{"peak2_hz", 2000}, {"peak2_db", -18}, {"peak2_q", 0.5F}}, rate,
                   [&](double hz) { return peak_at(place(hz, 2000, rate), -18, 0.5); });
    check_response({{"low_hz", 120}, {"low_db", 9}}, rate,
                   [&](double hz) { return low_shelf_at(place(hz, 120, rate), 9); });
    check_response({{"high_hz", 2000}, {"high_db", -15}}, rate,
                   [&](double hz) { return low_shelf_at(1.0 / place(hz, 2000, rate), -15); });
    check_response({{"low_cut_hz", 100}}, rate,
                   [&](double hz) { return low_cut_at(place(hz, 100, rate)); });
    check_response({{"high_cut_hz", 2500}}, rate,
                   [&](double hz) { return high_cut_at(place(hz, 2500, rate)); });
  }
}

TEST_CASE("bands of an eq multiply") {
  check_response(kAll, 48000, [](double hz) {
    return low_cut_at(place(hz, 80, 48000)) * low_shelf_at(place(hz, 120, 48000), 4) *
           peak_at(place(hz, 400, 48000), -7, static_cast<double>(0.7F)) *
           peak_at(place(hz, 2000, 48000), 9, 3) * low_shelf_at(1.0 / place(hz, 4000, 48000), -3) *
           high_cut_at(place(hz, 7000, 48000));
  });
}

TEST_CASE("the sides of an eq do not hear each other") {
  const std::vector<float> a = noise(4800, 1);
  const std::vector<float> b = noise(4800, 2);
  Effect both = eq(kAll);
  Effect left = eq(kAll);
  Effect right = eq(kAll);
  const Sound sound = both.play(a, 64, b);
  CHECK(sound.left == left.play(a).left);
  CHECK(sound.right == right.play(b).left);
}

TEST_CASE("the block length does not change an eq, while its knobs turn either") {
  const std::vector<float> input = noise(4480, 1);
  const auto turned = [&](int block) {
    Effect effect = eq(kAll);
    std::vector<float> output;
    // Each turn comes before the last one has arrived.
    const Values turns{{"peak1_db", 0},  {"peak2_hz", 500},      {"low_cut_hz", 20}, {"low_db", 0},
                       {"low_hz", 300},  {"high_cut_hz", 20000}, {"low_db", -9},     {"peak2_q", 1},
                       {"peak1_hz", 90}, {"peak1_db", 6}};
    for (size_t t = 0; t < turns.size(); ++t) {
      effect.set(turns[t].first, turns[t].second, false);
      const auto at = static_cast<std::ptrdiff_t>(448 * t);
      const Sound part = effect.play({input.begin() + at, input.begin() + at + 448}, block);
      output.insert(output.end(), part.left.begin(), part.left.end());
    }
    return output;
  };
  const std::vector<float> truth = turned(64);
  CHECK(turned(1) == truth);
  CHECK(turned(7) == truth);
}

TEST_CASE("no knob of an eq clicks, nor does a band that comes or goes") {
  const std::vector<std::array<Values, 2>> turns{
      {Values{{"peak1_db", 0}}, Values{{"peak1_db", 12}}},
      {Values{{"peak1_db", -12}}, Values{{"peak1_db", 12}}},
      {Values{{"peak1_db", 12}, {"peak1_hz", 100}}, Values{{"peak1_hz", 1000}}},
      {Values{{"peak1_db", 12}, {"peak1_q", 0.5F}}, Values{{"peak1_q", 4}}},
      {Values{{"low_db", 0}}, Values{{"low_db", 12}}},
      {Values{{"high_db", 0}}, Values{{"high_db", -12}}},
      {Values{{"low_cut_hz", 20}}, Values{{"low_cut_hz", 200}}},
      {Values{{"low_cut_hz", 50}}, Values{{"low_cut_hz", 500}}},
      {Values{{"high_cut_hz", 20000}}, Values{{"high_cut_hz", 1000}}},
      {Values{{"high_cut_hz", 1000}}, Values{{"high_cut_hz", 8000}}}};
  // 220 Hz at 0.4, where 12 dB take it, bend by 0.4 * 0.0288^2 = 0.0003 a frame, and a ramp of
  // 10 ms that starts or ends bends what walks 0.4 by 0.4 / 480 = 0.0008. A step bends by itself.
  const std::vector<float> input = sine(28800, 220, 0.1);
  for (const auto& [before, after] : turns)
    for (const bool back : {false, true}) {
      Effect effect = eq(before);
      if (back)
        for (const auto& [name, value] : after) effect.set(name, value);
      std::vector<float> output = effect.play({input.begin(), input.begin() + 9600}).left;
      for (const auto& [name, value] : back ? before : after) effect.set(name, value, false);
      const std::vector<float> rest = effect.play({input.begin() + 9600, input.end()}).left;
      output.insert(output.end(), rest.begin(), rest.end());
      CAPTURE(after[0].first);
      CAPTURE(back);
      CHECK(sharpest_bend(output) < 0.002F);
    }
}

TEST_CASE("what an eq heard before its memory is gone by 100 dB") {
  const std::vector<Values> settings{
      kAll,
      {{"low_cut_hz", 30}},
      {{"peak1_hz", 100}, {"peak1_db", 18}, {"peak1_q", 8}},
      {{"peak1_hz", 200}, {"peak1_db", 9}, {"peak2_hz", 200}, {"peak2_db", 9}}};
  for (const Values& values : settings) {
    Effect old = eq(values);
    Effect fresh = eq(values);
    const Sound past = old.play(noise(96000, 1));
    const std::vector<float> common = noise(static_cast<size_t>(old->memory_frames()), 2);
    old.play(common);
    fresh.play(common);
    const std::vector<float> next = noise(4800, 3);
    CHECK(largest_difference(old.play(next).left, fresh.play(next).left) <=
          1e-5F * peak(past.left));
  }
}

TEST_CASE("after a reset an eq knows nothing of the past") {
  Effect effect = eq(kAll);
  const std::vector<float> input = noise(4800, 1);
  const std::vector<float> first = effect.play(input).left;
  effect->reset();
  CHECK(effect.play(input).left == first);
}
