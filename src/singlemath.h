/* The vocabulary of the rows of single.def: float32 in single precision, sixteen numbers to a vector where double has
 * eight.
 *
 * What one float cannot hold is carried on as a second: a pair is the sum of two floats.  A result is rounded once,
 * when its pair is added up, so that its error is 0.5 ULP and what the pairs have lost.  All of it stands on the fused
 * multiply-add; without one, float32 goes through double (kernels.h).
 *
 * "Of it" in a bound is of the number that the structure stands for.  The low part of an argument, in a pair or
 * beside a number, is at most half an ULP of the high one; results count as underflow where their own is subnormal.
 *
 * Like those of vecmath.h, the functions are free of branches, and rely on every operation being rounded once and in
 * the order written.  The constants are those that tools/coefficients.py prints.
 */
#ifndef PYACTX_SINGLEMATH_H
#define PYACTX_SINGLEMATH_H

#include "vecmath.h"

/* a b + c.  Max error: 0.5 ULP.  Range: all. */
#define s_fma(a, b, c) __builtin_fmaf((a), (b), (c))

/* The square root.  Max error: 0.5 ULP.  Range: all.  sqrt(-0) = -0, NaN for x < 0, NaN stays. */
#define s_sqrt(x) __builtin_sqrtf(x)

#define S_LOG2_E 1.442695f
#define S_LN2_HIGH 0.69314575f
#define S_LN2_LOW 1.4286068e-06f

#define S_EXP_0 0.49999988f
#define S_EXP_1 0.16666518f
#define S_EXP_2 0.04166965f
#define S_EXP_3 0.008368947f
#define S_EXP_4 0.0013745326f

#define S_EXPM1_0 0.5f
#define S_EXPM1_1 0.16666667f
#define S_EXPM1_2 0.041666478f
#define S_EXPM1_3 0.008333191f
#define S_EXPM1_4 0.0013933693f
#define S_EXPM1_5 0.00019959324f

#define S_LOG_0 0.083333015f
#define S_LOG_1 0.012506776f
#define S_LOG_2 0.0021874933f
#define S_LOG_3 0.0005472533f

#define S_TANH_0 -0.33333328f
#define S_TANH_1 0.1333318f
#define S_TANH_2 -0.053951584f
#define S_TANH_3 0.02177905f
#define S_TANH_4 -0.008583467f
#define S_TANH_5 0.0030652846f
#define S_TANH_6 -0.00083317613f
#define S_TANH_7 0.000119528035f

#define S_ERF_0 0.12837917f
#define S_ERF_1 -0.37612632f
#define S_ERF_2 0.112836815f
#define S_ERF_3 -0.026859023f
#define S_ERF_4 0.005200722f
#define S_ERF_5 -0.0008144158f
#define S_ERF_6 8.3922685e-05f

#define S_ERFC_0 0.00017443844f
#define S_ERFC_1 -1.1295149f
#define S_ERFC_2 -0.63334435f
#define S_ERFC_3 -0.108285874f
#define S_ERFC_4 0.025125196f
#define S_ERFC_5 -0.004174061f
#define S_ERFC_6 0.00043525486f
#define S_ERFC_7 -2.1179074e-05f

#define S_TANH_REMAINDER_0 0.33333334f
#define S_TANH_REMAINDER_0_LOW -1.1845591e-08f
#define S_TANH_REMAINDER_1 -0.13333309f
#define S_TANH_REMAINDER_2 0.053963114f
#define S_TANH_REMAINDER_3 -0.021827823f
#define S_TANH_REMAINDER_4 0.0086931f
#define S_TANH_REMAINDER_5 -0.0032000528f
#define S_TANH_REMAINDER_6 0.0009187145f
#define S_TANH_REMAINDER_7 -0.00014145425f

#define S_PLACE_MIDDLE 0.171875f

#define S_TAIL_0 0.7452264f
#define S_TAIL_0_LOW -9.232823e-09f
#define S_TAIL_1 3.1430714f
#define S_TAIL_2 8.437865f
#define S_TAIL_3 9.91176f
#define S_TAIL_4 -14.949721f
#define S_TAIL_5 -52.551826f
#define S_TAIL_6 58.031525f
#define S_TAIL_7 271.86487f
#define S_TAIL_8 -472.05704f
#define S_TAIL_9 -1186.8973f
#define S_TAIL_10 3431.9424f

#define S_BEND_0 0.48209968f
#define S_BEND_0_LOW -2.584816e-09f
#define S_BEND_1 0.74019873f
#define S_BEND_2 1.9769934f
#define S_BEND_3 3.0432568f
#define S_BEND_4 0.041100867f
#define S_BEND_5 -8.611191f
#define S_BEND_6 -3.075143f
#define S_BEND_7 34.57777f
#define S_BEND_8 2.4456296f
#define S_BEND_9 -114.59645f

