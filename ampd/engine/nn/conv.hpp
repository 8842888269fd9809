#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <vector>

#include "../dsp/isa.hpp"
#include "../rt.hpp"

namespace amp::nn {

/// A causal convolution as files say it.
struct ConvSpec {
  int ins = 1;
  int outs = 1;
  int kernel = 1;
  int dilation = 1;
  int groups = 1;
  bool has_bias = true;
  std::vector<float> weight;  ///< [outs][ins / groups][kernel], oldest tap first
  std::vector<float> bias;    ///< [outs] where has_bias

  [[nodiscard]] long history_frames() const { return (kernel - 1L) * dilation; }
  [[nodiscard]] long weight_count() const {
    return static_cast<long>(outs) * (ins / groups) * kernel;
  }
  [[nodiscard]] long bias_count() const { return has_bias ? outs : 0; }
};

/// Planes of dsp::kPlaneFrames for a block of every channel, zeroed.
template <typename T>
std::vector<T> make_planes(int channels) {
  return std::vector<T>(static_cast<size_t>(channels) * dsp::kPlaneFrames);
}

/// The last frames of some planes. The first of a plane stand again behind its end, so that a tap
/// reads a block in one piece wherever it starts.
template <typename T>
class History {
 public:
  History(int channels, long frames)
      : channels_(channels),
        length_(static_cast<int>(frames) + kMaxFrames),
        stride_(length_ + dsp::kPlaneFrames),
        data_(static_cast<size_t>(channels) * static_cast<size_t>(stride_)) {}

  /// Every frame ever heard was as the first of `in`.
  void settle(const T* in) noexcept AMP_RT {
    at_ = 0;
    for (int c = 0; c < channels_; ++c)
      std::fill_n(plane(c), stride_, in[static_cast<ptrdiff_t>(c) * dsp::kPlaneFrames]);
  }

  void push(const T* in, int frames) noexcept AMP_RT {
    const int over = at_ + frames - length_;
    const int front = std::min(at_ + frames, kMaxFrames) - at_;
    for (int c = 0; c < channels_; ++c) {
      T* const p = plane(c);
      std::copy_n(in + static_cast<ptrdiff_t>(c) * dsp::kPlaneFrames, frames, p + at_);
      if (over > 0) std::copy_n(p + length_, over, p);
      if (front > 0) std::copy_n(p + at_, front, p + length_ + at_);
    }
  }

  /// Plane 0 of the block that was pushed, as it was `frames` ago.
  [[nodiscard]] const T* back(int frames) const noexcept AMP_RT {
    const int from = at_ - frames;
    return data_.data() + (from < 0 ? from + length_ : from);
  }

  void advance(int frames) noexcept AMP_RT {
    at_ += frames;
    if (at_ >= length_) at_ -= length_;
  }

  [[nodiscard]] int stride() const noexcept AMP_RT { return stride_; }
  [[nodiscard]] size_t bytes() const noexcept { return data_.size() * sizeof(T); }

 private:
  T* plane(int c) noexcept AMP_RT { return data_.data() + static_cast<ptrdiff_t>(c) * stride_; }

  int channels_;
  int length_;
  int stride_;
  int at_ = 0;
  std::vector<T> data_;
};

/// A playing convolution: float on the kernels of an instruction set, double in plain loops, which
/// is the truth. The spec must outlive it. Thread: the owner's.
template <typename T>
class Conv {
 public:
  Conv(const ConvSpec& spec, const dsp::Kernels& kernels)
      : spec_(&spec),
        kernels_(&kernels),
        history_(spec.kernel > 1 ? spec.ins : 0, spec.kernel > 1 ? spec.history_frames() : 0),
        taps_(static_cast<size_t>(spec.kernel)) {
    if constexpr (std::is_same_v<T, float>) pack();
  }

  /// in, out: planes of dsp::kPlaneFrames that do not overlap. `settle`: the one frame of `in` is
  /// what was heard forever.
  void run(const T* in, T* out, int frames, bool settle) noexcept AMP_RT {
    if (spec_->kernel == 1) {
      taps_[0] = in;
      return sum(dsp::kPlaneFrames, out, frames);
    }
    if (settle)
      history_.settle(in);
    else
      history_.push(in, frames);
    for (int k = 0; k < spec_->kernel; ++k)
      taps_[static_cast<size_t>(k)] = history_.back((spec_->kernel - 1 - k) * spec_->dilation);
    sum(history_.stride(), out, frames);
    if (!settle) history_.advance(frames);
  }

  [[nodiscard]] int outs() const noexcept AMP_RT { return spec_->outs; }
  [[nodiscard]] size_t bytes() const noexcept {
    return history_.bytes() + packed_.size() * sizeof(float);
  }

 private:
  void pack() {
    const int outs = spec_->outs / spec_->groups;
    const int row = spec_->ins / spec_->groups * spec_->kernel;
    const ptrdiff_t size = static_cast<ptrdiff_t>(outs) * row;
    for (int g = 0; g < spec_->groups; ++g) {
      const auto begin = spec_->weight.begin() + g * size;
      const std::vector<float> tiles =
          dsp::pack_tiles({begin, begin + size}, outs, row, kernels_->widest_tile);
      packed_.insert(packed_.end(), tiles.begin(), tiles.end());
    }
  }

  void sum(int stride, T* out, int frames) noexcept AMP_RT {
    const int ins = spec_->ins / spec_->groups;
    const int outs = spec_->outs / spec_->groups;
    for (int g = 0; g < spec_->groups; ++g) {
      group(g, ins, outs, stride, out + static_cast<ptrdiff_t>(g) * outs * dsp::kPlaneFrames,
            frames);
      for (const T*& tap : taps_) tap += static_cast<ptrdiff_t>(ins) * stride;
    }
  }

  void group(int g, int ins, int outs, int stride, T* out, int frames) noexcept AMP_RT {
    const size_t size = static_cast<size_t>(outs) * static_cast<size_t>(ins) * taps_.size();
    const size_t from = static_cast<size_t>(g) * size;
    const float* const bias =
        spec_->has_bias ? spec_->bias.data() + static_cast<ptrdiff_t>(g) * outs : nullptr;
    if constexpr (std::is_same_v<T, float>)
      kernels_->conv({.in_channels = ins,
                      .out_channels = outs,
                      .taps = spec_->kernel,
                      .frames = frames,
                      .x = taps_.data(),
                      .x_stride = stride,
                      .weight = packed_.data() + from,
                      .bias = bias,
                      .out = out,
                      .out_stride = dsp::kPlaneFrames});
    else
      plain(spec_->weight.data() + from, bias, ins, outs, stride, out, frames);
  }

  void plain(const float* weight, const float* bias, int ins, int outs, int stride, T* out,
             int frames) noexcept AMP_RT {
    for (int o = 0; o < outs; ++o, out += dsp::kPlaneFrames) {
      std::fill_n(out, frames, bias != nullptr ? T(bias[o]) : T(0));
      for (int i = 0; i < ins; ++i)
        for (const T* tap : taps_) {
          const T w = T(*weight++);
          const T* const x = tap + static_cast<ptrdiff_t>(i) * stride;
          for (int t = 0; t < frames; ++t) out[t] += w * x[t];
        }
    }
  }

  const ConvSpec* spec_;
  const dsp::Kernels* kernels_;
  History<T> history_;
  std::vector<const T*> taps_;
  std::vector<float> packed_;
};

}  // namespace amp::nn
