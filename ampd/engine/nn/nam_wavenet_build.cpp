#include <algorithm>
#include <cmath>
#include <set>
#include <utility>

#include "choice.hpp"
#include "nam.hpp"

namespace amp::nn {
namespace {

constexpr size_t kMostSizes = 64;

bool has_fast_curve(const GeneralLayer& layer) {
  switch (layer.activation.kind) {
    case Activation::Kind::kTanh:
    case Activation::Kind::kReLU:
      return true;
    case Activation::Kind::kLeakyReLU:
      return layer.activation.slopes.size() == 1;
    default:
      return false;
  }
}

bool is_fast(const GeneralLayer& layer) {
  if (!layer.layer1x1 || layer.layer1x1->groups != 1 || layer.head1x1) return false;
  for (const std::optional<FilmSpec>& film : layer.films)
    if (film) return false;
  return layer.gating == Gating::kNone && has_fast_curve(layer) &&
         layer.bottleneck == layer.conv.ins && layer.mixin.ins == 1 && layer.conv.groups == 1;
}

/// True for the form that WaveNetModel plays on its fused kernels, as A1 and A2 are.
bool is_fast(const GeneralSpec& spec) {
  if (spec.condition || spec.condition_model || !spec.post_head.empty()) return false;
  for (const GeneralArray& array : spec.arrays) {
    if (array.rechannel.outs > kMaxChannels || array.head.outs > kMaxChannels) return false;
    if (!std::all_of(array.layers.begin(), array.layers.end(),
                     [](const GeneralLayer& layer) { return is_fast(layer); }))
      return false;
  }
  return true;
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

WaveNetLayer to_fast(const GeneralLayer& from) {
  WaveNetLayer layer{.kernel_size = from.conv.kernel,
                     .dilation = from.conv.dilation,
                     .curve = from.activation.kind == Activation::Kind::kTanh ? dsp::Curve::kTanh
                                                                              : dsp::Curve::kLeaky,
                     .slope = from.activation.kind == Activation::Kind::kLeakyReLU
                                  ? from.activation.slopes.front()
                                  : 0.0F,
                     .weight = from.conv.weight,
                     .bias = from.conv.bias,
                     .mixin = from.mixin.weight,
                     .mix = from.layer1x1 ? from.layer1x1->weight : std::vector<float>{},
                     .mix_bias = from.layer1x1 ? from.layer1x1->bias : std::vector<float>{}};
  drop_what_is_free(layer, static_cast<size_t>(from.conv.ins));
  return layer;
}

WaveNetSpec to_fast(const GeneralSpec& from) {
  WaveNetSpec spec;
  spec.head_scale = from.head_scale;
  for (const GeneralArray& general : from.arrays) {
    WaveNetArray& array = spec.arrays.emplace_back();
    array.input_size = general.rechannel.ins;
    array.channels = general.rechannel.outs;
    array.head_size = general.head.outs;
    array.head_kernel = general.head.kernel;
    array.head_dilation = general.head.dilation;
    array.rechannel = general.rechannel.weight;
    array.head_weight = general.head.weight;
    array.head_bias = general.head.bias;
    for (const GeneralLayer& layer : general.layers) array.layers.push_back(to_fast(layer));
  }
  return spec;
}

std::shared_ptr<const Model> make_model(ModelInfo info, GeneralSpec spec) {
  if (is_fast(spec)) return std::make_shared<WaveNetModel>(std::move(info), to_fast(spec));
  return std::make_shared<GeneralWaveNetModel>(std::move(info), std::move(spec));
}

/// The widths that an array may have, smallest first; empty where it has one only.
std::vector<int> read_sizes(const Json& array, int channels) {
  if (!array.has("slimmable") || !array.at("slimmable").is_object()) return {};
  const Json slimmable = array.at("slimmable");
  const Json method = slimmable.at("method");
  if (!method.is_text() || method.text() != "slice_channels_uniform")
    method.refuse("\"slice_channels_uniform\"");
  std::vector<int> sizes;
  if (!slimmable.has("kwargs") || !slimmable.at("kwargs").has("allowed_channels")) {
    for (int size = 1; size <= channels; ++size) sizes.push_back(size);
    return sizes;
  }
  const Json list = slimmable.at("kwargs").at("allowed_channels");
  sizes = list.integers(1, channels, kMostNamSize);
  for (size_t i = 1; i < sizes.size(); ++i)
    if (sizes[i] <= sizes[i - 1]) list.refuse("widths in ascending order");
  if (sizes.back() != channels)
    list.refuse("widths up to " + std::to_string(channels) + ", the channels");
  return sizes;
}

/// The first `outs` rows and `ins` columns of a convolution without groups.
ConvSpec cut(const ConvSpec& from, int ins, int outs) {
  ConvSpec conv = from;
  conv.ins = ins;
  conv.outs = outs;
  conv.weight.clear();
  for (int o = 0; o < outs; ++o) {
    const auto row = from.weight.begin() + static_cast<ptrdiff_t>(o) * from.ins * from.kernel;
    conv.weight.insert(conv.weight.end(), row, row + static_cast<ptrdiff_t>(ins) * from.kernel);
  }
  if (from.has_bias) conv.bias.resize(static_cast<size_t>(outs));
  return conv;
}

void cut_layer(GeneralLayer& layer, int channels) {
  layer.bottleneck =
      layer.layer1x1 ? std::max(1, layer.bottleneck * channels / layer.conv.ins) : channels;
  const int wide = layer.bottleneck * (layer.gating == Gating::kNone ? 1 : 2);
  const std::array<int, kFilmCount> widths{channels,         wide,     0, wide, wide,
                                           layer.bottleneck, channels, 0};
  for (size_t i = 0; i < kFilmCount; ++i)
    if (std::optional<FilmSpec>& film = layer.films[i]; film && widths[i] > 0)
      film->conv = cut(film->conv, film->conv.ins, widths[i] * (film->shift ? 2 : 1));
  layer.conv = cut(layer.conv, channels, wide);
  layer.mixin = cut(layer.mixin, layer.mixin.ins, wide);
  if (layer.layer1x1) layer.layer1x1 = cut(*layer.layer1x1, layer.bottleneck, channels);
  if (layer.head1x1) layer.head1x1 = cut(*layer.head1x1, layer.bottleneck, layer.head1x1->outs);
}

/// The net of the given widths, cut out of the full one as Core cuts it.
GeneralSpec slice(GeneralSpec spec, const std::vector<int>& channels) {
  for (size_t i = 0; i < spec.arrays.size(); ++i) {
    GeneralArray& array = spec.arrays[i];
    array.rechannel =
        cut(array.rechannel, i > 0 ? channels[i - 1] : array.rechannel.ins, channels[i]);
    for (GeneralLayer& layer : array.layers) cut_layer(layer, channels[i]);
    const GeneralLayer& last = array.layers.back();
    const bool end = i + 1 == spec.arrays.size();
    array.head = cut(array.head, last.head1x1 ? last.head1x1->outs : last.bottleneck,
                     end ? array.head.outs : channels[i + 1]);
  }
  return spec;
}

bool can_be_sliced(const GeneralSpec& spec) {
  bool can = spec.post_head.empty();
  for (const ConvSpec* conv : spec.convs()) can = can && conv->groups == 1;
  for (size_t i = 0; i < spec.arrays.size(); ++i) {
    const GeneralLayer& layer = spec.arrays[i].layers.front();
    can = can && spec.arrays[i].head.kernel == 1;
    can = can && (i == 0 || (!layer.head1x1 && layer.bottleneck == layer.conv.ins));
  }
  return can;
}

/// The ratios at which a slimmable net changes its size, ascending, and 1.
std::set<double> breakpoints(const std::vector<std::vector<int>>& sizes) {
  std::set<double> points{1.0};
  for (const std::vector<int>& list : sizes)
    for (size_t i = 1; i < list.size(); ++i)
      points.insert(static_cast<double>(i) / static_cast<double>(list.size()));
  return points;
}

std::shared_ptr<const Model> make_slimmable(NamFile& file, GeneralSpec full,
                                            const std::vector<std::vector<int>>& sizes) {
  std::vector<Choice> choices;
  double from = 0;
  for (const double to : breakpoints(sizes)) {
    const double middle = (from + to) / 2;
    std::vector<int> channels;
    for (size_t i = 0; i < sizes.size(); ++i) {
      const auto n = static_cast<double>(sizes[i].size());
      channels.push_back(sizes[i].empty() ? full.arrays[i].rechannel.outs
                                          : sizes[i][static_cast<size_t>(std::floor(middle * n))]);
    }
    NamFile one = file;
    GeneralSpec spec = slice(full, channels);
    charge(one, std::as_const(spec).convs(), 1, full.condition_frames());
    choices.push_back({to, make_model(one.info, std::move(spec))});
    try_out(file.root, *choices.back().model);
    from = to;
  }
  return std::make_shared<ChoiceModel>(file.info, std::move(choices));
}

}  // namespace

void fill_wavenet(NamFile& file, GeneralSpec& spec) {
  charge(file, std::as_const(spec).convs(), 1, spec.condition_frames());
  WeightReader reader(read_weights(file));
  for (ConvSpec* conv : spec.convs()) reader.fill(*conv);
  spec.head_scale = reader.take(1).front();
}

std::shared_ptr<const Model> load_nam_wavenet(NamFile& file) {
  GeneralSpec spec = read_wavenet_config(file);
  if (spec.outs() != 1)
    file.config().at("layers").fail("config.layers: the last head has " +
                                    std::to_string(spec.outs()) +
                                    " outputs, expected 1 (a mono model).");
  std::vector<std::vector<int>> sizes;
  sizes.reserve(spec.arrays.size());
  for (size_t i = 0; i < spec.arrays.size(); ++i)
    sizes.push_back(read_sizes(file.config().at("layers").at(i), spec.arrays[i].rechannel.outs));
  fill_wavenet(file, spec);
  const size_t points = breakpoints(sizes).size();
  if (points == 1) return make_model(file.info, std::move(spec));
  if (can_be_sliced(spec) && points <= kMostSizes)
    return make_slimmable(file, std::move(spec), sizes);
  file.info.warnings.emplace_back("the net plays at its full size only");
  return make_model(file.info, std::move(spec));
}

}  // namespace amp::nn