#define S_GELU_ROOT 0.75179154f
#define S_GELU_ROOT_LOW -1.211445e-08f
#define S_SIXTH 0.16666667f
#define S_SIXTH_LOW -4.967054e-09f
#define S_ERF_SLOPE 1.1283792f
#define S_ERF_SLOPE_LOW -5.8635383e-08f
#define S_SELU 1.050701f
#define S_SELU_LOW -3.4792652e-08f
#define S_SELU_ALPHA 1.7580993f
#define S_SELU_ALPHA_LOW 2.3296717e-08f
#define S_QUICK_GELU 1.702f
#define S_QUICK_GELU_LOW -2.193451e-08f
#define S_GELU_LINEAR 1.5957692f
#define S_GELU_LINEAR_LOW -4.534068e-08f
#define S_GELU_CUBIC 0.071354814f
#define S_GELU_CUBIC_LOW 2.3988325e-09f
#define S_SILU_ROOT -1.2784646f
#define S_SILU_ROOT_LOW 1.29792825e-08f
#define S_SILU_FACTOR 3.5911217f
#define S_SILU_FACTOR_LOW -1.9691538e-07f
#define S_GELU_TANH_ROOT -0.75246143f
#define S_GELU_TANH_ROOT_LOW 1.1339628e-08f
#define S_GELU_TANH_SQUARE 0.56619817f
#define S_GELU_TANH_SQUARE_LOW 2.1520046e-08f
#define S_GELU_TANH_FACTOR 3.4251833f
#define S_GELU_TANH_FACTOR_LOW -3.9420445e-07f
#define S_MISH_ROOT -1.1924312f
#define S_MISH_ROOT_LOW -3.0439375e-09f
#define S_MISH_EXP 0.30348253f
#define S_MISH_EXP_LOW 2.7803082e-09f
#define S_MISH_LINEAR 2.3034825f
#define S_MISH_CONSTANT 0.5363069f

/* 1.5 * 2^23: adding it to |n| < 2^22 leaves the integer nearest to n in the low bits of the sum. */
#define S_ROUND 12582912.0f

/* The bits of x.  Exact. */
V_INLINE uint32_t s_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* The number that has these bits.  Exact. */
V_INLINE float s_from_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* |x|.  Exact; the sign of a NaN is cleared. */
V_INLINE float s_abs(float x)
{
    return s_from_bits(s_bits(x) & 0x7fffffff);
}

/* |x| with the sign of y.  Exact, also for zeros and NaN. */
V_INLINE float s_copysign(float x, float y)
{
    return s_from_bits((s_bits(x) & 0x7fffffff) | (s_bits(y) & 0x80000000));
}

/* x, but not below a bound.  Exact; NaN stays. */
V_INLINE float s_at_least(float x, float low)
{
    return low > x ? low : x;
}

/* x, but not above a bound.  Exact; NaN stays. */
V_INLINE float s_at_most(float x, float high)
{
    return high < x ? high : x;
}

/* ---- Pairs ------------------------------------------------------------------------------------------------------- */

typedef struct {
    float high, low;
} s_pair;

/* a + b for |a| >= |b|.  Exact, but for overflow. */
V_INLINE s_pair s_sum(float a, float b)
{
    const float high = a + b;
    return (s_pair){high, (a - high) + b};
}

/* a + b.  Exact, but for overflow. */
V_INLINE s_pair s_sum_of_any(float a, float b)
{
    const float high = a + b, b_used = high - a;
    return (s_pair){high, (a - (high - b_used)) + (b - b_used)};
}

/* a².  Exact, but for underflow. */
V_INLINE s_pair s_square(float a)
{
    const float high = a * a;
    return (s_pair){high, s_fma(a, a, -high)};
}

/* a b.  Max error: 2^-45 of it, not counting underflow. */
V_INLINE s_pair s_times(s_pair a, s_pair b)
{
    const float high = a.high * b.high;
    return (s_pair){high, s_fma(a.low, b.high, s_fma(a.high, b.low, s_fma(a.high, b.high, -high)))};
}

/* quotient + rest inverse. */
typedef struct {
    float quotient, rest, inverse; /* 1 / the divisor */
} s_ratio;

/* a / b.  Max error: 2^-44 of it, not counting underflow. */
V_INLINE s_ratio s_quotient(float a, s_pair b)
{
    const float inverse = 1 / b.high, quotient = a * inverse;
    return (s_ratio){quotient, s_fma(-quotient, b.low, s_fma(-quotient, b.high, a)), inverse};
}

/* a / b.  Max error: 2^-44 of it, not counting underflow. */
V_INLINE s_ratio s_divide(s_pair a, s_pair b)
{
    s_ratio ratio = s_quotient(a.high, b);
    ratio.rest += a.low;
    return ratio;
}

/* The ratio, rounded.  Max error: 0.5 ULP. */
V_INLINE float s_rounded(s_ratio a)
{
    return s_fma(a.rest, a.inverse, a.quotient);
}

/* base - scale ratio, for a result between base / 2 and base, and a power of two.
 * Max error: 0.51 ULP. */
V_INLINE float s_less_ratio(float base, s_ratio a, float scale)
{
    const s_pair difference = s_sum(base, -(a.quotient * scale));
    return difference.high + s_fma(-a.rest, a.inverse * scale, difference.low);
}

/* factor a / 6.  Max error: 0.51 ULP, 1.0 where the product is below 2^-100. */
V_INLINE float s_sixth(float factor, s_pair a)
{
    const s_pair sixth = s_times(a, (s_pair){S_SIXTH, S_SIXTH_LOW});
    return s_fma(factor, sixth.high, factor * sixth.low);
}

/* 1 / a².  Max error: 0.51 ULP, 0.8 among subnormal results.  Range: 1 <= a <= 2^80. */
V_INLINE float s_inverse_square(s_pair a)
{
    const s_ratio inverse = s_quotient(1, a);
    const float high = inverse.quotient * 0x1p64f; /* lest the low part be lost among the subnormal numbers */
    return s_fma(high, inverse.quotient, 2 * high * (inverse.rest * inverse.inverse)) * 0x1p-64f;
}

/* sqrt(a² + 4).  Max error: 2^-45 of it.  Range: 0 <= a, beyond 2^60 as there.  NaN stays. */
V_INLINE s_pair s_hypotenuse(float a)
{
    const s_pair square = s_square(s_at_most(a, 0x1p60f)), sum = s_sum_of_any(square.high, 4);
    const float root = s_sqrt(sum.high);
    return (s_pair){root, (s_fma(-root, root, sum.high) + (sum.low + square.low)) * (0.5f / root)};
}

