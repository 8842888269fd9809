#include "wavenet.hpp"

#include <cstring>
#include <new>

namespace amp::nn {
namespace {

using dsp::kPlaneFrames;
using dsp::kSlackFrames;

/// Zeroed floats at a 64-byte boundary, which is what the widest vector likes best.
class Floats {
 public:
  explicit Floats(size_t count)
      : count_(count), data_(static_cast<float*>(::operator new[](count * sizeof(float), kAlign))) {
    std::memset(data_, 0, count * sizeof(float));
  }
  ~Floats() { ::operator delete[](data_, kAlign); }
  Floats(const Floats&) = delete;
  Floats& operator=(const Floats&) = delete;

  [[nodiscard]] float* data() noexcept AMP_RT { return data_; }
  [[nodiscard]] size_t bytes() const noexcept { return count_ * sizeof(float); }

 private:
  static constexpr std::align_val_t kAlign{64};
  size_t count_;
  float* data_;
};

/// What one convolution hears: a ring of planes. Behind the end of a plane its first frames stand
/// again as far as a tap reads over the seam, so that every tap reads in one piece.
struct Ring {
  float* plane = nullptr;
  int channels = 0;
  int length = 0;  ///< history + one block + slack: what a kernel writes too much is never alive
  int stride = 0;  ///< length + a block, kept off multiples of 4 KB, where planes share cache sets
  int at = 0;      ///< where the current block stands

  void shape(int history_frames, int channel_count) {
    channels = channel_count;
    // Whole blocks, so that full blocks and far taps stay aligned all the way round.
    length = (history_frames + 2 * kMaxFrames + kSlackFrames - 1) / kMaxFrames * kMaxFrames;
    stride = length + kMaxFrames + kSlackFrames;
    if (stride % 1024 == 0) stride += 16;
  }

  [[nodiscard]] size_t floats() const {
    return static_cast<size_t>(stride) * static_cast<size_t>(channels);
  }

  [[nodiscard]] float* now() const noexcept AMP_RT { return plane + at; }

  /// The frame, counted from the beginning of the ring, that was heard so many frames ago.
  [[nodiscard]] int back(int frames) const noexcept AMP_RT {
    const int from = at - frames;
    return from < 0 ? from + length : from;
  }

  /// What was written over the end is the beginning of the ring.
  void wrap(const dsp::Kernels& kernels, int frames) noexcept AMP_RT {
    const int over = at + frames - length;
    if (over > 0) kernels.repeat(plane, channels, stride, length, 0, over);
  }

  /// Every frame ever heard was as the one at `at`.
  void settle() noexcept AMP_RT {
    for (int c = 0; c < channels; ++c) {
      float* const p = plane + static_cast<ptrdiff_t>(c) * stride;
      std::fill_n(p, stride, p[at]);
    }
  }

  void advance(int frames) noexcept AMP_RT {
    at += frames;
    if (at >= length) at -= length;
  }
};

/// A convolution as it plays: packed weights, and where its taps are.
struct Conv {
  std::vector<float> weight;
  Ring ring;
  int dilation = 1;
  std::vector<const float*> taps;

  Conv(const std::vector<float>& matrix, int outs, int ins, int kernel, int step,
       const dsp::Kernels& kernels)
      : weight(dsp::pack_tiles(matrix, outs, ins * kernel, kernels.widest_tile)),
        dilation(step),
        taps(static_cast<size_t>(kernel)) {
    ring.shape((kernel - 1) * step, ins);
  }

  void find_taps(const dsp::Kernels& kernels, int frames) noexcept AMP_RT {
    int back = static_cast<int>(taps.size()) * dilation;
    int last = 0;
    for (const float*& tap : taps) {
      const int from = ring.back(back -= dilation);
      last = std::max(last, from);
      tap = ring.plane + from;
    }
    const int over = last + frames - ring.length;
    if (over > 0) kernels.repeat(ring.plane, ring.channels, ring.stride, 0, ring.length, over);
  }
};

struct Layer {
  Conv conv;
  std::vector<float> mix;
  dsp::LayerArgs args;  ///< wired once: to gather it anew costs more than a short block's tanh
};

struct Array {
  std::vector<float> rechannel;
  std::vector<Layer> layers;
  Conv head;
};

class VectorWaveNet final : public Net {
 public:
  VectorWaveNet(const WaveNetModel& model, dsp::Isa isa)
      : model_(model), kernels_(dsp::kernels(isa)), memory_(layout()) {
    place();
    wire();
    VectorWaveNet::reset();
  }

