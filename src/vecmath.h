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

#include <math.h> /* INFINITY and NAN; none of its functions */
#include <stdint.h>
#include <string.h>

/* A loop over a function that the compiler did not inline is not vectorised. */
#if defined(_MSC_VER) && !defined(__clang__)
#define V_INLINE static __forceinline
#else
#define V_INLINE static inline __attribute__((always_inline))
#endif

/* a where the condition holds, else b.  Exact; both are evaluated. */
#define v_where(condition, a, b) ((condition) ? (a) : (b))

/* The value, but NaN where x is NaN.  Exact. */
#define v_unless_nan(x, value) v_where((x) == (x), (value), (x))

/* x².  Max error: 0.5 ULP.  Range: all. */
#define v_square(x) ((x) * (x))

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__)
#define V_FUSED
/* a b + c.  Max error: 0.5 ULP, without the instruction only where a b is exact.  Range: all. */
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

#define V_DENSITY_AT_0 0.3989422804014327 /* of the normal distribution: 1 / sqrt(2 pi) */

#define V_ERF_0 0.12837916709551256
#define V_ERF_1 -0.37612638903183543
#define V_ERF_2 0.11283791670938681
#define V_ERF_3 -0.026866170640173322
#define V_ERF_4 0.005223977549384155
#define V_ERF_5 -0.0008548320307391588
#define V_ERF_6 0.00012054970977689679
#define V_ERF_7 -1.491352505537383e-05
#define V_ERF_8 1.621487063445551e-06
#define V_ERF_9 -1.3525576660730717e-07

#define V_TAIL_SHIFT 5.5
#define V_TAIL_MIDDLE 0.10222130810366105
#define V_TAIL_0 4.589490800260267
#define V_TAIL_1 45.20890253151828
#define V_TAIL_2 380.5801698656787
#define V_TAIL_3 2713.551782205739
#define V_TAIL_4 16076.01207488729
#define V_TAIL_5 76151.05573220071
#define V_TAIL_6 264093.04330469907
#define V_TAIL_7 490468.7263991704
#define V_TAIL_8 -825052.9229793666
#define V_TAIL_9 -8658085.855420426
#define V_TAIL_10 -16529243.530735573
#define V_TAIL_11 70689081.03697185
#define V_TAIL_12 388292549.0036785
#define V_TAIL_13 -317915625.02918893
#define V_TAIL_14 -6398232734.588572
#define V_TAIL_15 -2228435528.240442
#define V_TAIL_16 102067718337.46483
#define V_TAIL_17 86264524789.51785
#define V_TAIL_18 -1586205344819.3613
#define V_TAIL_19 -1126014603067.4717
#define V_TAIL_20 17552340573369.041

#define V_TANH_0 1.2
#define V_TANH_1 -0.005714285714285216
#define V_TANH_2 0.0002539682539645577
#define V_TANH_3 -1.2203669332806187e-05
#define V_TANH_4 5.987662831513933e-07
#define V_TANH_5 -2.9565085308516757e-08
#define V_TANH_6 1.4627714180154823e-09
#define V_TANH_7 -7.239921193749371e-11
#define V_TANH_8 3.5746300016746543e-12
#define V_TANH_9 -1.736755816163855e-13
#define V_TANH_10 7.881317180555317e-15
#define V_TANH_11 -2.8970604798153554e-16
#define V_TANH_12 6.091959844506208e-18

#define V_SQRT_2 1.4142135623730951
#define V_ERF_SLOPE 1.1283791670955126 /* of erf at 0: 2 / sqrt(pi) */

#define V_GELU_LINEAR 1.5957691216057308
#define V_GELU_LINEAR_LOW -9.96930880911092e-17
#define V_GELU_CUBIC 0.07135481627260025
#define V_GELU_CUBIC_LOW -4.1218577217431825e-18

#define V_HALF_PI 1.5707963267948966
#define V_HALF_PI_LOW 6.123233995736766e-17

