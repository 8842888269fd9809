#include "nn/wavenet.hpp"

#include <nlohmann/json.hpp>

#include <doctest/doctest.h>

#include "fixtures.hpp"
#include "nam_reference.hpp"

using namespace amp;
using namespace amp::test;

namespace {

const std::vector<int> kDilations{1, 2, 4, 8, 16, 32, 64, 128};

// Every length; emulated 1, 10, 19 ... 64, since all of them would take a quarter of an hour.
constexpr int kBlockStep = AMP_EMULATED ? 9 : 1;

/// Compare every path and every block length with the float64 truth.
/// 2e-6 of peak: eight layers of float32 sums, each good to about 1e-7.
void check_paths(const nlohmann::json& document) {
  const auto model = load(document);
  const std::vector<float> input = noise(2000, 7);
  const std::vector<float> truth = run(*model->make_net(dsp::Isa::kScalar), input, 64);
  for (const dsp::Isa isa : dsp::available_isas()) {
    CAPTURE(dsp::isa_name(isa));
    const std::vector<float> whole = run(*model->make_net(isa), input, 64);
    CHECK(largest_difference(whole, truth) <= 2e-6F * peak(truth));
    // The truth goes frame by frame whatever the block.
    const int step = isa == dsp::Isa::kScalar ? kMaxFrames - 1 : kBlockStep;
    for (int block = 1; block <= kMaxFrames; block += step)
      CHECK_MESSAGE(run(*model->make_net(isa), input, block) == whole, "block " << block);
  }
}

/// In blocks of 1 to 64 frames, no two in a row of the same length.
std::vector<float> run_unevenly(nn::Net& net, const std::vector<float>& input) {
  std::vector<float> output(input.size());
  int frames = 0;
  for (size_t at = 0; at < input.size(); at += static_cast<size_t>(frames)) {
    frames = std::min((frames + 27) % kMaxFrames + 1, static_cast<int>(input.size() - at));
    net.process(&input[at], &output[at], frames);
  }
  return output;
}

}  // namespace

TEST_CASE("every path of a residual net equals the truth, whatever the block length") {
  for (const int channels : {1, 2, 3, 5, 8, 12, 16, 27})
    check_paths(native_model(channels, 3, kDilations, static_cast<unsigned>(channels)));
  check_paths(native_model(6, 2, {1, 3, 9, 27, 81}, 1));
  check_paths(native_model(4, 5, {1, 7, 1, 50}, 2));
  check_paths(native_model(4, 1, {1, 1}, 3));
}

TEST_CASE("every path of a NAM A1 net equals the truth, whatever the block length") {
  check_paths(nam_model(16, 8, kDilations, 1));
  check_paths(nam_model(12, 6, kDilations, 2));
  check_paths(nam_model(4, 2, kDilations, 3));
  check_paths(nam_model(3, 2, {1, 2}, 4));
}

TEST_CASE("every path of a NAM A2 net equals the truth, whatever the block length") {
  for (const int channels : {1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 23}) {
    const nlohmann::json array{
        {"input_size", 1},
        {"condition_size", 1},
        {"channels", channels},
        {"kernel_sizes", {6, 15, 3, 1, 6, 2}},
        {"dilations", {1, 13, 41, 1, 101, 7}},
        {"activation",
         {{{"type", "LeakyReLU"}, {"negative_slope", 0.2}},
          "LeakyReLU",
          "Tanh",
          "ReLU",
          "LeakyReLU",
          "Tanh"}},
        {"head", {{"out_channels", 1}, {"kernel_size", 16}, {"bias", true}}}};
    const nlohmann::json document =
        general_model({{"layers", {array}}, {"head", nullptr}, {"head_scale", 1.0}},
                      static_cast<unsigned>(channels));
    REQUIRE(std::dynamic_pointer_cast<const nn::WaveNetModel>(load(document)) != nullptr);
    check_paths(document);
  }
}

TEST_CASE("a net plays the same whichever block lengths follow each other") {
  const auto model = load(nam_model(16, 8, kDilations, 5));
  const std::vector<float> input = noise(4000, 8);
  for (const dsp::Isa isa : dsp::available_isas()) {
    CAPTURE(dsp::isa_name(isa));
    CHECK(run_unevenly(*model->make_net(isa), input) == run(*model->make_net(isa), input, 64));
  }
}

TEST_CASE("a net starts in the state that silence leaves behind") {
  for (const dsp::Isa isa : dsp::available_isas()) {
    const auto model = load(native_model(8, 3, kDilations, 5));
    const auto net = model->make_net(isa);
    std::vector<float> silence(4000);
    const std::vector<float> output = run(*net, silence, 64);
    CAPTURE(dsp::isa_name(isa));
    // Each layer rests at what the one before it says at rest: not a bit may move.
    CHECK(output == std::vector<float>(output.size(), output.front()));
    CHECK(output.front() != 0);
  }
}

TEST_CASE("reset forgets everything that was heard") {
  const auto model = load(nam_model(8, 4, kDilations, 6));
  for (const dsp::Isa isa : dsp::available_isas()) {
    const auto net = model->make_net(isa);
    const std::vector<float> input = noise(1000, 8);
    const std::vector<float> first = run(*net, input, 64);
    run(*net, noise(777, 9), 50);
    net->reset();
    CAPTURE(dsp::isa_name(isa));
    CHECK(run(*net, input, 64) == first);
  }
}

TEST_CASE("the output depends on the receptive field and on nothing before it") {
  const auto model = load(native_model(4, 3, {1, 4, 16}, 3));
  REQUIRE(model->info.receptive_field_frames == 1 + 2 * (1 + 4 + 16));
  std::vector<float> input = noise(400, 1);
  const auto field = static_cast<size_t>(model->info.receptive_field_frames);
  const float at_end = run(*model->make_net(dsp::best_isa()), input, 64).back();
  input[input.size() - field - 1] += 0.5F;
  CHECK(run(*model->make_net(dsp::best_isa()), input, 64).back() == at_end);
  input[input.size() - field] += 0.5F;
  CHECK(run(*model->make_net(dsp::best_isa()), input, 64).back() != at_end);
}
