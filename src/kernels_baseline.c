/* Every kernel for the least that every processor of this architecture has (x86-64-v2; NEON on aarch64).  setup.py gives the compiler flags. */
#define PYACTX_ISA baseline
#include "kernels.h"
