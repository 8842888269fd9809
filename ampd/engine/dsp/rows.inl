// Kernels over rows, once for each instruction set; included behind kernels.inl, whose vectors and
// tanh they use.

#if AMP_LANES >= 8 || defined(__SSE2__)
#include <immintrin.h>
#endif

#include "rows.hpp"

namespace amp::dsp::AMP_ISA {
namespace {

using Ints = int __attribute__((vector_size(kLanes * sizeof(int))));

// x held to -limit..limit; what is no number stays so. Compilers make two steps more of a plain
// comparison, and a recurrent net waits for each of them.
inline Vec within(Vec x, float limit) {
#if AMP_LANES == 16
  // The forms with a mask are those that gcc 12 does not warn of.
  x = (Vec)_mm512_maskz_min_ps(0xFFFF, (__m512)splat(limit), (__m512)x);
  return (Vec)_mm512_maskz_max_ps(0xFFFF, (__m512)splat(-limit), (__m512)x);
#elif AMP_LANES == 8
  x = (Vec)_mm256_min_ps((__m256)splat(limit), (__m256)x);
  return (Vec)_mm256_max_ps((__m256)splat(-limit), (__m256)x);
#elif defined(__SSE2__)
  x = (Vec)_mm_min_ps((__m128)splat(limit), (__m128)x);
  return (Vec)_mm_max_ps((__m128)splat(-limit), (__m128)x);
#else
  x = x > splat(limit) ? splat(limit) : x;
  return x < splat(-limit) ? splat(-limit) : x;
#endif
}

// e^-x = 2^k * 2^f, k whole and |f| <= 1/2. Adding 1.5 * 2^23 rounds to whole, and leaves k in the
// low bits. 2^f of order 5, 1 at 0, fitted to least relative error by a Lawson-weighted
// least-squares iteration; own. 9.4e-8 in exact arithmetic; then the rounding of the exponent, 6e-8
// of it. Its ends are far from where float32 ends, so that products of several hold no infinity.
inline Vec exp_minus(Vec x) {
  const Vec power = within(x * splat(-1.44269504088896341F), 40.0F);
  const Vec magic = splat(12582912.0F);
  const Vec shifted = power + magic;
  const Vec f = power - (shifted - magic);
  const Vec s = f * f;
  const Vec low = splat(0.693147F) * f + splat(1.0F);
  const Vec middle = splat(0.05550711F) * f + splat(0.24022247F);
  const Vec high = splat(0.0013269519F) * f + splat(0.009671291F);
  const Vec p = (high * s + middle) * s + low;
  return (Vec)((Ints)p + (((Ints)shifted - (Ints)magic) << 23));
}

// A net that integrates keeps a gate next to 1 for seconds: half of 1 + tanh(x / 2) is off by
// 1.5e-7 there and was heard to drift; this is off by the rounding of its result.
inline Vec sigmoid_of(Vec x) { return splat(1.0F) / (splat(1.0F) + exp_minus(x)); }

// tanh_of before its division, which it shares with the gates; summed in pairs: fewer steps one
// behind the other.
struct Fraction {
  Vec p;
  Vec q;
};

inline Fraction tanh_fraction(Vec x) {
  x = within(x, 8.4F);
  const Vec s = x * x;
  const Vec s2 = s * s;
  const Vec p = splat(1.4521219695841204e-08F) * s + splat(2.1427260433038528e-05F);
  const Vec p_low = splat(0.1342212295921505F) * s + splat(1.0F);
  const Vec q = splat(8.246385854035412e-07F) * s + splat(3.366229351567816e-04F);
  const Vec q_low = splat(0.46755449938966287F) * s + splat(1.0F);
  return {x * ((p * s + splat(3.5445953151434814e-03F)) * s2 + p_low),
          (q * s + splat(2.6062876442035893e-02F)) * s2 + q_low};
}

// A tile is kRowPad columns of as many frames as give eight accumulators.
constexpr int kTileVecs = kRowPad / kLanes;
constexpr int kTileFrames = 8 / kTileVecs;

template <int kFrames>
inline void multiply_tile(const MultiplyArgs<float>& a, int t, int o) {
  Vec sum[kFrames][kTileVecs];
  for (int f = 0; f < kFrames; ++f)
    for (int n = 0; n < kTileVecs; ++n)
      sum[f][n] = load((a.bias != nullptr ? a.bias : a.out + (t + f) * a.width) + o + n * kLanes);
  for (int i = 0; i < a.ins; ++i) {
    Vec w[kTileVecs];
    for (int n = 0; n < kTileVecs; ++n) w[n] = load(a.weight + i * a.width + o + n * kLanes);
    for (int f = 0; f < kFrames; ++f) {
      const Vec x = splat(a.in[(t + f) * a.in_stride + i]);
      for (int n = 0; n < kTileVecs; ++n) sum[f][n] = sum[f][n] + w[n] * x;
    }
  }
  for (int f = 0; f < kFrames; ++f)
    for (int n = 0; n < kTileVecs; ++n) store(a.out + (t + f) * a.width + o + n * kLanes, sum[f][n]);
}

void multiply(const MultiplyArgs<float>& a) noexcept AMP_RT {
  for (int o = 0; o < a.width; o += kRowPad) {
    int t = 0;
    for (; t + kTileFrames <= a.frames; t += kTileFrames) multiply_tile<kTileFrames>(a, t, o);
    for (; t < a.frames; ++t) multiply_tile<1>(a, t, o);
  }
}

using Quad = float __attribute__((vector_size(4 * sizeof(float))));

inline float sum_of(Vec v) {
  Quad sum{};
  for (int i = 0; i < kLanes; i += 4) {
    Quad part;
    __builtin_memcpy(&part, reinterpret_cast<const float*>(&v) + i, sizeof part);
    sum = sum + part;
  }
  return (sum[0] + sum[2]) + (sum[1] + sum[3]);
}

void dot(const MultiplyArgs<float>& a) noexcept AMP_RT {
  for (int t = 0; t < a.frames; ++t) {
    Vec sum = splat(0.0F);
    for (int i = 0; i < a.ins; i += kLanes)
      sum = sum + load(a.in + t * a.in_stride + i) * load(a.weight + i);
    for (int o = 0; o < kRowPad; o += kLanes) store(a.out + t * kRowPad + o, splat(0.0F));
    a.out[t * kRowPad] = a.bias[0] + sum_of(sum);
  }
}

// So many vectors of units are played together: their sums fill the registers.
constexpr int kMostVecs = kLanes >= 16 ? 4 : 2;

// sum += weight * x over `rows`, a multiple of kChains, for kVecs vectors of units, the weights of
// the first of which begin at `weight`. Where the sums are few, each is made in two chains: what a
// recurrent net waits for is the latency of an addition.
template <int kGates, int kVecs, int kChains>
inline void accumulate_rows(Vec (&sum)[kGates][kVecs], const float* weight, int rows,
                            const float* x) {
  constexpr int kRow = kGates * kRowPad;
  Vec part[kChains][kGates][kVecs];
  for (int g = 0; g < kGates; ++g)
    for (int n = 0; n < kVecs; ++n) {
      part[0][g][n] = sum[g][n];
      if constexpr (kChains == 2) part[1][g][n] = splat(0.0F);
    }
  const int tile = rows * kRow;
  for (int j = 0; j < rows; j += kChains, weight += kChains * kRow)
    for (int c = 0; c < kChains; ++c) {
      const Vec v = splat(x[j + c]);
      for (int g = 0; g < kGates; ++g)
        for (int n = 0; n < kVecs; ++n) {
          const int at = n * kLanes / kRowPad * tile + n * kLanes % kRowPad;
          part[c][g][n] = part[c][g][n] + load(weight + c * kRow + g * kRowPad + at) * v;
        }
    }
  for (int g = 0; g < kGates; ++g)
    for (int n = 0; n < kVecs; ++n) {
      sum[g][n] = part[0][g][n];
      if constexpr (kChains == 2) sum[g][n] = sum[g][n] + part[1][g][n];
    }
}

// `rows` rows of every tile: those of the tile of `unit`.
template <int kGates>
inline const float* tile_of(const float* weight, int rows, int unit) {
  return weight + unit / kRowPad * kRowPad * kGates * rows + unit % kRowPad;
}

// bias + W in
template <int kGates, int kVecs>
inline void hear(Vec (&sum)[kGates][kVecs], const RecurrentArgs<float>& a, int t, int unit) {
  const float* const bias = tile_of<kGates>(a.bias, 1, unit);
  for (int g = 0; g < kGates; ++g)
    for (int n = 0; n < kVecs; ++n) {
      const int tile = n * kLanes / kRowPad * kGates + g;
      sum[g][n] = load(bias + tile * kRowPad + n * kLanes % kRowPad);
    }
  accumulate_rows<kGates, kVecs, 1>(sum, tile_of<kGates>(a.input, a.ins, unit), a.ins,
                                    a.in + t * a.in_stride);
}

// sum += U h
template <int kGates, int kVecs>
inline void recall(Vec (&sum)[kGates][kVecs], const RecurrentArgs<float>& a, const float* h,
                   int unit) {
  const int rows = even(a.hidden);
  accumulate_rows<kGates, kVecs, kGates * kVecs < 8 ? 2 : 1>(
      sum, tile_of<kGates>(a.weight, rows, unit), rows, h);
}

// With e = exp(-x) for a gate, and tanh(g) = p / q, one division gives
//   c + (s(i) tanh(g) - (1 - s(f)) c)
//     = c + (p (1 + e_f) - e_f c q (1 + e_i)) / (q (1 + e_i) (1 + e_f))
// which also keeps what a cell loses a frame, where s(f) itself rounds to 1.
template <int kVecs>
void lstm_units(const RecurrentArgs<float>& a, int t, const float* h, int unit) {
  Vec sum[4][kVecs];
  hear<4, kVecs>(sum, a, t, unit);
  recall<4, kVecs>(sum, a, h, unit);
  const Vec one = splat(1.0F);
  for (int n = 0; n < kVecs; ++n) {
    float* const cell = a.cell + unit + n * kLanes;
    const Vec before = load(cell);
    const Vec forget = exp_minus(sum[1][n]);
    const Fraction g = tanh_fraction(sum[2][n]);
    const Vec q = (one + exp_minus(sum[0][n])) * g.q;
    const Vec kept = one + forget;
    const Vec c = before + (g.p * kept - forget * before * q) / (q * kept);
    store(cell, c);
    const Fraction h_of = tanh_fraction(c);
    store(a.out + t * a.width + unit + n * kLanes,
          h_of.p / (h_of.q * (one + exp_minus(sum[3][n]))));
  }
}

// Likewise h + (1 - s(z)) (n' - h), n' = p / q, of one division.
template <int kVecs>
void gru_units(const RecurrentArgs<float>& a, int t, const float* h, int unit) {
  Vec sum[3][kVecs];
  hear<3, kVecs>(sum, a, t, unit);
  Vec input[kVecs];
  for (int n = 0; n < kVecs; ++n) {
    input[n] = sum[2][n];
    sum[2][n] = load(a.inner + unit + n * kLanes);
  }
  recall<3, kVecs>(sum, a, h, unit);
  const Vec one = splat(1.0F);
  for (int n = 0; n < kVecs; ++n) {
    const Vec before = load(h + unit + n * kLanes);
    const Fraction next = tanh_fraction(input[n] + sum[2][n] / (one + exp_minus(sum[0][n])));
    const Vec e = exp_minus(sum[1][n]);
    store(a.out + t * a.width + unit + n * kLanes,
          before + e * (next.p - before * next.q) / (next.q * (one + e)));
  }
}

// Every unit of every frame by `units`, as many vectors at a time as are left.
#define AMP_RECURRENT(units)                                              \
  const float* h = a.start;                                               \
  for (int t = 0; t < a.frames; ++t) {                                    \
    for (int unit = 0; unit < a.hidden; unit += kMostVecs * kLanes)       \
      switch ((a.hidden - unit + kLanes - 1) / kLanes) {                  \
        case 1: units<1>(a, t, h, unit); break;                           \
        case 2: units<2>(a, t, h, unit); break;                           \
        case 3: units<kMostVecs < 3 ? kMostVecs : 3>(a, t, h, unit); break; \
        default: units<kMostVecs>(a, t, h, unit); break;                  \
      }                                                                   \
    h = a.out + t * a.width;                                              \
  }

void lstm(const RecurrentArgs<float>& a) noexcept AMP_RT { AMP_RECURRENT(lstm_units) }

void gru(const RecurrentArgs<float>& a) noexcept AMP_RT { AMP_RECURRENT(gru_units) }

#undef AMP_RECURRENT

void tanh_all(float* values, int count) noexcept AMP_RT {
  for (int i = 0; i < count; i += kLanes) store(values + i, tanh_of(load(values + i)));
}

void sigmoid_all(float* values, int count) noexcept AMP_RT {
  for (int i = 0; i < count; i += kLanes) store(values + i, sigmoid_of(load(values + i)));
}

}  // namespace

extern const RowKernels<float> kRowTable;
const RowKernels<float> kRowTable{multiply, dot, lstm, gru, tanh_all, sigmoid_all};

}  // namespace amp::dsp::AMP_ISA
