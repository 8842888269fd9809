#pragma once

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "chain.hpp"
#include "files.hpp"
#include "loudness.hpp"
#include "params.hpp"

namespace amp::plugin {

/// A block of the rig, and what it plays.
struct Part {
  BlockSpec spec;              ///< without files: those are
  std::vector<FilePtr> files;  ///< the model, or those of spec.family in its order, or the impulse
  bool own = false;            ///< put there by the plugin, so that its knob has what to turn
};

/// What an instance plays, apart from the values that a host automates. It always has a gate and a
/// cab, of which the plugin's are inaudible until they are turned. Immutable once it is shared.
struct Setting {
  std::string name;         ///< of the rig it came from, "" where models were loaded one by one
  std::vector<Part> parts;  ///< gate, amp, cab; or the chain of a rig
  /// With these it is measured for `normalized`: a rig's own, so that the daemon finds the same.
  Values reference = default_values();
  std::string notes;  ///< what of a rig stays with the daemon

  [[nodiscard]] const Part* find(const std::string& kind) const;
  [[nodiscard]] Part* find(const std::string& kind);
  /// The model that the editor names: the first amp's first.
  [[nodiscard]] FilePtr model() const;
  [[nodiscard]] FilePtr impulse() const;
};

/// Gate, no amp, cab: the guitar as it is.
Setting empty_setting();

/// Add the gate and the cab that are not there: in front of everything, and behind the last amp.
void complete(Setting& setting);

/// The setting with another model in its amp, or a first one; a family becomes that one model.
Setting with_model(const Setting& setting, FilePtr model);
/// The setting with another impulse in its cab; null: the speaker that is built in.
Setting with_impulse(const Setting& setting, FilePtr impulse);

/// Where the params of the plugin are in a chain: an index each, -1 where it has none.
struct ParamMap {
  std::array<int, kParamCount> index{};
  std::array<float, kParamCount> minimum{};  ///< a knob's 0 and 1 in the chain's own unit
  std::array<float, kParamCount> maximum{};
};
ParamMap map_params(const Setting& setting, const Chain& chain);

/// The knobs that the chain has for kKnob1 and those behind it, by name.
std::vector<std::string> knob_names(const Setting& setting);

/// The chain's value of a param: the trim is in the gains, a cab that is on is not bypassed.
float to_chain(Param param, const Values& values, const Trim& trim, const ParamMap& map);

/// The rig that plays the setting with these values. Parts whose files are missing are left out.
RigSpec to_rig(const Setting& setting, const Values& values, const Trim& trim);

/// Levels of `setting` at a rate: what is known without measuring it, which only `normalized` asks.
struct Loudness {
  std::optional<double> lufs;
  int sample_rate_hz = 0;
};
Trim trim_of(const Setting& setting, Level level, const Loudness& measured);

/// Measure it, or find it among what this process has measured. Raises nn::LoadError. Thread: any.
Loudness measure(const Setting& setting, int sample_rate_hz);

}  // namespace amp::plugin
