/* The vocabulary that the rows of activations.def are written in.
 *
 * Compile with -O3 -fno-math-errno -fno-trapping-math -ffp-contract=off, never with -ffast-math: the functions rely
 * on every operation being rounded once and in the order written, and a fused multiply-add is written v_fma.
 *
 * All functions are free of branches, so that a loop over them is vectorised, and none calls the C library, whose
 * results differ from system to system.  They take and return double: a row that needs them is evaluated in double
 * for float arrays too and rounded once.  "ULP" is measured against the exact value (tests/test_vecmath.py).
 *
 * The constants are those that tools/coefficients.py prints.
 */
#ifndef PYACTX_VECMATH_H
#define PYACTX_VECMATH_H

#include <stdint.h>
#include <string.h>

/* a where the condition holds, else b.  Both are evaluated. */
#define v_where(condition, a, b) ((condition) ? (a) : (b))

#define v_square(x) ((x) * (x))

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__)
#define v_fma(a, b, c) __builtin_fma((a), (b), (c))
#else
/* Without the instruction a call to fma() would cost more than the whole kernel: only the accuracy bounds hold. */
#define v_fma(a, b, c) ((a) * (b) + (c))
#endif

#define V_LOG2_E 1.4426950408889634
#define V_LN2_HIGH 0.6931471806019545
#define V_LN2_LOW -4.2009150726810846e-11

#define V_EXP_0 0.5
#define V_EXP_1 0.16666666666666677
#define V_EXP_2 0.0416666666666667
#define V_EXP_3 0.008333333333321615
#define V_EXP_4 0.0013888888888866843
#define V_EXP_5 0.00019841269886158926
#define V_EXP_6 2.480158736054869e-05
#define V_EXP_7 2.7557244181557965e-06
#define V_EXP_8 2.7557242764752025e-07
#define V_EXP_9 2.5109045009734134e-08
#define V_EXP_10 2.0924442079634303e-09

#define V_LOG_0 0.6666666666666734
#define V_LOG_1 0.3999999999941432
#define V_LOG_2 0.2857142874247464
#define V_LOG_3 0.22222198563505663
#define V_LOG_4 0.18183564865766935
#define V_LOG_5 0.15314035855635305
#define V_LOG_6 0.14796105260620895

/* 1.5 * 2^52: adding it to |n| < 2^51 leaves the integer nearest to n in the low bits of the sum. */
#define V_ROUND 6755399441055744.0

static inline uint64_t v_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double v_from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* |x|.  Exact; the sign of a NaN is cleared. */
static inline double v_abs(double x)
{
    return v_from_bits(v_bits(x) & 0x7fffffffffffffff);
}

/* |x| with the sign of y.  Exact, also for zeros and NaN. */
static inline double v_copysign(double x, double y)
{
    return v_from_bits((v_bits(x) & 0x7fffffffffffffff) | (v_bits(y) & 0x8000000000000000));
}

/* x limited to [low, high], low <= high.  Exact; NaN stays NaN because the constants stand first. */
#define v_clip(x, low, high) v_where((low) > (x), (low), v_where((high) < (x), (high), (x)))

/* a x, except that 0 times an infinity is a zero: the limit of a x as x grows when a is 0. */
#define v_slope(a, x) ((a) * v_where((a) == 0, v_clip((x), -1, 1), (x)))

/* 2^n for a whole number n in [-1022, 1023], given as n + V_ROUND.  Exact. */
static inline double v_power_of_two(double n_rounding)
{
    return v_from_bits((v_bits(n_rounding) << 52) + 0x3ff0000000000000);
}

/* The common part of v_exp and v_expm1: x + low = n ln 2 + r with |r| <= ln(2)/2, and p = exp(r) - 1.
 * The last two terms of p are left apart, `high` exact, so that 1 + p can be rounded once. */
typedef struct {
    double n;    /* a whole number */
    double high; /* p = high + rest */
    double rest;
} v_reduced;

