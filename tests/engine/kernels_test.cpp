#include <doctest/doctest.h>

#include <cmath>

#include "dsp/isa.hpp"
#include "fixtures.hpp"

using namespace amp;

namespace {

using Plane = std::array<float, dsp::kPlaneFrames>;

/// z of one channel that is heard as it is: tanh(x).
Plane tanh_of(const Plane& x, dsp::Isa isa, int frames) {
  constexpr float kWeight = 1;
  Plane z{};
  Plane head{};
  const float* const taps[1] = {x.data()};
  dsp::kernels(isa).layer({.sum = {.in_channels = 1,
                                   .out_channels = 1,
                                   .taps = 1,
                                   .frames = frames,
                                   .x = taps,
                                   .x_stride = dsp::kPlaneFrames,
                                   .weight = &kWeight,
                                   .out = z.data(),
                                   .out_stride = dsp::kPlaneFrames},
                           .head_before = head.data(),
                           .head_before_stride = dsp::kPlaneFrames,
                           .head = head.data(),
                           .head_stride = dsp::kPlaneFrames});
  return z;
}

}  // namespace

// Oracle: std::tanh in float64. 3e-7 is what float32 leaves of a rational that is exact to 1.1e-8;
// near zero the error must be relative, because the universal form of a .nam scales tiny values up.
TEST_CASE("tanh is within 3e-7 everywhere and relatively exact near zero on every path") {
  for (const dsp::Isa isa : dsp::available_isas()) {
    Plane x{};
    double worst = 0;
    double worst_relative = 0;
    for (double start = -10; start < 10; start += 0.064) {
      for (int i = 0; i < kMaxFrames; ++i)
        x[static_cast<size_t>(i)] = static_cast<float>(start + i * 0.001);
      const Plane z = tanh_of(x, isa, kMaxFrames);
      for (size_t i = 0; i < kMaxFrames; ++i) {
        const double truth = std::tanh(static_cast<double>(x[i]));
        const double error = std::abs(static_cast<double>(z[i]) - truth);
        worst = std::max(worst, error);
        if (std::abs(truth) < 0.5 && truth != 0)
          worst_relative = std::max(worst_relative, error / std::abs(truth));
      }
    }
    CAPTURE(dsp::isa_name(isa));
    CHECK(worst <= 3e-7);
    CHECK(worst_relative <= 4e-7);
  }
}

TEST_CASE("a kernel keeps a NaN, so that the guard behind it can see it") {
  for (const dsp::Isa isa : dsp::available_isas()) {
    Plane x{};
    x[3] = NAN;
    const Plane z = tanh_of(x, isa, 8);
    CAPTURE(dsp::isa_name(isa));
    CHECK(std::isnan(z[3]));
    CHECK(z[2] == 0);
  }
}

TEST_CASE("a kernel leaves alone what is more than the slack behind its frames") {
  for (const dsp::Isa isa : dsp::available_isas())
    for (int frames = 1; frames <= kMaxFrames; ++frames) {
      Plane x{};
      x.fill(1);
      const Plane z = tanh_of(x, isa, frames);
      CAPTURE(dsp::isa_name(isa));
      CAPTURE(frames);
      CHECK(z[static_cast<size_t>(frames - 1)] != 0);
      for (auto t = static_cast<size_t>(frames + dsp::kSlackFrames); t < z.size(); ++t)
        REQUIRE(z[t] == 0);
    }
}

TEST_CASE("packing puts the outputs of a tile side by side and loses nothing") {
  // 11 outputs are tiles of 6 and 5.
  std::vector<float> matrix(11 * 3);
  for (size_t i = 0; i < matrix.size(); ++i) matrix[i] = static_cast<float>(i);
  const std::vector<float> packed = dsp::pack_tiles(matrix, 11, 3, 8);
  REQUIRE(packed.size() == matrix.size());
  for (size_t out = 0; out < 11; ++out)
    for (size_t i = 0; i < 3; ++i)
      CHECK(packed[out < 6 ? i * 6 + out : 18 + i * 5 + out - 6] == matrix[out * 3 + i]);
}

TEST_CASE("an unknown instruction set is refused with the ones that can run") {
  CHECK_THROWS_WITH_AS(dsp::isa_from_name("mmx"),
                       doctest::Contains("expected one that this machine runs: auto, scalar"),
                       std::invalid_argument);
  CHECK(dsp::isa_from_name("auto") == dsp::best_isa());
}
