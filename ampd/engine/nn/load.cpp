#include "load.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <filesystem>

#include "json_document.hpp"
#include "rows.hpp"

namespace amp::nn {
namespace {

std::string name_of(const Json& root) {
  if (root.has("metadata")) {
    const Json metadata = root.at("metadata");
    if (metadata.has("name") && metadata.at("name").is_text()) {
      std::string name = metadata.at("name").text();
      if (!name.empty()) return name;
    }
  }
  return std::filesystem::path(root.file()).stem().string();
}

/// A number of the metadata; what is no number there is no claim.
std::optional<double> claim_of(const Json& root, const char* key) {
  if (!root.has("metadata")) return {};
  const Json metadata = root.at("metadata");
  if (!metadata.has(key) || !metadata.at(key).is_number()) return {};
  return metadata.at(key).number();
}

/// 1e-5 of peak holds what float32 can lose many times over and no wrong weight; a recurrent net
/// adds its rounding up.
constexpr float kTolerance = 1e-5F;
constexpr float kRecurrentTolerance = 1e-4F;

/// The self-test that `holder` has, if it has one.
void self_test(const Json& root, const Json& holder, const Model& model, float tolerance) {
  if (!holder.is_object() || !holder.has("self_test")) return;
  const Json test = holder.at("self_test");
  const std::vector<float> input = test.at("input").floats();
  check_self_test(root, model, input, test.at("output").floats(input.size()), 0, tolerance);
}

/// The trainer's NAM files keep theirs in metadata.ampd, where no other host looks.
void nam_self_test(const Json& root, const Model& model) {
  const Json architecture = root.at("architecture");
  const bool recurrent = architecture.is_text() && architecture.text() == "LSTM";
  const float tolerance = recurrent ? kRecurrentTolerance : kTolerance;
  self_test(root, root, model, tolerance);
  if (!root.has("metadata") || !root.at("metadata").is_object()) return;
  const Json metadata = root.at("metadata");
  if (metadata.has("ampd")) self_test(root, metadata.at("ampd"), model, tolerance);
}

std::shared_ptr<const Model> load_own(const Json& root) {
  std::shared_ptr<const Model> model = load_native(root);
  self_test(root, root, *model, kTolerance);
  return model;
}

std::shared_ptr<const Model> load_nam_file(const Json& root) {
  const Json architecture = root.at("architecture");
  if (architecture.is_text() && architecture.text().starts_with("Cat"))
    architecture.refuse("a model without knobs; parametric NAM models do not say what theirs are");
  std::shared_ptr<const Model> model = load_nam(root);
  nam_self_test(root, *model);
  return model;
}

std::shared_ptr<const Model> refuse_smart_amp_pro(const Json& root) {
  root.fail(
      "is a SmartAmpPro model, whose net forgets its state between blocks; expected a model of "
      "ampd, NAM, RTNeural, Proteus or PedalNet.");
}

std::shared_ptr<const Model> refuse_bare_state(const Json& root) {
  root.fail(
      "is a bare PyTorch state_dict, which does not say what net it belongs to; expected "
      "model_data and state_dict, as Proteus and NeuralPi export them.");
}

/// What a file is, is told by its keys, never by its ending. The first row whose keys are all
/// there.
struct Family {
  std::array<const char*, 3> keys;
  std::shared_ptr<const Model> (*load)(const Json&);
};

constexpr std::array kFamilies{
    Family{{"format"}, load_own},
    Family{{"architecture", "config"}, load_nam_file},
    Family{{"in_shape", "layers"}, load_rtneural},
    Family{{"model_data", "state_dict"}, load_state_dict},
    Family{{"variables", "dilations", "residual_channels"}, load_pedalnet},
    Family{{"lstm.weight_ih_l0"}, refuse_bare_state},
    Family{{"gru.weight_ih_l0"}, refuse_bare_state},
    Family{{"rec.weight_ih_l0"}, refuse_bare_state},
};

bool has_keys(const Json& root, const Family& family) {
  return std::all_of(family.keys.begin(), family.keys.end(),
                     [&](const char* key) { return key == nullptr || root.has(key); });
}

std::shared_ptr<const Model> load_document(const Json& root) {
  if (!root.is_object()) root.refuse("an object with the keys of a model");
  for (const Family& family : kFamilies)
    if (has_keys(root, family)) {
      std::shared_ptr<const Model> model = family.load(root);
      try_out(root, *model);
      return model;
    }
  if (root.mentions("kernel:0")) return refuse_smart_amp_pro(root);
  root.fail(
      "has neither the keys of an ampd model (format, tensors), of a NAM file (version, "
      "architecture, config, weights), of RTNeural (in_shape, layers), of Proteus (model_data, "
      "state_dict) nor of PedalNet (variables, dilations, residual_channels); expected one of "
      "them.");
}

}  // namespace

ModelInfo describe(const Json& root, const std::string& family, const std::string& architecture) {
  ModelInfo info;
  info.path = root.file();
  info.name = name_of(root);
  info.loudness_db = claim_of(root, "loudness");
  info.input_level_dbu = claim_of(root, "input_level_dbu");
  info.output_level_dbu = claim_of(root, "output_level_dbu");
  info.family = family;
  info.architecture = architecture;
  return info;
}

void check_macs(const Json& root, long macs_per_sample) {
  if (macs_per_sample > kMostMacs)
    root.fail("the net takes " + std::to_string(macs_per_sample) +
              " multiplications a sample, expected at most " + std::to_string(kMostMacs) +
              "; more cannot be played live.");
}

void check_warm_macs(const Json& root, long frames, long macs_per_sample) {
  if (frames * macs_per_sample > kMostWarmMacs)
    root.fail("the net takes " + std::to_string(frames * macs_per_sample / 1'000'000) +
              " million multiplications before its first sample, expected at most " +
              std::to_string(kMostWarmMacs / 1'000'000) + " million.");
}

void try_out(const Json& root, const Model& model) {
  const std::unique_ptr<Net> net = model.make_net(dsp::best_isa());
  uint32_t random = 1;
  std::array<float, kMaxFrames> block{};
  const long most_blocks = 200'000'000L / (kMaxFrames * (1L + model.info.mac_per_sample));
  const long blocks = std::clamp(most_blocks, 1L, 75L);
  for (long i = 0; i < blocks; ++i) {
    for (float& sample : block) {
      random = random * 1664525U + 1013904223U;
      sample = static_cast<float>(random >> 8U) * 0x1p-24F - 0.5F;
    }
    net->process(block.data(), block.data(), kMaxFrames);
    for (const float sample : block)
      if (!(std::abs(sample) < 1e5F))
        root.fail("the model's answer to noise is " + std::to_string(sample) +
                  ", expected numbers around 1; the weights are damaged.");
  }
}

void check_size(const Json& root, const WaveNetSpec& spec) {
  long field = 1;
  long floats = 0;
  long macs = 0;
  for (const WaveNetArray& array : spec.arrays)
    for (const WaveNetLayer& layer : array.layers) {
      const long history = layer.history_frames();
      field += history;
      floats += array.channels * (history + 256);
      macs += static_cast<long>(layer.weight.size());
    }
  check_macs(root, macs);
  if (field > kMostFieldFrames)
    root.fail("the receptive field is " + std::to_string(field) + " frames, expected at most " +
              std::to_string(kMostFieldFrames) + ".");
  if (floats > (16L << 20L))
    root.fail("the net needs " + std::to_string(floats >> 18L) + " MB of memory, at most 64 MB.");
}

void check_size(const Json& root, const StackSpec& spec) {
  long field = 1;
  long floats = 0;
  long macs = 0;
  for (const StackLayer& layer : spec.layers) {
    if (const auto* conv = std::get_if<ConvLayer>(&layer)) {
      const long history = static_cast<long>(conv->taps - 1) * conv->dilation;
      field += history;
      floats += 2 * (history + kMaxFrames) * dsp::padded(conv->ins);
      floats += static_cast<long>(conv->taps) * conv->ins * dsp::padded(conv->outs);
      macs += static_cast<long>(conv->weight.size());
    } else if (const auto* cell = std::get_if<RecurrentLayer>(&layer)) {
      floats += 4L * dsp::padded(cell->hidden) * (cell->ins + cell->hidden + kMaxFrames);
      macs += static_cast<long>(cell->weight.size() + cell->recurrent.size());
    }
  }
  check_macs(root, macs);
  check_warm_macs(root, spec.prewarm_frames, macs);
  if (field > kMostFieldFrames)
    root.fail("the receptive field is " + std::to_string(field) + " frames, expected at most " +
              std::to_string(kMostFieldFrames) + ".");
  if (floats > kMostFloats)
    root.fail("the net needs " + std::to_string(floats >> 18L) + " MB of memory, at most 64 MB.");
}

std::vector<float> read_matrix(const Json& list, size_t rows, size_t columns) {
  if (!list.is_array() || list.size() != rows)
    list.refuse(std::to_string(rows) + " lists of " + std::to_string(columns) + " numbers");
  std::vector<float> matrix;
  for (size_t row = 0; row < rows; ++row) {
    const std::vector<float> values = list.at(row).floats(columns);
    matrix.insert(matrix.end(), values.begin(), values.end());
  }
  return matrix;
}

std::vector<float> transpose(const std::vector<float>& matrix, size_t rows, size_t columns) {
  std::vector<float> turned(matrix.size());
  for (size_t row = 0; row < rows; ++row)
    for (size_t column = 0; column < columns; ++column)
      turned[column * rows + row] = matrix[row * columns + column];
  return turned;
}

int read_sample_rate(const Json& holder, ModelInfo& info) {
  for (const char* key : {"sample_rate", "samplerate"}) {
    if (!holder.has(key)) continue;
    const Json rate = holder.at(key);
    if (!rate.is_text()) return static_cast<int>(rate.integer(8000, 768000));
    const std::string text = rate.text();
    int value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || value < 8000 || value > 768000)
      rate.refuse("a whole number, 8000 to 768000");
    return value;
  }
  info.warnings.push_back("the file does not say its sample rate; " +
                          std::to_string(info.unsaid_rate_hz) + " Hz is assumed");
  return 0;
}