/* (x + sqrt(x² + 4))/2, which for -x is its inverse.
 * Max error: 0.6 ULP, 0.8 among subnormal results.  Range: all.  NaN stays. */
V_INLINE float s_squareplus(float x)
{
    const float a = s_abs(x);
    const s_pair root = s_hypotenuse(a);
    const int far = a > 0x1p30f; /* and the root is a */
    s_pair half = s_sum(0.5f * root.high, 0.5f * a);
    half.high = v_where(far, a, half.high);
    half.low = v_where(far, 0, s_fma(0.5f, root.low, half.low));
    const s_ratio inverse = s_quotient(1, half);
    return v_where(x < 0, v_where(far, inverse.quotient, s_rounded(inverse)), half.high + half.low);
}

/* The derivative of that, f / sqrt(x² + 4).
 * Max error: 0.6 ULP, 0.8 among subnormal results.  Range: all.  NaN stays. */
V_INLINE float s_squareplus_slope(float x)
{
    const float a = s_at_most(s_abs(x), 0x1p80f);
    s_pair root = s_hypotenuse(a);
    const int far = a > 0x1p30f;
    root = (s_pair){v_where(far, a, root.high), v_where(far, 0, root.low)};
    s_pair half = s_sum(0.5f * root.high, 0.5f * a);
    half.low = s_fma(0.5f, root.low, half.low);
    const s_pair product = s_times((s_pair){half.high * 0x1p-64f, half.low * 0x1p-64f}, root);
    const s_pair numerator = {v_where(x < 0, 1, half.high), v_where(x < 0, 0, half.low)};
    const s_pair denominator = {v_where(x < 0, product.high, root.high), v_where(x < 0, product.low, root.low)};
    return s_rounded(s_divide(numerator, denominator)) * v_where(x < 0, 0x1p-64f, 1);
}

/* start + v (c1 + v c2): the last steps of a polynomial, in pairs.
 * Max error: 2^-37 of v (c1 + v c2), where that is between start / 1000 and start. */
V_INLINE s_pair s_last_terms(float start, float start_low, s_pair v, float c1, float c2)
{
    s_pair inner = {s_fma(c2, v.high, c1), 0};
    inner.low = s_fma(c2, v.low, s_fma(c2, v.high, c1 - inner.high));
    const s_pair product = s_times(inner, v);
    s_pair sum = s_sum(start, product.high);
    sum.low += product.low + start_low;
    return sum;
}

/* ---- Exponentials ------------------------------------------------------------------------------------------------ */

/* 2^(n + offset) for a whole number n, given as n + S_ROUND, with n + offset in [-126, 127].  Exact. */
V_INLINE float s_power_of_two(float n_rounding, int offset)
{
    return s_from_bits((s_bits(n_rounding) << 23) + ((uint32_t)(127 + offset) << 23));
}

/* exp(x + low) = 2^n (1 + p), for n = n_rounding - S_ROUND and |p| <= sqrt(2) - 1.  The last two terms of p are left apart,
 * so that their sums with other numbers can be rounded once, and sooner. */
typedef struct {
    float n_rounding;
    float high; /* p = high + rest; |high| <= ln(2) / 2 */
    float rest; /* |rest| <= 0.07 */
} s_reduced;

/* x + low = n ln 2 + r with |r| <= ln(2) / 2, and r = high - tail. */
#define S_REDUCE_ARGUMENT(x, low)                                                                                \
    const float n_rounding = s_fma((x), S_LOG2_E, S_ROUND), n = n_rounding - S_ROUND;                            \
    const float high = s_fma(n, -S_LN2_HIGH, (x)); /* exact */                                                   \
    const float tail = s_fma(n, S_LN2_LOW, -(low));                                                              \
    const float r = high - tail;

/* (exp(r) - 1 - r)/r².  Max error: 2^-20 of it.  Range: |r| <= ln(2) / 2. */
V_INLINE float s_exp_polynomial(float r)
{
    const float square = r * r;
    const float p = s_fma(S_EXP_4, square, s_fma(S_EXP_3, r, S_EXP_2));
    return s_fma(p, square, s_fma(S_EXP_1, r, S_EXP_0));
}

/* exp(x + low).  Max error: 2^-25 of it.  Range: |x| <= 300, |low| <= 2^-20 |x|.  NaN stays. */
V_INLINE s_reduced s_reduce(float x, float low)
{
    S_REDUCE_ARGUMENT(x, low)
    return (s_reduced){n_rounding, high, s_fma(r * r, s_exp_polynomial(r), -tail)};
}

/* exp(x), with one number for p, `high`.  Max error: 2^-24 of it.  Range: |x| <= 300.  NaN stays. */
V_INLINE s_reduced s_reduce_roughly(float x)
{
    const float n_rounding = s_fma(x, S_LOG2_E, S_ROUND), n = n_rounding - S_ROUND;
    const float r = s_fma(n, -S_LN2_LOW, s_fma(n, -S_LN2_HIGH, x));
    return (s_reduced){n_rounding, s_fma(r * r, s_exp_polynomial(r), r), 0};
}

/* exp(x + low).  Max error: 2^-26 of it, and for n = 0 2^-24 of p itself.  Range: as s_reduce.  NaN stays. */
V_INLINE s_reduced s_reduce_for_expm1(float x, float low)
{
    S_REDUCE_ARGUMENT(x, low)
    const float square = r * r;
    float p = s_fma(s_fma(S_EXPM1_5, r, S_EXPM1_4), square, s_fma(S_EXPM1_3, r, S_EXPM1_2));
    p = s_fma(p, square, s_fma(S_EXPM1_1, r, S_EXPM1_0));
    return (s_reduced){n_rounding, high, s_fma(square, p, -tail)};
}

