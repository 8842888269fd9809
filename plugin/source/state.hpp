#pragma once

#include <juce_core/juce_core.h>

#include "setting.hpp"

namespace amp::plugin {

/// All that a project keeps of an instance.
struct State {
  Values values = default_values();
  Setting setting;
  Loudness loudness;  ///< as it was measured, so that opening does not measure again
};

/// The version that is written. It is the first thing in a state and grows when an older plugin
/// could not read it.
inline constexpr uint32_t kStateVersion = 1;

/// A state as bytes, little-endian:
///   u32 version, "ampd", u64 size of all, u32 size of the text, the text (JSON), the files that it
///   names (zlib), SHA-256 of all before it (32 bytes).
/// The same state gives the same bytes. Thread: any.
juce::MemoryBlock write_state(const State& state);

/// Raises Refused with a sentence: it is cut short, damaged, of another version, or no state at
/// all; nothing of it is taken then. What lies behind the state is not looked at. A file that is on
/// disk as it was is named so, otherwise the copy plays. Thread: any; it blocks.
State read_state(const void* data, size_t size);

}  // namespace amp::plugin
