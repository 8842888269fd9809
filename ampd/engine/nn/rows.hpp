#pragma once

#include <algorithm>
#include <new>
#include <vector>

#include "../dsp/rows.hpp"

namespace amp::nn {

template <class T>
struct RowAllocator {
  using value_type = T;
  static constexpr std::align_val_t kAlign{dsp::kRowBytes};

  RowAllocator() = default;
  template <class U>
  explicit RowAllocator(const RowAllocator<U>&) noexcept {}

  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), kAlign)); }
  void deallocate(T* values, size_t) noexcept { ::operator delete(values, kAlign); }
  bool operator==(const RowAllocator&) const = default;
};

/// What row kernels read and write: begins where dsp::kRowBytes wants it.
template <class Number>
using Rows = std::vector<Number, RowAllocator<Number>>;

/// `values` in runs of `channels`, each run padded with zeros as the row kernels want it.
template <class Number>
Rows<Number> pad_rows(const std::vector<float>& values, int channels) {
  const auto run = static_cast<size_t>(channels);
  const auto width = static_cast<size_t>(dsp::padded(channels));
  Rows<Number> rows(values.size() / run * width);
  for (size_t i = 0; i < values.size(); ++i)
    rows[i / run * width + i % run] = static_cast<Number>(values[i]);
  return rows;
}

/// A matrix [rows][gate][hidden] of a recurrent layer in the tiles of RecurrentArgs, which have
/// `tile_rows` rows; those that are more are zero.
template <class Number>
Rows<Number> tile_rows(const std::vector<float>& matrix, int gates, int hidden, int tile_rows) {
  const auto units = static_cast<size_t>(hidden);
  const auto run = static_cast<size_t>(dsp::kRowPad);
  const auto row = static_cast<size_t>(gates);
  Rows<Number> tiles(static_cast<size_t>(dsp::padded(hidden) * tile_rows) * row);
  for (size_t i = 0; i < matrix.size(); ++i) {
    const size_t unit = i % units;
    const size_t at = unit / run * static_cast<size_t>(tile_rows) * row + i / units;
    tiles[at * run + unit % run] = static_cast<Number>(matrix[i]);
  }
  return tiles;
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
  Rows<Number> rows_;
  Rows<Number> rest_;
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
        is_dot_(taps == 1 && run == 1 && bias.size() == 1),
        weight_(pad_rows<Number>(weight, is_dot_ ? ins : run)),
        bias_(pad_rows<Number>(bias, run)),
        ring_(ins, taps > 1 ? (taps - 1) * dilation : 0) {}

  void reset() noexcept AMP_RT { ring_.reset(); }
  void keep_rest() {
    if (taps_ > 1) ring_.keep_rest();
  }

  /// out = bias + weight * in: rows of width().
  void run(const Number* in, Number* out, int frames) noexcept AMP_RT {
    if (taps_ > 1) ring_.push(in, frames);
    const auto play = is_dot_ ? kernels_.dot : kernels_.multiply;
    for (int k = 0; k < taps_; ++k)
      play({.frames = frames,
            .ins = ins_,
            .width = width(),
            .in = taps_ > 1 ? ring_.back((taps_ - 1 - k) * dilation_) : in,
            .in_stride = ring_.width(),
            .weight = weight_.data() + static_cast<ptrdiff_t>(k) * ins_ * width(),
            .bias = k == 0 ? bias_.data() : nullptr,
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
  bool is_dot_;
  Rows<Number> weight_;
  Rows<Number> bias_;
  RowRing<Number> ring_;
};

}  // namespace amp::nn
