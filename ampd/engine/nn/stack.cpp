#include "stack.hpp"

#include <array>
#include <cmath>

#include "rows.hpp"

namespace amp::nn {
namespace {

/// A layer in the number type that it is played in. Rows in, rows out, not the same ones.
template <class Number>
class Playing {
 public:
  Playing() = default;
  virtual ~Playing() = default;
  Playing(const Playing&) = delete;
  Playing& operator=(const Playing&) = delete;

  virtual void run(const Number* in, Number* out, int frames) noexcept AMP_RT = 0;
  virtual void reset() noexcept AMP_RT {}
  /// What reset goes back to from now on.
  virtual void keep_rest() {}
  [[nodiscard]] virtual size_t bytes() const noexcept = 0;
};

template <class Number>
class PlayingConv final : public Playing<Number> {
 public:
  PlayingConv(const ConvLayer& layer, const dsp::RowKernels<Number>& kernels)
      : conv_(layer.ins, layer.taps, layer.dilation, layer.weight, layer.bias, layer.outs,
              kernels) {}

  void run(const Number* in, Number* out, int frames) noexcept AMP_RT override {
    conv_.run(in, out, frames);
  }
  void reset() noexcept AMP_RT override { conv_.reset(); }
  void keep_rest() override { conv_.keep_rest(); }
  [[nodiscard]] size_t bytes() const noexcept override { return conv_.bytes(); }

 private:
  RowConv<Number> conv_;
};

template <class Number>
class PlayingRecurrent final : public Playing<Number> {
 public:
  PlayingRecurrent(const RecurrentLayer& layer, const dsp::RowKernels<Number>& kernels)
      : kernel_(layer.is_gru ? kernels.gru : kernels.lstm),
        ins_(layer.ins),
        hidden_(layer.hidden),
        width_(dsp::padded(layer.hidden)),
        bias_(tiles(layer, layer.bias, 1)),
        input_(tiles(layer, layer.weight, layer.ins)),
        weight_(tiles(layer, layer.recurrent, dsp::even(layer.hidden))),
        inner_(pad_rows<Number>(layer.inner, layer.hidden)),
        rest_h_(pad_rows<Number>(layer.h, layer.hidden)),
        rest_c_(pad_rows<Number>(layer.c, layer.hidden)) {
    rest_h_.resize(static_cast<size_t>(width_));
    rest_c_.resize(static_cast<size_t>(width_));
    h_ = rest_h_;
    c_ = rest_c_;
  }

  void run(const Number* in, Number* out, int frames) noexcept AMP_RT override {
    kernel_({.frames = frames,
             .ins = ins_,
             .hidden = hidden_,
             .width = width_,
             .in = in,
             .in_stride = dsp::padded(ins_),
             .bias = bias_.data(),
             .input = input_.data(),
             .weight = weight_.data(),
             .inner = inner_.data(),
             .start = h_.data(),
             .cell = c_.data(),
             .out = out});
    std::copy_n(out + static_cast<ptrdiff_t>(frames - 1) * width_, width_, h_.data());
  }

  void reset() noexcept AMP_RT override {
    std::copy(rest_h_.begin(), rest_h_.end(), h_.begin());
    std::copy(rest_c_.begin(), rest_c_.end(), c_.begin());
  }

  void keep_rest() override {
    rest_h_ = h_;
    rest_c_ = c_;
  }

  [[nodiscard]] size_t bytes() const noexcept override {
    return (bias_.size() + input_.size() + weight_.size() + inner_.size() + 4 * h_.size()) *
           sizeof(Number);
  }

 private:
  static Rows<Number> tiles(const RecurrentLayer& layer, const std::vector<float>& matrix,
                            int rows) {
    return tile_rows<Number>(matrix, layer.is_gru ? 3 : 4, layer.hidden, rows);
  }