/* whole + scale p.  Max error: 2^-46 of it, not counting underflow.
 * Range: scale a power of two, and whole = 0 or -0.6 <= scale high / whole <= 1. */
V_INLINE s_pair s_plus(float whole, float scale, s_reduced a)
{
    const float sum = s_fma(scale, a.high, whole), high = s_fma(scale, a.rest, sum);
    return (s_pair){high, s_fma(scale, a.rest, sum - high) + s_fma(scale, a.high, whole - sum)};
}

/* power (1 + p), which is power exp(x + low) / 2^n.  Max error: 2^-47 of it, not counting underflow. */
V_INLINE s_pair s_exp(float power, s_reduced a)
{
    return s_plus(power, power, a);
}

/* power (1 + p) - 1, which is exp(x + low) - 1 for power = 2^n, n <= 2.  Max error: 2^-46 of it. */
V_INLINE s_pair s_power_less_1(float power, s_reduced a)
{
    const float whole = power - 1;
    const s_pair result = s_plus(whole, power, a);
    return (s_pair){result.high, result.low + (power - (whole + 1))};
}

/* exp(x) - 1 for x < 0, and some number for others.  Max error: 2^-25 of it.  NaN stays. */
V_INLINE s_pair s_expm1(float x)
{
    const s_reduced a = s_reduce_for_expm1(s_at_most(s_at_least(x, -19), 0), 0);
    return s_power_less_1(s_power_of_two(a.n_rounding, 0), a);
}

/* exp(x).  Max error: 0.7 ULP, 0.8 among subnormal results.  Range: all.  exp(-inf) = 0, exp(inf) = inf, NaN stays. */
V_INLINE float s_exponential(float x)
{
    const s_reduced a = s_reduce(s_at_most(s_at_least(x, -105), 90), 0);
    const s_pair mantissa = s_sum(1, a.high);
    const float half = v_where(x > 0, 64, -64); /* of the exponent: 2^n may be subnormal or overflow */
    return (mantissa.high + (mantissa.low + a.rest)) * s_power_of_two(a.n_rounding - half, 0) *
           v_where(x > 0, 0x1p64f, 0x1p-64f);
}

/* factor exp(-(x + low)) for a factor between 1 and 2.  Max error: 0.7 ULP, 0.9 among subnormal results.
 * Range: x >= 0. */
V_INLINE float s_decay(s_pair factor, float x, float low)
{
    const s_reduced a = s_reduce(s_at_least(-x, -109), -low);
    const s_pair product = s_times(factor, s_exp(s_power_of_two(a.n_rounding, 32), a));
    return (product.high + product.low) * 0x1p-32f;
}

/* ---- The logistic function σ ------------------------------------------------------------------------------------- */

#define S_UNIT 0x1p-32f /* so that 1 + exp(109) stays finite */

/* 1/σ(z + low) in units of 2^32, S_UNIT (1 + exp(-(z + low))).
 * Max error: 2^-25 of it.  Range: -109 <= z <= 20, beyond which σ is 1. */
V_INLINE s_pair s_inverse_sigmoid(float z, float low)
{
    const s_reduced a = s_reduce(-z, -low);
    const float power = s_power_of_two(a.n_rounding, -32), whole = power + S_UNIT;
    const s_pair sum = s_plus(whole, power, a);
    return (s_pair){sum.high, sum.low + (S_UNIT - (whole - power))};
}

/* σ(z): σ(-|z|), or 1 less that, which is at most 1/2.
 * Max error: 0.9 ULP, 0.8 among subnormal results.  Range: all.  NaN stays. */
V_INLINE float s_sigmoid(float z)
{
    const float smaller = s_rounded(s_quotient(1, s_inverse_sigmoid(s_at_least(-s_abs(z), -109), 0)));
    return v_where(z < 0, smaller * S_UNIT, s_fma(-smaller, S_UNIT, 1));
}

/* scale σ(z) σ(-z), for a power of two.  Max error: 0.7 ULP, 0.8 among subnormal results.  Range: all.  NaN stays. */
V_INLINE float s_sigmoid_slope(float z, float scale)
{
    const s_ratio a = s_quotient(1, s_inverse_sigmoid(s_at_least(-s_abs(z), -109), 0));
    const float low = a.rest * a.inverse, share = a.quotient * S_UNIT;
    const s_pair other = s_sum(1, -share);
    return s_fma(a.quotient, other.high, s_fma(a.quotient, other.low, s_fma(-2 * low, share, low))) * (scale * S_UNIT);
}

/* x σ(z + low), for x of the sign of z, where z is below -20 |x| <= |z|, and where x is above 2^80 z >= 20.
 * Max error: 0.8 ULP, 0.9 among subnormal results.  Range: -109 <= z.  NaN and ±0 stay. */
V_INLINE float s_times_sigmoid(float x, float z, float low)
{
    const float value = s_rounded(s_quotient(x, s_inverse_sigmoid(s_at_most(z, 20), low))) * S_UNIT;
    return s_copysign(v_where(x > 0x1p80f, x, value), x);
}

/* (far + exp(y) - 1) exp(y) / (factor + exp(y))² in units of 2^-40: what the derivative of x σ(z) is made of once its
 * root is taken out, z = y - log(factor).  The high part of `factor` has a bit to spare, and `far` is 3 y or more.
 * Max error: 2^-24 of it, not counting underflow.  Range: -112 <= y <= 1.3. */