#define V_SINE_SQUARE_0 -0.3333333333333333
#define V_SINE_SQUARE_1 0.04444444444444424
#define V_SINE_SQUARE_2 -0.0031746031745994966
#define V_SINE_SQUARE_3 0.0001410934743952164
#define V_SINE_SQUARE_4 -4.275559680697933e-06
#define V_SINE_SQUARE_5 9.396792981816259e-08
#define V_SINE_SQUARE_6 -1.5654635759502845e-09
#define V_SINE_SQUARE_7 1.988367672368315e-11

#define V_SINE_0 -0.6666666666666666
#define V_SINE_1 0.1333333333333311
#define V_SINE_2 -0.012698412698373877
#define V_SINE_3 0.0007054673718049476
#define V_SINE_4 -2.5653357437123024e-05
#define V_SINE_5 6.577741690629325e-07
#define V_SINE_6 -1.2522275881976904e-08
#define V_SINE_7 1.7833433126519759e-10

/* 2/π in pieces of 24 bits, times 2^120, after three zeros. */
static const double V_TWO_OVER_PI[50] = {
    0.0, 0.0, 0.0, 8.462127899632407e+35, 3.4137968415198734e+28, 3.904069185975867e+20, 43258122076160.0, 16069853.0,
    0.7533475160598755, 3.483113175661856e-08, 9.376318030508571e-16, 2.103668502598335e-22, 8.473847252478867e-30,
    5.800526791746993e-37, 6.381263164051058e-45, 6.922459095260023e-52, 1.394108205925925e-58, 1.740144385606823e-66,
    4.6333138756175267e-73, 3.3486878916466964e-80, 2.2536298577882564e-88, 7.829903680429227e-95,
    3.6335270488990674e-102, 7.772690519195558e-110, 1.3176729976344617e-116, 6.627132701367978e-124,
    3.363367015143741e-131, 1.2085810049044782e-138, 7.196610967592605e-146, 4.3225190630652087e-153,
    5.884674424401608e-160, 5.033787971817068e-167, 9.337976772659576e-175, 1.4308850360626426e-181,
    3.1387994141090766e-190, 7.999350058971233e-196, 2.7778914221016203e-203, 1.296577205898407e-210,
    3.8594246959220856e-218, 1.6797749494405742e-225, 4.6122062616348474e-232, 9.508205032677116e-240,
    8.573713523096845e-247, 6.242020340747919e-254, 6.34896893744044e-261, 4.570961562237349e-268,
    8.153188797571187e-277, 9.30201529616768e-283, 9.396415037261343e-290, 2.2862271874864656e-297,
};

/* 1.5 * 2^52: adding it to |n| < 2^51 leaves the integer nearest to n in the low bits of the sum. */
#define V_ROUND 6755399441055744.0

#define V_SPLIT 134217729.0 /* 2^27 + 1: the product with it splits a number in halves of 26 bits */
#define V_SQRT_HALF_BITS 0x3fe6a09e667f3bcd /* those of sqrt(1/2) */

