#include <algorithm>
#include <charconv>
#include <cmath>

#include "nam.hpp"

namespace amp::nn {
namespace {

constexpr int kMostDepth = 8;

std::shared_ptr<const Model> load_lstm(NamFile& file) {
  return load_nam_lstm(file.root, file.info);
}

struct Architecture {
  const char* name;  ///< in the file
  const char* shown;
  std::shared_ptr<const Model> (*load)(NamFile&);
};

/// What this loader knows. A new architecture is a line here and a loader.
constexpr std::array kArchitectures{
    Architecture{"WaveNet", "wavenet", load_nam_wavenet},
    Architecture{"LSTM", "lstm", load_lstm},
    Architecture{"ConvNet", "convnet", load_nam_convnet},
    Architecture{"Linear", "linear", load_nam_linear},
    Architecture{"SlimmableContainer", "container", load_nam_container},
    Architecture{"Sequential", "sequential", load_nam_sequential},
    Architecture{"sequential", "sequential", load_nam_sequential},
};

const Architecture& architecture_of(const Json& root) {
  const Json architecture = root.at("architecture");
  std::string known;
  for (const Architecture& row : kArchitectures) {
    if (architecture.is_text() && architecture.text() == row.name) return row;
    known += (known.empty() ? "\"" : ", \"") + std::string(row.name) + "\"";
  }
  architecture.refuse("one of " + known);
}

/// The numbers of "0.5.4", or empty where it is not of this form.
std::vector<int> version_numbers(const std::string& text) {
  std::vector<int> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (true) {
    int number = 0;
    const auto [next, error] = std::from_chars(at, end, number);
    if (error != std::errc() || number < 0) return {};
    numbers.push_back(number);
    if (next == end) return numbers;
    if (*next != '.') return {};
    at = next + 1;
  }
}

void check_version(const Json& root) {
  const Json version = root.at("version");
  const std::vector<int> numbers = version_numbers(version.text());
  if (numbers.size() != 3 || numbers[0] != 0 || numbers[1] < 5 || numbers[1] > 7)
    version.refuse("a NAM file version from \"0.5.0\" to \"0.7.x\"");
}

int sample_rate(const Json& root) {
  return root.has("sample_rate") ? static_cast<int>(root.at("sample_rate").integer(8000, 768000))
                                 : 0;
}

/// Nothing in the metadata changes the sound, so that nothing in it refuses a file.
void warn_of_metadata(const Json& root, ModelInfo& info) {
  if (!root.has("metadata")) return;
  const Json metadata = root.at("metadata");
  if (!metadata.is_object()) {
    info.warnings.emplace_back("metadata is not an object and is ignored");
    return;
  }
  for (const char* key : {"loudness", "input_level_dbu", "output_level_dbu"})
    if (metadata.has(key) && !metadata.at(key).is_number())
      info.warnings.emplace_back("metadata." + std::string(key) +
                                 " is not a number and is ignored");
}

/// A tenth of a second of noise: a file whose numbers run away is refused before it is heard.
void try_out(const Json& root, const Model& model) {
  const std::unique_ptr<Net> net = model.make_net(dsp::best_isa());
  uint32_t random = 1;
  std::array<float, kMaxFrames> block{};
  const long most_blocks = 500'000'000L / (kMaxFrames * (1L + model.info.mac_per_sample));
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

}  // namespace

int integer_or(const Json& object, const char* key, int absent, int minimum, int maximum) {
  return object.has(key) ? static_cast<int>(object.at(key).integer(minimum, maximum)) : absent;
}

bool boolean_or(const Json& object, const char* key, bool absent) {
  return object.has(key) ? object.at(key).boolean() : absent;
}

NamFile open_nested(const Json& root, NamFile& parent) {
  if (parent.depth >= kMostDepth)
    root.fail("models are nested deeper than 8 in one another, expected at most 8.");
  if (!root.is_object()) root.refuse("an object with the keys of a NAM file");
  if (root.has("version")) check_version(root);
  NamFile file{.root = root,
               .info = describe(root, "nam", architecture_of(root).shown),
               .budget = parent.budget,
               .depth = parent.depth + 1};
  const int rate = sample_rate(root);
  if (parent.info.sample_rate_hz == 0) parent.info.sample_rate_hz = rate;
  if (rate != 0 && rate != parent.info.sample_rate_hz)
    root.at("sample_rate")
        .refuse(std::to_string(parent.info.sample_rate_hz) + ", the rate of the model around it");
  file.info.sample_rate_hz = parent.info.sample_rate_hz;
  return file;
}

void charge(NamFile& file, const std::vector<const ConvSpec*>& convs, long extra,
            long nested_frames) {
  long field = 1 + nested_frames;
  long floats = 0;
  long macs = 0;
  long weights = extra;
  for (const ConvSpec* conv : convs) {
    const long history = conv->history_frames();
    field += history;
    floats += (conv->kernel > 1 ? conv->ins * (history + kMaxFrames + dsp::kPlaneFrames) : 0) +
              static_cast<long>(conv->outs) * dsp::kPlaneFrames;
    macs += conv->weight_count();
    weights += conv->weight_count() + conv->bias_count();
    if (field > kMostFieldFrames || floats > file.budget->floats) break;
  }
  if (field > kMostFieldFrames)
    file.root.fail("the receptive field is at least " + std::to_string(field) +
                   " frames, expected at most " + std::to_string(kMostFieldFrames) + ".");
  if (floats > file.budget->floats)
    file.root.fail("the net needs more than 64 MB of memory, expected at most 64 MB.");
  if (weights > (16L << 20L))
    file.root.fail("the net has " + std::to_string(weights) +
                   " weights, expected at most 16777216.");
  file.budget->floats -= floats;
  file.info.receptive_field_frames = static_cast<int>(field);
  file.info.weight_count = static_cast<int>(weights);
  file.info.mac_per_sample = static_cast<int>(macs);
}

std::vector<float> read_weights(const NamFile& file) {
  return file.root.at("weights").floats(static_cast<size_t>(file.info.weight_count));
}

std::shared_ptr<const Model> load_nam_file(NamFile& file) {
  return architecture_of(file.root).load(file);
}

std::shared_ptr<const Model> load_nam(const Json& root) {
  check_version(root);
  NamBudget budget;
  NamFile file{
      .root = root, .info = describe(root, "nam", architecture_of(root).shown), .budget = &budget};
  file.info.sample_rate_hz = sample_rate(root);
  if (file.info.sample_rate_hz == 0)
    file.info.warnings.emplace_back("the file does not say its sample rate; 48000 Hz is assumed");
  warn_of_metadata(root, file.info);
  std::shared_ptr<const Model> model = load_nam_file(file);
  try_out(root, *model);
  return model;
}

}  // namespace amp::nn
