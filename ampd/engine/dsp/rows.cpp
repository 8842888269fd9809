#include "rows.hpp"

#include <cmath>

#include "isa.hpp"

namespace amp::dsp {

namespace generic {
extern const RowKernels<float> kRowTable;
}
#if defined(AMP_X86)
namespace avx2 {
extern const RowKernels<float> kRowTable;
}
namespace avx512 {
extern const RowKernels<float> kRowTable;
}
#elif defined(AMP_NEON)
namespace neon {
extern const RowKernels<float> kRowTable;
}
#endif

namespace {

double sigmoid_of(double x) noexcept AMP_RT {
  return 1 / (1 + std::exp(-x));
}

void multiply(const MultiplyArgs<double>& a) noexcept AMP_RT {
  for (int t = 0; t < a.frames; ++t) {
    double* const out = a.out + t * a.width;
    if (a.bias != nullptr)
      for (int o = 0; o < a.width; ++o) out[o] = a.bias[o];
    for (int i = 0; i < a.ins; ++i)
      for (int o = 0; o < a.width; ++o)
        out[o] += a.in[t * a.in_stride + i] * a.weight[i * a.width + o];
  }
}

void dot(const MultiplyArgs<double>& a) noexcept AMP_RT {
  for (int t = 0; t < a.frames; ++t) {
    double* const out = a.out + t * kRowPad;
    for (int o = 0; o < kRowPad; ++o) out[o] = 0;
    out[0] = a.bias[0];
    for (int i = 0; i < a.ins; ++i) out[0] += a.in[t * a.in_stride + i] * a.weight[i];
  }
}

/// The sum over `rows` of x times its weight, for one gate of one unit.
double product(const double* weight, const double* x, int rows, int gates, int gate,
               int unit) noexcept AMP_RT {
  const double* at = weight + (unit / kRowPad * rows * gates + gate) * kRowPad + unit % kRowPad;
  double sum = 0;
  for (int row = 0; row < rows; ++row) sum += x[row] * at[row * gates * kRowPad];
  return sum;
}

/// bias + W in for one gate.
double heard(const RecurrentArgs<double>& a, int t, int gates, int gate, int unit) noexcept AMP_RT {
  return a.bias[(unit / kRowPad * gates + gate) * kRowPad + unit % kRowPad] +
         product(a.input, a.in + t * a.in_stride, a.ins, gates, gate, unit);
}

/// U h for one gate.
double recalled(const RecurrentArgs<double>& a, const double* h, int gates, int gate,
                int unit) noexcept AMP_RT {
  return product(a.weight, h, even(a.hidden), gates, gate, unit);
}

void lstm(const RecurrentArgs<double>& a) noexcept AMP_RT {
  const double* h = a.start;
  for (int t = 0; t < a.frames; ++t) {
    double* const out = a.out + t * a.width;
    for (int u = 0; u < a.width; ++u) {
      const double i = sigmoid_of(heard(a, t, 4, 0, u) + recalled(a, h, 4, 0, u));
      const double f = sigmoid_of(heard(a, t, 4, 1, u) + recalled(a, h, 4, 1, u));
      const double g = std::tanh(heard(a, t, 4, 2, u) + recalled(a, h, 4, 2, u));
      const double o = sigmoid_of(heard(a, t, 4, 3, u) + recalled(a, h, 4, 3, u));
      a.cell[u] = f * a.cell[u] + i * g;
      out[u] = o * std::tanh(a.cell[u]);
    }
    h = out;
  }
}

void gru(const RecurrentArgs<double>& a) noexcept AMP_RT {
  const double* h = a.start;
  for (int t = 0; t < a.frames; ++t) {
    double* const out = a.out + t * a.width;
    for (int u = 0; u < a.width; ++u) {
      const double r = sigmoid_of(heard(a, t, 3, 0, u) + recalled(a, h, 3, 0, u));
      const double z = sigmoid_of(heard(a, t, 3, 1, u) + recalled(a, h, 3, 1, u));
      const double n = std::tanh(heard(a, t, 3, 2, u) + r * (recalled(a, h, 3, 2, u) + a.inner[u]));
      out[u] = (1 - z) * n + z * h[u];
    }
    h = out;
  }
}

void tanh_all(double* values, int count) noexcept AMP_RT {
  for (int i = 0; i < count; ++i) values[i] = std::tanh(values[i]);
}

void sigmoid_all(double* values, int count) noexcept AMP_RT {
  for (int i = 0; i < count; ++i) values[i] = sigmoid_of(values[i]);
}

constexpr RowKernels<double> kScalarTable{multiply, dot, lstm, gru, tanh_all, sigmoid_all};

}  // namespace

const RowKernels<double>& scalar_row_kernels() {
  return kScalarTable;
}

const RowKernels<float>& row_kernels(Isa isa) {
#if defined(AMP_X86)
  if (isa == Isa::kAvx512) return avx512::kRowTable;
  if (isa == Isa::kAvx2) return avx2::kRowTable;
#elif defined(AMP_NEON)
  if (isa == Isa::kNeon) return neon::kRowTable;
#endif
  static_cast<void>(isa);
  return generic::kRowTable;
}

}  // namespace amp::dsp
