#include <doctest/doctest.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <random>
#include <set>
#include <thread>

#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;
using Steady = std::chrono::steady_clock;
using Kind = Fact::Kind;

namespace {

constexpr int kRigs = 4;
constexpr int kEmptySlot = kRigs;

/// Rigs with and without a tail, with snapshots, a pair, bindings and words of their own.
RigSpec rig(const TempDir& dir, int slot) {
  const auto seed = static_cast<unsigned>(slot) + 1;
  const std::string model = dir.write("m" + std::to_string(slot) + ".json",
                                      native_model(4, 3, {1, 2, 4, 8}, seed).dump());
  RigSpec rig;
  rig.blocks = {{.kind = "gate", .name = "gate", .values = {}, .model = ""},
                {.kind = "amp", .name = "amp", .values = {}, .model = model}};
  if (slot == 1)
    rig.blocks.push_back(
        {.kind = "amp", .name = "amp2", .values = {}, .model = model, .beside = "amp"});
  if (slot > 0) {
    rig.blocks.push_back(
        {.kind = "delay", .name = "delay", .values = {{"time_ms", 30}}, .model = ""});
    rig.blocks.push_back(
        {.kind = "reverb", .name = "reverb", .values = {{"decay_s", 0.3F}}, .model = ""});
  }
  rig.snapshots = {{{"amp/gain_db", 6}}, {{"mix", 0.5F}, {"output/gain_db", -6}}};
  Binding pedal;
  pedal.control = 11;
  rig.bindings = {{.path = "output/gain_db", .binding = pedal, .low = -12, .high = 0}};
  rig.on_load = {{.frame = 0, .size = 3, .data = {0xB0, 20, 127}}};
  return rig;
}

/// A host's thread: callbacks of many lengths with a pedal that moves, as fast as they go.
class Host {
 public:
  explicit Host(Engine& engine) : engine_(engine), thread_([this] { play(); }) {}
  ~Host() {
    stop_ = true;
    thread_.join();
    engine_.detach();
  }
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  [[nodiscard]] float peak() const { return peak_; }

 private:
  void play() {
    engine_.attach(0);
    constexpr std::array kLengths{64, 64, 1, 7, 256};
    const std::vector<float> input = noise(256, 1);
    std::vector<float> left(input.size());
    std::vector<float> right(input.size());
    for (size_t round = 0; !stop_; ++round) {
      const std::array<MidiEvent, 1> midi{
          MidiEvent{.frame = 0, .size = 3, .data = {0xB0, 11, static_cast<uint8_t>(round % 128)}}};
      Callback callback{.in = input.data(),
                        .left = left.data(),
                        .right = right.data(),
                        .frames = kLengths[round % kLengths.size()],
                        .midi = {midi.data(), round % 31 == 0 ? size_t{1} : size_t{0}}};
      engine_.process(callback);
      for (size_t i = 0; i < static_cast<size_t>(callback.frames); ++i)
        for (const float sample : {left[i], right[i]})
          if (!(std::abs(sample) <= peak_)) peak_ = std::abs(sample);
      std::this_thread::yield();
    }
  }

  Engine& engine_;
  std::atomic<bool> stop_{false};
  std::atomic<float> peak_{0};
  std::thread thread_;
};

/// The one control thread: selections, some answered by the next one only, and all else between.
class Control {
 public:
  Control(Engine& engine, const TempDir& dir) : engine_(engine), dir_(dir) {
    for (int slot = 0; slot < kRigs; ++slot) park(slot);
    engine_.set_programs({0, 1, 2, 3});
  }

  void change_rigs(int times) {
    for (int i = 0; i < times; ++i) {
      const int slot = i % 17 == 16 ? kEmptySlot : pick(kRigs);
      waiting_.insert(engine_.select(slot, pick(5) == 0));
      disturb(slot, pick(9));
      if (pick(3) != 0) wait();
      listen();
    }
    wait();
  }

  /// Selections that nothing became of.
  [[nodiscard]] size_t unanswered() const { return waiting_.size(); }
  [[nodiscard]] int heard() const { return heard_; }

 private:
  void park(int slot) { engine_.park(slot, engine_.build(rig(dir_, slot))); }
  int pick(int count) { return std::uniform_int_distribution(0, count - 1)(random_); }

