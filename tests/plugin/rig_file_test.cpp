#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "host.hpp"
#include "rig_file.hpp"

using namespace amp;
using namespace amp::plugin;
using plugin::test::daemon;
using plugin::test::guitar;
using plugin::test::Host;
using plugin::test::Sound;

namespace {

/// Of peak: a host's share of the way is a float, so a gain of many decimals slips by 1e-5 dB.
constexpr float kSlip = 2e-6F;

/// A folder with rigs/ and models/, in which `a` and `b` are.
struct Tree {
  Tree() {
    write("models/a/a.json", amp::test::native_model(8, 3, {1, 2, 4}, 3).dump());
    write("models/b.nam", amp::test::nam_model(4, 2, {1, 2, 4}, 4).dump());
  }
  juce::File write(const std::string& name, const std::string& text) const {
    const juce::File file = root.getChildFile(name);
    file.getParentDirectory().createDirectory();
    file.replaceWithText(text);
    return file;
  }
  [[nodiscard]] std::string path(const std::string& name) const {
    return root.getChildFile(name).getFullPathName().toStdString();
  }

  amp::test::TempDir dir;
  juce::File root{juce::File(dir.write("x", "")).getParentDirectory()};
};

}  // namespace

TEST_CASE("a whole rig opens and sounds as in the daemon: echoes, rooms, two amps side by side") {
  const Tree tree;
  const juce::File yaml = tree.write("rigs/big.yaml", R"(
input: {gain_db: 1.234}
chain:
  - gate: {threshold_db: -70, release_ms: 400}
  - boost: {gain_db: 6, bypass: true}
  - amp: {model: a, gain_db: -2}
  - amp2: {model: b, beside: amp, blend: 0.35}
  - eq: {low_db: 2, high_cut_hz: 9000}
  - cab
  - delay: {time_ms: 100, mix: 0.2}
  - reverb: {decay_s: 1, mix: 0.15}
output: {gain_db: -2}
mix: 0.9
midi: [{control: 2, path: delay/mix}]
)");
  RigSpec rig;
  rig.values = {{"input/gain_db", 1.234F}, {"output/gain_db", -2}, {"mix", 0.9F}};
  const auto block = [](const char* kind, const char* name, std::map<std::string, float> values,
                        std::string model = "", std::string beside = "") {
    BlockSpec spec{
        .kind = kind, .name = name, .values = std::move(values), .model = std::move(model)};
    spec.beside = std::move(beside);
    return spec;
  };
  rig.blocks = {block("gate", "gate", {{"threshold_db", -70}, {"release_ms", 400}}),
                block("boost", "boost", {{"gain_db", 6}, {"bypass", 1}}),
                block("amp", "amp", {{"gain_db", -2}}, tree.path("models/a/a.json")),
                block("amp", "amp2", {{"blend", 0.35F}}, tree.path("models/b.nam"), "amp"),
                block("eq", "eq", {{"low_db", 2}, {"high_cut_hz", 9000}}),
                block("cab", "cab", {}),
                block("delay", "delay", {{"time_ms", 100}, {"mix", 0.2F}}),
                block("reverb", "reverb", {{"decay_s", 1}, {"mix", 0.15F}})};
  const std::vector<float> in = guitar(24000);
  Host host(1, 2);
  host.load(yaml.getFullPathName().toStdString());
  CHECK(host.processor.report().text == "big; midi stay with the daemon");
  CHECK(host.processor.params().values()[kGateThreshold] == -70);
  CHECK(host.processor.params().values()[kCab] == 1);
  host.prepare();
  const Sound out = host.play({in});
  const Sound truth = daemon(rig, in);
  for (const size_t side : {size_t{0}, size_t{1}})
    CHECK(amp::test::largest_difference(out[side], truth[side]) <=
          kSlip * amp::test::peak(truth[side]));
}

TEST_CASE("what is exported opens again with the same sound") {
  const Tree tree;
  const std::vector<float> in = guitar(9600);
  for (const float level : {0.0F, 1.0F}) {
    Host host;
    host.load(tree.path("models/a/a.json"));
    host.set(kInputGain, 2.5F);
    host.set(kMix, 0.8F);
    host.set(kGateThreshold, -35);
    host.set(kCab, 1);
    host.set(kLevel, level);
    host.prepare();
    const std::vector<float> before = host.play({in})[0];
    const juce::File target = tree.root.getChildFile("out/rigs/mine.yaml");
    host.processor.export_rig(target);
    host.processor.finish();
    CHECK_FALSE(host.processor.report().is_error);
    Host other;
    other.load(target.getFullPathName().toStdString());
    CHECK_FALSE(other.processor.report().is_error);
    other.prepare();
    CHECK(amp::test::largest_difference(other.play({in})[0], before) <=
          kSlip * amp::test::peak(before));
    CHECK(tree.root.getChildFile("out/models/a.json").existsAsFile());
  }
}

TEST_CASE("a file of the library is never overwritten, and the same file is stored once") {
  const Tree tree;
  Host host;
  host.load(tree.write("elsewhere/a.json", amp::test::native_model(8, 3, {1, 2}, 9).dump())
                .getFullPathName()
                .toStdString());
  const juce::File yaml = tree.root.getChildFile("rigs/mine.yaml");
  for (int round = 0; round < 2; ++round) {
    host.processor.export_rig(yaml);
    host.processor.finish();
  }
  CHECK(yaml.loadFileAsString().contains("model: a-2"));
  CHECK(tree.root.getChildFile("models/a-2.json").existsAsFile());
  CHECK_FALSE(tree.root.getChildFile("models/a-3.json").existsAsFile());
}

TEST_CASE("a model that is not there is said, and found again by loading it") {
  const Tree tree;
  const juce::File yaml = tree.write("rigs/gone.yaml", "chain:\n  - amp: {model: gone}\n");
  Host host;
  host.load(yaml.getFullPathName().toStdString());
  CHECK(host.processor.report().is_error);
  CHECK(host.processor.report().text.contains("gone"));
  host.prepare();
  const std::vector<float> in = guitar(4800);
  CHECK(host.play({in})[0] == in);
  juce::MemoryBlock state;
  host.processor.getStateInformation(state);
  Host reopened;
  reopened.processor.setStateInformation(state.getData(), static_cast<int>(state.getSize()));
  CHECK(reopened.processor.report().is_error);
  reopened.load(tree.path("models/b.nam"));
  reopened.prepare();
  CHECK(reopened.play({in})[0] == daemon(plugin::test::amp_rig(tree.path("models/b.nam")), in)[0]);
}

TEST_CASE("a rig that the daemon refuses is refused with its place") {
  const Tree tree;
  for (const auto& [text, says] : {std::pair{"chian: []", "chian is unknown"},
                                   {"chain:\n  - amp: {model: ../a}\n", "never a path"},
                                   {"chain:\n  - sofa: {}\n", "sofa"},
                                   {"chain:\n  - gain: {gain_db: loud}\n", "expected a number"},
                                   {"chain:\n  - gain: {volume: 1}\n", "volume"},
                                   {"input: {gain_db: 99}", "-40 to 40"},
                                   {"output: {level: loud}", "raw, normalized, calibrated"},
                                   {"chain:\n  - gain: {}\n  - gain: {}\n", "two blocks named"}}) {
    Host host;
    host.prepare();
    host.load(tree.write("rigs/bad.yaml", text).getFullPathName().toStdString());
    CAPTURE(host.processor.report().text);
    CHECK(host.processor.report().is_error);
    CHECK(host.processor.report().text.contains(says));
  }
}
