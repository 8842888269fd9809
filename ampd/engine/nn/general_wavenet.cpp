#include "general_wavenet.hpp"

namespace amp::nn {
namespace {

constexpr ptrdiff_t kStride = dsp::kPlaneFrames;

/// What the layers of a net share: planes that hold nothing from one layer to the next.
template <typename T>
struct Scratch {
  std::vector<T> z, other, modulated, film;
};

template <typename T>
void add(T* to, const T* from, int channels, int frames) noexcept AMP_RT {
  for (int c = 0; c < channels; ++c, to += kStride, from += kStride)
    for (int t = 0; t < frames; ++t) to[t] += from[t];
}

template <typename T>
class FilmStage {
 public:
  FilmStage(const FilmSpec& spec, const dsp::Kernels& kernels)
      : conv_(spec.conv, kernels),
        shift_(spec.shift),
        width_(spec.shift ? spec.conv.outs / 2 : spec.conv.outs) {}

  /// values: planes, modulated in place.
  void run(T* values, const T* condition, Scratch<T>& scratch, int frames) noexcept AMP_RT {
    conv_.run(condition, scratch.film.data(), frames, false);
    const T* scale = scratch.film.data();
    const T* shift = scale + width_ * kStride;
    for (int c = 0; c < width_; ++c, values += kStride, scale += kStride, shift += kStride) {
      for (int t = 0; t < frames; ++t) values[t] *= scale[t];
      if (!shift_) continue;
      for (int t = 0; t < frames; ++t) values[t] += shift[t];
    }
  }

  /// The same for values that must stay as they are; returns where the result is.
  const T* copy(const T* values, const T* condition, Scratch<T>& scratch,
                int frames) noexcept AMP_RT {
    std::copy_n(values, width_ * kStride, scratch.modulated.data());
    run(scratch.modulated.data(), condition, scratch, frames);
    return scratch.modulated.data();
  }

  [[nodiscard]] size_t bytes() const noexcept { return conv_.bytes(); }

 private:
  Conv<T> conv_;
  bool shift_;
  int width_;
};

template <typename T>
class LayerStage {
 public:
  LayerStage(const GeneralLayer& spec, const dsp::Kernels& kernels)
      : spec_(&spec), conv_(spec.conv, kernels), mixin_(spec.mixin, kernels) {
    if (spec.layer1x1) layer1x1_.emplace(*spec.layer1x1, kernels);
    if (spec.head1x1) head1x1_.emplace(*spec.head1x1, kernels);
    for (size_t i = 0; i < kFilmCount; ++i)
      if (const std::optional<FilmSpec>& film = spec.films[i]; film)
        films_[i].emplace(*film, kernels);
  }

  /// x: the stream, head: the sum of heads; both are added to.
  void run(T* x, const T* condition, T* head, Scratch<T>& scratch, int frames,
           bool settle) noexcept AMP_RT {
    T* const z = scratch.z.data();
    T* const other = scratch.other.data();
    const auto film = [&](Film place, T* values) {
      if (std::optional<FilmStage<T>>& one = films_[place]; one)
        one->run(values, condition, scratch, frames);
    };
    const auto copy = [&](Film place, const T* values) {
      std::optional<FilmStage<T>>& one = films_[place];
      return one ? one->copy(values, condition, scratch, frames) : values;
    };
    conv_.run(copy(kConvPre, x), z, frames, settle);
    film(kConvPost, z);
    mixin_.run(copy(kMixinPre, condition), other, frames, settle);
    film(kMixinPost, other);
    add(z, other, conv_.outs(), frames);
    film(kActivationPre, z);
    gate(z, other, frames);
    film(kActivationPost, z);
    if (head1x1_) {
      head1x1_->run(z, other, frames, settle);
      film(kHead1x1Post, other);
    }
    add(head, head1x1_ ? other : z, head1x1_ ? head1x1_->outs() : spec_->bottleneck, frames);
    if (!layer1x1_) return;
    layer1x1_->run(z, other, frames, settle);
    if (spec_->gating == Gating::kBlended) film(kLayer1x1Post, other);  // as Core has it
    add(x, other, layer1x1_->outs(), frames);
  }

