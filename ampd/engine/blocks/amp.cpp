#include <algorithm>
#include <cstdio>

#include "../dsp/ramp.hpp"
#include "family.hpp"
#include "table.hpp"

namespace amp {
namespace {

using Models = std::vector<std::shared_ptr<const nn::Model>>;

enum Param { kGain, kLevel, kOwnCount };

constexpr size_t kMostMembers = 8;

/// A knob that moves reaches the net in steps of this many frames.
constexpr int kKnobFrames = 16;

constexpr std::array kParams{
    ParamInfo{"gain_db", "dB", -40, 40, 0, Taper::kLinear, "how hard the model is driven"},
    ParamInfo{"level_db", "dB", -60, 24, 0, Taper::kLinear, "level of what the model gives"},
};
constexpr ParamInfo kQuality{
    "quality", "", 0, 1, 1, Taper::kLinear, "of a model in several sizes: 0 the smallest"};

/// A knob that models were trained with: those of a family that share its name turn together.
struct ModelKnob {
  std::string name;
  std::vector<int> index;  ///< in each model, -1 where it has none
  dsp::Ramp value;
};

std::vector<ModelKnob> knobs_of(const Models& models, int frames) {
  std::vector<ModelKnob> knobs;
  for (size_t m = 0; m < models.size(); ++m)
    for (size_t k = 0; k < models[m]->info.knobs.size(); ++k) {
      const std::string& name = models[m]->info.knobs[k];
      auto knob = std::find_if(knobs.begin(), knobs.end(),
                               [&](const ModelKnob& each) { return each.name == name; });
      if (knob == knobs.end())
        knob = knobs.insert(knobs.end(),
                            {name, std::vector<int>(models.size(), -1), dsp::Ramp(frames, 0.5F)});
      knob->index[m] = static_cast<int>(k);
    }
  return knobs;
}

class Amp final : public Block {
 public:
  /// places: the knob's position of each model, increasing; one of a lone model is not looked at.
  Amp(Models models, const std::vector<float>& places, const BuildContext& context)
      : models_(std::move(models)),
        family_(members(models_, places, context), ramp_frames(context.sample_rate_hz)),
        gain_(ramp_frames(context.sample_rate_hz), 1),
        level_(ramp_frames(context.sample_rate_hz), 1),
        params_(kParams.begin(), kParams.end()),
        knobs_(knobs_of(models_, ramp_frames(context.sample_rate_hz))) {
    if (models_.size() > 1) {
      family_param_ = static_cast<int>(params_.size());
      params_.push_back({"knob", "", places.front(), places.back(), places.front(), Taper::kLinear,
                         "where the amp's knob stands, between its captures"});
    }
    if (std::any_of(models_.begin(), models_.end(),
                    [](const auto& model) { return model->info.has_quality; })) {
      quality_param_ = static_cast<int>(params_.size());
      params_.push_back(kQuality);
    }
    first_knob_ = static_cast<int>(params_.size());
    for (const ModelKnob& knob : knobs_)
      params_.push_back({knob.name.c_str(), "", 0, 1, 0.5F, Taper::kLinear, "a knob of the model"});
  }

  [[nodiscard]] std::span<const ParamInfo> params() const noexcept AMP_RT override {
    return params_;
  }

  void set(int param, float value, bool jump) noexcept AMP_RT override {
    if (param >= first_knob_) {
      ModelKnob& knob = knobs_[static_cast<size_t>(param - first_knob_)];
      jump ? knob.value.jump(value) : knob.value.to(value);
      return hand_over(knob);
    }
    if (param == family_param_) return family_.turn(value, jump);
    if (param == quality_param_) {
      quality_ = value;
      return choose_size(false);
    }
    dsp::Ramp& ramp = param == kGain ? gain_ : level_;
    jump ? ramp.jump(from_db(value)) : ramp.to(from_db(value));
  }

  [[nodiscard]] bool has_mix() const noexcept override { return true; }

  [[nodiscard]] bool can_shrink() const noexcept AMP_RT override {
    return quality_param_ >= 0 && quality_ > 0 && !shrunk_;
  }

  void shrink(bool on, bool at_once) noexcept AMP_RT override {
    shrunk_ = on;
    choose_size(at_once);
  }

  void reset() noexcept AMP_RT override { family_.reset(); }

  /// Plays the first channel: what stands before an amp in a rig is mono.
  void process(Signal& signal) noexcept AMP_RT override {
    float* const mono = signal.channel[0];
    gain_.scale(mono, signal.frames);
    play(mono, signal.frames);
    level_.scale(mono, signal.frames);
    signal.width = 1;
  }

  [[nodiscard]] int latency_frames() const noexcept AMP_RT override {
    return family_.latency_frames();
  }
  [[nodiscard]] int memory_frames() const noexcept AMP_RT override {
    return family_.memory_frames();
  }
  [[nodiscard]] int grid_frames() const noexcept AMP_RT override { return family_.grid_frames(); }
  [[nodiscard]] size_t memory_bytes() const noexcept override { return family_.memory_bytes(); }

