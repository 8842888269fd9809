#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "../rt.hpp"

namespace amp::dsp {

/// The last frames of one channel, read in runs. Thread: the owner's; AMP_RT but for the
/// constructor.
class DelayRing {
 public:
  explicit DelayRing(int longest_frames)
      : ring_(std::bit_ceil(static_cast<size_t>(longest_frames) + kMaxFrames)),
        mask_(ring_.size() - 1) {}

  /// Silence behind. It costs nothing, however long the ring.
  void clear() noexcept AMP_RT { heard_ = 0; }

  /// The `frames` frames that begin `delay_frames` before the next one to be written; none of them
  /// may lie in the future: frames <= delay_frames <= longest_frames + kMaxFrames.
  void read(int delay_frames, float* out, int frames) const noexcept AMP_RT {
    const int silent = std::clamp(delay_frames - heard_, 0, frames);
    std::fill_n(out, silent, 0.0F);
    const size_t from = (at_ - static_cast<size_t>(delay_frames - silent)) & mask_;
    const auto count = static_cast<size_t>(frames - silent);
    const size_t first = std::min(count, ring_.size() - from);
    std::memcpy(out + silent, &ring_[from], first * sizeof(float));
    std::memcpy(out + silent + first, ring_.data(), (count - first) * sizeof(float));
  }

  /// frames: up to kMaxFrames.
  void write(const float* in, int frames) noexcept AMP_RT {
    const auto count = static_cast<size_t>(frames);
    const size_t first = std::min(count, ring_.size() - at_);
    std::memcpy(&ring_[at_], in, first * sizeof(float));
    std::memcpy(ring_.data(), in + first, (count - first) * sizeof(float));
    at_ = (at_ + count) & mask_;
    heard_ = std::min(heard_ + frames, static_cast<int>(ring_.size()));
  }

  [[nodiscard]] size_t memory_bytes() const noexcept { return ring_.size() * sizeof(float); }

 private:
  std::vector<float> ring_;
  size_t mask_;
  size_t at_ = 0;
  int heard_ = 0;  ///< frames since clear; older ones are silence
};

}  // namespace amp::dsp
