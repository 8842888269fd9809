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
  for (int t = 0; t < a.frames; ++t)
    for (int i = 0; i < a.ins; ++i)
      for (int o = 0; o < a.width; ++o)
        a.out[t * a.width + o] += a.in[t * a.in_stride + i] * a.weight[i * a.width + o];
}

/// Row `unit` of U h for one gate.
double recurrent(const RecurrentArgs<double>& a, const double* h, int gate, int gates,
                 int unit) noexcept AMP_RT {
  double sum = 0;
  for (int j = 0; j < a.hidden; ++j) sum += h[j] * a.weight[(j * gates + gate) * a.width + unit];
  return sum;
}

void lstm(const RecurrentArgs<double>& a) noexcept AMP_RT {
  const double* h = a.start;
  for (int t = 0; t < a.frames; ++t) {
    const double* const x = a.gates + t * 4 * a.width;
    double* const out = a.out + t * a.width;
    for (int u = 0; u < a.width; ++u) {
      const double i = sigmoid_of(x[u] + recurrent(a, h, 0, 4, u));
      const double f = sigmoid_of(x[a.width + u] + recurrent(a, h, 1, 4, u));
      const double g = std::tanh(x[2 * a.width + u] + recurrent(a, h, 2, 4, u));
      const double o = sigmoid_of(x[3 * a.width + u] + recurrent(a, h, 3, 4, u));
      a.cell[u] = f * a.cell[u] + i * g;
      out[u] = o * std::tanh(a.cell[u]);
    }
    h = out;
  }
}

void gru(const RecurrentArgs<double>& a) noexcept AMP_RT {
  const double* h = a.start;
  for (int t = 0; t < a.frames; ++t) {
    const double* const x = a.gates + t * 3 * a.width;
    double* const out = a.out + t * a.width;
    for (int u = 0; u < a.width; ++u) {
      const double r = sigmoid_of(x[u] + recurrent(a, h, 0, 3, u));
      const double z = sigmoid_of(x[a.width + u] + recurrent(a, h, 1, 3, u));
      const double n = std::tanh(x[2 * a.width + u] + r * (recurrent(a, h, 2, 3, u) + a.bias[u]));
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

constexpr RowKernels<double> kScalarTable{multiply, lstm, gru, tanh_all, sigmoid_all};

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
