/// One execution of a MIDI stream: bytes -> parser -> Foot with a map, and one stream in
/// sixteen the whole engine as well. What comes out is compared with what the stream says when it
/// is read by other means.
///
/// The bytes: how many bindings; how the stream is cut; six a binding; the stream.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <span>
#include <vector>

#include "engine.hpp"

using namespace amp;

namespace {

using Bytes = std::span<const uint8_t>;
using Events = std::vector<MidiEvent>;

constexpr int kRate = 48000;
constexpr int64_t kEcho = kRate / 50;
constexpr size_t kBindingBytes = 6;
constexpr size_t kMostBytes = 4096;
constexpr int kBlock = 64;
constexpr int kRigs = 4;
constexpr int kPrograms = 8;
constexpr uint8_t kPanicControl = 119;

/// While it is true nothing may be allocated.
bool armed = false;

[[noreturn]] void fail(const char* what) noexcept AMP_RT {
  armed = false;
  AMP_RT_TRUST_BEGIN  // the end of the program
      std::fprintf(stderr, "HARNESS: %s\n", what);
  std::abort();
  AMP_RT_TRUST_END
}

void expect(bool holds, const char* claim) {
  if (!holds) fail(claim);
}

/// The sanitizer tells of every allocation; rt_safety_test does so in the plain build. GCC's
/// library has the hook, its header names it since version 13 only.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define AMP_SEES_HEAP 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define AMP_SEES_HEAP 1
#endif

#ifdef AMP_SEES_HEAP
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void*,
                                                                           size_t),
                                                         void (*on_free)(const volatile void*));
#endif

void watch_heap() {
#ifdef AMP_SEES_HEAP
  static const int watched = __sanitizer_install_malloc_and_free_hooks(
      [](const volatile void*, size_t) {
        if (armed) fail("the audio thread allocates");
      },
      [](const volatile void*) {
        if (armed) fail("the audio thread frees");
      });
  expect(watched > 0, "the heap is not watched");
#endif
}

struct Armed {
  Armed() { armed = true; }
  ~Armed() { armed = false; }
};

/// The messages of a stream by its definition: what stands between two status bytes, in parts of
/// the length that the first one asks for; real-time bytes stand nowhere.
Events read_slowly(Bytes stream) {
  std::vector<uint8_t> bytes;
  std::copy_if(stream.begin(), stream.end(), std::back_inserter(bytes),
               [](uint8_t byte) { return byte < 0xF8; });
  const auto is_status = [](uint8_t byte) { return byte >= 0x80; };
  Events found;
  auto at = std::find_if(bytes.begin(), bytes.end(), is_status);
  while (at != bytes.end()) {
    const auto end = std::find_if(at + 1, bytes.end(), is_status);
    const uint8_t status = *at++;
    const int length = status >= 0xC0 && status < 0xE0 ? 1 : 2;
    for (; status < 0xF0 && end - at >= length; at += length)
      found.push_back(
          {.size = 1 + length, .data = {status, at[0], length == 2 ? at[1] : uint8_t{0}}});
    at = end;
  }
  return found;
}

bool same(const MidiEvent& a, const MidiEvent& b) {
  return a.size == b.size && std::equal(a.data.begin(), a.data.begin() + a.size, b.data.begin());
}

/// The parser's messages, which must be those of the slow reader.
Events parse(Bytes stream) {
  const Events wanted = read_slowly(stream);
  MidiParser parser;
  size_t count = 0;
  for (const uint8_t byte : stream) {
    MidiEvent message;
    bool whole = false;
    {
      const Armed checks;
      whole = parser.take(byte, message);
    }
    if (!whole) continue;
    expect(count < wanted.size() && same(message, wanted[count]),
           "the parser reads another message");
    ++count;
  }
  expect(count == wanted.size(), "the parser lost a message");
  return wanted;
}

bool is_panic(const Binding& binding) {
  return binding.target == Binding::Target::kAction && binding.action == MidiAction::kPanic;
}

