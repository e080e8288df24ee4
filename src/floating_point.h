/* The floating-point environment of the calling thread: kernels run in the default one, whatever the caller has set, so
 * that neither flush-to-zero nor a rounding mode reaches a result, and no flag that they raise reaches the caller. */
#ifndef PYACTX_FLOATING_POINT_H
#define PYACTX_FLOATING_POINT_H

#if defined(__x86_64__) || defined(_M_X64)
#include <immintrin.h>
#define PYACTX_MXCSR 1
#else
#include <fenv.h>
#endif


#if defined(PYACTX_MXCSR)
typedef unsigned environment;

static inline environment environment_enter(void)
{
    const environment saved = _mm_getcsr();
    if ((saved & 0xffc0u) != 0x1f80u) /* all exceptions masked, to nearest, no flush-to-zero */
        _mm_setcsr(0x1f80u);
    return saved;
}

static inline void environment_leave(environment saved)
{
    _mm_setcsr(saved);
}
#else
typedef fenv_t environment;

static inline environment environment_enter(void)
{
    environment saved;
    fegetenv(&saved);
    fesetenv(FE_DFL_ENV);
    return saved;
}

static inline void environment_leave(environment saved)
{
    fesetenv(&saved);
}
#endif

#endif
