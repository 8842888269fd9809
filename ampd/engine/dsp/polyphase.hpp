#pragma once

#include <cstddef>
#include <vector>

#include "../rt.hpp"

namespace amp::dsp {

/// A Kaiser-windowed sinc, read at points between the frames of a signal.
struct Kernel {
  double half_width;  ///< frames on either side of the point
  double cutoff;      ///< cycles a frame, 0 to 0.5: the middle of the transition
  double beta;        ///< of the window

  /// Half the transition on either side of the cutoff; `attenuation_db` from where it ends.
  /// Frequencies in cycles a frame. Source: Kaiser 1974, as in Oppenheim and Schafer, section 7.6.
  static double beta_of(double attenuation_db);
  static double width_of(double attenuation_db, double transition);
};

/// The kernel at every point that two rates of a ratio P : Q need, one row of taps a point: no
/// interpolation between phases, and no drift. Designed in float64; each row passes 0 Hz exactly.
class PolyphaseBank {
 public:
  /// newest_frames: for each row, how far its newest tap lies after its point; may be beyond the
  /// kernel, where taps are zero. taps: enough to reach the kernel's old end. Thread: control.
  PolyphaseBank(const std::vector<double>& newest_frames, int taps, const Kernel& kernel);

  /// The frames that `at` looks back on; those beyond the kernel count nothing but must be finite.
  [[nodiscard]] int reach_frames() const noexcept AMP_RT { return reach_; }
  static int reach_frames(int taps);

  /// The signal at the point of `row`. end: one behind the newest frame.
  [[nodiscard]] float at(int row, const float* end) const noexcept AMP_RT;

  [[nodiscard]] size_t memory_bytes() const noexcept { return taps_.size() * sizeof(float); }

 private:
  int reach_;
  std::vector<float> taps_;  ///< [row][reach], oldest first
};

}  // namespace amp::dsp
