#pragma once

#include <juce_core/juce_core.h>

namespace amp::plugin {

/// The YAML of rigs, parsed by libyaml as in the daemon: numbers, true and false, texts. What makes
/// a small file large (anchors, aliases, tags, merge keys), doubled keys, more than 256 kB, more
/// than 16 levels and more than one document are refused, as ampd/rig_yaml.py does. Mappings keep
/// the order of the file, keys are texts. Raises Refused: place, line, what. `place` is the file's
/// name in errors. Thread: any.
juce::var read_yaml(const juce::String& text, const std::string& place);

/// A text as YAML reads it back: in quotes where it must be.
juce::String as_yaml(const juce::String& text);

/// The shortest decimal that is this float again, without an exponent.
juce::String decimal(float value);

}  // namespace amp::plugin
