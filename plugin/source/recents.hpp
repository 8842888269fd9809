#pragma once

#include <juce_core/juce_core.h>

namespace amp::plugin {

/// What the player loaded last, newest first, kept for all instances and hosts in one small file of
/// the user's settings. Thread: message; it touches the disk.
juce::StringArray recent_files();
void note_recent(const juce::File& file);

/// How large the window was, as a share of its smallest size; 1 where nobody has changed it.
double window_scale();
void note_window_scale(double scale);

}  // namespace amp::plugin
