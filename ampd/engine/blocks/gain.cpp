#include "../dsp/ramp.hpp"
#include "table.hpp"

namespace amp {
namespace {

constexpr std::array kParams{
    ParamInfo{"gain_db", "dB", -60, 40, 0, Taper::kLinear, "level of the signal from here on"},
};

class Gain final : public Block {
 public:
  explicit Gain(int sample_rate_hz)
      : gain_{dsp::Ramp(ramp_frames(sample_rate_hz), 1),
              dsp::Ramp(ramp_frames(sample_rate_hz), 1)} {}

  [[nodiscard]] std::span<const ParamInfo> params() const noexcept AMP_RT override {
    return kParams;
  }

  void set(int, float value, bool jump) noexcept AMP_RT override {
    for (dsp::Ramp& ramp : gain_) jump ? ramp.jump(from_db(value)) : ramp.to(from_db(value));
  }

  void reset() noexcept AMP_RT override {}

  void process(Signal& signal) noexcept AMP_RT override {
    for (size_t c = 0; c < gain_.size(); ++c) gain_[c].scale(signal.channel[c], signal.frames);
  }

 private:
  std::array<dsp::Ramp, 2> gain_;
};

}  // namespace

std::unique_ptr<Block> make_gain(const BlockSpec&, BuildContext& context) {
  return std::make_unique<Gain>(context.sample_rate_hz);
}

}  // namespace amp
