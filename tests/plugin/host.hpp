#pragma once

#include <juce_audio_processors/juce_audio_processors.h>

#include <chrono>
#include <thread>
#include <vector>

#include "fixtures.hpp"
#include "offline.hpp"
#include "processor.hpp"

namespace amp::plugin::test {

using amp::test::TempDir;
using Sound = std::vector<std::vector<float>>;  // channels of one length

/// A host of one instance: as many channels in and out as it is told, in blocks.
struct Host {
  explicit Host(int ins = 1, int outs = 1, double rate_hz = 48000, int block = 64)
      : rate_hz_(rate_hz), block_(block) {
    const auto set = [](int channels) {
      return juce::AudioChannelSet::canonicalChannelSet(channels);
    };
    accepted = processor.setBusesLayout({{set(ins)}, {set(outs)}});
    processor.setRateAndBufferSizeDetails(rate_hz, block);
  }

  void prepare() { processor.prepareToPlay(rate_hz_, block_); }

  /// Play the input, as many channels as the layout has.
  Sound play(const Sound& in) {
    const int outs = processor.getTotalNumOutputChannels();
    const int channels = std::max(outs, processor.getTotalNumInputChannels());
    const int frames = static_cast<int>(in[0].size());
    Sound out(static_cast<size_t>(outs));
    juce::MidiBuffer midi;
    for (int at = 0; at < frames; at += block_) {
      const int length = std::min(block_, frames - at);
      juce::AudioBuffer<float> buffer(channels, length);
      buffer.clear();
      for (size_t c = 0; c < in.size(); ++c)
        buffer.copyFrom(static_cast<int>(c), 0, in[c].data() + at, length);
      {
        const juce::ScopedLock lock(processor.getCallbackLock());  // as JUCE's own hosts do
        processor.processBlock(buffer, midi);
      }
      for (int c = 0; c < outs; ++c)
        out[static_cast<size_t>(c)].insert(out[static_cast<size_t>(c)].end(),
                                           buffer.getReadPointer(c),
                                           buffer.getReadPointer(c) + length);
    }
    return out;
  }

  /// Play silence, in real time, until what was loaded is all that is heard; false after 10 s.
  bool settle() {
    processor.finish();
    for (int round = 0; round < 10000 && !processor.settled(); ++round) {
      play({std::vector<float>(static_cast<size_t>(block_))});
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return processor.settled();
  }

  void load(const std::string& path) {
    processor.load(juce::File(path));
    processor.finish();
  }

  void set(Param param, float value) {
    auto& is = processor.params().at(param);
    is.setValueNotifyingHost(is.convertTo0to1(value));
  }

  Processor processor;
  bool accepted = false;

 private:
  double rate_hz_;
  int block_;
};

/// What the daemon's offline host makes of the input with this rig, brought in and settled as
/// ampd/rehearsal.py does it: left and right.
inline Sound daemon(const RigSpec& rig, const std::vector<float>& in, int rate_hz = 48000) {
  Engine engine(rate_hz, {.threaded = false, .with_safety = true, .isa = dsp::best_isa()});
  engine.park(0, engine.build(rig));
  engine.select(0, false);
  const std::vector<float> silence(64);
  Sound out{std::vector<float>(64), std::vector<float>(64)};
  for (bool settled = false; !settled;) {
    play_offline(engine, silence.data(), out[0].data(), out[1].data(), 64, 64, {});
    engine.service();
    for (const Fact& fact : engine.facts()) settled |= fact.kind == Fact::Kind::kSwitched;
  }
  out = {std::vector<float>(in.size()), std::vector<float>(in.size())};
  play_offline(engine, in.data(), out[0].data(), out[1].data(), static_cast<int64_t>(in.size()), 64,
               {});
  return out;
}

inline RigSpec amp_rig(const std::string& model) {
  RigSpec rig;
  rig.blocks = {{.kind = "amp", .name = "amp", .values = {}, .model = model}};
  return rig;
}

inline std::vector<float> guitar(size_t frames, unsigned seed = 1) {
  std::vector<float> signal = amp::test::noise(frames, seed);
  for (float& sample : signal) sample *= 0.5F;
  return signal;
}

}  // namespace amp::plugin::test
