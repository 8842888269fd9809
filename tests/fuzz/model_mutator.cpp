/// What libFuzzer changes: half of the time bytes, half of the time values of the document, which
/// keeps it readable and so reaches what stands behind the parser.
#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "nn/model.hpp"

using nlohmann::json;
using Random = std::minstd_rand;

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace {

size_t below(Random& random, size_t count) {
  return random() % count;
}

/// Every value of the document, the outermost first.
void collect(json& node, std::vector<json*>& all) {
  all.push_back(&node);
  if (!node.is_structured()) return;
  size_t taken = 0;
  for (json& child : node) {
    collect(child, all);
    // One weight is as good as another: long lists do not drown the rest.
    if (child.is_number() && ++taken == 4) break;
  }
}

const char* word(Random& random) {
  static constexpr std::array kWords{"Tanh",
                                     "Hardtanh",
                                     "Fasttanh",
                                     "ReLU",
                                     "LeakyReLU",
                                     "PReLU",
                                     "Sigmoid",
                                     "SiLU",
                                     "Hardswish",
                                     "LeakyHardtanh",
                                     "Softsign",
                                     "none",
                                     "gated",
                                     "blended",
                                     "softgated",
                                     "tanh",
                                     "relu",
                                     "sigmoid",
                                     "softsign",
                                     "linear",
                                     "elu",
                                     "softmax",
                                     "dense",
                                     "conv1d",
                                     "lstm",
                                     "gru",
                                     "prelu",
                                     "batchnorm",
                                     "activation",
                                     "time-distributed-dense",
                                     "WaveNet",
                                     "LSTM",
                                     "ConvNet",
                                     "Linear",
                                     "SlimmableContainer",
                                     "Sequential",
                                     "GRU",
                                     "SimpleRNN",
                                     "0.5.0",
                                     "0.7.1",
                                     "ampd-model",
                                     "residual_wavenet",
                                     "silence",
                                     "slice_channels_uniform",
                                     "48000",
                                     "1e3",
                                     ""};
  return kWords[below(random, kWords.size())];
}

const char* key(Random& random) {
  static constexpr std::array kKeys{"head",
                                    "head_scale",
                                    "gated",
                                    "gating_mode",
                                    "secondary_activation",
                                    "bottleneck",
                                    "groups",
                                    "groups_input",
                                    "groups_input_mixin",
                                    "head1x1",
                                    "layer1x1",
                                    "conv_pre_film",
                                    "conv_post_film",
                                    "input_mixin_pre_film",
                                    "input_mixin_post_film",
                                    "activation_pre_film",
                                    "activation_post_film",
                                    "layer1x1_post_film",
                                    "head1x1_post_film",
                                    "kernel_size",
                                    "kernel_sizes",
                                    "dilations",
                                    "dilation",
                                    "condition_dsp",
                                    "condition_size",
                                    "out_channels",
                                    "in_channels",
                                    "channels",
                                    "head_dilation",
                                    "bias",
                                    "active",
                                    "shift",
                                    "slimmable",
                                    "method",
                                    "kwargs",
                                    "allowed_channels",
                                    "model",
                                    "models",
                                    "submodels",
                                    "max_value",
                                    "batchnorm",
                                    "receptive_field",
                                    "num_layers",
                                    "hidden_size",
                                    "input_size",
                                    "metadata",
                                    "name",
                                    "loudness",
                                    "sample_rate",
                                    "samplerate",
                                    "self_test",
                                    "input",
                                    "output",
                                    "in_gain",
                                    "out_gain",
                                    "in_skip",
                                    "input_batch",
                                    "output_batch",
                                    "activation",
                                    "negative_slope",
                                    "negative_slopes",
                                    "min_val",
                                    "max_slope",
                                    "type",
                                    "skip",
                                    "bias_fl",
                                    "level_adjust",
                                    "filter_width",
                                    "residual_channels",
                                    "variables",
                                    "epsilon",
                                    "weights",
                                    "architecture"};
  return kKeys[below(random, kKeys.size())];
}

json number(Random& random) {
  static const std::array<json, 32> kNumbers{0,
                                             1,
                                             2,
                                             3,
                                             4,
                                             5,
                                             7,
                                             8,
                                             9,
                                             16,
                                             17,
                                             63,
                                             64,
                                             65,
                                             255,
                                             256,
                                             1024,
                                             4096,
                                             4097,
                                             480000,
                                             1000000,
                                             2147483647,
                                             4294967299,
                                             -1,
                                             -2147483648LL,
                                             9223372036854775807LL,
                                             18446744073709551615ULL,
                                             0.5,
                                             2.5,
                                             1e30,
                                             -1e38,
                                             1e300};
  return kNumbers[below(random, kNumbers.size())];
}

json fresh(Random& random) {
  switch (below(random, 8)) {
    case 0:
      return nullptr;
    case 1:
      return below(random, 2) == 0;
    case 2:
      return word(random);
    case 3:
      return json::array();
    case 4:
      return json::object({{key(random), number(random)}});
    default:
      return number(random);
  }
}

void change_list(json& list, Random& random) {
  const size_t at = list.empty() ? 0 : below(random, list.size());
  const size_t choice = below(random, 5);
  if (list.empty() || choice == 0)
    list.insert(list.begin() + static_cast<std::ptrdiff_t>(at), fresh(random));
  else if (choice == 1)
    list.erase(at);
  else if (choice == 2)
    list.push_back(json(list[at]));
  else if (choice == 3)
    list[at] = fresh(random);
  else
    for (size_t i = below(random, 40); i > 0; --i) list.push_back(json(list[at]));
}

void change_object(json& object, Random& random) {
  const size_t choice = below(random, 4);
  if (object.empty() || choice == 0) {
    object[key(random)] = fresh(random);
    return;
  }
  auto at = object.begin();
  std::advance(at, static_cast<std::ptrdiff_t>(below(random, object.size())));
  if (choice == 1)
    object.erase(at);
  else if (choice == 2)
    object[key(random)] = json(at.value());
  else
    at.value() = fresh(random);
}

void change(json& node, Random& random) {
  if (node.is_array() && below(random, 4) != 0)
    change_list(node, random);
  else if (node.is_object() && below(random, 8) != 0)
    change_object(node, random);
  else if (node.is_number_integer() && below(random, 2) == 0)
    node = node.get<std::int64_t>() / 2 + static_cast<std::int64_t>(below(random, 8)) - 3;
  else if (node.is_boolean())
    node = !node.get<bool>();
  else if (node.is_string() && below(random, 4) != 0)
    node = word(random);
  else
    node = fresh(random);
}

/// The number behind `words` in a text, or -1.
long number_behind(const std::string& text, const char* words) {
  const size_t at = text.find(words);
  return at == std::string::npos ? -1 : std::atol(text.c_str() + at + std::strlen(words));
}

/// A config that changed wants another number of weights; the loader says how many.
void mend_weights(json& document) {
  if (!document.is_object() || !document.contains("weights")) return;
  json& weights = document["weights"];
  if (!weights.is_array()) return;
  try {
    static_cast<void>(amp::nn::load_model(document.dump(), "m"));
  } catch (const amp::nn::LoadError& error) {
    const std::string what = error.what();
    if (what.find(": weights has ") == std::string::npos) return;
    const long wanted = number_behind(what, "numbers, expected ");
    if (wanted < 0 || wanted > 600) return;
    const size_t had = weights.size();
    while (weights.size() > static_cast<size_t>(wanted)) weights.erase(weights.size() - 1);
    while (weights.size() < static_cast<size_t>(wanted))
      weights.push_back(had == 0 ? json(0.1) : json(weights[weights.size() % had]));
  } catch (const std::exception&) {
    return;  // whatever it is, the execution itself will find it
  }
}

}  // namespace

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  Random random(seed + 1);
  if (below(random, 2) == 0) return LLVMFuzzerMutate(data, size, max_size);
  json document = json::parse(data, data + size, nullptr, false);
  if (document.is_discarded()) return LLVMFuzzerMutate(data, size, max_size);
  for (size_t i = 1 + below(random, 3); i > 0; --i) {
    std::vector<json*> all;
    collect(document, all);
    change(*all[below(random, all.size())], random);
  }
  if (below(random, 2) == 0) mend_weights(document);
  const std::string text = document.dump(-1, ' ', false, json::error_handler_t::replace);
  if (text.size() > max_size) return LLVMFuzzerMutate(data, size, max_size);
  std::memcpy(data, text.data(), text.size());
  return text.size();
}
