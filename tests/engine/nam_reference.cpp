#include "nam_reference.hpp"

#include <cmath>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>

namespace amp::test {

using nlohmann::json;

namespace {

using Signal = std::vector<std::vector<double>>;  // [channel][frame]
using Source = std::function<double(int fan_in)>;

struct Matrix {
  int ins = 0, outs = 0, kernel = 1, dilation = 1, groups = 1;
  std::vector<double> weight, bias;
};

Matrix read(const Source& source, int ins, int outs, int groups, bool bias, int kernel = 1,
            int dilation = 1) {
  Matrix m{ins, outs, kernel, dilation, groups, {}, {}};
  for (int i = 0; i < outs * (ins / groups) * kernel; ++i)
    m.weight.push_back(source(ins / groups * kernel));
  for (int i = 0; bias && i < outs; ++i) m.bias.push_back(source(16));
  return m;
}

Signal times(const Matrix& m, const Signal& x) {
  const int frames = static_cast<int>(x[0].size());
  const int ins = m.ins / m.groups;
  Signal y(m.outs, std::vector<double>(frames));
  for (int o = 0; o < m.outs; ++o)
    for (int t = 0; t < frames; ++t) {
      double sum = m.bias.empty() ? 0 : m.bias[o];
      for (int i = 0; i < ins; ++i)
        for (int k = 0; k < m.kernel; ++k) {
          const int from = t - (m.kernel - 1 - k) * m.dilation;
          const int in = o / (m.outs / m.groups) * ins + i;
          if (from >= 0) sum += m.weight[(o * ins + i) * m.kernel + k] * x[in][from];
        }
      y[o][t] = sum;
    }
  return y;
}

double act(const json& how, double x, size_t channel) {
  const std::string name = how.is_object() ? how["type"] : how;
  const json options = how.is_object() ? how : json::object();
  if (name == "PReLU" && options.contains("negative_slopes"))
    return x > 0 ? x : options["negative_slopes"][channel].get<float>() * x;
  if (name == "LeakyReLU" || name == "PReLU")
    return x > 0 ? x : options.value("negative_slope", 0.01F) * x;
  if (name == "LeakyHardtanh") {
    const double low = options.value("min_val", -1.0F);
    const double high = options.value("max_val", 1.0F);
    if (x < low) return low + (x - low) * options.value("min_slope", 0.01F);
    return x > high ? high + (x - high) * options.value("max_slope", 0.01F) : x;
  }
  const double sigmoid = 1 / (1 + std::exp(-x));
  const std::map<std::string, double> simple{
      {"Tanh", std::tanh(x)},
      {"Hardtanh", std::fmax(-1, std::fmin(1, x))},
      {"ReLU", std::fmax(0, x)},
      {"Sigmoid", sigmoid},
      {"SiLU", x * sigmoid},
      {"Hardswish", x * std::fmax(0, std::fmin(6, x + 3)) / 6},
      {"Softsign", x / (1 + std::fabs(x))}};
  return simple.at(name);
}

struct Films {
  std::map<std::string, Matrix> all;

  Signal operator()(const std::string& name, Signal v, const Signal& condition) const {
    const auto film = all.find(name);
    if (film == all.end()) return v;
    const Signal s = times(film->second, condition);
    for (size_t c = 0; c < v.size(); ++c)
      for (size_t t = 0; t < v[c].size(); ++t)
        v[c][t] = v[c][t] * s[c][t] + (s.size() > v.size() ? s[v.size() + c][t] : 0);
    return v;
  }
};

json pick(const json& layer, const char* key, size_t index, const json& absent) {
  if (!layer.contains(key)) return absent;
  return layer[key].is_array() ? layer[key][index] : layer[key];
}

Signal plus(Signal a, const Signal& b) {
  for (size_t c = 0; c < a.size(); ++c)
    for (size_t t = 0; t < a[c].size(); ++t) a[c][t] += b[c][t];
  return a;
}

Signal gate(const json& layer, size_t l, const Signal& z, int bottleneck, const std::string& mode) {
  Signal s(z.begin(), z.begin() + bottleneck);
  const json first = pick(layer, "activation", l, nullptr);
  const json second = pick(layer, "secondary_activation", l, "Sigmoid");
  for (size_t c = 0; c < s.size(); ++c)
    for (double& v : s[c]) {
      const double pre = v;
      const double other =
          mode == "none" ? 1
                         : act(second, z[bottleneck + c][static_cast<size_t>(&v - s[c].data())], c);
      v = act(first, pre, c) * other + (mode == "blended" ? (1 - other) * pre : 0);
    }
  return s;
}

struct Run {
  const Source& source;
  Signal condition;

