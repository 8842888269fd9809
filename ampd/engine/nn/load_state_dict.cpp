#include "load.hpp"

namespace amp::nn {
namespace {

struct Cells {
  Json tensors;
  bool is_gru = false;
  size_t hidden = 1;
  bool has_bias = true;

  [[nodiscard]] size_t rows() const { return (is_gru ? 3 : 4) * hidden; }
};

/// What a stack of layers of this size would weigh, before any of it is read.
void check_count(const Json& root, const Cells& cells, size_t layers) {
  const auto floats = static_cast<long>(cells.rows() * (cells.hidden * 2 + 2) * layers);
  if (floats > kMostFloats)
    root.fail("the net needs " + std::to_string(floats >> 18L) + " MB of memory, at most 64 MB.");
}

std::vector<float> read_bias(const Cells& cells, const std::string& name) {
  if (!cells.has_bias) return std::vector<float>(cells.rows());
  return cells.tensors.at(name).floats(cells.rows());
}

/// torch: an LSTM's rows i, f, g, o, a GRU's r, z, n, which is the order of the kernels.
RecurrentLayer read_layer(const Cells& cells, size_t index, size_t ins) {
  const std::string end = "_l" + std::to_string(index);
  RecurrentLayer layer;
  layer.is_gru = cells.is_gru;
  layer.ins = static_cast<int>(ins);
  layer.hidden = static_cast<int>(cells.hidden);
  const auto weight = [&](const char* name, size_t columns) {
    return transpose(read_matrix(cells.tensors.at(name + end), cells.rows(), columns), cells.rows(),
                     columns);
  };
  layer.weight = weight("rec.weight_ih", ins);
  layer.recurrent = weight("rec.weight_hh", cells.hidden);
  layer.bias = read_bias(cells, "rec.bias_ih" + end);
  const std::vector<float> second = read_bias(cells, "rec.bias_hh" + end);
  const size_t added = cells.is_gru ? 2 * cells.hidden : cells.rows();
  for (size_t i = 0; i < added; ++i) layer.bias[i] += second[i];
  if (cells.is_gru)
    layer.inner.assign(second.begin() + static_cast<ptrdiff_t>(added), second.end());
  return layer;
}

Cells read_cells(const Json& root, const Json& data) {
  const Json unit = data.at("unit_type");
  const std::string name = unit.is_text() ? unit.text() : "";
  if (name != "LSTM" && name != "GRU") unit.refuse("\"LSTM\" or \"GRU\"");
  if (data.has("model") && data.at("model").text() != "SimpleRNN")
    data.at("model").refuse("\"SimpleRNN\"");
  Cells cells{.tensors = root.at("state_dict")};
  cells.is_gru = name == "GRU";
  cells.hidden = static_cast<size_t>(data.at("hidden_size").integer(1, kMostUnits));
  cells.has_bias =
      cells.tensors.has("rec.bias_ih_l0") || !data.has("bias_fl") || data.at("bias_fl").boolean();
  return cells;
}

}  // namespace

std::shared_ptr<const Model> load_state_dict(const Json& root) {
  const Json data = root.at("model_data");
  const Cells cells = read_cells(root, data);
  const auto inputs = static_cast<size_t>(data.at("input_size").integer(1, 1 + kMostKnobs));
  if (data.has("output_size")) data.at("output_size").integer(1, 1);
  const auto layers =
      data.has("num_layers") ? static_cast<size_t>(data.at("num_layers").integer(1, 64)) : 1;
  check_count(root, cells, layers);
  const size_t tensors = layers * (cells.has_bias ? 4 : 2);
  const size_t most = tensors + 2;
  if (cells.tensors.size() > most)
    root.fail("state_dict has " + std::to_string(cells.tensors.size()) +
              " tensors, expected at most " + std::to_string(most) + " for " +
              std::to_string(layers) + " layers.");
  StackSpec spec;
  spec.knobs = static_cast<int>(inputs) - 1;
  spec.skip = !data.has("skip") || data.at("skip").integer(0, 1) == 1;
  for (size_t l = 0; l < layers; ++l)
    spec.layers.emplace_back(read_layer(cells, l, l == 0 ? inputs : cells.hidden));
  ConvLayer head;
  head.ins = static_cast<int>(cells.hidden);
  head.weight = read_matrix(cells.tensors.at("lin.weight"), 1, cells.hidden);
  head.bias = cells.tensors.has("lin.bias") ? cells.tensors.at("lin.bias").floats(1)
                                            : std::vector<float>(1);
  spec.layers.emplace_back(std::move(head));
  check_size(root, spec);
  ModelInfo info = describe(root, "state_dict", cells.is_gru ? "gru" : "lstm");
  info.unsaid_rate_hz =
      44100;  // Proteus and NeuralPi are trained at this rate, and none of their files says so
  info.sample_rate_hz = read_sample_rate(root, info);
  return std::make_shared<StackModel>(std::move(info), std::move(spec));
}

}  // namespace amp::nn
