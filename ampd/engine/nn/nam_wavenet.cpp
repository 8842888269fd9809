#include "nam.hpp"

namespace amp::nn {
namespace {

constexpr std::array kFilmKeys{
    "conv_pre_film",       "conv_post_film",       "input_mixin_pre_film", "input_mixin_post_film",
    "activation_pre_film", "activation_post_film", "layer1x1_post_film",   "head1x1_post_film"};

/// Absent, null and false are off; an object is on unless it says otherwise.
bool is_on(const Json& layer, const char* key, bool absent) {
  if (!layer.has(key)) return absent;
  const Json value = layer.at(key);
  return value.is_object() ? boolean_or(value, "active", true) : value.boolean();
}

/// The value of a layer: an array's own, or the entry of a list of one a layer.
Json of_layer(const Json& array, const char* key, size_t index, size_t layers) {
  Json value = array.at(key);
  if (!value.is_array()) return value;
  if (value.size() != layers)
    value.refuse("one entry for each of " + std::to_string(layers) + " layers");
  return value.at(index);
}

ConvSpec pointwise(int ins, int outs, int groups, bool has_bias) {
  ConvSpec conv;
  conv.ins = ins;
  conv.outs = outs;
  conv.groups = groups;
  conv.has_bias = has_bias;
  return conv;
}

/// `groups` of a convolution; it must divide both widths.
int read_groups(const Json& object, const char* key, int ins, int outs) {
  const int groups = integer_or(object, key, 1, 1, kMostNamSize);
  if (ins % groups != 0 || outs % groups != 0)
    object.at(key).refuse("a divisor of " + std::to_string(ins) + " and " + std::to_string(outs));
  return groups;
}

/// What all layers of an array share.
struct Shape {
  Json json;
  int condition_size;
  int channels;
  int bottleneck;
  std::vector<int> dilations;
};

Gating read_gating(const Shape& shape, size_t index) {
  const Json& json = shape.json;
  if (!json.has("gating_mode"))
    return boolean_or(json, "gated", false) ? Gating::kGated : Gating::kNone;
  const Json mode = of_layer(json, "gating_mode", index, shape.dilations.size());
  const std::string name = mode.is_text() ? mode.text() : "";
  if (name == "none") return Gating::kNone;
  if (name == "gated") return Gating::kGated;
  if (name == "blended") return Gating::kBlended;
  mode.refuse("\"none\", \"gated\" or \"blended\"");
}

void read_1x1s(const Shape& shape, GeneralLayer& layer) {
  const Json& json = shape.json;
  if (is_on(json, "layer1x1", true)) {
    const bool said = json.has("layer1x1") && json.at("layer1x1").is_object();
    const int groups =
        said ? read_groups(json.at("layer1x1"), "groups", shape.bottleneck, shape.channels) : 1;
    layer.layer1x1 = pointwise(shape.bottleneck, shape.channels, groups, true);
  } else if (shape.bottleneck != shape.channels) {
    json.at("bottleneck")
        .refuse(std::to_string(shape.channels) + ", the channels, where layer1x1 is off");
  }
  if (!is_on(json, "head1x1", false)) return;
  const Json head = json.at("head1x1");
  const int outs = integer_or(head, "out_channels", shape.channels, 1, kMostNamSize);
  layer.head1x1 =
      pointwise(shape.bottleneck, outs, read_groups(head, "groups", shape.bottleneck, outs), true);
}

void read_films(const Shape& shape, GeneralLayer& layer) {
  const std::array<int, kFilmCount> widths{shape.channels,
                                           layer.conv.outs,
                                           shape.condition_size,
                                           layer.conv.outs,
                                           layer.conv.outs,
                                           shape.bottleneck,
                                           layer.layer1x1 ? shape.channels : 0,
                                           layer.head1x1 ? layer.head1x1->outs : 0};
  for (size_t i = 0; i < kFilmCount; ++i) {
    if (!is_on(shape.json, kFilmKeys[i], false)) continue;
    const Json json = shape.json.at(kFilmKeys[i]);
    if (widths[i] == 0) json.refuse("off, as the convolution before it is");
    FilmSpec film;
    film.shift = boolean_or(json, "shift", true);
    const int outs = widths[i] * (film.shift ? 2 : 1);
    const int groups =
        json.is_object() ? read_groups(json, "groups", shape.condition_size, outs) : 1;
    film.conv = pointwise(shape.condition_size, outs, groups, true);
    layer.films[i] = film;
  }
}

GeneralLayer read_layer(const Shape& shape, size_t index) {
  const Json& json = shape.json;
  const size_t layers = shape.dilations.size();
  GeneralLayer layer;
  layer.bottleneck = shape.bottleneck;
  layer.gating = read_gating(shape, index);
  layer.activation = read_activation(of_layer(json, "activation", index, layers), shape.bottleneck);
  layer.secondary.kind = Activation::Kind::kSigmoid;
  if (layer.gating != Gating::kNone && json.contains("secondary_activation"))
    layer.secondary =
        read_activation(of_layer(json, "secondary_activation", index, layers), shape.bottleneck);
  const bool one_each = json.has("kernel_sizes");
  if (one_each && json.has("kernel_size"))
    json.at("kernel_sizes").refuse("either kernel_size or kernel_sizes");
  if (one_each && !json.at("kernel_sizes").is_array()) json.at("kernel_sizes").refuse("a list");
  layer.conv.ins = shape.channels;
  layer.conv.outs = shape.bottleneck * (layer.gating == Gating::kNone ? 1 : 2);
  layer.conv.kernel = static_cast<int>(
      (one_each ? of_layer(json, "kernel_sizes", index, layers) : json.at("kernel_size"))
          .integer(1, kMostNamSize));
  layer.conv.dilation = shape.dilations[index];
  layer.conv.groups = read_groups(json, "groups_input", shape.channels, layer.conv.outs);
  const int groups = read_groups(json, "groups_input_mixin", shape.condition_size, layer.conv.outs);
  layer.mixin = pointwise(shape.condition_size, layer.conv.outs, groups, false);
  read_1x1s(shape, layer);
  read_films(shape, layer);
  return layer;
}

ConvSpec read_head(const Json& array, int ins) {
  const bool nested = array.has("head");
  const Json json = nested ? array.at("head") : array;
  ConvSpec head;
  head.ins = ins;
  head.outs =
      static_cast<int>(json.at(nested ? "out_channels" : "head_size").integer(1, kMostNamSize));
  head.has_bias = json.at(nested ? "bias" : "head_bias").boolean();
  if (!nested) return head;
  head.kernel = integer_or(json, "kernel_size", 1, 1, kMostNamSize);
  head.dilation = integer_or(json, "head_dilation", 1, 1, 1'000'000);
  return head;
}

/// `most`: how many layers may still follow; each costs memory before its weights are counted.
GeneralArray read_array(const Json& json, int input_size, int condition_size, size_t most) {
  Shape shape{.json = json,
              .condition_size = static_cast<int>(
                  json.at("condition_size").integer(condition_size, condition_size)),
              .channels = static_cast<int>(json.at("channels").integer(1, kMostNamSize)),
              .bottleneck = 0,
              .dilations = json.at("dilations").integers(1, 1'000'000, most)};
  shape.bottleneck = integer_or(json, "bottleneck", shape.channels, 1, kMostNamSize);
  if (json.at("input_size").integer(1, kMostNamSize) != input_size)
    json.at("input_size").refuse(std::to_string(input_size) + ", the channels before it");
  GeneralArray array;
  array.rechannel = pointwise(input_size, shape.channels, 1, false);
  array.layers.reserve(shape.dilations.size());
  for (size_t i = 0; i < shape.dilations.size(); ++i) array.layers.push_back(read_layer(shape, i));
  const GeneralLayer& last = array.layers.back();
  array.head = read_head(json, last.head1x1 ? last.head1x1->outs : shape.bottleneck);
  return array;
}

ConvStackSpec read_post_head(const Json& json, int ins) {
  if (!json.is_object()) json.refuse("an object with the keys of a head");
  if (integer_or(json, "in_channels", ins, 1, kMostNamSize) != ins)
    json.at("in_channels").refuse(std::to_string(ins) + ", the outputs of the last layer array");
  const int channels = static_cast<int>(json.at("channels").integer(1, kMostNamSize));
  const int outs = static_cast<int>(json.at("out_channels").integer(1, kMostNamSize));
  const std::vector<int> kernels = json.at("kernel_sizes").integers(1, kMostNamSize, kMostNamSize);
  ConvStackSpec steps;
  for (size_t i = 0; i < kernels.size(); ++i) {
    ConvStep& step = steps.emplace_back();
    step.before = read_activation(json.at("activation"), ins);
    step.conv.ins = ins;
    step.conv.outs = i + 1 == kernels.size() ? outs : channels;
    step.conv.kernel = kernels[i];
    ins = step.conv.outs;
  }
  return steps;
}

/// How many channels condition the layers: those of condition_dsp, else the one of the input.
int read_condition(NamFile& file, GeneralSpec& spec) {
  if (!file.config().has("condition_dsp")) return 1;
  NamFile nested = open_nested(file.config().at("condition_dsp"), file);
  if (nested.root.at("architecture").text() != "WaveNet") {
    spec.condition_model = load_nam_file(nested);
    return 1;
  }
  auto condition = std::make_shared<GeneralSpec>(read_wavenet_config(nested));
  fill_wavenet(nested, *condition);
  const int outs = condition->outs();
  spec.condition = std::move(condition);
  return outs;
}

/// Core plays these two otherwise than the trainer that wrote them; we follow Core.
void warn_of_divergence(const GeneralSpec& spec, ModelInfo& info) {
  bool frozen = false;
  bool unfilmed = false;
  for (const GeneralArray& array : spec.arrays)
    for (const GeneralLayer& layer : array.layers) {
      frozen |= !layer.layer1x1.has_value();
      unfilmed |= layer.films[kLayer1x1Post] && layer.gating != Gating::kBlended;
    }
  if (frozen)
    info.warnings.emplace_back(
        "layer1x1 is off: the stream passes unchanged, as NAM Core plays it");
  if (unfilmed)
    info.warnings.emplace_back(
        "layer1x1_post_film acts in blended layers only, as NAM Core plays it");
}

}  // namespace

GeneralSpec read_wavenet_config(NamFile& file) {
  const Json config = file.config();
  GeneralSpec spec;
  const int condition_size = read_condition(file, spec);
  if (config.has("in_channels")) config.at("in_channels").integer(1, 1);
  const Json layers = config.at("layers");
  if (!layers.is_array() || layers.size() == 0 || layers.size() > 64)
    layers.refuse("a list of 1 to 64 layer arrays");
  int input_size = 1;
  size_t most = kMostNamSize;
  for (size_t i = 0; i < layers.size(); ++i) {
    spec.arrays.push_back(read_array(layers.at(i), input_size, condition_size, most));
    most -= spec.arrays.back().layers.size();
    const GeneralArray& array = spec.arrays.back();
    if (i > 0 && array.head.ins != spec.arrays[i - 1].head.outs)
      layers.at(i)
          .at("channels")
          .refuse(std::to_string(spec.arrays[i - 1].head.outs) +
                  ", the head size of the array before it");
    input_size = array.rechannel.outs;
  }
  if (config.has("head"))
    spec.post_head = read_post_head(config.at("head"), spec.arrays.back().head.outs);
  warn_of_divergence(spec, file.info);
  return spec;
}

}  // namespace amp::nn
