/// One execution of the loader as libFuzzer and replay.cpp run it.
#include <time.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "nn/model.hpp"

using namespace amp;

namespace {

/// Work that one execution may spend on playing, in multiply-adds: small files stay quick.
constexpr double kMostMacs = 2e6;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "HARNESS: %s\n", what);
  std::abort();
}

/// A refusal is one sentence that names the file.
void check_refusal(const std::string& text) {
  if (!text.starts_with("fuzz.nam: ")) fail("the refusal does not name the file");
  if (text.back() != '.') fail("the refusal is not a sentence");
  if (text.size() > 1000) fail("the refusal is longer than a sentence");
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20) fail("the refusal holds control characters");
}

/// Noise as loud as the one that the loader tries a model with: what it let through stays finite.
void play(nn::Net& net, int blocks, uint32_t random) {
  std::array<float, kMaxFrames> block{};
  for (int i = 0; i < blocks; ++i) {
    const int frames = 1 + (i * 37) % kMaxFrames;
    for (int t = 0; t < frames; ++t) {
      random = random * 1664525U + 1013904223U;
      block[static_cast<size_t>(t)] = static_cast<float>(random >> 8U) * 0x1p-24F - 0.5F;
    }
    net.process(block.data(), block.data(), frames);
    for (int t = 0; t < frames; ++t)
      if (!std::isfinite(block[static_cast<size_t>(t)])) fail("the output is not finite");
  }
}

void try_model(const nn::Model& model) {
  const nn::ModelInfo& info = model.info;
  if (info.receptive_field_frames < 1 || info.memory_frames < 0 || info.mac_per_sample < 0 ||
      info.weight_count < 0 || info.sample_rate_hz < 0)
    fail("the info holds a number below zero");
  const double macs = 1.0 + info.mac_per_sample;
  if (macs * 64 > kMostMacs) return;
  const auto net = model.make_net(dsp::best_isa());
  play(*net, 4, 1);
  net->set_knob(0, 1);
  net->set_quality(0, false);
  play(*net, 2, 2);
  net->reset();
  play(*net, 2, 3);
  net->set_quality(1, true);
  play(*net, 2, 3);
  if (net->memory_bytes() == 0) fail("the net says that it needs no memory");
  const double warm = macs * (info.receptive_field_frames + info.memory_frames);
  if (warm > kMostMacs / 4) return;
  play(*model.make_net(dsp::Isa::kScalar), 2, 4);
}

double cpu_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Of this thread, so that a machine which is busy elsewhere accuses no file.
  const double start = cpu_seconds();
  try {
    try_model(*nn::load_model({reinterpret_cast<const char*>(data), size}, "fuzz.nam"));
  } catch (const nn::LoadError& error) {
    check_refusal(error.what());
  }
  if (cpu_seconds() - start > 1) fail("one file took more than a second");
  return 0;
}
