#include "effect.hpp"
#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;

namespace {

std::vector<float> scaled(std::vector<float> wave, float factor) {
  for (float& v : wave) v *= factor;
  return wave;
}

std::vector<float> after(const std::vector<float>& wave, size_t from) {
  return {wave.begin() + static_cast<std::ptrdiff_t>(from), wave.end()};
}

/// The gain at every frame while `key` is heard beside.
std::vector<float> gains(Effect& gate, const std::vector<float>& key, int block = kMaxFrames) {
  return gate.play(std::vector<float>(key.size(), 1.0F), block, {}, key).left;
}

/// Full scale for `loud` frames, then `level`.
std::vector<float> burst(size_t frames, size_t loud, float level) {
  std::vector<float> key(frames, level);
  std::fill_n(key.begin(), loud, 1.0F);
  return key;
}

constexpr size_t kPatience = 1200 + 2400;  // 25 ms and the default hold of 50 ms, at 48 kHz

}  // namespace

TEST_CASE("an open gate leaves every bit") {
  Effect gate("gate");
  const std::vector<float> input = noise(9600, 1);
  const std::vector<float> output = gate.play(input).left;
  CHECK(after(output, 48) == after(input, 48));  // 1 ms of attack
  CHECK(output[0] != input[0]);
}

TEST_CASE("a closed gate lets nothing through") {
  Effect gate("gate");
  for (const float v : gate.play(scaled(noise(9600, 1), 0.0009F)).left) REQUIRE(v == 0);
}

TEST_CASE("a gate at -100 dB is a wire from the first frame on") {
  Effect gate("gate");
  gate.set("threshold_db", -100);
  std::vector<float> input = scaled(noise(4800, 1), 1e-9F);
  input[7] = 0;
  CHECK(gate.play(input).left == input);
  gate->reset();
  CHECK(gate.play(input, 7).left == input);
  CHECK(gate->memory_frames() == 0);
}

TEST_CASE("the low E of a bass, a hair over the threshold, does not make the gate chatter") {
  for (const int rate : {8000, 48000, 192000}) {
    Effect gate("gate", rate);
    gate.set("hold_ms", 0);
    gate.set("hysteresis_db", 0);
    const auto frames = static_cast<size_t>(2 * rate);
    // 0.1 dB over -60 dB; what the grid of 8 kHz can miss of a peak is 0.001 dB.
    const std::vector<float> key = sine(frames, 41.2, 0.001 * 1.0116, rate);
    const std::vector<float> gain = after(gains(gate, key), static_cast<size_t>(rate) / 50);
    CHECK(*std::min_element(gain.begin(), gain.end()) == 1);
  }
}

TEST_CASE("a gate closes after its hold, falls by 80 dB in its release, then is shut") {
  Effect gate("gate");
  const size_t loud = 4800;
  const std::vector<float> gain = gains(gate, burst(24000, loud, 0.0001F));
  CHECK(gain[loud + kPatience - 2] == 1);
  CHECK(gain[loud + kPatience - 1] < 1);
  // -40 dB half-way through 100 ms; 4,800 float32 products err by less than 1e-3.
  CHECK(gain[loud + kPatience - 1 + 2400] == doctest::Approx(0.01).epsilon(0.005));
  CHECK(gain[loud + kPatience + 4805] == 0);
}

TEST_CASE("between both thresholds a gate stays as it was") {
  // -63 dB: below -60, above -66.
  const float between = 0.00071F;
  Effect gate("gate");
  CHECK(gains(gate, burst(48000, 4800, between)).back() == 1);
  gate->reset();
  CHECK(gains(gate, std::vector<float>(48000, between)).back() == 0);
  gate->reset();
  CHECK(gains(gate, burst(48000, 4800, 0.0005F)).back() == 0);
}

TEST_CASE("a gate listens to the guitar, not to what the rig made of it") {
  Effect gate("gate");
  const std::vector<float> loud(4800, 0.5F);
  const std::vector<float> quiet(4800, 0.0001F);
  CHECK(gate.play(quiet, 64, {}, loud).left.back() == quiet.back());
  gate->reset();
  CHECK(gate.play(loud, 64, {}, quiet).left.back() == 0);
  gate->reset();
  CHECK(gate.play(quiet, 64, loud).left.back() == quiet.back());  // either side opens both
}

TEST_CASE("no gain of a gate steps further than its attack") {
  Effect gate("gate");
  gate.set("attack_ms", 2);
  std::vector<float> key = burst(24000, 4800, 0);
  std::fill_n(key.begin() + 10000, 20, 1.0F);  // opens it again in the middle of its fall
  const std::vector<float> gain = gains(gate, key);
  CHECK(largest_step(gain) <= 1.0F / 96 + 1e-6F);  // rounding of a sum
}

TEST_CASE("the block length does not change a gate") {
  std::vector<float> input = scaled(noise(48000, 3), 0.002F);
  for (size_t i = 0; i < input.size(); ++i)
    if (i / 7000 % 2 == 1) input[i] *= 0.01F;
  Effect whole("gate");
  const std::vector<float> truth = whole.play(input).left;
  for (const int block : {1, 7}) {
    Effect cut("gate");
    CHECK(cut.play(input, block).left == truth);
  }
}

TEST_CASE("what a gate heard before its memory is forgotten to the last bit") {
  Effect old("gate");
  Effect fresh("gate");
  gains(old, std::vector<float>(4800, 1.0F));
  const auto memory = static_cast<size_t>(old->memory_frames());
  CHECK(memory == kPatience + 4800);
  const std::vector<float> quiet(memory, 0.0001F);
  gains(old, quiet);
  gains(fresh, quiet);
  const std::vector<float> next = burst(9600, 100, 0);
  CHECK(gains(old, next) == gains(fresh, next));
}
