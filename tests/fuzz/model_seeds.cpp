/// seeds FOLDER: a small model of every family and option, made by the engine's own fixtures.
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "../engine/families.hpp"
#include "../engine/nam_reference.hpp"

using namespace amp::test;
using nlohmann::json;

namespace {

/// Three digits are enough to reach every line, and the corpus stays small.
void shorten(json& node) {
  if (node.is_number_float()) {
    std::array<char, 32> text{};
    std::snprintf(text.data(), text.size(), "%.2g", node.get<double>());
    node = json::parse(text.data());
  } else if (node.is_structured()) {
    for (json& child : node) shorten(child);
  }
}

class Seeds {
 public:
  explicit Seeds(const std::filesystem::path& folder) : folder_(folder) {
    std::filesystem::create_directories(folder);
  }

  void add(const std::string& name, json document) {
    shorten(document);
    std::ofstream(folder_ / (name + ".json")) << document.dump();
  }

 private:
  std::filesystem::path folder_;
};

json array_of(int channels, const json& patch) {
  json array{{"input_size", 1},
             {"condition_size", 1},
             {"channels", channels},
             {"kernel_size", 2},
             {"dilations", {1, 2}},
             {"activation", "Tanh"},
             {"head", {{"out_channels", 1}, {"kernel_size", 1}, {"bias", true}}}};
  array.update(patch);
  if (array.contains("kernel_sizes")) array.erase("kernel_size");
  return array;
}

json config_of(const json& patch, int channels = 2) {
  return {{"layers", {array_of(channels, patch)}}, {"head", nullptr}, {"head_scale", 1.0}};
}

json weighted(const std::string& architecture, const json& config, const json& weights) {
  return {{"version", "0.7.0"},
          {"architecture", architecture},
          {"config", config},
          {"weights", weights},
          {"sample_rate", 48000}};
}

json linear(const json& taps) {
  return weighted("Linear", {{"receptive_field", taps.size()}, {"bias", false}}, taps);
}

void add_layer_options(Seeds& seeds) {
  const json film{{"active", true}, {"shift", true}, {"groups", 1}};
  const json head{{"active", true}, {"out_channels", 3}, {"groups", 1}};
  int index = 0;
  for (const json& patch : std::vector<json>{
           {{"gated", true}},
           {{"gating_mode", "blended"}, {"bottleneck", 1}},
           {{"gating_mode", {"none", "gated"}}, {"secondary_activation", {nullptr, "Softsign"}}},
           {{"activation", {{"type", "PReLU"}, {"negative_slopes", {0.1, 0.2}}}}},
           {{"activation", {{"type", "LeakyHardtanh"}, {"min_val", -0.2}, {"max_slope", 0.3}}}},
           {{"activation", {"Hardswish", {{"type", "LeakyReLU"}, {"negative_slope", 0.2}}}}},
           {{"groups_input", 2}, {"layer1x1", {{"active", true}, {"groups", 2}}}},
           {{"layer1x1", {{"active", false}, {"groups", 1}}}},
           {{"kernel_sizes", {1, 3}}, {"head1x1", head}},
           {{"head",
             {{"out_channels", 1}, {"kernel_size", 2}, {"bias", true}, {"head_dilation", 3}}}},
           {{"conv_pre_film", film}, {"conv_post_film", film}},
           {{"input_mixin_pre_film", film}, {"input_mixin_post_film", {{"shift", false}}}},
           {{"activation_pre_film", film}, {"activation_post_film", film}},
           {{"gating_mode", "blended"}, {"layer1x1_post_film", film}},
           {{"head1x1", head}, {"head1x1_post_film", film}}})
    seeds.add("wavenet-" + std::to_string(index++), general_model(config_of(patch), 3));
}

void add_nam(Seeds& seeds) {
  seeds.add("nam-a1", nam_model(2, 1, {1, 2}, 1));
  json config = config_of({{"head", {{"out_channels", 2}, {"kernel_size", 1}, {"bias", false}}}});
  config["head"] = {
      {"channels", 2}, {"out_channels", 1}, {"kernel_sizes", {2, 1}}, {"activation", "SiLU"}};
  seeds.add("nam-post-head", general_model(config, 4));
  config["head"] = nullptr;
  config["layers"].push_back(array_of(2, {{"input_size", 2}, {"gated", true}}));
  seeds.add("nam-two-arrays", general_model(config, 5));
  const json condition = general_model(
      config_of({{"head", {{"out_channels", 2}, {"kernel_size", 2}, {"bias", true}}}}), 6);
  for (json& array : config["layers"]) array["condition_size"] = 2;
  config["condition_dsp"] = condition;
  seeds.add("nam-condition", general_model(config, 7));
  json slim = config_of(
      {{"slimmable",
        {{"method", "slice_channels_uniform"}, {"kwargs", {{"allowed_channels", {1, 2}}}}}}});
  seeds.add("nam-slimmable", general_model(slim, 8));
  const json amp = general_model(config_of({{"activation", "ReLU"}}, 1), 10);
  seeds.add("nam-sequential",
            weighted("Sequential", {{"models", {amp, linear({0.5, 0.2})}}}, json::array()));
  seeds.add("nam-container", weighted("SlimmableContainer",
                                      {{"submodels",
                                        {{{"max_value", 0.5}, {"model", linear({0.2, 0, 0.2})}},
                                         {{"max_value", 1.0}, {"model", amp}}}}},
                                      json::array()));
  seeds.add("nam-linear", linear({1, 0.5, 0.25}));
  seeds.add(
      "nam-convnet",
      weighted("ConvNet",
               {{"channels", 1}, {"dilations", {3}}, {"batchnorm", true}, {"activation", "Tanh"}},
               {0.5, 2, 0.25, 3, 1.5, 0.125, 1, 0.75, -0.5}));
  json lstm = nam_lstm_model(Cell(false, 1, 1, 1));
  lstm["sample_rate"] = 8000;
  seeds.add("nam-lstm", lstm);
}

void add_keras(Seeds& seeds) {
  seeds.add("keras-lstm", keras_model(Cell(false, 1, 1, 2)));
  seeds.add("keras-gru", keras_model(Cell(true, 2, 1, 3)));
  json stack{{"in_shape", {nullptr, nullptr, 1}}, {"in_gain", -3}, {"in_skip", 1}};
  json conv = layer("conv1d", 2, {{{{0.5, -0.5}}, {{0.25, 1}}}, {0.1, 0.2}});
  conv["kernel_size"] = {2};
  conv["dilation"] = {3};
  conv["activation"] = "elu";
  json point = layer("activation", 2, json::array());
  point["activation"] = "softmax";
  stack["layers"] = {conv, layer("batchnorm", 2, {{1, 2}, {0, 0.5}, {0.1, 0.2}, {1, 0.3}}),
                     layer("prelu", 2, json::array({json::array({json::array({0.1, 0.2})})})),
                     point, layer("dense", 1, {{{1}, {0.5}}, {0.1}})};
  stack["layers"][2]["weights"] = json::array({json::array({json::array({0.1, 0.2})})});
  seeds.add("keras-stack", stack);
  json batch{{"in_shape", {1}}, {"input_batch", {0.5, -0.5}}, {"output_batch", {0.5, -0.5}}};
  batch["layers"] = json::array({layer("dense", 1, json::array({json::array({{1.0}}), {0.0}}))});
  seeds.add("keras-batch", batch);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: seeds FOLDER\n");
    return 2;
  }
  Seeds seeds(argv[1]);
  add_layer_options(seeds);
  add_nam(seeds);
  add_keras(seeds);
  json own = native_model(1, 2, {1, 2}, 1);
  seeds.add("own", own);
  seeds.add("state-dict-lstm", state_dict_model(Cell(false, 1, 1, 4)));
  seeds.add("state-dict-gru", state_dict_model(Cell(true, 2, 1, 5)));
  json pedalnet = pedalnet_model();
  seeds.add("pedalnet", pedalnet);
  for (json& variable : pedalnet["variables"])
    for (json& value : variable["data"]) value = std::to_string(value.get<double>()).substr(0, 5);
  seeds.add("pedalnet-text", pedalnet);
  return 0;
}
