/* Every kernel for x86-64-v3: AVX2 and FMA.  setup.py gives the compiler flags. */
#define PYACTX_ISA avx2
#include "kernels.h"