static inline v_reduced v_reduce(double x, double low)
{
    const double n = (x * V_LOG2_E + V_ROUND) - V_ROUND;
    const double high = x - n * V_LN2_HIGH; /* exact */
    const double tail = n * V_LN2_LOW - low;
    const double r = high - tail;
    double p = V_EXP_10;
    p = v_fma(p, r, V_EXP_9);
    p = v_fma(p, r, V_EXP_8);
    p = v_fma(p, r, V_EXP_7);
    p = v_fma(p, r, V_EXP_6);
    p = v_fma(p, r, V_EXP_5);
    p = v_fma(p, r, V_EXP_4);
    p = v_fma(p, r, V_EXP_3);
    p = v_fma(p, r, V_EXP_2);
    p = v_fma(p, r, V_EXP_1);
    p = v_fma(p, r, V_EXP_0);
    return (v_reduced){n, high, v_fma(r * r, p, -tail)};
}

/* exp(x + low) for |low| no larger than half an ULP of x.
 * Max error: 0.8 ULP, 1.3 among subnormal results.  Range: all.  exp(-inf) = 0, exp(inf) = inf, NaN stays. */
static inline double v_exp_sum(double x, double low)
{
    /* Beyond these bounds the result is 0 or inf, and n would leave the range of v_power_of_two. */
    const v_reduced a = v_reduce(v_clip(x, -760, 720), low);
    /* Two factors, because 2^n itself may be subnormal or overflow: the second product is rounded, once. */
    const double half = (0.5 * a.n + V_ROUND) - V_ROUND;
    return (1 + (a.high + a.rest)) * v_power_of_two(half + V_ROUND) * v_power_of_two((a.n - half) + V_ROUND);
}

/* exp(x).  Max error: 0.8 ULP, 1.3 among subnormal results.  Range: all.  exp(-inf) = 0, exp(inf) = inf, NaN stays. */
static inline double v_exp(double x)
{
    return v_exp_sum(x, 0);
}

/* exp(a - b).  Max error and special values as v_exp, however much of the difference is lost to rounding. */
static inline double v_exp_difference(double a, double b)
{
    const double d = a - b;
    const double b_used = a - d;
    const double low = (a - (d + b_used)) + (b_used - b);
    return v_exp_sum(d, v_where(low == low, low, 0)); /* low is NaN where d is infinite */
}

/* exp(x) - 1.  Max error: 1.0 ULP.  Range: x <= 709.  expm1(-inf) = -1, expm1(±0) = ±0, NaN stays. */
static inline double v_expm1(double x)
{
    const v_reduced a = v_reduce(v_clip(x, -60, 709), 0);
    const double scale = v_power_of_two(a.n + V_ROUND);
    /* x itself where it is so small that the sum below would turn -0 into 0. */
    return v_where(x == 0, x, v_fma(scale, a.high + a.rest, scale - 1));
}

/* log(1 + t).  Max error: 1.0 ULP.  Range: t >= 0, not inf.  log1p(0) = 0, NaN stays. */
static inline double v_log1p(double t)
{
    const double u = 1 + t;
    const double lost = v_where(t < 1, t - (u - 1), 1 - (u - t)); /* u + lost = 1 + t exactly */
    /* u = 2^k m with m in [sqrt(1/2), sqrt(2)) */
    const uint64_t exponent = (v_bits(u) - 0x3fe6a09e667f3bcd) >> 52;
    const double k = v_from_bits(exponent | 0x4330000000000000) - 0x1p52;
    const double m = v_from_bits(v_bits(u) - (exponent << 52));
    const double f = m - 1; /* exact */
    const double s = f / (2 + f);
    const double z = s * s;
    double series = V_LOG_6;
    series = v_fma(series, z, V_LOG_5);
    series = v_fma(series, z, V_LOG_4);
    series = v_fma(series, z, V_LOG_3);
    series = v_fma(series, z, V_LOG_2);
    series = v_fma(series, z, V_LOG_1);
    series = v_fma(series, z, V_LOG_0);
    const double half_square = 0.5 * f * f;
    const double rest = v_fma(s, half_square + z * series, k * V_LN2_LOW + lost / u);
    return v_where(t == t, k * V_LN2_HIGH + (f - (half_square - rest)), t);
}

#endif
