// The audio thread does nothing forbidden (rt_checks.hpp) over 1,000 switches, turns of a family's
// knob, and storms of feet; and from its hundredth switch on the kernel brings it no page.

#include "rt_checks.hpp"

#include <sys/mman.h>
#include <sys/resource.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <thread>

#include "families.hpp"

namespace {

using namespace amp;

constexpr int kSlots = 5;
constexpr int kKnobSlot = 3;  ///< an LSTM with a knob, whose param comes behind the five others
constexpr int kKnob = 5;
constexpr int kFamilySlot = 5;  ///< outside the switches; its param comes at the same place
constexpr float kFamilyEnd = 10;
constexpr int kStormRigs = 6;
constexpr int kWarmSwitches = 100;
constexpr int kSelectsAProgram = 4;

/// Page faults of one thread.
struct Faults {
  long major = 0;
  long minor = 0;
};

/// Of the calling thread since its start.
Faults faults_so_far() {
  rusage usage{};
  ::getrusage(RUSAGE_THREAD, &usage);
  return {usage.ru_majflt, usage.ru_minflt};
}

/// A page that is given back to the kernel and touched is a fault.
void prove_that_faults_count() {
  const auto size = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  void* const page =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  auto* const byte = static_cast<volatile char*>(page);
  *byte = 1;
  ::munlock(page, size);
  ::madvise(page, size, MADV_DONTNEED);
  const long before = faults_so_far().minor;
  *byte = 1;
  expect(faults_so_far().minor == before + 1, "a planted page fault is counted");
  ::munmap(page, size);
}

/// What main and the audio thread tell each other.
struct Signals {
  std::atomic<bool> stop{false};
  std::atomic<bool> warm{false};
  std::atomic<int> program{-1};  ///< for the next callback to change to; -1 none
  bool traps = false;
  Faults faults;  ///< of the audio thread since it is warm; after its end
};

/// The audio thread: callbacks of many lengths, program changes among them, checks armed.
void play(Engine& engine, Signals& signals) {
  signals.traps = trap_system_calls();
  prove_that_checks_work(signals.traps);
  prove_that_faults_count();
  engine.attach(0);
  const std::vector<float> input = test::noise(1024, 1);
  std::vector<float> left(1024);
  std::vector<float> right(1024);
  constexpr std::array kLengths{64, 64, 64, 1, 7, 256, 1024};
  std::optional<Faults> warm;
  for (size_t round = 0; !signals.stop; ++round) {
    if (!warm && signals.warm) warm = faults_so_far();
    const int program = signals.program.exchange(-1);
    const std::array<MidiEvent, 1> midi{
        MidiEvent{.frame = 0, .size = 2, .data = {0xC0, static_cast<uint8_t>(program)}}};
    Callback callback{.in = input.data(),
                      .left = left.data(),
                      .right = right.data(),
                      .frames = kLengths[round % kLengths.size()],
                      .midi = {midi.data(), program >= 0 ? size_t{1} : size_t{0}}};
    {
      const Armed checks;
      engine.process(callback);
    }
    std::this_thread::yield();
  }
  const Faults all = faults_so_far();
  if (warm) signals.faults = {all.major - warm->major, all.minor - warm->minor};
}

/// Echoes behind an amp, in a room, with snapshots, a morph and messages of its own.
RigSpec ringing_rig(const std::string& model, int number) {
  RigSpec rig;
  rig.blocks = {{.kind = "gate", .name = "gate", .values = {}, .model = ""},
                {.kind = "amp", .name = "amp", .values = {}, .model = model},
                {.kind = "eq", .name = "eq", .values = {}, .model = ""},
                {.kind = "delay",
                 .name = "delay",
                 .values = {{"beats", 0.5F}, {"feedback", 0.1F * static_cast<float>(number)}},
                 .model = ""},
                {.kind = "reverb", .name = "reverb", .values = {}, .model = ""}};
  rig.snapshots = {{{"amp/level_db", -6}, {"delay/bypass", 1}},
                   {{"amp/level_db", 3}, {"reverb/mix", 1}, {"gate/bypass", 1}}};
  rig.bindings = {{.path = "morph", .binding = {.control = 1}, .low = {}, .high = {}},
                  {.path = "foot/4",
                   .binding = {.control = 2, .mode = MidiMode::kToggle},
                   .low = {},
                   .high = {}}};
  rig.on_load = {{.frame = 0, .size = 2, .data = {0xC1, static_cast<uint8_t>(number), 0}}};
  return rig;
}

/// What happened in a storm.
struct Weather {
  int ducks = 0;
  int fades = 0;
  int snapshots = 0;
  int tempos = 0;
  int panics = 0;

