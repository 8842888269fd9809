#include "choice.hpp"

#include <algorithm>
#include <array>

namespace amp::nn {
namespace {

constexpr int kFadeFrames = 960;

class ChoiceNet final : public Net {
 public:
  ChoiceNet(const ChoiceModel& model, dsp::Isa isa) : model_(model) {
    for (const Choice& choice : model.choices) nets_.push_back(choice.model->make_net(isa));
    wanted_ = playing_ = coming_ = nets_.size() - 1;
  }

  void reset() noexcept AMP_RT override {
    playing_ = coming_ = wanted_;
    nets_[playing_]->reset();
  }

  void set_quality(float quality, bool at_once) noexcept AMP_RT override {
    wanted_ = 0;
    while (wanted_ + 1 < nets_.size() &&
           !(static_cast<double>(quality) < model_.choices[wanted_].below))
      ++wanted_;
    if (at_once && (playing_ != wanted_ || coming_ != wanted_)) reset();
  }

  void process(const float* in, float* out, int frames) noexcept AMP_RT override {
    if (coming_ == playing_ && wanted_ != playing_) {
      coming_ = wanted_;
      heard_ = 0;
      nets_[coming_]->reset();
    }
    if (coming_ == playing_) return nets_[playing_]->process(in, out, frames);
    std::array<float, kMaxFrames> other{};
    nets_[coming_]->process(in, other.data(), frames);
    nets_[playing_]->process(in, out, frames);
    const int memory = model_.choices[coming_].model->info.receptive_field_frames;
    for (int t = 0; t < frames; ++t) {
      const int faded = std::clamp(++heard_ - memory, 0, kFadeFrames);
      const float gain = static_cast<float>(faded) / kFadeFrames;
      out[t] += gain * (other[static_cast<size_t>(t)] - out[t]);
    }
    if (heard_ >= memory + kFadeFrames) playing_ = coming_;
  }

  [[nodiscard]] size_t memory_bytes() const noexcept override {
    size_t total = 0;
    for (const auto& net : nets_) total += net->memory_bytes();
    return total;
  }

 private:
  const ChoiceModel& model_;
  std::vector<std::unique_ptr<Net>> nets_;
  size_t wanted_;
  size_t playing_;
  size_t coming_;
  int heard_ = 0;  ///< frames that the coming net has played
};

class SequenceNet final : public Net {
 public:
  SequenceNet(const SequenceModel& model, dsp::Isa isa) : model_(model) {
    for (const auto& one : model.models) nets_.push_back(one->make_net(isa));
    SequenceNet::reset();
  }

  /// What a net says to silence is what the next one has heard forever: it listens as long as it
  /// remembers, unless that is silence too.
  void reset() noexcept AMP_RT override {
    float level = 0;
    for (size_t i = 0; i < nets_.size(); ++i) {
      nets_[i]->reset();
      std::array<float, kMaxFrames> block{};
      const int memory = level == 0.0F ? 1 : model_.models[i]->info.receptive_field_frames;
      for (int heard = 0; heard < memory; heard += kMaxFrames) {
        block.fill(level);
        nets_[i]->process(block.data(), block.data(), kMaxFrames);
      }
      level = block.back();
    }
  }

  void set_quality(float quality, bool at_once) noexcept AMP_RT override {
    for (const auto& net : nets_) net->set_quality(quality, at_once);
  }

  void process(const float* in, float* out, int frames) noexcept AMP_RT override {
    for (const auto& net : nets_) {
      net->process(in, out, frames);
      in = out;
    }
  }

  [[nodiscard]] size_t memory_bytes() const noexcept override {
    size_t total = 0;
    for (const auto& net : nets_) total += net->memory_bytes();
    return total;
  }

 private:
  const SequenceModel& model_;
  std::vector<std::unique_ptr<Net>> nets_;
};

ModelInfo measure(ModelInfo info, const std::vector<Choice>& choices) {
  info.receptive_field_frames = 1;
  info.weight_count = 0;
  for (const Choice& choice : choices) {
    const ModelInfo& one = choice.model->info;
    info.receptive_field_frames = std::max(info.receptive_field_frames, one.receptive_field_frames);
    info.weight_count += one.weight_count;
    info.mac_per_sample = one.mac_per_sample;
  }
  info.has_quality = choices.size() > 1;
  return info;
}

ModelInfo measure(ModelInfo info, const std::vector<std::shared_ptr<const Model>>& models) {
  info.receptive_field_frames = 1;
  info.weight_count = 0;
  info.mac_per_sample = 0;
  for (const auto& model : models) {
    info.receptive_field_frames += model->info.receptive_field_frames - 1;
    info.weight_count += model->info.weight_count;
    info.mac_per_sample += model->info.mac_per_sample;
    info.has_quality |= model->info.has_quality;
  }
  return info;
}

}  // namespace

ChoiceModel::ChoiceModel(ModelInfo model_info, std::vector<Choice> sizes)
    : Model(measure(std::move(model_info), sizes)), choices(std::move(sizes)) {}

std::unique_ptr<Net> ChoiceModel::make_net(dsp::Isa isa) const {
  return std::make_unique<ChoiceNet>(*this, isa);
}

SequenceModel::SequenceModel(ModelInfo model_info, std::vector<std::shared_ptr<const Model>> chain)
    : Model(measure(std::move(model_info), chain)), models(std::move(chain)) {}

std::unique_ptr<Net> SequenceModel::make_net(dsp::Isa isa) const {
  return std::make_unique<SequenceNet>(*this, isa);
}

}  // namespace amp::nn
