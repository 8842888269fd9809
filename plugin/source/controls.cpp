#include "controls.hpp"

#include "look.hpp"

namespace amp::plugin {
namespace {

constexpr int kNameHeight = 18;
constexpr double kKeyStep = 0.01;
constexpr double kShiftStep = 0.1;

constexpr float kLowestDb = -60;
constexpr float kFallDb = 0.8F;  ///< a look, 30 of them a second
constexpr int kHoldLooks = 60;
constexpr float kWarnDb = -6;
constexpr float kSilentDb = -100;

}  // namespace

// --- Dial ---------------------------------------------------------------------------------------

Dial::Dial(juce::RangedAudioParameter& param, const juce::String& name)
    : attachment_(param, knob_) {
  knob_.setSliderStyle(juce::Slider::RotaryHorizontalVerticalDrag);
  knob_.setTextBoxStyle(juce::Slider::TextBoxBelow, false, 80, 20);
  knob_.setDoubleClickReturnValue(true, param.convertFrom0to1(param.getDefaultValue()));
  knob_.setWantsKeyboardFocus(true);
  knob_.setScrollWheelEnabled(true);
  addAndMakeVisible(knob_);
  set_name(name);
  knob_.updateText();
}

void Dial::set_name(const juce::String& name) {
  if (name == name_) return;
  name_ = name;
  knob_.setTitle(name);
  repaint();
}

void Dial::set_enabled(bool on) {
  knob_.setEnabled(on);
  repaint();
}

void Dial::paint(juce::Graphics& g) {
  g.setFont(Look::font(14));
  g.setColour(colour::kQuiet);
  g.drawFittedText(name_, getLocalBounds().removeFromTop(kNameHeight), juce::Justification::centred,
                   1, 0.8F);
}

void Dial::resized() {
  knob_.setBounds(getLocalBounds().withTrimmedTop(kNameHeight));
}

bool Dial::Knob::keyPressed(const juce::KeyPress& key) {
  const bool up =
      key.getKeyCode() == juce::KeyPress::upKey || key.getKeyCode() == juce::KeyPress::rightKey;
  const bool down =
      key.getKeyCode() == juce::KeyPress::downKey || key.getKeyCode() == juce::KeyPress::leftKey;
  if (!up && !down) return juce::Slider::keyPressed(key);
  const double step = key.getModifiers().isShiftDown() ? kShiftStep : kKeyStep;
  const double way = valueToProportionOfLength(getValue()) + (up ? step : -step);
  setValue(proportionOfLengthToValue(juce::jlimit(0.0, 1.0, way)), juce::sendNotificationSync);
  return true;
}

// --- Segments and Switch ------------------------------------------------------------------------

Segments::Segments(juce::RangedAudioParameter& param, const juce::StringArray& names,
                   const juce::StringArray& help)
    : attachment_(
          param,
          [this](float value) {
            for (size_t b = 0; b < buttons_.size(); ++b)
              buttons_[b]->setToggleState(static_cast<int>(b) == juce::roundToInt(value),
                                          juce::dontSendNotification);
          },
          nullptr) {
  for (int n = 0; n < names.size(); ++n) {
    auto button = std::make_unique<juce::TextButton>(names[n]);
    button->setTitle(param.getName(40) + " " + names[n]);
    button->setTooltip(help[n]);
    button->setConnectedEdges((n > 0 ? juce::Button::ConnectedOnLeft : 0) |
                              (n + 1 < names.size() ? juce::Button::ConnectedOnRight : 0));
    button->onClick = [this, n] { attachment_.setValueAsCompleteGesture(static_cast<float>(n)); };
    addAndMakeVisible(*button);
    buttons_.push_back(std::move(button));
  }
  attachment_.sendInitialUpdate();
}

void Segments::resized() {
  auto area = getLocalBounds();
  const int width = area.getWidth() / static_cast<int>(buttons_.size());
  for (const auto& button : buttons_) button->setBounds(area.removeFromLeft(width).reduced(1, 0));
}

Switch::Switch(juce::RangedAudioParameter& param, const juce::String& label,
               const juce::String& title)
    : juce::TextButton(label), attachment_(param, *this) {
  setClickingTogglesState(true);
  setTitle(title);
}

// --- Arrow --------------------------------------------------------------------------------------

Arrow::Arrow(int direction, const juce::String& title)
    : juce::Button(title), direction_(direction) {
  setTitle(title);
}

void Arrow::paintButton(juce::Graphics& g, bool over, bool down) {
  getLookAndFeel().drawButtonBackground(g, *this, colour::kRaised, over, down);
  juce::Path arrow;
  const auto way = static_cast<float>(direction_);
  arrow.startNewSubPath(-3 * way, -6);
  arrow.lineTo(3 * way, 0);
  arrow.lineTo(-3 * way, 6);
  g.setColour(colour::kText);
  g.strokePath(
      arrow,
      juce::PathStrokeType(2.2F, juce::PathStrokeType::curved, juce::PathStrokeType::rounded),
      juce::AffineTransform::translation(getLocalBounds().toFloat().getCentre()));
}

// --- LevelMeter ---------------------------------------------------------------------------------

LevelMeter::LevelMeter(const juce::String& name, const juce::String& clip_help) : name_(name) {
  setTitle(name + " level");
  setTooltip(clip_help);
}

void LevelMeter::show(float left, float right, int channels, bool clipped) {
  channels_ = channels;
  const std::array<float, 2> peaks{left, right};
  for (size_t c = 0; c < 2; ++c)
    level_db_[c] = std::max(juce::Decibels::gainToDecibels(peaks[c], kSilentDb),
                            std::max(kSilentDb, level_db_[c] - kFallDb));
  const float now = std::max(level_db_[0], level_db_[1]);
  if (now >= highest_db_ || ++highest_age_ > kHoldLooks) {
    highest_db_ = now;
    highest_age_ = 0;
  }
  clipped_ = clipped_ || clipped;
  repaint();
}

void LevelMeter::paint(juce::Graphics& g) {
  auto area = getLocalBounds().toFloat();
  g.setFont(Look::font(13));
  g.setColour(colour::kQuiet);
  g.drawText(name_, area.removeFromBottom(18), juce::Justification::centred);
  const auto number = area.removeFromBottom(16);
  g.setFont(Look::font(12));
  g.setColour(colour::kText);
  g.drawText(
      highest_db_ <= kLowestDb ? juce::String("-") : juce::String(juce::roundToInt(highest_db_)),
      number, juce::Justification::centred);
  const auto light = area.removeFromTop(12).reduced(3, 1);
  g.setColour(clipped_ ? colour::kHot : colour::kRaised);
  g.fillRoundedRectangle(light, 3);
  area = area.withTrimmedTop(4).withTrimmedBottom(2).reduced(3, 0);
  constexpr float kGap = 3;
  constexpr float kBarWidth = 12;
  area = area.withSizeKeepingCentre(static_cast<float>(channels_) * (kBarWidth + kGap) - kGap,
                                    area.getHeight());
  const auto share = [](float db) { return juce::jlimit(0.0F, 1.0F, 1 - db / kLowestDb); };
  for (int c = 0; c < channels_; ++c) {
    const auto bar =
        area.withWidth(kBarWidth).translated(static_cast<float>(c) * (kBarWidth + kGap), 0);
    g.setColour(colour::kRaised);
    g.fillRoundedRectangle(bar, 3);
    const auto part = [&](float db) {
      return bar.withTop(bar.getBottom() - share(db) * bar.getHeight());
    };
    const float db = level_db_[static_cast<size_t>(c)];
    g.setColour(colour::kWarm);
    if (db > kWarnDb) g.fillRoundedRectangle(part(db), 3);
    g.setColour(colour::kGood);
    if (db > kLowestDb) g.fillRoundedRectangle(part(std::min(db, kWarnDb)), 3);
  }
  if (highest_db_ > kLowestDb) {
    g.setColour(colour::kText);
    g.fillRect(
        area.withTop(area.getBottom() - share(highest_db_) * area.getHeight()).withHeight(2));
  }
}

void LevelMeter::mouseDown(const juce::MouseEvent&) {
  clipped_ = false;
  highest_db_ = kSilentDb;
  repaint();
}

std::unique_ptr<juce::AccessibilityHandler> LevelMeter::createAccessibilityHandler() {
  return std::make_unique<juce::AccessibilityHandler>(*this, juce::AccessibilityRole::label);
}

}  // namespace amp::plugin
