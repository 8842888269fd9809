#define AMP_ISA generic
#define AMP_LANES 4
#include "kernels.inl"

#include "rows.inl"
#include "spectra.inl"
