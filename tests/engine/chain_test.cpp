#include "chain.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;

namespace {

std::vector<float> play(Chain& chain, const std::vector<float>& input, int block = 64) {
  std::vector<float> left(input.size());
  std::array<float, kMaxFrames> right{};
  std::array<float, kMaxFrames> dry{};
  for (size_t at = 0; at < input.size(); at += static_cast<size_t>(block)) {
    const size_t frames = std::min(static_cast<size_t>(block), input.size() - at);
    chain.process(&input[at], {&left[at], right.data(), dry.data()}, static_cast<int>(frames));
  }
  return left;
}

std::string refusal(const RigSpec& rig) {
  try {
    const Chain chain(rig, 48000, dsp::best_isa());
  } catch (const nn::LoadError& error) {
    return error.what();
  }
  return "accepted";
}

BlockSpec gain(const std::string& name, float db) {
  return {.kind = "gain", .name = name, .values = {{"gain_db", db}}, .model = ""};
}

}  // namespace

TEST_CASE("an empty chain, and one with mix 0, pass every bit") {
  const std::vector<float> input = noise(1000, 1);
  Chain clean({}, 48000, dsp::best_isa());
  CHECK(play(clean, input) == input);
  Chain dry({.values = {{"mix", 0}}, .blocks = {gain("gain", 20)}}, 48000, dsp::best_isa());
  CHECK(play(dry, input) == input);
}

TEST_CASE("gains multiply in decibels") {
  const std::vector<float> input = noise(500, 2);
  Chain chain({.values = {{"input/gain_db", 6}, {"output/gain_db", -12}},
               .blocks = {gain("gain", 3), gain("gain2", 3)}},
              48000, dsp::best_isa());
  // 6 + 3 + 3 - 12 dB; four factors that are each rounded to 6e-8
  CHECK(largest_difference(play(chain, input), input) <= 5e-7F);
}

TEST_CASE("a value that changes while it plays does not depend on the block length") {
  const std::vector<float> input = noise(3000, 3);
  std::vector<std::vector<float>> outputs;
  for (const int block : {1, 7, 64}) {
    Chain chain({.values = {}, .blocks = {gain("gain", 0)}}, 48000, dsp::best_isa());
    std::vector<float> output = play(chain, {input.begin(), input.begin() + 640}, block);
    chain.set(3, -20, false);
    const std::vector<float> rest = play(chain, {input.begin() + 640, input.end()}, block);
    output.insert(output.end(), rest.begin(), rest.end());
    outputs.push_back(output);
  }
  CHECK(outputs[0] == outputs[1]);
  CHECK(outputs[0] == outputs[2]);
  CHECK(outputs[0].back() == doctest::Approx(input.back() * 0.1F).epsilon(1e-5));
}

TEST_CASE("a value outside its range is clamped and the taken one is told") {
  Chain chain({}, 48000, dsp::best_isa());
  CHECK(chain.set(1, 7, false) == 1);
  CHECK(chain.set(2, -1000, false) == -60);
}

TEST_CASE("a rig with an unknown block, param, place or value is refused by name") {
  CHECK(refusal(
            {.values = {}, .blocks = {{.kind = "fuzz", .name = "fuzz", .values = {}, .model = ""}}})
            .starts_with("chain: found the block kind \"fuzz\", expected one of gain, "));
  CHECK(
      refusal(
          {.values = {},
           .blocks = {{.kind = "gain", .name = "gain", .values = {{"drive", 1}}, .model = ""}}}) ==
      "gain/drive is not a param; expected one of gain_db, bypass.");
  CHECK(refusal({.values = {}, .blocks = {gain("gain", 99)}}) ==
        "gain/gain_db is 99, expected -60 to 40 dB.");
  CHECK(refusal({.values = {{"mix", -0.5F}}, .blocks = {}}) == "mix is -0.5, expected 0 to 1.");
  CHECK(refusal({.values = {{"treble", 1}}, .blocks = {}}) ==
        "treble is not a param of a rig; expected input, mix or output.");
  CHECK(refusal({.values = {}, .blocks = {gain("a", 0), gain("a", 0)}})
            .starts_with("chain has two blocks named \"a\""));
  CHECK(
      refusal({.values = {}, .blocks = {{.kind = "amp", .name = "amp", .values = {}, .model = ""}}})
          .starts_with("chain.amp.model is missing"));
}

