#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>

#include "chain.hpp"
#include "families.hpp"

using namespace amp;
using namespace amp::test;
using nlohmann::json;

namespace {

constexpr size_t kFrames = 500;

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

/// The row of W x + U h + b for one gate of a torch cell; biases that were left out count nothing.
double gate(const Cell& cell, size_t row, const std::vector<double>& x,
            const std::vector<double>& h) {
  double sum = cell.bias_ih[row];
  for (size_t i = 0; i < x.size(); ++i) sum += cell.ih[row * x.size() + i] * x[i];
  for (size_t j = 0; j < h.size(); ++j) sum += cell.hh[row * h.size() + j] * h[j];
  return sum;
}

/// torch.nn.LSTM, written out: h after each frame.
std::vector<std::vector<double>> plain_lstm(const Cell& cell,
                                            const std::vector<std::vector<double>>& input) {
  std::vector<double> h(cell.hidden);
  std::vector<double> c(cell.hidden);
  std::vector<std::vector<double>> out;
  for (const std::vector<double>& x : input) {
    const std::vector<double> before = h;
    for (size_t u = 0; u < cell.hidden; ++u) {
      const auto z = [&](size_t g) {
        const size_t row = g * cell.hidden + u;
        return gate(cell, row, x, before) + cell.bias_hh[row];
      };
      c[u] = sigmoid(z(1)) * c[u] + sigmoid(z(0)) * std::tanh(z(2));
      h[u] = sigmoid(z(3)) * std::tanh(c[u]);
    }
    out.push_back(h);
  }
  return out;
}

/// torch.nn.GRU, written out.
std::vector<std::vector<double>> plain_gru(const Cell& cell,
                                           const std::vector<std::vector<double>>& input) {
  const std::vector<double> nothing;
  std::vector<double> h(cell.hidden);
  std::vector<std::vector<double>> out;
  for (const std::vector<double>& x : input) {
    const std::vector<double> before = h;
    for (size_t u = 0; u < cell.hidden; ++u) {
      const size_t n_row = 2 * cell.hidden + u;
      const double r = sigmoid(gate(cell, u, x, before) + cell.bias_hh[u]);
      const size_t z_row = cell.hidden + u;
      const double z = sigmoid(gate(cell, z_row, x, before) + cell.bias_hh[z_row]);
      double inner = cell.bias_hh[n_row];
      for (size_t j = 0; j < cell.hidden; ++j)
        inner += cell.hh[n_row * cell.hidden + j] * before[j];
      const double n = std::tanh(gate(cell, n_row, x, nothing) + r * inner);
      h[u] = (1 - z) * n + z * before[u];
    }
    out.push_back(h);
  }
  return out;
}

/// The sample and its knobs at 0.5 before each frame, `silence` zeros first.
std::vector<std::vector<double>> rows_of(const std::vector<float>& input, size_t ins,
                                         size_t silence) {
  std::vector<std::vector<double>> rows(silence + input.size(), std::vector<double>(ins, 0.5));
  for (size_t t = 0; t < rows.size(); ++t) rows[t][0] = t < silence ? 0 : input[t - silence];
  return rows;
}

std::vector<float> plain(const Cell& cell, const std::vector<float>& input, size_t silence,
                         bool skip) {
  const auto rows = rows_of(input, cell.ins, silence);
  const auto states = cell.is_gru ? plain_gru(cell, rows) : plain_lstm(cell, rows);
  std::vector<float> out;
  for (size_t t = silence; t < rows.size(); ++t) {
    double y = cell.head_bias + (skip ? rows[t][0] : 0);
    for (size_t u = 0; u < cell.hidden; ++u) y += cell.head[u] * states[t][u];
    out.push_back(static_cast<float>(y));
  }
  return out;
}

/// Every path within `tolerance` of what was worked out here, the same whatever the block length,
/// and after a reset as from the start. 2e-6: sums of a hundred float32 products and their way
/// round the state.
void check_net(const json& document, const std::vector<float>& expected, float tolerance = 2e-6F) {
  const auto model = load(document);
  const std::vector<float> input = noise(kFrames, 7);
  const float most = tolerance * std::max(1.0F, peak(expected));
  for (const dsp::Isa isa : dsp::available_isas()) {
    CAPTURE(dsp::isa_name(isa));
    const auto net = model->make_net(isa);
    const std::vector<float> whole = run(*net, input, 64);
    CHECK(largest_difference(whole, expected) <= (isa == dsp::Isa::kScalar ? 1e-6F : most));
    net->reset();
    CHECK(run(*net, input, 64) == whole);
    for (const int block : {1, 3, 17, 63})
      CHECK_MESSAGE(run(*model->make_net(isa), input, block) == whole, "block " << block);
  }
}

std::string refusal(const json& document) {
  try {
    static_cast<void>(load(document));
  } catch (const nn::LoadError& error) {
    const std::string what = error.what();
    CHECK(what.back() == '.');
    return what.substr(what.find(": ") + 2);
  }
  return "accepted";
}

std::string refusal_with(json document, const std::string& pointer, const json& value) {
  document[json::json_pointer(pointer)] = value;
  return refusal(document);
}

}  // namespace