  void disturb(int slot, int how) {
    Binding mute;
    mute.target = Binding::Target::kGlobal;
    mute.index = kMaster;
    mute.control = 12;
    switch (how) {
      case 0:
        return park(pick(kRigs));
      case 1:
        engine_.clear(pick(kRigs));
        return;
      case 2:
        engine_.learn(pick(2) == 0);
        return;
      case 3:
        engine_.set_bindings({mute, mute});
        return;
      case 4:
        engine_.tap();
        return;
      case 5:
        engine_.panic();
        engine_.set_global(kBypass, 0);
        return;
      case 6:
        for (int taken = 0; taken < kRigs; ++taken) park(taken);
        return;
      case 7:
        engine_.refresh_controllers();
        static_cast<void>(engine_.load());
        return;
      default:
        for (int index = 0; index < 20; ++index)
          engine_.set_param(slot, index, static_cast<float>(pick(10)));
    }
  }

  void listen() {
    for (const Fact& fact : engine_.facts()) {
      heard_ += fact.kind == Kind::kAudible ? 1 : 0;
      if (fact.kind == Kind::kSwitched || fact.kind == Kind::kSuperseded ||
          fact.kind == Kind::kRefused)
        waiting_.erase(fact.id);
    }
  }

  void wait() {
    const auto deadline = Steady::now() + std::chrono::seconds(30);
    while (!waiting_.empty() && Steady::now() < deadline) {
      listen();
      std::this_thread::yield();
    }
  }

  Engine& engine_;
  const TempDir& dir_;
  std::mt19937 random_{7};  // NOLINT(bugprone-random-generator-seed): the same every time
  std::set<uint32_t> waiting_;
  int heard_ = 0;
};

int wanted_changes() {
  const char* const text = std::getenv("AMP_THREADS_CHANGES");  // NOLINT(concurrency-mt-unsafe)
  return text == nullptr ? 100 : std::atoi(text);
}

}  // namespace

TEST_CASE("whatever control does while a host plays, each selection is answered and none howls") {
  // A budget of no time at all makes every change a duck, an endless one a crossfade.
  for (const float budget : {kAlwaysDuck, kNeverDuck}) {
    CAPTURE(budget);
    const TempDir dir;
    Engine engine(
        48000,
        {.threaded = true, .with_safety = true, .isa = dsp::Isa::kGeneric, .budget = budget});
    Control control(engine, dir);
    std::atomic<bool> stop{false};
    Host host(engine);
    std::thread watcher([&] {
      while (!stop) {
        static_cast<void>(engine.pitch(440));
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    });
    control.change_rigs(wanted_changes());
    stop = true;
    watcher.join();
    std::printf("%d changes asked for, %d heard\n", wanted_changes(), control.heard());
    CHECK(control.unanswered() == 0);
    CHECK(control.heard() > wanted_changes() / 4);
    CHECK(host.peak() > 0);
    CHECK(host.peak() <= kCeiling);  // exact: what is over it is clamped
  }
}

TEST_CASE("a block that computes for longer than its period is late by the engine, in any thread") {
  const TempDir dir;
  // One frame of 1.3 us at a time: every callback is late, and has computed all the while.
  Engine engine(768000, {.threaded = false, .with_safety = true, .isa = dsp::Isa::kGeneric});
  engine.park(0, engine.build(rig(dir, 3)));
  engine.select(0, false);
  engine.attach(0);  // not from the thread that plays: jack2 names three
  std::atomic<int> stage{0};
  std::thread player([&] {
    float in = 0.1F;
    float left = 0;
    float right = 0;
    Callback callback{.in = &in, .left = &left, .right = &right, .frames = 1, .midi = {}};
    engine.process(callback);
    stage = 1;
    while (stage < 2) std::this_thread::yield();
    for (int i = 0; i < 50; ++i) engine.process(callback);
    stage = 3;
    while (stage < 4) std::this_thread::yield();  // a thread's clock ends with it
  });
  while (stage < 1) std::this_thread::yield();
  engine.service();
  stage = 2;
  while (stage < 3) std::this_thread::yield();
  engine.service();
  const Load load = engine.load();
  stage = 4;
  player.join();
  CHECK(load.late_engine > 0);
  CHECK(load.late_machine <= 1);  // the first one: nobody had looked at the clock before it
  engine.detach();
}