/* The bits of x.  Exact. */
V_INLINE uint64_t v_bits(double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* The number that has these bits.  Exact. */
V_INLINE double v_from_bits(uint64_t bits)
{
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* |x|.  Exact; the sign of a NaN is cleared. */
V_INLINE double v_abs(double x)
{
    return v_from_bits(v_bits(x) & 0x7fffffffffffffff);
}

/* |x| with the sign of y.  Exact, also for zeros and NaN. */
V_INLINE double v_copysign(double x, double y)
{
    return v_from_bits((v_bits(x) & 0x7fffffffffffffff) | (v_bits(y) & 0x8000000000000000));
}

/* The square root, an instruction.  Max error: 0.5 ULP.  Range: all.  sqrt(-0) = -0, NaN for x < 0, NaN stays. */
V_INLINE double v_sqrt(double x)
{
#if defined(_MSC_VER) && !defined(__clang__)
    return sqrt(x);
#else
    return __builtin_sqrt(x);
#endif
}

/* x limited to [low, high], low <= high.  Exact; NaN stays NaN because the constants stand first. */
#define v_clip(x, low, high) v_where((low) > (x), (low), v_where((high) < (x), (high), (x)))

/* x, but not below a bound.  Exact; NaN stays.  (Compilers recognise two of these as equal, of v_clip not.) */
V_INLINE double v_at_least(double x, double low)
{
    return low > x ? low : x;
}

/* x, but not above a bound.  Exact; NaN stays. */
V_INLINE double v_at_most(double x, double high)
{
    return high < x ? high : x;
}

/* a x, except that 0 times an infinity is a zero: the limit of a x as x grows when a is 0.  Max error: 0.5 ULP. */
#define v_slope(a, x) ((a) * v_where((a) == 0, v_clip((x), -1, 1), (x)))

/* a b - p for p near a b.  Max error: 1 ULP of the difference, which is exact where p is the rounded product. */
V_INLINE double v_residual(double a, double b, double p)
{
#if defined(__FMA__) || defined(__ARM_FEATURE_FMA) || defined(__aarch64__)
    return __builtin_fma(a, b, -p);
#else
    /* Dekker: the products of halves of 26 bits are exact. */
    const double a_far = a * V_SPLIT, a_high = a_far - (a_far - a), a_low = a - a_high;
    const double b_far = b * V_SPLIT, b_high = b_far - (b_far - b), b_low = b - b_high;
    return (((a_high * b_high - p) + a_high * b_low) + a_low * b_high) + a_low * b_low;
#endif
}

/* What rounding a b to p has lost, to be carried on beside p.  Exact, unless it is subnormal; 0 where p is infinite or
 * NaN, so that only p itself is. */
V_INLINE double v_product_error(double a, double b, double p)
{
    const double low = v_residual(a, b, p);
    return v_where(v_abs(low) < v_abs(p), low, 0);
}

/* What rounding a - b to d has lost.  Exact; 0 where d is infinite or NaN. */
V_INLINE double v_difference_error(double a, double b, double d)
{
    const double b_used = a - d;
    const double low = (a - (d + b_used)) + (b_used - b);
    return v_where(low == low, low, 0);
}

/* What rounding (a + a_low) / b to q has lost.  Max error: 2^-103 of the quotient.  0 where q is infinite or NaN. */
V_INLINE double v_quotient_error(double a, double a_low, double b, double q)
{
    const double low = (a_low - v_residual(q, b, a)) * (1 / b);
    return v_where(v_abs(low) < v_abs(q), low, 0);
}

/* 2^n for a whole number n in [-1022, 1023], given as n + V_ROUND.  Exact. */
V_INLINE double v_power_of_two(double n_rounding)
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

/* Max error: 2^-54 of exp(x + low).  Range: -1400 <= x <= 720, |low| no larger than half an ULP of x. */
V_INLINE v_reduced v_reduce(double x, double low)
{
    const double n = (x * V_LOG2_E + V_ROUND) - V_ROUND;
    const double high = x - n * V_LN2_HIGH; /* exact */
    /* The low part of an x beyond the bounds may be huge. */
    const double tail = n * V_LN2_LOW - v_at_most(v_at_least(low, -1), 1);
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

/* x so far as its exponential matters: beyond these bounds that is 0 or inf, even times 1e284.  One pair of bounds for
 * all exponentials, so that those of one x share their reduction.  Exact; NaN stays. */
V_INLINE double v_clip_exponent(double x)
{
    return v_at_most(v_at_least(x, -1400), 720);
}

/* A power of two as a product, because itself it may be subnormal or overflow: the product with the second factor, the
 * last to be made, is rounded once. */
typedef struct {
    double first, second;
} v_scale;

/* 2^n for a whole number n in [-2040, 1040].  Exact. */
V_INLINE v_scale v_power_of_two_twice(double n)
{
    const double half = (0.5 * n + V_ROUND) - V_ROUND;
    return (v_scale){v_power_of_two(half + V_ROUND), v_power_of_two((n - half) + V_ROUND)};
}

/* exp(x + low) for |low| no larger than half an ULP of x.
 * Max error: 0.8 ULP, 1.3 among subnormal results.  Range: all.  exp(-inf) = 0, exp(inf) = inf, NaN stays. */
V_INLINE double v_exp_sum(double x, double low)
{
    const v_reduced a = v_reduce(v_clip_exponent(x), low);
    const v_scale scale = v_power_of_two_twice(a.n);
    return (1 + (a.high + a.rest)) * scale.first * scale.second;
}

/* exp(x).  Max error: 0.8 ULP, 1.3 among subnormal results.  Range: all.  exp(-inf) = 0, exp(inf) = inf, NaN stays. */
V_INLINE double v_exp(double x)
{
    return v_exp_sum(x, 0);
}

/* exp(a - b).  Max error and special values as v_exp, however much of the difference is lost to rounding. */
V_INLINE double v_exp_difference(double a, double b)
{
    const double d = a - b;
    return v_exp_sum(d, v_difference_error(a, b, d));
}

/* exp((d + low) / t), for |low| no larger than half an ULP of d.
 * Max error: 0.8 ULP, 1.3 among subnormal results.  exp(-inf / t) = 0 and exp(d / inf) = 1, NaN stays. */
V_INLINE double v_exp_quotient(double d, double low, double t)
{
    const double q = d / t;
    return v_exp_sum(q, v_quotient_error(d, low, t, q));
}

/* factor exp(x + low), where exp(x) itself may be subnormal or 0 and the product not.
 * Max error: 1.2 ULP, 1.3 among subnormal results.  Range: x <= 700.  A factor beyond ±1e284, also an infinite
 * one, counts as that, so that its product with exp(-inf) is the limit, a zero with its sign.  NaN stays. */
V_INLINE double v_times_exp(double factor, double x, double low)
{
    const v_reduced a = v_reduce(v_clip_exponent(x), low);
    const v_scale scale = v_power_of_two_twice(a.n);
    const double scaled = v_at_most(v_at_least(factor, -1e284), 1e284) * scale.first;
    return v_fma(scaled, a.high + a.rest, scaled) * scale.second;
}

/* exp(x) - 1.  Max error: 1.0 ULP.  Range: x <= 709, and inf beyond.  expm1(-inf) = -1, expm1(±0) = ±0, NaN stays. */
V_INLINE double v_expm1(double x)
{
    const v_reduced a = v_reduce(v_clip_exponent(x), 0);
    const v_scale scale = v_power_of_two_twice(a.n);
    const double power = scale.first * scale.second;
    const double value = v_fma(power, a.high + a.rest, power - 1);
    /* x itself where it is so small that the sum would turn -0 into 0; and 2^1024 is not finite. */
    return v_where(x == 0, x, v_where(x > 709, INFINITY, value));
}

/* exp(x) - 1 - x.
 * Max error: 1.9 ULP for |x| <= 0.34, elsewhere of the larger of exp(x) - 1 and x.  Range: x <= 709, not inf. */
V_INLINE double v_exp_remainder(double x)
{
    const v_reduced a = v_reduce(v_clip(x, -60, 709), 0);
    const double scale = v_power_of_two(a.n + V_ROUND);
    return v_where(a.n == 0, a.rest, v_fma(scale, a.high + a.rest, scale - 1) - x);
}

/* x - tanh(x).  Max error: 2.4 ULP.  Range: all.  Odd; ±inf at ±inf, NaN stays. */
V_INLINE double v_tanh_remainder(double x)
{
    const double a = v_abs(x);
    const double z = x * x;
    double p = V_TANH_12;
    p = v_fma(p, z, V_TANH_11);
    p = v_fma(p, z, V_TANH_10);
    p = v_fma(p, z, V_TANH_9);
    p = v_fma(p, z, V_TANH_8);
    p = v_fma(p, z, V_TANH_7);
    p = v_fma(p, z, V_TANH_6);
    p = v_fma(p, z, V_TANH_5);
    p = v_fma(p, z, V_TANH_4);
    p = v_fma(p, z, V_TANH_3);
    p = v_fma(p, z, V_TANH_2);
    p = v_fma(p, z, V_TANH_1);
    p = v_fma(p, z, V_TANH_0);
    p = v_fma(p, z, 3);
    const double em1 = v_expm1(-2 * a);
    const double quotient = v_where(a < 2, x * z, em1) / v_where(a < 2, p, 2 + em1);
    return v_where(a < 2, quotient, x - v_copysign(quotient, x));
}

/* log(u) + offset ln 2 + low, for normal u and |low| < 2^-52.  Max error: 1.0 ULP. */
V_INLINE double v_log_sum(double u, double offset, double low)
{
    /* u = 2^k m with m in [sqrt(1/2), sqrt(2)) */
    const uint64_t exponent = (v_bits(u) + (0x3ff0000000000000 - V_SQRT_HALF_BITS)) >> 52;
    const double k = v_from_bits(exponent | 0x4330000000000000) - (0x1p52 + 1023) + offset;
    const double m = v_from_bits(v_bits(u) - (exponent << 52) + 0x3ff0000000000000);
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
    const double rest = v_fma(s, half_square + z * series, k * V_LN2_LOW + low);
    return k * V_LN2_HIGH + (f - (half_square - rest));
}

/* log(x) + low for |low| < 2^-52.
 * Max error: 1.0 ULP.  Range: all.  log(0) = -inf, log(inf) = inf, NaN for x < 0, NaN stays. */
V_INLINE double v_log_plus(double x, double low)
{
    const double normal = v_where(x < 0x1p-1022, x * 0x1p54, x);
    const double offset = v_where(x < 0x1p-1022, -54, 0);
    return v_where(x > 0, v_where(x < INFINITY, v_log_sum(normal, offset, low), x), v_where(x == 0, -INFINITY, NAN));
}

/* log(x).  Max error: 1.0 ULP.  Range: all.  log(0) = -inf, log(inf) = inf, NaN for x < 0, NaN stays. */
V_INLINE double v_log(double x)
{
    return v_log_plus(x, 0);
}

/* log(1 + t).
 * Max error: 1.0 ULP.  Range: all.  log1p(±0) = 0, log1p(-1) = -inf, log1p(inf) = inf, NaN for t < -1, NaN stays. */
V_INLINE double v_log1p(double t)
{
    const double u = 1 + t;
    const double lost = v_where(t < 1, t - (u - 1), 1 - (u - t)); /* u + lost = 1 + t exactly */
    const double value = v_log_sum(u, 0, lost / u);
    return v_where(t > -1, v_where(t < INFINITY, value, t), v_where(t == -1, -INFINITY, NAN));
}

/* Φ(-a) exp(a²/2), where Φ is the normal distribution: what is left of its tail when the exponential is taken out.
 * Max error: 2.5 ULP.  Range: 0 <= a <= 38.7, beyond it any Φ(-a) is 0; not inf.  NaN stays. */
V_INLINE double v_normal_tail(double a)
{
    const double s = a + V_TAIL_SHIFT;
    const double t = 1 / s;
    const double v = t - V_TAIL_MIDDLE; /* exact where it matters */
    const double v2 = v * v;
    double even = V_TAIL_20, odd = V_TAIL_19; /* two chains, side by side */
    even = v_fma(even, v2, V_TAIL_18);
    odd = v_fma(odd, v2, V_TAIL_17);
    even = v_fma(even, v2, V_TAIL_16);
    odd = v_fma(odd, v2, V_TAIL_15);
    even = v_fma(even, v2, V_TAIL_14);
    odd = v_fma(odd, v2, V_TAIL_13);
    even = v_fma(even, v2, V_TAIL_12);
    odd = v_fma(odd, v2, V_TAIL_11);
    even = v_fma(even, v2, V_TAIL_10);
    odd = v_fma(odd, v2, V_TAIL_9);
    even = v_fma(even, v2, V_TAIL_8);
    odd = v_fma(odd, v2, V_TAIL_7);
    even = v_fma(even, v2, V_TAIL_6);
    odd = v_fma(odd, v2, V_TAIL_5);
    even = v_fma(even, v2, V_TAIL_4);
    odd = v_fma(odd, v2, V_TAIL_3);
    even = v_fma(even, v2, V_TAIL_2);
    odd = v_fma(odd, v2, V_TAIL_1);
    even = v_fma(even, v2, V_TAIL_0);
    double p = v_fma(odd, v, even);
    p = v_fma(p, t, V_DENSITY_AT_0);
    /* t is the rounded 1/(a' + shift) of an a' beside a, and the derivative of the tail is a tail - φ(0). */
    const double shift = s * v_residual(s, t, 1) + ((V_TAIL_SHIFT - s) + a);
    return v_fma(p, t, shift * v_fma(a, p * t, -V_DENSITY_AT_0));
}

/* factor exp(-(x + low)²/2), for |low| no larger than half an ULP of x.
 * Max error: 1.6 ULP, 1.3 among subnormal results.  Range: all.  An infinite factor counts as in v_times_exp,
 * NaN stays. */
V_INLINE double v_times_gaussian(double factor, double x, double low)
{
    const double c = v_at_most(v_at_least(x, -60), 60);
    const double square = c * c;
    return v_times_exp(factor, -0.5 * square, -0.5 * v_product_error(c, c, square) - c * low);
}

/* Φ(x + low), the normal distribution, for |low| no larger than half an ULP of x.
 * Max error: 3.1 ULP, 1.3 among subnormal results.  Range: all.  Φ(-inf) = 0, Φ(inf) = 1, NaN stays. */
V_INLINE double v_normal_cdf(double x, double low)
{
    const double tail = v_times_gaussian(v_normal_tail(v_at_most(v_abs(x), 60)), x, low);
    return v_where(x < 0, tail, 1 - tail);
}

/* erf(x).  Max error: 1.5 ULP.  Range: all.  erf(±0) = ±0, erf(±inf) = ±1, NaN stays. */
V_INLINE double v_erf(double x)
{
    const double a = v_at_most(v_abs(x), 30);
    const double square = a * a;
    double p = V_ERF_9;
    p = v_fma(p, square, V_ERF_8);
    p = v_fma(p, square, V_ERF_7);
    p = v_fma(p, square, V_ERF_6);
    p = v_fma(p, square, V_ERF_5);
    p = v_fma(p, square, V_ERF_4);
    p = v_fma(p, square, V_ERF_3);
    p = v_fma(p, square, V_ERF_2);
    p = v_fma(p, square, V_ERF_1);
    p = v_fma(p, square, V_ERF_0);
    const double tail = v_times_exp(v_normal_tail(V_SQRT_2 * a), -square, -v_product_error(a, a, square));
    return v_copysign(v_where(a < 0.65, v_fma(p, a, a), 1 - 2 * tail), x);
}

/* z + low + half π/2 or, for z < 0, minus that = n π/2 + r + r_low with |r| <= π/4: of n only whether it is odd. */
typedef struct {
    double r, r_low;
    double odd; /* not 0 if n is odd */
} v_angle;

/* v - 2 n, with n a whole number, |v - 2 n| <= 2.  Exact for -2^52 < v < 2^53. */
V_INLINE double v_remainder_of_two(double v)
{
    return v - ((v + 2 * V_ROUND) - 2 * V_ROUND);
}

/* Max error: 2^-70 of 1, half an ULP of low more where |low| > 2^-18.  For |low| no larger than half an ULP of z, and
 * left out from 2^-10 on, where z is beyond 2^43; half is 0 or 1/2.
 *
 * z 2/π is a sum of products of the pieces of 2/π with the halves of z, 26 bits each, so that the products are exact.
 * Those that are multiples of 2 are left out: the first piece in use is that whose product with the lowest bit of z is
 * less, for any z (Payne & Hanek). */
V_INLINE v_angle v_reduce_angle(double z, double low, double half)
{
    const double a = v_abs(z) * 0x1p-120;
    const double high = v_from_bits(v_bits(a) & ~(uint64_t)0x7ffffff), rest = a - high;
    const double exponent = v_from_bits((v_bits(v_abs(z)) >> 52) | 0x4330000000000000) - 0x1p52;
    const double first = v_at_least((exponent - 1004) * (1 / 24.0) - 23 / 48.0, 0) + V_ROUND; /* rounded down */
    const uint64_t i = v_bits(first) & 63;
    const double p0 = V_TWO_OVER_PI[i], p1 = V_TWO_OVER_PI[i + 1], p2 = V_TWO_OVER_PI[i + 2];
    const double p3 = V_TWO_OVER_PI[i + 3], p4 = V_TWO_OVER_PI[i + 4], p5 = V_TWO_OVER_PI[i + 5];
    const double p6 = V_TWO_OVER_PI[i + 6];
    const double largest = v_remainder_of_two(rest * p0) + v_remainder_of_two(high * p1) +
                           (v_remainder_of_two(rest * p1) + v_remainder_of_two(high * p2));
    const double b = v_remainder_of_two(rest * p2), c = v_remainder_of_two(high * p3);
    const double start = largest + v_where(z < 0, -half, half); /* exact so far */
    const double sum_b = start + b, sum = sum_b + c;
    const double lost = v_difference_error(start, -b, sum_b) + v_difference_error(sum_b, -c, sum);
    const double small = ((high * p6 + rest * p5) + (high * p5 + rest * p4)) + (high * p4 + rest * p3);
    const double n = (sum + V_ROUND) - V_ROUND;
    const double d = sum - n;
    const double r = d * V_HALF_PI;
    const double r_low = v_product_error(d, V_HALF_PI, r) + (d * V_HALF_PI_LOW + (small + lost) * V_HALF_PI);
    const double used = v_where(v_abs(low) < 0x1p-10, low, 0);
    const int tiny = (v_abs(z) < 0.5) & (half == 0);
    const double near = v_where(tiny, v_abs(z), r);
    const double rest_of_near = v_where(tiny, 0, r_low) + v_where(z < 0, -used, used);
    const double angle = near + rest_of_near;
    return (v_angle){angle, v_difference_error(near, -rest_of_near, angle), v_remainder_of_two(n)};
}

/* sin(z + low + half π/2)² for |low| no larger than half an ULP of z, half 0 or 1/2.
 * Max error: 1.4 ULP, where the square is above 2^-36.  Range: all.  NaN for ±inf, NaN stays. */
V_INLINE double v_sine_square(double z, double low, double half)
{
    const v_angle angle = v_reduce_angle(z, low, half);
    const double w = angle.r * angle.r;
    const double w_low = v_product_error(angle.r, angle.r, w) + 2 * angle.r * angle.r_low;
    double p = V_SINE_SQUARE_7;
    p = v_fma(p, w, V_SINE_SQUARE_6);
    p = v_fma(p, w, V_SINE_SQUARE_5);
    p = v_fma(p, w, V_SINE_SQUARE_4);
    p = v_fma(p, w, V_SINE_SQUARE_3);
    p = v_fma(p, w, V_SINE_SQUARE_2);
    p = v_fma(p, w, V_SINE_SQUARE_1);
    p = v_fma(p, w, V_SINE_SQUARE_0);
    const double square = w + v_fma(w * w, p, w_low);
    return v_where(angle.odd == 0, square, 1 - square);
}

/* sin(2 (z + low)) for |low| no larger than half an ULP of z.
 * Max error: 1.6 ULP, where the sine is above 2^-18.  Range: all.  NaN for ±inf, NaN stays. */
V_INLINE double v_sine_of_twice(double z, double low)
{
    const v_angle angle = v_reduce_angle(z, low, 0);
    const double w = angle.r * angle.r;
    double p = V_SINE_7;
    p = v_fma(p, w, V_SINE_6);
    p = v_fma(p, w, V_SINE_5);
    p = v_fma(p, w, V_SINE_4);
    p = v_fma(p, w, V_SINE_3);
    p = v_fma(p, w, V_SINE_2);
    p = v_fma(p, w, V_SINE_1);
    p = v_fma(p, w, V_SINE_0);
    const double twice = 2 * angle.r;
    const double sine = twice + v_fma(twice * w, p, 2 * angle.r_low * (1 - 2 * w));
    return v_where((angle.odd == 0) == (z >= 0), sine, -sine);
}

#endif
