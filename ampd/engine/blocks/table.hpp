#pragma once

#include <memory>
#include <vector>

#include "../block.hpp"
#include "../dsp/isa.hpp"
#include "../nn/model.hpp"

namespace amp {

/// What a block is built for, and what it tells back.
struct BuildContext {
  int sample_rate_hz = 48000;
  dsp::Isa isa = dsp::Isa::kGeneric;
  std::vector<nn::ModelInfo> models;  ///< every model that was loaded, in chain order
};

/// Build one block with its params at their defaults. Raises nn::LoadError for an unknown kind
/// (the text lists those known), a missing model or one that cannot be played. Thread: control.
std::unique_ptr<Block> make_block(const BlockSpec& spec, BuildContext& context);

/// Makers of the table's rows.
std::unique_ptr<Block> make_gain(const BlockSpec& spec, BuildContext& context);
std::unique_ptr<Block> make_gate(const BlockSpec& spec, BuildContext& context);
std::unique_ptr<Block> make_eq(const BlockSpec& spec, BuildContext& context);
std::unique_ptr<Block> make_amp(const BlockSpec& spec, BuildContext& context);
std::unique_ptr<Block> make_cab(const BlockSpec& spec, BuildContext& context);
std::unique_ptr<Block> make_delay(const BlockSpec& spec, BuildContext& context);
std::unique_ptr<Block> make_reverb(const BlockSpec& spec, BuildContext& context);

/// Every knob reaches a new value in this time.
inline constexpr float kRampSeconds = 0.010F;

inline int ramp_frames(int sample_rate_hz) {
  return static_cast<int>(kRampSeconds * static_cast<float>(sample_rate_hz));
}

}  // namespace amp
