#include <doctest/doctest.h>
#include <juce_audio_formats/juce_audio_formats.h>
#include <nlohmann/json.hpp>

#include "host.hpp"

using namespace amp;
using namespace amp::plugin;
using plugin::test::amp_rig;
using plugin::test::daemon;
using plugin::test::guitar;
using plugin::test::Host;
using plugin::test::Sound;

namespace {

std::string wavenet(const amp::test::TempDir& dir, const std::string& name, unsigned seed,
                    int rate_hz = 48000) {
  nlohmann::json model = amp::test::native_model(8, 3, {1, 2, 4, 8, 16}, seed);
  model["sample_rate"] = rate_hz;
  return dir.write(name, model.dump());
}

std::string impulse(const amp::test::TempDir& dir) {
  const juce::File file(dir.write("greenback.wav", ""));
  juce::WavAudioFormat wav;
  const std::unique_ptr<juce::AudioFormatWriter> writer(
      wav.createWriterFor(file.createOutputStream().release(), 48000, 1, 24, {}, 0));
  juce::AudioBuffer<float> click(1, 480);
  for (int i = 0; i < 480; ++i)
    click.setSample(
        0, i,
        0.5F * std::exp(-0.02F * static_cast<float>(i)) * std::cos(0.3F * static_cast<float>(i)));
  writer->writeFromAudioSampleBuffer(click, 0, 480);
  return file.getFullPathName().toStdString();
}

float difference(const std::vector<float>& a, const std::vector<float>& b) {
  return amp::test::largest_difference(a, b);
}

}  // namespace

// Projects of users hold these: one that changes here is lost to them.
TEST_CASE("ids, order, ranges and defaults of the params are frozen") {
  constexpr std::array<const char*, kParamCount> kFrozen{
      "input_gain", "output_gain", "mix", "gate_threshold", "quality", "knob_1", "knob_2",
      "knob_3",     "knob_4",      "cab", "level",          "bypass"};
  Host host;
  const auto& all = host.processor.getParameters();
  REQUIRE(all.size() == kParamCount);
  for (int p = 0; p < kParamCount; ++p) {
    const auto* const is = dynamic_cast<juce::AudioProcessorParameterWithID*>(all[p]);
    CHECK(is->paramID == kFrozen[static_cast<size_t>(p)]);
    CHECK(is->getVersionHint() == 1);
    const auto& range = host.processor.params().at(static_cast<Param>(p)).getNormalisableRange();
    CHECK(range.start == row(static_cast<Param>(p)).minimum);
    CHECK(range.end == row(static_cast<Param>(p)).maximum);
    CHECK(is->isAutomatable());
  }
  CHECK(row(kInputGain).minimum == -40);
  CHECK(row(kInputGain).maximum == 40);
  CHECK(row(kOutputGain).minimum == -60);
  CHECK(row(kOutputGain).maximum == 24);
  CHECK(row(kGateThreshold).minimum == -100);
  CHECK(host.processor.getBypassParameter() == all[plugin::kBypass]);
}

TEST_CASE("a param says its value with its unit, and takes back what it says") {
  Host host;
  const auto text = [&](Param param, float value) {
    auto& is = host.processor.params().at(param);
    return is.getText(is.convertTo0to1(value), 0).toStdString();
  };
  CHECK(text(kInputGain, 3) == "+3.0 dB");
  CHECK(text(kOutputGain, -12.5F) == "-12.5 dB");
  CHECK(text(kGateThreshold, -100) == "off");
  CHECK(text(kGateThreshold, -60) == "-60.0 dB");
  CHECK(text(kMix, 0.25F) == "25 %");
  CHECK(text(kQuality, 1) == "full");
  CHECK(text(kKnob1, 0.42F) == "4.2");
  CHECK(text(kCab, 1) == "on");
  CHECK(text(kLevel, 1) == "normalized");
  for (const Param param : {kInputGain, kOutputGain, kMix, kGateThreshold, kQuality, kKnob1}) {
    auto& is = host.processor.params().at(param);
    const float way = is.convertTo0to1(0.5F * (row(param).minimum + row(param).maximum));
    CHECK(is.getValueForText(is.getText(way, 0)) == doctest::Approx(way).epsilon(0.01));
  }
}

TEST_CASE("only mono, mono to stereo and stereo are accepted") {
  CHECK(Host(1, 1).accepted);
  CHECK(Host(1, 2).accepted);
  CHECK(Host(2, 2).accepted);
  CHECK_FALSE(Host(2, 1).accepted);
  CHECK_FALSE(Host(6, 6).accepted);
}

TEST_CASE("without a model the guitar passes bit for bit, in every layout and block") {
  const std::vector<float> in = guitar(3000);
  for (const auto& [ins, outs] : {std::pair{1, 1}, {1, 2}, {2, 2}})
    for (const int block : {1, 64, 333, 2048}) {
      Host host(ins, outs, 48000, block);
      host.prepare();
      const Sound out = host.play(Sound(static_cast<size_t>(ins), in));
      for (const std::vector<float>& side : out) CHECK(side == in);
    }
}

