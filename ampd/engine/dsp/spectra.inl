// Kernels of a partitioned convolution, once for each instruction set; included behind kernels.inl,
// whose vectors they use.

#include "spectra.hpp"

namespace amp::dsp::AMP_ISA {
namespace {

constexpr int outs_of(int ins, int responses) { return ins > responses ? ins : responses; }
constexpr int lower(int a, int b) { return a < b ? a : b; }

// The sums of kVecs vectors of frames from frame t on. Each frame adds its taps in one order,
// whatever stands beside it.
template <int kIns, int kResponses, int kVecs>
inline void filter_frames(const FilterArgs<float>& a, int t) {
  constexpr int kOuts = outs_of(kIns, kResponses);
  Vec sum[kOuts][kVecs];
  for (int o = 0; o < kOuts; ++o)
    for (int n = 0; n < kVecs; ++n) sum[o][n] = splat(0.0F);
  for (int j = 0; j < a.taps; ++j) {
    Vec x[kIns][kVecs];
    for (int i = 0; i < kIns; ++i)
      for (int n = 0; n < kVecs; ++n) x[i][n] = load(a.in[i] + t - j + n * kLanes);
    for (int o = 0; o < kOuts; ++o) {
      const Vec h = splat(a.response[lower(o, kResponses - 1)][j]);
      for (int n = 0; n < kVecs; ++n) sum[o][n] = sum[o][n] + h * x[lower(o, kIns - 1)][n];
    }
  }
  for (int o = 0; o < kOuts; ++o)
    for (int n = 0; n < kVecs; ++n) store(a.out[o] + t + n * kLanes, sum[o][n]);
}

template <int kIns, int kResponses>
inline void filter_all(const FilterArgs<float>& a) {
  constexpr int kVecs = 4;
  int t = 0;
  for (; t + kVecs * kLanes <= a.frames; t += kVecs * kLanes)
    filter_frames<kIns, kResponses, kVecs>(a, t);
  for (; t < a.frames; t += kLanes) filter_frames<kIns, kResponses, 1>(a, t);
}

// A transform of 64 is one of 8 x 8: down the columns, side by side in a vector; turned; and down
// the columns of what then lies crosswise.
constexpr int kEdge = 8;
constexpr int kShortLanes = lower(kLanes, kEdge);
using Short = float __attribute__((vector_size(kShortLanes * sizeof(float))));

inline Short load_short(const float* p) {
  Short v;
  __builtin_memcpy(&v, p, sizeof v);
  return v;
}
inline void store_short(float* p, Short v) { __builtin_memcpy(p, &v, sizeof v); }

struct Pair {
  Short re;
  Short im;
};
inline Pair operator+(Pair a, Pair b) { return {a.re + b.re, a.im + b.im}; }
inline Pair operator-(Pair a, Pair b) { return {a.re - b.re, a.im - b.im}; }
inline Pair operator*(Pair a, Pair b) {
  return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
inline Pair times_minus_i(Pair a) { return {a.im, -a.re}; }

// Into every other place of `out`.
inline void dft_of_4(Pair a, Pair b, Pair c, Pair d, Pair* out) {
  const Pair even = a + c;
  const Pair even_less = a - c;
  const Pair odd = b + d;
  const Pair odd_less = times_minus_i(b - d);
  out[0] = even + odd;
  out[2] = even_less + odd_less;
  out[4] = even - odd;
  out[6] = even_less - odd_less;
}

inline void dft_of_8(Pair (&x)[kEdge]) {
  const Short half = Short{} + 0.70710678F;  // e^(-i pi / 4) is half - i half
  const Pair d0 = x[0] - x[4];
  const Pair d1 = x[1] - x[5];
  const Pair d2 = times_minus_i(x[2] - x[6]);
  const Pair d3 = x[3] - x[7];
  const Pair s0 = x[0] + x[4];
  const Pair s1 = x[1] + x[5];
  const Pair s2 = x[2] + x[6];
  const Pair s3 = x[3] + x[7];
  dft_of_4(s0, s1, s2, s3, x);
  dft_of_4(d0, {(d1.re + d1.im) * half, (d1.im - d1.re) * half}, d2,
           {(d3.im - d3.re) * half, (d3.re + d3.im) * -half}, x + 1);
}

template <bool kTurned>
inline void transform_columns(const TransformTable& table, float* re, float* im) {
  for (int c = 0; c < kEdge; c += kShortLanes) {
    Pair x[kEdge];
    for (int r = 0; r < kEdge; ++r)
      x[r] = {load_short(re + r * kEdge + c), load_short(im + r * kEdge + c)};
    dft_of_8(x);
    for (int r = 0; r < kEdge; ++r) {
      if constexpr (kTurned)
        x[r] = x[r] * Pair{load_short(table.turn_re + r * kEdge + c),
                           load_short(table.turn_im + r * kEdge + c)};
      store_short(re + r * kEdge + c, x[r].re);
      store_short(im + r * kEdge + c, x[r].im);
    }
  }
}

inline void lay_crosswise(float* square) {
  for (int r = 0; r < kEdge; ++r)
    for (int c = r + 1; c < kEdge; ++c) {
      const float kept = square[r * kEdge + c];
      square[r * kEdge + c] = square[c * kEdge + r];
      square[c * kEdge + r] = kept;
    }
}

// Both in and out in their natural order.
inline void transform(const TransformTable& table, float* re, float* im) {
  transform_columns<true>(table, re, im);
  lay_crosswise(re);
  lay_crosswise(im);
  transform_columns<false>(table, re, im);
}

void forward(const TransformTable& table, const float* frames, Bins<float>* out,
             int stride) noexcept AMP_RT {
  alignas(64) float re[kBins];
  alignas(64) float im[kBins];
  for (int n = 0; n < kBins; n += kLanes) {
    const Vec early = load(frames + n);
    const Vec late = load(frames + kBins + n);
    const Vec skew_re = load(table.skew_re + n);
    const Vec skew_im = load(table.skew_im + n);
    store(re + n, early * skew_re - late * skew_im);
    store(im + n, early * skew_im + late * skew_re);
  }
  transform(table, re, im);
  for (int k = 0; k < kBins; k += kLanes) {
    Bins<float>& group = out[k / kGroupBins * stride];
    store(group.re + k % kGroupBins, load(re + k));
    store(group.im + k % kGroupBins, load(im + k));
  }
}

// With real and imaginary parts exchanged, going in and coming out, a transform is its inverse.
void inverse(const TransformTable& table, const Bins<float>* bins, float* frames) noexcept AMP_RT {
  alignas(64) float re[kBins];
  alignas(64) float im[kBins];
  for (int k = 0; k < kBins; k += kLanes) {
    store(im + k, load(bins[k / kGroupBins].re + k % kGroupBins));
    store(re + k, load(bins[k / kGroupBins].im + k % kGroupBins));
  }
  transform(table, re, im);
  for (int n = 0; n < kBins; n += kLanes)
    store(frames + n, load(re + n) * load(table.skew_re + n) - load(im + n) * load(table.skew_im + n));
}

// So many vectors of bins at a time: their sums fill the registers.
#if defined(__aarch64__)
constexpr int kBinVecs = 4;
#else
constexpr int kBinVecs = kLanes >= kGroupBins ? 1 : 2;
#endif

// Where registers allow, a product's two halves are added up apart: a sum then waits for one
// addition a part instead of two.
constexpr bool adds_apart(int outs) { return outs == 1 || kBinVecs == 1; }

template <int kOuts>
using ProductSums = Vec[kOuts][adds_apart(kOuts) ? 4 : 2][kBinVecs];

template <int kIns, int kResponses>
inline void add_products(ProductSums<outs_of(kIns, kResponses)>& sum, const Bins<float>* const* x,
                         const Bins<float>* const* h, int parts, int bin) {
  constexpr int kOuts = outs_of(kIns, kResponses);
  constexpr int kApart = adds_apart(kOuts) ? 2 : 0;
  for (int p = 0; p < parts; ++p)
    for (int n = 0; n < kBinVecs; ++n) {
      const int at = bin + n * kLanes;
      Vec x_re[kIns];
      Vec x_im[kIns];
      for (int i = 0; i < kIns; ++i) {
        x_re[i] = load(x[i][p].re + at);
        x_im[i] = load(x[i][p].im + at);
      }
      for (int o = 0; o < kOuts; ++o) {
        const int i = lower(o, kIns - 1);
        const Vec h_re = load(h[lower(o, kResponses - 1)][p].re + at);
        const Vec h_im = load(h[lower(o, kResponses - 1)][p].im + at);
        sum[o][0][n] = sum[o][0][n] + x_re[i] * h_re;
        sum[o][1][n] = sum[o][1][n] + x_re[i] * h_im;
        sum[o][kApart][n] = sum[o][kApart][n] - x_im[i] * h_im;
        sum[o][kApart + 1][n] = sum[o][kApart + 1][n] + x_im[i] * h_re;
      }
    }
}

template <int kIns, int kResponses>
inline void product_of_group(const ProductArgs<float>& a, int group, int bin) {
  constexpr int kOuts = outs_of(kIns, kResponses);
  ProductSums<kOuts> sum;
  for (auto& out : sum)
    for (auto& half : out)
      for (Vec& each : half) each = splat(0.0F);
  const Bins<float>* x[kIns];
  const Bins<float>* h[kResponses];
  const int first = group * a.parts;
  const int until_end = a.parts - a.newest;
  for (int i = 0; i < kIns; ++i) x[i] = a.window[i] + first + a.newest;
  for (int r = 0; r < kResponses; ++r) h[r] = a.response[r] + first;
  add_products<kIns, kResponses>(sum, x, h, until_end, bin);
  for (int i = 0; i < kIns; ++i) x[i] = a.window[i] + first;
  for (int r = 0; r < kResponses; ++r) h[r] += until_end;
  add_products<kIns, kResponses>(sum, x, h, a.newest, bin);
  for (int o = 0; o < kOuts; ++o)
    for (int n = 0; n < kBinVecs; ++n) {
      Vec re = sum[o][0][n];
      Vec im = sum[o][1][n];
      if constexpr (adds_apart(kOuts)) {
        re = re + sum[o][2][n];
        im = im + sum[o][3][n];
      }
      store(a.out[o][group].re + bin + n * kLanes, re);
      store(a.out[o][group].im + bin + n * kLanes, im);
    }
}

template <int kIns, int kResponses>
inline void product_of_all(const ProductArgs<float>& a) {
  for (int group = 0; group < kGroups; ++group)
    for (int bin = 0; bin < kGroupBins; bin += kBinVecs * kLanes)
      product_of_group<kIns, kResponses>(a, group, bin);
}

// The kernel for as many channels as there are.
#define AMP_BY_CHANNELS(kernel)                                       \
  if (a.ins == 1) return a.responses == 1 ? kernel<1, 1>(a) : kernel<1, 2>(a); \
  return a.responses == 1 ? kernel<2, 1>(a) : kernel<2, 2>(a);

void filter(const FilterArgs<float>& a) noexcept AMP_RT { AMP_BY_CHANNELS(filter_all) }

void product(const ProductArgs<float>& a) noexcept AMP_RT { AMP_BY_CHANNELS(product_of_all) }

#undef AMP_BY_CHANNELS

}  // namespace

extern const SpectrumKernels<float> kSpectrumTable;
const SpectrumKernels<float> kSpectrumTable{filter, forward, inverse, product};

}  // namespace amp::dsp::AMP_ISA
