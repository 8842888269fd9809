#include "convolver.hpp"

#include <algorithm>

#include "kernels.hpp"

namespace amp::dsp {
namespace {

constexpr size_t kWindowFrames = 2 * kPartFrames;

}  // namespace

Convolver::Convolver(const std::vector<std::vector<float>>& response, Isa isa)
    : kernels_(spectrum_kernels(isa)),
      table_(transform_table()),
      responses_(static_cast<int>(response.size())),
      taps_(std::min(static_cast<int>(response.front().size()), kPartFrames)),
      parts_((static_cast<int>(response.front().size()) - taps_ + kPartFrames - 1) / kPartFrames) {
  const size_t bins = static_cast<size_t>(parts_) * kGroups;
  for (size_t r = 0; r < response.size(); ++r) {
    const std::vector<float>& taps = response[r];
    head_[r].assign(taps.begin(), taps.begin() + taps_);
    response_[r].resize(bins);
    for (int p = 0; p < parts_; ++p) {
      std::array<float, kWindowFrames> part{};
      const auto from = static_cast<size_t>(p + 1) * kPartFrames;
      const size_t count = std::min<size_t>(kPartFrames, taps.size() - from);
      for (size_t i = 0; i < count; ++i) part[i] = taps[from + i] / kBins;
      kernels_.forward(table_, part.data(), &response_[r][static_cast<size_t>(p)], parts_);
    }
  }
  for (size_t c = 0; c < 2; ++c) {
    windows_[c].resize(bins);
    heard_[c].resize(kWindowFrames + kSlackFrames);
    tail_[c].resize(kPartFrames + kSlackFrames);
  }
}

void Convolver::reset() noexcept AMP_RT {
  for (size_t c = 0; c < 2; ++c) {
    std::fill(windows_[c].begin(), windows_[c].end(), Bins<float>{});
    std::fill(heard_[c].begin(), heard_[c].end(), 0.0F);
    std::fill(tail_[c].begin(), tail_[c].end(), 0.0F);
  }
  width_ = 1;
  filled_ = 0;
  newest_ = 0;
}

/// One channel of sound was the same on both sides.
void Convolver::widen() noexcept AMP_RT {
  std::copy(windows_[0].begin(), windows_[0].end(), windows_[1].begin());
  std::copy(heard_[0].begin(), heard_[0].end(), heard_[1].begin());
  if (responses_ == 1) std::copy(tail_[0].begin(), tail_[0].end(), tail_[1].begin());
}

int Convolver::process(const std::array<float*, 2>& channel, int width,
                       int frames) noexcept AMP_RT {
  if (width > width_) widen();
  width_ = width;
  const int outs = std::max(width, responses_);
  std::array<std::array<float, kPartFrames + kSlackFrames>, 2> out;
  for (int at = 0; at < frames;) {
    const int count = std::min(frames - at, kPartFrames - filled_);
    FilterArgs<float> args{.ins = width, .responses = responses_, .taps = taps_, .frames = count};
    for (size_t c = 0; c < 2; ++c) {
      args.in[c] = heard_[c].data() + kPartFrames + filled_;
      args.response[c] = head_[c].data();
      args.out[c] = out[c].data();
      if (static_cast<int>(c) < width)
        std::copy_n(channel[c] + at, count, heard_[c].data() + kPartFrames + filled_);
    }
    kernels_.filter(args);
    for (size_t o = 0; o < static_cast<size_t>(outs); ++o) {
      const float* const tail = tail_[o].data() + filled_;
      for (int i = 0; i < count; ++i) channel[o][at + i] = out[o][static_cast<size_t>(i)] + tail[i];
    }
    filled_ += count;
    at += count;
    if (filled_ == kPartFrames) turn_part();
  }
  return outs;
}

void Convolver::turn_part() noexcept AMP_RT {
  filled_ = 0;
  if (parts_ > 0) {
    const int outs = std::max(width_, responses_);
    newest_ = (newest_ == 0 ? parts_ : newest_) - 1;
    std::array<std::array<Bins<float>, kGroups>, 2> sum;
    ProductArgs<float> args{
        .ins = width_, .responses = responses_, .parts = parts_, .newest = newest_};
    for (size_t c = 0; c < 2; ++c) {
      args.window[c] = windows_[c].data();
      args.response[c] = response_[c].data();
      args.out[c] = sum[c].data();
      if (static_cast<int>(c) < width_)
        kernels_.forward(table_, heard_[c].data(), windows_[c].data() + newest_, parts_);
    }
    kernels_.product(args);
    for (size_t o = 0; o < static_cast<size_t>(outs); ++o)
      kernels_.inverse(table_, sum[o].data(), tail_[o].data());
  }
  for (std::vector<float>& heard : heard_)
    std::copy_n(heard.begin() + kPartFrames, kPartFrames, heard.begin());
}

size_t Convolver::memory_bytes() const noexcept {
  size_t bytes = 0;
  for (size_t c = 0; c < 2; ++c)
    bytes += (head_[c].capacity() + heard_[c].capacity() + tail_[c].capacity()) * sizeof(float) +
             (response_[c].capacity() + windows_[c].capacity()) * sizeof(Bins<float>);
  return bytes;
}

}  // namespace amp::dsp