V_INLINE s_ratio s_bend(float y, float y_low, s_pair factor, s_pair far)
{
    const s_reduced a = s_reduce_for_expm1(y, y_low);
    const s_pair e = s_exp(s_power_of_two(a.n_rounding, 40), a);
    const s_pair unscaled = {e.high * 0x1p-40f, e.low * 0x1p-40f}; /* where it is subnormal, it does not matter */
    s_pair sum = s_sum(factor.high, unscaled.high), g = s_sum(-1, unscaled.high);
    sum.low += unscaled.low + factor.low;
    const float low = g.low + unscaled.low;
    g = s_sum(far.high, g.high);
    g.low += far.low + low;
    s_pair square = s_square(sum.high);
    square.low = s_fma(2 * sum.high, sum.low, square.low);
    return s_divide(s_times(e, g), square);
}

/* The derivative of x σ(x) at z + low: with a = -|z|, σ(a) + aσ(a)σ(-a) = e g/(1 + e)², g = 1 + a + e, or 1 less that.
 * g is 0 at a0, where e = -(1 + a0), and so g/e0 = (a - a0)/e0 + expm1(a - a0), both terms of one sign.
 * Max error: 0.8 ULP, strictly, unless low is not 0 within 2^-20 of the root.  Range: all.  NaN stays. */
V_INLINE float s_silu_slope(float z, float low)
{
    s_pair y = s_sum_of_any(s_at_least(-s_abs(z), -109), -S_SILU_ROOT);
    y.low += v_where(z < 0, low, -low) - S_SILU_ROOT_LOW;
    const s_pair factor = {S_SILU_FACTOR, S_SILU_FACTOR_LOW};
    const s_ratio bend = s_bend(y.high, y.low, factor, s_times(factor, y));
    return v_where(z < 0, s_rounded(bend) * 0x1p-40f, s_less_ratio(1, bend, 0x1p-40f));
}

/* What tanh(log(1 + e)) = e (2 + e)/(2 + 2e + e²) is made of, for e = exp(x). */
typedef struct {
    s_pair scaled;      /* e in units of 2^-40 */
    s_pair sum;         /* 1 + e */
    s_pair denominator; /* (1 + e)² + 1 */
} s_mish_terms;

/* Max error: 2^-43 of each.  Range: 0 <= e <= 2^19. */
V_INLINE s_mish_terms s_mish_terms_of(s_pair scaled)
{
    s_pair sum = s_sum_of_any(1, scaled.high * 0x1p-40f);
    sum.low = s_fma(scaled.low, 0x1p-40f, sum.low);
    const s_pair square = s_square(sum.high);
    s_pair denominator = s_sum(square.high, 1);
    denominator.low += s_fma(2 * sum.high, sum.low, square.low);
    return (s_mish_terms){scaled, sum, denominator};
}

/* x tanh(log(1 + exp(x))).  Max error: 0.7 ULP, 0.9 among subnormal results.  Range: all.  NaN and ±0 stay. */
V_INLINE float s_mish(float x)
{
    const float c = s_at_most(s_at_least(x, -109), 12);
    const s_reduced a = s_reduce(c, 0);
    const s_mish_terms terms = s_mish_terms_of(s_exp(s_power_of_two(a.n_rounding, 40), a));
    s_pair other = s_sum(terms.sum.high, 1);
    other.low += terms.sum.low;
    const s_pair numerator = s_times((s_pair){c, 0}, s_times(terms.scaled, other));
    const float value = s_rounded(s_divide(numerator, terms.denominator)) * 0x1p-40f;
    return s_copysign(v_where(x > 12, x, value), x);
}

/* The derivative of that, e w/(2 + 2e + e²)², where w is 0 at x0 and so, with d = x - x0, e0 = exp(x0) and e - e0 = e0
 * expm1(d), a sum of two terms of one sign: 4d(1 + e) + (e - e0) (2 + 2e + e² + LINEAR e + CONSTANT).
 * Max error: 0.95 ULP, strictly.  Range: all.  NaN stays. */
V_INLINE float s_mish_slope(float x)
{
    s_pair d = s_sum_of_any(s_at_most(s_at_least(x, -109), 12), -S_MISH_ROOT);
    d.low -= S_MISH_ROOT_LOW;
    const s_reduced a = s_reduce_for_expm1(d.high, d.low);
    const s_pair growth = s_exp(s_power_of_two(a.n_rounding, 40), a), root = {S_MISH_EXP, S_MISH_EXP_LOW};
    const s_mish_terms terms = s_mish_terms_of(s_times(root, growth));
    s_pair more = s_sum(-1, growth.high * 0x1p-40f); /* exact */
    more.low = s_fma(growth.low, 0x1p-40f, more.low);
    s_pair factor = s_sum(terms.denominator.high, s_fma(S_MISH_LINEAR, terms.scaled.high * 0x1p-40f, S_MISH_CONSTANT));
    factor.low += terms.denominator.low;
    const s_pair second = s_times(s_times(root, more), factor);
    s_pair w = s_times((s_pair){4 * d.high, 4 * d.low}, terms.sum);
    const float low = w.low + second.low;
    w = s_sum_of_any(w.high, second.high);
    w.low += low;
    s_pair square = s_square(terms.denominator.high);
    square.low = s_fma(2 * terms.denominator.high, terms.denominator.low, square.low);
    return s_rounded(s_divide(s_times(terms.scaled, w), square)) * 0x1p-40f;
}

/* z = 2 sqrt(2/π) (x + 0.044715 x³) = x (LINEAR + CUBIC x²).  Max error: 2^-45 of it, not counting underflow.
 * Range: |x| <= 1000. */
