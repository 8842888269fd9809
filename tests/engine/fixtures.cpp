#include "fixtures.hpp"

#include <unistd.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numbers>
#include <random>

namespace amp::test {

using nlohmann::json;

TempDir::TempDir() {
  std::string pattern = (std::filesystem::temp_directory_path() / "ampd-test-XXXXXX").string();
  path_ = ::mkdtemp(pattern.data());
}

TempDir::~TempDir() {
  std::filesystem::remove_all(path_);
}

std::string TempDir::write(const std::string& name, const std::string& text) const {
  const std::filesystem::path file = path_ / name;
  std::ofstream(file, std::ios::binary) << text;
  return file.string();
}

std::vector<float> noise(size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(-1, 1);
  std::vector<float> values(count);
  for (float& v : values) v = value(random);
  return values;
}

std::vector<float> part(const std::vector<float>& signal, size_t from, size_t to) {
  return {signal.begin() + static_cast<ptrdiff_t>(from),
          signal.begin() + static_cast<ptrdiff_t>(to)};
}

float old_share(size_t frame_of_fade) {
  constexpr double kFade = 480;  // 10 ms at 48 kHz
  const double t = (static_cast<double>(frame_of_fade) + 1) / (kFade + 1);
  return t >= 1
             ? 0.0F
             : static_cast<float>(1 - t * t * t * t * (35 - 84 * t + 70 * t * t - 20 * t * t * t));
}

namespace {

std::vector<float> weights(size_t count, size_t fan_in, std::mt19937& random) {
  std::normal_distribution<float> value(0, 0.9F / std::sqrt(static_cast<float>(fan_in)));
  std::vector<float> values(count);
  for (float& v : values) v = value(random);
  return values;
}

}  // namespace

json native_model(int channels, int kernel, const std::vector<int>& dilations, unsigned seed) {
  std::mt19937 random(seed);
  const auto c = static_cast<size_t>(channels);
  const auto k = static_cast<size_t>(kernel);
  json tensors{{"input.weight", weights(c, 1, random)},
               {"input.bias", weights(c, 16, random)},
               {"output.weight", weights(c, c * dilations.size(), random)},
               {"output.bias", weights(1, 16, random)}};
  for (size_t i = 0; i < dilations.size(); ++i) {
    tensors["blocks." + std::to_string(i) + ".weight"] = weights(c * c * k, c * k, random);
    tensors["blocks." + std::to_string(i) + ".bias"] = weights(c, 16, random);
  }
  return {{"format", "ampd-model"}, {"format_version", 1},    {"architecture", "residual_wavenet"},
          {"sample_rate", 48000},   {"causal", true},         {"channels", channels},
          {"kernel_size", kernel},  {"dilations", dilations}, {"activation", "tanh"},
          {"prewarm", "silence"},   {"tensors", tensors}};
}

json nam_model(int channels, int head, const std::vector<int>& dilations, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<float> all;
  const auto add = [&](size_t count, size_t fan_in) {
    const std::vector<float> more = weights(count, fan_in, random);
    all.insert(all.end(), more.begin(), more.end());
  };
  const auto array = [&](size_t in, size_t c, size_t h, bool bias) {
    add(c * in, in);
    for (size_t i = 0; i < dilations.size(); ++i) {
      add(c * c * 3, c * 3);
      add(c, 16);
      add(c, 1);
      add(c * c, c);
      add(c, 16);
    }
    add(h * c, c * dilations.size());
    if (bias) add(h, 16);
  };
  const auto c = static_cast<size_t>(channels);
  const auto h = static_cast<size_t>(head);
  array(1, c, h, false);
  array(c, h, 1, true);
  all.push_back(0.5F);
  const auto layer = [&](int in, int width, int out, bool bias) {
    return json{{"input_size", in},     {"condition_size", 1}, {"channels", width},
                {"head_size", out},     {"kernel_size", 3},    {"dilations", dilations},
                {"activation", "Tanh"}, {"gated", false},      {"head_bias", bias}};
  };
  return {{"version", "0.5.4"},
          {"architecture", "WaveNet"},
          {"config",
           {{"layers", {layer(1, channels, head, false), layer(channels, head, 1, true)}},
            {"head", nullptr},
            {"head_scale", 0.5}}},
          {"weights", all},
          {"sample_rate", 48000}};
}

json exploding_model() {
  return {{"version", "0.5.4"},
          {"architecture", "WaveNet"},
          {"config",
           {{"layers",
             {{{"input_size", 1},
               {"condition_size", 1},
               {"channels", 1},
               {"head_size", 1},
               {"head_bias", false},
               {"kernel_size", 1},
               {"dilations", {1}},
               {"activation", "ReLU"}}}},
            {"head_scale", 1}}},
          {"weights", {1, 3, -1.8, 0, 0, 0, 3e38, 3e38}},
          {"sample_rate", 48000}};
}

json straight_wire(int sample_rate_hz) {
  return {{"version", "0.5.4"},
          {"architecture", "Linear"},
          {"config", {{"receptive_field", 1}, {"bias", false}}},
          {"weights", {1.0}},
          {"sample_rate", sample_rate_hz}};
}

json two_sizes(const json& small, const json& large) {
  return {{"version", "0.7.0"},
          {"architecture", "SlimmableContainer"},
          {"config",
           {{"submodels",
             {{{"max_value", 0.5}, {"model", small}}, {{"max_value", 1.0}, {"model", large}}}}}},
          {"weights", json::array()},
          {"sample_rate", 48000}};
}

std::shared_ptr<const nn::Model> load(const json& document) {
  const TempDir dir;
  return nn::load_model(dir.write("model.json", document.dump()));
}

std::vector<float> run(nn::Net& net, const std::vector<float>& input, int block) {
  std::vector<float> output(input.size());
  for (size_t at = 0; at < input.size(); at += static_cast<size_t>(block)) {
    const size_t frames = std::min(static_cast<size_t>(block), input.size() - at);
    net.process(&input[at], &output[at], static_cast<int>(frames));
  }
  return output;
}

float peak(const std::vector<float>& signal) {
  float highest = 0;
  for (const float v : signal) highest = std::max(highest, std::abs(v));
  return highest;
}

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  float largest = a.size() == b.size() ? 0.0F : INFINITY;
  for (size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    const float difference = std::abs(a[i] - b[i]);
    if (!(difference <= largest)) largest = std::isnan(difference) ? INFINITY : difference;
  }
  return largest;
}

