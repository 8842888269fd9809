#define AMP_ISA neon
#define AMP_LANES 4
#include "kernels.inl"

#include "rows.inl"
#include "spectra.inl"