V_INLINE s_pair s_gelu_argument(float x)
{
    const s_pair cubic = s_times((s_pair){S_GELU_CUBIC, S_GELU_CUBIC_LOW}, s_square(x));
    s_pair w = s_sum_of_any(S_GELU_LINEAR, cubic.high);
    w.low += cubic.low + S_GELU_LINEAR_LOW;
    return s_times((s_pair){x, 0}, w);
}

/* The derivative of x σ(z(x)), which is that of silu with 1 + z + e + 2 CUBIC x³ for g.  With d = a - a0 and
 * s = a² + a a0 + a0², z - z0 is d (LINEAR + CUBIC s) and g - (e - e0) is d (LINEAR + 3 CUBIC s).
 * Max error: 0.8 ULP, 0.9 among subnormal results, strictly.  Range: all.  NaN stays. */
V_INLINE float s_gelu_tanh_slope(float x)
{
    const float a = s_at_least(-s_abs(x), -11);
    s_pair d = s_sum_of_any(a, -S_GELU_TANH_ROOT), other = s_sum_of_any(a, S_GELU_TANH_ROOT);
    d.low -= S_GELU_TANH_ROOT_LOW;
    other.low += S_GELU_TANH_ROOT_LOW;
    const s_pair product = s_times((s_pair){a, 0}, other);
    s_pair s = s_sum_of_any(product.high, S_GELU_TANH_SQUARE);
    s.low += product.low + S_GELU_TANH_SQUARE_LOW;
    const s_pair cubic = s_times((s_pair){S_GELU_CUBIC, S_GELU_CUBIC_LOW}, s);
    s_pair once = s_sum_of_any(S_GELU_LINEAR, cubic.high), thrice = s_sum_of_any(S_GELU_LINEAR, 3 * cubic.high);
    once.low += cubic.low + S_GELU_LINEAR_LOW;
    thrice.low += s_fma(3, cubic.high, -(3 * cubic.high)) + s_fma(3, cubic.low, S_GELU_LINEAR_LOW);
    const s_pair y = s_times(d, once), factor = {S_GELU_TANH_FACTOR, S_GELU_TANH_FACTOR_LOW};
    const s_ratio bend = s_bend(y.high, y.low, factor, s_times(factor, s_times(d, thrice)));
    return v_where(x < 0, s_rounded(bend) * 0x1p-40f, s_less_ratio(1, bend, 0x1p-40f));
}

/* tanh(x): the polynomial x + x³T(x²), and from 1 on 1 - 2/(1 + exp(2|x|)), where one float will do for the quotient.
 * Max error: 0.9 ULP.  Range: all.  tanh(±0) = ±0, tanh(±inf) = ±1, NaN stays. */
V_INLINE float s_tanh(float x)
{
    const float a = s_at_most(s_abs(x), 10), square = x * x;
    const float fourth = square * square;
    float t = s_fma(s_fma(S_TANH_7, square, S_TANH_6), fourth, s_fma(S_TANH_5, square, S_TANH_4));
    t = s_fma(t, fourth, s_fma(S_TANH_3, square, S_TANH_2));
    t = s_fma(s_fma(t, square, S_TANH_1), square, S_TANH_0);
    const float small = s_fma(t * square, x, x);
    const s_reduced e = s_reduce_roughly(2 * a);
    const float power = s_power_of_two(e.n_rounding, 0);
    const float large = 1 - 2 / s_fma(e.high, power, power + 1);
    return s_copysign(v_where(a < 1, small, large), x);
}

/* (x - tanh(x))/x³.  Max error: 2^-26 of it.  Range: 0 <= x <= 1. */
V_INLINE s_pair s_tanh_cubic(float x)
{
    const s_pair square = s_square(x);
    const float z = square.high, fourth = z * z;
    float p = s_fma(S_TANH_REMAINDER_7, z, S_TANH_REMAINDER_6);
    p = s_fma(p, fourth, s_fma(S_TANH_REMAINDER_5, z, S_TANH_REMAINDER_4));
    p = s_fma(p, fourth, s_fma(S_TANH_REMAINDER_3, z, S_TANH_REMAINDER_2));
    return s_last_terms(S_TANH_REMAINDER_0, S_TANH_REMAINDER_0_LOW, square, S_TANH_REMAINDER_1, p);
}

/* 1 - tanh(x) = 2/(1 + exp(2x)).  Max error: 2^-25 of it.  Range: x >= 1, beyond 10 as there. */
V_INLINE s_ratio s_tanh_loss(float x)
{
    return s_quotient(2 * S_UNIT, s_inverse_sigmoid(-2 * v_clip(x, 1, 10), 0));
}

/* x - tanh(x): the polynomial x³R(x²), and from 1 on x - 1 + 2/(1 + exp(2x)).
 * Max error: 0.9 ULP.  Range: all.  Odd; ±inf at ±inf, NaN stays. */
V_INLINE float s_tanh_remainder(float x)
{
    const float a = s_abs(x), c = s_at_most(a, 1);
    const s_pair cube = s_times((s_pair){c * 0x1p40f, 0}, s_square(c)); /* else its low part may be subnormal */
    const s_pair small = s_times(cube, s_tanh_cubic(c));
    const s_ratio loss = s_tanh_loss(a);
    const s_pair large = s_sum_of_any(s_at_most(a, 0x1p25f) - 1, loss.quotient);
    const float value = v_where(a < 1, (small.high + small.low) * 0x1p-40f,
                                large.high + s_fma(loss.rest, loss.inverse, large.low));
    return s_copysign(v_where(a > 0x1p24f, a, value), x);
}

