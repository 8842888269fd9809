/// Files that mean harm. Those that would hang or exhaust the loader have no time to assert: a
/// loader that falls for them does not come back before ctest ends the run.
#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "families.hpp"

using namespace amp;
using namespace amp::test;
using nlohmann::json;

namespace {

std::string refusal(const std::string& text) {
  try {
    static_cast<void>(nn::load_model(text, "amp"));
  } catch (const nn::LoadError& error) {
    const std::string what = error.what();
    CHECK(what.starts_with("amp: "));
    CHECK(what.back() == '.');
    return what.substr(5);
  }
  return "accepted";
}

std::string repeated(const std::string& part, size_t count) {
  std::string text;
  text.reserve(part.size() * count);
  for (size_t i = 0; i < count; ++i) text += part;
  return text;
}

json weighted(const std::string& architecture, const json& config, const json& weights) {
  return {{"version", "0.5.4"},
          {"architecture", architecture},
          {"config", config},
          {"weights", weights},
          {"sample_rate", 48000}};
}

json linear(const json& taps) {
  return weighted("Linear", {{"receptive_field", taps.size()}}, taps);
}

json wavenet(int channels, int kernel, const json& activation) {
  return weighted("WaveNet",
                  {{"layers",
                    {{{"input_size", 1},
                      {"condition_size", 1},
                      {"channels", channels},
                      {"head_size", 1},
                      {"head_bias", false},
                      {"kernel_size", kernel},
                      {"dilations", {1}},
                      {"activation", activation}}}}},
                  json::array());
}

bool holds(const std::string& text, const char* part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a million empty values are read in one pass") {
  CHECK(refusal("[" + repeated("{},", 500000) + "{}]")
            .starts_with("the document is a list of 500001, expected an object"));
  CHECK(refusal("[" + repeated("[],", 500000) + "[]]")
            .starts_with("the document is a list of 500001, expected an object"));
}

TEST_CASE("a document that would fill the memory is refused where it does") {
  const char* const expected = "holds more values than fit into 64 MB";
  CHECK(holds(refusal("[" + repeated("0,", 5'000'000) + "0]"), expected));
  CHECK(holds(refusal("[" + repeated("{},", 1'000'000) + "0]"), expected));
  CHECK(holds(refusal("[" + repeated("\"\",", 1'000'000) + "0]"), expected));
  std::string keys = "{";
  for (int i = 0; i < 700'000; ++i) keys += "\"" + std::to_string(i) + "\":0,";
  CHECK(holds(refusal(keys + "\"x\":0}"), expected));
}

TEST_CASE("an error quotes little of the file and nothing that a terminal obeys") {
  const std::string key = "\x1b[2J" + repeated("k", 100000);
  const std::string twice = "{\"" + repeated("\\u001b", 9) + key.substr(4) + "\":1,\"" +
                            repeated("\\u001b", 9) + key.substr(4) + "\":2}";
  for (const std::string& text :
       {twice, "{\"a\": \"" + key + "\"}", "{\"format\": " + repeated("1", 100000) + "}",
        "{\"format\": \"" + repeated("x", 100000) + "\"}"}) {
    const std::string what = refusal(text);
    CHECK(what.size() < 400);
    CHECK(what.find('\x1b') == std::string::npos);
  }
}

TEST_CASE("a name is cut between characters and turns no text around") {
  json document = native_model(2, 1, {1}, 1);
  const auto name = [&](const std::string& text) {
    document["metadata"] = {{"name", text}};
    return nn::load_model(document.dump(), "amp")->info.name;
  };
  CHECK(name(repeated("\u00e9", 200)) == repeated("\u00e9", 128));
  CHECK(name("x" + repeated("\u00e9", 200)) == "x" + repeated("\u00e9", 127));
  CHECK(name("x" + repeated("\U0001F3B8", 100)) == "x" + repeated("\U0001F3B8", 63));
  CHECK(name("a\u202eb\u2066c\u0085d\u2028e\u200ff") == "abcdef");
}

TEST_CASE("a byte order mark is passed over, a NUL and other encodings are not") {
  const std::string text = native_model(2, 1, {1}, 1).dump();
  CHECK(refusal("\xEF\xBB\xBF" + text) == "accepted");
  CHECK(refusal(text + std::string("\0{}", 3)).starts_with("is not valid JSON"));
  CHECK(refusal(std::string("\xFF\xFE{\0", 4)).starts_with("is not valid JSON"));
  CHECK(refusal("{\"a\": \"\xC3\x28\"}").starts_with("is not valid JSON"));
  CHECK(refusal("\x1F\x8B\x08").starts_with("is a gzip archive"));
}

TEST_CASE("only a regular file of at most 64 MB is read, through a link or not") {
  const TempDir dir;
  const std::string file = dir.write("m.json", native_model(2, 1, {1}, 1).dump());
  const std::string link = dir.write("link", "");
  std::filesystem::remove(link);
  std::filesystem::create_symlink(file, link);
  CHECK(nn::load_model(link)->info.weight_count > 0);
  const std::string sparse = dir.write("sparse.json", "");
  std::filesystem::resize_file(sparse, 2U << 30U);
  CHECK_THROWS_WITH_AS(nn::load_model(sparse),
                       doctest::Contains("is 2048 MB; a model has at most 64 MB."), nn::LoadError);
  CHECK_THROWS_WITH_AS(nn::load_model("/dev/zero"), doctest::Contains("is not a regular file"),
                       nn::LoadError);
}

TEST_CASE("a net that no computer plays live is refused before its weights are read") {
  const char* const expected = "multiplications a sample, expected at most 1048576";
  CHECK(holds(refusal(wavenet(512, 8, "Tanh").dump()), expected));
  CHECK(holds(refusal(wavenet(4096, 4096, "ReLU").dump()), expected));
  json pedalnet = pedalnet_model();
  pedalnet["residual_channels"] = 256;
  pedalnet["filter_width"] = 64;
  CHECK(holds(refusal(pedalnet.dump()), expected));
  json conv = layer("conv1d", 1024, json::array({json::array()}));
  conv["kernel_size"] = 4096;
  CHECK(holds(refusal(json{{"in_shape", {1}}, {"layers", {conv}}}.dump()), expected));
}

TEST_CASE("a recurrent net is not played for minutes before its first sample") {
  json document = nam_lstm_model(Cell(false, 1, 128, 1));
  document["sample_rate"] = 768000;
  const char* const expected = "million multiplications before";
  CHECK(holds(refusal(document.dump()), expected));
  document["sample_rate"] = 192000;
  json models = json::array();
  for (int i = 0; i < 4; ++i) models.push_back(document);
  json sequence = weighted("Sequential", {{"models", models}}, json::array());
  sequence["sample_rate"] = 192000;
  CHECK(holds(refusal(sequence.dump()), expected));
}

TEST_CASE("slimmable sizes share one budget of memory") {
  json document = wavenet(300, 4, "ReLU");
  document["weights"] = std::vector<int>(300 + 300 * 300 * 4 + 300 * 3 + 300 * 300 + 301);
  CHECK(refusal(document.dump()) == "accepted");
  json sizes = json::array();
  for (int i = 237; i <= 300; ++i) sizes.push_back(i);
  document["config"]["layers"][0]["slimmable"] = {{"method", "slice_channels_uniform"},
                                                  {"kwargs", {{"allowed_channels", sizes}}}};
  CHECK(holds(refusal(document.dump()), "needs more than 64 MB of memory"));
}

TEST_CASE("numbers that run away are refused in every family") {
  const char* const expected = "answer to noise";
  json own = native_model(2, 1, {1}, 1);
  own["tensors"]["output.weight"] = {3e38, 3e38};
  CHECK(holds(refusal(own.dump()), expected));
  for (const json& head : {json{{"lin.weight", {{3e38, 3e38}}}}}) {
    json document = state_dict_model(Cell(false, 1, 2, 1));
    document["state_dict"].update(head);
    CHECK(holds(refusal(document.dump()), expected));
  }
  json keras = keras_model(Cell(true, 1, 2, 1));
  keras["layers"][1]["weights"][0] = {{3e38}, {3e38}};
  CHECK(holds(refusal(keras.dump()), expected));
  json pedalnet = pedalnet_model();
  pedalnet["variables"][10]["data"] = std::vector<float>(6, 3e38F);
  CHECK(holds(refusal(pedalnet.dump()), expected));
  const json container = weighted("SlimmableContainer",
                                  {{"submodels",
                                    {{{"max_value", 0.5}, {"model", linear({3e38, 3e38})}},
                                     {{"max_value", 1.0}, {"model", linear({1})}}}}},
                                  json::array());
  CHECK(holds(refusal(container.dump()), expected));
  CHECK(holds(refusal(wavenet(1, 1, {{"type", "LeakyReLU"}, {"negative_slope", 1e300}}).dump()),
              "negative_slope is 1e+300, expected a number that is finite in 32 bits"));
}

TEST_CASE("a self-test in which the net answers no number is not passed") {
  json document = native_model(2, 1, {1}, 1);
  document["tensors"] = {{"input.weight", {1, 1}},   {"input.bias", {0, 0}},
                         {"blocks.0.bias", {0, 0}},  {"blocks.0.weight", {0, 0, 0, 0}},
                         {"output.weight", {1, -1}}, {"output.bias", {0}}};
  document["self_test"] = {{"input", {1, 2, 3}}, {"output", {0, 0, 0}}};
  CHECK(refusal(document.dump()) == "accepted");
  // Infinity less infinity in the first answer; what follows is silent again.
  document["tensors"]["input.weight"] = {1e4, 1e4};
  document["self_test"]["input"] = {3e38, 0, 0};
  CHECK(holds(refusal(document.dump()), "the self-test differs"));
}

TEST_CASE("an object where a list belongs is refused as any other value") {
  json document = keras_model(Cell(false, 1, 2, 1));
  document["input_batch"] = {{"a", 1}};
  document["output_batch"] = {{"a", 1}};
  CHECK(refusal(document.dump())
            .starts_with("input_batch is an object of 1, expected a list of at least 1"));
}

TEST_CASE("a keras stack of which nothing is left is refused") {
  const json nothing{{"type", "activation"}, {"shape", {1}}, {"weights", json::array()}};
  CHECK(refusal(json{{"in_shape", {1}}, {"layers", {nothing}}}.dump())
            .starts_with("layers is a list of 1, expected at least one layer"));
}
