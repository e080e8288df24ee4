/* Every kernel for x86-64-v4: AVX-512 F, BW, CD, DQ, VL.  setup.py gives the compiler flags. */
#define PYACTX_ISA avx512
#include "kernels.h"
