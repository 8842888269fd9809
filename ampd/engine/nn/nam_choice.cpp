#include "choice.hpp"
#include "nam.hpp"

namespace amp::nn {
namespace {

constexpr size_t kMostModels = 64;

Json list_of_models(const Json& config, const char* key) {
  Json list = config.at(key);
  if (!list.is_array() || list.size() == 0 || list.size() > kMostModels)
    list.refuse("a list of 1 to 64 models");
  return list;
}

std::shared_ptr<const Model> load_nested(const Json& root, NamFile& parent) {
  NamFile nested = open_nested(root, parent);
  std::shared_ptr<const Model> model = load_nam_file(nested);
  if (parent.info.sample_rate_hz == 0) parent.info.sample_rate_hz = nested.info.sample_rate_hz;
  for (const std::string& warning : model->info.warnings) parent.info.warnings.push_back(warning);
  return model;
}

}  // namespace

std::shared_ptr<const Model> load_nam_container(NamFile& file) {
  const Json list = list_of_models(file.config(), "submodels");
  std::vector<Choice> choices;
  for (size_t i = 0; i < list.size(); ++i) {
    const Json below = list.at(i).at("max_value");
    if (!choices.empty() && below.number() <= choices.back().below)
      below.refuse("more than " + std::to_string(choices.back().below) + ", the one before it");
    if (i + 1 == list.size() && below.number() < 1) below.refuse("1 or more, as it is the last");
    choices.push_back({below.number(), load_nested(list.at(i).at("model"), file)});
    try_out(file.root, *choices.back().model);
  }
  return std::make_shared<ChoiceModel>(file.info, std::move(choices));
}

std::shared_ptr<const Model> load_nam_sequential(NamFile& file) {
  const Json config = file.config();
  const Json list = list_of_models(config, config.has("models") ? "models" : "layers");
  std::vector<std::shared_ptr<const Model>> models;
  for (size_t i = 0; i < list.size(); ++i) {
    const Json entry = list.at(i);
    models.push_back(load_nested(entry.has("model") ? entry.at("model") : entry, file));
  }
  for (const auto& one : models) {
    file.budget->warm_macs -=
        static_cast<long>(one->info.receptive_field_frames) * one->info.mac_per_sample;
  }
  auto model = std::make_shared<SequenceModel>(file.info, std::move(models));
  if (model->info.receptive_field_frames > kMostFieldFrames)
    file.root.fail("the receptive field is " + std::to_string(model->info.receptive_field_frames) +
                   " frames, expected at most " + std::to_string(kMostFieldFrames) + ".");
  return model;
}

}  // namespace amp::nn
