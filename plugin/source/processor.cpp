#include "processor.hpp"

#include "editor.hpp"
#include "rig_file.hpp"

namespace amp::plugin {
namespace {

/// What a cabinet's 200 ms leave behind, and a rig with echoes or a room.
constexpr double kShortTailSeconds = 0.25;
constexpr double kLongTailSeconds = 10;

constexpr float kPercentPerNsHz = 1e-7F;

/// At which loudness is measured while no host has said a rate.
constexpr int kUnknownRateHz = 48000;

juce::String text_of(const std::exception& error) {
  return juce::String::fromUTF8(error.what());
}

bool is_normalized(const Values& values) {
  return static_cast<int>(values[kLevel]) == kNormalized;
}

std::string missing_names(const Setting& setting) {
  std::string names;
  for (const Part& part : setting.parts)
    for (const FilePtr& file : part.files)
      if (file->content == nullptr) names += (names.empty() ? "" : ", ") + file->name;
  return names;
}

/// The setting with the first missing file of this kind found; none where nothing is missing.
std::optional<Setting> found(const Setting& setting, const FilePtr& file, FileKind kind) {
  Setting other = setting;
  for (Part& part : other.parts)
    for (FilePtr& each : part.files)
      if (each->content == nullptr && (part.spec.kind == "cab") == (kind == FileKind::kImpulse)) {
        each = file;
        return other;
      }
  return std::nullopt;
}

/// While it lives what plays is not turned: the params that are set belong to what comes.
class Change {
 public:
  explicit Change(std::shared_ptr<Rack> rack) : rack_(std::move(rack)) {
    if (rack_ != nullptr) rack_->begin_change();
  }
  ~Change() {
    if (rack_ != nullptr) rack_->end_change();
  }
  Change(const Change&) = delete;
  Change& operator=(const Change&) = delete;

