#pragma once

#include <juce_audio_processors/juce_audio_processors.h>
#include <juce_gui_basics/juce_gui_basics.h>

#include <memory>
#include <vector>

#include "controls.hpp"
#include "look.hpp"
#include "processor.hpp"

namespace amp::plugin {

/// All that is in the window, laid out at 100 %. Thread: message.
class Face final : public juce::Component, private juce::Timer {
 public:
  static constexpr int kWidth = 760;
  static constexpr int kHeight = 450;

  explicit Face(Processor& processor);
  ~Face() override;

  /// Files hover over the window.
  void show_drop(bool on);
  /// Load what was dropped: the first file that is of any use.
  void drop(const juce::StringArray& files);

  void paint(juce::Graphics& g) override;
  void paintOverChildren(juce::Graphics& g) override;
  void resized() override;
  bool keyPressed(const juce::KeyPress& key) override;

 private:
  void timerCallback() override;
  void show(const Report& report);
  void show_badge(const Setting& setting);
  void show_knobs(const Setting& setting);
  void choose(const juce::String& title, const juce::String& patterns);
  void choose_export();
  void show_recent();
  void show_rig_menu();
  void load(const juce::File& file);
  [[nodiscard]] juce::File folder() const;

  Processor& processor_;
  Report shown_;
  juce::String title_;
  juce::String facts_;
  juce::String badge_;
  juce::String cab_text_;
  juce::Colour badge_colour_;
  juce::Colour title_colour_;
  bool is_dropping_ = false;

  juce::TextButton load_{"Load Model..."};
  Arrow previous_{-1, "Previous model in the folder"};
  Arrow next_{1, "Next model in the folder"};
  juce::TextButton recent_{"Recent"};
  juce::TextButton rig_{"Rig"};
  Switch bypass_;
  juce::TextButton load_cab_{"Load IR..."};
  juce::TextButton own_cab_{"Built-in"};
  Switch cab_;
  Segments level_;
  Dial input_;
  Dial gate_;
  std::vector<std::unique_ptr<Dial>> knobs_;
  Dial quality_;
  Dial mix_;
  Dial output_;
  LevelMeter in_meter_;
  LevelMeter out_meter_;
  juce::TooltipWindow tooltips_{this, 600};
  std::unique_ptr<juce::FileChooser> chooser_;
};

/// The window: the face, as large as the player draws it, and whatever is dropped on it.
class Editor final : public juce::AudioProcessorEditor, public juce::FileDragAndDropTarget {
 public:
  explicit Editor(Processor& plays);
  ~Editor() override;

  void resized() override;
  bool isInterestedInFileDrag(const juce::StringArray& files) override;
  void fileDragEnter(const juce::StringArray& files, int x, int y) override;
  void fileDragExit(const juce::StringArray& files) override;
  void filesDropped(const juce::StringArray& files, int x, int y) override;

 private:
  juce::SharedResourcePointer<Look> look_;
  Face face_;
};

}  // namespace amp::plugin
