#include "look.hpp"

namespace amp::plugin {
namespace {

constexpr float kCorner = 6;
constexpr float kFocusWidth = 2;
constexpr int kValueHeight = 20;

void draw_focus(juce::Graphics& g, const juce::Component& of, juce::Rectangle<float> area,
                float corner) {
  if (!of.hasKeyboardFocus(false)) return;
  g.setColour(colour::kText);
  g.drawRoundedRectangle(area.reduced(kFocusWidth / 2), corner, kFocusWidth);
}

}  // namespace

Look::Look() {
  setColour(juce::ResizableWindow::backgroundColourId, colour::kGround);
  setColour(juce::TextButton::buttonColourId, colour::kRaised);
  setColour(juce::TextButton::buttonOnColourId, colour::kWarm);
  setColour(juce::TextButton::textColourOffId, colour::kText);
  setColour(juce::TextButton::textColourOnId, colour::kGround);
  setColour(juce::Label::textColourId, colour::kText);
  setColour(juce::Slider::textBoxTextColourId, colour::kText);
  setColour(juce::Slider::textBoxOutlineColourId, juce::Colours::transparentBlack);
  setColour(juce::Slider::textBoxHighlightColourId, colour::kLine);
  setColour(juce::TextEditor::backgroundColourId, colour::kRaised);
  setColour(juce::TextEditor::textColourId, colour::kText);
  setColour(juce::TextEditor::focusedOutlineColourId, colour::kWarm);
  setColour(juce::CaretComponent::caretColourId, colour::kWarm);
  setColour(juce::PopupMenu::backgroundColourId, colour::kPanel);
  setColour(juce::PopupMenu::textColourId, colour::kText);
  setColour(juce::PopupMenu::headerTextColourId, colour::kQuiet);
  setColour(juce::PopupMenu::highlightedBackgroundColourId, colour::kRaised);
  setColour(juce::PopupMenu::highlightedTextColourId, colour::kText);
  setColour(juce::TooltipWindow::backgroundColourId, colour::kRaised);
  setColour(juce::TooltipWindow::textColourId, colour::kText);
}

juce::Font Look::font(float height, bool bold) {
  return juce::Font(height, bold ? juce::Font::bold : juce::Font::plain);
}

void Look::drawRotarySlider(juce::Graphics& g, int x, int y, int width, int height, float way,
                            float start, float end, juce::Slider& slider) {
  const auto area = juce::Rectangle<int>(x, y, width, height).toFloat().reduced(4);
  const float radius = std::min(area.getWidth(), area.getHeight()) / 2;
  const auto centre = area.getCentre();
  const float angle = start + way * (end - start);
  const float arc = radius - 3;
  const bool live = slider.isEnabled();
  juce::Path path;
  path.addCentredArc(centre.x, centre.y, arc, arc, 0, start, end, true);
  const juce::PathStrokeType stroke(4, juce::PathStrokeType::curved, juce::PathStrokeType::rounded);
  g.setColour(colour::kRaised);
  g.strokePath(path, stroke);
  // From where the param does nothing, which its default is, to where it stands.
  const double rest = slider.getDoubleClickReturnValue();
  const float from =
      start + static_cast<float>(slider.valueToProportionOfLength(rest)) * (end - start);
  path.clear();
  path.addCentredArc(centre.x, centre.y, arc, arc, 0, std::min(from, angle), std::max(from, angle),
                     true);
  g.setColour(live ? colour::kWarm : colour::kLine);
  g.strokePath(path, stroke);
  const float inner = radius - 9;
  g.setColour(colour::kRaised.brighter(slider.isMouseOverOrDragging() ? 0.15F : 0.0F));
  g.fillEllipse(juce::Rectangle<float>(2 * inner, 2 * inner).withCentre(centre));
  juce::Path pointer;
  pointer.addRoundedRectangle(-1.75F, -inner + 3, 3.5F, inner * 0.45F, 1.75F);
  g.setColour(live ? colour::kText : colour::kQuiet);
  g.fillPath(pointer, juce::AffineTransform::rotation(angle).translated(centre));
  if (slider.hasKeyboardFocus(false)) {
    g.setColour(colour::kText);
    g.drawEllipse(juce::Rectangle<float>(2 * radius, 2 * radius).withCentre(centre), kFocusWidth);
  }
}

void Look::drawButtonBackground(juce::Graphics& g, juce::Button& button, const juce::Colour& ground,
                                bool over, bool down) {
  const auto area = button.getLocalBounds().toFloat().reduced(0.5F);
  juce::Colour fill = ground;
  if (over || down) fill = fill.brighter(down ? 0.25F : 0.12F);
  if (!button.isEnabled()) fill = fill.withMultipliedAlpha(0.5F);
  g.setColour(fill);
  g.fillRoundedRectangle(area, kCorner);
  draw_focus(g, button, area, kCorner);
}

void Look::drawButtonText(juce::Graphics& g, juce::TextButton& button, bool, bool) {
  g.setFont(getTextButtonFont(button, button.getHeight()));
  g.setColour(button
                  .findColour(button.getToggleState() ? juce::TextButton::textColourOnId
                                                      : juce::TextButton::textColourOffId)
                  .withMultipliedAlpha(button.isEnabled() ? 1.0F : 0.5F));
  g.drawFittedText(button.getButtonText(), button.getLocalBounds().reduced(6, 0),
                   juce::Justification::centred, 1, 0.8F);
}

juce::Font Look::getTextButtonFont(juce::TextButton& button, int) {
  return font(15, button.getToggleState());
}

juce::Font Look::getLabelFont(juce::Label& label) {
  return label.getFont();
}

juce::Font Look::getPopupMenuFont() {
  return font(15);
}

juce::Label* Look::createSliderTextBox(juce::Slider& slider) {
  juce::Label* const label = LookAndFeel_V4::createSliderTextBox(slider);
  label->setFont(font(15, true));
  label->setJustificationType(juce::Justification::centred);
  label->setColour(juce::Label::backgroundColourId, juce::Colours::transparentBlack);
  return label;
}

juce::Slider::SliderLayout Look::getSliderLayout(juce::Slider& slider) {
  juce::Slider::SliderLayout layout;
  auto area = slider.getLocalBounds();
  layout.textBoxBounds = area.removeFromBottom(kValueHeight);
  layout.sliderBounds = area;
  return layout;
}

}  // namespace amp::plugin
