#include <array>
#include <charconv>
#include <cmath>
#include <map>

#include "load.hpp"
#include "pedalnet.hpp"
#include "rows.hpp"

namespace amp::nn {
namespace {

/// Numbers, or their decimal texts, as PedalNetRT writes them.
std::vector<float> read_numbers(const Json& list) {
  if (!list.is_array()) list.refuse("a list of numbers");
  if (list.size() == 0 || !list.at(0).is_text()) return list.floats();
  std::vector<float> values(list.size());
  for (size_t i = 0; i < values.size(); ++i) {
    const Json item = list.at(i);
    const std::string text = item.text();
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    values[i] = static_cast<float>(value);
    if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(values[i]))
      item.refuse("a number");
  }
  return values;
}

/// The variables by layer and name, in any order; each is taken once.
class Variables {
 public:
  Variables(const Json& root, long layers) : root_(root) {
    const Json list = root.at("variables");
    if (!list.is_array()) list.refuse("a list of variables");
    if (list.size() > static_cast<size_t>(4 * (layers + 1)))
      list.refuse("at most " + std::to_string(4 * (layers + 1)) + " variables");
    for (size_t i = 0; i < list.size(); ++i) {
      const Json item = list.at(i);
      const Key key{item.at("layer_idx").integer(-1, layers), item.at("name").text()};
      if (!found_.emplace(key, item.at("data")).second)
        item.refuse("no second " + key.second + " of layer " + std::to_string(key.first));
    }
  }

  std::vector<float> take(long layer, const std::string& name, size_t count) {
    const auto it = found_.find({layer, name});
    if (it == found_.end())
      root_.fail("variables has no " + name + " of layer " + std::to_string(layer) +
                 "; the file is incomplete, export it again.");
    const Json data = it->second;
    found_.erase(it);
    std::vector<float> values = read_numbers(data);
    if (values.size() != count) data.refuse(std::to_string(count) + " numbers");
    return values;
  }

  void check_empty() const {
    if (found_.empty()) return;
    const auto& [layer, name] = found_.begin()->first;
    root_.fail("variables has a " + name + " of layer " + std::to_string(layer) +
               ", expected W_conv, b_conv, W_out and b_out of each layer, W and b around them.");
  }

 private:
  using Key = std::pair<long, std::string>;
  const Json& root_;
  std::map<Key, Json> found_;
};

Gate read_gate(const Json& root) {
  constexpr std::array<std::pair<const char*, Gate>, 7> kGates{{{"gated", Gate::kGated},
                                                                {"softgated", Gate::kSoftgated},
                                                                {"tanh", Gate::kTanh},
                                                                {"relu", Gate::kRelu},
                                                                {"sigmoid", Gate::kSigmoid},
                                                                {"softsign", Gate::kSoftsign},
                                                                {"linear", Gate::kLinear}}};
  const Json activation = root.at("activation");
  const std::string name = activation.text();
  for (const auto& [known, gate] : kGates)
    if (name == known) return gate;
  activation.refuse("gated, softgated, tanh, relu, sigmoid, softsign or linear");
}

void check_size(const Json& root, const PedalNetSpec& spec, const std::vector<int>& dilations) {
  const long width = dsp::padded(spec.channels);
  const long channels = spec.channels;
  check_macs(root, static_cast<long>(dilations.size()) * channels * channels *
                       (static_cast<long>(spec.taps) * spec.halves() + 1));
  long field = 1;
  long floats = 0;
  for (const int dilation : dilations) {
    const long history = static_cast<long>(spec.taps - 1) * dilation;
    field += history;
    floats += 2 * (history + kMaxFrames) * width + width * width * (spec.taps * 2 + 1);
  }
  if (field > kMostFieldFrames)
    root.fail("the receptive field is " + std::to_string(field) + " frames, expected at most " +
              std::to_string(kMostFieldFrames) + ".");
  if (floats > kMostFloats)
    root.fail("the net needs " + std::to_string(floats >> 18L) + " MB of memory, at most 64 MB.");
}

void read_layers(const Json& root, PedalNetSpec& spec, const std::vector<int>& dilations) {
  const auto c = static_cast<size_t>(spec.channels);
  const auto z = c * static_cast<size_t>(spec.halves());
  const auto count = static_cast<long>(dilations.size());
  Variables variables(root, count);
  spec.input = variables.take(-1, "W", c);
  spec.input_bias = variables.take(-1, "b", c);
  for (long l = 0; l < count; ++l) {
    PedalNetLayer layer;
    layer.dilation = dilations[static_cast<size_t>(l)];
    layer.weight = variables.take(l, "W_conv", static_cast<size_t>(spec.taps) * c * z);
    layer.bias = variables.take(l, "b_conv", z);
    layer.out = variables.take(l, "W_out", c * c);
    layer.out_bias = variables.take(l, "b_out", c);
    spec.layers.push_back(std::move(layer));
  }
  const std::vector<float> mix = variables.take(count, "W", c * dilations.size());
  spec.mix_bias = variables.take(count, "b", 1)[0];
  variables.check_empty();
  for (size_t l = 0; l < dilations.size(); ++l) {
    const auto begin = mix.begin() + static_cast<ptrdiff_t>(l * c);
    spec.layers[l].mix.assign(begin, begin + spec.channels);
  }
}

}  // namespace

std::shared_ptr<const Model> load_pedalnet(const Json& root) {
  for (const char* key : {"input_channels", "output_channels"})
    if (root.has(key)) root.at(key).integer(1, 1);
  PedalNetSpec spec;
  spec.gate = read_gate(root);
  spec.channels = static_cast<int>(root.at("residual_channels").integer(1, kMaxChannels));
  spec.taps = static_cast<int>(root.at("filter_width").integer(1, 64));
  const std::vector<int> dilations = root.at("dilations").integers(1, 1'000'000, 256);
  check_size(root, spec, dilations);
  read_layers(root, spec, dilations);
  if (root.has("level_adjust")) {
    const double level = root.at("level_adjust").number();
    if (std::abs(level) > 1000) root.at("level_adjust").refuse("a factor of at most 1000");
    if (level != 0) spec.level = static_cast<float>(level);
  }
  ModelInfo info = describe(root, "pedalnet", "wavenet");
  info.unsaid_rate_hz = 44100;  // PedalNetRT trains at this rate, and its files do not say so
  info.sample_rate_hz = read_sample_rate(root, info);
  return std::make_shared<PedalNetModel>(std::move(info), std::move(spec));
}

}  // namespace amp::nn
