#define AMP_ISA avx2
#define AMP_LANES 8
#include "kernels.inl"

#include "rows.inl"
#include "spectra.inl"
