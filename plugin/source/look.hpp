#pragma once

#include <juce_gui_basics/juce_gui_basics.h>

namespace amp::plugin {

/// The colours of the window. Text on its ground has a contrast of 7 or more, by WCAG.
namespace colour {
inline const juce::Colour kGround{0xff121418};
inline const juce::Colour kPanel{0xff1b1f26};
inline const juce::Colour kRaised{0xff2a303a};
inline const juce::Colour kLine{0xff3a424e};
inline const juce::Colour kText{0xfff3f5f8};
inline const juce::Colour kQuiet{0xffb4bdc9};
inline const juce::Colour kWarm{0xffffb454};
inline const juce::Colour kGood{0xff63d297};
inline const juce::Colour kBad{0xffff8a7a};
inline const juce::Colour kHot{0xffff4d3d};
}  // namespace colour

/// How everything in the window is drawn: flat, dark, one warm colour for what is set and chosen.
class Look final : public juce::LookAndFeel_V4 {
 public:
  Look();

  static juce::Font font(float height, bool bold = false);

  void drawRotarySlider(juce::Graphics& g, int x, int y, int width, int height, float way,
                        float start, float end, juce::Slider& slider) override;
  void drawButtonBackground(juce::Graphics& g, juce::Button& button, const juce::Colour& ground,
                            bool over, bool down) override;
  void drawButtonText(juce::Graphics& g, juce::TextButton& button, bool over, bool down) override;
  juce::Font getTextButtonFont(juce::TextButton& button, int height) override;
  juce::Font getLabelFont(juce::Label& label) override;
  juce::Font getPopupMenuFont() override;
  juce::Label* createSliderTextBox(juce::Slider& slider) override;
  juce::Slider::SliderLayout getSliderLayout(juce::Slider& slider) override;
};

}  // namespace amp::plugin