void check_self_test(const Json& root, const Model& model, const std::vector<float>& input,
                     const std::vector<float>& expected, size_t from, float tolerance) {
  check_warm_macs(root, static_cast<long>(input.size()), model.info.mac_per_sample);
  const std::unique_ptr<Net> net = model.make_net(dsp::best_isa());
  std::array<float, kMaxFrames> block{};
  float peak = 1e-3F;
  float worst = 0;
  for (size_t at = 0; at < input.size(); at += kMaxFrames) {
    const size_t frames = std::min<size_t>(kMaxFrames, input.size() - at);
    net->process(&input[at], block.data(), static_cast<int>(frames));
    for (size_t i = 0; i < frames; ++i) {
      peak = std::max(peak, std::abs(expected[at + i]));
      const float error = std::abs(block[i] - expected[at + i]);
      if (at + i >= from && !(error <= worst)) worst = std::isnan(error) ? INFINITY : error;
    }
  }
  if (worst > tolerance * peak)
    root.fail("the self-test differs by " + std::to_string(worst / peak) +
              " of its peak, expected at most " + std::to_string(tolerance) +
              "; the weights are damaged, export it again.");
}

std::shared_ptr<const Model> load_model(const std::string& path) {
  std::string text = read_file(path);
  const Json root = Json::parse(text, path);
  std::string().swap(text);  // it may be as large as all that follows
  return load_document(root);
}

std::shared_ptr<const Model> load_model(std::string_view bytes, const std::string& name) {
  return load_document(Json::parse(bytes, name));
}

}  // namespace amp::nn