  void note(const Fact& fact, int snapshot_param) {
    const bool changed = fact.kind == Fact::Kind::kChanged;
    const bool audible = fact.kind == Fact::Kind::kAudible;
    ducks += audible && fact.value == 1 ? 1 : 0;
    fades += audible && fact.value == 0 ? 1 : 0;
    snapshots += changed && fact.slot >= 0 && fact.index == snapshot_param ? 1 : 0;
    tempos += changed && fact.slot < 0 && fact.index == kTempo ? 1 : 0;
    panics += changed && fact.slot < 0 && fact.index == kBypass ? 1 : 0;
  }
};

/// A controller for every action and every global.
std::vector<Binding> bindings_of_all() {
  std::vector<Binding> bindings;
  for (int a = 1; a < static_cast<int>(MidiAction::kActionCount); ++a)
    bindings.push_back({.target = Binding::Target::kAction,
                        .action = static_cast<MidiAction>(a),
                        .control = static_cast<uint8_t>(64 + a)});
  for (int g = 0; g < kGlobalCount; ++g)
    bindings.push_back({.target = Binding::Target::kGlobal,
                        .index = static_cast<int16_t>(g),
                        .control = static_cast<uint8_t>(90 + g),
                        .is_switch = kGlobals[static_cast<size_t>(g)].taper == Taper::kToggle,
                        .low = kGlobals[static_cast<size_t>(g)].minimum,
                        .high = kGlobals[static_cast<size_t>(g)].maximum});
  return bindings;
}

/// Eight messages to controllers at random, now and then a program change.
template <class Below>
std::array<MidiEvent, 8> random_feet(Below&& below) {
  std::array<MidiEvent, 8> midi{};
  for (MidiEvent& event : midi)
    event = {.frame = 0,
             .size = 3,
             .data = {0xB0, static_cast<uint8_t>(below(128)), static_cast<uint8_t>(below(128))}};
  if (below(4) == 0)
    midi[0] = {.frame = 0, .size = 2, .data = {0xC0, static_cast<uint8_t>(below(kStormRigs)), 0}};
  for (int m = 4; m < 8; ++m) midi[static_cast<size_t>(m)].frame = below(16) + 8 * m;
  return midi;
}

/// Feet on everything at once, the engine's rounds between the callbacks, checks armed in them.
Weather storm(float budget, int callbacks) {
  Engine engine(48000,
                {.threaded = false, .with_safety = true, .isa = dsp::best_isa(), .budget = budget});
  const test::TempDir dir;
  const std::string model = dir.write("m.json", test::native_model(8, 3, {1, 2, 4, 8}, 1).dump());
  std::vector<int> programs;
  int snapshot = -1;
  for (int slot = 0; slot < kStormRigs; ++slot) {
    std::unique_ptr<Chain> chain = engine.build(ringing_rig(model, slot));
    snapshot = chain->snapshot_param();
    engine.park(slot, std::move(chain));
    programs.push_back(slot);
  }
  engine.set_programs(programs);
  engine.set_bindings(bindings_of_all());
  std::mt19937 random(3);  // NOLINT(bugprone-random-generator-seed): the same storm every time
  const auto below = [&](int end) { return std::uniform_int_distribution(0, end - 1)(random); };
  const std::vector<float> input = test::noise(64, 1);
  std::array<float, 64> left{};
  std::array<float, 64> right{};
  Weather weather;
  for (int c = 0; c < callbacks; ++c) {
    const std::array<MidiEvent, 8> midi = random_feet(below);
    if (below(16) == 0) engine.select(below(kStormRigs), below(2) == 0);
    if (below(16) == 0) engine.set_param(below(kStormRigs), snapshot, static_cast<float>(below(3)));
    // Most of the time no foot is on the switches; then changes come to their end.
    const bool calm = c % 64 > 8;
    Callback callback{.in = input.data(),
                      .left = left.data(),
                      .right = right.data(),
                      .frames = 64,
                      .midi = {midi.data(), calm ? size_t{0} : midi.size()}};
    {
      const Armed checks;
      engine.process(callback);
    }
    engine.service();
    for (const Fact& fact : engine.facts()) weather.note(fact, snapshot);
  }
  return weather;
}

/// What a thousand of anything may take on a busy machine, and a dozen in an emulator.
std::chrono::seconds patience(int wanted) {
  return std::chrono::seconds(AMP_EMULATED ? 900 : 180) * std::max(1, wanted / 1000);
}

/// Ask for switches, each with a param, now and then a global or a program change that takes its
/// place, until `wanted` were heard. By count, not by time: where a callback costs next to nothing
/// and a rig much, as in an emulator, program changes every so many callbacks would let none come.
int switch_often(Engine& engine, int wanted, Signals& signals) {
  int heard = 0;
  const auto deadline = std::chrono::steady_clock::now() + patience(wanted);
  for (int i = 0; heard < wanted && std::chrono::steady_clock::now() < deadline; ++i) {
    const int slot = i % kSlots;
    const uint32_t id = engine.select(slot, false);
    if (i % kSelectsAProgram == 0) signals.program = i / kSelectsAProgram % kSlots;
    engine.set_param(slot, 2, -static_cast<float>(i % 30));
    if (slot == kKnobSlot) engine.set_param(slot, kKnob, static_cast<float>(i % 10) / 10);
    if (i % 7 == 0) engine.set_global(i % 2 == 0 ? kBypass : kMute, static_cast<float>(i / 7 % 2));
    signals.warm = heard >= std::min(kWarmSwitches, wanted / 2);
    bool over = false;
    while (!over && std::chrono::steady_clock::now() < deadline) {
      for (const Fact& fact : engine.facts()) {
        heard += fact.kind == Fact::Kind::kAudible ? 1 : 0;
        over |= fact.id == id &&
                (fact.kind == Fact::Kind::kSwitched || fact.kind == Fact::Kind::kSuperseded);
      }
      std::this_thread::yield();
    }
  }
  return heard;
}

/// Four nets of all kinds at another rate than the host's: those that wake anew and those that go
/// on in the middle of a resampler's cycle.
BlockSpec family(const test::TempDir& dir) {
  nlohmann::json low = test::native_model(4, 3, {1, 2, 4, 8}, 5);
  nlohmann::json high = test::nam_model(4, 2, {1, 2, 4, 8}, 6);
  low["sample_rate"] = high["sample_rate"] = 44100;
  const std::array models{low, test::state_dict_model(test::Cell(false, 1, 8, 7)), high, low};
  BlockSpec block{.kind = "amp", .name = "amp", .values = {}, .model = ""};
  for (size_t m = 0; m < models.size(); ++m)
    block.family.push_back(
        {.at = kFamilyEnd * static_cast<float>(m) / static_cast<float>(models.size() - 1),
         .model = dir.write("f" + std::to_string(m) + ".json", models[m].dump())});
  return block;
}

/// Turn the knob of the family to random places; returns how often it was taken.
int turn_often(Engine& engine, int wanted) {
  engine.select(kFamilySlot, false);
  std::mt19937 random(1);  // NOLINT(bugprone-random-generator-seed): the same turns every time
  std::uniform_real_distribution<float> place(0, kFamilyEnd);
  std::uniform_int_distribution<int64_t> pause(1, 2000);
  int taken = 0;
  const auto deadline = std::chrono::steady_clock::now() + patience(wanted);
  while (taken < wanted && std::chrono::steady_clock::now() < deadline) {
    const uint32_t id = engine.set_param(kFamilySlot, kKnob, place(random));
    // Once in a while long enough for a recurrent net to settle and be passed.
    const int64_t until = engine.frame() + (taken % 50 == 0 ? 60000 : pause(random));
    bool answered = false;
    while ((!answered || engine.frame() < until) && std::chrono::steady_clock::now() < deadline) {
      for (const Fact& fact : engine.facts())
        if (fact.id == id) {
          answered = true;
          taken += fact.kind == Fact::Kind::kChanged ? 1 : 0;
        }
      std::this_thread::yield();
    }
  }
  return taken;
}

}  // namespace

