#pragma once

#include <memory>
#include <vector>

#include "../block.hpp"
#include "../dsp/ramp.hpp"

namespace amp {

/// Two blocks that hear the same and are blended by a straight line, the earlier one delayed to the
/// later one. Its params: "blend", 0 the first alone, 1 the second, and "invert", which turns the
/// second one's polarity over where the two would cancel.
class Pair final : public Block {
 public:
  enum Param { kBlend, kInvert };

  /// Thread: control; it allocates.
  Pair(std::unique_ptr<Block> first, std::unique_ptr<Block> second, int sample_rate_hz);

  [[nodiscard]] std::span<const ParamInfo> params() const noexcept AMP_RT override;
  void set(int param, float value, bool jump) noexcept AMP_RT override;
  void reset() noexcept AMP_RT override;
  void process(Signal& signal) noexcept AMP_RT override;
  void set_tempo(float bpm, bool jump) noexcept AMP_RT override;
  [[nodiscard]] bool has_mix() const noexcept override { return true; }
  [[nodiscard]] bool can_shrink() const noexcept AMP_RT override;
  void shrink(bool on, bool at_once) noexcept AMP_RT override;
  [[nodiscard]] int latency_frames() const noexcept AMP_RT override;
  [[nodiscard]] int memory_frames() const noexcept AMP_RT override;
  [[nodiscard]] int grid_frames() const noexcept AMP_RT override;
  [[nodiscard]] size_t memory_bytes() const noexcept override;

 private:
  struct Side {
    std::unique_ptr<Block> block;
    std::vector<float> wait;  ///< a ring for each channel, one behind the other
    size_t at = 0;
    int width = 1;
    std::array<std::array<float, kMaxFrames>, 2> out{};
  };
  void play(Side& side, const Signal& signal) noexcept AMP_RT;

  std::array<Side, 2> sides_;
  dsp::Ramp blend_;
  dsp::Ramp sign_;
};

}  // namespace amp
