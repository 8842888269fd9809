/// Memory that runs out at every single place of a load and of a build. Each time the caller must
/// get the exception and nothing else: no end of the program, no block of memory that stays behind,
/// and not one sample of the rig that plays is another.
///
/// It replaces operator new, so it is a program of its own.
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <new>
#include <nlohmann/json.hpp>

#include "families.hpp"

using namespace amp;
using namespace amp::test;
using nlohmann::json;

namespace {

std::atomic<long> left_until_failure{-1};  ///< allocations, below 0: none fails
std::atomic<long> live{0};                 ///< blocks of memory

void* allocate(size_t size, size_t align) {
  if (left_until_failure >= 0 && left_until_failure-- == 0) throw std::bad_alloc();
  void* const memory =
      align > 0 ? std::aligned_alloc(align, (size + align - 1) / align * align) : std::malloc(size);
  if (memory == nullptr) throw std::bad_alloc();
  ++live;
  return memory;
}

void release(void* memory) noexcept {
  if (memory == nullptr) return;
  --live;
  std::free(memory);
}

}  // namespace

void* operator new(size_t size) {
  return allocate(size, 0);
}
void* operator new[](size_t size) {
  return allocate(size, 0);
}
void* operator new(size_t size, std::align_val_t align) {
  return allocate(size, static_cast<size_t>(align));
}
void* operator new[](size_t size, std::align_val_t align) {
  return allocate(size, static_cast<size_t>(align));
}
void operator delete(void* memory) noexcept {
  release(memory);
}
void operator delete[](void* memory) noexcept {
  release(memory);
}
void operator delete(void* memory, size_t) noexcept {
  release(memory);
}
void operator delete[](void* memory, size_t) noexcept {
  release(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
  release(memory);
}
void operator delete[](void* memory, std::align_val_t) noexcept {
  release(memory);
}
void operator delete(void* memory, size_t, std::align_val_t) noexcept {
  release(memory);
}
void operator delete[](void* memory, size_t, std::align_val_t) noexcept {
  release(memory);
}

namespace {

int failures = 0;

void expect(bool holds, const std::string& claim) {
  if (holds) return;
  std::printf("FAILED: %s\n", claim.c_str());
  ++failures;
}

/// Run `work` with its first allocation failing, then with its second, until none is left to fail.
/// `between` is run after each of them, with all the memory there is.
void starve(
    const std::string& name, const std::function<void()>& work,
    const std::function<void()>& between = [] {}) {
  work();  // what is made once for the whole program is made now
  long failed = 0;
  for (bool all = false; !all && failures == 0; ++failed) {
    const long before = live;
    left_until_failure = failed;
    try {
      work();
      all = left_until_failure >= 0;
      left_until_failure = -1;
      expect(all, name + " goes on without its allocation " + std::to_string(failed));
    } catch (const std::bad_alloc&) {
      left_until_failure = -1;
    }
    const long kept = live - before;
    expect(kept == 0, name + " keeps " + std::to_string(kept) + " blocks where its allocation " +
                          std::to_string(failed) + " fails");
    between();
  }
  std::printf("ok: %s, %ld allocations, each failed once\n", name.c_str(), failed - 1);
}

json linear(const json& taps) {
  return {{"version", "0.5.4"},
          {"architecture", "Linear"},
          {"config", {{"receptive_field", taps.size()}, {"bias", false}}},
          {"weights", taps},
          {"sample_rate", 48000}};
}

void load_each_family() {
  const std::vector<std::pair<const char*, json>> documents{
      {"a model of our own", native_model(2, 2, {1, 2}, 1)},
      {"NAM WaveNet", nam_model(2, 1, {1, 2}, 2)},
      {"NAM LSTM", nam_lstm_model(Cell(false, 1, 2, 3))},
      {"NAM container", two_sizes(linear({0.2, 0, 0.2}), nam_model(2, 1, {1, 2}, 1))},
      {"NAM linear", linear({1, 0.5, 0.25})},
      {"state_dict", state_dict_model(Cell(true, 1, 2, 4))},
      {"keras", keras_model(Cell(false, 1, 2, 5))},
      {"PedalNet", pedalnet_model()}};
  for (const auto& [name, document] : documents) {
    const std::string text = document.dump();
    starve(name, [&text] {
      const auto model = nn::load_model(std::string_view(text), "amp");
      static_cast<void>(model->make_net(dsp::best_isa()));
      static_cast<void>(model->make_net(dsp::Isa::kScalar));
    });
  }
}

RigSpec full_rig(const std::string& model) {
  RigSpec rig;
  rig.values = {{"input/gain_db", 1.0F}};
  for (const char* const kind : {"gate", "eq", "gain"})
    rig.blocks.push_back({.kind = kind, .name = kind, .values = {}, .model = {}});
  rig.blocks.push_back({.kind = "amp", .name = "amp", .values = {}, .model = model});
  for (const char* const kind : {"cab", "delay", "reverb"})
    rig.blocks.push_back({.kind = kind, .name = kind, .values = {}, .model = {}});
  rig.snapshots = {{{"amp/gain_db", 3.0F}}, {{"delay/mix", 0.5F}}};
  BindingSpec foot{.path = "amp/gain_db", .binding = {}, .low = {}, .high = {}};
  foot.binding.control = 11;
  rig.bindings = {foot};
  return rig;
}

/// A rig plays while another one is built without memory, over and over.
void build_beside_one_that_plays() {
  const TempDir dir;
  const std::string model = dir.write("amp.json", nam_model(2, 1, {1, 2}, 6).dump());
  Rack rack;
  rack.park_amp(0, 7);
  rack.engine.select(0, false);
  rack.play(std::vector<float>(48000));
  const RigSpec rig = full_rig(model);
  const std::vector<float> silence(4096);
  const std::vector<float> chord = noise(64, 8);
  const auto listen = [&] {
    rack.play(silence);
    return rack.play(chord);
  };
  const std::vector<float> heard = listen();
  expect(peak(heard) > 0.01F, "something is heard");
  starve(
      "a full rig", [&] { static_cast<void>(rack.engine.build(rig)); },
      [&] { expect(listen() == heard, "the rig that plays sounds as before"); });
}

}  // namespace

int main() {
  load_each_family();
  build_beside_one_that_plays();
  return failures == 0 ? 0 : 1;
}