// One engine, brought in and settled in the same way: not a bit may differ.
TEST_CASE("a model sounds as the daemon plays it, in blocks of any length") {
  const amp::test::TempDir dir;
  for (const int rate_hz : {44100, 48000, 96000, 192000}) {
    const std::string model = wavenet(dir, "m.json", 3);
    const std::vector<float> in = guitar(static_cast<size_t>(rate_hz) / 5);
    const Sound truth = daemon(amp_rig(model), in, rate_hz);
    for (const int block : {1, 7, 64, 333, 4096}) {
      Host host(1, 1, rate_hz, block);
      host.load(model);
      host.prepare();
      CHECK(difference(host.play({in})[0], truth[0]) == 0);
    }
  }
}

TEST_CASE("each side of stereo is played by itself, and mono to stereo is the same on both") {
  const amp::test::TempDir dir;
  const std::string model = wavenet(dir, "m.json", 3);
  const std::vector<float> left = guitar(4800, 1);
  const std::vector<float> right = guitar(4800, 2);
  Host stereo(2, 2);
  stereo.load(model);
  stereo.prepare();
  const Sound out = stereo.play({left, right});
  CHECK(out[0] == daemon(amp_rig(model), left)[0]);
  CHECK(out[1] == daemon(amp_rig(model), right)[0]);
  Host widened(1, 2);
  widened.load(model);
  widened.prepare();
  const Sound both = widened.play({left});
  CHECK(both[0] == out[0]);
  CHECK(both[1] == out[0]);
}

TEST_CASE("a model of another rate reports its latency, and bypass waits as long") {
  const amp::test::TempDir dir;
  const std::string model = wavenet(dir, "m.json", 3, 44100);
  Host host;
  host.load(model);
  host.prepare();
  const int latency = host.processor.getLatencySamples();
  CHECK(latency > 0);
  host.set(plugin::kBypass, 1);
  host.prepare();
  const std::vector<float> in = guitar(4800);
  const std::vector<float> out = host.play({in})[0];
  const auto late = static_cast<size_t>(latency);
  CHECK(amp::test::part(out, late, 4800) == amp::test::part(in, 0, 4800 - late));
}

TEST_CASE("bypass passes what is far over full scale, and comes by a ramp") {
  const amp::test::TempDir dir;
  Host host;
  host.load(wavenet(dir, "m.json", 3));
  host.prepare();
  const std::vector<float> loud(4800, 3.0F);
  host.play({loud});
  host.set(plugin::kBypass, 1);
  const std::vector<float> out = host.play({loud})[0];
  // The ramp lasts 10 ms, 480 frames.
  CHECK(out[0] < 1);
  CHECK(amp::test::part(out, 480, 4800) == amp::test::part(loud, 480, 4800));
  float step = 0;
  for (size_t i = 1; i < 480; ++i) step = std::max(step, std::abs(out[i] - out[i - 1]));
  CHECK(step < 0.05F);
}

TEST_CASE("mix 0 is the guitar") {
  const amp::test::TempDir dir;
  Host host;
  host.load(wavenet(dir, "m.json", 3));
  host.set(kMix, 0);
  host.prepare();
  const std::vector<float> in = guitar(4800);
  CHECK(host.play({in})[0] == in);
}

TEST_CASE("gains, gate, mix and cab do what they do in the daemon") {
  const amp::test::TempDir dir;
  const std::string model = wavenet(dir, "m.json", 3);
  RigSpec rig;
  rig.values = {{"input/gain_db", -3}, {"output/gain_db", 4.5F}, {"mix", 0.75F}};
  rig.blocks = {{.kind = "gate", .name = "gate", .values = {{"threshold_db", -12}}, .model = ""},
                {.kind = "amp", .name = "amp", .values = {}, .model = model},
                {.kind = "cab", .name = "cab", .values = {}, .model = ""}};
  const std::vector<float> in = guitar(9600);
  const Sound truth = daemon(rig, in);
  Host host;
  host.load(model);
  for (const auto& [param, value] : {std::pair{kInputGain, -3.0F},
                                     {kOutputGain, 4.5F},
                                     {kMix, 0.75F},
                                     {kGateThreshold, -12.0F},
                                     {kCab, 1.0F}})
    host.set(param, value);
  host.prepare();
  CHECK(difference(host.play({in})[0], truth[0]) == 0);
}

TEST_CASE("an impulse response turns the cab on, and is the daemon's") {
  const amp::test::TempDir dir;
  const std::string model = wavenet(dir, "m.json", 3);
  const std::string click = impulse(dir);
  Host host;
  host.load(model);
  host.load(click);
  CHECK(host.processor.params().values()[kCab] == 1);
  host.prepare();
  RigSpec rig = amp_rig(model);
  rig.blocks.push_back({.kind = "cab", .name = "cab", .values = {}, .model = ""});
  rig.blocks.back().impulse = read_file(juce::File(click), FileKind::kImpulse)->content->impulse;
  const std::vector<float> in = guitar(9600);
  CHECK(difference(host.play({in})[0], daemon(rig, in)[0]) == 0);
}

