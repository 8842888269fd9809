#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cmath>

#include "rt.hpp"

namespace amp {

/// What a chain may have of blocks whose load is told; those behind are not.
inline constexpr int kMostBlocksTold = 16;

/// Counts how long something took, as shares of a period, on a scale of 32 steps an octave, from a
/// millionth to eight periods. Thread: audio adds, any reads.
class ShareCounts {
 public:
  static constexpr int kSteps = 23 * 32;

  void add(int64_t spent_ns, int64_t period_ns) noexcept AMP_RT {
    const auto share = static_cast<uint32_t>(
        std::clamp<int64_t>((spent_ns << kBits) / period_ns, 1, (8 << kBits) - 1));
    const auto octave = static_cast<int>(std::bit_width(share)) - 1;
    const uint32_t place = octave >= 5 ? share >> (octave - 5) : share << (5 - octave);
    counts_[static_cast<size_t>(octave * 32) + place % 32].fetch_add(1, std::memory_order_relaxed);
    if (share > highest_.load(std::memory_order_relaxed))
      highest_.store(share, std::memory_order_relaxed);
  }
  [[nodiscard]] uint32_t count(int step) const noexcept {
    return counts_[static_cast<size_t>(step)].load(std::memory_order_relaxed);
  }
  /// The upper end of a step, as a share of the period.
  [[nodiscard]] static float share(int step) noexcept {
    return std::ldexp(static_cast<float>(33 + step % 32), step / 32 - 5 - kBits);
  }
  /// The highest since it was last taken.
  [[nodiscard]] float take_highest() noexcept {
    return std::ldexp(static_cast<float>(highest_.exchange(0, std::memory_order_relaxed)), -kBits);
  }

 private:
  static constexpr int kBits = 20;
  std::array<std::atomic<uint32_t>, kSteps> counts_{};
  std::atomic<uint32_t> highest_{0};
};

/// How loud a signal is: its peak since that was last taken, and its energy since the start.
/// Thread: audio adds, any reads.
class Meter {
 public:
  void add(const float* samples, int frames) noexcept AMP_RT {
    float peak = 0;
    float energy = 0;
    for (int i = 0; i < frames; ++i) {
      peak = std::max(peak, std::abs(samples[i]));
      energy += samples[i] * samples[i];
    }
    if (peak > peak_.load(std::memory_order_relaxed)) peak_.store(peak, std::memory_order_relaxed);
    energy_.store(energy_.load(std::memory_order_relaxed) + static_cast<double>(energy),
                  std::memory_order_relaxed);
  }
  [[nodiscard]] float take_peak() noexcept { return peak_.exchange(0, std::memory_order_relaxed); }
  [[nodiscard]] double energy() const noexcept { return energy_.load(std::memory_order_relaxed); }

 private:
  std::atomic<float> peak_{0};
  std::atomic<double> energy_{0};  ///< sum of squares
};

/// All that the audio thread measures of itself and of the sound.
struct Gauges {
  enum Signal { kIn, kLeft, kRight, kSignalCount };
  ShareCounts load;                                ///< of whole callbacks
  std::array<ShareCounts, kMostBlocksTold> block;  ///< of the blocks of the chain that is heard
  std::atomic<int> slot{-1};                       ///< where that stands
  std::array<Meter, kSignalCount> meters;
};

}  // namespace amp
