#include <doctest/doctest.h>

#include "files.hpp"
#include "yaml.hpp"

using namespace amp::plugin;

namespace {

std::string as_json(const juce::String& text) {
  return juce::JSON::toString(read_yaml(text, "x.yaml"), true).toStdString();
}

}  // namespace

TEST_CASE("YAML reads as the daemon reads it") {
  CHECK(as_json("a: 1\nb: -2.5\nc: true\nd: off\ne:\nf: ~") ==
        R"({"a": 1.0, "b": -2.5, "c": true, "d": false, "e": null, "f": null})");
  CHECK(as_json("chain:\n  - amp: {model: ts9, gain_db: 3}  # comment\n  - cab\n") ==
        R"({"chain": [{"amp": {"model": "ts9", "gain_db": 3.0}}, "cab"]})");
  CHECK(as_json("chain:\n- amp:\n    model: ts9\n    gain_db: 3\n- cab: {}\nmix: 1") ==
        R"({"chain": [{"amp": {"model": "ts9", "gain_db": 3.0}}, {"cab": {}}], "mix": 1.0})");
  CHECK(as_json("a: {b: [1, 2, x y], 'c d': \"e # f\"}\n") ==
        R"({"a": {"b": [1.0, 2.0, "x y"], "c d": "e # f"}})");
  CHECK(as_json("a: {b: 1,\n    c: {d: 2}}\ne: [1,\n  2]") ==
        R"({"a": {"b": 1.0, "c": {"d": 2.0}}, "e": [1.0, 2.0]})");
  CHECK(as_json("models: {0: a, 5.5: b}") == R"({"models": {"0": "a", "5.5": "b"}})");
  CHECK(as_json("# nothing\n") == "null");
  CHECK(as_json("a: |\n  two\n  lines\nb: 'it''s'\nc: \"\\u00f6\\n\"") ==
        R"({"a": "two\nlines\n", "b": "it's", "c": "\u00f6\n"})");
  CHECK(as_json("? a\n: 1\n? b\n: [x,\n  y]") == R"({"a": 1.0, "b": ["x", "y"]})");
  CHECK(as_json("- {name: lead, amp/gain_db: 6}") == R"([{"name": "lead", "amp/gain_db": 6.0}])");
}

TEST_CASE("what makes a small file large, and what is unclear, is refused with its line") {
  for (const char* text :
       {"a: &x 1", "a: *x", "a: !!python/object 1", "<<: {a: 1}", "a: 1\na: 2", "5: a\n5.0: b",
        "[a]: 1", "a: \x01", "a: 1\n---\nb: 2", "a: {b: 1", "a: [1", "a: 'x", "\ta: 1",
        "a: 1\n  b: 2", "a: {b: 1} c", "a: [[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(read_yaml(text, "x.yaml"), Refused);
  }
  try {
    read_yaml("a: 1\nb: 2\na: 3\n", "rigs/x.yaml");
    FAIL("it was taken");
  } catch (const Refused& refused) {
    CHECK(std::string(refused.what()) == "rigs/x.yaml:3: key a stands twice; remove one.");
  }
  CHECK_THROWS_AS(read_yaml(juce::String::repeatedString("a: 1\n", 60000), "x"), Refused);
}

TEST_CASE("numbers are written as the same float, without an exponent") {
  for (const float value : {0.0F, -4.0F, 0.1F, 1e-6F, 12345.678F, -0.333333343F}) {
    const juce::String text = decimal(value);
    CHECK(text.getFloatValue() == value);
    CHECK_FALSE(text.containsAnyOf("eE"));
  }
  CHECK(decimal(-4) == "-4");
  CHECK(as_yaml("ts9") == "ts9");
  CHECK(as_yaml("on") == "\"on\"");
  CHECK(as_yaml("9") == "\"9\"");
}