/* tanh²(x).  Max error: 0.7 ULP.  Range: all.  NaN stays. */
V_INLINE float s_tanh_square(float x)
{
    const float a = s_abs(x), c = s_at_most(a, 1);
    const s_pair cube = s_times((s_pair){c, 0}, s_square(c));
    const s_pair remainder = s_times(cube, s_tanh_cubic(c));
    const s_ratio loss = s_tanh_loss(a);
    const int small = a < 1;
    s_pair tanh = s_sum(v_where(small, c, 1), -v_where(small, remainder.high, loss.quotient));
    tanh.low -= v_where(small, remainder.low, loss.rest * loss.inverse);
    return v_where(a != a, a, s_fma(tanh.high, tanh.high, 2 * tanh.high * tanh.low));
}

/* ---- Logarithms -------------------------------------------------------------------------------------------------- */

/* 2 atanh(s / 2)/s - 1.  Max error: 2^-17 of it.  Range: |s| <= 2/3. */
V_INLINE float s_area_tangent_tail(float s)
{
    const float square = s * s;
    const float p = s_fma(s_fma(S_LOG_3, square, S_LOG_2), square * square, s_fma(S_LOG_1, square, S_LOG_0));
    return square * p;
}

/* head + head tail. */
typedef struct {
    s_ratio head; /* in units of 2^-32 */
    float tail;
} s_logarithm;

/* log(1 + e) = 2 atanh(e/(2 + e)) for e = exp(-|z|).  Max error: 2^-25 of it, not counting underflow.
 * Range: all, what is beyond ±109 as there.  NaN stays. */
V_INLINE s_logarithm s_log1p_exp(float z)
{
    const s_reduced a = s_reduce(s_at_least(-s_abs(z), -109), 0);
    const s_pair e = s_exp(s_power_of_two(a.n_rounding, 32), a);
    s_pair sum = s_sum(2, e.high * S_UNIT);
    sum.low += e.low * S_UNIT;
    const s_ratio head = s_divide((s_pair){2 * e.high, 2 * e.low}, sum);
    return (s_logarithm){head, s_area_tangent_tail(head.quotient * S_UNIT)};
}

/* log(1 + exp(z)).  Max error: 0.9 ULP, 0.8 among subnormal results.  Range: all.  NaN stays. */
V_INLINE float s_softplus(float z)
{
    const s_logarithm l = s_log1p_exp(z);
    const float rest = s_fma(l.head.quotient, l.tail, l.head.rest * l.head.inverse);
    const float value = (l.head.quotient + rest) * S_UNIT;
    const s_pair sum = s_sum_of_any(z, l.head.quotient * S_UNIT);
    return v_where(z > 20, z, v_where(z > 0, sum.high + s_fma(rest, S_UNIT, sum.low), value));
}

/* log(x/(1 - x)) = k ln 2 + 2 atanh((x - 2^k (1 - x))/(x + 2^k (1 - x))), with k so that both terms are about equal: the
 * difference of the bits of two numbers is 2^23 times that of their logarithms, nearly.
 * Max error: 0.9 ULP.  Range: all.  NaN outside 0 to 1, logit(0) = -inf, logit(1) = inf, NaN stays. */
V_INLINE float s_logit(float x)
{
    const float shift = v_where(x < 0x1p-60f, 64, 0), far = x * v_where(x < 0x1p-60f, 0x1p64f, 1); /* may be subnormal */
    s_pair near = s_sum(1, -x);
    const float k = (float)((int32_t)(s_bits(far) - s_bits(near.high) + (1 << 22)) >> 23);
    const float power = s_power_of_two(k + S_ROUND, 0);
    near.high *= power;
    near.low *= power;
    s_pair sum = s_sum_of_any(far, near.high);
    sum.low += near.low;
    const s_ratio head = s_divide((s_pair){2 * (far - near.high), -2 * near.low}, sum);
    const float q = head.quotient, tail = s_area_tangent_tail(q), n = k - shift;
    const s_pair whole = s_sum(n * S_LN2_HIGH, q);
    const float value = whole.high + (whole.low + s_fma(n, S_LN2_LOW, s_fma(q, tail, head.rest * head.inverse)));
    const float inside = v_where((x == 0) | (x == 1), s_copysign(INFINITY, x - 0.5f), value);
    return v_where((x >= 0) & (x <= 1), inside, (float)NAN);
}

/* 1/(x (1 - x)).  Max error: 0.6 ULP.  Range: all.  NaN outside 0 to 1, inf at 0 and at 1, NaN stays. */
V_INLINE float s_logit_slope(float x)
{
    const s_ratio a = s_quotient(1, s_times((s_pair){x, 0}, s_sum(1, -x)));
    const float inside = v_where(s_abs(a.quotient) == INFINITY, INFINITY, s_rounded(a));
    return v_where((x >= 0) & (x <= 1), inside, (float)NAN);
}

/* ---- The normal distribution ------------------------------------------------------------------------------------- */

/* The variables of the polynomials for the tail of the normal distribution. */
typedef struct {
    s_pair w; /* 1/(a + 3) */
    s_pair v; /* w - middle */
} s_place;

/* Max error: 2^-45 of w.  Range: 0 <= a <= 15. */
V_INLINE s_place s_place_of(float a)
{
    const float sum = a + 3;
    const s_ratio w = s_quotient(1, (s_pair){sum, (3 - sum) + a}); /* what is lost matters while a is small */
    const float low = w.rest * w.inverse, v = w.quotient - S_PLACE_MIDDLE;
    return (s_place){{w.quotient, low}, {v, (w.quotient - (v + S_PLACE_MIDDLE)) + low}};
}

/* exp(-a²/2) in units of 2^-32.  Max error: 2^-25 of it, not counting underflow.  Range: 0 <= a <= 14.75. */
V_INLINE s_pair s_gaussian(float a)
{
    const float half = -0.5f * a, exponent = half * a;
    const s_reduced e = s_reduce(exponent, s_fma(half, a, -exponent));
    return s_exp(s_power_of_two(e.n_rounding, 32), e);
}

