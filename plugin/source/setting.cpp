#include "setting.hpp"

#include <algorithm>
#include <map>
#include <mutex>

namespace amp::plugin {
namespace {

constexpr const char* kAmp = "amp";
constexpr const char* kCabKind = "cab";
constexpr const char* kGateKind = "gate";

bool is_amp(const Part& part) {
  return part.spec.kind == kAmp;
}

/// Whether all that it plays is there.
bool is_whole(const Part& part) {
  return std::all_of(part.files.begin(), part.files.end(),
                     [](const FilePtr& file) { return file->content != nullptr; }) &&
         (!is_amp(part) || !part.files.empty());
}

std::string free_name(const Setting& setting, const std::string& kind) {
  const auto taken = [&](const std::string& name) {
    return std::any_of(setting.parts.begin(), setting.parts.end(),
                       [&](const Part& part) { return part.spec.name == name; });
  };
  std::string name = kind;
  for (int number = 2; taken(name); ++number) name = kind + std::to_string(number);
  return name;
}

Part own_part(const Setting& setting, const std::string& kind) {
  Part part;
  part.spec.kind = kind;
  part.spec.name = free_name(setting, kind);
  part.own = true;
  return part;
}

/// The first amp that plays, whose knobs are the plugin's.
const Part* knob_amp(const Setting& setting) {
  for (const Part& part : setting.parts)
    if (is_amp(part) && is_whole(part)) return &part;
  return nullptr;
}

const nn::ModelInfo* info_of(const FilePtr& file) {
  return file != nullptr && file->content != nullptr ? &file->content->model->info : nullptr;
}

/// The block with what its files hold.
BlockSpec with_files(const Part& part) {
  BlockSpec spec = part.spec;
  for (size_t f = 0; f < part.files.size(); ++f) {
    const Content& content = *part.files[f]->content;
    if (spec.kind == kCabKind)
      spec.impulse = content.impulse;
    else if (spec.family.empty())
      spec.loaded = content.model;
    else
      spec.family[f].loaded = content.model;
  }
  if (is_amp(part) && spec.family.empty()) spec.model = part.files.front()->name;
  return spec;
}

bool any_quality(const Part& amp) {
  return std::any_of(amp.files.begin(), amp.files.end(),
                     [](const FilePtr& file) { return file->content->model->info.has_quality; });
}

/// The knobs of the first amp, where the player has them.
void turn_knobs(const Setting& setting, const Part& amp, const Values& values, BlockSpec& spec) {
  if (any_quality(amp)) spec.values["quality"] = values[kQuality];
  size_t knob = kKnob1;
  for (const std::string& name : knob_names(setting)) {
    const bool of_family = name == "knob" && spec.family.size() > 1;
    const float low = of_family ? spec.family.front().at : 0;
    const float high = of_family ? spec.family.back().at : 1;
    spec.values[name] = low + values[knob++] * (high - low);
  }
}

}  // namespace

const Part* Setting::find(const std::string& kind) const {
  for (const Part& part : parts)
    if (part.spec.kind == kind) return &part;
  return nullptr;
}

Part* Setting::find(const std::string& kind) {
  return const_cast<Part*>(std::as_const(*this).find(kind));
}

FilePtr Setting::model() const {
  const Part* const amp = find(kAmp);
  return amp == nullptr || amp->files.empty() ? nullptr : amp->files.front();
}

FilePtr Setting::impulse() const {
  const Part* const cab = find(kCabKind);
  return cab == nullptr || cab->files.empty() ? nullptr : cab->files.front();
}

Setting empty_setting() {
  Setting setting;
  complete(setting);
  return setting;
}

void complete(Setting& setting) {
  if (setting.find(kGateKind) == nullptr)
    setting.parts.insert(setting.parts.begin(), own_part(setting, kGateKind));
  if (setting.find(kCabKind) != nullptr) return;
  const auto last_amp = std::find_if(setting.parts.rbegin(), setting.parts.rend(), is_amp);
  const auto behind = last_amp == setting.parts.rend() ? setting.parts.end() : last_amp.base();
  setting.parts.insert(behind, own_part(setting, kCabKind));
}

Setting with_model(const Setting& setting, FilePtr model) {
  Setting other = setting;
  other.name.clear();
  if (other.find(kAmp) == nullptr) {
    Part amp = own_part(other, kAmp);
    amp.own = false;
    const auto cab = std::find_if(other.parts.begin(), other.parts.end(),
                                  [](const Part& part) { return part.spec.kind == kCabKind; });
    other.parts.insert(cab, std::move(amp));
  }
  Part& amp = *other.find(kAmp);
  // Knobs are those of the model that was there.
  std::map<std::string, float> kept;
  for (const char* name : {"gain_db", "level_db", "mix", "bypass"})
    if (const auto value = amp.spec.values.find(name); value != amp.spec.values.end())
      kept.insert(*value);
  amp.spec.values = std::move(kept);
  amp.spec.family.clear();
  amp.files = {std::move(model)};
  return other;
}

Setting with_impulse(const Setting& setting, FilePtr impulse) {
  Setting other = setting;
  Part& cab = *other.find(kCabKind);
  cab.files.clear();
  if (impulse != nullptr) cab.files.push_back(std::move(impulse));
  return other;
}

std::vector<std::string> knob_names(const Setting& setting) {
  const Part* const amp = knob_amp(setting);
  if (amp == nullptr) return {};
  std::vector<std::string> names;
  if (amp->spec.family.size() > 1) names.emplace_back("knob");
  for (const FilePtr& file : amp->files)
    for (const std::string& knob : file->content->model->info.knobs)
      if (std::find(names.begin(), names.end(), knob) == names.end()) names.push_back(knob);
  if (names.size() > kKnobCount) names.resize(kKnobCount);
  return names;
}

ParamMap map_params(const Setting& setting, const Chain& chain) {
  ParamMap map;
  map.index.fill(-1);
  map.maximum.fill(1);
  const auto place = [&](Param param, const std::string& path) {
    map.index[param] = chain.find(path);
    if (map.index[param] < 0) return;
    const ParamInfo& info = chain.params()[static_cast<size_t>(map.index[param])].info;
    map.minimum[param] = info.minimum;
    map.maximum[param] = info.maximum;
  };
  place(kInputGain, "input/gain_db");
  place(kOutputGain, "output/gain_db");
  place(kMix, "mix");
  if (const Part* const gate = setting.find(kGateKind))
    place(kGateThreshold, gate->spec.name + "/threshold_db");
  if (const Part* const cab = setting.find(kCabKind)) place(kCab, cab->spec.name + "/bypass");
  if (const Part* const amp = knob_amp(setting)) {
    place(kQuality, amp->spec.name + "/quality");
    int knob = kKnob1;
    for (const std::string& name : knob_names(setting))
      place(static_cast<Param>(knob++), amp->spec.name + "/" + name);
  }
  return map;
}

float to_chain(Param param, const Values& values, const Trim& trim, const ParamMap& map) {
  const float value = values[param];
  const float low = map.minimum[param];
  const float high = map.maximum[param];
  if (param == kInputGain) return std::clamp(value + trim.input_db, low, high);
  if (param == kOutputGain) return std::clamp(value + trim.output_db, low, high);
  if (param == kCab) return value > 0.5F ? 0.0F : 1.0F;
  if (param >= kKnob1 && param <= kKnob4) return low + value * (high - low);
  return value;
}

RigSpec to_rig(const Setting& setting, const Values& values, const Trim& trim) {
  const auto within = [](float value, Param param) {
    return std::clamp(value, row(param).minimum, row(param).maximum);
  };
  RigSpec rig;
  rig.values = {{"input/gain_db", within(values[kInputGain] + trim.input_db, kInputGain)},
                {"mix", values[kMix]},
                {"output/gain_db", within(values[kOutputGain] + trim.output_db, kOutputGain)}};
  const Part* const gate = setting.find(kGateKind);
  const Part* const cab = setting.find(kCabKind);
  const Part* const amp = knob_amp(setting);
  std::string left_out;
  for (const Part& part : setting.parts) {
    if (!is_whole(part)) {
      left_out = part.spec.name;
      continue;
    }
    BlockSpec spec = with_files(part);
    if (spec.beside == left_out) spec.beside.clear();
    if (spec.beside.empty()) {
      spec.values.erase("blend");
      spec.values.erase("invert");
    }
    if (&part == gate) spec.values["threshold_db"] = values[kGateThreshold];
    if (&part == cab) spec.values["bypass"] = values[kCab] > 0.5F ? 0.0F : 1.0F;
    if (&part == amp) turn_knobs(setting, part, values, spec);
    rig.blocks.push_back(std::move(spec));
  }
  return rig;
}

Trim trim_of(const Setting& setting, Level level, const Loudness& measured) {
  if (level == kNormalized && measured.lufs) return normalized(*measured.lufs);
  if (level != kCalibrated) return {};
  const nn::ModelInfo* first = nullptr;
  const nn::ModelInfo* last = nullptr;
  for (const Part& part : setting.parts)
    if (is_amp(part) && is_whole(part)) {
      last = info_of(part.files.front());
      if (first == nullptr) first = last;
    }
  return calibrated(first, last);
}

Loudness measure(const Setting& setting, int sample_rate_hz) {
  static std::mutex mutex;
  static std::map<std::string, double> known;
  std::string key = std::to_string(sample_rate_hz);
  for (const float value : setting.reference) key += ' ' + std::to_string(value);
  for (const Part& part : setting.parts) {
    key += '\n' + part.spec.name + ' ' + part.spec.beside;
    for (const auto& [name, value] : part.spec.values)
      key += ' ' + name + ' ' + std::to_string(value);
    for (const FamilyMember& member : part.spec.family) key += ' ' + std::to_string(member.at);
    for (const FilePtr& file : part.files) key += ' ' + file->sha256;
  }
  {
    const std::lock_guard lock(mutex);
    if (const auto found = known.find(key); found != known.end())
      return {.lufs = found->second, .sample_rate_hz = sample_rate_hz};
  }
  const double lufs = rig_loudness_lufs(to_rig(setting, setting.reference, {}), sample_rate_hz);
  const std::lock_guard lock(mutex);
  known[key] = lufs;
  return {.lufs = lufs, .sample_rate_hz = sample_rate_hz};
}

}  // namespace amp::plugin
