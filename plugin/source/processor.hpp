#pragma once

#include <juce_audio_processors/juce_audio_processors.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "params.hpp"
#include "rack.hpp"
#include "setting.hpp"
#include "state.hpp"
#include "workshop.hpp"

namespace amp::plugin {

/// What the editor shows of an instance.
struct Report {
  std::shared_ptr<const Setting> setting;
  juce::String text;      ///< the last thing that happened, in a sentence
  bool is_error = false;  ///< and whether it was a trouble
  bool is_loading = false;
  int sample_rate_hz = 0;  ///< 0: the host has not said
  int latency_frames = 0;
  float cost_percent = 0;  ///< of one core
  bool faulted = false;
};

/// The plugin: a guitar in, a rig, sound out. Files are read and chains are built by the workshop,
/// or by whoever prepares or opens an instance; the audio thread waits for nobody unless the host
/// says that it renders offline.
class Processor final : public juce::AudioProcessor {
 public:
  Processor();
  ~Processor() override;

  // ---- what the player does; thread: message, answered at once and done by the workshop ---------

  /// A model, an impulse response or a rig, told apart by its ending. What is missing of that kind
  /// is replaced first. When it cannot be played the old sound stays, and the report says why.
  void load(const juce::File& file);
  /// The model beside the one that plays, by name: 1 the next one in its folder, -1 the one before.
  void step(int direction);
  /// No impulse response: the built-in speaker.
  void clear_impulse();
  /// As a new instance is.
  void clear();
  /// Write the setting as rigs/NAME.yaml and the files that it plays, for the daemon.
  void export_rig(const juce::File& yaml);

  [[nodiscard]] Report report() const;
  [[nodiscard]] Meters* meters();
  [[nodiscard]] Params& params() { return params_; }
  /// Wait until nothing is being loaded. Thread: any but the workshop's and audio.
  void finish();
  /// Changes that were heard since the host prepared. Thread: any.
  [[nodiscard]] int switches() const;
  [[nodiscard]] bool settled() const;

  // ---- juce::AudioProcessor
  // -----------------------------------------------------------------------

  void prepareToPlay(double sample_rate_hz, int most_frames) override;
  void releaseResources() override {}
  bool isBusesLayoutSupported(const BusesLayout& layout) const override;
  void processBlock(juce::AudioBuffer<float>& buffer, juce::MidiBuffer& midi) override;
  using juce::AudioProcessor::processBlock;
  juce::AudioProcessorParameter* getBypassParameter() const override {
    return &params_.at(kBypass);
  }
  void getStateInformation(juce::MemoryBlock& block) override;
  void setStateInformation(const void* data, int size) override;

  juce::AudioProcessorEditor* createEditor() override;
  bool hasEditor() const override { return true; }
  const juce::String getName() const override { return JucePlugin_Name; }
  bool acceptsMidi() const override { return false; }
  bool producesMidi() const override { return false; }
  double getTailLengthSeconds() const override;
  int getNumPrograms() override { return 1; }
  int getCurrentProgram() override { return 0; }
  void setCurrentProgram(int) override {}
  const juce::String getProgramName(int) override { return {}; }
  void changeProgramName(int, const juce::String&) override {}

 private:
  using SettingPtr = std::shared_ptr<const Setting>;

  void later(std::function<void()> job);
  void load_now(const juce::File& file, FileKind kind);
  void open_rig_now(const juce::File& file);
  void measure_now();
  /// Build the setting and have it heard. Raises nn::LoadError, and nothing has changed then.
  /// build_mutex_ is held.
  void play(const SettingPtr& setting, Loudness loudness);
  void begin_rack(const SettingPtr& setting, Loudness loudness, int sample_rate_hz, int sides);
  void note(const SettingPtr& setting, const Loudness& loudness, int latency_frames, float cost_ns);
  [[nodiscard]] static Trims trims_for(const Setting& setting, int sample_rate_hz,
                                       bool with_measure, Loudness& loudness);
  [[nodiscard]] Loudness loudness() const;
  void say(const juce::String& text, bool is_error);
  [[nodiscard]] SettingPtr setting() const;

  Params params_;
  juce::SharedResourcePointer<Workshop> workshop_;
  std::mutex build_mutex_;           ///< who builds, one at a time
  mutable std::mutex report_mutex_;  ///< for the few below, and never for long
  SettingPtr setting_;
  Report report_;
  Loudness loudness_;           ///< of setting_
  std::shared_ptr<Rack> rack_;  ///< changes while no block is played
  juce::MemoryBlock unread_;    ///< a state that could not be opened, kept until it is replaced
  juce::File shown_;            ///< where next and previous count from; the message thread's
  std::atomic<int> newest_{0};  ///< of load: those before it need not be done any more
  std::mutex jobs_mutex_;
  std::condition_variable jobs_done_;
  std::atomic<int> jobs_{0};
};

}  // namespace amp::plugin