  [[nodiscard]] size_t bytes() const noexcept {
    size_t total = conv_.bytes() + mixin_.bytes();
    if (layer1x1_) total += layer1x1_->bytes();
    if (head1x1_) total += head1x1_->bytes();
    for (const auto& film : films_)
      if (film) total += film->bytes();
    return total;
  }

 private:
  void gate(T* z, T* before, int frames) noexcept AMP_RT {
    const int width = spec_->bottleneck;
    const bool blended = spec_->gating == Gating::kBlended;
    if (blended) std::copy_n(z, width * kStride, before);
    activate(spec_->activation, z, width, frames);
    if (spec_->gating == Gating::kNone) return;
    T* gates = z + width * kStride;
    activate(spec_->secondary, gates, width, frames);
    for (int c = 0; c < width; ++c, z += kStride, gates += kStride, before += kStride)
      for (int t = 0; t < frames; ++t)
        z[t] = blended ? gates[t] * z[t] + (T(1) - gates[t]) * before[t] : gates[t] * z[t];
  }

  const GeneralLayer* spec_;
  Conv<T> conv_;
  Conv<T> mixin_;
  std::optional<Conv<T>> layer1x1_;
  std::optional<Conv<T>> head1x1_;
  std::array<std::optional<FilmStage<T>>, kFilmCount> films_;
};

template <typename T>
struct ArrayStage {
  Conv<T> rechannel;
  std::vector<LayerStage<T>> layers;
  Conv<T> head;
  std::vector<T> stream;  ///< planes of the array's channels
  std::vector<T> sum;     ///< planes of what the head hears
  std::vector<T> out;     ///< planes of what it says
};

template <typename T>
class WaveNetStage {
 public:
  WaveNetStage(const GeneralSpec& spec, dsp::Isa isa)
      : spec_(spec), post_(spec.post_head, dsp::kernels(isa)) {
    if (spec.condition) condition_ = std::make_unique<WaveNetStage>(*spec.condition, isa);
    if (spec.condition_model) foreign_ = spec.condition_model->make_net(isa);
    foreign_out_ = make_planes<T>(1);
    int widest = 1;
    for (const ConvSpec* conv : spec.convs()) widest = std::max({widest, conv->ins, conv->outs});
    for (auto* planes : {&scratch_.z, &scratch_.other, &scratch_.modulated, &scratch_.film})
      *planes = make_planes<T>(widest);
    for (const GeneralArray& array : spec.arrays) build(array, dsp::kernels(isa));
  }

  /// in: one plane. Returns planes, as many as the spec has outputs.
  const T* run(const T* in, int frames, bool settle) noexcept AMP_RT {
    const T* const condition = make_condition(in, frames, settle);
    const T* stream = in;
    const ArrayStage<T>* before = nullptr;
    for (ArrayStage<T>& array : arrays_) {
      array.rechannel.run(stream, array.stream.data(), frames, settle);
      if (before != nullptr)
        std::copy(before->out.begin(), before->out.end(), array.sum.begin());
      else
        std::fill(array.sum.begin(), array.sum.end(), T(0));
      for (LayerStage<T>& layer : array.layers)
        layer.run(array.stream.data(), condition, array.sum.data(), scratch_, frames, settle);
      array.head.run(array.sum.data(), array.out.data(), frames, settle);
      stream = array.stream.data();
      before = &array;
    }
    std::vector<T>& out = arrays_.back().out;
    for (T& value : out) value *= T(spec_.head_scale);
    return post_.run(out.data(), frames, settle);
  }

  /// Everything before was silence.
  void settle() noexcept AMP_RT {
    const T silence[dsp::kPlaneFrames]{};
    if (condition_) condition_->settle();
    if (foreign_) foreign_->reset();
    run(silence, 1, true);
  }

  [[nodiscard]] size_t bytes() const noexcept {
    size_t total = post_.bytes() + 4 * scratch_.z.size() * sizeof(T);
    if (condition_) total += condition_->bytes();
    if (foreign_) total += foreign_->memory_bytes();
    for (const ArrayStage<T>& array : arrays_) {
      total += array.rechannel.bytes() + array.head.bytes();
      total += (array.stream.size() + array.sum.size() + array.out.size()) * sizeof(T);
      for (const LayerStage<T>& layer : array.layers) total += layer.bytes();
    }
    return total;
  }

