#include "stage.hpp"

#include <nlohmann/json.hpp>

#include <doctest/doctest.h>

#include "chain.hpp"
#include "effect.hpp"
#include "fixtures.hpp"
#include "toy.hpp"

using namespace amp;
using namespace amp::test;

namespace {

constexpr int kRate = 48000;
constexpr size_t kRamp = 480;  // 10 ms

std::unique_ptr<Toy> late_toy(int latency) {
  auto toy = std::make_unique<Toy>(latency);
  toy->latency = latency;
  return toy;
}

/// right: empty for a mono input.
Sound play(Stage& stage, const std::vector<float>& left, int block = 64,
           const std::vector<float>& right = {}) {
  Sound out;
  for (size_t at = 0; at < left.size(); at += static_cast<size_t>(block)) {
    const size_t frames = std::min(static_cast<size_t>(block), left.size() - at);
    std::array<std::array<float, kMaxFrames>, 2> side{};
    std::copy_n(&left[at], frames, side[0].data());
    if (!right.empty()) std::copy_n(&right[at], frames, side[1].data());
    Signal signal{.channel = {side[0].data(), side[1].data()},
                  .width = right.empty() ? 1 : 2,
                  .frames = static_cast<int>(frames),
                  .clean = nullptr};
    stage.process(signal);
    out.left.insert(out.left.end(), side[0].data(), side[0].data() + frames);
    if (signal.width == 2)
      out.right.insert(out.right.end(), side[1].data(), side[1].data() + frames);
  }
  return out;
}

std::vector<float> delayed(const std::vector<float>& signal, int frames) {
  std::vector<float> late(static_cast<size_t>(frames));
  late.insert(late.end(), signal.begin(), signal.end() - frames);
  return late;
}

}  // namespace

TEST_CASE("a stage that is bypassed or at mix 0 passes every bit, delayed by its block's latency") {
  const std::vector<float> input = noise(1000, 1);
  for (const int latency : {0, 1, 5, 64, 100})
    for (const bool broken : {false, true})
      for (const int param : {Stage::kBypass, Stage::kMix}) {
        auto toy = late_toy(latency);
        toy->broken = broken;
        Stage stage(std::move(toy), kRate, 1);
        stage.set_own(param, param == Stage::kBypass ? 1 : 0, true);
        CHECK(play(stage, input).left == delayed(input, latency));
      }
}

TEST_CASE("half a mix of a late block does not comb") {
  const std::vector<float> input = noise(1000, 2);
  auto toy = late_toy(37);
  toy->factor = 1;
  Stage stage(std::move(toy), kRate, 1);
  stage.set_own(Stage::kMix, 0.5F, true);
  // Equal sides: dry + 0.5 * 0 is exact.
  CHECK(play(stage, input).left == delayed(input, 37));
}

TEST_CASE("a bypass and a mix walk for 10 ms, whatever the block length") {
  const std::vector<float> ones(2000, 1);
  for (const int param : {Stage::kBypass, Stage::kMix}) {
    std::vector<std::vector<float>> outputs;
    for (const int block : {1, 7, 64}) {
      Stage stage(std::make_unique<Toy>(), kRate, 1);
      std::vector<float> output = play(stage, part(ones, 0, 640), block).left;
      stage.set_own(param, param == Stage::kBypass ? 1 : 0, false);
      const std::vector<float> rest = play(stage, part(ones, 640, 2000), block).left;
      output.insert(output.end(), rest.begin(), rest.end());
      outputs.push_back(output);
    }
    CHECK(outputs[1] == outputs[0]);
    CHECK(outputs[2] == outputs[0]);
    CHECK(outputs[0][640 + kRamp - 2] > 1);
    CHECK(outputs[0][640 + kRamp - 1] == 1);
    // From 3 to 1 in 480 steps; a tenth more for float32.
    CHECK(largest_step(outputs[0]) <= 1.1F * 2 / kRamp);
  }
}