TEST_CASE("wet and dry of a resampled rig lie on each other: half of each is the whole") {
  const TempDir dir;
  const std::string file = dir.write("wire.nam", straight_wire(48000).dump());
  const RigSpec rig{.values = {{"mix", 0.5F}},
                    .blocks = {{.kind = "amp", .name = "amp", .values = {}, .model = file}}};
  for (const int host_hz : {44100, 96000}) {
    Chain chain(rig, host_hz, dsp::best_isa(), false);
    const auto latency = static_cast<size_t>(chain.latency_frames());
    REQUIRE(latency > 0);
    for (const double hz : {100.0, 1000.0, 5000.0, 12000.0, 18000.0}) {
      std::vector<float> input(8192);
      for (size_t i = 0; i < input.size(); ++i)
        input[i] = static_cast<float>(std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) /
                                               static_cast<double>(host_hz)));
      chain.reset();
      const std::vector<float> output = play(chain, input);
      float worst = 0;
      for (size_t i = 2048; i < input.size(); ++i)
        worst = std::max(worst, std::abs(output[i] - input[i - latency]));
      CHECK(worst <= 1e-4F);  // the resampler's -80 dB; half a frame off would be 0.27 at 18 kHz
    }
  }
}

TEST_CASE("a model in several sizes has the param quality, which a reset takes at once") {
  const auto linear = [](std::vector<double> weights) {
    nlohmann::json one = straight_wire(48000);
    one["config"]["receptive_field"] = weights.size();
    one["weights"] = std::move(weights);
    return one;
  };
  const nlohmann::json container = two_sizes(linear({0.25, 0.25}), linear({0.5, 0.5}));
  const TempDir dir;
  const std::string file = dir.write("sizes.nam", container.dump());
  const std::vector<float> input = noise(3000, 3);
  std::vector<float> small = input;
  for (size_t i = 1; i < small.size(); ++i) small[i] = 0.25F * (input[i] + input[i - 1]);
  small[0] = 0.25F * input[0];
  const auto rig = [&](float quality) {
    return RigSpec{
        .values = {},
        .blocks = {
            {.kind = "amp", .name = "amp", .values = {{"quality", quality}}, .model = file}}};
  };
  Chain chain(rig(0), 48000, dsp::best_isa(), false);
  CHECK(largest_difference(play(chain, input), small) <= 1e-7F);
  const int quality = chain.find("amp/quality");
  REQUIRE(quality >= 0);
  chain.set(quality, 1, false);
  const std::vector<float> rising = play(chain, input);
  CHECK(rising.back() == doctest::Approx(2 * small.back()));
  chain.reset();
  CHECK(largest_difference(play(chain, input), small) <= 1e-7F);
  const std::string wire = dir.write("wire.nam", straight_wire(48000).dump());
  RigSpec without = rig(0);
  without.blocks[0].model = wire;
  CHECK(refusal(without).starts_with("amp/quality is not a param"));
}

TEST_CASE("a rig whose blocks are all bypassed is the guitar bit for bit, its amp's offset apart") {
  const TempDir dir;
  nlohmann::json model = native_model(4, 3, {1, 2, 4}, 1);
  model["tensors"]["output.bias"][0] = 0.3F;
  const std::string file = dir.write("m.json", model.dump());
  const std::vector<float> input = noise(24000, 5);
  RigSpec rig;
  rig.blocks = {
      {.kind = "amp", .name = "amp", .values = {{"bypass", 1}}, .model = file},
      {.kind = "gain", .name = "gain", .values = {{"gain_db", 20}, {"bypass", 1}}, .model = ""}};
  Chain chain(rig, 48000, dsp::best_isa());
  CHECK(play(chain, input) == input);
  // Off and on again in silence: what goes is the model's 0.3, of which float32 leaves 1e-5.
  const std::vector<float> silence(4800);
  CHECK(peak(play(chain, silence)) == 0);
  for (const float bypass : {0.0F, 1.0F, 0.0F}) {
    chain.set(chain.find("amp/bypass"), bypass, false);
    CHECK(peak(play(chain, silence)) <= 1e-5F);
  }
}

TEST_CASE("a block that gives a NaN is left for the dry signal without a click") {
  const TempDir dir;
  const std::string file = dir.write("m.json", exploding_model().dump());
  Chain chain(
      {.values = {}, .blocks = {{.kind = "amp", .name = "amp", .values = {}, .model = file}}},
      48000, dsp::best_isa());
  std::vector<float> input(2000);
  for (size_t i = 0; i < input.size(); ++i)
    input[i] = 0.9F * std::sin(static_cast<float>(i) * 0.05F) * (i >= 128 ? 1.0F : 0.0F);
  const std::vector<float> output = play(chain, input);
  CHECK(chain.faulted());
  for (size_t i = 1; i < output.size(); ++i) {
    REQUIRE(std::isfinite(output[i]));
    REQUIRE(std::abs(output[i] - output[i - 1]) <= 0.05F);  // the sine's own step is 0.045
  }
  CHECK(output.back() == input.back());
  chain.reset();
  CHECK_FALSE(chain.faulted());
}
