#pragma once

#include <string>
#include <vector>

#include "engine.hpp"

namespace amp {

/// Play arrays through the engine, as a host does: in calls of `block_frames`, MIDI at its frame.
///   in           `frames` samples
///   left, right  `frames` samples each, must not overlap `in`
///   midi         in frame order, frames counted from the start of `in`
///   midi_out     what the engine sends is put behind what stands there, counted likewise; or null
/// Thread: the only one that drives the engine.
void play_offline(Engine& engine, const float* in, float* left, float* right, int64_t frames,
                  int block_frames, const std::vector<MidiEvent>& midi,
                  std::vector<MidiEvent>* midi_out = nullptr);

/// The bare net of a model file from its silence-warmed state, `block_frames` at a time: no chain,
/// no safety stage. Where sample_rate_hz is not the model's it is resampled in and out; the output
/// is moved back by the latency, so that it lies on the input. 0 takes the samples for samples at
/// the model's rate. Raises nn::LoadError. Thread: any.
void play_model(const std::string& path, dsp::Isa isa, const float* in, float* out, int64_t frames,
                int block_frames, int sample_rate_hz);

}  // namespace amp
