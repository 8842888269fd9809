#pragma once

#include <algorithm>
#include <vector>

#include "../dsp/rows.hpp"

namespace amp::nn {

/// `values` in runs of `channels`, each run padded with zeros as the row kernels want it.
template <class Number>
std::vector<Number> pad_rows(const std::vector<float>& values, int channels) {
  const auto run = static_cast<size_t>(channels);
  const auto width = static_cast<size_t>(dsp::padded(channels));
  std::vector<Number> rows(values.size() / run * width);
  for (size_t i = 0; i < values.size(); ++i)
    rows[i / run * width + i % run] = static_cast<Number>(values[i]);
  return rows;
}

/// The last rows that a dilated convolution heard. Each is written twice, one length apart, so that
/// a block is read in one piece wherever it starts.
template <class Number>
class RowRing {
 public:
  RowRing(int channels, int history_frames)
      : width_(dsp::padded(channels)),
        length_(history_frames + kMaxFrames),
        rows_(2 * static_cast<size_t>(length_) * static_cast<size_t>(width_)) {}

  void reset() noexcept AMP_RT {
    if (rest_.empty())
      std::fill(rows_.begin(), rows_.end(), Number{0});
    else
      std::copy(rest_.begin(), rest_.end(), rows_.begin());
    at_ = rest_at_;
  }

  /// Let reset go back to what was heard until now, not to zero. It allocates.
  void keep_rest() {
    rest_ = rows_;
    rest_at_ = at_;
  }

  /// Take a block of 1 to kMaxFrames rows; they are what back(0) gives.
  void push(const Number* in, int frames) noexcept AMP_RT {
    newest_ = at_;
    for (int t = 0; t < frames; ++t) {
      std::copy_n(in + t * width_, width_, row(at_));
      std::copy_n(in + t * width_, width_, row(at_ + length_));
      at_ = at_ + 1 == length_ ? 0 : at_ + 1;
    }
  }

  /// The newest block as it was `frames` frames earlier; at most history_frames.
  [[nodiscard]] const Number* back(int frames) noexcept AMP_RT {
    const int from = newest_ - frames;
    return row(from < 0 ? from + length_ : from);
  }

  [[nodiscard]] int width() const noexcept AMP_RT { return width_; }
  [[nodiscard]] size_t bytes() const noexcept {
    return (rows_.size() + rest_.size()) * sizeof(Number);
  }

 private:
  Number* row(int index) noexcept AMP_RT {
    return rows_.data() + static_cast<ptrdiff_t>(index) * width_;
  }

  int width_;
  int length_;
  int at_ = 0;
  int newest_ = 0;
  int rest_at_ = 0;
  std::vector<Number> rows_;
  std::vector<Number> rest_;
};

/// A convolution with its past, in the number type that it is played in; one tap is a dense layer.
template <class Number>
class RowConv {
 public:
  /// weight [taps][ins][outs], oldest tap first, and bias [outs], in runs of `run` channels.
  RowConv(int ins, int taps, int dilation, const std::vector<float>& weight,
          const std::vector<float>& bias, int run, const dsp::RowKernels<Number>& kernels)
      : kernels_(kernels),
        ins_(ins),
        taps_(taps),
        dilation_(dilation),
        weight_(pad_rows<Number>(weight, run)),
        bias_(pad_rows<Number>(bias, run)),
        ring_(ins, taps > 1 ? (taps - 1) * dilation : 0) {}

  void reset() noexcept AMP_RT { ring_.reset(); }
  void keep_rest() {
    if (taps_ > 1) ring_.keep_rest();
  }

  /// out = bias + weight * in: rows of width().
  void run(const Number* in, Number* out, int frames) noexcept AMP_RT {
    for (int t = 0; t < frames; ++t) std::copy_n(bias_.data(), width(), out + t * width());
    if (taps_ > 1) ring_.push(in, frames);
    for (int k = 0; k < taps_; ++k)
      kernels_.multiply({.frames = frames,
                         .ins = ins_,
                         .width = width(),
                         .in = taps_ > 1 ? ring_.back((taps_ - 1 - k) * dilation_) : in,
                         .in_stride = ring_.width(),
                         .weight = weight_.data() + static_cast<ptrdiff_t>(k) * ins_ * width(),
                         .out = out});
  }

  [[nodiscard]] int width() const noexcept AMP_RT { return static_cast<int>(bias_.size()); }
  [[nodiscard]] size_t bytes() const noexcept {
    return ring_.bytes() + (weight_.size() + bias_.size()) * sizeof(Number);
  }

 private:
  const dsp::RowKernels<Number>& kernels_;
  int ins_;
  int taps_;
  int dilation_;
  std::vector<Number> weight_;
  std::vector<Number> bias_;
  RowRing<Number> ring_;
};

}  // namespace amp::nn
