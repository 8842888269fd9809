#include <doctest/doctest.h>
#include <juce_gui_basics/juce_gui_basics.h>
#include <nlohmann/json.hpp>

#include "editor.hpp"
#include "families.hpp"
#include "host.hpp"

using namespace amp;
using namespace amp::plugin;
using plugin::test::Host;

namespace {

/// Where the pictures go that these tests draw: for the eye. Nowhere unless it is set.
constexpr const char* kPictures = "AMPD_PLUGIN_PICTURES";

void draw(juce::AudioProcessorEditor& editor, const juce::String& name) {
  const juce::Image image = editor.createComponentSnapshot(editor.getLocalBounds(), false);
  CHECK(image.isValid());
  const char* const folder = std::getenv(kPictures);
  if (folder == nullptr) return;
  const juce::File file = juce::File(folder).getChildFile(name + ".png");
  file.deleteFile();
  juce::FileOutputStream out(file);
  juce::PNGImageFormat().writeImageToStream(image, out);
}

void collect(juce::Component& of, std::vector<juce::Component*>& found) {
  for (juce::Component* const child : of.getChildren()) {
    if (!child->isVisible()) continue;
    const bool acts = dynamic_cast<juce::Button*>(child) != nullptr ||
                      dynamic_cast<juce::Slider*>(child) != nullptr;
    if (acts)
      found.push_back(child);
    else
      collect(*child, found);
  }
}

std::unique_ptr<juce::AudioProcessorEditor> open(Host& host) {
  return std::unique_ptr<juce::AudioProcessorEditor>(host.processor.createEditorIfNeeded());
}

std::string knobs_model(const amp::test::TempDir& dir) {
  return dir.write("Two Knobs.json",
                   amp::test::state_dict_model(amp::test::Cell(false, 3, 16, 3)).dump());
}

}  // namespace

TEST_CASE("everything in the window lies in it, apart, with a name, and in reach of the keyboard") {
  const amp::test::TempDir dir;
  Host host(2, 2);
  host.load(knobs_model(dir));
  host.prepare();
  const auto editor = open(host);
  for (const double scale : {1.0, 1.37, 2.0}) {
    editor->setSize(juce::roundToInt(scale * Face::kWidth),
                    juce::roundToInt(scale * Face::kHeight));
    std::vector<juce::Component*> all;
    collect(*editor, all);
    CHECK(all.size() >= 16);
    for (juce::Component* const each : all) {
      const auto area = editor->getLocalArea(each, each->getLocalBounds());
      CAPTURE(each->getTitle().toStdString());
      CAPTURE(each->getName().toStdString());
      const auto* const button = dynamic_cast<juce::Button*>(each);
      const bool is_corner = dynamic_cast<juce::ResizableCornerComponent*>(each) != nullptr;
      CHECK(editor->getLocalBounds().contains(area));
      CHECK(area.getWidth() >= 36);
      CHECK(area.getHeight() >= 28);
      CHECK((each->getTitle().isNotEmpty() ||
             (button != nullptr && button->getButtonText().isNotEmpty())));
      CHECK((is_corner || each->getWantsKeyboardFocus()));
      for (juce::Component* const other : all)
        if (other != each)
          CHECK_FALSE(area.reduced(1).intersects(
              editor->getLocalArea(other, other->getLocalBounds()).reduced(1)));
    }
    draw(*editor, "knobs-" + juce::String(juce::roundToInt(100 * scale)));
  }
}

TEST_CASE("the window opens, draws and closes with whatever is loaded") {
  const amp::test::TempDir dir;
  Host host(2, 2);
  draw(*open(host), "empty");
  host.load(dir.write("Plexi 1968 bright.nam",
                      amp::test::nam_model(16, 8, {1, 2, 4, 8, 16, 32}, 2).dump()));
  host.prepare();
  host.play({plugin::test::guitar(48000), plugin::test::guitar(48000)});
  draw(*open(host), "loaded");
  juce::MemoryBlock state;
  host.processor.getStateInformation(state);
  juce::File(host.processor.report().setting->model()->path).deleteFile();
  Host other(2, 2);
  other.processor.setStateInformation(state.getData(), static_cast<int>(state.getSize()));
  other.set(kCab, 1);
  other.prepare();
  draw(*open(other), "embedded");
  other.load(dir.write("broken.nam", "{\"architecture\": \"Sofa\"}"));
  draw(*open(other), "error");
  const std::string yaml =
      dir.write("lead.yaml", "chain:\n  - gate\n  - amp: {model: gone}\n  - delay\n  - reverb\n");
  other.load(yaml);
  draw(*open(other), "missing");
}

TEST_CASE("arrow keys turn a knob, and its value can be typed") {
  Host host;
  const auto editor = open(host);
  std::vector<juce::Component*> all;
  collect(*editor, all);
  for (juce::Component* const each : all) {
    auto* const slider = dynamic_cast<juce::Slider*>(each);
    if (slider == nullptr || slider->getTitle() != "Input") continue;
    CHECK(slider->keyPressed(juce::KeyPress(juce::KeyPress::upKey)));
    CHECK(host.processor.params().values()[kInputGain] == doctest::Approx(0.8).epsilon(0.001));
    CHECK(slider->getValueFromText("-3 dB") == doctest::Approx(-3));
    CHECK(slider->getTextFromValue(2.5) == "+2.5 dB");
    return;
  }
  FAIL("there is no knob Input");
}
