/* Every kernel for AVX2 and FMA.  setup.py gives the compiler flags. */
#define PYACTX_ISA avx2
#include "module.h"
