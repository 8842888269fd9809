#include "audio.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;
using Kind = Fact::Kind;

namespace {

constexpr size_t kSecond = 48000;

std::vector<float> sine(size_t frames) {
  std::vector<float> signal(frames);
  for (size_t i = 0; i < frames; ++i)
    signal[i] = 0.25F * std::sin(static_cast<float>(i % kSecond) * 0.1305F);  // 997 Hz
  return signal;
}

/// What a rig gives that has always been playing.
std::vector<float> always(unsigned seed, const std::vector<float>& input) {
  Rack rack;
  rack.park_amp(0, seed);
  rack.engine.select(0, false);
  rack.play(std::vector<float>(kSecond / 4));
  return rack.play(input);
}

MidiEvent program_change(int frame, uint8_t program) {
  return {.frame = frame, .size = 2, .data = {0xC3, program, 0}};
}

}  // namespace

TEST_CASE("without a rig the guitar passes through") {
  Rack rack;
  const std::vector<float> input = noise(500, 1);
  CHECK(rack.play(input) == input);
}

TEST_CASE("after a switch the output is what the new rig would always have given") {
  const std::vector<float> input = noise(kSecond, 2);
  Rack rack;
  rack.park_amp(0, 10);
  rack.park_amp(1, 11);
  rack.engine.select(0, false);
  rack.play(std::vector<float>(kSecond / 4));
  std::vector<float> output = rack.play(part(input, 0, 24000));
  rack.engine.select(1, false);
  const std::vector<float> rest = rack.play(part(input, 24000, kSecond));
  output.insert(output.end(), rest.begin(), rest.end());
  const auto done = static_cast<size_t>(rack.facts(Kind::kSwitched).back().frame) - kSecond / 4;
  CHECK(part(output, 0, 24000) == part(always(10, input), 0, 24000));
  // The fade is 480 frames and the chain is ready a block after it was asked for.
  CHECK(done <= 24000 + 480 + 2 * 64);
  CHECK(part(output, done, kSecond) == part(always(11, input), done, kSecond));
}

TEST_CASE("a switch makes no step beyond those of the two sounds and no silence") {
  const std::vector<float> input = sine(kSecond);
  Rack rack;
  rack.park_amp(0, 10);
  rack.park_amp(1, 11);
  rack.engine.select(0, false);
  rack.play(std::vector<float>(kSecond / 4));
  const std::vector<float> before = rack.play(part(input, 0, 19968));
  rack.engine.select(1, false);
  const std::vector<float> after = rack.play(part(input, 19968, kSecond));
  float steady = 0;
  for (const unsigned seed : {10U, 11U}) {
    const std::vector<float> whole = always(seed, input);
    for (size_t i = 4801; i < whole.size(); ++i)
      steady = std::max(steady, std::abs(whole[i] - whole[i - 1]));
  }
  float last = before.back();
  int zeros = 0;
  for (const float v : after) {
    REQUIRE(std::abs(v - last) <= 1.05F * steady);
    zeros = v == 0 ? zeros + 1 : 0;
    REQUIRE(zeros <= 1);
    last = v;
  }
}

TEST_CASE("of many selections the last one wins and the others are told so") {
  Rack rack;
  for (int slot = 0; slot < 4; ++slot) rack.park_amp(slot, 20U + static_cast<unsigned>(slot));
  rack.engine.select(0, false);
  rack.play(noise(4800, 1));
  static_cast<void>(rack.facts(Kind::kSwitched));
  rack.engine.select(1, false);
  rack.play(noise(256, 2));  // now the fade to 1 runs
  rack.engine.select(2, false);
  rack.play(noise(64, 3));
  const uint32_t last = rack.engine.select(3, false);
  rack.play(noise(9600, 4));
  const std::vector<Fact> switched = rack.facts(Kind::kSwitched);
  REQUIRE(switched.size() == 1);
  CHECK(switched[0].slot == 3);
  CHECK(switched[0].id == last);
  CHECK(rack.facts(Kind::kSuperseded).size() == 2);
  CHECK(rack.facts(Kind::kAudible).size() == 3);  // 0, 1 and 3: never 2
}

