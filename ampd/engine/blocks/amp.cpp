#include <algorithm>

#include "../dsp/ramp.hpp"
#include "../nn/resampled.hpp"
#include "table.hpp"

namespace amp {
namespace {

enum Param { kGain, kLevel, kOwnCount };

/// A knob that moves reaches the net in steps of this many frames.
constexpr int kKnobFrames = 16;

constexpr std::array kParams{
    ParamInfo{"gain_db", "dB", -40, 40, 0, Taper::kLinear, "how hard the model is driven"},
    ParamInfo{"level_db", "dB", -60, 24, 0, Taper::kLinear, "level of what the model gives"},
};
constexpr ParamInfo kQuality{
    "quality", "", 0, 1, 1, Taper::kLinear, "of a model in several sizes: 0 the smallest"};

class Amp final : public Block {
 public:
  Amp(std::shared_ptr<const nn::Model> model, const BuildContext& context)
      : model_(std::move(model)),
        hosted_(nn::host_net(*model_, context.isa, context.sample_rate_hz)),
        gain_(ramp_frames(context.sample_rate_hz), 1),
        level_(ramp_frames(context.sample_rate_hz), 1),
        params_(kParams.begin(), kParams.end()),
        knobs_(model_->info.knobs.size(), dsp::Ramp(ramp_frames(context.sample_rate_hz), 0.5F)) {
    if (model_->info.has_quality) params_.push_back(kQuality);
    first_knob_ = static_cast<int>(params_.size());
    for (const std::string& name : model_->info.knobs)
      params_.push_back({name.c_str(), "", 0, 1, 0.5F, Taper::kLinear, "a knob of the model"});
  }

  [[nodiscard]] std::span<const ParamInfo> params() const noexcept AMP_RT override {
    return params_;
  }

  void set(int param, float value, bool jump) noexcept AMP_RT override {
    if (param >= first_knob_) {
      const int knob = param - first_knob_;
      dsp::Ramp& turned = knobs_[static_cast<size_t>(knob)];
      jump ? turned.jump(value) : turned.to(value);
      hosted_.net->set_knob(knob, turned.current());
      return;
    }
    if (param >= kOwnCount) return hosted_.net->set_quality(value);
    dsp::Ramp& ramp = param == kGain ? gain_ : level_;
    jump ? ramp.jump(from_db(value)) : ramp.to(from_db(value));
  }

  void reset() noexcept AMP_RT override { hosted_.net->reset(); }

  /// Plays the first channel: what stands before an amp in a rig is mono.
  void process(Signal& signal) noexcept AMP_RT override {
    float* const mono = signal.channel[0];
    gain_.scale(mono, signal.frames);
    play(mono, signal.frames);
    level_.scale(mono, signal.frames);
    signal.width = 1;
  }

  [[nodiscard]] int latency_frames() const noexcept AMP_RT override {
    return hosted_.latency_frames;
  }
  [[nodiscard]] int memory_frames() const noexcept AMP_RT override { return hosted_.memory_frames; }
  [[nodiscard]] int grid_frames() const noexcept AMP_RT override { return hosted_.grid_frames; }
  [[nodiscard]] size_t memory_bytes() const noexcept override {
    return hosted_.net->memory_bytes();
  }

 private:
  /// Whole blocks while the knobs rest, short ones while one of them moves.
  void play(float* mono, int frames) noexcept AMP_RT {
    for (int at = 0; at < frames;) {
      const bool turns = turn_knobs(std::min(kKnobFrames, frames - at));
      const int length = turns ? std::min(kKnobFrames, frames - at) : frames - at;
      hosted_.net->process(mono + at, mono + at, length);
      at += length;
    }
  }

  /// Bring knobs that move to where they are in `frames` frames; true where there was one.
  bool turn_knobs(int frames) noexcept AMP_RT {
    bool turns = false;
    for (size_t k = 0; k < knobs_.size(); ++k) {
      if (!knobs_[k].moving()) continue;
      for (int i = 0; i < frames; ++i) knobs_[k].next();
      hosted_.net->set_knob(static_cast<int>(k), knobs_[k].current());
      turns = true;
    }
    return turns;
  }

  std::shared_ptr<const nn::Model> model_;  ///< its info holds the names of the knobs
  nn::HostedNet hosted_;
  dsp::Ramp gain_;
  dsp::Ramp level_;
  std::vector<ParamInfo> params_;  ///< its own, quality where the model has it, then its knobs
  int first_knob_ = kOwnCount;
  std::vector<dsp::Ramp> knobs_;
};

}  // namespace

std::unique_ptr<Block> make_amp(const BlockSpec& spec, BuildContext& context) {
  if (spec.model.empty())
    throw nn::LoadError("chain." + spec.name + ".model is missing; expected the name of a model.");
  const std::shared_ptr<const nn::Model> model = nn::load_model(spec.model);
  context.models.push_back(model->info);
  return std::make_unique<Amp>(model, context);
}

}  // namespace amp