TEST_CASE("an LSTM is the same net in torch's, keras' and NAM's order of weights") {
  for (const size_t hidden : {1, 3, 8, 16, 21, 40}) {
    CAPTURE(hidden);
    const Cell cell(false, 1, hidden, static_cast<unsigned>(hidden));
    const std::vector<float> input = noise(kFrames, 7);
    check_net(state_dict_model(cell), plain(cell, input, 0, true));
    check_net(keras_model(cell), plain(cell, input, 2048, false));
    check_net(nam_lstm_model(cell), plain(cell, input, 24000, false));
  }
}

TEST_CASE("a GRU is the same net in torch's and keras' order of weights") {
  for (const size_t hidden : {1, 8, 17, 32}) {
    CAPTURE(hidden);
    const Cell cell(true, 1, hidden, static_cast<unsigned>(hidden));
    const std::vector<float> input = noise(kFrames, 7);
    check_net(state_dict_model(cell), plain(cell, input, 0, true));
    check_net(keras_model(cell), plain(cell, input, 2048, false));
  }
}

TEST_CASE("a NAM LSTM starts from its own state and whole blocks of silence") {
  Cell cell(false, 1, 4, 3);
  cell.bias_ih[7] = 12;  // the last unit forgets nothing
  json document = nam_lstm_model(cell);
  document.erase("sample_rate");
  const std::vector<float> expected = plain(cell, noise(kFrames, 7), 64, false);
  check_net(document, expected, 1e-4F);
  const size_t last_c = document["weights"].size() - cell.hidden - 2;
  document["weights"][last_c] = 300.0;
  const auto model = load(document);
  const auto net = model->make_net(dsp::Isa::kScalar);
  CHECK(largest_difference(run(*net, noise(kFrames, 7), 64), expected) > 1e-2F);
}

TEST_CASE("knobs are inputs of the net, at one half until they are turned") {
  const Cell cell(false, 3, 6, 5);
  const json document = state_dict_model(cell);
  check_net(document, plain(cell, noise(kFrames, 7), 0, true));
  const auto model = load(document);
  CHECK(model->info.knobs == std::vector<std::string>{"knob_1", "knob_2"});
  const auto net = model->make_net(dsp::best_isa());
  const std::vector<float> half = run(*net, noise(kFrames, 7), 64);
  net->reset();
  net->set_knob(1, 0.9F);
  const std::vector<float> turned = run(*net, noise(kFrames, 7), 64);
  CHECK(largest_difference(turned, half) > 1e-3F);

  const TempDir dir;
  const RigSpec rig{.values = {},
                    .blocks = {{.kind = "amp",
                                .name = "amp",
                                .values = {{"knob_2", 0.9F}},
                                .model = dir.write("m.json", document.dump())}}};
  Chain chain(rig, 44100, dsp::best_isa(), false);
  CHECK(chain.memory_frames() == 22051);
  const std::vector<float> input = noise(64, 7);
  std::array<std::array<float, 64>, 3> out{};
  chain.process(input.data(), {out[0].data(), out[1].data(), out[2].data()}, 64);
  for (size_t t = 0; t < input.size(); ++t) CHECK(out[0][t] == doctest::Approx(turned[t]));
}