TEST_CASE("back to the first rig during the fade ends on the first rig") {
  const std::vector<float> input = noise(kSecond, 5);
  Rack rack;
  rack.park_amp(0, 10);
  rack.park_amp(1, 11);
  rack.engine.select(0, false);
  rack.play(std::vector<float>(kSecond / 4));
  rack.play(part(input, 0, 9600));
  rack.engine.select(1, false);
  rack.play(part(input, 9600, 9600 + 320));
  rack.engine.select(0, false);
  const std::vector<float> output = rack.play(part(input, 9920, kSecond));
  CHECK(rack.facts(Kind::kSwitched).back().slot == 0);
  CHECK(part(output, 4800, output.size()) == part(always(10, input), 9920 + 4800, kSecond));
}

TEST_CASE("an empty slot is refused and the old sound goes on") {
  const std::vector<float> input = noise(9600, 6);
  Rack rack;
  rack.park_amp(0, 10);
  rack.engine.select(0, false);
  rack.play(std::vector<float>(kSecond / 4));
  const uint32_t id = rack.engine.select(77, false);
  CHECK(rack.play(input) == always(10, input));
  const std::vector<Fact> refused = rack.facts(Kind::kRefused);
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].id == id);
  const std::vector<Fact> now = rack.facts(Kind::kNow);
  REQUIRE(now.size() == 1);
  CHECK(now[0].slot == 0);
  CHECK(now[0].index == 0);
  static_cast<void>(rack.facts(Kind::kChanged));  // all values, for whoever shows them
  CHECK(rack.engine.set_param(0, 1, 0.5F) != 0);  // the old rig still takes its params
  rack.play(input);
  CHECK(rack.facts(Kind::kChanged).size() == 1);
}

TEST_CASE("a program change takes effect at its own frame and needs no control thread") {
  Rack rack;
  rack.park_clean(0);
  rack.park_clean(5, -20);
  rack.engine.set_programs({0, 5});
  rack.engine.select(0, false);
  rack.play(std::vector<float>(4800));
  static_cast<void>(rack.facts(Kind::kSelected));
  rack.play(noise(4800, 1), 64, {program_change(1000, 1)});
  const std::vector<Fact> selected = rack.facts(Kind::kSelected);
  REQUIRE(selected.size() == 1);
  CHECK(selected[0].frame == 4800 + 1000);
  CHECK(selected[0].slot == 5);
  CHECK(selected[0].id == 0);
  CHECK(rack.facts(Kind::kSwitched).back().slot == 5);
  // The select of slot 0; a MIDI switch is not sent back.
  REQUIRE(rack.midi_out.size() == 1);
  CHECK(rack.midi_out[0].data == std::array<uint8_t, 3>{0xC0, 0, 0});
}

TEST_CASE("a program that selects nothing changes nothing") {
  Rack rack;
  rack.park_clean(0);
  rack.engine.set_programs({0});
  rack.engine.select(0, false);
  rack.play(std::vector<float>(4800));
  static_cast<void>(rack.facts(Kind::kSelected));
  const std::vector<float> input = noise(640, 1);
  CHECK(rack.play(input, 64, {program_change(3, 9), {.frame = 5, .size = 1, .data = {0xC0}}}) ==
        input);
  CHECK(rack.facts(Kind::kSelected).empty());
}

TEST_CASE("a param sent right after a selection belongs to the new rig") {
  Rack rack;
  rack.park_clean(0);
  rack.park_clean(1);
  rack.engine.select(0, false);
  rack.play(noise(4800, 1));
  rack.engine.select(1, false);
  const uint32_t id = rack.engine.set_param(1, 2, -20);
  const uint32_t stale = rack.engine.set_param(0, 2, -40);
  const std::vector<float> input = noise(9600, 2);
  const std::vector<float> output = rack.play(input);
  const std::vector<Fact> changed = rack.facts(Kind::kChanged);
  REQUIRE(changed.size() == 1);
  CHECK(changed[0].id == id);
  CHECK(rack.facts(Kind::kRefused)[0].id == stale);
  CHECK(output.back() == doctest::Approx(input.back() * 0.1F).epsilon(1e-5));
}

TEST_CASE("selecting the rig that plays brings its own values back") {
  Rack rack;
  rack.park_clean(0);
  rack.engine.select(0, false);
  rack.play(noise(4800, 1));
  rack.engine.set_param(0, 2, -20);
  rack.play(noise(4800, 1));
  rack.engine.select(0, false);
  const std::vector<float> input = noise(4800, 2);
  const std::vector<float> output = rack.play(input);
  CHECK(output.back() == input.back());
  CHECK(rack.facts(Kind::kSwitched).size() == 2);
}

