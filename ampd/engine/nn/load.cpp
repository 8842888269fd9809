#include "load.hpp"

#include <cmath>
#include <filesystem>

namespace amp::nn {
namespace {

std::string name_of(const Json& root) {
  if (root.has("metadata")) {
    const Json metadata = root.at("metadata");
    if (metadata.has("name") && metadata.at("name").is_text()) {
      std::string name = metadata.at("name").text();
      if (!name.empty()) return name;
    }
  }
  return std::filesystem::path(root.file()).stem().string();
}

/// Play the file's own input and compare with its own output: 1e-5 of peak holds what float32 can
/// lose many times over and no wrong weight.
void self_test(const Json& root, const Model& model) {
  if (!root.has("self_test")) return;
  const Json test = root.at("self_test");
  const std::vector<float> input = test.at("input").floats();
  const std::vector<float> expected = test.at("output").floats(input.size());
  const std::unique_ptr<Net> net = model.make_net(dsp::best_isa());
  std::array<float, kMaxFrames> block{};
  float peak = 1e-3F;
  float worst = 0;
  for (size_t at = 0; at < input.size(); at += kMaxFrames) {
    const size_t frames = std::min<size_t>(kMaxFrames, input.size() - at);
    net->process(&input[at], block.data(), static_cast<int>(frames));
    for (size_t i = 0; i < frames; ++i) {
      peak = std::max(peak, std::abs(expected[at + i]));
      const float error = std::abs(block[i] - expected[at + i]);
      if (!(error <= worst)) worst = error;
    }
  }
  if (!(worst <= 1e-5F * peak))
    root.fail("the self-test differs by " + std::to_string(worst / peak) +
              " of its peak, expected at most 0.00001; the weights are damaged, export it again.");
}

}  // namespace

ModelInfo describe(const Json& root, const std::string& family, const std::string& architecture) {
  ModelInfo info;
  info.path = root.file();
  info.name = name_of(root);
  info.family = family;
  info.architecture = architecture;
  return info;
}

void check_size(const Json& root, const WaveNetSpec& spec) {
  long field = 1;
  long floats = 0;
  for (const WaveNetArray& array : spec.arrays)
    for (const WaveNetLayer& layer : array.layers) {
      const long history = static_cast<long>(layer.dilation) * (array.kernel_size - 1);
      field += history;
      floats += array.channels * (history + 256);
    }
  if (field > kMostFieldFrames)
    root.fail("the receptive field is " + std::to_string(field) + " frames, expected at most " +
              std::to_string(kMostFieldFrames) + ".");
  if (floats > (16L << 20L))
    root.fail("the net needs " + std::to_string(floats >> 18L) + " MB of memory, at most 64 MB.");
}

std::shared_ptr<const Model> load_model(const std::string& path) {
  const Json root = Json::read(path);
  if (!root.is_object()) root.refuse("an object with the keys of a model");
  const bool native = root.has("format");
  if (!native && !(root.has("architecture") && root.has("config")))
    root.fail(
        "has neither the keys of an ampd model (format, tensors) nor of a NAM file (version, "
        "architecture, config, weights); expected one of the two.");
  std::shared_ptr<const Model> model = native ? load_native(root) : load_nam(root);
  self_test(root, *model);
  return model;
}

}  // namespace amp::nn