/// Any binding that a map can hold.
Binding binding_of(Bytes bytes) {
  constexpr std::array<std::array<float, 2>, 4> kEnds{{{0, 1}, {-60, 12}, {20000, 20}, {30, 300}}};
  Binding binding;
  binding.target = static_cast<Binding::Target>(bytes[0] % 3);
  binding.action =
      static_cast<MidiAction>(1 + bytes[1] % (static_cast<int>(MidiAction::kActionCount) - 1));
  binding.index = static_cast<int16_t>(bytes[1] % kGlobalCount);
  binding.mode = static_cast<MidiMode>(bytes[2] % 6);
  // A 14-bit controller has its other half 32 further on, and 0 and 32 are the bank's.
  const int most = binding.mode == MidiMode::kFourteenBit ? 31 : 127;
  binding.control = static_cast<uint8_t>(1 + bytes[3] % most);
  if (binding.control == 32) binding.control = 33;
  binding.channel = (bytes[4] & 0x10) != 0 ? kOmni : bytes[4] & 0x0F;
  binding.replaces = (bytes[4] & 0x20) != 0;
  binding.is_switch = (bytes[4] & 0x40) != 0;
  binding.curve = static_cast<MidiCurve>(bytes[5] & 3);
  binding.low = kEnds[bytes[5] >> 2 & 3][0];
  binding.high = kEnds[bytes[5] >> 2 & 3][1];
  binding.led_count = static_cast<uint8_t>((bytes[5] >> 4) % (kMostLeds + 1));
  for (size_t led = 0; led < binding.led_count; ++led)
    binding.leds[led] = static_cast<uint8_t>(bytes[led % kBindingBytes] & 0x7F);
  return binding;
}

/// A player's feet on a Foot: the first half of the map belongs to the rig.
class Player {
 public:
  explicit Player(const std::vector<Binding>& map)
      : chain_(map.begin(), map.begin() + static_cast<std::ptrdiff_t>(map.size() / 2)),
        states_(chain_.size()),
        globals_(map.begin() + static_cast<std::ptrdiff_t>(chain_.size()), map.end()) {
    for (const Binding& binding : globals_) expect(foot_.add(binding), "a binding has no place");
  }

  void play(const Events& events, uint8_t cut) {
    for (size_t i = 0; i < events.size(); ++i) {
      take(events[i]);
      if ((i * 7 + cut) % 5 == 0) foot_.refresh(bound());
      if ((i + cut) % 3 == 0) run(1 + (static_cast<int>(i) * 37 + cut) % kBlock);
    }
    // Whatever waits goes out within an eighth of a second, and then all is quiet.
    for (int frames = 0; frames < kRate / 8; frames += 1500) run(1500);
    sent_ = 0;
    for (int frames = 0; frames < kRate / 16; frames += 1500) run(1500);
    expect(sent_ == 0, "controllers are told for ever");
  }

 private:
  [[nodiscard]] Bound bound() { return {chain_, states_}; }

  float& value_of(const Binding& binding) {
    const auto index = static_cast<size_t>(binding.index);
    if (binding.target == Binding::Target::kAction) return snapshot_;
    return binding.target == Binding::Target::kGlobal ? values_[index] : params_[index];
  }

  void take(const MidiEvent& event) {
    int panics = 0;
    {
      const Armed checks;
      foot_.control(
          event, frame_, bound(), [this](const Binding& b) { return value_of(b); },
          [&](const Binding& binding, float value) {
            panics += is_panic(binding) ? 1 : 0;
            turn(binding, value);
          });
    }
    int wanted = 0;
    for (const std::vector<Binding>* map : {&chain_, &globals_})
      for (const Binding& binding : *map)
        wanted += is_panic(binding) && listens(binding, event) && acts(binding, event) ? 1 : 0;
    // What was sent and comes back in the same 20 ms is no foot.
    bool echo = false;
    for (auto told = told_.rbegin(); told != told_.rend() && frame_ < told->frame + kEcho; ++told)
      echo |= told->data[1] == event.data[1] && told->data[2] == event.data[2];
    expect(panics == wanted || (panics == 0 && echo), "a panic is lost, or one too many");
  }

