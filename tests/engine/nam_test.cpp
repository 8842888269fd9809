#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "fixtures.hpp"
#include "nam_reference.hpp"

using namespace amp;
using namespace amp::test;
using nlohmann::json;

namespace {

const json kFilm{{"active", true}, {"shift", true}, {"groups", 1}};

/// One array, `patch` over its layers' options.
json array_of(int channels, const json& patch) {
  json array{{"input_size", 1},
             {"condition_size", 1},
             {"channels", channels},
             {"kernel_size", 3},
             {"dilations", {1, 2, 5}},
             {"activation", "Tanh"},
             {"head", {{"out_channels", 1}, {"kernel_size", 1}, {"bias", true}}}};
  array.update(patch);
  if (array.contains("kernel_sizes")) array.erase("kernel_size");
  return array;
}

json config_of(const json& patch, int channels = 4) {
  return {{"layers", {array_of(channels, patch)}}, {"head", nullptr}, {"head_scale", 1.0}};
}

/// Whatever the path and the block length, the sound is that of the plain computation, and a reset
/// brings its beginning back. 1e-6: rounding of the output to float32; 1e-5: float32 throughout.
void check(const json& document) {
  const auto model = load(document);
  const std::vector<float> input = noise(300, 7);
  const std::vector<double> expected = general_reference(document, input);
  double highest = 1e-3;
  for (const double v : expected) highest = std::max(highest, std::abs(v));
  for (const dsp::Isa isa : dsp::available_isas()) {
    CAPTURE(dsp::isa_name(isa));
    const auto net = model->make_net(isa);
    const std::vector<float> whole = run(*net, input, 64);
    double worst = 0;
    for (size_t i = 0; i < whole.size(); ++i)
      worst = std::max(worst, std::abs(static_cast<double>(whole[i]) - expected[i]));
    CHECK(worst <= (isa == dsp::Isa::kScalar ? 1e-6 : 1e-5) * highest);
    for (const int block : {1, 7, 16, 17, 33, 63})
      CHECK_MESSAGE(run(*model->make_net(isa), input, block) == whole, "block " << block);
    net->reset();
    CHECK(run(*net, input, 64) == whole);
  }
}

void check_layers(const json& patch, int channels = 4) {
  CAPTURE(patch.dump());
  check(general_model(config_of(patch, channels), 3));
}

json weighted(const std::string& architecture, const json& config, const json& weights) {
  return {{"version", "0.5.4"},
          {"architecture", architecture},
          {"config", config},
          {"weights", weights},
          {"sample_rate", 48000}};
}

json linear(const json& taps) {
  return weighted("Linear", {{"receptive_field", taps.size()}, {"bias", false}}, taps);
}

std::string refusal(const json& document) {
  try {
    static_cast<void>(load(document));
  } catch (const nn::LoadError& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("gated and blended layers equal the plain computation") {
  check_layers({{"gated", true}});
  check_layers({{"gating_mode", "gated"}, {"secondary_activation", "Hardtanh"}});
  check_layers({{"gating_mode", "blended"}, {"bottleneck", 2}});
  check_layers({{"gating_mode", {"none", "gated", "blended"}},
                {"secondary_activation", {nullptr, "Softsign", "Sigmoid"}}});
}

TEST_CASE("every activation equals the plain computation") {
  for (const char* name : {"Tanh", "Hardtanh", "ReLU", "LeakyReLU", "PReLU", "Sigmoid", "SiLU",
                           "Hardswish", "LeakyHardtanh", "Softsign"})
    check_layers({{"activation", name}});
  const json prelu{{"type", "PReLU"}, {"negative_slopes", {0.1, 0.2, 0.3, 0.4}}};
  const json clamp{{"type", "LeakyHardtanh"}, {"min_val", -0.2}, {"max_slope", 0.3}};
  check_layers({{"activation", {prelu, clamp, {{"type", "LeakyReLU"}, {"negative_slope", 0.2}}}}});
}

TEST_CASE("every FiLM, with and without shift, equals the plain computation") {
  for (const char* key :
       {"conv_pre_film", "conv_post_film", "input_mixin_pre_film", "input_mixin_post_film",
        "activation_pre_film", "activation_post_film", "layer1x1_post_film", "head1x1_post_film"})
    for (const char* mode : {"none", "blended"}) {
      const json head{{"active", true}, {"out_channels", 3}, {"groups", 1}};
      check_layers({{key, kFilm}, {"head1x1", head}, {"gating_mode", mode}});
      check_layers({{key, {{"shift", false}}}, {"head1x1", head}, {"gating_mode", mode}});
    }
}

TEST_CASE("groups, bottlenecks, kernels and heads equal the plain computation") {
  check_layers({{"groups_input", 2}, {"layer1x1", {{"active", true}, {"groups", 4}}}});
  check_layers(
      {{"bottleneck", 6}, {"head1x1", {{"active", true}, {"out_channels", 4}, {"groups", 2}}}});
  check_layers({{"layer1x1", {{"active", false}, {"groups", 1}}}});
  check_layers({{"kernel_sizes", {1, 6, 2}}, {"activation", "LeakyReLU"}}, 8);
  check_layers(
      {{"head", {{"out_channels", 1}, {"kernel_size", 4}, {"bias", true}, {"head_dilation", 3}}}});
  for (const int channels : {1, 3, 5, 9, 17}) check_layers({{"activation", "ReLU"}}, channels);
}

TEST_CASE("a head behind the stack equals the plain computation") {
  json config = config_of({{"head", {{"out_channels", 3}, {"kernel_size", 1}, {"bias", false}}}});
  config["head"] = {
      {"channels", 5}, {"out_channels", 1}, {"kernel_sizes", {2, 3}}, {"activation", "SiLU"}};
  check(general_model(config, 4));
}

TEST_CASE("two arrays and a condition_dsp of several outputs equal the plain computation") {
  json config = config_of({{"head", {{"out_channels", 2}, {"kernel_size", 1}, {"bias", true}}},
                           {"activation", "ReLU"}});
  config["layers"].push_back(array_of(2, {{"input_size", 4}, {"gated", true}}));
  check(general_model(config, 5));
  const json condition = general_model(
      config_of({{"head", {{"out_channels", 4}, {"kernel_size", 2}, {"bias", true}}}}), 6);
  for (json& array : config["layers"]) {
    array["condition_size"] = 4;
    array["groups_input_mixin"] = 2;
    array["conv_post_film"] = {{"groups", 2}};
  }
  config["condition_dsp"] = condition;
  check(general_model(config, 7));
}

TEST_CASE("the first weight of a Linear meets the newest sample") {
  const auto model = load(linear({1, 0.5, 0.25}));
  for (const dsp::Isa isa : dsp::available_isas())
    CHECK(run(*model->make_net(isa), {1, 0, 0, 0, 2}, 3) == std::vector<float>{1, 0.5, 0.25, 0, 2});
  CHECK(model->info.receptive_field_frames == 3);
}

TEST_CASE("a ConvNet's batch norm stands between convolution and activation") {
  // conv [older, newer] = [0.5, 2]; mean 0.25, variance 3, weight 1.5, bias 0.125, epsilon 1.
  const auto model = load(weighted(
      "ConvNet", {{"channels", 1}, {"dilations", {3}}, {"batchnorm", true}, {"activation", "Tanh"}},
      {0.5, 2, 0.25, 3, 1.5, 0.125, 1, 0.75, -0.5}));
  const std::vector<float> input = noise(50, 2);
  for (const dsp::Isa isa : dsp::available_isas()) {
    const std::vector<float> output = run(*model->make_net(isa), input, 16);
    for (size_t t = 0; t < input.size(); ++t) {
      const double x = 2.0 * input[t] + (t >= 3 ? 0.5 * input[t - 3] : 0);
      const double expected = 0.75 * std::tanh(1.5 * (x - 0.25) / 2 + 0.125) - 0.5;
      CHECK(std::abs(output[t] - expected) <= 1e-6);
    }
  }
}

TEST_CASE("a container starts at its largest model and fades to the one that quality asks for") {
  const json container = weighted("SlimmableContainer",
                                  {{"submodels",
                                    {{{"max_value", 0.5}, {"model", linear({0.25, 0, 0.25})}},
                                     {{"max_value", 1.0}, {"model", linear({1, 0.5})}}}}},
                                  json::array());
  const auto model = load(container);
  REQUIRE(model->info.has_quality);
  const std::vector<float> input = noise(3000, 3);
  const std::vector<float> small =
      run(*load(linear({0.25, 0, 0.25}))->make_net(dsp::best_isa()), input, 64);
  const std::vector<float> large =
      run(*load(linear({1, 0.5}))->make_net(dsp::best_isa()), input, 64);
  const auto net = model->make_net(dsp::best_isa());
  CHECK(run(*net, input, 64) == large);
  net->set_quality(0.49F, false);
  std::vector<float> fading = run(*net, input, 64);
  CHECK(std::equal(fading.begin() + 1100, fading.end(), small.begin() + 1100));
  float jump = 0;
  for (size_t t = 0; t + 1 < 1100; ++t) {
    const float gain = (fading[t] - large[t]) * (small[t] - large[t]);
    jump = std::min(jump, gain);  // always between the two
  }
  CHECK(jump >= 0);
  net->set_quality(0.5F, true);
  CHECK(run(*net, input, 17) == large);
  net->set_quality(0, false);
  net->reset();
  CHECK(run(*net, input, 17) == small);
}

TEST_CASE("a slimmable WaveNet plays the first channels of every tensor") {
  json config = config_of(
      {{"activation", "ReLU"},
       {"slimmable",
        {{"method", "slice_channels_uniform"}, {"kwargs", {{"allowed_channels", {2, 4}}}}}}});
  const json full = general_model(config, 8);
  check(full);
  json narrow_config = config_of({{"activation", "ReLU"}}, 2);
  json narrow = general_model(narrow_config, 8);
  size_t from = 0;
  json weights = json::array();
  const auto cut = [&](int outs, int ins, int kernel, int keep_outs, int keep_ins) {
    for (int o = 0; o < outs; ++o)
      for (int i = 0; i < ins; ++i)
        for (int k = 0; k < kernel; ++k, ++from)
          if (o < keep_outs && i < keep_ins) weights.push_back(full["weights"][from]);
  };
  cut(4, 1, 1, 2, 1);
  for (int l = 0; l < 3; ++l) {
    cut(4, 4, 3, 2, 2);
    cut(4, 1, 1, 2, 1);
    cut(4, 1, 1, 2, 1);
    cut(4, 4, 1, 2, 2);
    cut(4, 1, 1, 2, 1);
  }
  cut(1, 4, 1, 1, 2);
  cut(1, 1, 1, 1, 1);
  cut(1, 1, 1, 1, 1);
  REQUIRE(weights.size() == narrow["weights"].size());
  narrow["weights"] = weights;
  const auto model = load(full);
  const auto net = model->make_net(dsp::best_isa());
  net->set_quality(0.4F, false);
  net->reset();
  const std::vector<float> input = noise(300, 9);
  CHECK(run(*net, input, 64) == run(*load(narrow)->make_net(dsp::best_isa()), input, 64));
}

TEST_CASE("a sequence is its models one behind the other, silence included") {
  const json amp = general_model(config_of({{"activation", "ReLU"}}), 10);
  const json cab = linear({0.5, 0.25, -0.125});
  const json both = weighted("Sequential", {{"models", {amp, cab}}}, json::array());
  const auto amp_model = load(amp);
  const auto model = load(both);
  const std::vector<float> input = noise(300, 11);
  for (const dsp::Isa isa : dsp::available_isas()) {
    std::vector<float> played(64);
    const auto first = amp_model->make_net(isa);
    played = run(*first, played, 64);
    const std::vector<float> more = run(*first, input, 64);
    played.insert(played.end(), more.begin(), more.end());
    std::vector<float> expected = run(*load(cab)->make_net(isa), played, 64);
    expected.erase(expected.begin(), expected.begin() + 64);
    const auto net = model->make_net(isa);
    CHECK(run(*net, input, 64) == expected);
    net->reset();
    CHECK(run(*net, input, 7) == expected);
  }
}

TEST_CASE("a WaveNet that contradicts itself is refused at the place") {
  const auto with = [](const json& patch) {
    return refusal(weighted("WaveNet", config_of(patch), json::array()));
  };
  const auto names = [](const std::string& text, const char* what) {
    CAPTURE(text);
    CHECK(text.find(what) != std::string::npos);
  };
  names(with({{"groups_input", 3}}), "groups_input is 3, expected a divisor of 4 and 4");
  names(with({{"gating_mode", "half"}}), "gating_mode is \"half\", expected \"none\"");
  names(with({{"gated", true}, {"secondary_activation", nullptr}}), "secondary_activation is null");
  names(with({{"activation", "Mish"}}), "activation is \"Mish\", expected one of Tanh");
  names(with({{"activation", {"Tanh"}}}), "activation is a list of 1, expected one entry for each");
  names(with({{"head1x1_post_film", kFilm}}), "head1x1_post_film is an object of 3, expected off");
  names(with({{"bottleneck", 2}, {"layer1x1", {{"active", false}}}}),
        "bottleneck is 2, expected 4");
  names(with({{"condition_size", 2}}), "condition_size is 2");
  names(with({{"kernel_sizes", {1, 2}}}),
        "kernel_sizes is a list of 2, expected one entry for each");
  names(with(json::object()), "weights has 0 numbers, expected");
  json deep = linear({1});
  for (int i = 0; i < 9; ++i) deep = weighted("Sequential", {{"models", {deep}}}, json::array());
  names(refusal(deep), "nested deeper than 8");
}

TEST_CASE("a model that runs away is refused before it is heard") {
  CHECK(refusal(linear({3e38, 3e38})).find("answer to noise") != std::string::npos);
}
