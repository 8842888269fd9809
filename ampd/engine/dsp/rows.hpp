#pragma once

#include "../rt.hpp"

namespace amp::dsp {

enum class Isa : uint8_t;  // isa.hpp brings the standard library, which kernels keep away from

/// A signal in rows: one row of channels a frame. Every run of channels is padded with what means
/// nothing to a multiple of this many, so that no kernel has a tail.
inline constexpr int kRowPad = 16;

constexpr int padded(int channels) {
  return (channels + kRowPad - 1) / kRowPad * kRowPad;
}

/// Rows and weights that begin at a multiple of so many bytes are read without crossing a cache
/// line, which is twice as fast in wide vectors.
inline constexpr int kRowBytes = 64;

/// Rows of a recurrent layer's weights: an even number, so that they are summed in pairs.
constexpr int even(int hidden) {
  return hidden + hidden % 2;
}

/// out = bias + in * weight for every frame; the sums of a frame do not depend on the others.
template <class Number>
struct MultiplyArgs {
  int frames = 0;
  int ins = 0;                 ///< channels of `in` that mean something
  int width = 0;               ///< columns, a multiple of kRowPad
  const Number* in = nullptr;  ///< rows, in_stride apart
  int in_stride = 0;
  const Number* weight = nullptr;  ///< [ins][width]
  const Number* bias = nullptr;    ///< [width], or null: added to what `out` holds
  Number* out = nullptr;           ///< rows of `width`, one behind the other
};

/// One recurrent layer over a block. x = bias + W in + U h is made of tiles of kRowPad units: what
/// belongs to a tile stands together, [rows][gate][kRowPad]; pads are 0.
///   LSTM  gates i, f, g, o:  c = s(f) c + s(i) tanh(g);  h = s(o) tanh(c)
///   GRU   gates r, z, n:     n' = tanh(n + s(r) (U_n h + inner));  h = (1 - s(z)) n' + s(z) h,
///                            where n is without U_n h
template <class Number>
struct RecurrentArgs {
  int frames = 0;
  int ins = 0;
  int hidden = 0;
  int width = 0;               ///< padded(hidden)
  const Number* in = nullptr;  ///< rows, in_stride apart
  int in_stride = 0;
  const Number* bias = nullptr;    ///< [width / kRowPad][gate][kRowPad]
  const Number* input = nullptr;   ///< W: [width / kRowPad][ins][gate][kRowPad]
  const Number* weight = nullptr;  ///< U: [width / kRowPad][even(hidden)][gate][kRowPad]
  const Number* inner = nullptr;   ///< [width], GRU only
  const Number* start = nullptr;   ///< [width]: h before the first frame; not part of `out`
  Number* cell = nullptr;          ///< [width], LSTM only: c, brought on
  Number* out = nullptr;           ///< [frames][width]: h
};

/// The kernels of nets that are played in rows. Thread: any; AMP_RT. The float64 ones are the
/// truth, plain loops with the C library's tanh; those of an instruction set are held to it in
/// families_test.cpp. tanh as in kernels.hpp; the sigmoid is 1 / (1 + exp(-x)), good to
/// its last bits.
template <class Number>
struct RowKernels {
  void (*multiply)(const MultiplyArgs<Number>&) noexcept AMP_RT;
  /// The same where there is one channel out: its weights stand side by side, padded with zeros.
  void (*dot)(const MultiplyArgs<Number>&) noexcept AMP_RT;
  void (*lstm)(const RecurrentArgs<Number>&) noexcept AMP_RT;
  void (*gru)(const RecurrentArgs<Number>&) noexcept AMP_RT;
  void (*tanh)(Number* values, int count) noexcept AMP_RT;     ///< count: a multiple of kRowPad
  void (*sigmoid)(Number* values, int count) noexcept AMP_RT;  ///< likewise
};

const RowKernels<double>& scalar_row_kernels();
const RowKernels<float>& row_kernels(Isa isa);  ///< those of kGeneric for kScalar

/// The kernels that `isa` means in this number type.
template <class Number>
const RowKernels<Number>& row_kernels_of(Isa isa) {
  if constexpr (sizeof(Number) == sizeof(double))
    return scalar_row_kernels();
  else
    return row_kernels(isa);
}

}  // namespace amp::dsp
