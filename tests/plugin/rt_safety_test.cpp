// The plugin's callback does nothing forbidden (rt_checks.hpp) while 1,000 models are swapped under
// it, params are automated, and levels are measured.

#include "rt_checks.hpp"

#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>

#include "families.hpp"
#include "host.hpp"

namespace {

using namespace amp;
using namespace amp::plugin;

/// The host's audio thread: it automates, as hosts do, and plays blocks of many lengths.
void play(Processor& processor, const std::atomic<bool>& stop, bool& traps) {
  traps = trap_system_calls();
  prove_that_checks_work(traps);
  const std::vector<float> guitar = plugin::test::guitar(1024);
  juce::AudioBuffer<float> whole(2, 1024);
  juce::MidiBuffer midi;
  constexpr std::array kLengths{64, 64, 64, 1, 7, 256, 1024};
  for (size_t round = 0; !stop; ++round) {
    for (int c = 0; c < 2; ++c) whole.copyFrom(c, 0, guitar.data(), 1024);
    const int length = kLengths[round % kLengths.size()];
    juce::AudioBuffer<float> buffer(whole.getArrayOfWritePointers(), 2, length);
    const float way = static_cast<float>(round % 101) / 100;
    {
      const juce::ScopedLock lock(processor.getCallbackLock());
      const Armed checks;
      for (int p = kInputGain; p <= kCab; ++p)
        processor.params().at(static_cast<Param>(p)).setValue(p == kMix ? 1 - way / 2 : way);
      if (round % 64 == 0) processor.params().at(kLevel).setValue(way);
      processor.params().at(plugin::kBypass).setValue(round % 256 < 32 ? 1.0F : 0.0F);
      processor.processBlock(buffer, midi);
    }
    std::this_thread::yield();
  }
}

}  // namespace

/// The one argument, if any, is how many swaps must be heard.
int main(int argc, char** argv) {
  const juce::ScopedJuceInitialiser_GUI juce_lives;
  const int wanted = argc > 1 ? std::atoi(argv[1]) : 1000;
  const amp::test::TempDir dir;
  nlohmann::json other_rate = amp::test::native_model(8, 3, {1, 2, 4, 8, 16, 32}, 1);
  other_rate["sample_rate"] = 44100;
  const std::array models{
      dir.write("a.json", other_rate.dump()),
      dir.write("b.nam", amp::test::nam_model(16, 8, {1, 2, 4, 8, 16, 32, 64}, 2).dump()),
      dir.write("c.json", amp::test::state_dict_model(amp::test::Cell(false, 2, 16, 3)).dump())};
  plugin::test::Host host(2, 2);
  host.prepare();
  std::atomic<bool> stop{false};
  bool traps = false;
  std::thread audio([&] { play(host.processor, stop, traps); });
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(5);
  for (int i = 0; host.processor.switches() < wanted; ++i) {
    if (std::chrono::steady_clock::now() > deadline) break;
    host.load(models[static_cast<size_t>(i) % models.size()]);
    while (!host.processor.settled() && std::chrono::steady_clock::now() < deadline)
      std::this_thread::yield();
  }
  stop = true;
  audio.join();
  const int heard = host.processor.switches();
  std::printf("%d swaps heard: %d heap, %d lock, %d system calls\n", heard, heap_calls.load(),
              lock_calls.load(), system_calls.load());
  expect(heard >= wanted, "the swaps took place");
  expect(heap_calls == 0, "the callback allocates nothing and frees nothing");
  expect(lock_calls == 0, "the callback locks nothing");
  if (traps) expect(system_calls == 0, "the callback calls nothing of the system");
  return failures == 0 ? 0 : 1;
}
