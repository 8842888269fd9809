#include <doctest/doctest.h>

#include <atomic>
#include <nlohmann/json.hpp>

#include "host.hpp"

using namespace amp;
using namespace amp::plugin;
using plugin::test::amp_rig;
using plugin::test::daemon;
using plugin::test::guitar;
using plugin::test::Host;

namespace {

std::string model_text(unsigned seed = 3) {
  return amp::test::native_model(8, 3, {1, 2, 4, 8, 16}, seed).dump();
}

juce::MemoryBlock saved(Host& host) {
  juce::MemoryBlock block;
  host.processor.getStateInformation(block);
  return block;
}

void open(Host& host, const juce::MemoryBlock& block) {
  host.processor.setStateInformation(block.getData(), static_cast<int>(block.getSize()));
}

}  // namespace

TEST_CASE("a state begins with its version") {
  Host host;
  const juce::MemoryBlock state = saved(host);
  CHECK(state[0] == 1);
  CHECK(state[1] == 0);
  CHECK(std::string(static_cast<const char*>(state.getData()) + 4, 4) == "ampd");
}

TEST_CASE("a project opens with its sound where the file is gone, bit for bit") {
  const std::vector<float> in = guitar(9600);
  juce::MemoryBlock state;
  std::vector<float> before;
  {
    const amp::test::TempDir dir;
    Host host;
    host.load(dir.write("m.json", model_text()));
    host.set(kInputGain, 3);
    host.set(kGateThreshold, -40);
    host.set(kCab, 1);
    host.set(kLevel, kNormalized);
    host.prepare();
    before = host.play({in})[0];
    state = saved(host);
  }
  Host host;
  open(host, state);
  host.prepare();
  CHECK(host.play({in})[0] == before);
  CHECK(host.processor.report().setting->model()->origin == File::Origin::kEmbedded);
  CHECK_FALSE(host.processor.report().is_error);
  Host prepared;  // the other order of hosts
  prepared.prepare();
  open(prepared, state);
  CHECK(prepared.play({in})[0] == before);
}

TEST_CASE("what was opened is saved as the same bytes") {
  const amp::test::TempDir dir;
  Host host;
  host.load(dir.write("m.json", model_text()));
  host.set(kMix, 0.3F);
  const juce::MemoryBlock state = saved(host);
  Host other;
  open(other, state);
  CHECK(saved(other) == state);
}

TEST_CASE("a file that stands as it was is the file; one that changed is not taken for it") {
  const amp::test::TempDir dir;
  const std::string path = dir.write("m.json", model_text());
  Host host;
  host.load(path);
  const juce::MemoryBlock state = saved(host);
  Host same;
  open(same, state);
  CHECK(same.processor.report().setting->model()->origin == File::Origin::kDisk);
  static_cast<void>(dir.write("m.json", model_text(4)));
  Host changed;
  open(changed, state);
  CHECK(changed.processor.report().setting->model()->origin == File::Origin::kEmbedded);
  changed.prepare();
  const std::string was = dir.write("was.json", model_text());
  const std::vector<float> in = guitar(4800);
  CHECK(changed.play({in})[0] == daemon(amp_rig(was), in)[0]);
}

TEST_CASE("a model under the home folder is found under another home") {
  const amp::test::TempDir dir;
  const std::string path = dir.write("m.json", model_text());
  const juce::File home(juce::File(path).getParentDirectory());
  const juce::File was = juce::File::getSpecialLocation(juce::File::userHomeDirectory);
  ::setenv("HOME", home.getFullPathName().toRawUTF8(), 1);
  Host host;
  host.load(path);
  const juce::MemoryBlock state = saved(host);
  const juce::File other = home.getChildFile("other");
  other.createDirectory();
  juce::File(path).moveFileTo(other.getChildFile("m.json"));
  ::setenv("HOME", other.getFullPathName().toRawUTF8(), 1);
  Host moved;
  open(moved, state);
  ::setenv("HOME", was.getFullPathName().toRawUTF8(), 1);
  CHECK(moved.processor.report().setting->model()->origin == File::Origin::kDisk);
  CHECK(moved.processor.report().setting->model()->path ==
        other.getChildFile("m.json").getFullPathName());
}