// Before the fade it is the old model, bit for bit; behind its 10 ms (480 frames) it is the new
// one, but for where the sums of the stage that takes direct current off began, 1e-6 of full scale
// at the most.
TEST_CASE("a model that is loaded while another plays comes in by the engine's switch") {
  const amp::test::TempDir dir;
  const std::string first = wavenet(dir, "a.json", 3);
  const std::string second = wavenet(dir, "b.json", 4);
  constexpr float kQuietDb = -24;  // far from the ceiling, whose gain remembers what was loud
  Host host;
  host.load(first);
  host.set(kOutputGain, kQuietDb);
  host.prepare();
  const std::vector<float> in = guitar(144000);
  std::vector<float> out = host.play({amp::test::part(in, 0, 9600)})[0];
  host.load(second);
  while (out.size() < in.size()) {
    const Sound heard = host.play({amp::test::part(in, out.size(), out.size() + 64)});
    out.insert(out.end(), heard[0].begin(), heard[0].end());
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  REQUIRE(host.processor.switches() == 1);
  RigSpec rig = amp_rig(first);
  rig.values["output/gain_db"] = kQuietDb;
  const std::vector<float> old = daemon(rig, in)[0];
  rig.blocks[0].model = second;
  const std::vector<float> now = daemon(rig, in)[0];
  size_t begin = 0;
  while (out[begin] == old[begin]) ++begin;
  CHECK(begin >= 9600);
  REQUIRE(begin < 115000);
  CHECK(difference(amp::test::part(out, begin + 481, in.size()),
                   amp::test::part(now, begin + 481, in.size())) < 1e-6F);
}

TEST_CASE("what is rendered offline is the same every time, and waits for what is loaded") {
  const amp::test::TempDir dir;
  const std::string first = wavenet(dir, "a.json", 3);
  const std::string second = wavenet(dir, "b.json", 4);
  const std::vector<float> in = guitar(9600);
  std::vector<Sound> renders;
  for (int round = 0; round < 3; ++round) {
    Host host;
    host.processor.setNonRealtime(true);
    host.load(first);
    host.prepare();
    Sound out = host.play({in});
    host.processor.load(juce::File(second));
    host.set(kOutputGain, 2);
    const Sound more = host.play({in});
    out[0].insert(out[0].end(), more[0].begin(), more[0].end());
    CHECK(host.processor.switches() == 1);
    renders.push_back(out);
  }
  CHECK(renders[1] == renders[0]);
  CHECK(renders[2] == renders[0]);
  CHECK(amp::test::part(renders[0][0], 0, 9600) == daemon(amp_rig(first), in)[0]);
}

TEST_CASE("a file that cannot be played leaves the old sound, and the report says why") {
  const amp::test::TempDir dir;
  const std::string model = wavenet(dir, "m.json", 3);
  const std::vector<float> in = guitar(4800);
  for (const auto& [name, text] : {std::pair{"bad.nam", "{\"architecture\": \"Sofa\"}"},
                                   {"bad.wav", "RIFF and then nothing"},
                                   {"bad.yaml", "chain: [&anchor 1]"}}) {
    Host host;
    host.load(model);
    host.load(dir.write(name, text));
    CHECK(host.processor.report().is_error);
    CHECK(host.processor.report().text.contains(name));
    CHECK_FALSE(host.processor.report().is_loading);
    host.prepare();
    CHECK(host.play({in})[0] == daemon(amp_rig(model), in)[0]);
  }
}

TEST_CASE("next and previous go round the folder by name") {
  const amp::test::TempDir dir;
  wavenet(dir, "amp 10.json", 5);
  wavenet(dir, "amp 9.nam", 4);
  const std::string first = wavenet(dir, "amp 1.json", 3);
  static_cast<void>(dir.write("notes.txt", "no model"));
  Host host;
  host.load(first);
  std::vector<std::string> names;
  for (const int direction : {1, 1, 1, -1}) {
    host.processor.step(direction);
    host.processor.finish();
    names.push_back(host.processor.report().setting->model()->name);
  }
  CHECK(names == std::vector<std::string>{"amp 9.nam", "amp 10.json", "amp 1.json", "amp 10.json"});
}

TEST_CASE("normalized is heard as soon as it was measured, by a ramp, and needs no audio thread") {
  const amp::test::TempDir dir;
  Host host;
  host.load(wavenet(dir, "m.json", 3));
  host.prepare();
  const std::vector<float> in = guitar(4800);
  const float raw = amp::test::peak(host.play({in})[0]);
  host.set(kLevel, kNormalized);
  for (int round = 0; round < 200; ++round) {
    host.play({in});
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  const double lufs = *measure(*host.processor.report().setting, 48000).lufs;
  const float wanted = raw * from_db(normalized(lufs).output_db);
  CHECK(amp::test::peak(host.play({in})[0]) ==
        doctest::Approx(std::min(wanted, kCeiling)).epsilon(0.02));
}
