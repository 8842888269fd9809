#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "../dsp/ramp.hpp"
#include "../nn/resampled.hpp"

namespace amp {

/// Nets in a row along a knob, of which the two beside it play, mixed by a straight line; one net
/// alone plays as it is. What is heard is at every frame w * y_high + (1 - w) * y_low of two nets
/// that are where they would be had they always played:
///   - A turn beyond a neighbour wakes the net behind it. That net hears the live input for as
///     long as it remembers before its weight may rise; the knob waits for it at the neighbour.
///   - Two nets cost time, three while a turn passes a neighbour, however many there are.
///   - A segment is crossed in one ramp; nothing depends on how the input is cut into blocks.
/// Straight lines, not equal power: captures of one amp are coherent, so their amplitudes add.
/// Everything but the constructor: the owner's thread; AMP_RT.
class Family {
 public:
  struct Member {
    float at = 0;  ///< the knob's position at which this net plays alone
    nn::HostedNet hosted;
    /// A net with a state that no finite input determines (recurrent, or in several sizes) starts
    /// anew when it wakes; any other forgets what it heard before it slept.
    bool starts_anew = false;
  };

  /// members: at least one, their positions increasing, of one latency and one grid.
  Family(std::vector<Member> members, int ramp_frames);

  /// Ask for a position, between the first and the last. `jump` skips the ramp where both nets
  /// that it needs play already.
  void turn(float position, bool jump) noexcept AMP_RT;

  /// Silence behind, the knob where it was last asked to be.
  void reset() noexcept AMP_RT;

  /// `frames` frames in place, 1..kMaxFrames.
  void process(float* mono, int frames) noexcept AMP_RT;

  [[nodiscard]] std::vector<Member>& members() noexcept AMP_RT { return members_; }
  [[nodiscard]] float position() const noexcept AMP_RT { return knob_.current(); }
  /// How many nets play now: 1 for one alone, else 2, or 3 while a turn passes a neighbour.
  [[nodiscard]] int playing() const noexcept AMP_RT;

  [[nodiscard]] int latency_frames() const noexcept AMP_RT;
  [[nodiscard]] int memory_frames() const noexcept AMP_RT { return memory_frames_; }
  [[nodiscard]] int grid_frames() const noexcept AMP_RT { return grid_frames_; }
  [[nodiscard]] size_t memory_bytes() const noexcept;

 private:
  static constexpr int kNone = -1;

  [[nodiscard]] Member& member(int index) noexcept AMP_RT {
    return members_[static_cast<size_t>(index)];
  }
  [[nodiscard]] float low_at() noexcept AMP_RT { return member(low_).at; }
  [[nodiscard]] float high_at() noexcept AMP_RT { return member(low_ + 1).at; }
  [[nodiscard]] int beyond() noexcept AMP_RT;
  void approach() noexcept AMP_RT;
  void step() noexcept AMP_RT;
  void choose_coming() noexcept AMP_RT;
  [[nodiscard]] bool coming_is_warm() noexcept AMP_RT;
  [[nodiscard]] int frames_to_wake() noexcept AMP_RT;
  [[nodiscard]] int frames_to_step() noexcept AMP_RT;
  void play(float* mono, int frames) noexcept AMP_RT;
  void mix(float* mono, int frames) noexcept AMP_RT;

  std::vector<Member> members_;
  std::vector<int> slept_at_;  ///< where in the grid each net that does not play stands
  int memory_frames_ = 1;
  int grid_frames_ = 1;
  dsp::Ramp knob_;      ///< never leaves the pair that plays
  float wanted_;        ///< where the knob is asked to be
  int low_ = 0;         ///< the pair that plays is low_ and low_ + 1
  int coming_ = kNone;  ///< the net that wakes
  bool awake_ = false;  ///< and whether it hears the input by now
  int heard_frames_ = 0;
  int clock_ = 0;  ///< frames since the reset, modulo the grid
  alignas(64) std::array<float, kMaxFrames> high_out_{};
  alignas(64) std::array<float, kMaxFrames> unheard_{};
};

}  // namespace amp