 private:
  static std::vector<Family::Member> members(const Models& models, const std::vector<float>& places,
                                             const BuildContext& context) {
    std::vector<Family::Member> members;
    members.reserve(models.size());
    for (size_t m = 0; m < models.size(); ++m)
      members.push_back(
          {.at = places[m],
           .hosted = nn::host_net(*models[m], context.isa, context.sample_rate_hz),
           .starts_anew = models[m]->info.memory_frames > 0 || models[m]->info.has_quality});
    return members;
  }

  /// Of the nets that sleep too.
  void choose_size(bool at_once) noexcept AMP_RT {
    for (Family::Member& each : family_.members())
      each.hosted.net->set_quality(shrunk_ ? 0 : quality_, at_once);
  }

  /// Whole blocks while the knobs rest, short ones while one of them moves.
  void play(float* mono, int frames) noexcept AMP_RT {
    for (int at = 0; at < frames;) {
      const bool turns = turn_knobs(std::min(kKnobFrames, frames - at));
      const int length = turns ? std::min(kKnobFrames, frames - at) : frames - at;
      family_.process(mono + at, length);
      at += length;
    }
  }

  /// Bring knobs that move to where they are in `frames` frames; true where there was one.
  bool turn_knobs(int frames) noexcept AMP_RT {
    bool turns = false;
    for (ModelKnob& knob : knobs_) {
      if (!knob.value.moving()) continue;
      for (int i = 0; i < frames; ++i) knob.value.next();
      hand_over(knob);
      turns = true;
    }
    return turns;
  }

  /// Nets that sleep are told too, so that they wake with the knobs as they are.
  void hand_over(const ModelKnob& knob) noexcept AMP_RT {
    for (size_t m = 0; m < knob.index.size(); ++m)
      if (knob.index[m] >= 0)
        family_.members()[m].hosted.net->set_knob(knob.index[m], knob.value.current());
  }

  const Models models_;  ///< of the nets that play; a container's net looks into its model
  Family family_;
  dsp::Ramp gain_;
  dsp::Ramp level_;
  std::vector<ParamInfo> params_;  ///< its own, knob of a family, quality, knobs of the models
  int family_param_ = -1;
  int quality_param_ = -1;
  float quality_ = kQuality.default_value;
  bool shrunk_ = false;  ///< the machine's need, over the player's wish
  int first_knob_ = kOwnCount;
  std::vector<ModelKnob> knobs_;
};

std::string plain(float value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g", static_cast<double>(value));
  return text.data();
}

/// In one row, from left to right, and not so many that they fill the memory.
void check_places(const BlockSpec& spec) {
  const std::string place = "chain." + spec.name + ".models";
  if (spec.family.size() < 2 || spec.family.size() > kMostMembers)
    throw nn::LoadError(place + " has " + std::to_string(spec.family.size()) +
                        (spec.family.size() == 1 ? " model" : " models") + ", expected 2 to " +
                        std::to_string(kMostMembers) + ".");
  for (size_t m = 0; m < spec.family.size(); ++m) {
    const float at = spec.family[m].at;
    if (!std::isfinite(at) || (m > 0 && !(at > spec.family[m - 1].at)))
      throw nn::LoadError(place + ": position " + plain(at) + " comes behind " +
                          plain(spec.family[m > 0 ? m - 1 : 0].at) +
                          ", expected finite positions in rising order.");
  }
}

std::string timing(const nn::ModelInfo& info) {
  return std::to_string(info.playing_rate_hz()) + " Hz and " + std::to_string(info.latency_frames) +
         " frames late";
}

/// Frame by frame the sum of two: they must run at one rate and be late by the same.
void check_kin(const BlockSpec& spec, const nn::ModelInfo& first, const nn::ModelInfo& other) {
  if (timing(other) != timing(first))
    throw nn::LoadError("chain." + spec.name + ".models: " + other.path + " is made for " +
                        timing(other) + ", " + first.path + " for " + timing(first) +
                        "; the models of a family need one rate and one latency, export them "
                        "for the same.");
}

}  // namespace

std::unique_ptr<Block> make_amp(const BlockSpec& spec, BuildContext& context) {
  const std::string place = "chain." + spec.name;
  if (spec.model.empty() == spec.family.empty())
    throw nn::LoadError(spec.model.empty()
                            ? place + ".model is missing; expected the name of a model."
                            : place + " has both model and models; expected one of them.");
  std::vector<FamilyMember> family = spec.family;
  if (family.empty())
    family.push_back({.at = 0, .model = spec.model, .loaded = spec.loaded});
  else
    check_places(spec);
  Models models;
  std::vector<float> places;
  for (const FamilyMember& member : family) {
    models.push_back(member.loaded ? member.loaded : nn::load_model(member.model));
    places.push_back(member.at);
    context.models.push_back(models.back()->info);
    if (family.size() > 1) check_kin(spec, models.front()->info, models.back()->info);
  }
  return std::make_unique<Amp>(std::move(models), places, context);
}

}  // namespace amp
