#pragma once

#include <juce_audio_processors/juce_audio_processors.h>

#include <array>

namespace amp::plugin {

/// What a host may automate. Their ids are in projects of users: a test holds them still.
enum Param {
  kInputGain,
  kOutputGain,
  kMix,
  kGateThreshold,
  kQuality,
  kKnob1,
  kKnob2,
  kKnob3,
  kKnob4,
  kCab,
  kLevel,
  kBypass,
  kParamCount
};
inline constexpr int kKnobCount = kKnob4 - kKnob1 + 1;

/// A rig's three ways to be as loud as others (ampd/levels.py), the choices of kLevel in order.
enum Level { kRaw, kNormalized, kCalibrated, kLevelCount };
inline constexpr std::array<const char*, kLevelCount> kLevelNames{"raw", "normalized",
                                                                  "calibrated"};

/// A value each, in the param's own unit.
using Values = std::array<float, kParamCount>;

/// The least that the gate's threshold can be, where it stands open.
inline constexpr float kGateOpenDb = -100;

struct ParamRow {
  const char* id;
  const char* name;
  const char* unit;
  float minimum;
  float maximum;
  float default_value;
};
const ParamRow& row(Param param);

/// The values that a new instance has.
Values default_values();

/// The params of one instance. Thread: made by the message thread; values by any.
class Params {
 public:
  /// Adds them to the processor, which owns them.
  explicit Params(juce::AudioProcessor& processor);

  [[nodiscard]] juce::RangedAudioParameter& at(Param param) const {
    return *all_[static_cast<size_t>(param)];
  }
  /// In the params' units: a host's 0.7142857 of the way is 0 dB, to the bit.
  [[nodiscard]] Values values() const noexcept;
  /// Tell the host. Thread: message.
  void set(const Values& values);

 private:
  std::array<juce::RangedAudioParameter*, kParamCount> all_{};
};

}  // namespace amp::plugin
