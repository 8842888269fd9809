#include "params.hpp"

#include <cmath>

namespace amp::plugin {
namespace {

/// Ranges are those of rigs (rigs/README.md), so that every rig's values fit.
constexpr std::array<ParamRow, kParamCount> kRows{{
    {"input_gain", "Input Gain", "dB", -40, 40, 0},
    {"output_gain", "Output Gain", "dB", -60, 24, 0},
    {"mix", "Mix", "", 0, 1, 1},
    {"gate_threshold", "Gate Threshold", "dB", kGateOpenDb, 0, kGateOpenDb},
    {"quality", "Quality", "", 0, 1, 1},
    {"knob_1", "Knob 1", "", 0, 1, 0.5F},
    {"knob_2", "Knob 2", "", 0, 1, 0.5F},
    {"knob_3", "Knob 3", "", 0, 1, 0.5F},
    {"knob_4", "Knob 4", "", 0, 1, 0.5F},
    {"cab", "Cab", "", 0, 1, 0},
    {"level", "Level", "", 0, kLevelCount - 1, kRaw},
    {"bypass", "Bypass", "", 0, 1, 0},
}};

/// Of ids: grows never; a param that comes later gets a larger hint.
constexpr int kVersionHint = 1;

/// A host sends a share of the way, which misses the value that was meant by a little: one that
/// lies so near to a hundredth of a dB is meant to be it.
constexpr float kSteps = 100;
constexpr float kSlip = 1e-4F;

juce::String to_text(Param param, float value) {
  switch (param) {
    case kInputGain:
    case kOutputGain:
      return (value > 0.005F ? "+" : "") + juce::String(value, 1) + " dB";
    case kGateThreshold:
      return value <= kGateOpenDb ? juce::String("off") : juce::String(value, 1) + " dB";
    case kMix:
      return juce::String(juce::roundToInt(100 * value)) + " %";
    case kQuality:
      return value >= 1 ? juce::String("full") : juce::String(juce::roundToInt(100 * value)) + " %";
    default:
      return juce::String(10 * value, 1);
  }
}

float from_text(Param param, const juce::String& text) {
  const juce::String said = text.trim().toLowerCase();
  const float number = said.retainCharacters("-+0123456789.").getFloatValue();
  switch (param) {
    case kInputGain:
    case kOutputGain:
      return number;
    case kGateThreshold:
      return said == "off" ? kGateOpenDb : number;
    case kMix:
      return number / 100;
    case kQuality:
      return said == "full" ? 1 : number / 100;
    default:
      return number / 10;
  }
}

std::unique_ptr<juce::RangedAudioParameter> make(Param param) {
  const ParamRow& is = row(param);
  const juce::ParameterID id{is.id, kVersionHint};
  if (param == kLevel)
    return std::make_unique<juce::AudioParameterChoice>(
        id, is.name, juce::StringArray(kLevelNames.data(), kLevelCount), kRaw);
  if (param == kCab || param == kBypass)
    return std::make_unique<juce::AudioParameterBool>(
        id, is.name, is.default_value > 0.5F,
        juce::AudioParameterBoolAttributes()
            .withStringFromValueFunction(
                [](bool on, int) { return juce::String(on ? "on" : "off"); })
            .withValueFromStringFunction([](const juce::String& text) {
              const juce::String said = text.trim().toLowerCase();
              return said == "on" || said == "true" || said.getFloatValue() >= 0.5F;
            }));
  return std::make_unique<juce::AudioParameterFloat>(
      id, is.name, juce::NormalisableRange<float>(is.minimum, is.maximum), is.default_value,
      juce::AudioParameterFloatAttributes()
          .withLabel(is.unit)
          .withStringFromValueFunction([param](float value, int) { return to_text(param, value); })
          .withValueFromStringFunction(
              [param](const juce::String& text) { return from_text(param, text); }));
}

}  // namespace

const ParamRow& row(Param param) {
  return kRows[static_cast<size_t>(param)];
}

Values default_values() {
  Values values{};
  for (size_t p = 0; p < values.size(); ++p) values[p] = kRows[p].default_value;
  return values;
}

Params::Params(juce::AudioProcessor& processor) {
  for (size_t p = 0; p < all_.size(); ++p) {
    auto made = make(static_cast<Param>(p));
    all_[p] = made.get();
    processor.addParameter(made.release());
  }
}

Values Params::values() const noexcept {
  Values values{};
  for (size_t p = 0; p < all_.size(); ++p) {
    const ParamRow& is = kRows[p];
    const float value = is.minimum + all_[p]->getValue() * (is.maximum - is.minimum);
    const float round = std::round(value * kSteps) / kSteps;
    const bool meant = *is.unit && std::abs(value - round) < kSlip;
    values[p] = std::clamp(meant ? round : value, is.minimum, is.maximum);
  }
  return values;
}

void Params::set(const Values& values) {
  for (size_t p = 0; p < all_.size(); ++p)
    all_[p]->setValueNotifyingHost(all_[p]->convertTo0to1(values[p]));
}

}  // namespace amp::plugin
