#pragma once

#include <cmath>

#include "block.hpp"

namespace amp::test {

/// A block for tests of what stands around blocks: `factor` times what came `wait` frames before.
class Toy final : public Block {
 public:
  float factor = 3;
  int latency = 0;       ///< of what it waits, as much as it admits
  int width = 1;         ///< of its output, whatever the input's
  bool is_room = false;  ///< rings
  bool broken = false;   ///< gives NaN

  explicit Toy(int wait_frames = 0) : wait_(static_cast<size_t>(wait_frames)) {}

  [[nodiscard]] std::span<const ParamInfo> params() const noexcept AMP_RT override { return {}; }
  void set(int, float, bool) noexcept AMP_RT override {}
  void reset() noexcept AMP_RT override {
    for (auto& ring : ring_) ring.fill(0);
    at_ = 0;
  }
  void process(Signal& signal) noexcept AMP_RT override {
    for (int c = signal.width; c < width; ++c)
      std::copy_n(signal.channel[0], signal.frames, signal.channel[static_cast<size_t>(c)]);
    signal.width = width;
    for (int i = 0; i < signal.frames; ++i, ++at_)
      for (size_t c = 0; c < static_cast<size_t>(width); ++c) {
        ring_[c][at_ % kRing] = signal.channel[c][i];
        signal.channel[c][i] = broken ? NAN : factor * ring_[c][(at_ + kRing - wait_) % kRing];
      }
  }
  [[nodiscard]] bool has_mix() const noexcept override { return true; }
  [[nodiscard]] bool rings() const noexcept AMP_RT override { return is_room; }
  [[nodiscard]] int latency_frames() const noexcept AMP_RT override { return latency; }

 private:
  static constexpr size_t kRing = 1024;
  size_t wait_;
  size_t at_ = 0;
  std::array<std::array<float, kRing>, 2> ring_{};
};

}  // namespace amp::test
