// What the Rig menu does, without a window:
//   plugin_rig open RIG.yaml STATE      a rig of the daemon, as a project would keep it
//   plugin_rig export STATE RIG.yaml    a project's sound, as a rig

#include <cstdio>
#include <string>

#include "processor.hpp"

using namespace amp::plugin;

namespace {

juce::File file_of(const char* path) {
  return juce::File::getCurrentWorkingDirectory().getChildFile(juce::String::fromUTF8(path));
}

bool write_state(Processor& processor, const juce::File& target) {
  juce::MemoryBlock state;
  processor.getStateInformation(state);
  return target.replaceWithData(state.getData(), state.getSize());
}

bool read_state(Processor& processor, const juce::File& source) {
  juce::MemoryBlock state;
  if (!source.loadFileAsData(state)) return false;
  processor.setStateInformation(state.getData(), static_cast<int>(state.getSize()));
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return std::fputs("open RIG STATE | export STATE RIG\n", stderr), 2;
  const juce::ScopedJuceInitialiser_GUI juce_lives;
  Processor processor;
  bool done = false;
  if (std::string(argv[1]) == "open") {
    processor.load(file_of(argv[2]));
    done = write_state(processor, file_of(argv[3]));
  } else if (read_state(processor, file_of(argv[2]))) {
    processor.export_rig(file_of(argv[3]));
    processor.finish();
    done = true;
  }
  const Report report = processor.report();
  std::puts(report.text.toRawUTF8());
  return done && !report.is_error ? 0 : 1;
}
