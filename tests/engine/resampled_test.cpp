#include "nn/resampled.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numbers>

#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;

namespace {

constexpr std::array kHostRatesHz{44100, 48000, 88200, 96000, 192000};
constexpr std::array kModelRatesHz{44100, 48000, 96000};

template <class Check>
void for_every_pair(Check check) {
  for (const int host_hz : kHostRatesHz)
    for (const int model_hz : kModelRatesHz) {
      if (host_hz == model_hz) continue;
      CAPTURE(host_hz);
      CAPTURE(model_hz);
      check(host_hz, model_hz);
    }
}

nlohmann::json nonlinear(int model_hz, float offset = 0) {
  nlohmann::json document = native_model(4, 3, {1, 2, 4}, 3);
  document["sample_rate"] = model_hz;
  document["tensors"]["output.bias"] = {offset};
  return document;
}

std::vector<float> part(const std::vector<float>& signal, size_t from) {
  return {signal.begin() + static_cast<ptrdiff_t>(from), signal.end()};
}

std::string refusal(int model_hz, int host_hz) {
  try {
    nn::host_net(*load(nonlinear(model_hz)), dsp::best_isa(), host_hz);
  } catch (const nn::LoadError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

// Any other latency, any image, ripple or alias would stand in the difference. 1e-4: -80 dB.
TEST_CASE("through a straight wire of another rate a sine comes back, late by the latency told") {
  for_every_pair([](int host_hz, int model_hz) {
    const auto model = load(straight_wire(model_hz));
    const nn::HostedNet hosted = nn::host_net(*model, dsp::best_isa(), host_hz);
    CHECK(hosted.latency_frames <= 0.0015 * host_hz);
    const auto latency = static_cast<size_t>(hosted.latency_frames);
    for (const double hz : {20.0, 440.0, 3000.0, 9000.0, 13000.0, 16000.0, 17400.0, 18000.0}) {
      std::vector<float> input(6000);
      for (size_t i = 0; i < input.size(); ++i)
        input[i] = static_cast<float>(
            std::sin(2 * std::numbers::pi * hz * static_cast<double>(i) / host_hz));
      hosted.net->reset();
      const std::vector<float> output = run(*hosted.net, input, 64);
      float worst = 0;
      for (size_t i = 2000; i < output.size(); ++i)
        worst = std::max(worst, std::abs(output[i] - input[i - latency]));
      CHECK_MESSAGE(worst <= 1e-4F, hz << " Hz: " << worst);
    }
  });
}

TEST_CASE("what the lower rate cannot hold does not come back as another tone") {
  // 23 kHz lies beyond half of 44.1 kHz; folded it would be heard at 21.1 kHz, -80 dB is 1e-4.
  for (const int host_hz : {48000, 96000, 192000}) {
    const auto model = load(straight_wire(44100));
    const nn::HostedNet hosted = nn::host_net(*model, dsp::best_isa(), host_hz);
    std::vector<float> input(6000);
    for (size_t i = 0; i < input.size(); ++i)
      input[i] = static_cast<float>(
          std::sin(2 * std::numbers::pi * 23000 * static_cast<double>(i) / host_hz));
    CHECK(peak(part(run(*hosted.net, input, 64), 2000)) <= 1e-4F);
  }
}

TEST_CASE("a resampled net sounds the same for every block length, and again after a reset") {
  const std::vector<float> input = noise(3001, 5);
  for_every_pair([&](int host_hz, int model_hz) {
    const auto model = load(nonlinear(model_hz));
    const nn::HostedNet hosted = nn::host_net(*model, dsp::best_isa(), host_hz);
    const std::vector<float> whole = run(*hosted.net, input, 64);
    for (const int block : {1, 7, 33, 63}) {
      hosted.net->reset();
      CHECK(run(*hosted.net, input, block) == whole);
    }
  });
}

TEST_CASE("a resampled net depends on its memory alone, and on where in the sound it stands") {
  const std::vector<float> input = noise(9000, 6);
  for_every_pair([&](int host_hz, int model_hz) {
    const auto model = load(nonlinear(model_hz));
    const nn::HostedNet hosted = nn::host_net(*model, dsp::best_isa(), host_hz);
    const std::vector<float> whole = run(*hosted.net, input, 64);
    const auto grid = static_cast<size_t>(hosted.grid_frames);
    const auto from = 3000 / grid * grid;
    const auto memory = static_cast<size_t>(hosted.memory_frames);
    REQUIRE(from + memory < input.size());
    hosted.net->reset();
    const std::vector<float> late = run(*hosted.net, part(input, from), 64);
    CHECK(part(late, memory - 1) == part(whole, from + memory - 1));
    if (grid == 1) return;
    hosted.net->reset();
    const std::vector<float> astray = run(*hosted.net, part(input, from + 1), 64);
    CHECK(part(astray, memory) != part(whole, from + 1 + memory));
  });
}

TEST_CASE("a resampled net starts where its model rests in silence") {
  for_every_pair([](int host_hz, int model_hz) {
    const auto model = load(nonlinear(model_hz, 0.3F));
    const std::vector<float> silence(600);
    const float rest = run(*model->make_net(dsp::best_isa()), silence, 64).back();
    const nn::HostedNet hosted = nn::host_net(*model, dsp::best_isa(), host_hz);
    float worst = 0;
    for (const float v : run(*hosted.net, silence, 64)) worst = std::max(worst, std::abs(v - rest));
    CHECK(std::abs(rest) > 0.1F);
    CHECK(worst <= 1e-6F);  // what float32 leaves of a sum of taps
  });
}

TEST_CASE("a model of the host's own rate is its bare net") {
  const auto model = load(nonlinear(48000));
  const nn::HostedNet hosted = nn::host_net(*model, dsp::best_isa(), 48000);
  CHECK(hosted.latency_frames == 0);
  CHECK(hosted.memory_frames == 15);
  CHECK(hosted.grid_frames == 1);
  const std::vector<float> input = noise(500, 1);
  CHECK(run(*hosted.net, input, 64) == run(*model->make_net(dsp::best_isa()), input, 64));
}

TEST_CASE("rates that no table of a sane size joins are refused with both and the way out") {
  const std::string refused = refusal(48000, 44123);
  CHECK(refused.find("the model is made for 48000 Hz, the host runs at 44123 Hz; their ratio "
                     "44123:48000 needs a larger table than the resampler holds; run the host at "
                     "48000 Hz or export the model for the host's rate.") != std::string::npos);
  for (const int rate : {8000, 11025, 16000, 22050, 32000, 176400, 768000})
    CHECK(refusal(rate, 48000) == "accepted");
}