TEST_CASE("a knob of the chain walks to its value") {
  const TempDir dir;
  const std::string file = dir.write("m.json", state_dict_model(Cell(false, 2, 6, 5)).dump());
  const RigSpec rig{.values = {},
                    .blocks = {{.kind = "amp", .name = "amp", .values = {}, .model = file}}};
  Chain chain(rig, 44100, dsp::best_isa(), false);
  int knob = 0;
  while (chain.params()[static_cast<size_t>(knob)].path != "amp/knob_1") ++knob;
  const std::vector<float> silence(64);
  std::vector<float> played;
  std::array<std::array<float, 64>, 3> out{};
  for (int block = 0; block < 800; ++block) {
    if (block == 700) chain.set(knob, 1, false);
    chain.process(silence.data(), {out[0].data(), out[1].data(), out[2].data()}, 64);
    if (block >= 690) played.insert(played.end(), out[0].begin(), out[0].end());
  }
  float step = 0;
  for (size_t i = 1; i < played.size(); ++i)
    step = std::max(step, std::abs(played[i] - played[i - 1]));
  const float way = std::abs(played.back() - played.front());
  CHECK(way > 1e-3F);
  CHECK(step < way / 5);
}

TEST_CASE("a convolution has dilation and groups, its first tap the oldest") {
  // Two groups of one input and two outputs, three taps, four frames apart.
  const std::vector<float> spread = noise(2, 1);
  const std::vector<float> kernel = noise(3 * 4, 2);
  const std::vector<float> mix = noise(4, 3);
  json taps;
  for (size_t k = 0; k < 3; ++k)
    taps.push_back({{kernel[k * 4], kernel[k * 4 + 1], kernel[k * 4 + 2], kernel[k * 4 + 3]}});
  json document{{"in_shape", {nullptr, nullptr, 1}}};
  document["layers"] = {layer("dense", 2, {{{spread[0], spread[1]}}, {0.1, -0.2}}),
                        layer("conv1d", 4, {taps, {0.3, 0, 0, 0}}),
                        layer("dense", 1, {{{mix[0]}, {mix[1]}, {mix[2]}, {mix[3]}}, {0}})};
  document["layers"][1]["kernel_size"] = {3};
  document["layers"][1]["dilation"] = {4};
  document["layers"][1]["groups"] = 2;
  document["layers"][1]["activation"] = "tanh";
  const std::vector<float> input = noise(kFrames, 7);
  std::vector<float> expected;
  for (size_t t = 0; t < kFrames; ++t) {
    double y = 0;
    for (size_t o = 0; o < 4; ++o) {
      double sum = o == 0 ? 0.3 : 0;
      for (size_t k = 0; k < 3; ++k) {
        const size_t back = (2 - k) * 4;
        const double x = t < back ? 0 : input[t - back];  // silence is what came before
        sum += kernel[k * 4 + o] * (o / 2 == 0 ? spread[0] * x + 0.1 : spread[1] * x - 0.2);
      }
      y += mix[o] * std::tanh(sum);
    }
    expected.push_back(static_cast<float>(y));
  }
  check_net(document, expected);
}

TEST_CASE("gains are decibels and the skip carries the driven input") {
  json document{{"in_shape", {nullptr, nullptr, 1}}};
  document["layers"] = {layer("dense", 1, {{{0.5}}})};
  document["in_gain"] = 20;
  document["out_gain"] = -40;
  document["in_skip"] = 1;
  std::vector<float> expected = noise(kFrames, 7);
  for (float& v : expected) v *= 10 * 1.5F / 100;
  check_net(document, expected);
}

