#pragma once

#include "setting.hpp"

namespace amp::plugin {

/// A rig of the daemon (rigs/README.md) as the plugin plays it.
struct OpenedRig {
  Setting setting;
  Values values = default_values();
};

/// Open rigs/NAME.yaml: the whole chain, its models and impulses from ../models or, where there is
/// no such folder, from models/ beside the file. What it names and is not there is missing in the
/// setting. Snapshots, morph and MIDI stay with the daemon: the setting's notes say so. Raises
/// Refused with place, found and expected. Thread: any; it blocks.
OpenedRig open_rig(const juce::File& yaml);

/// Write what is heard as a rig: rigs/NAME.yaml, its models in models/, its impulses in
/// models/cabs/ of the same folder; where `yaml` does not lie in a folder "rigs", that is made
/// beside it. Files that are there with these bytes are used, others never overwritten. Returns the
/// rig that was written. Raises Refused. Thread: any; it blocks.
juce::File write_rig(const juce::File& yaml, const Setting& setting, const Values& values,
                     const Trim& trim);

}  // namespace amp::plugin
