#include "wavenet.hpp"

#include <cstring>
#include <new>

namespace amp::nn {
namespace {

using dsp::kPlaneFrames;
using dsp::kSlackFrames;

constexpr int kMirrorFrames = kMaxFrames + kSlackFrames;

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

/// What one layer hears: a ring of planes. The first kMirrorFrames of a plane stand again behind
/// its end, so that a tap reads in one piece wherever it starts.
struct Ring {
  float* plane = nullptr;
  int channels = 0;
  int length = 0;  ///< history + one block + slack: what a kernel writes too much is never alive
  int stride = 0;  ///< length + mirror, kept off multiples of 4 KB, where planes share cache sets
  int at = 0;      ///< where the current block stands

  void shape(int history_frames, int channel_count) {
    channels = channel_count;
    length = history_frames + kMaxFrames + kSlackFrames;
    stride = (length + kMirrorFrames + 15) / 16 * 16;
    if (stride % 1024 == 0) stride += 16;
  }

  [[nodiscard]] const float* back(int frames) const noexcept AMP_RT {
    const int from = at - frames;
    return plane + (from < 0 ? from + length : from);
  }

  /// Repeat what the block at `at` changed on the other side of the seam.
  void mirror(int frames) noexcept AMP_RT {
    const int over = at + frames - length;
    const int front = std::min(at + frames, kMirrorFrames) - at;
    for (int c = 0; c < channels; ++c) {
      float* const p = plane + static_cast<ptrdiff_t>(c) * stride;
      if (over > 0) std::memcpy(p, p + length, static_cast<size_t>(over) * sizeof(float));
      if (front > 0)
        std::memcpy(p + length + at, p + at, static_cast<size_t>(front) * sizeof(float));
    }
  }

  void advance(int frames) noexcept AMP_RT {
    at += frames;
    if (at >= length) at -= length;
  }
};

struct Layer {
  std::vector<float> weight;
  std::vector<float> mix;
  Ring ring;
};

struct Array {
  std::vector<float> rechannel;
  std::vector<float> head;
  std::vector<Layer> layers;
};

class VectorWaveNet final : public Net {
 public:
  VectorWaveNet(const WaveNetModel& model, dsp::Isa isa)
      : model_(model), kernels_(dsp::kernels(isa)), memory_(layout()) {
    place();
    std::array<float, kMaxFrames> out{};
    for (int frame = 0; frame < model_.info.receptive_field_frames; frame += kMaxFrames) {
      const std::array<float, kMaxFrames> silence{};
      VectorWaveNet::process(silence.data(), out.data(), kMaxFrames);
    }
    for (const Array& array : arrays_)
      for (const Layer& layer : array.layers)
        for (int c = 0; c < layer.ring.channels; ++c)
          rest_.push_back(*(layer.ring.back(1) + static_cast<ptrdiff_t>(c) * layer.ring.stride));
    VectorWaveNet::reset();
  }

  void reset() noexcept AMP_RT override {
    const float* rest = rest_.data();
    for (Array& array : arrays_)
      for (Layer& layer : array.layers) {
        layer.ring.at = 0;
        for (int c = 0; c < layer.ring.channels; ++c)
          std::fill_n(layer.ring.plane + static_cast<ptrdiff_t>(c) * layer.ring.stride,
                      layer.ring.stride, *rest++);
      }
  }

  void process(const float* in, float* out, int frames) noexcept AMP_RT override {
    std::copy_n(in, frames, input_);
    const float* stream = input_;
    float* head = head_a_;
    float* head_out = head_b_;
    for (size_t a = 0; a < arrays_.size(); ++a) {
      run_array(a, stream, head, head_out, frames);
      std::swap(head, head_out);
      stream = stream_;
    }
    for (int t = 0; t < frames; ++t) out[t] = head[t] * model_.spec.head_scale;
  }

  [[nodiscard]] size_t memory_bytes() const noexcept override { return memory_.bytes(); }

 private:
  /// Pack the weights, shape the rings; returns the floats that all planes need.
  size_t layout() {
    size_t floats = kPlaneFrames;
    for (const WaveNetArray& spec : model_.spec.arrays) {
      Array array;
      array.rechannel = dsp::pack_tiles(spec.rechannel, spec.channels, spec.input_size);
      array.head = dsp::pack_tiles(spec.head_weight, spec.head_size, spec.channels);
      for (const WaveNetLayer& from : spec.layers) {
        Layer layer;
        layer.weight =
            dsp::pack_tiles(from.weight, spec.channels, spec.channels * spec.kernel_size);
        layer.mix = from.mix.empty() ? std::vector<float>{}
                                     : dsp::pack_tiles(from.mix, spec.channels, spec.channels);
        layer.ring.shape(from.dilation * (spec.kernel_size - 1), spec.channels);
        floats += static_cast<size_t>(layer.ring.stride) * static_cast<size_t>(spec.channels);
        array.layers.push_back(std::move(layer));
      }
      arrays_.push_back(std::move(array));
      widest_ = std::max({widest_, spec.channels, spec.head_size});
      most_taps_ = std::max(most_taps_, spec.kernel_size);
    }
    taps_.resize(static_cast<size_t>(most_taps_));
    return floats + 4 * static_cast<size_t>(widest_) * kPlaneFrames;
  }

