#pragma once

#include "../dsp/impulse.hpp"

namespace amp {

/// The speaker of a cab that names no file: twelve inches in a closed box, close to the cone; our
/// own design, of a few filters. Mono, 40 ms, not yet levelled. Thread: control.
dsp::Response built_in_speaker(int sample_rate_hz);

}  // namespace amp