TEST_CASE("a rig that was built anew replaces itself where fresh is asked") {
  Rack rack;
  rack.park_clean(0);
  rack.engine.select(0, false);
  rack.play(noise(4800, 1));
  rack.park_clean(0, -20);
  rack.engine.select(0, true);
  const std::vector<float> input = noise(9600, 2);
  CHECK(rack.play(input).back() == doctest::Approx(input.back() * 0.1F).epsilon(1e-5));
  CHECK(rack.facts(Kind::kAudible).size() == 2);
}

TEST_CASE("a rig built anew does not come back where a foot has gone on") {
  Rack rack;
  rack.park_clean(0);
  rack.park_clean(1, -20);
  rack.engine.select(0, false);
  rack.play(noise(4800, 1));
  rack.park_clean(0, -6);
  rack.engine.select(1, false);
  const uint32_t late = rack.engine.select(0, true, 0);
  const std::vector<float> input = noise(9600, 2);
  CHECK(rack.play(input).back() == doctest::Approx(input.back() * 0.1F).epsilon(1e-5));
  const auto refused = rack.facts(Kind::kRefused);
  REQUIRE(refused.size() == 1);
  CHECK(refused[0].id == late);
  rack.engine.select(0, true, 1);
  CHECK(rack.play(input).back() == doctest::Approx(input.back() * 0.501187F).epsilon(1e-5));
}

TEST_CASE("bypass is the guitar bit for bit and mute is silence, both without a step") {
  Rack rack(true);
  rack.park_amp(0, 10, -12);
  rack.engine.select(0, false);
  const std::vector<float> input = sine(24000);
  rack.play(part(input, 0, 9600));
  rack.engine.set_global(kBypass, 1);
  std::vector<float> output = rack.play(part(input, 9600, 14400));
  CHECK(part(output, 480, 4800) == part(input, 9600 + 480, 14400));
  rack.engine.set_global(kMute, 1);
  const std::vector<float> muted = rack.play(part(input, 14400, 24000));
  for (size_t i = 480; i < muted.size(); ++i) REQUIRE(muted[i] == 0);
  output.insert(output.end(), muted.begin(), muted.end());
  for (size_t i = 1; i < output.size(); ++i)
    REQUIRE(std::abs(output[i] - output[i - 1]) <= 0.034F);  // the sine's own step is 0.0326
}

TEST_CASE("a model with an offset comes in and goes out without a thump") {
  Rack rack(true);
  rack.park_clean(0);
  rack.park_amp(1, 10, 0, 0.3F);
  rack.engine.select(0, false);
  const std::vector<float> silence(4800);
  rack.play(silence);
  for (const int slot : {1, 0}) {
    rack.engine.select(slot, false);
    CHECK(peak(rack.play(silence)) <= 1e-5F);  // what float32 leaves of an offset of 0.3
  }
}

TEST_CASE("after a switch a resampled rig is bit for bit where it would be had it always played") {
  const std::vector<float> input = noise(kSecond, 2);
  for (const int model_hz : {44100, 96000}) {
    const auto begin = [&](Rack& rack, int slot) {
      rack.park_amp(0, 10);
      rack.park_amp(1, 11, 0, 0, model_hz);
      rack.engine.select(slot, false);
      rack.play(std::vector<float>(kSecond / 4));
    };
    Rack rack;
    begin(rack, 0);
    Rack steady;
    begin(steady, 1);
    const std::vector<float> expected = steady.play(input);
    // 12345: a position that is no multiple of the resampler's 160 frames.
    rack.play(part(input, 0, 12345));
    rack.engine.select(1, false);
    const std::vector<float> output = rack.play(part(input, 12345, kSecond));
    const auto done = static_cast<size_t>(rack.facts(Kind::kSwitched).back().frame) - kSecond / 4;
    REQUIRE(done < 16000);
    CHECK(part(output, done - 12345, output.size()) == part(expected, done, kSecond));
  }
}

TEST_CASE(
    "a switch between rigs of different latency steps no more than they do, bypassed or not") {
  const std::vector<float> input = sine(kSecond);
  for (const bool bypassed : {false, true}) {
    const auto begin = [&](Rack& rack, int slot) {
      rack.park_amp(0, 10);
      rack.park_amp(1, 11, 0, 0, 44100);
      rack.engine.set_global(kBypass, bypassed ? 1 : 0);
      rack.engine.select(slot, false);
      rack.play(std::vector<float>(kSecond / 4));
    };
    float steady = 0;
    for (const int slot : {0, 1}) {
      Rack rack;
      begin(rack, slot);
      const std::vector<float> whole = rack.play(input);
      for (size_t i = 4801; i < whole.size(); ++i)
        steady = std::max(steady, std::abs(whole[i] - whole[i - 1]));
    }
    Rack rack;
    begin(rack, 0);
    float last = rack.play(part(input, 0, 9600)).back();
    for (int turn = 1; turn < 5; ++turn) {
      const auto at = static_cast<size_t>(turn) * 9600;
      rack.engine.select(turn % 2, false);
      for (const float v : rack.play(part(input, at, std::min(at + 9600, kSecond)))) {
        REQUIRE(std::abs(v - last) <= 1.05F * steady);
        last = v;
      }
    }
  }
}