  void place() {
    float* at = memory_.data();
    input_ = at;
    at += kPlaneFrames;
    const ptrdiff_t planes = static_cast<ptrdiff_t>(widest_) * kPlaneFrames;
    for (float** buffer : {&z_, &stream_, &head_a_, &head_b_}) {
      *buffer = at;
      at += planes;
    }
    for (Array& array : arrays_)
      for (Layer& layer : array.layers) {
        layer.ring.plane = at;
        at += static_cast<ptrdiff_t>(layer.ring.stride) * layer.ring.channels;
      }
  }

  void run_array(size_t index, const float* stream, float* head, float* head_out,
                 int frames) noexcept AMP_RT {
    const WaveNetArray& spec = model_.spec.arrays[index];
    Array& array = arrays_[index];
    Ring& first = array.layers.front().ring;
    kernels_.dense({.in_channels = spec.input_size,
                    .out_channels = spec.channels,
                    .frames = frames,
                    .in = stream,
                    .in_stride = kPlaneFrames,
                    .weight = array.rechannel.data(),
                    .bias = data_or_null(spec.rechannel_bias),
                    .out = first.plane + first.at,
                    .out_stride = first.stride});
    first.mirror(frames);
    start_head(spec, first, index, head, frames);
    for (size_t l = 0; l < array.layers.size(); ++l) {
      const bool last = l + 1 == array.layers.size();
      Ring* const next = last ? nullptr : &array.layers[l + 1].ring;
      const bool unused = last && index + 1 == arrays_.size();
      run_layer(spec, spec.layers[l], array.layers[l], next, unused, head, frames);
    }
    kernels_.dense({.in_channels = spec.channels,
                    .out_channels = spec.head_size,
                    .frames = frames,
                    .in = head,
                    .in_stride = kPlaneFrames,
                    .weight = array.head.data(),
                    .bias = data_or_null(spec.head_bias),
                    .out = head_out,
                    .out_stride = kPlaneFrames});
  }

  static void start_head(const WaveNetArray& spec, const Ring& first, size_t index, float* head,
                         int frames) noexcept AMP_RT {
    for (int c = 0; c < spec.channels; ++c) {
      float* const to = head + static_cast<ptrdiff_t>(c) * kPlaneFrames;
      if (spec.head_starts_from_stream)
        std::copy_n(first.plane + first.at + static_cast<ptrdiff_t>(c) * first.stride, frames, to);
      else if (index == 0)
        std::fill_n(to, frames, 0.0F);
    }
  }

  void run_layer(const WaveNetArray& spec, const WaveNetLayer& from, Layer& layer, Ring* next,
                 bool unused, float* head, int frames) noexcept AMP_RT {
    for (int k = 0; k < spec.kernel_size; ++k)
      taps_[static_cast<size_t>(k)] = layer.ring.back((spec.kernel_size - 1 - k) * from.dilation);
    float* const onward = next != nullptr ? next->plane + next->at : stream_;
    kernels_.layer({.channels = spec.channels,
                    .taps = spec.kernel_size,
                    .frames = frames,
                    .x = taps_.data(),
                    .x_stride = layer.ring.stride,
                    .weight = layer.weight.data(),
                    .bias = from.bias.data(),
                    .mixin = data_or_null(from.mixin),
                    .condition = input_,
                    .z = z_,
                    .head = head,
                    .mix = data_or_null(layer.mix),
                    .mix_bias = data_or_null(from.mix_bias),
                    .next = unused ? nullptr : onward,
                    .next_stride = next != nullptr ? next->stride : kPlaneFrames});
    if (next != nullptr) next->mirror(frames);
    layer.ring.advance(frames);
  }

  static const float* data_or_null(const std::vector<float>& values) noexcept AMP_RT {
    return values.empty() ? nullptr : values.data();
  }

  const WaveNetModel& model_;
  const dsp::Kernels& kernels_;
  std::vector<Array> arrays_;
  std::vector<const float*> taps_;
  std::vector<float> rest_;
  int widest_ = 1;
  int most_taps_ = 1;
  float* input_ = nullptr;
  float* z_ = nullptr;
  float* stream_ = nullptr;
  float* head_a_ = nullptr;
  float* head_b_ = nullptr;
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
    info.mac_per_sample += array.channels * (array.input_size + array.head_size);
    for (const WaveNetLayer& layer : array.layers) {
      info.receptive_field_frames += (array.kernel_size - 1) * layer.dilation;
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
