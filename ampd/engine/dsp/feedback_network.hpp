#pragma once

#include <array>
#include <vector>

#include "delay_ring.hpp"
#include "ramp.hpp"

namespace amp::dsp {

/// An allpass: one click becomes many, no frequency louder than another. Thread: the owner's;
/// AMP_RT but for the constructor. Source: Schroeder 1962.
class Allpass {
 public:
  /// ramp_frames: how long a change of `keep` takes.
  Allpass(double milliseconds, float gain, int sample_rate_hz, int ramp_frames);

  [[nodiscard]] int frames() const noexcept AMP_RT { return frames_; }
  void clear() noexcept AMP_RT { ring_.clear(); }

  /// What its delay keeps in one round, over 0 to 1; 1 is a true allpass.
  void keep(float part, bool jump) noexcept AMP_RT { jump ? keep_.jump(part) : keep_.to(part); }

  /// frames: up to its own and to kMaxFrames.
  void run(float* signal, int frames) noexcept AMP_RT;
  [[nodiscard]] size_t memory_bytes() const noexcept { return ring_.memory_bytes(); }

 private:
  int frames_;
  float gain_;
  Ramp keep_;
  DelayRing ring_;
};

/// One line of the network: a delay whose length wanders slowly by a sine, so that no mode stands
/// still long enough to be heard as a note, and an allpass behind it. Lengths are whole numbers of
/// 2^-20 frames: where the line is read depends on the frame alone, to the bit.
class WanderingLine {
 public:
  struct Shape {
    double milliseconds;
    double allpass_ms;
    double wander_hz;
    double start;  ///< of the wander, in turns
  };

  WanderingLine(const Shape& shape, int sample_rate_hz, int ramp_frames);

  /// Frames between two turns of the wander; it is a straight line between them.
  static constexpr int kTick = 64;

  /// Of one round through the line and its allpass; the middle of the wander.
  [[nodiscard]] double round_frames() const noexcept AMP_RT {
    return frames_ + depth_ / kOne + allpass_.frames();
  }
  [[nodiscard]] int allpass_frames() const noexcept AMP_RT { return allpass_.frames(); }
  void keep(double part, bool jump) noexcept AMP_RT {
    allpass_.keep(static_cast<float>(part), jump);
  }

  void clear() noexcept AMP_RT;
  /// At every kTick frames, before they are read.
  void turn() noexcept AMP_RT;
  /// frames: up to kMaxFrames and to allpass_frames, not over a tick; written after they are read.
  void read(float* out, int frames) noexcept AMP_RT;
  void write(const float* in, int frames) noexcept AMP_RT { ring_.write(in, frames); }
  [[nodiscard]] size_t memory_bytes() const noexcept {
    return ring_.memory_bytes() + allpass_.memory_bytes();
  }

 private:
  static constexpr int kBits = 20;
  static constexpr double kOne = 1 << kBits;

  void between(const float* span, float* out, int frames) noexcept AMP_RT;

  int frames_;
  double depth_;  ///< of the wander to either side, in 2^-20 frames
  double turn_cos_;
  double turn_sin_;
  double start_;
  DelayRing ring_;
  Allpass allpass_;
  double cos_ = 1;
  double sin_ = 0;
  int offset_ = 0;  ///< what the wander adds now, in 2^-20 frames
  int step_ = 0;    ///< a frame
};

/// A room: eight lines that feed each other through a Hadamard matrix, which keeps energy and gives
/// every line all the others. Thread: the owner's; AMP_RT but for the constructor.
/// Source: own; feedback delay networks are Jot's, AES convention 90, 1991.
class FeedbackNetwork {
 public:
  FeedbackNetwork(int sample_rate_hz, int ramp_frames);

  /// decay_s: for 60 dB, at 1 kHz or at a quarter of damping_hz if that is lower. At damping_hz it
  /// dies about twice as fast. Noise leaves as loud as it came, however long the decay.
  void set(float decay_s, float damping_hz, bool jump) noexcept AMP_RT;
  void clear() noexcept AMP_RT;

  /// Of `frames` frames, how many `run` takes at once.
  [[nodiscard]] int stretch(int frames) noexcept AMP_RT;
  /// left and right in place: what enters, then what is heard.
  void run(float* left, float* right, int frames) noexcept AMP_RT;

  /// The longest way through a line.
  [[nodiscard]] int longest_frames() const noexcept AMP_RT;
  [[nodiscard]] size_t memory_bytes() const noexcept;

 private:
  static constexpr size_t kLines = 8;
  using Frames = std::array<float, kMaxFrames>;
  using Lines = std::array<Frames, kLines>;

  [[nodiscard]] bool loss_moves() const noexcept AMP_RT;
  void lose(Lines& at, int frames) noexcept AMP_RT;
  void mix(Lines& at, float* left, float* right, int frames) noexcept AMP_RT;

  int sample_rate_hz_;
  std::vector<WanderingLine> line_;
  std::array<Ramp, kLines> gain_;  ///< of a round, and 1 / sqrt(kLines) for the matrix
  std::array<Ramp, kLines> open_;  ///< of the low-passes: state += open * (in - state)
  std::array<float, kLines> state_{};
  Ramp drive_;
  int until_turn_ = 0;
};

}  // namespace amp::dsp