  void (*kernel_)(const dsp::RecurrentArgs<Number>&) noexcept AMP_RT;
  int ins_;
  int hidden_;
  int width_;
  Rows<Number> bias_;
  Rows<Number> input_;
  Rows<Number> weight_;
  Rows<Number> inner_;
  Rows<Number> rest_h_;
  Rows<Number> rest_c_;
  Rows<Number> h_;
  Rows<Number> c_;
};

template <class Number>
class PlayingPoint final : public Playing<Number> {
 public:
  PlayingPoint(const PointLayer& layer, const dsp::RowKernels<Number>& kernels)
      : kernels_(kernels),
        kind_(layer.kind),
        channels_(layer.channels),
        width_(dsp::padded(layer.channels)),
        scale_(pad_rows<Number>(layer.scale, layer.channels)),
        shift_(pad_rows<Number>(layer.shift, layer.channels)) {}

  void run(const Number* in, Number* out, int frames) noexcept AMP_RT override {
    std::copy_n(in, frames * width_, out);
    if (kind_ == PointLayer::Kind::kTanh)
      kernels_.tanh(out, frames * width_);
    else if (kind_ == PointLayer::Kind::kSigmoid)
      kernels_.sigmoid(out, frames * width_);
    else
      for (int t = 0; t < frames; ++t) run_frame(out + t * width_);
  }

  [[nodiscard]] size_t bytes() const noexcept override {
    return (scale_.size() + shift_.size()) * sizeof(Number);
  }

 private:
  using Kind = PointLayer::Kind;

  void run_frame(Number* x) noexcept AMP_RT {
    if (kind_ == Kind::kSoftmax) {
      softmax(x);
      return;
    }
    for (int c = 0; c < channels_; ++c) x[c] = value(x[c], static_cast<size_t>(c));
  }

  Number value(Number x, size_t c) const noexcept AMP_RT {
    if (kind_ == Kind::kAffine) return x * scale_[c] + shift_[c];
    if (x > 0) return x;
    if (kind_ == Kind::kPrelu) return x * scale_[c];
    return kind_ == Kind::kElu ? std::expm1(x) : 0;
  }

  void softmax(Number* x) const noexcept AMP_RT {
    const Number highest = *std::max_element(x, x + channels_);
    Number sum = 0;
    for (int c = 0; c < channels_; ++c) {
      x[c] = std::exp(x[c] - highest);
      sum += x[c];
    }
    for (int c = 0; c < channels_; ++c) x[c] /= sum;
  }

  const dsp::RowKernels<Number>& kernels_;
  Kind kind_;
  int channels_;
  int width_;
  Rows<Number> scale_;
  Rows<Number> shift_;
};

template <class Number>
struct MakePlaying {
  const dsp::RowKernels<Number>& kernels;
  using Made = std::unique_ptr<Playing<Number>>;

  Made operator()(const ConvLayer& layer) const {
    return std::make_unique<PlayingConv<Number>>(layer, kernels);
  }
  Made operator()(const RecurrentLayer& layer) const {
    return std::make_unique<PlayingRecurrent<Number>>(layer, kernels);
  }
  Made operator()(const PointLayer& layer) const {
    return std::make_unique<PlayingPoint<Number>>(layer, kernels);
  }
};

int outs_of(const StackLayer& layer) {
  if (const auto* conv = std::get_if<ConvLayer>(&layer)) return conv->outs;
  if (const auto* recurrent = std::get_if<RecurrentLayer>(&layer)) return recurrent->hidden;
  return std::get<PointLayer>(layer).channels;
}

template <class Number>
class StackNet final : public Net {
 public:
  StackNet(const StackSpec& spec, dsp::Isa isa) : spec_(spec), row_(dsp::padded(1 + spec.knobs)) {
    int widest = row_;
    for (const StackLayer& layer : spec_.layers) {
      layers_.push_back(std::visit(MakePlaying<Number>{dsp::row_kernels_of<Number>(isa)}, layer));
      widths_.push_back(dsp::padded(outs_of(layer)));
      widest = std::max(widest, widths_.back());
    }
    for (auto& rows : rows_) rows.resize(static_cast<size_t>(widest) * kMaxFrames);
    knobs_.fill(0.5F);
    prewarm();
  }

