// Kernels over rows, once for each instruction set; included behind kernels.inl, whose vectors and
// tanh they use.

#include "rows.hpp"

namespace amp::dsp::AMP_ISA {
namespace {

using Ints = int __attribute__((vector_size(kLanes * sizeof(int))));

// 2^k * e^r, k whole and |r| <= ln(2) / 2: Cephes' polynomial (S. Moshier, expf), 2 ulp. Adding
// 1.5 * 2^23 rounds to whole, and leaves k in the low bits.
inline Vec exp_of(Vec x) {
  const Vec limit = splat(60.0F);
  x = x > limit ? limit : x;
  x = x < -limit ? -limit : x;
  const Vec magic = splat(12582912.0F);
  const Vec shifted = x * splat(1.44269504088896341F) + magic;
  const Vec k = shifted - magic;
  Vec r = x - k * splat(0.693359375F);
  r = r - k * splat(-2.12194440e-4F);
  Vec p = splat(1.9875691500e-4F);
  p = p * r + splat(1.3981999507e-3F);
  p = p * r + splat(8.3334519073e-3F);
  p = p * r + splat(4.1665795894e-2F);
  p = p * r + splat(1.6666665459e-1F);
  p = p * r + splat(5.0000001201e-1F);
  p = p * (r * r) + r + splat(1.0F);
  return (Vec)((Ints)p + (((Ints)shifted - (Ints)magic) << 23));
}

// A net that integrates keeps a gate next to 1 for seconds: half of 1 + tanh(x / 2) is off by
// 1.5e-7 there and was heard to drift; this is off by the rounding of its result.
inline Vec sigmoid_of(Vec x) { return splat(1.0F) / (splat(1.0F) + exp_of(-x)); }

// A tile is kRowPad columns of as many frames as give eight accumulators.
constexpr int kTileVecs = kRowPad / kLanes;
constexpr int kTileFrames = 8 / kTileVecs;

template <int kFrames>
inline void multiply_tile(const MultiplyArgs<float>& a, int t, int o) {
  Vec sum[kFrames][kTileVecs];
  for (int f = 0; f < kFrames; ++f)
    for (int n = 0; n < kTileVecs; ++n) sum[f][n] = load(a.out + (t + f) * a.width + o + n * kLanes);
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

// sum[gate] += U h for one vector of units. Two chains a gate hide the latency of the sums, which
// is what a recurrent net waits for.
template <int kGates>
inline void recur(Vec (&sum)[kGates], const RecurrentArgs<float>& a, const float* h, int unit) {
  Vec odd[kGates];
  for (int g = 0; g < kGates; ++g) odd[g] = splat(0.0F);
  const float* weight = a.weight + unit;
  const int row = kGates * a.width;
  int j = 0;
  for (; j + 2 <= a.hidden; j += 2, weight += 2 * row) {
    const Vec h0 = splat(h[j]);
    const Vec h1 = splat(h[j + 1]);
    for (int g = 0; g < kGates; ++g) {
      sum[g] = sum[g] + load(weight + g * a.width) * h0;
      odd[g] = odd[g] + load(weight + row + g * a.width) * h1;
    }
  }
  if (j < a.hidden) {
    const Vec h0 = splat(h[j]);
    for (int g = 0; g < kGates; ++g) sum[g] = sum[g] + load(weight + g * a.width) * h0;
  }
  for (int g = 0; g < kGates; ++g) sum[g] = sum[g] + odd[g];
}

void lstm(const RecurrentArgs<float>& a) noexcept AMP_RT {
  const float* h = a.start;
  for (int t = 0; t < a.frames; ++t) {
    const float* const x = a.gates + t * 4 * a.width;
    float* const out = a.out + t * a.width;
    for (int u = 0; u < a.width; u += kLanes) {
      Vec sum[4];
      for (int g = 0; g < 4; ++g) sum[g] = load(x + g * a.width + u);
      recur<4>(sum, a, h, u);
      const Vec c =
          sigmoid_of(sum[1]) * load(a.cell + u) + sigmoid_of(sum[0]) * tanh_of(sum[2]);
      store(a.cell + u, c);
      store(out + u, sigmoid_of(sum[3]) * tanh_of(c));
    }
    h = out;
  }
}

void gru(const RecurrentArgs<float>& a) noexcept AMP_RT {
  const float* h = a.start;
  for (int t = 0; t < a.frames; ++t) {
    const float* const x = a.gates + t * 3 * a.width;
    float* const out = a.out + t * a.width;
    for (int u = 0; u < a.width; u += kLanes) {
      Vec sum[3] = {load(x + u), load(x + a.width + u), load(a.bias + u)};
      recur<3>(sum, a, h, u);
      const Vec n = tanh_of(load(x + 2 * a.width + u) + sigmoid_of(sum[0]) * sum[2]);
      // With e = exp(-z): s(z) = 1 / (1 + e) and 1 - s(z) = e / (1 + e), small as it may be.
      const Vec e = exp_of(-sum[1]);
      store(out + u, (load(h + u) + e * n) / (splat(1.0F) + e));
    }
    h = out;
  }
}

void tanh_all(float* values, int count) noexcept AMP_RT {
  for (int i = 0; i < count; i += kLanes) store(values + i, tanh_of(load(values + i)));
}

void sigmoid_all(float* values, int count) noexcept AMP_RT {
  for (int i = 0; i < count; i += kLanes) store(values + i, sigmoid_of(load(values + i)));
}

}  // namespace

extern const RowKernels<float> kRowTable;
const RowKernels<float> kRowTable{multiply, lstm, gru, tanh_all, sigmoid_all};

}  // namespace amp::dsp::AMP_ISA