TEST_CASE("a damaged state is a clean bypass with a message") {
  const amp::test::TempDir dir;
  Host host;
  host.load(dir.write("m.json", model_text()));
  host.set(kInputGain, 12);
  const juce::MemoryBlock good = saved(host);
  const auto copy = [&] { return juce::MemoryBlock(good.getData(), good.getSize()); };
  juce::MemoryBlock cut(good.getData(), good.getSize() / 2);
  juce::MemoryBlock newer = copy();
  newer[0] = 2;
  juce::MemoryBlock flipped = copy();
  flipped[good.getSize() - 100] ^= 1;
  juce::MemoryBlock garbage;
  garbage.setSize(5000);
  for (size_t i = 0; i < 5000; ++i) garbage[i] = static_cast<char>(i * 37 % 251);
  const std::vector<float> in = guitar(4800);
  for (const auto& [state, says] : {std::pair{cut, "cut short"},
                                    {newer, "version 2"},
                                    {flipped, "damaged"},
                                    {garbage, "no sound of ampd"},
                                    {juce::MemoryBlock(good.getData(), 3), "cut short"},
                                    {juce::MemoryBlock(), "cut short"}}) {
    Host opened;
    opened.load(dir.write("other.json", model_text(5)));
    open(opened, state);
    opened.prepare();
    CHECK(opened.play({in})[0] == in);
    CHECK(opened.processor.report().is_error);
    CHECK(opened.processor.report().text.contains(says));
    // Saving the project again must not lose what a newer plugin could still open.
    if (!state.isEmpty()) CHECK(saved(opened) == state);
  }
}

TEST_CASE("no byte of a state that is flipped, and no length that is cut, does harm") {
  const amp::test::TempDir dir;
  Host host;
  host.load(dir.write("m.json", amp::test::native_model(2, 2, {1, 2}, 3).dump()));
  const juce::MemoryBlock good = saved(host);
  for (size_t at = 0; at < good.getSize(); at += 7) {
    juce::MemoryBlock bad(good.getData(), good.getSize());
    bad[at] ^= 0x55;
    CHECK_THROWS_AS(read_state(bad.getData(), bad.getSize()), Refused);
    CHECK_THROWS_AS(read_state(good.getData(), at), Refused);
  }
  juce::MemoryBlock padded(good.getData(), good.getSize());
  padded.append("\0\0\0", 3);
  CHECK_NOTHROW(read_state(padded.getData(), padded.getSize()));
}

TEST_CASE("while it plays a project's sound comes in by a fade, behind silence at once") {
  const amp::test::TempDir dir;
  Host host;
  host.load(dir.write("m.json", model_text()));
  const juce::MemoryBlock state = saved(host);
  const std::vector<float> in = guitar(4800);
  Host running;
  running.prepare();
  running.play({in});
  open(running, state);
  CHECK(running.settle());
  CHECK(running.processor.switches() == 1);
  Host silent;
  silent.prepare();
  silent.play({std::vector<float>(4800)});
  open(silent, state);
  CHECK(silent.play({in})[0] == daemon(amp_rig(dir.write("m.json", model_text())), in)[0]);
  CHECK(silent.processor.switches() == 0);
}

// A project is opened by one thread while another plays, and measured first, which takes a while.
// Params that were set before the new sound was ready would turn the old one meanwhile.
TEST_CASE("a project that is opened turns nothing of the sound before it") {
  const amp::test::TempDir dir;
  const std::string first = dir.write("a.json", model_text(3));
  Host other;
  other.load(dir.write("b.json", model_text(4)));
  other.set(kOutputGain, -24);
  other.set(kLevel, kNormalized);
  const juce::MemoryBlock state = saved(other);
  Host host;
  host.load(first);
  host.set(kOutputGain, -30);
  host.prepare();
  const std::vector<float> in = guitar(144000);
  std::vector<float> out;
  std::atomic<size_t> played{0};
  size_t faded = 0;
  std::thread audio([&] {
    while (out.size() < in.size()) {
      const auto heard = host.play({amp::test::part(in, out.size(), out.size() + 64)});
      out.insert(out.end(), heard[0].begin(), heard[0].end());
      if (faded == 0 && host.processor.switches() == 1) faded = out.size();
      played = out.size();
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  while (played < 9600) std::this_thread::yield();
  open(host, state);
  audio.join();
  RigSpec rig = amp_rig(first);
  rig.values["output/gain_db"] = -30;
  const std::vector<float> old = daemon(rig, in)[0];
  size_t begin = 0;
  while (begin < out.size() && out[begin] == old[begin]) ++begin;
  CHECK(begin >= 9600);
  REQUIRE(faded > 0);
  // The fade lasts 10 ms, 480 frames, and is over in the block that says so.
  CHECK(begin + 480 + 64 >= faded);
}
