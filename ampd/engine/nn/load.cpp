#include "load.hpp"

#include <cmath>
#include <filesystem>

#include "wavenet.hpp"

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
void self_test(const Json& root, const std::shared_ptr<const Model>& model) {
  if (!root.has("self_test")) return;
  const Json test = root.at("self_test");
  const std::vector<float> input = test.at("input").floats();
  const std::vector<float> expected = test.at("output").floats(input.size());
  const std::unique_ptr<Net> net = make_net(model, dsp::best_isa());
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

void check_size(const Json& root, const WaveNetSpec& spec, const ModelInfo& info) {
  if (info.receptive_field_frames > kMostFieldFrames)
    root.fail("the receptive field is " + std::to_string(info.receptive_field_frames) +
              " frames, expected at most " + std::to_string(kMostFieldFrames) + ".");
  long floats = 0;
  for (const WaveNetArray& array : spec.arrays)
    for (const WaveNetLayer& layer : array.layers)
      floats += static_cast<long>(array.channels) *
                (static_cast<long>(layer.dilation) * (array.kernel_size - 1) + 256);
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
  Model model = native ? load_native(root) : load_nam(root);
  model.info.path = path;
  model.info.name = name_of(root);
  auto shared = std::make_shared<const Model>(std::move(model));
  self_test(root, shared);
  return shared;
}

}  // namespace amp::nn