Rack::Rack(bool with_safety, int sample_rate_hz, float budget)
    : engine(sample_rate_hz, {.threaded = false,
                              .with_safety = with_safety,
                              .isa = dsp::best_isa(),
                              .budget = budget}) {}

void Rack::park_amp(int slot, unsigned seed, float level_db, float offset, int model_rate_hz) {
  json document = native_model(8, 3, {1, 2, 4, 8, 16}, seed);
  document["sample_rate"] = model_rate_hz;
  document["tensors"]["output.bias"][0] =
      document["tensors"]["output.bias"][0].get<float>() + offset;
  const std::string file = dir_.write("model" + std::to_string(slot) + ".json", document.dump());
  engine.park(slot, engine.build({.values = {},
                                  .blocks = {{.kind = "amp",
                                              .name = "amp",
                                              .values = {{"level_db", level_db}},
                                              .model = file}}}));
}

void Rack::park_clean(int slot, float output_db) {
  engine.park(slot, engine.build({.values = {{"output/gain_db", output_db}}, .blocks = {}}));
}

Chain* Rack::park(int slot, const RigSpec& rig) {
  std::unique_ptr<Chain> chain = engine.build(rig);
  Chain* const built = chain.get();
  engine.park(slot, std::move(chain));
  return built;
}

void Rack::park_behind(int slot, std::vector<BlockSpec> blocks, unsigned seed, float offset) {
  json document = native_model(8, 3, {1, 2, 4, 8, 16}, seed);
  document["tensors"]["output.bias"][0] =
      document["tensors"]["output.bias"][0].get<float>() + offset;
  const std::string file = dir_.write("behind" + std::to_string(slot) + ".json", document.dump());
  blocks.push_back({.kind = "amp", .name = "amp", .values = {}, .model = file});
  park(slot, {.values = {}, .blocks = std::move(blocks)});
}

std::vector<float> Rack::play(const std::vector<float>& input, int block,
                              const std::vector<MidiEvent>& midi) {
  std::vector<float> left(input.size());
  std::vector<float> right(input.size());
  size_t event = 0;
  for (size_t at = 0; at < input.size(); at += static_cast<size_t>(block)) {
    const size_t frames = std::min(static_cast<size_t>(block), input.size() - at);
    std::vector<MidiEvent> here;
    for (; event < midi.size() && static_cast<size_t>(midi[event].frame) < at + frames; ++event) {
      here.push_back(midi[event]);
      here.back().frame -= static_cast<int>(at);
    }
    Callback callback{.in = &input[at],
                      .left = &left[at],
                      .right = &right[at],
                      .frames = static_cast<int>(frames),
                      .midi = here};
    engine.process(callback);
    for (int i = 0; i < callback.midi_out_count; ++i)
      midi_out.push_back(callback.midi_out[static_cast<size_t>(i)]);
    engine.service();
  }
  return left;
}

std::vector<Fact> Rack::facts(Fact::Kind kind) {
  for (const Fact& fact : engine.facts()) facts_.push_back(fact);
  std::vector<Fact> found;
  std::vector<Fact> rest;
  for (const Fact& fact : facts_) (fact.kind == kind ? found : rest).push_back(fact);
  facts_ = rest;
  return found;
}

}  // namespace amp::test
