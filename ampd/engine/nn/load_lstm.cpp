#include "load.hpp"

namespace amp::nn {
namespace {

struct Shape {
  size_t inputs = 1;
  size_t hidden = 1;
  size_t layers = 1;

  [[nodiscard]] size_t ins(size_t layer) const { return layer == 0 ? inputs : hidden; }
  [[nodiscard]] size_t count() const {
    size_t sum = hidden + 1;
    for (size_t l = 0; l < layers; ++l) sum += 4 * hidden * (ins(l) + hidden) + 6 * hidden;
    return sum;
  }
};

Shape read_shape(const Json& config) {
  for (const char* key : {"in_channels", "out_channels"})
    if (config.has(key)) config.at(key).integer(1, 1);
  const Json inputs = config.at("input_size");
  if (inputs.integer(1, kMostUnits) != 1)
    inputs.refuse("1: a parametric NAM does not say what its knobs are");
  return {.inputs = 1,
          .hidden = static_cast<size_t>(config.at("hidden_size").integer(1, kMostUnits)),
          .layers = static_cast<size_t>(config.at("num_layers").integer(1, 64))};
}

/// File order of a layer: W [4H][ins + H], bias, h0, c0.
RecurrentLayer take_layer(const float*& at, size_t ins, size_t hidden) {
  const auto take = [&at](size_t count) {
    const float* const begin = at;
    at += count;
    return std::vector<float>(begin, at);
  };
  RecurrentLayer layer;
  layer.ins = static_cast<int>(ins);
  layer.hidden = static_cast<int>(hidden);
  const size_t gates = 4 * hidden;
  const std::vector<float> turned = transpose(take(gates * (ins + hidden)), gates, ins + hidden);
  const auto middle = turned.begin() + static_cast<ptrdiff_t>(gates * ins);
  layer.weight.assign(turned.begin(), middle);
  layer.recurrent.assign(middle, turned.end());
  layer.bias = take(gates);
  layer.h = take(hidden);
  layer.c = take(hidden);
  return layer;
}

}  // namespace

std::shared_ptr<const Model> load_nam_lstm(const Json& root, ModelInfo info) {
  const Shape shape = read_shape(root.at("config"));
  const std::vector<float> weights = root.at("weights").floats(shape.count());
  StackSpec spec;
  const float* at = weights.data();
  for (size_t l = 0; l < shape.layers; ++l)
    spec.layers.emplace_back(take_layer(at, shape.ins(l), shape.hidden));
  ConvLayer head;
  head.ins = static_cast<int>(shape.hidden);
  head.weight.assign(at, at + shape.hidden);
  head.bias = {weights.back()};
  spec.layers.emplace_back(std::move(head));
  // As NeuralAmpModelerCore: half a second where the rate is known, in whole blocks of 64.
  const int silence = std::max(1, info.sample_rate_hz / 2);
  spec.prewarm_frames = (silence + kMaxFrames - 1) / kMaxFrames * kMaxFrames;
  check_size(root, spec);
  return std::make_shared<StackModel>(std::move(info), std::move(spec));
}

}  // namespace amp::nn
