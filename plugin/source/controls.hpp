#pragma once

#include <juce_audio_processors/juce_audio_processors.h>
#include <juce_gui_basics/juce_gui_basics.h>

#include <vector>

#include "params.hpp"

namespace amp::plugin {

/// A knob with its name above and its value, which can be typed, below. Arrow keys turn it a
/// hundredth of the way, a tenth with shift; a double click brings the default back.
class Dial final : public juce::Component {
 public:
  Dial(juce::RangedAudioParameter& param, const juce::String& name);

  /// What is written above it, and what a screen reader says.
  void set_name(const juce::String& name);
  void set_enabled(bool on);

  void paint(juce::Graphics& g) override;
  void resized() override;

 private:
  class Knob final : public juce::Slider {
   public:
    bool keyPressed(const juce::KeyPress& key) override;
    void focusGained(FocusChangeType) override { repaint(); }
    void focusLost(FocusChangeType) override { repaint(); }
  };

  juce::String name_;
  Knob knob_;
  juce::SliderParameterAttachment attachment_;
};

/// One of a few, side by side.
class Segments final : public juce::Component {
 public:
  Segments(juce::RangedAudioParameter& param, const juce::StringArray& names,
           const juce::StringArray& help);

  void resized() override;

 private:
  std::vector<std::unique_ptr<juce::TextButton>> buttons_;
  juce::ParameterAttachment attachment_;
};

/// A button that is on or off with a param.
class Switch final : public juce::TextButton {
 public:
  Switch(juce::RangedAudioParameter& param, const juce::String& label, const juce::String& title);

 private:
  juce::ButtonParameterAttachment attachment_;
};

/// A button that points: -1 to the left, 1 to the right.
class Arrow final : public juce::Button {
 public:
  Arrow(int direction, const juce::String& title);

  void paintButton(juce::Graphics& g, bool over, bool down) override;

 private:
  int direction_;
};

/// Level of one channel or two, with the highest of the last seconds, and a light that stays on
/// when it clipped until it is clicked.
class LevelMeter final : public juce::Component, public juce::SettableTooltipClient {
 public:
  LevelMeter(const juce::String& name, const juce::String& clip_help);

  /// Peaks of what was played since the last call, linear; clipped: since then. Thread: message.
  void show(float left, float right, int channels, bool clipped);

  void paint(juce::Graphics& g) override;
  void mouseDown(const juce::MouseEvent&) override;
  std::unique_ptr<juce::AccessibilityHandler> createAccessibilityHandler() override;

 private:
  juce::String name_;
  int channels_ = 1;
  std::array<float, 2> level_db_{-100, -100};
  float highest_db_ = -100;
  int highest_age_ = 0;
  bool clipped_ = false;
};

}  // namespace amp::plugin
