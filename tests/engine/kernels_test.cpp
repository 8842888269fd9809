#include <doctest/doctest.h>

#include <cmath>

#include "dsp/isa.hpp"
#include "fixtures.hpp"

using namespace amp;

// Oracle: std::tanh in float64. 3e-7 is what float32 leaves of a rational that is exact to 1.1e-8;
// near zero the error must be relative, because the universal form of a .nam scales tiny values up.
TEST_CASE("tanh is within 3e-7 everywhere and relatively exact near zero on every path") {
  constexpr float kWeight = 1;
  constexpr float kBias = 0;
  for (const dsp::Isa isa : dsp::available_isas()) {
    std::array<float, dsp::kPlaneFrames> x{};
    std::array<float, dsp::kPlaneFrames> z{};
    std::array<float, dsp::kPlaneFrames> head{};
    double worst = 0;
    double worst_relative = 0;
    for (double start = -10; start < 10; start += 0.064) {
      for (int i = 0; i < kMaxFrames; ++i)
        x[static_cast<size_t>(i)] = static_cast<float>(start + i * 0.001);
      const float* const taps[1] = {x.data()};
      dsp::kernels(isa).layer({.channels = 1,
                               .taps = 1,
                               .frames = kMaxFrames,
                               .x = taps,
                               .x_stride = dsp::kPlaneFrames,
                               .weight = &kWeight,
                               .bias = &kBias,
                               .z = z.data(),
                               .head = head.data()});
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
  constexpr float kWeight = 1;
  constexpr float kBias = 0;
  for (const dsp::Isa isa : dsp::available_isas()) {
    std::array<float, dsp::kPlaneFrames> x{};
    std::array<float, dsp::kPlaneFrames> z{};
    std::array<float, dsp::kPlaneFrames> head{};
    x[3] = NAN;
    const float* const taps[1] = {x.data()};
    dsp::kernels(isa).layer({.channels = 1,
                             .taps = 1,
                             .frames = 8,
                             .x = taps,
                             .x_stride = dsp::kPlaneFrames,
                             .weight = &kWeight,
                             .bias = &kBias,
                             .z = z.data(),
                             .head = head.data()});
    CAPTURE(dsp::isa_name(isa));
    CHECK(std::isnan(z[3]));
    CHECK(z[2] == 0);
  }
}

TEST_CASE("packing puts the outputs of a tile side by side and loses nothing") {
  // 11 outputs are tiles of 8, 2 and 1.
  std::vector<float> matrix(11 * 3);
  for (size_t i = 0; i < matrix.size(); ++i) matrix[i] = static_cast<float>(i);
  const std::vector<float> packed = dsp::pack_tiles(matrix, 11, 3);
  REQUIRE(packed.size() == matrix.size());
  CHECK(packed[0] == matrix[0]);
  CHECK(packed[1] == matrix[3]);
  CHECK(packed[8] == matrix[1]);
  CHECK(packed[24] == matrix[8 * 3]);
  CHECK(packed[25] == matrix[9 * 3]);
  CHECK(packed[30] == matrix[10 * 3]);
}

TEST_CASE("an unknown instruction set is refused with the ones that can run") {
  CHECK_THROWS_WITH_AS(dsp::isa_from_name("mmx"),
                       doctest::Contains("expected one that this machine runs: auto, scalar"),
                       std::invalid_argument);
  CHECK(dsp::isa_from_name("auto") == dsp::best_isa());
}
