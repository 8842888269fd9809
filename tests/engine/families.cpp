#include "families.hpp"

#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

namespace amp::test {

using nlohmann::json;

namespace {

std::vector<float> scaled(size_t count, float scale, unsigned seed) {
  std::vector<float> values = noise(count, seed);
  for (float& v : values) v *= scale;
  return values;
}

/// A nested list of `values` [rows][columns].
json nested(const std::vector<float>& values, size_t rows, size_t columns) {
  json list = json::array();
  for (size_t r = 0; r < rows; ++r) {
    const auto begin = values.begin() + static_cast<ptrdiff_t>(r * columns);
    list.push_back(std::vector<float>(begin, begin + static_cast<ptrdiff_t>(columns)));
  }
  return list;
}

/// torch's [rows][columns] as keras' [columns][rows], its gates in keras' order.
std::vector<float> to_keras(const Cell& cell, const std::vector<float>& matrix, size_t columns) {
  const std::vector<size_t> order =
      cell.is_gru ? std::vector<size_t>{1, 0, 2} : std::vector<size_t>{0, 1, 2, 3};
  std::vector<float> turned;
  for (size_t c = 0; c < columns; ++c)
    for (const size_t g : order)
      for (size_t u = 0; u < cell.hidden; ++u)
        turned.push_back(matrix[(g * cell.hidden + u) * columns + c]);
  return turned;
}

}  // namespace

Cell::Cell(bool gru, size_t inputs, size_t units, unsigned seed)
    : is_gru(gru),
      ins(inputs),
      hidden(units),
      ih(scaled(rows() * ins, 0.9F, seed)),
      hh(scaled(rows() * hidden, 0.9F / std::sqrt(static_cast<float>(hidden)), seed + 1)),
      bias_ih(scaled(rows(), 0.3F, seed + 2)),
      bias_hh(scaled(rows(), 0.3F, seed + 3)),
      head(scaled(hidden, 0.9F / std::sqrt(static_cast<float>(hidden)), seed + 4)) {}

json state_dict_model(const Cell& cell) {
  return {{"model_data",
           {{"model", "SimpleRNN"},
            {"input_size", cell.ins},
            {"skip", 1},
            {"output_size", 1},
            {"unit_type", cell.is_gru ? "GRU" : "LSTM"},
            {"num_layers", 1},
            {"hidden_size", cell.hidden},
            {"bias_fl", true}}},
          {"state_dict",
           {{"rec.weight_ih_l0", nested(cell.ih, cell.rows(), cell.ins)},
            {"rec.weight_hh_l0", nested(cell.hh, cell.rows(), cell.hidden)},
            {"rec.bias_ih_l0", cell.bias_ih},
            {"rec.bias_hh_l0", cell.bias_hh},
            {"lin.weight", nested(cell.head, 1, cell.hidden)},
            {"lin.bias", {cell.head_bias}}}}};
}

json layer(const std::string& type, int units, const json& weights) {
  return {{"type", type},
          {"activation", ""},
          {"shape", {nullptr, nullptr, units}},
          {"weights", weights}};
}

json keras_model(const Cell& cell) {
  const size_t rows = cell.rows();
  std::vector<float> bias = to_keras(cell, cell.bias_ih, 1);
  const std::vector<float> second = to_keras(cell, cell.bias_hh, 1);
  json biases = bias;
  if (cell.is_gru) {
    biases = {bias, second};
  } else {
    for (size_t i = 0; i < rows; ++i) bias[i] += second[i];
    biases = bias;
  }
  const json weights{nested(to_keras(cell, cell.ih, cell.ins), cell.ins, rows),
                     nested(to_keras(cell, cell.hh, cell.hidden), cell.hidden, rows), biases};
  json document{{"in_shape", {nullptr, nullptr, cell.ins}}, {"samplerate", "48000"}};
  document["layers"] = {layer(cell.is_gru ? "gru" : "lstm", static_cast<int>(cell.hidden), weights),
                        layer("dense", 1, {nested(cell.head, cell.hidden, 1), {cell.head_bias}})};
  return document;
}

json nam_lstm_model(const Cell& cell) {
  std::vector<float> all;
  for (size_t row = 0; row < cell.rows(); ++row) {
    const auto add = [&](const std::vector<float>& matrix, size_t columns) {
      const auto begin = matrix.begin() + static_cast<ptrdiff_t>(row * columns);
      all.insert(all.end(), begin, begin + static_cast<ptrdiff_t>(columns));
    };
    add(cell.ih, cell.ins);
    add(cell.hh, cell.hidden);
  }
  for (size_t row = 0; row < cell.rows(); ++row)
    all.push_back(cell.bias_ih[row] + cell.bias_hh[row]);
  all.resize(all.size() + 2 * cell.hidden);
  all.insert(all.end(), cell.head.begin(), cell.head.end());
  all.push_back(cell.head_bias);
  return {{"version", "0.5.4"},
          {"architecture", "LSTM"},
          {"config", {{"num_layers", 1}, {"input_size", 1}, {"hidden_size", cell.hidden}}},
          {"weights", all},
          {"sample_rate", 48000}};
}

json pedalnet_model() {
  json variables = json::array();
  unsigned seed = 1;
  const auto add = [&](int layer_index, const char* name, size_t count) {
    variables.push_back(
        {{"layer_idx", layer_index}, {"name", name}, {"data", scaled(count, 0.6F, seed++)}});
  };
  add(-1, "W", 3);
  add(-1, "b", 3);
  for (const int l : {0, 1}) {
    add(l, "W_conv", 2 * 3 * 6);
    add(l, "b_conv", 6);
    add(l, "W_out", 9);
    add(l, "b_out", 3);
  }
  add(2, "W", 6);
  add(2, "b", 1);
  return {{"activation", "gated"},  {"output_channels", 1}, {"input_channels", 1},
          {"residual_channels", 3}, {"filter_width", 2},    {"dilations", {2, 5}},
          {"variables", variables}};
}

std::vector<float> plain_pedalnet(const json& document, const std::vector<float>& input) {
  using Rows = std::vector<std::array<double, 3>>;
  const auto data = [&](size_t index) {
    return document["variables"][index]["data"].get<std::vector<double>>();
  };
  Rows stream(input.size());
  const std::vector<double> in = data(0);
  const std::vector<double> in_bias = data(1);
  for (size_t t = 0; t < input.size(); ++t)
    for (size_t c = 0; c < 3; ++c) stream[t][c] = in[c] * input[t] + in_bias[c];
  std::vector<double> out(input.size(), data(11)[0]);
  for (size_t l = 0; l < 2; ++l) {
    const std::vector<double> conv = data(2 + 4 * l);
    const std::vector<double> bias = data(3 + 4 * l);
    const std::vector<double> on = data(4 + 4 * l);
    const std::vector<double> on_bias = data(5 + 4 * l);
    const std::vector<double> mix = data(10);
    const size_t dilation = l == 0 ? 2 : 5;
    const Rows before = stream;
    for (size_t t = 0; t < input.size(); ++t) {
      std::array<double, 6> sum{};
      for (size_t z = 0; z < 6; ++z) {
        sum[z] = bias[z];
        for (size_t c = 0; c < 3; ++c) {
          if (t >= dilation) sum[z] += conv[c * 6 + z] * before[t - dilation][c];
          sum[z] += conv[(3 + c) * 6 + z] * before[t][c];
        }
      }
      for (size_t c = 0; c < 3; ++c) {
        const double s = std::tanh(sum[c]) / (1 + std::exp(-sum[3 + c]));
        out[t] += mix[l * 3 + c] * s;
        for (size_t o = 0; o < 3; ++o) stream[t][o] += on[c * 3 + o] * s;
      }
      for (size_t o = 0; o < 3; ++o) stream[t][o] += on_bias[o];
    }
  }
  return {out.begin(), out.end()};
}

}  // namespace amp::test
