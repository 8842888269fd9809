#pragma once

#include <vector>

#include "chain.hpp"

namespace amp::plugin {

/// How loud a rig is, measured as the daemon does it, with the same signal and the same weighting;
/// numbers are held to ampd/probe.py and ampd/levels.py by tests/plugin/test_levels.py.

/// The gains around a rig, in dB, each at most kMostTrimDb up or down.
struct Trim {
  float input_db = 0;
  float output_db = 0;
};
inline constexpr float kMostTrimDb = 24;

/// What `normalized` brings a rig to, in LUFS.
inline constexpr double kTargetLufs = -20;

/// A sine of 1 kHz that reads 0 dBFS peak at an interface, in dBu RMS: ampd.toml's input_dbu.
inline constexpr float kInputDbu = 12;

/// Three seconds of a guitar, peak 0.3 of full scale: probe.guitar_signal. Thread: any; it takes
/// tens of milliseconds.
std::vector<float> guitar_signal(int sample_rate_hz);

/// K-weighted loudness (ITU-R BS.1770-5) in dB of full scale, -200 for silence: mean of the sides,
/// of one length, 100 ms or more. Thread: any.
double loudness_lufs(const std::vector<std::vector<float>>& sides, int sample_rate_hz);

/// How loud the rig answers the guitar, before the safety stage. Raises nn::LoadError. Thread: any;
/// it takes as long as the rig does for three seconds of sound.
double rig_loudness_lufs(const RigSpec& rig, int sample_rate_hz);

/// The trim that normalizes a rig of this loudness; none for silence.
Trim normalized(double lufs);

/// The trim that calibrates a rig by what its models say of their capture: the first's input, the
/// last's output; 0 where they say nothing.
Trim calibrated(const nn::ModelInfo* first, const nn::ModelInfo* last);

}  // namespace amp::plugin
