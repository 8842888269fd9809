#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "rt.hpp"

namespace amp {

/// How a control travels over its range.
enum class Taper : uint8_t { kLinear, kLog, kToggle };

/// One knob of a block: its name, and what it accepts.
struct ParamInfo {
  const char* name;  ///< with its unit: "gain_db"
  const char* unit;  ///< "dB", "ms", "Hz"; "" for a bare number
  float minimum;
  float maximum;
  float default_value;
  Taper taper;
  const char* text;  ///< one phrase for people
};

/// The signal between blocks: 1 or 2 channels of `frames` frames, changed in place.
/// Both channels have room for kMaxFrames even while the width is 1, so that a block can widen.
struct Signal {
  std::array<float*, 2> channel{};
  int width = 1;
  int frames = 0;
};

/// One capture of a family: the model that plays where the knob stands at `at`.
struct FamilyMember {
  float at = 0;       ///< in the player's own units
  std::string model;  ///< path of the model file
};

/// One block of a rig, as plain values.
struct BlockSpec {
  std::string kind;                     ///< "gain", "amp"
  std::string name;                     ///< "amp", "amp2": its place in param paths
  std::map<std::string, float> values;  ///< by param name
  std::string model;                    ///< path of the model file, for an amp of one
  std::vector<FamilyMember> family{};   ///< for an amp of several, along the param "knob"
};

/// One effect. Built and destroyed on the control or warm thread; everything that it needs is
/// allocated by its constructor.
class Block {
 public:
  Block() = default;
  virtual ~Block() = default;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  /// The knobs, in index order. Thread: any.
  [[nodiscard]] virtual std::span<const ParamInfo> params() const noexcept AMP_RT = 0;

  /// Take a value that is already inside the param's range, in its unit; `jump` skips the ramp.
  virtual void set(int param, float value, bool jump) noexcept AMP_RT = 0;

  /// Back to the state after infinite silence. Thread: the owner's (warm or audio).
  virtual void reset() noexcept AMP_RT = 0;

  /// Run over `signal` in place; it may raise signal.width, never lower it.
  virtual void process(Signal& signal) noexcept AMP_RT = 0;

  /// Frames by which the output lags the input.
  [[nodiscard]] virtual int latency_frames() const noexcept AMP_RT { return 0; }

  /// Frames of past input on which the output depends.
  [[nodiscard]] virtual int memory_frames() const noexcept AMP_RT { return 0; }

  /// Where the output depends on the position in the sound too, as a resampler's does, it does so
  /// modulo this many frames; a reset stands for position 0.
  [[nodiscard]] virtual int grid_frames() const noexcept AMP_RT { return 1; }

  /// Heap that it holds, in bytes.
  [[nodiscard]] virtual size_t memory_bytes() const noexcept { return 0; }
};

/// Decibels to a linear factor.
inline float from_db(float db) noexcept AMP_RT {
  return std::pow(10.0F, db / 20.0F);
}

}  // namespace amp