  void layer(const json& layer, size_t l, Signal& x, Signal& heads) const {
    const int c = layer["channels"];
    const int b = layer.value("bottleneck", c);
    const int d = layer["condition_size"];
    const std::string mode =
        pick(layer, "gating_mode", l, layer.value("gated", false) ? "gated" : "none");
    const int z = mode == "none" ? b : 2 * b;
    const int kernel =
        layer.contains("kernel_sizes") ? layer["kernel_sizes"][l] : layer["kernel_size"];
    const Matrix conv =
        read(source, c, z, layer.value("groups_input", 1), true, kernel, layer["dilations"][l]);
    const Matrix mixin = read(source, d, z, layer.value("groups_input_mixin", 1), false);
    const json one = layer.value("layer1x1", json{{"active", true}, {"groups", 1}});
    const json head = layer.value("head1x1", json{{"active", false}});
    Matrix layer1x1;
    Matrix head1x1;
    if (one["active"]) layer1x1 = read(source, b, c, one["groups"], true);
    if (head["active"]) head1x1 = read(source, b, head["out_channels"], head["groups"], true);
    Films film;
    const std::vector<std::pair<std::string, int>> places{
        {"conv_pre_film", c},        {"conv_post_film", z},
        {"input_mixin_pre_film", d}, {"input_mixin_post_film", z},
        {"activation_pre_film", z},  {"activation_post_film", b},
        {"layer1x1_post_film", c},   {"head1x1_post_film", head1x1.outs}};
    for (const auto& [name, width] : places)
      if (layer.contains(name) && layer[name].is_object())
        film.all[name] = read(source, d, width * (layer[name].value("shift", true) ? 2 : 1),
                              layer[name].value("groups", 1), true);
    const Signal a =
        film("conv_post_film", times(conv, film("conv_pre_film", x, condition)), condition);
    const Signal m =
        film("input_mixin_post_film",
             times(mixin, film("input_mixin_pre_film", condition, condition)), condition);
    const Signal sum = film("activation_pre_film", plus(a, m), condition);
    const Signal s = film("activation_post_film", gate(layer, l, sum, b, mode), condition);
    heads =
        plus(heads, head1x1.outs > 0 ? film("head1x1_post_film", times(head1x1, s), condition) : s);
    if (layer1x1.outs == 0) return;
    Signal onward = times(layer1x1, s);
    if (mode == "blended") onward = film("layer1x1_post_film", onward, condition);
    x = plus(x, onward);
  }
};

Signal wavenet(const json& config, const Source& source, const Signal& input,
               const Signal& condition) {
  const Run run{source, condition};
  Signal x = input;
  Signal heads;
  for (const json& array : config["layers"]) {
    x = times(read(source, array["input_size"], array["channels"], 1, false), x);
    const json one = array.value("head1x1", json{{"active", false}});
    const int width = one["active"] ? one["out_channels"].get<int>()
                                    : array.value("bottleneck", array["channels"].get<int>());
    if (heads.empty()) heads.assign(width, std::vector<double>(input[0].size()));
    for (size_t l = 0; l < array["dilations"].size(); ++l) run.layer(array, l, x, heads);
    const json head = array["head"];
    heads = times(read(source, width, head["out_channels"], 1, head["bias"], head["kernel_size"],
                       head.value("head_dilation", 1)),
                  heads);
  }
  std::vector<Matrix> post;
  const json behind = config.value("head", json());
  for (size_t i = 0; behind.is_object() && i < behind["kernel_sizes"].size(); ++i)
    post.push_back(
        read(source, post.empty() ? static_cast<int>(heads.size()) : post.back().outs,
             i + 1 == behind["kernel_sizes"].size() ? behind["out_channels"] : behind["channels"],
             1, true, behind["kernel_sizes"][i]));
  const double scale = source(1);
  for (auto& channel : heads)
    for (double& v : channel) v *= scale;
  for (const Matrix& m : post) {
    for (size_t c = 0; c < heads.size(); ++c)
      for (double& v : heads[c]) v = act(behind["activation"], v, c);
    heads = times(m, heads);
  }
  return heads;
}

Signal play(const json& document, const Signal& input) {
  const json& config = document["config"];
  const bool conditioned = config.contains("condition_dsp") && config["condition_dsp"].is_object();
  const Signal condition = conditioned ? play(config["condition_dsp"], input) : input;
  size_t at = 0;
  const Source source = [&](int) { return document["weights"].at(at++).get<double>(); };
  return wavenet(config, source, input, condition);
}

}  // namespace

json general_model(const json& config, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> value(0, 0.9F);
  std::vector<float> weights;
  const Source source = [&](int fan_in) {
    weights.push_back(value(random) / std::sqrt(static_cast<float>(fan_in)));
    return static_cast<double>(weights.back());
  };
  const int conditions = config["layers"][0]["condition_size"];
  wavenet(config, source, Signal(1, {0.0}), Signal(conditions, {0.0}));
  return {{"version", "0.7.0"},
          {"architecture", "WaveNet"},
          {"config", config},
          {"weights", weights},
          {"sample_rate", 48000}};
}

std::vector<double> general_reference(const json& document, const std::vector<float>& input) {
  constexpr size_t kSilence = 400;
  Signal padded(1, std::vector<double>(kSilence));
  padded[0].insert(padded[0].end(), input.begin(), input.end());
  const std::vector<double> out = play(document, padded)[0];
  return {out.begin() + kSilence, out.end()};
}

}  // namespace amp::test
