#include "spectra.hpp"

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

#include "isa.hpp"

namespace amp::dsp {

namespace generic {
extern const SpectrumKernels<float> kSpectrumTable;
}
#if defined(AMP_X86)
namespace avx2 {
extern const SpectrumKernels<float> kSpectrumTable;
}
namespace avx512 {
extern const SpectrumKernels<float> kSpectrumTable;
}
#elif defined(AMP_NEON)
namespace neon {
extern const SpectrumKernels<float> kSpectrumTable;
}
#endif

namespace {

/// e^(i pi `half_turns`).
std::complex<double> turn(double half_turns) noexcept AMP_RT {
  const double phase = std::numbers::pi * half_turns;
  return {std::cos(phase), std::sin(phase)};
}

void filter(const FilterArgs<double>& a) noexcept AMP_RT {
  for (int o = 0; o < std::max(a.ins, a.responses); ++o) {
    const double* const in = a.in[std::min(o, a.ins - 1)];
    const double* const response = a.response[std::min(o, a.responses - 1)];
    for (int t = 0; t < a.frames; ++t) {
      double sum = 0;
      for (int j = 0; j < a.taps; ++j) sum += response[j] * in[t - j];
      a.out[o][t] = sum;
    }
  }
}

void forward(const TransformTable&, const double* frames, Bins<double>* out,
             int stride) noexcept AMP_RT {
  for (int k = 0; k < kBins; ++k) {
    std::complex<double> sum = 0;
    for (int n = 0; n < kBins; ++n)
      sum += std::complex<double>(frames[n], frames[n + kBins]) * turn(n / 128.0 - n * k / 32.0);
    out[k / kGroupBins * stride].re[k % kGroupBins] = sum.real();
    out[k / kGroupBins * stride].im[k % kGroupBins] = sum.imag();
  }
}

void inverse(const TransformTable&, const Bins<double>* bins, double* frames) noexcept AMP_RT {
  for (int n = 0; n < kBins; ++n) {
    std::complex<double> sum = 0;
    for (int k = 0; k < kBins; ++k) {
      const Bins<double>& group = bins[k / kGroupBins];
      sum += std::complex<double>(group.re[k % kGroupBins], group.im[k % kGroupBins]) *
             turn(n * k / 32.0);
    }
    frames[n] = (sum * turn(-n / 128.0)).imag();
  }
}

void product(const ProductArgs<double>& a) noexcept AMP_RT {
  for (int o = 0; o < std::max(a.ins, a.responses); ++o)
    for (int k = 0; k < kBins; ++k) {
      const int group = k / kGroupBins;
      const int bin = k % kGroupBins;
      const Bins<double>* const window = a.window[std::min(o, a.ins - 1)] + group * a.parts;
      const Bins<double>* const response =
          a.response[std::min(o, a.responses - 1)] + group * a.parts;
      std::complex<double> sum = 0;
      for (int p = 0; p < a.parts; ++p) {
        const Bins<double>& x = window[(a.newest + p) % a.parts];
        sum += std::complex<double>(x.re[bin], x.im[bin]) *
               std::complex<double>(response[p].re[bin], response[p].im[bin]);
      }
      a.out[o][group].re[bin] = sum.real();
      a.out[o][group].im[bin] = sum.imag();
    }
}

constexpr SpectrumKernels<double> kScalarTable{filter, forward, inverse, product};

TransformTable make_table() {
  TransformTable table{};
  for (int n = 0; n < kBins; ++n) {
    const int row = n / 8;
    const int column = n % 8;
    const std::complex<double> skew = turn(n / 128.0);
    const std::complex<double> eighth = turn(-row * column / 32.0);
    table.skew_re[n] = static_cast<float>(skew.real());
    table.skew_im[n] = static_cast<float>(skew.imag());
    table.turn_re[n] = static_cast<float>(eighth.real());
    table.turn_im[n] = static_cast<float>(eighth.imag());
  }
  return table;
}

}  // namespace

const TransformTable& transform_table() {
  static const TransformTable table = make_table();
  return table;
}

const SpectrumKernels<double>& scalar_spectrum_kernels() {
  return kScalarTable;
}

const SpectrumKernels<float>& spectrum_kernels(Isa isa) {
#if defined(AMP_X86)
  if (isa == Isa::kAvx512) return avx512::kSpectrumTable;
  if (isa == Isa::kAvx2) return avx2::kSpectrumTable;
#elif defined(AMP_NEON)
  if (isa == Isa::kNeon) return neon::kSpectrumTable;
#endif
  static_cast<void>(isa);
  return generic::kSpectrumTable;
}

}  // namespace amp::dsp