 private:
  std::shared_ptr<Rack> rack_;
};

juce::String loaded_text(const File& file) {
  juce::String text = "Loaded " + juce::String::fromUTF8(file.name.c_str());
  if (file.content->model != nullptr)
    for (const std::string& warning : file.content->model->info.warnings)
      text << "; " << juce::String::fromUTF8(warning.c_str());
  return text;
}

}  // namespace

Processor::Processor()
    : juce::AudioProcessor(BusesProperties()
                               .withInput("Guitar", juce::AudioChannelSet::stereo(), true)
                               .withOutput("Output", juce::AudioChannelSet::stereo(), true)),
      params_(*this),
      setting_(std::make_shared<Setting>(empty_setting())) {}

Processor::~Processor() {
  ++newest_;
  if (rack_ != nullptr) rack_->close();
  finish();
}

// --- what the player does -----------------------------------------------------------------------

void Processor::later(std::function<void()> job) {
  ++jobs_;
  workshop_->post([this, job = std::move(job)] {
    job();
    const std::lock_guard lock(jobs_mutex_);
    --jobs_;
    jobs_done_.notify_all();
  });
}

void Processor::finish() {
  std::unique_lock lock(jobs_mutex_);
  jobs_done_.wait(lock, [this] { return jobs_ == 0; });
}

void Processor::load(const juce::File& file) {
  FileKind kind = kind_of(file);
  if (kind == FileKind::kUnknown) kind = FileKind::kModel;  // what it is, its keys say
  if (kind == FileKind::kModel) shown_ = file;
  const int ticket = ++newest_;
  {
    const std::lock_guard lock(report_mutex_);
    report_.is_loading = true;
  }
  later([this, file, kind, ticket] {
    if (ticket == newest_) load_now(file, kind);
    if (ticket != newest_) return;
    const std::lock_guard lock(report_mutex_);
    report_.is_loading = false;
  });
}

void Processor::load_now(const juce::File& file, FileKind kind) {
  try {
    if (kind == FileKind::kRig) return open_rig_now(file);
    const FilePtr read = read_file(file, kind);
    const SettingPtr old = setting();
    std::optional<Setting> relinked = found(*old, read, kind);
    const bool is_model = kind == FileKind::kModel;
    auto next = std::make_shared<Setting>(relinked   ? *relinked
                                          : is_model ? with_model(*old, read)
                                                     : with_impulse(*old, read));
    const bool turns_cab_on = !is_model && params_.values()[kCab] < 0.5F;
    const std::lock_guard lock(build_mutex_);
    play(next, {});
    if (turns_cab_on) params_.at(kCab).setValueNotifyingHost(1);
    const std::string missing = missing_names(*next);
    say(loaded_text(*read) + (missing.empty() ? "" : "; still missing: " + juce::String(missing)),
        false);
  } catch (const std::exception& error) {
    say(text_of(error).replace(file.getFullPathName(), file.getFileName()), true);
  }
}

void Processor::step(int direction) {
  juce::File here = shown_;
  if (here == juce::File()) {
    const FilePtr model = setting()->model();
    if (model == nullptr || model->path.isEmpty()) return say("Load a model first.", true);
    here = juce::File(model->path);
  }
  juce::Array<juce::File> files =
      here.getParentDirectory().findChildFiles(juce::File::findFiles, false, kModelPattern);
  if (files.isEmpty()) return say(here.getParentDirectory().getFullPathName() + " is gone.", true);
  struct ByName {
    static int compareElements(const juce::File& a, const juce::File& b) {
      return a.getFileName().compareNatural(b.getFileName());
    }
  } by_name;
  files.sort(by_name);
  const int at = files.indexOf(here);
  const int count = files.size();
  load(files[at < 0 ? 0 : (at + direction + count) % count]);
}

void Processor::clear_impulse() {
  later([this] {
    try {
      const std::lock_guard lock(build_mutex_);
      play(std::make_shared<Setting>(with_impulse(*setting(), nullptr)), {});
      say("The built-in speaker.", false);
    } catch (const std::exception& error) {
      say(text_of(error), true);
    }
  });
}

void Processor::clear() {
  shown_ = juce::File();
  later([this] {
    const std::lock_guard lock(build_mutex_);
    const Change change(rack_);
    params_.set(default_values());
    play(std::make_shared<Setting>(empty_setting()), {});
    say("", false);
  });
}

void Processor::open_rig_now(const juce::File& file) {
  OpenedRig rig = open_rig(file);
  const auto next = std::make_shared<Setting>(std::move(rig.setting));
  rig.values[kBypass] = params_.values()[kBypass];
  const std::lock_guard lock(build_mutex_);
  const Change change(rack_);
  const Values before = params_.values();
  params_.set(rig.values);
  try {
    play(next, {});
  } catch (const std::exception&) {
    params_.set(before);
    throw;
  }
  const juce::String name = file.getFileNameWithoutExtension();
  const std::string missing = missing_names(*next);
  if (!missing.empty())
    say(name + ": " + juce::String(missing) + " is not in its models: find it with Load Model.",
        true);
  else
    say(name + (next->notes.empty() ? "" : "; " + juce::String(next->notes)), false);
}

void Processor::export_rig(const juce::File& yaml) {
  later([this, yaml] {
    try {
      const std::lock_guard lock(build_mutex_);
      const SettingPtr now = setting();
      const Values values = params_.values();
      const int rate_hz = rack_ == nullptr ? kUnknownRateHz : rack_->sample_rate_hz();
      Loudness known = loudness();
      const Trims trims = trims_for(*now, rate_hz, is_normalized(values), known);
      const juce::File written =
          write_rig(yaml, *now, values, trims.by_level[static_cast<size_t>(values[kLevel])]);
      say("Written: " + written.getFullPathName(), false);
    } catch (const std::exception& error) {
      say(text_of(error), true);
    }
  });
}

// --- building -----------------------------------------------------------------------------------

void Processor::say(const juce::String& text, bool is_error) {
  const std::lock_guard lock(report_mutex_);
  report_.text = text;
  report_.is_error = is_error;
}

Processor::SettingPtr Processor::setting() const {
  const std::lock_guard lock(report_mutex_);
  return setting_;
}

Report Processor::report() const {
  const std::lock_guard lock(report_mutex_);
  Report report = report_;
  report.setting = setting_;
  report.faulted = rack_ != nullptr && rack_->faulted();
  return report;
}

Meters* Processor::meters() {
  const std::lock_guard lock(report_mutex_);
  return rack_ == nullptr ? nullptr : &rack_->meters();
}

int Processor::switches() const {
  const std::lock_guard lock(report_mutex_);
  return rack_ == nullptr ? 0 : rack_->switches();
}

bool Processor::settled() const {
  const std::lock_guard lock(report_mutex_);
  return jobs_ == 0 && (rack_ == nullptr || rack_->settled());
}

/// loudness: what is known of the setting, and then what was measured.
Trims Processor::trims_for(const Setting& setting, int sample_rate_hz, bool with_measure,
                           Loudness& loudness) {
  if (loudness.sample_rate_hz != sample_rate_hz) loudness = {};
  if (!loudness.lufs && with_measure) loudness = measure(setting, sample_rate_hz);
  Trims trims;
  trims.measured = loudness.lufs.has_value();
  for (int level = 0; level < kLevelCount; ++level)
    trims.by_level[static_cast<size_t>(level)] =
        trim_of(setting, static_cast<Level>(level), loudness);
  return trims;
}

void Processor::play(const SettingPtr& setting, Loudness loudness) {
  if (rack_ == nullptr) {
    const std::lock_guard lock(report_mutex_);
    setting_ = setting;
    loudness_ = loudness;
    return;
  }
  if (!rack_->is_heard())
    return begin_rack(setting, loudness, rack_->sample_rate_hz(), rack_->sides());
  const Values values = params_.values();
  Built built =
      rack_->build(*setting, values,
                   trims_for(*setting, rack_->sample_rate_hz(), is_normalized(values), loudness));
  const int latency = built.latency_frames;
  const float cost_ns = built.cost_ns;
  rack_->offer(std::move(built));
  workshop_->hurry();
  note(setting, loudness, latency, cost_ns);
}

/// A rack that has played nothing yet but silence, and nothing but this setting. It takes the place
/// of one that nobody hears: what plays first is the new sound, without a fade.
void Processor::begin_rack(const SettingPtr& setting, Loudness loudness, int sample_rate_hz,
                           int sides) {
  auto rack =
      std::make_shared<Rack>(sample_rate_hz, sides, [this] { later([this] { measure_now(); }); });
  const Values values = params_.values();
  Built built = rack->build(*setting, values,
                            trims_for(*setting, sample_rate_hz, is_normalized(values), loudness));
  const int latency = built.latency_frames;
  const float cost_ns = built.cost_ns;
  rack->begin(std::move(built));
  if (rack_ != nullptr) rack_->close();
  {
    const juce::ScopedLock no_block(getCallbackLock());
    const std::lock_guard lock(report_mutex_);
    std::swap(rack_, rack);
  }
  workshop_->serve(rack_);
  note(setting, loudness, latency, cost_ns);
}

void Processor::note(const SettingPtr& setting, const Loudness& loudness, int latency_frames,
                     float cost_ns) {
  {
    const std::lock_guard lock(report_mutex_);
    setting_ = setting;
    loudness_ = loudness;
    report_.sample_rate_hz = rack_->sample_rate_hz();
    report_.latency_frames = latency_frames;
    report_.cost_percent = cost_ns * static_cast<float>(rack_->sample_rate_hz()) * kPercentPerNsHz;
  }
  setLatencySamples(latency_frames);
}

Loudness Processor::loudness() const {
  const std::lock_guard lock(report_mutex_);
  return loudness_;
}

void Processor::measure_now() {
  const std::lock_guard lock(build_mutex_);
  if (rack_ == nullptr) return;
  try {
    Loudness known = loudness();
    rack_->offer_trims(trims_for(*setting(), rack_->sample_rate_hz(), true, known));
    const std::lock_guard report_lock(report_mutex_);
    loudness_ = known;
  } catch (const std::exception& error) {
    say(text_of(error), true);
  }
}

// --- juce::AudioProcessor -----------------------------------------------------------------------

bool Processor::isBusesLayoutSupported(const BusesLayout& layout) const {
  const auto mono = juce::AudioChannelSet::mono();
  const auto stereo = juce::AudioChannelSet::stereo();
  const auto in = layout.getMainInputChannelSet();
  const auto out = layout.getMainOutputChannelSet();
  return (in == mono && (out == mono || out == stereo)) || (in == stereo && out == stereo);
}

void Processor::prepareToPlay(double sample_rate_hz, int) {
  finish();
  const std::lock_guard lock(build_mutex_);
  const int rate_hz = juce::roundToInt(sample_rate_hz);
  const int sides = getTotalNumInputChannels() == 2 && getTotalNumOutputChannels() == 2 ? 2 : 1;
  const SettingPtr wanted = setting();
  // Hosts prepare several times before they play.
  const bool is_ready = rack_ != nullptr && !rack_->started() &&
                        rack_->sample_rate_hz() == rate_hz && rack_->sides() == sides &&
                        rack_->values() == params_.values();
  if (is_ready) return;
  try {
    begin_rack(wanted, loudness(), rate_hz, sides);
  } catch (const std::exception& error) {
    say(text_of(error), true);
    begin_rack(std::make_shared<Setting>(empty_setting()), {}, rate_hz, sides);
  }
}

void Processor::processBlock(juce::AudioBuffer<float>& buffer, juce::MidiBuffer&) {
  const bool on_time = !isNonRealtime();
  if (!on_time) {
    finish();
    if (is_normalized(params_.values()) && !loudness().lufs) measure_now();
  }
  Rack* const rack = rack_.get();
  const int ins = std::min(2, getMainBusNumInputChannels());
  const int outs = std::min(2, getMainBusNumOutputChannels());
  if (rack == nullptr || ins < rack->sides() || ins == 0 || outs == 0) return;
  rack->process(buffer.getArrayOfReadPointers(), ins, buffer.getArrayOfWritePointers(), outs,
                buffer.getNumSamples(), params_, on_time);
}

double Processor::getTailLengthSeconds() const {
  const SettingPtr now = setting();
  const bool rings = now->find("delay") != nullptr || now->find("reverb") != nullptr;
  return rings ? kLongTailSeconds : kShortTailSeconds;
}

void Processor::getStateInformation(juce::MemoryBlock& block) {
  finish();
  State state;
  state.values = params_.values();
  const std::lock_guard lock(report_mutex_);
  state.setting = *setting_;
  state.loudness = loudness_;
  const bool untouched = !unread_.isEmpty() && state.setting.model() == nullptr;
  block = untouched ? unread_ : write_state(state);
}

void Processor::setStateInformation(const void* data, int size) {
  finish();
  ++newest_;
  State state;
  juce::String trouble;
  try {
    state = read_state(data, static_cast<size_t>(std::max(0, size)));
  } catch (const std::exception& error) {
    trouble = text_of(error);
    state = {};
    state.setting = empty_setting();
  }
  const auto next = std::make_shared<Setting>(std::move(state.setting));
  const std::lock_guard lock(build_mutex_);
  const Change change(rack_);
  params_.set(state.values);
  {
    const std::lock_guard report_lock(report_mutex_);
    unread_ = trouble.isEmpty() ? juce::MemoryBlock()
                                : juce::MemoryBlock(data, static_cast<size_t>(std::max(0, size)));
  }
  shown_ = juce::File();
  try {
    play(next, state.loudness);
  } catch (const std::exception& error) {
    trouble = text_of(error);
    play(std::make_shared<Setting>(empty_setting()), {});
  }
  const std::string missing = missing_names(*next);
  if (!missing.empty())
    trouble = juce::String::fromUTF8(missing.c_str()) +
              " is missing, and the project has no copy: find it with Load Model.";
  say(trouble.isNotEmpty() ? trouble : juce::String(), trouble.isNotEmpty());
}

juce::AudioProcessorEditor* Processor::createEditor() {
  return new Editor(*this);
}

}  // namespace amp::plugin

juce::AudioProcessor* JUCE_CALLTYPE createPluginFilter() {
  return new amp::plugin::Processor();
}
