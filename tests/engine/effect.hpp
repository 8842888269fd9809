#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "blocks/table.hpp"

namespace amp::test {

/// What a block gives: both sides, the right one empty as long as it is mono.
struct Sound {
  std::vector<float> left;
  std::vector<float> right;
};

/// One block alone, without a chain around it. Denormals are flushed, as a host does.
class Effect {
 public:
  explicit Effect(const std::string& kind, int sample_rate_hz = 48000) {
    BuildContext context;
    context.sample_rate_hz = sample_rate_hz;
    block_ = make_block({.kind = kind, .name = kind, .values = {}, .model = ""}, context);
  }

  Block& operator*() { return *block_; }
  Block* operator->() { return block_.get(); }

  void set(const std::string& name, float value, bool jump = true) {
    const std::span<const ParamInfo> params = block_->params();
    for (size_t p = 0; p < params.size(); ++p)
      if (name == params[p].name) {
        REQUIRE(value >= params[p].minimum);
        REQUIRE(value <= params[p].maximum);
        return block_->set(static_cast<int>(p), value, jump);
      }
    FAIL("no param " << name);
  }

  /// right, clean: empty, or as long as `left`.
  Sound play(const std::vector<float>& left, int most_frames = kMaxFrames,
             const std::vector<float>& right = {}, const std::vector<float>& clean = {}) {
    const FtzGuard guard;
    Sound out;
    for (size_t at = 0; at < left.size(); at += static_cast<size_t>(most_frames)) {
      const size_t frames = std::min(static_cast<size_t>(most_frames), left.size() - at);
      std::array<std::array<float, kMaxFrames>, 2> side{};
      std::copy_n(&left[at], frames, side[0].data());
      if (!right.empty()) std::copy_n(&right[at], frames, side[1].data());
      Signal signal{.channel = {side[0].data(), side[1].data()},
                    .width = right.empty() ? 1 : 2,
                    .frames = static_cast<int>(frames),
                    .clean = clean.empty() ? nullptr : &clean[at]};
      block_->process(signal);
      out.left.insert(out.left.end(), side[0].data(), side[0].data() + frames);
      if (signal.width == 2)
        out.right.insert(out.right.end(), side[1].data(), side[1].data() + frames);
    }
    return out;
  }

 private:
  std::unique_ptr<Block> block_;
};

inline std::vector<float> sine(size_t frames, double hz, double peak, double rate_hz = 48000) {
  std::vector<float> wave(frames);
  for (size_t i = 0; i < frames; ++i)
    wave[i] = static_cast<float>(
        peak * std::sin(2 * 3.14159265358979323846 * hz * static_cast<double>(i) / rate_hz));
  return wave;
}

inline std::vector<float> click(size_t frames) {
  std::vector<float> wave(frames);
  wave[0] = 1;
  return wave;
}

inline float largest_step(const std::vector<float>& wave) {
  float step = 0;
  for (size_t i = 1; i < wave.size(); ++i) step = std::max(step, std::abs(wave[i] - wave[i - 1]));
  return step;
}

/// The most that a step differs from the one before: of a low note next to nothing, of a click all.
inline float sharpest_bend(const std::vector<float>& wave) {
  float bend = 0;
  for (size_t i = 2; i < wave.size(); ++i)
    bend = std::max(bend, std::abs(wave[i] - 2 * wave[i - 1] + wave[i - 2]));
  return bend;
}

}  // namespace amp::test