TEST_CASE("input that is not a number counts as silence and is forgotten at once") {
  Rack rack(true);
  rack.park_amp(0, 10);
  rack.engine.select(0, false);
  std::vector<float> input = noise(4800, 3);
  rack.play(input);
  std::vector<float> broken = input;
  broken[100] = NAN;
  broken[101] = INFINITY;
  for (const float v : rack.play(broken)) REQUIRE(std::isfinite(v));
  CHECK(rack.facts(Kind::kFault).empty());
}

TEST_CASE("the sound does not depend on the host's block length") {
  const std::vector<float> input = noise(9000, 4);
  std::vector<std::vector<float>> outputs;
  for (const int model_hz : {48000, 44100, 96000}) {
    outputs.clear();
    for (const int block : {1, 7, 64, 333, 4096}) {
      Rack rack(true);
      rack.park_amp(0, 10, 0, 0, model_hz);
      rack.engine.select(0, false);
      rack.play(std::vector<float>(3 * 4096), 4096);
      outputs.push_back(rack.play(input, block));
    }
    for (size_t i = 1; i < outputs.size(); ++i) CHECK(outputs[i] == outputs[0]);
  }
}

TEST_CASE("the audio thread flushes denormals while it runs and not after") {
  const volatile float tiny = 1e-39F;
  const volatile float small = 2e-38F;
  CHECK_FALSE(FtzGuard::active());
  CHECK(tiny * 1e9F > 0);
  CHECK(small * 0.1F > 0);
  {
    const FtzGuard guard;
    CHECK(FtzGuard::active());
    const volatile float from_tiny = tiny * 1e9F;
    const volatile float from_small = small * 0.1F;
    CHECK(from_tiny == 0);
    CHECK(from_small == 0);
  }
  CHECK_FALSE(FtzGuard::active());
}

TEST_CASE("a host that is faster than the new chain cannot keep it from being heard") {
  Engine engine(48000, {.threaded = true, .with_safety = false, .isa = dsp::Isa::kScalar});
  const TempDir dir;
  const std::string file = dir.write("m.json", native_model(8, 3, {1, 2, 4, 8}, 1).dump());
  engine.park(
      1, engine.build({.values = {},
                       .blocks = {{.kind = "amp", .name = "amp", .values = {}, .model = file}}}));
  engine.select(1, false);
  const std::vector<float> input = noise(64, 1);
  std::array<float, 64> left{};
  std::array<float, 64> right{};
  bool switched = false;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!switched && std::chrono::steady_clock::now() < deadline) {
    Callback callback{.in = input.data(), .left = left.data(), .right = right.data(), .frames = 64};
    engine.process(callback);
    for (const Fact& fact : engine.facts()) switched |= fact.kind == Kind::kSwitched;
  }
  CHECK(switched);
}

TEST_CASE("with its warm thread the engine switches while another thread plays") {
  Engine engine(48000, {.threaded = true, .with_safety = false, .isa = dsp::best_isa()});
  for (int slot = 0; slot < 2; ++slot)
    engine.park(slot,
                engine.build({.values = {{"output/gain_db", -6.0F * static_cast<float>(slot)}},
                              .blocks = {}}));
  std::atomic<bool> stop{false};
  std::thread host([&] {
    const std::vector<float> input = noise(64, 1);
    std::array<float, 64> left{};
    std::array<float, 64> right{};
    while (!stop) {
      Callback callback{
          .in = input.data(), .left = left.data(), .right = right.data(), .frames = 64};
      engine.process(callback);
      std::this_thread::yield();
    }
  });
  for (int i = 0; i < 20; ++i) {
    const uint32_t id = engine.select(i % 2, false);
    bool done = false;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!done && std::chrono::steady_clock::now() < deadline) {
      for (const Fact& fact : engine.facts()) done |= fact.kind == Kind::kSwitched && fact.id == id;
      std::this_thread::yield();
    }
    CHECK(done);
  }
  stop = true;
  host.join();
}
