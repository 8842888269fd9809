#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>
#include <juce_events/juce_events.h>

int main(int argc, char** argv) {
  const juce::ScopedJuceInitialiser_GUI juce_lives;
  return doctest::Context(argc, argv).run();
}