namespace {

void prove_storms(int switches) {
  bool traps = false;
  Weather fades;
  Weather ducks;
  forget();
  std::thread audio([&] {
    traps = trap_system_calls();
    fades = storm(test::kNeverDuck, 32 * switches);
    ducks = storm(test::kAlwaysDuck, 32 * switches);
  });
  audio.join();
  std::printf("storms: %d fades, %d ducks, %d snapshots, %d tempos, %d panics: ", fades.fades,
              ducks.ducks, fades.snapshots, fades.tempos, fades.panics);
  std::printf("%d heap, %d lock, %d system calls\n", heap_calls.load(), lock_calls.load(),
              system_calls.load());
  const bool happened = fades.fades >= switches / 8 && ducks.ducks >= switches / 8 &&
                        fades.snapshots >= switches / 8 && fades.tempos >= switches / 8 &&
                        fades.panics >= switches / 8;
  expect(happened, "storms of feet changed rigs, snapshots and tempos, and caused panics");
  expect(heap_calls == 0 && lock_calls == 0 && (!traps || system_calls == 0),
         "the audio thread does nothing forbidden in a storm, tails and ducks included");
}

int64_t dearer_ns = 0;  ///< each look at the clock is so much later than the one before
int64_t now_ns = 0;

int64_t late_clock() noexcept AMP_RT {
  return now_ns += dearer_ns;
}

/// A rig that is too much for the machine loses its last block, has it back in a smaller size first
/// where it comes in several (smaller: so often), and then whole, with the checks armed.
void prove_rests(const RigSpec& rig, int smaller) {
  Engine engine(48000, {.threaded = false, .isa = dsp::best_isa(), .clock = late_clock});
  engine.park(0, engine.build(rig));
  engine.select(0, false);
  engine.attach(0);
  heap_calls = lock_calls = 0;
  const std::vector<float> input = test::noise(64, 1);
  std::vector<float> left(64);
  std::vector<float> right(64);
  int rests = 0;
  int shrinks = 0;
  int wakes = 0;
  for (int round = 0; round < 12 * 750; ++round) {
    dearer_ns = round > 100 && round < 104 ? 1'000'000 : 0;
    Callback callback{
        .in = input.data(), .left = left.data(), .right = right.data(), .frames = 64, .midi = {}};
    {
      const Armed checks;
      engine.process(callback);
    }
    engine.service();
    for (const Fact& fact : engine.facts()) {
      rests += fact.kind == Fact::Kind::kRest && fact.value == 1 ? 1 : 0;
      shrinks += fact.kind == Fact::Kind::kRest && fact.value == 0.5F ? 1 : 0;
      wakes += fact.kind == Fact::Kind::kRest && fact.value == 0 ? 1 : 0;
    }
  }
  engine.detach();
  expect(rests == 1 && shrinks == smaller && wakes == 1, "a block rested and came back");
  expect(heap_calls == 0 && lock_calls == 0, "the audio thread did nothing forbidden meanwhile");
}

}  // namespace

