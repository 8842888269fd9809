#pragma once

#include <string>
#include <vector>

#include "general_wavenet.hpp"
#include "load.hpp"

namespace amp::nn {

/// What the files nested in one another may still take together.
struct NamBudget {
  long floats = 16L << 20L;        ///< of state and weights: 64 MB
  long warm_macs = kMostWarmMacs;  ///< of what is played before the first sample
};

/// One NAM document, whole or nested in another, its envelope already checked. Thread: control.
struct NamFile {
  Json root;
  ModelInfo info;  ///< family, architecture, name, rate; the loader adds the rest
  NamBudget* budget = nullptr;
  int depth = 1;

  /// The config; that of a slimmable WaveNet may stand one level deeper, under "model".
  [[nodiscard]] Json config() const {
    const Json outer = root.at("config");
    return outer.has("model") && !outer.has("layers") ? outer.at("model") : outer;
  }
};

/// Read the envelope of a document that stands inside `parent`. Raises LoadError where models are
/// nested deeper than 8 or the rates differ; a parent that does not say its rate takes this one's.
NamFile open_nested(const Json& root, NamFile& parent);

/// A loader for each architecture; load_nam.cpp has the table. Raise LoadError.
std::shared_ptr<const Model> load_nam_file(NamFile& file);
std::shared_ptr<const Model> load_nam_wavenet(NamFile& file);
std::shared_ptr<const Model> load_nam_convnet(NamFile& file);
std::shared_ptr<const Model> load_nam_linear(NamFile& file);
std::shared_ptr<const Model> load_nam_container(NamFile& file);
std::shared_ptr<const Model> load_nam_sequential(NamFile& file);

/// A WaveNet's config, weights still missing: every size checked, nothing large allocated.
GeneralSpec read_wavenet_config(NamFile& file);

/// Check sizes and read the weights of what read_wavenet_config() returned.
void fill_wavenet(NamFile& file, GeneralSpec& spec);

/// Take field, state and weight count into account, before anything of that size is allocated:
/// field at most kMostFieldFrames, state within the budget. `extra` counts weights beside those of
/// the convolutions, `nested_frames` what a condition remembers. Fills the info.
void charge(NamFile& file, const std::vector<const ConvSpec*>& convs, long extra,
            long nested_frames = 0);

/// The file's weights, of exactly the number that charge() found.
std::vector<float> read_weights(const NamFile& file);

/// Takes weights in file order, after their number was found to be right.
class WeightReader {
 public:
  explicit WeightReader(std::vector<float> weights) : weights_(std::move(weights)) {}

  std::vector<float> take(long count) {
    const auto begin = weights_.begin() + at_;
    at_ += count;
    return {begin, begin + count};
  }
  void fill(ConvSpec& conv) {
    conv.weight = take(conv.weight_count());
    conv.bias = take(conv.bias_count());
  }

 private:
  std::vector<float> weights_;
  long at_ = 0;
};

/// A name, or an object with a type and parameters, for `channels` channels.
Activation read_activation(const Json& json, int channels);

/// A whole number in range, or what stands for a key that is absent or null.
int integer_or(const Json& object, const char* key, int absent, int minimum, int maximum);
bool boolean_or(const Json& object, const char* key, bool absent);

/// Widths, kernels and layer counts are whole numbers up to this.
inline constexpr int kMostNamSize = 4096;

}  // namespace amp::nn
