#include <algorithm>
#include <array>
#include <charconv>

#include "load.hpp"
#include "wavenet.hpp"

namespace amp::nn {
namespace {

constexpr int kMostLayers = 256;

/// Takes weights in file order, after their number was found to be right.
class WeightReader {
 public:
  explicit WeightReader(std::vector<float> weights) : weights_(std::move(weights)) {}

  std::vector<float> take(size_t count) {
    const auto begin = weights_.begin() + static_cast<ptrdiff_t>(at_);
    at_ += count;
    return {begin, begin + static_cast<ptrdiff_t>(count)};
  }

 private:
  std::vector<float> weights_;
  size_t at_ = 0;
};

struct ArrayShape {
  WaveNetArray array;
  bool head_bias = false;
};

/// The numbers of "0.5.4", or empty where it is not of this form.
std::vector<int> version_numbers(const std::string& text) {
  std::vector<int> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    int number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc() || number < 0) return {};
    numbers.push_back(number);
    if (next == end) return numbers;
    if (*next != '.') return {};
    at = next + 1;
  }
}

void check_version(const Json& root) {
  const Json version = root.at("version");
  const std::vector<int> numbers = version_numbers(version.text());
  if (numbers.size() != 3 || numbers[0] != 0 || numbers[1] < 5 || numbers[1] > 7)
    version.refuse("a NAM file version from \"0.5.0\" to \"0.7.x\"");
}

int sample_rate(const Json& root, ModelInfo& info) {
  if (!root.has("sample_rate")) {
    info.warnings.emplace_back("the file does not say its sample rate; 48000 Hz is assumed");
    return 0;
  }
  return static_cast<int>(root.at("sample_rate").integer(8000, 768000));
}

[[noreturn]] void refuse_option(const Json& option) {
  option.refuse("the NAM A1 form (Tanh, ungated, one kernel size, no 0.6 options)");
}

bool is_off(const Json& value) {
  if (value.is_object()) return value.has("active") && !value.at("active").boolean();
  return !value.is_text() && !value.is_number() && !value.is_array() && !value.boolean();
}

void require_value(const Json& layer, const char* key, long value) {
  if (layer.has(key) && layer.at(key).integer(1, 4096) != value) refuse_option(layer.at(key));
}

void check_activation(const Json& layer) {
  const Json activation = layer.at("activation");
  const Json type = activation.is_object() ? activation.at("type") : activation;
  if (!type.is_text() || type.text() != "Tanh") refuse_option(activation);
  if (layer.has("gating_mode") &&
      (!layer.at("gating_mode").is_text() || layer.at("gating_mode").text() != "none"))
    refuse_option(layer.at("gating_mode"));
}

/// Options of file version 0.6 and newer must stand at the value which means A1.
void check_is_a1(const Json& layer, int channels) {
  for (const char* key : {"conv_pre_film", "conv_post_film", "input_mixin_pre_film",
                          "input_mixin_post_film", "activation_pre_film", "activation_post_film",
                          "layer1x1_post_film", "head1x1_post_film", "head1x1", "gated"})
    if (layer.has(key) && !is_off(layer.at(key))) refuse_option(layer.at(key));
  for (const char* key : {"kernel_sizes", "secondary_activation", "slimmable"})
    if (layer.has(key)) refuse_option(layer.at(key));
  require_value(layer, "groups_input", 1);
  require_value(layer, "groups_input_mixin", 1);
  require_value(layer, "bottleneck", channels);
  check_activation(layer);
  if (!layer.has("layer1x1")) return;
  if (is_off(layer.at("layer1x1"))) refuse_option(layer.at("layer1x1"));
  require_value(layer.at("layer1x1"), "groups", 1);
}

void read_head(const Json& layer, ArrayShape& shape) {
  const bool nested = layer.has("head");
  const Json head = nested ? layer.at("head") : layer;
  if (nested && head.has("kernel_size") && head.at("kernel_size").integer(1, 4096) != 1)
    refuse_option(head.at("kernel_size"));
  shape.array.head_size =
      static_cast<int>(head.at(nested ? "out_channels" : "head_size").integer(1, kMaxChannels));
  shape.head_bias = head.at(nested ? "bias" : "head_bias").boolean();
}

