#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "rt.hpp"

namespace amp {

namespace nn {
class Model;
}

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
  const float* clean = nullptr;  ///< the guitar as it came in, for a block that listens to it
};

/// The answer of a cabinet to one click, as it stands in a sound file.
struct Impulse {
  std::string name;  ///< for errors
  int sample_rate_hz = 48000;
  std::vector<std::vector<float>> channels;  ///< 1 or 2, of one length
};

/// One capture of a family: the model that plays where the knob stands at `at`.
struct FamilyMember {
  float at = 0;                               ///< in the player's own units
  std::string model;                          ///< path of the model file
  std::shared_ptr<const nn::Model> loaded{};  ///< what that holds, where it was read before
};

/// One block of a rig, as plain values.
struct BlockSpec {
  std::string kind;                          ///< "gain", "amp"
  std::string name;                          ///< "amp", "amp2": its place in param paths
  std::map<std::string, float> values;       ///< by param name; "bypass" and "mix" too
  std::string model;                         ///< path of the model file, for an amp of one
  std::vector<FamilyMember> family{};        ///< for an amp of several, along the param "knob"
  std::shared_ptr<const Impulse> impulse{};  ///< for a cab; none: the one that is built in
  std::string beside{};  ///< name of the block before it: both hear its input and are blended
  std::shared_ptr<const nn::Model> loaded{};  ///< what `model` holds, where it was read before
};

/// How much of a block the machine is asked to play.
enum class Plays : uint8_t { kNothing, kSmaller, kWhole };

/// One effect. Built and destroyed on the control or warm thread; everything that it needs is
/// allocated by its constructor.
class Block {
 public:
  Block() = default;
  virtual ~Block() = default;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  /// The knobs, in index order; "bypass" and "mix" are the chain's and not among them. Thread: any.
  [[nodiscard]] virtual std::span<const ParamInfo> params() const noexcept AMP_RT = 0;

  /// Take a value that is already inside the param's range, in its unit; `jump` skips the ramp.
  virtual void set(int param, float value, bool jump) noexcept AMP_RT = 0;

  /// Back to the state after infinite silence. Thread: the owner's (warm or audio).
  virtual void reset() noexcept AMP_RT = 0;

  /// Run over `signal` in place; it may raise signal.width, never lower it, but for an amp. A block
  /// that rings leaves the wet sound alone; the chain adds what went in.
  virtual void process(Signal& signal) noexcept AMP_RT = 0;

  /// Whether the chain offers "mix" beside "bypass", and where that starts.
  [[nodiscard]] virtual bool has_mix() const noexcept { return false; }
  [[nodiscard]] virtual float default_mix() const noexcept { return 1; }

  /// Sounds on when nothing goes in: echoes, a room. Bypass then closes its input, and after a
  /// change of rigs it is heard to its end.
  [[nodiscard]] virtual bool rings() const noexcept AMP_RT { return false; }

  /// Of a block that rings: the longest pause that it makes between two sounds, in frames.
  [[nodiscard]] virtual int pause_frames() const noexcept AMP_RT { return 0; }

  /// The player's tempo, 30 to 300, for what follows it; `jump` skips the way there.
  virtual void set_tempo(float bpm, bool jump) noexcept AMP_RT {
    static_cast<void>(bpm);
    static_cast<void>(jump);
  }

  /// Whether a smaller size of it could play in its place.
  [[nodiscard]] virtual bool can_shrink() const noexcept AMP_RT { return false; }

  /// Play the smallest size, or again the one that the values ask for: as a turn of that value
  /// does, or `at_once`, where nothing of it is heard.
  virtual void shrink(bool on, bool at_once) noexcept AMP_RT {
    static_cast<void>(on);
    static_cast<void>(at_once);
  }

  /// Frames by which the output lags the input.
  [[nodiscard]] virtual int latency_frames() const noexcept AMP_RT { return 0; }

  /// Frames of past input on which the output depends, with the values as they are now.
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
