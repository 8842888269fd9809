#include <algorithm>
#include <charconv>
#include <cmath>

#include "nam.hpp"

namespace amp::nn {
namespace {

constexpr int kMostDepth = 8;

/// What a convolution takes beside its numbers, as it is read and as it is played.
constexpr long kConvFloats = 256;

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

/// Nothing in the metadata changes the sound, so that nothing in it but a failed self-test of the
/// trainer's (load.cpp) refuses a file.
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
              static_cast<long>(conv->outs) * dsp::kPlaneFrames + 2 * conv->weight_count() +
              kConvFloats;
    macs += conv->weight_count();
    weights += conv->weight_count() + conv->bias_count();
    if (field > kMostFieldFrames || macs > kMostMacs || floats > file.budget->floats) break;
  }
  if (field > kMostFieldFrames)
    file.root.fail("the receptive field is at least " + std::to_string(field) +
                   " frames, expected at most " + std::to_string(kMostFieldFrames) + ".");
  check_macs(file.root, macs);
  if (floats > file.budget->floats)
    file.root.fail("the net needs more than 64 MB of memory, expected at most 64 MB.");
  file.budget->floats -= floats;
  file.info.receptive_field_frames = static_cast<int>(field);
  file.info.weight_count = static_cast<int>(weights);
  file.info.mac_per_sample = static_cast<int>(macs);
}

std::vector<float> read_weights(const NamFile& file) {
  return file.root.at("weights").floats(static_cast<size_t>(file.info.weight_count));
}

std::shared_ptr<const Model> load_nam_file(NamFile& file) {
  std::shared_ptr<const Model> model = architecture_of(file.root).load(file);
  const ModelInfo& info = model->info;
  file.budget->warm_macs -= static_cast<long>(info.memory_frames) * info.mac_per_sample;
  if (file.budget->warm_macs < 0)
    file.root.fail("the nets in the file take more than " +
                   std::to_string(kMostWarmMacs / 1'000'000) +
                   " million multiplications before their first samples, expected at most that.");
  return model;
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
  return load_nam_file(file);
}

}  // namespace amp::nn
