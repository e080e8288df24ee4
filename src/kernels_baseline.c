/* Every kernel for the least that every processor of this architecture has (SSE4.2 on x86-64; NEON on aarch64).  setup.py gives the compiler flags. */
#define PYACTX_ISA baseline
#include "module.h"
