#include "blocks/pair.hpp"

#include <nlohmann/json.hpp>

#include <doctest/doctest.h>

#include "chain.hpp"
#include "effect.hpp"
#include "fixtures.hpp"
#include "toy.hpp"

using namespace amp;
using namespace amp::test;

namespace {

std::unique_ptr<Toy> toy(float factor, int latency = 0) {
  auto made = std::make_unique<Toy>(latency);
  made->latency = latency;
  made->factor = factor;
  return made;
}

std::vector<float> play(Block& block, const std::vector<float>& input, int most_frames = 64) {
  std::vector<float> output = input;
  std::array<float, kMaxFrames> right{};
  for (size_t at = 0; at < input.size(); at += static_cast<size_t>(most_frames)) {
    const size_t frames = std::min(static_cast<size_t>(most_frames), input.size() - at);
    Signal signal{.channel = {&output[at], right.data()},
                  .width = 1,
                  .frames = static_cast<int>(frames),
                  .clean = nullptr};
    block.process(signal);
  }
  return output;
}

std::string refusal(const RigSpec& rig) {
  try {
    const Chain chain(rig, 48000, dsp::best_isa());
  } catch (const nn::LoadError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("a pair blended to one end is that side bit for bit, also where the other is broken") {
  const std::vector<float> input = noise(500, 1);
  for (const int end : {0, 1}) {
    auto first = toy(0.3F);
    auto second = toy(0.7F);
    (end == 0 ? second : first)->broken = true;
    Pair pair(std::move(first), std::move(second), 48000);
    pair.set(Pair::kBlend, static_cast<float>(end), true);
    Toy alone;
    alone.factor = end == 0 ? 0.3F : 0.7F;
    CHECK(play(pair, input) == play(alone, input));
  }
}

TEST_CASE("the sides of a pair lie on each other, whichever is late") {
  const std::vector<float> input = noise(500, 2);
  for (const auto& [first, second] : {std::array{0, 37}, std::array{100, 3}}) {
    Pair pair(toy(1, first), toy(1, second), 48000);
    const int latency = std::max(first, second);
    REQUIRE(pair.latency_frames() == latency);
    for (const float blend : {0.0F, 0.3F, 1.0F}) {
      pair.set(Pair::kBlend, blend, true);
      pair.reset();
      const std::vector<float> output = play(pair, input);
      // Equal sides: a + blend * (b - a) is a, exactly.
      CHECK(part(output, static_cast<size_t>(latency), 500) ==
            part(input, 0, 500 - static_cast<size_t>(latency)));
    }
  }
}

TEST_CASE("two equal sides half and half are one of them, and silence where one is turned over") {
  const std::vector<float> input = noise(500, 3);
  Pair pair(toy(0.7F), toy(0.7F), 48000);
  Toy alone;
  alone.factor = 0.7F;
  CHECK(play(pair, input) == play(alone, input));
  pair.set(Pair::kInvert, 1, true);
  CHECK(peak(play(pair, input)) == 0);
}

TEST_CASE("a pair's knobs walk for 10 ms, whatever the block length") {
  const std::vector<float> ones(1000, 1);
  for (const int param : {Pair::kBlend, Pair::kInvert}) {
    std::vector<std::vector<float>> outputs;
    for (const int block : {1, 7, 64}) {
      Pair pair(toy(1), toy(2, 5), 48000);
      std::vector<float> output = play(pair, part(ones, 0, 100), block);
      pair.set(param, 1, false);
      const std::vector<float> rest = play(pair, part(ones, 100, 1000), block);
      output.insert(output.end(), rest.begin(), rest.end());
      outputs.push_back(part(output, 5, 1000));  // behind the latency's silence
    }
    CHECK(outputs[1] == outputs[0]);
    CHECK(outputs[2] == outputs[0]);
    CHECK(outputs[0].back() == (param == Pair::kBlend ? 2.0F : -0.5F));
    // At most 2 in 480 steps; a tenth more for float32.
    CHECK(largest_step(outputs[0]) <= 1.1F * 2 / 480);
  }
}

TEST_CASE("two amps of a rig stand beside each other and share one foot switch") {
  const TempDir dir;
  std::array<std::vector<float>, 2> alone;
  const std::vector<float> input = noise(3000, 4);
  RigSpec both;
  for (size_t a = 0; a < 2; ++a) {
    // Two rates: the sides are late by different times.
    nlohmann::json model = native_model(4, 3, {1, 2, 4}, static_cast<unsigned>(a) + 1);
    if (a == 1) model["sample_rate"] = 44100;
    const std::string name = a == 0 ? "amp" : "amp2";
    const BlockSpec block{.kind = "amp",
                          .name = name,
                          .values = {},
                          .model = dir.write(name + ".json", model.dump())};
    both.blocks.push_back(block);
    RigSpec one;
    one.blocks = {block};
    Chain chain(one, 48000, dsp::best_isa(), false);
    std::array<float, kMaxFrames> right{};
    std::array<float, kMaxFrames> dry{};
    alone[a].resize(input.size());
    for (size_t at = 0; at < input.size(); at += 60)
      chain.process(&input[at], {&alone[a][at], right.data(), dry.data()}, 60);
  }
  both.blocks[1].beside = "amp";
  both.blocks[1].values = {{"blend", 0.25F}, {"invert", 1}};
  Chain chain(both, 48000, dsp::best_isa(), false);
  const auto late = static_cast<size_t>(chain.latency_frames());
  REQUIRE(late > 0);
  std::vector<float> output(input.size());
  std::array<float, kMaxFrames> right{};
  std::array<float, kMaxFrames> dry{};
  for (size_t at = 0; at < input.size(); at += 60)
    chain.process(&input[at], {&output[at], right.data(), dry.data()}, 60);
  float worst = 0;
  for (size_t i = late; i < input.size(); ++i) {
    const float expected = 0.75F * alone[0][i - late] - 0.25F * alone[1][i];
    worst = std::max(worst, std::abs(output[i] - expected));
  }
  CHECK(worst <= 1e-6F * std::max(peak(alone[0]), peak(alone[1])));  // two roundings of float32
  CHECK(chain.find("foot/1") == chain.find("amp/bypass"));
  CHECK(chain.find("foot/2") == -1);
  CHECK(chain.find("amp2/blend") >= 0);
  CHECK(chain.find("amp2/bypass") == -1);
}

TEST_CASE("a block beside another one that is not just before it, or rings, is refused") {
  const BlockSpec gain{.kind = "gain", .name = "a", .values = {}, .model = ""};
  BlockSpec beside{.kind = "gain", .name = "b", .values = {}, .model = ""};
  beside.beside = "c";
  CHECK(refusal({.values = {}, .blocks = {gain, beside}})
            .starts_with("chain.b.beside is \"c\", expected the name of the block just before it"));
  beside.beside = "a";
  CHECK(refusal({.values = {}, .blocks = {gain, beside}}) == "accepted");
  beside.kind = "delay";
  CHECK(refusal({.values = {}, .blocks = {gain, beside}})
            .starts_with("chain.b.beside: a block that rings"));
}
