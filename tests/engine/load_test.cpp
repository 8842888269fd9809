#include <doctest/doctest.h>
#include <sys/stat.h>
#include <nlohmann/json.hpp>

#include "fixtures.hpp"

using namespace amp;
using namespace amp::test;
using nlohmann::json;

namespace {

std::string refusal(const std::string& text) {
  const TempDir dir;
  const std::string file = dir.write("amp.json", text);
  try {
    static_cast<void>(nn::load_model(file));
  } catch (const nn::LoadError& error) {
    const std::string what = error.what();
    CHECK(what.starts_with(file + ": "));
    CHECK(what.back() == '.');
    return what.substr(file.size() + 2);
  }
  return "accepted";
}

json small() {
  return native_model(2, 3, {1, 2}, 1);
}

}  // namespace

TEST_CASE("a file that is no model is named for what it is") {
  CHECK(refusal("") == "the file is empty; download or export it again.");
  CHECK(refusal("  \n") == "holds only white space; expected a model.");
  CHECK(refusal("<!DOCTYPE html>").starts_with("looks like a web page"));
  CHECK(refusal("PK\x03\x04").starts_with("is an archive"));
  CHECK(refusal("RIFF....WAVE").starts_with("is a WAV recording"));
  CHECK(refusal("[1, 2]").starts_with("the document is a list of 2, expected an object"));
  CHECK(refusal("{\"a\": 1}").starts_with("has neither the keys of an ampd model"));
}

TEST_CASE("a truncated file says that the download is incomplete") {
  const std::string text = small().dump();
  for (const size_t length : {text.size() - 1, text.size() / 2, size_t{1}}) {
    CAPTURE(length);
    CHECK(refusal(text.substr(0, length)).find("the download is incomplete") != std::string::npos);
  }
}

TEST_CASE("a document cannot be deep, doubled or longer than itself") {
  CHECK(refusal(std::string(100000, '[')).starts_with("is nested deeper than 64 levels"));
  CHECK(refusal("{\"format\": 1, \"format\": 2}")
            .starts_with("has the key \"format\" twice in one object"));
  CHECK(refusal(small().dump() + "{}").starts_with("is not valid JSON"));
}

TEST_CASE("a folder, a pipe and a missing file are refused without waiting") {
  const TempDir dir;
  const std::string pipe = dir.write("x", "");
  ::unlink(pipe.c_str());
  REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_WITH_AS(nn::load_model(pipe), doctest::Contains("is not a regular file"),
                       nn::LoadError);
  CHECK_THROWS_WITH_AS(nn::load_model("/"), doctest::Contains("is not a regular file"),
                       nn::LoadError);
  CHECK_THROWS_WITH_AS(nn::load_model(pipe + ".json"), doctest::Contains("cannot be opened"),
                       nn::LoadError);
}

TEST_CASE("a wrong value names its place, what was found and what was expected") {
  const auto with = [](const std::string& pointer, const json& value) {
    json document = small();
    document[json::json_pointer(pointer)] = value;
    return refusal(document.dump());
  };
  CHECK(with("/channels", 2.5) == "channels is 2.5, expected a whole number, 1 to 256.");
  CHECK(with("/channels", -1) == "channels is -1, expected a whole number, 1 to 256.");
  CHECK(with("/dilations/1", 0) == "dilations[1] is 0, expected a whole number, 1 to 1000000.");
  CHECK(with("/dilations", json::array()).starts_with("dilations is a list of 0, expected a list"));
  CHECK(with("/dilations/1", 900000).starts_with("the receptive field is 1800003 frames"));
  CHECK(with("/tensors/input.bias/1", nullptr) ==
        "tensors.input.bias[1] is null, expected a number.");
  CHECK(with("/tensors/input.bias/1", 1e39) ==
        "tensors.input.bias[1] is 1e+39, expected a number that is finite in 32 bits.");
  CHECK(
      with("/tensors/input.bias", {1}).starts_with("tensors.input.bias has 1 numbers, expected 2"));
  CHECK(with("/activation", "relu") == "activation is \"relu\", expected \"tanh\".");
  CHECK(with("/format_version", 2) == "format_version is 2, expected a whole number, 1 to 1.");
  CHECK(with("/sample_rate", 0) == "sample_rate is 0, expected a whole number, 8000 to 768000.");
  CHECK(with("/prewarm", "noise") == "prewarm is \"noise\", expected \"silence\".");
  CHECK(with("/causal", false).starts_with("causal is false: an offline net"));
}

TEST_CASE("a missing tensor and one too many are both refused") {
  json missing = small();
  missing["tensors"].erase("output.bias");
  CHECK(refusal(missing.dump()).starts_with("tensors has 7 entries, expected 8"));
  json extra = small();
  extra["tensors"]["blocks.2.bias"] = {1, 2};
  CHECK(refusal(extra.dump()).starts_with("tensors has 9 entries, expected 8"));
}