  /// An encoder that sends 64 or 0 steps does nothing, nor does the lower half of 14 bits.
  static bool acts(const Binding& binding, const MidiEvent& event) {
    if (event.data[1] != binding.control) return false;
    return binding.mode != MidiMode::kRelative || event.data[2] != 0;
  }

  void turn(const Binding& binding, float value) {
    const auto [low, high] = std::minmax(binding.low, binding.high);
    const bool counts = binding.target == Binding::Target::kAction;
    expect(std::isfinite(value), "a controller gives no number");
    if (counts)
      expect(value >= 0 && value <= 127, "an action gets more than seven bits");
    else  // an encoder leaves a value alone that another one has set beyond its end
      expect((value >= low && value <= high) || value == value_of(binding),
             "a controller leaves its range");
    value_of(binding) = counts ? std::fmod(value, 10.0F) : value;
    foot_.note(binding.target, counts ? 0 : binding.index, bound());
  }

  void run(int frames) {
    std::array<MidiEvent, kMostMidiOut> out;
    int count = 0;
    {
      const Armed checks;
      count = foot_.collect(
          frame_, frames, bound(), [this](const Binding& b) { return value_of(b); }, out);
    }
    int bytes = 0;
    int before = 0;
    for (const MidiEvent& message : std::span(out).first(static_cast<size_t>(count))) {
      expect(message.size == 3 && message.data[0] >> 4 == 0xB, "what is sent is no message");
      expect(message.data[1] < 128 && message.data[2] < 128, "what is sent is no data");
      expect(message.frame >= before && message.frame < frames, "what is sent is out of order");
      before = message.frame;
      bytes += message.size;
    }
    expect((bytes - 3) * kRate <= frames * Foot::kBytesPerSecond,
           "more is sent than a cable holds");
    sent_ += count;
    for (int i = 0; i < count; ++i) {
      told_.push_back(out[static_cast<size_t>(i)]);
      told_.back().frame += static_cast<int>(frame_);
    }
    frame_ += frames;
  }

  Foot foot_{kRate};
  std::vector<Binding> chain_;
  std::vector<BindingState> states_;
  std::vector<Binding> globals_;
  std::array<float, kGlobalCount> params_{};
  std::array<float, kGlobalCount> values_{};
  float snapshot_ = 0;
  int64_t frame_ = 0;
  Events told_;  ///< their frames are the foot's
  int sent_ = 0;
};

/// An engine of a few empty rigs. It outlives the executions, each of which begins with rig 0.
class Rack {
 public:
  Rack() : engine_(kRate, {.threaded = false, .with_safety = true}) {
    for (int rig = 0; rig < kRigs; ++rig) engine_.park(rig, engine_.build({}));
    std::vector<int> slots(kProgramCount, -1);
    for (int program = 0; program < kPrograms; ++program)
      slots[static_cast<size_t>(program)] = program % kRigs;
    engine_.set_programs(slots);
    Binding panic;
    panic.target = Binding::Target::kAction;
    panic.action = MidiAction::kPanic;
    panic.control = kPanicControl;
    expect(engine_.set_bindings({panic}), "the binding has no place");
  }

  void play(const Events& events, uint8_t cut) {
    begin();
    int wanted = 0;
    bool panics = false;
    int msb = -1;
    int lsb = -1;
    for (const MidiEvent& event : events) {
      const int kind = event.data[0] >> 4;
      if (kind == 0xB && event.data[1] == 0) msb = event.data[2];
      if (kind == 0xB && event.data[1] == 32) lsb = event.data[2];
      if (kind == 0xB && event.data[1] == kPanicControl) panics = true;
      if (kind != 0xC) continue;
      const bool here = msb <= 0 && lsb <= 0;
      if (here && event.data[1] < kPrograms) wanted = event.data[1] % kRigs;
      msb = lsb = -1;
    }
    send(events, cut);
    settle();
    expect(heard_ == wanted, "it is not the last program that plays");
    expect(bypass_ == panics, "a panic is lost, or one too many");
  }

