#include <algorithm>
#include <cmath>

#include "table.hpp"

namespace amp {
namespace {

constexpr float kNeverDb = -100;
constexpr float kFloor = 1e-4F;  // -80 dB: from there on it is shut

// One period of the lowest note that is to hold the gate open, E1 of a bass at 41.2 Hz: the level
// is the highest sample of that time, so a wave's zeros cannot close it.
constexpr float kPeriodSeconds = 0.025F;

constexpr std::array kParams{
    ParamInfo{"threshold_db", "dB", kNeverDb, 0, -60, Taper::kLinear,
              "peak level that opens the gate; -100 leaves it open"},
    ParamInfo{"hysteresis_db", "dB", 0, 24, 6, Taper::kLinear,
              "how far below the threshold it closes"},
    ParamInfo{"attack_ms", "ms", 0.1F, 50, 1, Taper::kLog, "time to open"},
    ParamInfo{"hold_ms", "ms", 0, 500, 50, Taper::kLinear, "time below before it closes"},
    ParamInfo{"release_ms", "ms", 5, 1000, 100, Taper::kLog, "time to fall by 80 dB"},
};

/// Values need no ramps: they say when and how fast the gain walks, and it walks from where it is.
class Gate final : public Block {
 public:
  enum Param { kThreshold, kHysteresis, kAttack, kHold, kRelease };

  explicit Gate(int sample_rate_hz) : rate_hz_(static_cast<float>(sample_rate_hz)) {
    for (size_t p = 0; p < kParams.size(); ++p)
      set(static_cast<int>(p), kParams[p].default_value, true);
    Gate::reset();
  }

  [[nodiscard]] std::span<const ParamInfo> params() const noexcept AMP_RT override {
    return kParams;
  }

  void set(int param, float value, bool jump) noexcept AMP_RT override {
    values_[static_cast<size_t>(param)] = value;
    const float threshold_db = values_[kThreshold];
    const bool never = threshold_db <= kNeverDb;
    open_level_ = never ? 0 : from_db(threshold_db);
    close_level_ = never ? 0 : from_db(threshold_db - values_[kHysteresis]);
    attack_step_ = 1 / std::max(1.0F, frames(values_[kAttack]));
    patience_frames_ = static_cast<int>(kPeriodSeconds * rate_hz_ + frames(values_[kHold]));
    release_factor_ = std::pow(kFloor, 1 / std::max(1.0F, frames(values_[kRelease])));
    if (jump && never) reset();
  }

  void reset() noexcept AMP_RT override {
    open_ = open_level_ == 0;
    gain_ = open_ ? 1 : 0;
    quiet_frames_ = patience_frames_;
  }

  void process(Signal& signal) noexcept AMP_RT override {
    float* const left = signal.channel[0];
    float* const right = signal.width == 2 ? signal.channel[1] : nullptr;
    const float* const key = signal.clean != nullptr ? signal.clean : left;
    const float* const other = signal.clean != nullptr || right == nullptr ? key : right;
    for (int i = 0; i < signal.frames; ++i) {
      const float gain = next(std::max(std::abs(key[i]), std::abs(other[i])));
      if (gain == 1) continue;
      left[i] *= gain;
      if (right != nullptr) right[i] *= gain;
    }
  }

  /// What it takes to be certain that it is shut: patience, then the fall. A level that stayed
  /// between both thresholds all this time keeps it as it was before, of which nothing is known.
  [[nodiscard]] int memory_frames() const noexcept AMP_RT override {
    if (open_level_ == 0) return 0;
    return patience_frames_ + static_cast<int>(std::ceil(frames(values_[kRelease])));
  }

 private:
  [[nodiscard]] float frames(float ms) const noexcept AMP_RT { return ms * rate_hz_ / 1000; }

  /// The gain of the frame whose level is `level`.
  float next(float level) noexcept AMP_RT {
    if (level >= close_level_)
      quiet_frames_ = 0;
    else
      quiet_frames_ = std::min(quiet_frames_ + 1, patience_frames_);
    if (level >= open_level_)
      open_ = true;
    else if (quiet_frames_ >= patience_frames_)
      open_ = false;
    if (open_)
      gain_ = std::min(1.0F, gain_ + attack_step_);
    else
      gain_ = gain_ > kFloor ? gain_ * release_factor_ : 0;
    return gain_;
  }

  float rate_hz_;
  std::array<float, kParams.size()> values_{};
  float open_level_ = 0;
  float close_level_ = 0;
  float attack_step_ = 1;
  float release_factor_ = 1;
  int patience_frames_ = 0;
  int quiet_frames_ = 0;  ///< since the last sample at or over close_level_
  bool open_ = false;
  float gain_ = 0;
};

}  // namespace

std::unique_ptr<Block> make_gate(const BlockSpec&, BuildContext& context) {
  return std::make_unique<Gate>(context.sample_rate_hz);
}

}  // namespace amp
