#define AMP_ISA avx512
#define AMP_LANES 16
#include "kernels.inl"

#include "rows.inl"
#include "spectra.inl"