  void reset() noexcept AMP_RT override {
    for (const auto& layer : layers_) layer->reset();
  }

  void set_knob(int knob, float value) noexcept AMP_RT override {
    if (knob >= 0 && knob < spec_.knobs) knobs_[static_cast<size_t>(knob)] = value;
  }

  void process(const float* in, float* out, int frames) noexcept AMP_RT override {
    Number* now = rows_[0].data();
    Number* next = rows_[1].data();
    std::fill_n(now, frames * row_, Number{0});
    for (int t = 0; t < frames; ++t) {
      now[t * row_] = static_cast<Number>(in[t]) * static_cast<Number>(spec_.in_gain);
      for (int k = 0; k < spec_.knobs; ++k)
        now[t * row_ + 1 + k] = static_cast<Number>(knobs_[static_cast<size_t>(k)]);
    }
    for (const auto& layer : layers_) {
      layer->run(now, next, frames);
      std::swap(now, next);
    }
    const int width = widths_.back();
    const auto in_gain = static_cast<Number>(spec_.skip ? spec_.in_gain : 0.0F);
    const auto out_gain = static_cast<Number>(spec_.out_gain);
    for (int t = 0; t < frames; ++t)
      out[t] =
          static_cast<float>(out_gain * (now[t * width] + in_gain * static_cast<Number>(in[t])));
  }

  [[nodiscard]] size_t memory_bytes() const noexcept override {
    size_t bytes = 2 * rows_[0].size() * sizeof(Number);
    for (const auto& layer : layers_) bytes += layer->bytes();
    return bytes;
  }

 private:
  void prewarm() {
    if (spec_.prewarm_frames == 0) return;
    const FtzGuard ftz;
    const std::array<float, kMaxFrames> silence{};
    std::array<float, kMaxFrames> out{};
    for (int done = 0; done < spec_.prewarm_frames; done += kMaxFrames)
      StackNet::process(silence.data(), out.data(),
                        std::min(kMaxFrames, spec_.prewarm_frames - done));
    for (const auto& layer : layers_) layer->keep_rest();
  }

  const StackSpec& spec_;
  int row_;
  std::vector<std::unique_ptr<Playing<Number>>> layers_;
  std::vector<int> widths_;
  std::array<Rows<Number>, 2> rows_;
  std::array<float, kMostKnobs> knobs_{};
};

void measure(ModelInfo& info, const StackLayer& layer, bool& settles) {
  size_t weights = 0;
  size_t macs = 0;
  if (const auto* conv = std::get_if<ConvLayer>(&layer)) {
    info.receptive_field_frames += (conv->taps - 1) * conv->dilation;
    macs = conv->weight.size();
    weights = macs + conv->bias.size();
  } else if (const auto* cell = std::get_if<RecurrentLayer>(&layer)) {
    settles = true;
    macs = cell->weight.size() + cell->recurrent.size();
    weights = macs + cell->bias.size() + cell->inner.size();
  } else {
    const auto& point = std::get<PointLayer>(layer);
    weights = point.scale.size() + point.shift.size();
  }
  info.mac_per_sample += static_cast<int>(macs);
  info.weight_count += static_cast<int>(weights);
}

ModelInfo measure(ModelInfo info, const StackSpec& spec) {
  bool settles = false;
  info.receptive_field_frames = 1;
  for (const StackLayer& layer : spec.layers) measure(info, layer, settles);
  if (settles) info.memory_frames = info.receptive_field_frames + info.playing_rate_hz() / 2;
  for (int k = 1; k <= spec.knobs; ++k) info.knobs.push_back("knob_" + std::to_string(k));
  return info;
}

}  // namespace

StackModel::StackModel(ModelInfo model_info, StackSpec stack)
    : Model(measure(std::move(model_info), stack)), spec(std::move(stack)) {}

std::unique_ptr<Net> StackModel::make_net(dsp::Isa isa) const {
  if (isa == dsp::Isa::kScalar) return std::make_unique<StackNet<double>>(spec, isa);
  return std::make_unique<StackNet<float>>(spec, isa);
}

}  // namespace amp::nn