TEST_CASE("point layers do what their names say") {
  const std::vector<float> input = noise(kFrames, 7);
  const auto check = [&](const json& point, const std::function<double(double)>& f) {
    json document{{"in_shape", {nullptr, 1}}};
    document["layers"] = {point};
    std::vector<float> expected;
    for (const float x : input) expected.push_back(static_cast<float>(f(x)));
    check_net(document, expected);
  };
  const auto activation = [](const char* name) {
    json point = layer("activation", 1, json::array());
    point["activation"] = name;
    return point;
  };
  check(activation("relu"), [](double x) { return std::max(x, 0.0); });
  check(activation("elu"), [](double x) { return x > 0 ? x : std::exp(x) - 1; });
  check(activation("sigmoid"), sigmoid);
  check(activation("tanh"), [](double x) { return std::tanh(x); });
  check(activation("softmax"), [](double) { return 1.0; });
  check(layer("prelu", 1, {{{0.3}}}), [](double x) { return x > 0 ? x : 0.3 * x; });
  json norm = layer("batchnorm", 1, {{2.0}, {0.5}, {0.1}, {0.24}});
  norm["epsilon"] = 0.01;
  check(norm, [](double x) { return 2 * (x - 0.1) / 0.5 + 0.5; });
}

TEST_CASE("PedalNet is its own definition, whatever the order and the form of its numbers") {
  json document = pedalnet_model();
  const std::vector<float> input = noise(kFrames, 7);
  check_net(document, plain_pedalnet(document, input));
  for (json& variable : document["variables"])
    for (json& value : variable["data"]) value = value.dump();
  std::reverse(document["variables"].begin(), document["variables"].end());
  check_net(document, plain_pedalnet(pedalnet_model(), input));
  document["level_adjust"] = 0.5;
  std::vector<float> softer = plain_pedalnet(pedalnet_model(), input);
  for (float& v : softer) v *= 0.5F;
  check_net(document, softer);
}

TEST_CASE("a family whose files name no rate plays at the rate that it is trained at") {
  const TempDir dir;
  for (const json& document : {state_dict_model(Cell(false, 1, 6, 5)), pedalnet_model()}) {
    const nn::ModelInfo info = nn::load_model(dir.write("m.json", document.dump()))->info;
    CHECK(info.playing_rate_hz() == 44100);
    CHECK(info.sample_rate_hz == 0);
    REQUIRE_FALSE(info.warnings.empty());
    CHECK(info.warnings.back().find("44100 Hz is assumed") != std::string::npos);
  }
}