  /// One frame of silence, which every ring takes for all it ever heard.
  void reset() noexcept AMP_RT override {
    for (Array& array : arrays_) {
      array.head.ring.at = 0;
      for (Layer& layer : array.layers) layer.conv.ring.at = 0;
    }
    const float silence = 0;
    settling_ = true;
    run(&silence, 1);
    settling_ = false;
  }

  void process(const float* in, float* out, int frames) noexcept AMP_RT override {
    const float* const head = run(in, frames);
    for (int t = 0; t < frames; ++t) out[t] = head[t] * model_.spec.head_scale;
  }

  [[nodiscard]] size_t memory_bytes() const noexcept override { return memory_.bytes(); }

 private:
  /// Pack the weights, shape the rings; returns the floats that all planes need.
  size_t layout() {
    size_t floats = kPlaneFrames;
    for (const WaveNetArray& spec : model_.spec.arrays) {
      Array array{.rechannel = dsp::pack_tiles(spec.rechannel, spec.channels, spec.input_size,
                                               kernels_.widest_tile),
                  .layers{},
                  .head{spec.head_weight, spec.head_size, spec.channels, spec.head_kernel,
                        spec.head_dilation, kernels_}};
      for (const WaveNetLayer& from : spec.layers) {
        Layer layer{.conv{from.weight, spec.channels, spec.channels, from.kernel_size,
                          from.dilation, kernels_},
                    .mix{},
                    .args{}};
        if (!from.mix.empty())
          layer.mix = dsp::pack_tiles(from.mix, spec.channels, spec.channels, kernels_.widest_tile);
        floats += layer.conv.ring.floats();
        array.layers.push_back(std::move(layer));
      }
      floats += array.head.ring.floats();
      arrays_.push_back(std::move(array));
      widest_ = std::max({widest_, spec.channels, spec.head_size});
    }
    return floats + 4 * static_cast<size_t>(widest_) * kPlaneFrames;
  }

  void place() {
    float* at = memory_.data();
    input_ = at;
    at += kPlaneFrames;
    for (float** buffer : {&z_, &stream_, &head_, &nothing_}) {
      *buffer = at;
      at += static_cast<ptrdiff_t>(widest_) * kPlaneFrames;
    }
    const auto put = [&at](Ring& ring) {
      ring.plane = at;
      at += static_cast<ptrdiff_t>(ring.floats());
    };
    for (Array& array : arrays_) {
      for (Layer& layer : array.layers) put(layer.conv.ring);
      put(array.head.ring);
    }
  }

  const float* run(const float* in, int frames) noexcept AMP_RT {
    std::copy_n(in, frames, input_);
    const float* stream = input_;
    for (size_t a = 0; a < arrays_.size(); ++a) {
      run_array(a, stream, frames);
      stream = stream_;
    }
    return head_;
  }

  /// A block was written to `ring`.
  void heard(Ring& ring, int frames) noexcept AMP_RT {
    if (settling_)
      ring.settle();
    else
      ring.wrap(kernels_, frames);
  }

  void run_array(size_t index, const float* stream, int frames) noexcept AMP_RT {
    const WaveNetArray& spec = model_.spec.arrays[index];
    Array& array = arrays_[index];
    Ring& first = array.layers.front().conv.ring;
    const float* const in[1] = {stream};
    kernels_.conv({.in_channels = spec.input_size,
                   .out_channels = spec.channels,
                   .taps = 1,
                   .frames = frames,
                   .x = in,
                   .x_stride = kPlaneFrames,
                   .weight = array.rechannel.data(),
                   .bias = data_or_null(spec.rechannel_bias),
                   .out = first.now(),
                   .out_stride = first.stride});
    heard(first, frames);
    run_layers(index, array, frames);
    run_head(spec, array.head, frames);
  }

  void run_head(const WaveNetArray& spec, Conv& head, int frames) noexcept AMP_RT {
    heard(head.ring, frames);
    head.find_taps(kernels_, frames);
    kernels_.conv({.in_channels = spec.channels,
                   .out_channels = spec.head_size,
                   .taps = spec.head_kernel,
                   .frames = frames,
                   .x = head.taps.data(),
                   .x_stride = head.ring.stride,
                   .weight = head.weight.data(),
                   .bias = data_or_null(spec.head_bias),
                   .out = head_,
                   .out_stride = kPlaneFrames});
    if (!settling_) head.ring.advance(frames);
  }

