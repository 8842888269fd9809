#pragma once

#include <array>
#include <vector>

#include "isa.hpp"
#include "spectra.hpp"

namespace amp::dsp {

/// Convolution with a response of 1 or 2 channels, without latency: the first 64 taps in time, the
/// rest in parts of 64 by the spectra of the last 128 frames (overlap-save). What a part gives is
/// due 64 frames later at the earliest, so all of them are worked out whenever 64 frames, counted
/// from the reset, are complete. Thread: the owner's.
/// Truth: direct convolution in float64, max |diff| 2e-6 of peak (convolver_test.cpp).
class Convolver {
 public:
  /// response: 1 or 2 channels of one length, at least 1. Thread: control; it allocates.
  Convolver(const std::vector<std::vector<float>>& response, Isa isa);

  /// Silence behind, position 0.
  void reset() noexcept AMP_RT;

  /// In place. width: the channels that hold sound, 1 or 2; returns how many hold it then. One goes
  /// through both channels of the response, two through the one there is, or each through its own.
  /// frames: 1..kMaxFrames
  int process(const std::array<float*, 2>& channel, int width, int frames) noexcept AMP_RT;

  /// Frames of input on which the output depends, bit by bit: whole windows, also where a response
  /// ends within one, or counts for nothing.
  [[nodiscard]] int memory_frames() const noexcept AMP_RT {
    return parts_ == 0 ? taps_ : kPartFrames * (parts_ + 2);
  }
  [[nodiscard]] static constexpr int grid_frames() noexcept AMP_RT { return kPartFrames; }
  [[nodiscard]] size_t memory_bytes() const noexcept;

 private:
  using Spectra = std::vector<Bins<float>>;

  void widen() noexcept AMP_RT;
  void turn_part() noexcept AMP_RT;

  const SpectrumKernels<float>& kernels_;
  const TransformTable& table_;
  int responses_;
  int taps_;                                 ///< of the head
  int parts_;                                ///< behind the head
  int width_ = 1;                            ///< of what came in
  int filled_ = 0;                           ///< frames of the part that is being heard
  int newest_ = 0;                           ///< place of the newest window
  std::array<std::vector<float>, 2> head_;   ///< [taps]
  std::array<Spectra, 2> response_;          ///< [group][part]
  std::array<Spectra, 2> windows_;           ///< [group][place in the ring]
  std::array<std::vector<float>, 2> heard_;  ///< the part before, the part now, slack
  std::array<std::vector<float>, 2> tail_;   ///< what the parts give to the part now, slack
};

}  // namespace amp::dsp
