#include <cmath>

#include "nam.hpp"

namespace amp::nn {
namespace {

using Kind = Activation::Kind;

struct Name {
  const char* name;
  Kind kind;
};

constexpr std::array kNames{
    Name{"Tanh", Kind::kTanh},
    Name{"Hardtanh", Kind::kHardtanh},
    Name{"Fasttanh", Kind::kFasttanh},
    Name{"ReLU", Kind::kReLU},
    Name{"LeakyReLU", Kind::kLeakyReLU},
    Name{"PReLU", Kind::kLeakyReLU},
    Name{"Sigmoid", Kind::kSigmoid},
    Name{"SiLU", Kind::kSiLU},
    Name{"Hardswish", Kind::kHardswish},
    Name{"LeakyHardtanh", Kind::kLeakyHardtanh},
    Name{"LeakyHardTanh", Kind::kLeakyHardtanh},
    Name{"Softsign", Kind::kSoftsign},
};

float number_or(const Json& object, const char* key, float absent) {
  if (!object.has(key)) return absent;
  const auto value = static_cast<float>(object.at(key).number());
  if (!std::isfinite(value)) object.at(key).refuse("a number that is finite in 32 bits");
  return value;
}

std::vector<float> slopes(const Json& json, bool by_channel, int channels) {
  if (!by_channel || json.has("negative_slope") || !json.has("negative_slopes"))
    return {number_or(json, "negative_slope", 0.01F)};
  const Json list = json.at("negative_slopes");
  std::vector<float> values = list.floats();
  if (values.size() != 1 && values.size() != static_cast<size_t>(channels))
    list.refuse("one slope, or one for each of " + std::to_string(channels) + " channels");
  return values;
}

}  // namespace

Activation read_activation(const Json& json, int channels) {
  const Json type = json.is_object() ? json.at("type") : json;
  std::string known;
  for (const Name& row : kNames) {
    known += (known.empty() ? "" : ", ") + std::string(row.name);
    if (!type.is_text() || type.text() != row.name) continue;
    Activation activation;
    activation.kind = row.kind;
    if (!json.is_object()) return activation;
    if (row.kind == Kind::kLeakyReLU)
      activation.slopes = slopes(json, type.text() == "PReLU", channels);
    if (row.kind == Kind::kLeakyHardtanh) {
      activation.minimum = number_or(json, "min_val", -1);
      activation.maximum = number_or(json, "max_val", 1);
      activation.minimum_slope = number_or(json, "min_slope", 0.01F);
      activation.maximum_slope = number_or(json, "max_slope", 0.01F);
    }
    return activation;
  }
  type.refuse("one of " + known);
}

}  // namespace amp::nn