 private:
  void begin() {
    const std::array<MidiEvent, 3> start{MidiEvent{.size = 3, .data = {0xB0, 0, 0}},
                                         MidiEvent{.size = 3, .data = {0xB0, 32, 0}},
                                         MidiEvent{.size = 2, .data = {0xC0, 0, 0}}};
    run(kBlock, start);
    engine_.set_global(kBypass, 0);
    settle();
    expect(heard_ == 0 && !bypass_, "the engine does not begin anew");
  }

  /// All of it, in blocks of many lengths, each event at a frame of its own where there are enough.
  void send(const Events& events, uint8_t cut) {
    Events part;
    for (size_t i = 0; i < events.size(); ++i) {
      part.push_back(events[i]);
      const bool ends = (i + cut) % 5 == 0 || i + 1 == events.size();
      if (!ends) continue;
      const int frames = 1 + (static_cast<int>(i) * 37 + cut) % kBlock;
      for (size_t k = 0; k < part.size(); ++k)
        part[k].frame = std::min(static_cast<int>(k) * (cut % 9), frames - 1);
      run(frames, part);
      if ((i + cut) % 2 == 0) engine_.service();
      if ((i + cut) % 4 == 0) listen();
      part.clear();
    }
  }

  /// Until the last change is over: the fade and the wait for a warm chain.
  void settle() {
    for (int block = 0; block < 16; ++block) {
      run(kBlock, {});
      engine_.service();
      listen();
    }
  }

  void run(int frames, std::span<const MidiEvent> midi) {
    Callback callback{.in = in_.data(),
                      .left = left_.data(),
                      .right = right_.data(),
                      .frames = frames,
                      .midi = midi};
    {
      const Armed checks;
      engine_.process(callback);
    }
    for (int i = 0; i < frames; ++i)
      expect(std::isfinite(left_[static_cast<size_t>(i)]), "the output is not finite");
  }

  void listen() {
    for (const Fact& fact : engine_.facts()) {
      if (fact.kind == Fact::Kind::kSwitched) heard_ = fact.slot;
      if (fact.kind == Fact::Kind::kNow) heard_ = fact.index;
      if (fact.kind == Fact::Kind::kChanged && fact.slot < 0 && fact.index == kBypass)
        bypass_ = fact.value != 0;
    }
  }

  Engine engine_;
  std::array<float, kBlock> in_{};
  std::array<float, kBlock> left_{};
  std::array<float, kBlock> right_{};
  int heard_ = -1;
  bool bypass_ = false;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  watch_heap();
  const Bytes bytes{data, std::min(size, kMostBytes)};
  if (bytes.size() < 2) return 0;
  const size_t bindings = std::min<size_t>(bytes[0] & 0x0F, (bytes.size() - 2) / kBindingBytes);
  std::vector<Binding> map;
  for (size_t b = 0; b < bindings; ++b)
    map.push_back(binding_of(bytes.subspan(2 + b * kBindingBytes, kBindingBytes)));
  const Events events = parse(bytes.subspan(2 + bindings * kBindingBytes));
  Player(map).play(events, bytes[1]);
  // By lot, or the fuzzer would send everything where there is more to find, which is slow.
  const unsigned lot = std::accumulate(bytes.begin(), bytes.end(), 0U,
                                       [](unsigned sum, uint8_t byte) { return sum * 31 + byte; });
  if (lot % 16 == 0) {
    static Rack rack;
    rack.play(events, bytes[1]);
  }
  return 0;
}
