#include "dsp/ramp.hpp"

#include <doctest/doctest.h>

using amp::dsp::Ramp;

TEST_CASE("a ramp reaches its target exactly and in its length") {
  Ramp ramp(10, 1);
  ramp.to(0.3F);
  for (int i = 0; i < 9; ++i) CHECK(ramp.next() > 0.3F);
  CHECK(ramp.next() == 0.3F);
  CHECK_FALSE(ramp.moving());
}

TEST_CASE("a ramp that is turned round starts where it stands") {
  Ramp ramp(100, 0);
  ramp.to(1);
  float before = 0;
  for (int i = 0; i < 50; ++i) before = ramp.next();
  ramp.to(0);
  CHECK(ramp.next() == doctest::Approx(before * 0.99F).epsilon(1e-5));
}

TEST_CASE("a block boundary inside a ramp changes nothing") {
  float whole[64];
  float cut[64];
  for (int i = 0; i < 64; ++i) whole[i] = cut[i] = 1;
  Ramp a(40, 1);
  Ramp b(40, 1);
  a.to(0.5F);
  b.to(0.5F);
  a.scale(whole, 64);
  for (int i = 0; i < 64; i += 7) b.scale(cut + i, i + 7 <= 64 ? 7 : 64 - i);
  for (int i = 0; i < 64; ++i) CHECK(whole[i] == cut[i]);
}

TEST_CASE("a resting gain of one leaves every bit") {
  float signal[4] = {0.1F, -0.7F, 3e-30F, 1e4F};
  Ramp ramp(10, 1);
  ramp.scale(signal, 4);
  CHECK(signal[2] == 3e-30F);
  CHECK(signal[3] == 1e4F);
}
