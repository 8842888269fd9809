#include "editor.hpp"

#include "recents.hpp"

namespace amp::plugin {
namespace {

constexpr int kLooksPerSecond = 30;
constexpr int kMargin = 14;
constexpr int kMeterWidth = 40;
constexpr int kTopHeight = 36;
constexpr int kHeroHeight = 150;
constexpr int kDialHeight = 138;
constexpr int kDialWidth = 104;
constexpr int kBottomHeight = 52;
constexpr int kStatusHeight = 40;
constexpr double kLargest = 2;

juce::String family_name(const std::string& family) {
  if (family == "nam") return "NAM";
  if (family == "rtneural") return "RTNeural";
  if (family == "state_dict") return "Proteus";
  if (family == "pedalnet") return "PedalNet";
  return juce::String(family);
}

juce::String counted(int count, const char* what) {
  juce::String text(count);
  for (int at = text.length() - 3; at > 0; at -= 3)
    text = text.substring(0, at) + "," + text.substring(at);
  return text + " " + what;
}

juce::String rate_text(int rate_hz) {
  return juce::String(rate_hz / 1000.0, rate_hz % 1000 == 0 ? 0 : 1) + " kHz";
}

const juce::String kDot = juce::String::fromUTF8("  \xc2\xb7  ");

/// Family, kind, size and rate of a model; what it costs here and how late it is.
juce::String facts_of(const Report& report, const nn::ModelInfo& info) {
  juce::StringArray facts{
      family_name(info.family) + " " + juce::String(info.architecture).replaceCharacter('_', ' '),
      counted(info.weight_count, "weights"), rate_text(info.playing_rate_hz())};
  if (report.sample_rate_hz > 0) {
    facts.add(report.latency_frames == 0
                  ? juce::String("no latency")
                  : juce::String(1000.0 * report.latency_frames / report.sample_rate_hz, 2) +
                        " ms late");
    facts.add(juce::String(report.cost_percent, report.cost_percent < 10 ? 1 : 0) + " % of a core");
  }
  return facts.joinIntoString(kDot);
}

/// The blocks of a rig that are more than gate, amp and cab.
juce::String chain_of(const Setting& setting) {
  juce::StringArray names;
  for (const Part& part : setting.parts) {
    if (part.own) continue;
    const bool named = !part.files.empty();
    names.add(named ? juce::String::fromUTF8(part.files[0]->stem().c_str())
                    : juce::String(part.spec.name));
  }
  return names.joinIntoString(juce::String::fromUTF8("  \xe2\x86\x92  "));
}

}  // namespace

Face::Face(Processor& processor)
    : processor_(processor),
      bypass_(processor.params().at(kBypass), "Bypass", "Bypass"),
      cab_(processor.params().at(kCab), "Cab", "Cabinet"),
      level_(processor.params().at(kLevel), {"Raw", "Normalized", "Calibrated"},
             {"As the model gives it", "Every model equally loud, -20 LUFS",
              "As loud as the amp was, by the levels that the model states"}),
      input_(processor.params().at(kInputGain), "Input"),
      gate_(processor.params().at(kGateThreshold), "Gate"),
      quality_(processor.params().at(kQuality), "Quality"),
      mix_(processor.params().at(kMix), "Mix"),
      output_(processor.params().at(kOutputGain), "Output"),
      in_meter_("In", "Red: the guitar reached full scale. Click to clear"),
      out_meter_("Out", "Red: the ceiling at -1 dBFS held the sound down. Click to clear") {
  setTitle("ampd");
  setWantsKeyboardFocus(true);
  setFocusContainerType(FocusContainerType::keyboardFocusContainer);
  load_.onClick = [this] { choose("Load a model", kModelPattern); };
  previous_.onClick = [this] { processor_.step(-1); };
  next_.onClick = [this] { processor_.step(1); };
  recent_.onClick = [this] { show_recent(); };
  rig_.onClick = [this] { show_rig_menu(); };
  load_cab_.onClick = [this] { choose("Load an impulse response", kImpulsePattern); };
  own_cab_.onClick = [this] { processor_.clear_impulse(); };
  load_.setTooltip("Or drop a file on the window (Ctrl+O)");
  previous_.setTooltip("Previous model in the folder (Ctrl+Left)");
  next_.setTooltip("Next model in the folder (Ctrl+Right)");
  own_cab_.setTooltip("The 12-inch speaker that is built in");
  load_.setColour(juce::TextButton::buttonColourId, colour::kWarm);
  load_.setColour(juce::TextButton::textColourOffId, colour::kGround);
  for (int k = 0; k < kKnobCount; ++k)
    knobs_.push_back(std::make_unique<Dial>(processor.params().at(static_cast<Param>(kKnob1 + k)),
                                            "Knob " + juce::String(k + 1)));
  for (juce::Component* const child : std::initializer_list<juce::Component*>{
           &rig_, &bypass_, &previous_, &load_, &next_, &recent_, &input_, &gate_})
    addAndMakeVisible(child);
  for (const auto& knob : knobs_) addChildComponent(*knob);
  addChildComponent(quality_);
  for (juce::Component* const child : std::initializer_list<juce::Component*>{
           &mix_, &output_, &cab_, &load_cab_, &own_cab_, &level_, &in_meter_, &out_meter_})
    addAndMakeVisible(child);
  setSize(kWidth, kHeight);
  show(processor_.report());
  startTimerHz(kLooksPerSecond);
}

Face::~Face() {
  stopTimer();
}

// --- what is shown ------------------------------------------------------------------------------

void Face::timerCallback() {
  Report report = processor_.report();
  const bool changed = report.setting != shown_.setting || report.text != shown_.text ||
                       report.is_loading != shown_.is_loading ||
                       report.is_error != shown_.is_error || report.faulted != shown_.faulted ||
                       report.sample_rate_hz != shown_.sample_rate_hz ||
                       report.cost_percent != shown_.cost_percent;
  if (changed) show(report);
  Meters* const meters = processor_.meters();
  if (meters == nullptr) return;
  const auto look = [](std::atomic<float>& peak) { return peak.exchange(0); };
  in_meter_.show(look(meters->in[0]), look(meters->in[1]), processor_.getTotalNumInputChannels(),
                 meters->in_clipped.exchange(false));
  out_meter_.show(look(meters->out[0]), look(meters->out[1]),
                  processor_.getTotalNumOutputChannels(), meters->out_clipped.exchange(false));
}

void Face::show(const Report& report) {
  shown_ = report;
  const Setting& setting = *report.setting;
  const FilePtr model = setting.model();
  const bool is_rig = !setting.name.empty();
  const bool is_missing = model != nullptr && model->content == nullptr;
  title_ = is_rig             ? juce::String::fromUTF8(setting.name.c_str())
           : model == nullptr ? juce::String("Drop an amp here")
                              : juce::String::fromUTF8(model->stem().c_str());
  title_colour_ = is_missing || (model == nullptr && !is_rig) ? colour::kQuiet : colour::kText;
  facts_ = "NAM, AIDA-X, Proteus, PedalNet or ampd; a cabinet's impulse response; a rig";
  if (model != nullptr && model->content != nullptr)
    facts_ = facts_of(report, model->content->model->info);
  if (is_missing) facts_ = "Not found. It may have moved: load it from where it is now.";
  show_badge(setting);
  load_.setButtonText(is_missing ? "Find " + juce::String::fromUTF8(model->stem().c_str()) + "..."
                                 : juce::String("Load Model..."));
  const FilePtr impulse = setting.impulse();
  cab_text_ = impulse == nullptr ? juce::String("Built-in 12-inch speaker")
                                 : juce::String::fromUTF8(impulse->name.c_str());
  own_cab_.setVisible(impulse != nullptr);
  show_knobs(setting);
  setDescription(title_ + ". " + facts_ + ". " + report.text);
  resized();
  repaint();
}

void Face::show_badge(const Setting& setting) {
  badge_ = {};
  badge_colour_ = colour::kWarm;
  for (const Part& part : setting.parts)
    for (const FilePtr& file : part.files) {
      if (file->origin == File::Origin::kEmbedded && badge_.isEmpty()) badge_ = "embedded copy";
      if (file->content != nullptr) continue;
      badge_ = "missing";
      badge_colour_ = colour::kBad;
    }
}

void Face::show_knobs(const Setting& setting) {
  const std::vector<std::string> names = knob_names(setting);
  for (size_t k = 0; k < knobs_.size(); ++k) {
    knobs_[k]->setVisible(k < names.size());
    if (k < names.size()) knobs_[k]->set_name(juce::String(names[k]).replaceCharacter('_', ' '));
  }
  bool has_quality = false;
  for (const Part& part : setting.parts)
    for (const FilePtr& file : part.files)
      has_quality |= file->content != nullptr && file->content->model != nullptr &&
                     file->content->model->info.has_quality;
  quality_.setVisible(has_quality);
}

void Face::show_drop(bool on) {
  is_dropping_ = on;
  repaint();
}

// --- drawing ------------------------------------------------------------------------------------

void Face::paint(juce::Graphics& g) {
  g.fillAll(colour::kGround);
  auto area = getLocalBounds().reduced(kMargin, 0);
  g.setColour(colour::kQuiet);
  g.setFont(Look::font(17, true));
  g.drawText("ampd", area.removeFromTop(kTopHeight + 8), juce::Justification::centredLeft);
  const auto status = area.removeFromBottom(kStatusHeight);
  auto inner = area.reduced(kMeterWidth + kMargin, 0);
  auto hero = inner.removeFromTop(kHeroHeight);
  g.setColour(colour::kPanel);
  g.fillRoundedRectangle(hero.toFloat(), 10);
  hero = hero.reduced(18, 14);
  auto line = hero.removeFromTop(42);
  if (badge_.isNotEmpty()) {
    g.setFont(Look::font(13, true));
    const int width = g.getCurrentFont().getStringWidth(badge_) + 22;
    const auto pill = line.removeFromRight(width).withSizeKeepingCentre(width, 24).toFloat();
    g.setColour(badge_colour_);
    g.drawRoundedRectangle(pill.reduced(1), 12, 1.5F);
    g.drawText(badge_, pill, juce::Justification::centred);
    line.removeFromRight(10);
  }
  g.setColour(title_colour_);
  g.setFont(Look::font(36, true));
  g.drawFittedText(title_, line, juce::Justification::centredLeft, 1, 0.6F);
  g.setColour(colour::kQuiet);
  g.setFont(Look::font(15));
  const juce::String chain = chain_of(*shown_.setting);
  const bool has_chain = shown_.setting->parts.size() > 3;
  g.drawFittedText(has_chain ? chain : facts_, hero.removeFromTop(24),
                   juce::Justification::centredLeft, 1, 0.7F);
  g.setColour(colour::kPanel);
  g.fillRoundedRectangle(inner.removeFromBottom(kBottomHeight).toFloat(), 10);
  g.setColour(cab_.getToggleState() ? colour::kText : colour::kQuiet);
  g.setFont(Look::font(15));
  const int right = own_cab_.isVisible() ? own_cab_.getX() : level_.getX();
  g.drawFittedText(cab_text_,
                   juce::Rectangle<int>(load_cab_.getRight() + 10, cab_.getY(),
                                        right - load_cab_.getRight() - 18, cab_.getHeight()),
                   juce::Justification::centredLeft, 2, 0.75F);
  juce::String text = shown_.text;
  bool is_error = shown_.is_error;
  if (shown_.faulted) {
    text = "The model gave sound that is not finite: the guitar plays dry until another is loaded.";
    is_error = true;
  }
  if (shown_.is_loading) text = "Loading...";
  g.setColour(is_error && !shown_.is_loading ? colour::kBad : colour::kQuiet);
  g.setFont(Look::font(14));
  g.drawFittedText(text, status, juce::Justification::centredLeft, 2, 0.8F);
}

void Face::paintOverChildren(juce::Graphics& g) {
  if (!is_dropping_) return;
  g.setColour(colour::kGround.withAlpha(0.82F));
  g.fillAll();
  g.setColour(colour::kWarm);
  g.drawRoundedRectangle(getLocalBounds().toFloat().reduced(10), 14, 3);
  g.setFont(Look::font(28, true));
  g.drawText("Drop it: a model, a cabinet or a rig", getLocalBounds(),
             juce::Justification::centred);
}

void Face::resized() {
  auto area = getLocalBounds().reduced(kMargin, 0);
  auto top = area.removeFromTop(kTopHeight + 8).reduced(0, 6);
  bypass_.setBounds(top.removeFromRight(84));
  top.removeFromRight(8);
  rig_.setBounds(top.removeFromRight(64));
  area.removeFromBottom(kStatusHeight);
  in_meter_.setBounds(area.removeFromLeft(kMeterWidth));
  out_meter_.setBounds(area.removeFromRight(kMeterWidth));
  area = area.reduced(kMargin, 0);
  auto hero = area.removeFromTop(kHeroHeight).reduced(18, 14);
  auto buttons = hero.removeFromBottom(36);
  previous_.setBounds(buttons.removeFromLeft(40));
  buttons.removeFromLeft(6);
  load_.setBounds(buttons.removeFromLeft(190));
  buttons.removeFromLeft(6);
  next_.setBounds(buttons.removeFromLeft(40));
  buttons.removeFromLeft(14);
  recent_.setBounds(buttons.removeFromLeft(90));
  auto bottom = area.removeFromBottom(kBottomHeight).reduced(10, 9);
  level_.setBounds(bottom.removeFromRight(284));
  bottom.removeFromRight(10);
  cab_.setBounds(bottom.removeFromLeft(56));
  bottom.removeFromLeft(6);
  load_cab_.setBounds(bottom.removeFromLeft(78));
  own_cab_.setBounds(bottom.removeFromRight(70));
  std::vector<juce::Component*> dials{&input_, &gate_};
  for (const auto& knob : knobs_)
    if (knob->isVisible()) dials.push_back(knob.get());
  if (quality_.isVisible()) dials.push_back(&quality_);
  dials.push_back(&mix_);
  dials.push_back(&output_);
  const int count = static_cast<int>(dials.size());
  const int width = std::min(kDialWidth + 40, area.getWidth() / count);
  auto row = area.withSizeKeepingCentre(count * width, kDialHeight);
  for (juce::Component* const dial : dials)
    dial->setBounds(
        row.removeFromLeft(width).withSizeKeepingCentre(std::min(width, kDialWidth), kDialHeight));
}

// --- what the player does -----------------------------------------------------------------------

bool Face::keyPressed(const juce::KeyPress& key) {
  if (!key.getModifiers().isCommandDown()) return false;
  if (key.isKeyCode('O')) return choose("Load a model", kModelPattern), true;
  if (key.isKeyCode(juce::KeyPress::leftKey)) return processor_.step(-1), true;
  if (key.isKeyCode(juce::KeyPress::rightKey)) return processor_.step(1), true;
  return false;
}

void Face::load(const juce::File& file) {
  note_recent(file);
  processor_.load(file);
}

void Face::drop(const juce::StringArray& files) {
  for (const juce::String& name : files)
    if (const juce::File file(name); kind_of(file) != FileKind::kUnknown) return load(file);
  if (!files.isEmpty()) load(juce::File(files[0]));
}

/// Where a chooser begins: at the model, or where something was loaded last.
juce::File Face::folder() const {
  const FilePtr model = processor_.report().setting->model();
  juce::StringArray places = recent_files();
  if (model != nullptr) places.insert(0, model->path);
  for (const juce::String& place : places)
    if (juce::File::isAbsolutePath(place))
      if (const juce::File there = juce::File(place).getParentDirectory(); there.isDirectory())
        return there;
  return juce::File::getSpecialLocation(juce::File::userHomeDirectory);
}

void Face::choose(const juce::String& title, const juce::String& patterns) {
  chooser_ = std::make_unique<juce::FileChooser>(title, folder(), patterns);
  chooser_->launchAsync(
      juce::FileBrowserComponent::openMode | juce::FileBrowserComponent::canSelectFiles,
      [this](const juce::FileChooser& chooser) {
        if (const juce::File file = chooser.getResult(); file != juce::File()) load(file);
      });
}

void Face::choose_export() {
  const Setting& setting = *shown_.setting;
  const FilePtr model = setting.model();
  const std::string name = !setting.name.empty() ? setting.name
                           : model != nullptr    ? model->stem()
                                                 : "clean";
  chooser_ = std::make_unique<juce::FileChooser>(
      "Export a rig for the daemon",
      folder().getChildFile(juce::String::fromUTF8(name.c_str()) + ".yaml"), kRigPattern);
  chooser_->launchAsync(juce::FileBrowserComponent::saveMode |
                            juce::FileBrowserComponent::canSelectFiles |
                            juce::FileBrowserComponent::warnAboutOverwriting,
                        [this](const juce::FileChooser& chooser) {
                          if (const juce::File file = chooser.getResult(); file != juce::File())
                            processor_.export_rig(file.withFileExtension("yaml"));
                        });
}

void Face::show_recent() {
  juce::PopupMenu menu;
  const juce::StringArray files = recent_files();
  for (const juce::String& name : files) {
    const juce::File file(name);
    menu.addItem(file.getFileName(), file.existsAsFile(), false, [this, file] { load(file); });
  }
  if (files.isEmpty()) menu.addItem("Nothing was loaded yet", false, false, nullptr);
  menu.setLookAndFeel(&getLookAndFeel());
  menu.showMenuAsync(juce::PopupMenu::Options().withTargetComponent(recent_));
}

void Face::show_rig_menu() {
  juce::PopupMenu menu;
  menu.addItem("Open a rig...", [this] { choose("Open a rig of the daemon", kRigPattern); });
  menu.addItem("Export as a rig...", [this] { choose_export(); });
  menu.addSeparator();
  menu.addItem("Start anew", [this] { processor_.clear(); });
  menu.setLookAndFeel(&getLookAndFeel());
  menu.showMenuAsync(juce::PopupMenu::Options().withTargetComponent(rig_));
}

// --- Editor -------------------------------------------------------------------------------------

Editor::Editor(Processor& plays) : juce::AudioProcessorEditor(plays), face_(plays) {
  addAndMakeVisible(face_);
  setLookAndFeel(&*look_);
  // The frame, the menu and the dialogs of the Standalone are drawn by the default one.
  if (plays.wrapperType == juce::AudioProcessor::wrapperType_Standalone)
    juce::LookAndFeel::setDefaultLookAndFeel(&*look_);
  setResizable(true, true);
  setResizeLimits(Face::kWidth, Face::kHeight, juce::roundToInt(kLargest * Face::kWidth),
                  juce::roundToInt(kLargest * Face::kHeight));
  getConstrainer()->setFixedAspectRatio(static_cast<double>(Face::kWidth) / Face::kHeight);
  const double scale = window_scale();
  setSize(juce::roundToInt(scale * Face::kWidth), juce::roundToInt(scale * Face::kHeight));
}

Editor::~Editor() {
  note_window_scale(static_cast<double>(getWidth()) / Face::kWidth);
  if (&juce::LookAndFeel::getDefaultLookAndFeel() == &*look_)
    juce::LookAndFeel::setDefaultLookAndFeel(nullptr);
  setLookAndFeel(nullptr);
}

void Editor::resized() {
  face_.setTransform(juce::AffineTransform::scale(static_cast<float>(getWidth()) / Face::kWidth));
}

bool Editor::isInterestedInFileDrag(const juce::StringArray&) {
  return true;
}

void Editor::fileDragEnter(const juce::StringArray&, int, int) {
  face_.show_drop(true);
}

void Editor::fileDragExit(const juce::StringArray&) {
  face_.show_drop(false);
}

void Editor::filesDropped(const juce::StringArray& files, int, int) {
  face_.show_drop(false);
  face_.drop(files);
}

}  // namespace amp::plugin
