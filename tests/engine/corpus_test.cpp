// Models of the wild against the reference outputs of ../shared/model-corpus, with no Python, so
// that they are played wherever the engine's tests run.

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>

#include "dsp/isa.hpp"
#include "fixtures.hpp"
#include "offline.hpp"

using namespace amp;
using nlohmann::json;
namespace fs = std::filesystem;

namespace {

const fs::path kCorpus = AMP_CORPUS;
constexpr size_t kChaoticFrames = 2400;  // 50 ms: until float32 and float64 part

std::string bytes_of(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// The float32 samples of a .npy or .wav: all that follows its header.
std::vector<float> samples_of(const fs::path& path) {
  const std::string bytes = bytes_of(path);
  size_t start = 0;
  if (path.extension() == ".npy") {
    REQUIRE(bytes.find("'descr': '<f4'") != std::string::npos);
    start = 10 + static_cast<uint8_t>(bytes.at(8)) + 256 * static_cast<uint8_t>(bytes.at(9));
  } else {
    start = bytes.find("data") + 8;
  }
  REQUIRE(start < bytes.size());
  std::vector<float> samples((bytes.size() - start) / sizeof(float));
  std::memcpy(samples.data(), &bytes[start], samples.size() * sizeof(float));
  return samples;
}

/// AMP_CORPUS_FRAMES limits what is played of each, for machines that are emulated.
size_t most_frames() {
  const char* const text = std::getenv("AMP_CORPUS_FRAMES");
  return text == nullptr ? SIZE_MAX : std::stoul(text);
}

/// Absolute, as the references themselves support; a Linear's peak is far above 1.
double allowed(const json& row, const std::vector<float>& golden) {
  const std::string family = row.at("family");
  const std::string architecture = row.value("architecture", json()).is_string()
                                       ? row.at("architecture").get<std::string>()
                                       : std::string();
  if (architecture == "Linear") return 1e-5 * static_cast<double>(test::peak(golden));
  if (architecture == "LSTM") return 1e-4;
  return family == "nam" || family == "pedalnet" ? 5e-5 : 2e-4;
}

void check_row(const json& row, const std::vector<float>& input) {
  const std::vector<float> golden = samples_of(kCorpus / row.at("golden").get<std::string>());
  const size_t frames = std::min({golden.size(), input.size(), most_frames(),
                                  row.value("chaotic", false) ? kChaoticFrames : golden.size()});
  std::vector<float> found(frames);
  play_model((kCorpus / row.at("file").get<std::string>()).string(), dsp::best_isa(), input.data(),
             found.data(), static_cast<int64_t>(frames), kMaxFrames, 0);
  double worst = 0;
  for (size_t i = 0; i < frames; ++i) {
    const double difference = std::abs(static_cast<double>(found[i]) - golden[i]);
    worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
  }
  CAPTURE(row.at("file").get<std::string>());
  CHECK(worst <= allowed(row, golden));
}

}  // namespace

TEST_CASE("every model of the corpus matches its golden") {
  if (!fs::exists(kCorpus / "index.json")) {
    MESSAGE("skipped: shared/model-corpus is absent");
    return;
  }
  const std::vector<float> input = samples_of(kCorpus / "golden" / "input.wav");
  const json index = json::parse(bytes_of(kCorpus / "index.json"));
  int played = 0;
  for (const json& row : index.at("models"))
    if (row.at("golden").is_string()) {
      check_row(row, input);
      ++played;
    }
  CHECK(played > 0);
}