TEST_CASE("what cannot be played is refused by its name") {
  const json keras = keras_model(Cell(false, 1, 2, 1));
  CHECK(
      refusal_with(keras, "/layers/0/type", "conv2d").starts_with("layers[0].type is \"conv2d\""));
  CHECK(refusal_with(keras, "/in_shape/2", 4) ==
        "in_shape[2] is 4, expected a whole number, 1 to 3.");
  CHECK(refusal_with(keras, "/in_skip", 2).starts_with("in_skip is 2"));
  CHECK(refusal_with(keras, "/samplerate", "fast").starts_with("samplerate is \"fast\""));
  CHECK(refusal_with(keras, "/layers/1/shape/2", 2).starts_with("layers[1].weights[0][0] has 1"));
  json weights = keras;
  weights["layers"][0]["weights"][1][1].erase(3);
  CHECK(refusal(weights).starts_with("layers[0].weights[1][1] has 7 numbers, expected 8"));

  json torch = state_dict_model(Cell(true, 1, 2, 1));
  CHECK(refusal_with(torch, "/model_data/num_layers", 2) ==
        "state_dict.rec.weight_ih_l1 is missing; the file is incomplete or of another kind.");
  CHECK(refusal_with(torch, "/model_data/hidden_size", 3).starts_with("state_dict.rec.weight_ih"));
  CHECK(refusal_with(torch, "/model_data/unit_type", "RNN").starts_with("model_data.unit_type is"));
  CHECK(refusal(torch["state_dict"]).starts_with("is a bare PyTorch state_dict"));
  torch["state_dict"]["rec.weight_hh_l0"][5].erase(0);
  CHECK(refusal(torch).starts_with("state_dict.rec.weight_hh_l0[5] has 1 numbers, expected 2"));

  json lstm = nam_lstm_model(Cell(false, 1, 2, 1));
  CHECK(refusal_with(lstm, "/config/input_size", 2).find("parametric") != std::string::npos);
  CHECK(refusal_with(lstm, "/architecture", "CatLSTM").starts_with("architecture is \"CatLSTM\""));
  lstm["weights"].erase(0);
  CHECK(refusal(lstm).starts_with("weights has 38 numbers, expected 39"));

  json pedal = pedalnet_model();
  CHECK(refusal_with(pedal, "/activation", "swish").starts_with("activation is \"swish\""));
  CHECK(refusal_with(pedal, "/variables/0/data/0", "1e").find("expected a number") !=
        std::string::npos);
  CHECK(refusal_with(pedal, "/dilations/0", 900000).starts_with("the receptive field is"));
  pedal["variables"].erase(3);
  CHECK(refusal(pedal).starts_with("variables has no b_conv of layer 0"));
  CHECK(refusal({{"layers", {{"lstm_1/kernel:0", 1}}}}).starts_with("is a SmartAmpPro model"));
}

TEST_CASE("an embedded batch tells a net that was damaged") {
  json document = keras_model(Cell(false, 1, 8, 1));
  const std::vector<float> input = noise(512, 3);
  document["input_batch"] = input;
  document["output_batch"] = run(*load(document)->make_net(dsp::Isa::kScalar), input, 64);
  CHECK(refusal(document) == "accepted");
  document["layers"][1]["weights"][0][2][0] = 0.7;
  CHECK(refusal(document).starts_with("the self-test differs by"));
}

TEST_CASE("a batch with knobs cannot be played, and a warning says so") {
  json document = keras_model(Cell(false, 2, 8, 1));
  CHECK(load(document)->info.warnings.empty());
  document["input_batch"] = {{0.1, 0.5}, {0.2, 0.5}};
  document["output_batch"] = {0.1, 0.2};
  const std::vector<std::string> warnings = load(document)->info.warnings;
  REQUIRE(warnings.size() == 1);
  CHECK(warnings[0].starts_with("the self-test is not run"));
}

TEST_CASE("an LSTM in a container settles for half a second of the container's rate") {
  Cell cell(false, 1, 4, 3);
  cell.bias_ih[3] = -9;  // the last unit takes in little
  cell.bias_ih[7] = 12;  // and forgets nothing, so that the length of the silence is heard
  json inner = nam_lstm_model(cell);
  inner.erase("sample_rate");
  const json around{{"version", "0.7.0"},
                    {"architecture", "SlimmableContainer"},
                    {"config", {{"submodels", {{{"max_value", 1.0}, {"model", inner}}}}}},
                    {"weights", json::array()},
                    {"sample_rate", 48000}};
  const std::vector<float> expected = plain(cell, noise(kFrames, 7), 24000, false);
  const auto model = load(around);
  const auto net = model->make_net(dsp::Isa::kScalar);
  CHECK(largest_difference(run(*net, noise(kFrames, 7), 64), expected) <= 1e-5F * peak(expected));
  const auto inner_model = load(inner);
  const auto alone = inner_model->make_net(dsp::Isa::kScalar);
  CHECK(largest_difference(run(*alone, noise(kFrames, 7), 64), expected) > 1e-3F);
}