ArrayShape read_array(const Json& layer, int input_size) {
  ArrayShape shape;
  WaveNetArray& array = shape.array;
  array.channels = static_cast<int>(layer.at("channels").integer(1, kMaxChannels));
  check_is_a1(layer, array.channels);
  array.input_size = static_cast<int>(layer.at("input_size").integer(1, kMaxChannels));
  if (array.input_size != input_size)
    layer.at("input_size").refuse(std::to_string(input_size) + ", the channels before it");
  layer.at("condition_size").integer(1, 1);
  array.kernel_size = static_cast<int>(layer.at("kernel_size").integer(1, 64));
  for (const int dilation : layer.at("dilations").integers(1, 1'000'000, kMostLayers))
    array.layers.emplace_back().dilation = dilation;
  read_head(layer, shape);
  return shape;
}

size_t count_weights(const ArrayShape& shape) {
  const WaveNetArray& array = shape.array;
  const auto c = static_cast<size_t>(array.channels);
  const size_t layer = c * c * static_cast<size_t>(array.kernel_size) + c + c + c * c + c;
  return c * static_cast<size_t>(array.input_size) + array.layers.size() * layer +
         static_cast<size_t>(array.head_size) * (c + (shape.head_bias ? 1 : 0));
}

bool all_zero(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return v == 0.0F; });
}

bool is_identity(const std::vector<float>& matrix, size_t size) {
  for (size_t row = 0; row < size; ++row)
    for (size_t column = 0; column < size; ++column)
      if (matrix[row * size + column] != (row == column ? 1.0F : 0.0F)) return false;
  return true;
}

/// What a file spells out but does not use costs nothing to play.
void drop_what_is_free(WaveNetLayer& layer, size_t channels) {
  if (all_zero(layer.mixin)) layer.mixin.clear();
  if (all_zero(layer.mix_bias)) layer.mix_bias.clear();
  if (layer.mix_bias.empty() && is_identity(layer.mix, channels)) layer.mix.clear();
}

void fill(ArrayShape& shape, WeightReader& reader) {
  WaveNetArray& array = shape.array;
  const auto c = static_cast<size_t>(array.channels);
  array.rechannel = reader.take(c * static_cast<size_t>(array.input_size));
  for (WaveNetLayer& layer : array.layers) {
    layer.weight = reader.take(c * c * static_cast<size_t>(array.kernel_size));
    layer.bias = reader.take(c);
    layer.mixin = reader.take(c);
    layer.mix = reader.take(c * c);
    layer.mix_bias = reader.take(c);
    drop_what_is_free(layer, c);
  }
  array.head_weight = reader.take(static_cast<size_t>(array.head_size) * c);
  if (shape.head_bias) array.head_bias = reader.take(static_cast<size_t>(array.head_size));
}

std::vector<ArrayShape> read_shapes(const Json& config) {
  for (const char* key : {"head", "condition_dsp"})
    if (config.has(key)) refuse_option(config.at(key));
  if (config.has("in_channels")) config.at("in_channels").integer(1, 1);
  const Json layers = config.at("layers");
  if (!layers.is_array() || layers.size() == 0 || layers.size() > 16)
    layers.refuse("a list of 1 to 16 layer arrays");
  std::vector<ArrayShape> shapes;
  int input_size = 1;
  for (size_t i = 0; i < layers.size(); ++i) {
    shapes.push_back(read_array(layers.at(i), input_size));
    const WaveNetArray& array = shapes.back().array;
    if (i > 0 && array.channels != shapes[i - 1].array.head_size)
      layers.at(i)
          .at("channels")
          .refuse(std::to_string(shapes[i - 1].array.head_size) +
                  ", the head size of the array before it");
    input_size = array.channels;
  }
  if (shapes.back().array.head_size != 1)
    layers.fail("config.layers: the last head has " +
                std::to_string(shapes.back().array.head_size) +
                " outputs, expected 1 (a mono model).");
  return shapes;
}

}  // namespace

std::shared_ptr<const Model> load_nam(const Json& root) {
  check_version(root);
  const Json architecture = root.at("architecture");
  if (!architecture.is_text() || architecture.text() != "WaveNet")
    architecture.refuse("\"WaveNet\" (NAM A1)");
  ModelInfo info = describe(root, "nam", "wavenet");
  info.sample_rate_hz = sample_rate(root, info);
  std::vector<ArrayShape> shapes = read_shapes(root.at("config"));
  size_t expected = 1;
  for (const ArrayShape& shape : shapes) expected += count_weights(shape);
  std::vector<float> weights = root.at("weights").floats(expected);
  info.weight_count = static_cast<int>(expected);
  WaveNetSpec spec;
  spec.head_scale = weights.back();
  WeightReader reader(std::move(weights));
  for (ArrayShape& shape : shapes) {
    fill(shape, reader);
    spec.arrays.push_back(std::move(shape.array));
  }
  check_size(root, spec);
  return std::make_shared<WaveNetModel>(std::move(info), std::move(spec));
}

}  // namespace amp::nn