TEST_CASE("the self-test refuses a model whose weights were damaged") {
  json document = small();
  const auto model = load(document);
  const auto net = model->make_net(dsp::Isa::kScalar);
  const std::vector<float> input = noise(300, 4);
  document["self_test"] = {{"input", input}, {"output", run(*net, input, 64)}};
  CHECK(refusal(document.dump()) == "accepted");
  document["tensors"]["blocks.1.weight"][3] =
      document["tensors"]["blocks.1.weight"][3].get<float>() + 0.001;
  CHECK(refusal(document.dump()).starts_with("the self-test differs by"));
}

TEST_CASE("a NAM file of the trainer proves itself by the self-test in its metadata") {
  json document = nam_model(4, 2, {1, 2}, 1);
  const auto model = load(document);
  const auto net = model->make_net(dsp::Isa::kScalar);
  const std::vector<float> input = noise(300, 4);
  const json test = {{"input", input}, {"output", run(*net, input, 64)}};
  document["metadata"]["ampd"]["self_test"] = test;
  CHECK(refusal(document.dump()) == "accepted");
  document["weights"][3] = document["weights"][3].get<float>() + 0.01;
  CHECK(refusal(document.dump()).starts_with("the self-test differs by"));
  document["metadata"]["ampd"] = "something else";
  CHECK(refusal(document.dump()) == "accepted");
}

TEST_CASE("a NAM file with one weight too few or too many is refused") {
  json document = nam_model(4, 2, {1, 2}, 1);
  const size_t count = document["weights"].size();
  document["weights"].push_back(0.5);
  CHECK(refusal(document.dump())
            .starts_with("weights has " + std::to_string(count + 1) + " numbers, expected " +
                         std::to_string(count)));
  document["weights"].erase(0);
  document["weights"].erase(0);
  CHECK(refusal(document.dump()).starts_with("weights has " + std::to_string(count - 1)));
}

TEST_CASE("a NAM file that says what it is not is refused at the place") {
  const auto with = [](const std::string& key, const json& value) {
    json document = nam_model(4, 2, {1, 2}, 1);
    document["config"]["layers"][0][key] = value;
    return refusal(document.dump());
  };
  CHECK(with("gated", false) == "accepted");
  CHECK(with("gated", "no") == "config.layers[0].gated is \"no\", expected true or false.");
  CHECK(with("activation", "ReLU") == "accepted");
  CHECK(with("head1x1", {{"active", false}}) == "accepted");
  CHECK(with("input_size", 2).starts_with("config.layers[0].input_size is 2, expected 1"));
  CHECK(with("head_size", 3).starts_with("config.layers[1].channels is 2, expected 3"));
  json lstm = nam_model(4, 2, {1}, 1);
  lstm["architecture"] = "HyperConvNet";
  CHECK(refusal(lstm.dump())
            .starts_with("architecture is \"HyperConvNet\", expected one of \"WaveNet\""));
}

TEST_CASE("a sample rate that is null or absent is unknown and loads with a warning") {
  json document = nam_model(4, 2, {1, 2}, 1);
  document["sample_rate"] = nullptr;
  CHECK(load(document)->info.sample_rate_hz == 0);
  CHECK(load(document)->info.playing_rate_hz() == 48000);
  document.erase("sample_rate");
  CHECK(load(document)->info.warnings.size() == 1);
}

TEST_CASE("metadata is never fatal") {
  json document = nam_model(4, 2, {1, 2}, 1);
  for (const json& metadata : {json(7), json::array({1}), json{{"name", 3}}, json(nullptr)}) {
    document["metadata"] = metadata;
    CHECK(load(document)->info.name == "model");
  }
  document["metadata"] = {{"name", "Blue\x01s \"amp\""}};
  CHECK(load(document)->info.name == "Blues \"amp\"");
}

TEST_CASE("levels of the capture are told as the metadata claims them, and only numbers") {
  json document = nam_model(4, 2, {1, 2}, 1);
  CHECK(!load(document)->info.input_level_dbu.has_value());
  document["metadata"] = {{"input_level_dbu", 19}, {"output_level_dbu", "loud"}};
  CHECK(load(document)->info.input_level_dbu == 19.0);
  CHECK(!load(document)->info.output_level_dbu.has_value());
  document["metadata"] = {{"input_level_dbu", nullptr}, {"output_level_dbu", -2.5}};
  CHECK(!load(document)->info.input_level_dbu.has_value());
  CHECK(load(document)->info.output_level_dbu == -2.5);
}