/* Φ(-a) exp(a²/2).  Max error: 2^-24 of it.  Range: 0 <= a <= 14.75. */
V_INLINE s_pair s_normal_tail(float a)
{
    const s_place place = s_place_of(a);
    const float v = place.v.high;
    const float square = v * v;
    float even = s_fma(S_TAIL_10, square, S_TAIL_8), odd = s_fma(S_TAIL_9, square, S_TAIL_7);
    even = s_fma(even, square, S_TAIL_6);
    odd = s_fma(odd, square, S_TAIL_5);
    even = s_fma(even, square, S_TAIL_4);
    odd = s_fma(odd, square, S_TAIL_3);
    const float p = s_fma(odd, v, s_fma(even, square, S_TAIL_2));
    return s_times(s_last_terms(S_TAIL_0, S_TAIL_0_LOW, place.v, S_TAIL_1, p), place.w);
}

/* xΦ(x), Φ(x) being Φ(-a) or 1 less that, a = |x|.
 * Max error: 0.9 ULP, 1.0 among subnormal results.  Range: all.  NaN stays. */
V_INLINE float s_gelu(float x)
{
    const float a = s_at_most(s_abs(x), 14.75f);
    const s_pair smaller = s_times(s_normal_tail(a), s_gaussian(a));
    const float negative = s_fma(a, smaller.high, a * smaller.low) * S_UNIT;
    s_pair larger = s_sum(1, -(smaller.high * S_UNIT));
    larger.low = s_fma(-smaller.low, S_UNIT, larger.low);
    const float positive = v_where(x > 14, x, s_fma(x, larger.high, x * larger.low));
    return s_copysign(v_where(x < 0, negative, positive), x);
}

/* Φ(x) + xφ(x) is Φ(-a) - aφ(a) or 1 less that: (a0 - a) B(a) exp(-a²/2), a0 the root.
 * Max error: 0.9 ULP, 1.0 among subnormal results, strictly.  Range: all.  NaN stays. */
V_INLINE float s_gelu_slope(float x)
{
    const float a = s_at_most(s_abs(x), 14.75f);
    const s_pair place = s_place_of(a).v;
    const float v = place.high;
    const float square = v * v;
    float even = s_fma(S_BEND_8, square, S_BEND_6), odd = s_fma(S_BEND_9, square, S_BEND_7);
    even = s_fma(even, square, S_BEND_4);
    odd = s_fma(odd, square, S_BEND_5);
    even = s_fma(even, square, S_BEND_2);
    odd = s_fma(odd, square, S_BEND_3);
    const float p = s_fma(odd, v, even);
    const s_pair factor = s_last_terms(S_BEND_0, S_BEND_0_LOW, place, S_BEND_1, p);
    s_pair far = s_sum_of_any(S_GELU_ROOT, -a);
    far.low += S_GELU_ROOT_LOW;
    const s_pair bend = s_times(s_times(far, factor), s_gaussian(a));
    const s_pair rest = s_sum(1, -(bend.high * S_UNIT));
    return v_where(x < 0, (bend.high + bend.low) * S_UNIT, rest.high + s_fma(-bend.low, S_UNIT, rest.low));
}

/* erf(x).  Max error: 0.9 ULP.  Range: all.  erf(±0) = ±0, erf(±inf) = ±1, NaN stays. */
V_INLINE float s_erf(float x)
{
    const float a = s_at_most(s_abs(x), 4), square = a * a;
    float p = S_ERF_6;
    p = s_fma(p, square, S_ERF_5);
    p = s_fma(p, square, S_ERF_4);
    p = s_fma(p, square, S_ERF_3);
    p = s_fma(p, square, S_ERF_2);
    p = s_fma(p, square, S_ERF_1);
    p = s_fma(p, square, S_ERF_0);
    float slope = s_fma(S_ERFC_7, a, S_ERFC_6); /* of log(1 - erf(a)) */
    slope = s_fma(slope, square, s_fma(S_ERFC_5, a, S_ERFC_4));
    slope = s_fma(slope, square, s_fma(S_ERFC_3, a, S_ERFC_2));
    slope = s_fma(slope, a, S_ERFC_1);
    /* What the last step loses is the low part of the exponent. */
    const float logarithm = s_fma(slope, a, S_ERFC_0);
    const s_reduced e = s_reduce(logarithm, s_fma(slope, a, -logarithm) + S_ERFC_0);
    const float power = s_power_of_two(e.n_rounding, 0);
    const float large = (1 - power) - s_fma(power, e.rest, power * e.high);
    return s_copysign(v_where(a < 0.9f, s_fma(p, a, a), large), x);
}

/* ---- Rows -------------------------------------------------------------------------------------------------------- */

/* exp(x) in units of 2^(nearest - scale), and 0 where x is below `least`, nearest ln 2 + 0.693 (-126 - scale) or more.
 * The low part is up to 0.1 of the high one.
 * Max error: 2^-25 of it, not counting underflow.  Range: |x| <= 700, x <= (nearest + 0.5) ln 2, or below `least`,
 * 0 <= scale <= 126, `nearest` whole.  NaN stays. */
V_INLINE s_pair s_exp_near(float x, float nearest, float least, int scale)
{
    const s_reduced a = s_reduce(x, 0);
    const s_pair whole = s_sum(1, a.high);
    const float power = s_power_of_two(a.n_rounding - nearest, scale);
    return (s_pair){v_where(x < least, 0, power * whole.high), v_where(x < least, 0, power * (whole.low + a.rest))};
}

#endif