  /// What of a layer's arguments never changes.
  void wire(const WaveNetArray& spec, const WaveNetLayer& from, Array& array, Layer& layer) {
    const bool is_last = &layer == &array.layers.back();
    const Ring* const next = is_last ? nullptr : &(&layer)[1].conv.ring;
    const bool unused = is_last && &array == &arrays_.back();
    layer.args = {.sum = {.in_channels = spec.channels,
                          .out_channels = spec.channels,
                          .taps = from.kernel_size,
                          .x = layer.conv.taps.data(),
                          .x_stride = layer.conv.ring.stride,
                          .weight = layer.conv.weight.data(),
                          .bias = from.bias.data(),
                          .mixin = data_or_null(from.mixin),
                          .condition = input_,
                          .out = z_,
                          .out_stride = kPlaneFrames},
                  .curve = from.curve,
                  .slope = from.slope,
                  .head_before_stride = array.head.ring.stride,
                  .head_stride = array.head.ring.stride,
                  .mix = data_or_null(layer.mix),
                  .mix_bias = data_or_null(from.mix_bias),
                  .next = unused ? nullptr : stream_,
                  .next_stride = next != nullptr ? next->stride : kPlaneFrames};
    if (&layer == &array.layers.front())
      layer.args.head_before_stride =
          spec.head_starts_from_stream ? layer.conv.ring.stride : kPlaneFrames;
  }

  void wire() {
    for (size_t a = 0; a < arrays_.size(); ++a)
      for (size_t l = 0; l < arrays_[a].layers.size(); ++l)
        wire(model_.spec.arrays[a], model_.spec.arrays[a].layers[l], arrays_[a],
             arrays_[a].layers[l]);
  }

  void run_layers(size_t index, Array& array, int frames) noexcept AMP_RT {
    float* const head = array.head.ring.now();
    const float* before = model_.spec.arrays[index].head_starts_from_stream
                              ? array.layers.front().conv.ring.now()
                          : index > 0 ? head_
                                      : nothing_;
    for (Layer& layer : array.layers) {
      Ring* const next = &layer == &array.layers.back() ? nullptr : &(&layer)[1].conv.ring;
      layer.conv.find_taps(kernels_, frames);
      layer.args.sum.frames = frames;
      layer.args.head_before = before;
      layer.args.head = head;
      if (next != nullptr) layer.args.next = next->now();
      kernels_.layer(layer.args);
      if (next != nullptr) heard(*next, frames);
      if (!settling_) layer.conv.ring.advance(frames);
      before = head;
    }
  }

  static const float* data_or_null(const std::vector<float>& values) noexcept AMP_RT {
    return values.empty() ? nullptr : values.data();
  }

  const WaveNetModel& model_;
  const dsp::Kernels& kernels_;
  std::vector<Array> arrays_;
  int widest_ = 1;
  bool settling_ = false;
  float* input_ = nullptr;
  float* z_ = nullptr;
  float* stream_ = nullptr;   ///< what an array hands to the next
  float* head_ = nullptr;     ///< what its head says
  float* nothing_ = nullptr;  ///< zeros, where the first head starts
  Floats memory_;
};

}  // namespace

std::unique_ptr<Net> make_vector_wavenet(const WaveNetModel& model, dsp::Isa isa) {
  return std::make_unique<VectorWaveNet>(model, isa);
}

namespace {

ModelInfo measure(ModelInfo info, const WaveNetSpec& spec) {
  info.receptive_field_frames = 1;
  info.mac_per_sample = 0;
  for (const WaveNetArray& array : spec.arrays) {
    info.receptive_field_frames += array.head_history_frames();
    info.mac_per_sample += static_cast<int>(array.rechannel.size() + array.head_weight.size());
    for (const WaveNetLayer& layer : array.layers) {
      info.receptive_field_frames += layer.history_frames();
      info.mac_per_sample +=
          static_cast<int>(layer.weight.size() + layer.mixin.size() + layer.mix.size());
    }
  }
  return info;
}

}  // namespace

WaveNetModel::WaveNetModel(ModelInfo model_info, WaveNetSpec wavenet)
    : Model(measure(std::move(model_info), wavenet)), spec(std::move(wavenet)) {}

std::unique_ptr<Net> WaveNetModel::make_net(dsp::Isa isa) const {
  return isa == dsp::Isa::kScalar ? make_scalar_wavenet(*this) : make_vector_wavenet(*this, isa);
}

}  // namespace amp::nn