/// The one argument, if any, is how many switches must be heard.
int main(int argc, char** argv) {
  const int wanted = argc > 1 ? std::atoi(argv[1]) : 1000;
  Engine engine(48000, {.threaded = true, .with_safety = true, .isa = dsp::best_isa()});
  const test::TempDir dir;
  engine.park(0, engine.build({}));
  nlohmann::json general = test::nam_model(16, 8, {1, 2, 4, 8, 16, 32, 64}, 2);
  general["config"]["layers"][0]["activation"] = "LeakyReLU";
  nlohmann::json resampled = test::native_model(8, 3, {1, 2, 4, 8, 16, 32}, 1);
  resampled["sample_rate"] = 44100;
  const std::array models{resampled, test::nam_model(16, 8, {1, 2, 4, 8, 16, 32, 64}, 2), general,
                          test::state_dict_model(test::Cell(false, 2, 16, 3))};
  for (int slot = 1; slot < kSlots; ++slot) {
    const std::string file = dir.write("m" + std::to_string(slot) + ".json",
                                       models[static_cast<size_t>(slot - 1)].dump());
    engine.park(
        slot,
        engine.build({.values = {},
                      .blocks = {{.kind = "amp", .name = "amp", .values = {}, .model = file}}}));
  }
  RigSpec with_family;
  with_family.blocks.push_back(family(dir));
  engine.park(kFamilySlot, engine.build(with_family));
  engine.set_programs({0, 1, 2, 3});
  // As libjack does for its clients; where it is not allowed, faults may be the machine's.
  const bool locked = ::mlockall(MCL_CURRENT | MCL_FUTURE) == 0;
  Signals signals;
  std::thread audio([&] { play(engine, signals); });
  const int heard = switch_often(engine, wanted, signals);
  engine.set_programs({});  // or the next program change would end the family's turn
  const int turned = turn_often(engine, wanted);
  signals.stop = true;
  audio.join();
  std::printf("%d switches heard: %d heap, %d lock, %d system calls; ", heard, heap_calls.load(),
              lock_calls.load(), system_calls.load());
  std::printf("%ld major and %ld minor faults when warm\n", signals.faults.major,
              signals.faults.minor);
  expect(heard >= wanted, "the switches took place");
  expect(turned >= wanted, "the knob of the family was turned as often");
  expect(heap_calls == 0, "the audio thread allocates nothing and frees nothing");
  expect(lock_calls == 0, "the audio thread locks nothing");
  if (signals.traps) expect(system_calls == 0, "the audio thread calls nothing of the system");
  if (AMP_EMULATED)
    std::printf("skipped: an emulator has page faults of its own\n");
  else if (locked)
    expect(signals.faults.major + signals.faults.minor == 0, "the kernel brings it no page");
  else
    std::printf("skipped: memory may not be locked here, page faults prove nothing\n");
  prove_storms(wanted);
  const std::string one = dir.write("m.json", test::native_model(8, 3, {1, 2, 4}, 1).dump());
  const std::string sizes = dir.write(
      "m.nam",
      test::two_sizes(test::nam_model(2, 1, {1, 2}, 1), test::nam_model(8, 4, {1, 2}, 2)).dump());
  prove_rests(ringing_rig(one, 1), 0);
  prove_rests(
      {.values = {}, .blocks = {{.kind = "amp", .name = "amp", .values = {}, .model = sizes}}}, 1);
  return failures == 0 ? 0 : 1;
}
