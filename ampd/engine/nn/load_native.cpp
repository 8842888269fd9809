#include <algorithm>

#include "load.hpp"
#include "wavenet.hpp"

namespace amp::nn {
namespace {

void check_header(const Json& root) {
  if (root.at("format").text() != "ampd-model") root.at("format").refuse("\"ampd-model\"");
  root.at("format_version").integer(1, 1);
  if (root.at("architecture").text() != "residual_wavenet")
    root.at("architecture").refuse("\"residual_wavenet\"");
  if (root.at("activation").text() != "tanh") root.at("activation").refuse("\"tanh\"");
  if (root.at("prewarm").text() != "silence") root.at("prewarm").refuse("\"silence\"");
  if (!root.at("causal").boolean())
    root.fail(
        "causal is false: an offline net needs input that has not been played yet, so it cannot "
        "play live; expected a causal model, render this one with the trainer.");
}

}  // namespace

std::shared_ptr<const Model> load_native(const Json& root) {
  check_header(root);
  ModelInfo info = describe(root, "ampd", "residual_wavenet");
  info.sample_rate_hz = static_cast<int>(root.at("sample_rate").integer(8000, 768000));
  WaveNetArray array;
  array.channels = static_cast<int>(root.at("channels").integer(1, kMaxChannels));
  const int kernel = static_cast<int>(root.at("kernel_size").integer(1, 64));
  array.head_starts_from_stream = true;
  const std::vector<int> dilations = root.at("dilations").integers(1, 1'000'000, 256);
  for (const int dilation : dilations) {
    WaveNetLayer& layer = array.layers.emplace_back();
    layer.kernel_size = kernel;
    layer.dilation = dilation;
  }
  const auto channels = static_cast<size_t>(array.channels);
  const Json tensors = root.at("tensors");
  const size_t known = 4 + 2 * dilations.size();
  if (tensors.size() != known)
    root.fail("tensors has " + std::to_string(tensors.size()) + " entries, expected " +
              std::to_string(known) + " for " + std::to_string(dilations.size()) + " dilations.");
  array.rechannel = tensors.at("input.weight").floats(channels);
  array.rechannel_bias = tensors.at("input.bias").floats(channels);
  array.head_weight = tensors.at("output.weight").floats(channels);
  array.head_bias = tensors.at("output.bias").floats(1);
  size_t weights = 3 * channels + 1;
  const size_t square = channels * channels * static_cast<size_t>(kernel);
  for (size_t i = 0; i < array.layers.size(); ++i) {
    const std::string block = "blocks." + std::to_string(i);
    array.layers[i].weight = tensors.at(block + ".weight").floats(square);
    array.layers[i].bias = tensors.at(block + ".bias").floats(channels);
    weights += square + channels;
  }
  info.weight_count = static_cast<int>(weights);
  WaveNetSpec spec;
  spec.arrays.push_back(std::move(array));
  check_size(root, spec);
  return std::make_shared<WaveNetModel>(std::move(info), std::move(spec));
}

}  // namespace amp::nn
