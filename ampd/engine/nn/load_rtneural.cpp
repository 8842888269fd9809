#include <algorithm>
#include <cmath>

#include "load.hpp"

namespace amp::nn {
namespace {

using Kind = PointLayer::Kind;

/// What AIDA-X feeds a model before it plays it.
constexpr int kSilenceFrames = 2048;

/// Layers as they are read: each adds one or two to the stack.
class Reader {
 public:
  Reader(StackSpec& spec, int channels) : spec_(spec), channels_(channels) {}

  void add(const Json& layer);
  [[nodiscard]] int channels() const { return channels_; }
  [[nodiscard]] const std::string& cell() const { return cell_; }

 private:
  void add_conv(const Json& layer, int units);
  void add_dense(const Json& layer, int units);
  void add_lstm(const Json& layer, int units);
  void add_gru(const Json& layer, int units);
  void add_prelu(const Json& layer, int units);
  void add_batchnorm(const Json& layer, int units);
  void add_activation(const Json& layer, int units);
  [[nodiscard]] size_t ins() const { return static_cast<size_t>(channels_); }

  StackSpec& spec_;
  int channels_;
  std::string cell_ = "stack";
};

int read_units(const Json& layer) {
  const Json shape = layer.at("shape");
  if (!shape.is_array() || shape.size() == 0 || shape.size() > 4)
    shape.refuse("a list that ends in the layer's units");
  return static_cast<int>(shape.at(shape.size() - 1).integer(1, kMostUnits));
}

/// The weights of a layer, `least` to `most` tensors.
Json read_weights(const Json& layer, size_t least, size_t most) {
  Json weights = layer.at("weights");
  if (!weights.is_array() || weights.size() < least || weights.size() > most)
    weights.refuse(std::to_string(least) + " to " + std::to_string(most) + " tensors");
  return weights;
}

/// A number, or a list of one.
int read_single(const Json& layer, const char* key, int otherwise, int most) {
  if (!layer.has(key)) return otherwise;
  const Json value = layer.at(key);
  if (value.is_array() && value.size() == 1) return static_cast<int>(value.at(0).integer(1, most));
  return static_cast<int>(value.integer(1, most));
}

/// keras keeps each gate as `hidden` columns; `order` says which of them stands first, second...
std::vector<float> reorder(const std::vector<float>& matrix, size_t hidden,
                           const std::array<size_t, 3>& order) {
  std::vector<float> turned(matrix.size());
  for (size_t i = 0; i < matrix.size(); ++i) {
    const size_t row = i / (3 * hidden);
    const size_t gate = i / hidden % 3;
    turned[i] = matrix[(row * 3 + order[gate]) * hidden + i % hidden];
  }
  return turned;
}

void Reader::add_activation(const Json& layer, int units) {
  if (!layer.has("activation")) return;
  const Json activation = layer.at("activation");
  const std::string name = activation.text();
  if (name.empty() || name == "linear") return;
  constexpr std::array<std::pair<const char*, Kind>, 5> kNames{{{"tanh", Kind::kTanh},
                                                                {"sigmoid", Kind::kSigmoid},
                                                                {"relu", Kind::kRelu},
                                                                {"elu", Kind::kElu},
                                                                {"softmax", Kind::kSoftmax}}};
  for (const auto& [known, kind] : kNames)
    if (name == known) {
      spec_.layers.emplace_back(PointLayer{kind, units, {}, {}});
      return;
    }
  activation.refuse("\"\", tanh, sigmoid, relu, elu or softmax");
}

void Reader::add_dense(const Json& layer, int units) {
  const Json weights = read_weights(layer, 1, 2);
  const auto outs = static_cast<size_t>(units);
  ConvLayer dense{.ins = channels_, .outs = units, .weight = {}, .bias = {}};
  dense.weight = read_matrix(weights.at(0), ins(), outs);
  dense.bias = weights.size() == 2 ? weights.at(1).floats(outs) : std::vector<float>(outs);
  spec_.layers.emplace_back(std::move(dense));
  add_activation(layer, units);
}

void Reader::add_conv(const Json& layer, int units) {
  const Json weights = read_weights(layer, 1, 2);
  const auto outs = static_cast<size_t>(units);
  ConvLayer conv{.ins = channels_, .outs = units, .weight = {}, .bias = {}};
  conv.taps = read_single(layer, "kernel_size", 1, 4096);
  conv.dilation = read_single(layer, "dilation", 1, 1'000'000);
  const auto groups = static_cast<size_t>(read_single(layer, "groups", 1, kMostUnits));
  if (ins() % groups != 0 || outs % groups != 0)
    layer.at("groups").refuse("a divisor of " + std::to_string(channels_) + " and " +
                              std::to_string(units));
  const auto taps = static_cast<size_t>(conv.taps);
  check_macs(layer, static_cast<long>(taps * ins() * outs));
  const Json kernel = weights.at(0);
  if (!kernel.is_array() || kernel.size() != taps)
    kernel.refuse(std::to_string(taps) + " matrices, one a tap");
  conv.weight.resize(taps * ins() * outs);
  const size_t group_ins = ins() / groups;
  for (size_t k = 0; k < taps; ++k) {
    const std::vector<float> tap = read_matrix(kernel.at(k), group_ins, outs);
    for (size_t i = 0; i < group_ins; ++i)
      for (size_t o = 0; o < outs; ++o) {
        const size_t in = o / (outs / groups) * group_ins + i;
        conv.weight[(k * ins() + in) * outs + o] = tap[i * outs + o];
      }
  }
  conv.bias = weights.size() == 2 ? weights.at(1).floats(outs) : std::vector<float>(outs);
  spec_.layers.emplace_back(std::move(conv));
  add_activation(layer, units);
}

/// Columns i, f, c, o. The activation that it names is not looked at: it is tanh.
void Reader::add_lstm(const Json& layer, int units) {
  const Json weights = read_weights(layer, 3, 3);
  const auto hidden = static_cast<size_t>(units);
  RecurrentLayer cell;
  cell.ins = channels_;
  cell.hidden = units;
  cell.weight = read_matrix(weights.at(0), ins(), 4 * hidden);
  cell.recurrent = read_matrix(weights.at(1), hidden, 4 * hidden);
  cell.bias = weights.at(2).floats(4 * hidden);
  spec_.layers.emplace_back(std::move(cell));
  cell_ = "lstm";
}

/// Columns z, r, h, with a bias for the input and one for the state, reset after the matrix.
void Reader::add_gru(const Json& layer, int units) {
  const Json weights = read_weights(layer, 3, 3);
  const auto hidden = static_cast<size_t>(units);
  constexpr std::array<size_t, 3> kOrder{1, 0, 2};
  RecurrentLayer cell;
  cell.is_gru = true;
  cell.ins = channels_;
  cell.hidden = units;
  cell.weight = reorder(read_matrix(weights.at(0), ins(), 3 * hidden), hidden, kOrder);
  cell.recurrent = reorder(read_matrix(weights.at(1), hidden, 3 * hidden), hidden, kOrder);
  const auto both = reorder(read_matrix(weights.at(2), 2, 3 * hidden), hidden, kOrder);
  const auto half = both.begin() + static_cast<ptrdiff_t>(3 * hidden);
  cell.bias.assign(both.begin(), half);
  for (size_t i = 0; i < 2 * hidden; ++i) cell.bias[i] += both[3 * hidden + i];
  cell.inner.assign(half + static_cast<ptrdiff_t>(2 * hidden), both.end());
  spec_.layers.emplace_back(std::move(cell));
  cell_ = "gru";
}

void require_same(const Json& layer, int channels, int units) {
  if (channels != units)
    layer.at("shape").refuse(std::to_string(channels) + " units, the channels before it");
}

void Reader::add_prelu(const Json& layer, int units) {
  require_same(layer, channels_, units);
  const Json slopes = read_weights(layer, 1, 1).at(0);
  PointLayer point{Kind::kPrelu, units, {}, {}};
  point.scale = read_matrix(slopes, 1, ins());
  spec_.layers.emplace_back(std::move(point));
}

/// gamma (x - mean) / sqrt(variance + epsilon) + beta, or without gamma and beta, as one line.
void Reader::add_batchnorm(const Json& layer, int units) {
  require_same(layer, channels_, units);
  const Json weights = read_weights(layer, 2, 4);
  const bool affine = weights.size() == 4;
  if (weights.size() == 3) weights.refuse("gamma, beta, mean and variance, or the last two");
  const size_t first = affine ? 2 : 0;
  const std::vector<float> gamma = affine ? weights.at(0).floats(ins()) : std::vector<float>();
  const std::vector<float> beta = affine ? weights.at(1).floats(ins()) : std::vector<float>();
  const std::vector<float> mean = weights.at(first).floats(ins());
  const std::vector<float> variance = weights.at(first + 1).floats(ins());
  const double epsilon = layer.has("epsilon") ? layer.at("epsilon").number() : 1e-3;
  PointLayer point{Kind::kAffine, units, {}, {}};
  for (size_t c = 0; c < ins(); ++c) {
    const double sum = variance[c] + epsilon;
    if (!(sum > 0)) weights.at(first + 1).refuse("variances above zero with epsilon");
    const double scale = (affine ? gamma[c] : 1) / std::sqrt(sum);
    point.scale.push_back(static_cast<float>(scale));
    point.shift.push_back(static_cast<float>((affine ? beta[c] : 0) - mean[c] * scale));
  }
  spec_.layers.emplace_back(std::move(point));
}

void Reader::add(const Json& layer) {
  struct Row {
    const char* type;
    void (Reader::*add)(const Json&, int);
  };
  constexpr std::array kTypes{Row{"dense", &Reader::add_dense},
                              Row{"time-distributed-dense", &Reader::add_dense},
                              Row{"conv1d", &Reader::add_conv},
                              Row{"lstm", &Reader::add_lstm},
                              Row{"gru", &Reader::add_gru},
                              Row{"prelu", &Reader::add_prelu},
                              Row{"batchnorm", &Reader::add_batchnorm},
                              Row{"activation", &Reader::add_activation}};
  const Json type = layer.at("type");
  const std::string name = type.text();
  std::string known;
  for (const Row& row : kTypes) {
    known += (known.empty() ? "" : ", ") + std::string(row.type);
    if (name != row.type) continue;
    const int units = read_units(layer);
    if (name == "activation") require_same(layer, channels_, units);
    (this->*row.add)(layer, units);
    channels_ = units;
    return;
  }
  type.refuse("one of " + known);
}

float read_gain(const Json& root, const char* key) {
  if (!root.has(key)) return 1;
  const double gain_db = root.at(key).number();
  if (std::abs(gain_db) > 60) root.at(key).refuse("-60 to 60 dB");
  return static_cast<float>(std::pow(10.0, gain_db / 20));
}

int read_inputs(const Json& root) {
  const Json shape = root.at("in_shape");
  if (!shape.is_array() || shape.size() == 0 || shape.size() > 4)
    shape.refuse("a list that ends in the number of inputs");
  return static_cast<int>(shape.at(shape.size() - 1).integer(1, 1 + kMostKnobs));
}

bool read_skip(const Json& root) {
  if (!root.has("in_skip")) return false;
  const Json skip = root.at("in_skip");
  return skip.is_number() ? skip.integer(0, 1) == 1 : skip.boolean();
}

int read_rate(const Json& root, ModelInfo& info) {
  const bool above = root.has("samplerate") || root.has("sample_rate") || !root.has("metadata");
  return read_sample_rate(above ? root : root.at("metadata"), info);
}

/// A list of numbers, or of lists of one.
std::vector<float> read_batch(const Json& batch) {
  const bool nested = batch.size() > 0 && batch.at(0).is_array();
  return nested ? read_matrix(batch, batch.size(), 1) : batch.floats();
}

/// The batch was made from a state that is not in the file, so only its second half counts.
void check_batch(const Json& root, const Model& model) {
  const std::vector<float> input = read_batch(root.at("input_batch"));
  const std::vector<float> expected = read_batch(root.at("output_batch"));
  if (input.size() != expected.size())
    root.at("output_batch").refuse(std::to_string(input.size()) + " numbers, as in input_batch");
  check_self_test(root, model, input, expected, input.size() / 2, 1e-4F);
}

}  // namespace

std::shared_ptr<const Model> load_rtneural(const Json& root) {
  const int inputs = read_inputs(root);
  StackSpec spec;
  spec.knobs = inputs - 1;
  spec.in_gain = read_gain(root, "in_gain");
  spec.out_gain = read_gain(root, "out_gain");
  spec.skip = read_skip(root);
  spec.prewarm_frames = kSilenceFrames;
  const Json layers = root.at("layers");
  if (!layers.is_array() || layers.size() == 0 || layers.size() > 256)
    layers.refuse("a list of 1 to 256 layers");
  Reader reader(spec, inputs);
  for (size_t i = 0; i < layers.size(); ++i) {
    reader.add(layers.at(i));
    check_size(root, spec);
  }
  if (spec.layers.empty()) layers.refuse("at least one layer that does something");
  if (reader.channels() != 1)
    layers.fail("layers: the last one has " + std::to_string(reader.channels()) +
                " outputs, expected 1 (a mono model).");
  ModelInfo info = describe(root, "rtneural", reader.cell());
  info.sample_rate_hz = read_rate(root, info);
  const bool has_batch = root.has("input_batch") && root.has("output_batch");
  // Knobs that move within a batch are no way to play the net, and a net has them at 0.5.
  const bool is_tried = has_batch && spec.knobs == 0;
  if (has_batch && !is_tried)
    info.warnings.emplace_back(
        "the self-test is not run: its batch holds knobs beside the samples");
  auto model = std::make_shared<StackModel>(std::move(info), std::move(spec));
  if (is_tried) check_batch(root, *model);
  return model;
}

}  // namespace amp::nn