TEST_CASE("a mono block behind a stereo one keeps two channels") {
  const std::vector<float> left = noise(300, 3);
  const std::vector<float> right = noise(300, 4);
  Stage stage(std::make_unique<Toy>(), kRate, 2);
  CHECK(stage.width() == 2);
  const Sound mono = play(stage, left, 64, right);
  CHECK(mono.left[299] == 3 * left[299]);
  CHECK(mono.right == mono.left);
  stage.set_own(Stage::kBypass, 1, true);
  const Sound through = play(stage, left, 64, right);
  CHECK(through.left == left);
  CHECK(through.right == right);
}

TEST_CASE("a stereo block behind a mono one widens the sound, bypassed too") {
  const std::vector<float> input = noise(300, 5);
  auto toy = std::make_unique<Toy>();
  toy->width = 2;
  Stage stage(std::move(toy), kRate, 1);
  CHECK(stage.width() == 2);
  stage.set_own(Stage::kBypass, 1, true);
  const Sound through = play(stage, input);
  CHECK(through.left == input);
  CHECK(through.right == input);
}

TEST_CASE("a bypass closes the input of a block that rings and lets it ring to its end") {
  auto toy = std::make_unique<Toy>(700);
  toy->is_room = true;
  toy->factor = 0.5F;
  Stage stage(std::move(toy), kRate, 1);
  stage.set_own(Stage::kMix, 0.5F, true);  // the middle: all of the dry sound and all of the echo
  std::vector<float> first(64);
  first[10] = 1;
  std::vector<float> output = play(stage, first).left;
  stage.set_own(Stage::kBypass, 1, false);
  std::vector<float> second(2000);
  second[600] = 1;  // when the bypass has closed
  const std::vector<float> rest = play(stage, second).left;
  output.insert(output.end(), rest.begin(), rest.end());
  std::vector<float> expected(output.size());
  expected[10] = 1;
  expected[10 + 700] = 0.5F;
  expected[64 + 600] = 1;
  CHECK(output == expected);
}

TEST_CASE("a block that rings keeps the dry sound whole up to the middle of its mix") {
  const std::vector<float> ones(64, 1);
  for (const auto& [mix, dry, wet] :
       {std::array{0.0F, 1.0F, 0.0F}, std::array{0.25F, 1.0F, 0.5F}, std::array{0.5F, 1.0F, 1.0F},
        std::array{0.75F, 0.5F, 1.0F}, std::array{1.0F, 0.0F, 1.0F}}) {
    auto toy = std::make_unique<Toy>();
    toy->is_room = true;
    Stage stage(std::move(toy), kRate, 1);
    stage.set_own(Stage::kMix, mix, true);
    CHECK(play(stage, ones).left.back() == dry + 3 * wet);  // all of it exact in float32
  }
}

TEST_CASE("what a broken block that rings gives does not come through at mix 0") {
  const std::vector<float> input = noise(300, 6);
  auto toy = std::make_unique<Toy>();
  toy->is_room = true;
  toy->broken = true;
  Stage stage(std::move(toy), kRate, 1);
  stage.set_own(Stage::kMix, 0, true);
  CHECK(play(stage, input).left == input);
}

TEST_CASE("a reset leaves nothing of what was played before") {
  const std::vector<float> input = noise(300, 7);
  Stage stage(late_toy(100), kRate, 1);
  stage.set_own(Stage::kMix, 0.5F, true);
  const std::vector<float> first = play(stage, input).left;
  stage.reset();
  CHECK(play(stage, input).left == first);
}

TEST_CASE("a bypassed amp that gives a NaN is neither heard nor told as a fault") {
  const TempDir dir;
  const BlockSpec amp{.kind = "amp",
                      .name = "amp",
                      .values = {{"bypass", 1}},
                      .model = dir.write("m.json", exploding_model().dump())};
  RigSpec rig;
  rig.blocks = {amp};
  Chain chain(rig, kRate, dsp::best_isa(), false);
  const std::vector<float> input = sine(60 * 64, 100, 0.9);
  std::vector<float> left(input.size());
  std::vector<float> right(input.size());
  std::array<float, kMaxFrames> dry{};
  for (size_t at = 0; at < input.size(); at += 60)
    chain.process(&input[at], {&left[at], &right[at], dry.data()}, 60);
  CHECK_FALSE(chain.faulted());
  CHECK(left == input);
  CHECK(right == input);
}
