/* Every kernel for AVX-512 F, BW, CD, DQ and VL.  setup.py gives the compiler flags. */
#define PYACTX_ISA avx512
#include "module.h"