 private:
  void build(const GeneralArray& from, const dsp::Kernels& kernels) {
    ArrayStage<T>& array = arrays_.emplace_back(ArrayStage<T>{.rechannel{from.rechannel, kernels},
                                                              .layers{},
                                                              .head{from.head, kernels},
                                                              .stream{},
                                                              .sum{},
                                                              .out{}});
    array.layers.reserve(from.layers.size());
    for (const GeneralLayer& layer : from.layers) array.layers.emplace_back(layer, kernels);
    array.stream = make_planes<T>(from.rechannel.outs);
    array.sum = make_planes<T>(from.head.ins);
    array.out = make_planes<T>(from.head.outs);
  }

  const T* make_condition(const T* in, int frames, bool settle) noexcept AMP_RT {
    if (condition_) return condition_->run(in, frames, settle);
    if (!foreign_) return in;
    std::array<float, kMaxFrames> block{};
    for (int t = 0; t < frames; ++t) block[static_cast<size_t>(t)] = static_cast<float>(in[t]);
    foreign_->process(block.data(), block.data(), frames);
    std::copy_n(block.data(), frames, foreign_out_.data());
    return foreign_out_.data();
  }

  const GeneralSpec& spec_;
  std::unique_ptr<WaveNetStage> condition_;
  std::unique_ptr<Net> foreign_;
  std::vector<T> foreign_out_;
  std::vector<ArrayStage<T>> arrays_;
  ConvStack<T> post_;
  Scratch<T> scratch_;
};

template <typename T>
class GeneralNet final : public Net {
 public:
  GeneralNet(const GeneralSpec& spec, dsp::Isa isa) : stage_(spec, isa), in_(make_planes<T>(1)) {
    stage_.settle();
  }

  void reset() noexcept AMP_RT override { stage_.settle(); }

  void process(const float* in, float* out, int frames) noexcept AMP_RT override {
    std::copy_n(in, frames, in_.data());
    const T* const result = stage_.run(in_.data(), frames, false);
    for (int t = 0; t < frames; ++t) out[t] = static_cast<float>(result[t]);
  }

  [[nodiscard]] size_t memory_bytes() const noexcept override { return stage_.bytes(); }

 private:
  WaveNetStage<T> stage_;
  std::vector<T> in_;
};

}  // namespace

std::vector<ConvSpec*> GeneralSpec::convs() {
  std::vector<ConvSpec*> all;
  for (GeneralArray& array : arrays) {
    all.push_back(&array.rechannel);
    for (GeneralLayer& layer : array.layers) {
      all.insert(all.end(), {&layer.conv, &layer.mixin});
      if (layer.layer1x1) all.push_back(&*layer.layer1x1);
      if (layer.head1x1) all.push_back(&*layer.head1x1);
      for (std::optional<FilmSpec>& film : layer.films)
        if (film) all.push_back(&film->conv);
    }
    all.push_back(&array.head);
  }
  for (ConvStep& step : post_head) all.push_back(&step.conv);
  return all;
}

std::vector<const ConvSpec*> GeneralSpec::convs() const {
  const std::vector<ConvSpec*> all = const_cast<GeneralSpec*>(this)->convs();
  return {all.begin(), all.end()};
}

long GeneralSpec::field_frames() const {
  long frames = 1 + condition_frames();
  for (const ConvSpec* conv : convs()) frames += conv->history_frames();
  return frames;
}

long GeneralSpec::condition_frames() const {
  if (condition) return condition->field_frames() - 1;
  return condition_model ? condition_model->info.receptive_field_frames - 1 : 0;
}

std::unique_ptr<Net> GeneralWaveNetModel::make_net(dsp::Isa isa) const {
  if (isa == dsp::Isa::kScalar) return std::make_unique<GeneralNet<double>>(spec, isa);
  return std::make_unique<GeneralNet<float>>(spec, isa);
}

}  // namespace amp::nn
