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
#define V_TAIL_OFFSET 1.25
#define V_TAIL_MIDDLE 0.109375
#define V_TAIL_0 0.502262607198295
#define V_TAIL_0_LOW -4.0565661479253226e-17
#define V_TAIL_1 1.6421155181584297
#define V_TAIL_2 8.616567685361764
#define V_TAIL_3 2.221229516932788
#define V_TAIL_4 -548.5274936823565
#define V_TAIL_5 -7174.613862749488
#define V_TAIL_6 -57789.32090936862
#define V_TAIL_7 -328807.45531324926
#define V_TAIL_8 -1273458.1245649527
#define V_TAIL_9 -2475338.1688061384
#define V_TAIL_10 4773249.396944652
#define V_TAIL_11 46129496.787244
#define V_TAIL_12 67673119.88791731
#define V_TAIL_13 -465534588.1939544
#define V_TAIL_14 -1816722003.7657712
#define V_TAIL_15 4177375206.946495
#define V_TAIL_16 32070357092.554432
#define V_TAIL_17 -41178366808.051865
#define V_TAIL_18 -529944223237.6359
#define V_TAIL_19 514679913894.0256
#define V_TAIL_20 8128469917581.666
#define V_TAIL_21 -5559019398702.893
#define V_TAIL_22 -84433754152189.3

#define V_BEND_0 0.4671763641656278
#define V_BEND_0_LOW -1.6797533865029143e-17
#define V_BEND_1 1.250210166782152
#define V_BEND_2 10.700455299102847
#define V_BEND_3 79.23821471489998
#define V_BEND_4 500.76887855417027
#define V_BEND_5 2639.2866137859514
#define V_BEND_6 11115.337470073351
#define V_BEND_7 33976.824515583285
#define V_BEND_8 52897.485392805866
#define V_BEND_9 -104670.37012826867
#define V_BEND_10 -818543.3748194078
#define V_BEND_11 -1052957.3402846467
#define V_BEND_12 6719733.972263888
#define V_BEND_13 24407946.277840655
#define V_BEND_14 -48209095.3793205
#define V_BEND_15 -370648644.6499966
#define V_BEND_16 333869389.79550135
#define V_BEND_17 5269409576.924072
#define V_BEND_18 -639261207.3957828
#define V_BEND_19 -59428118961.29212
#define V_BEND_20 -78380540930.14711

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

#define V_GELU_ROOT 0.7517915246935645
#define V_GELU_ROOT_LOW -1.4956759177009883e-17

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

/* Whether a compiler knows what a number is, and need not compute what then is 0. */
#if defined(__GNUC__)
#define V_KNOWN_TO_BE(value, a) (__builtin_constant_p(a) && (a) == (value))
#else
#define V_KNOWN_TO_BE(value, a) 0
#endif

/* What rounding a b to p has lost, to be carried on beside p.  Exact, unless it is subnormal; 0 where p is infinite or
 * NaN, so that only p itself is. */
V_INLINE double v_product_error(double a, double b, double p)
{
    const double low = V_KNOWN_TO_BE(1, a) ? 0 : v_residual(a, b, p);
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
    const double low = V_KNOWN_TO_BE(1, b) ? a_low : (a_low - v_residual(q, b, a)) * (1 / b);
    return v_where(v_abs(low) < v_abs(q), low, 0);
}

/* a + b x + c x² + d x³.  Polynomials are sums of such terms, side by side: it is their length that loops wait for. */
#define V_CUBIC(x, square, a, b, c, d) v_fma(v_fma(d, x, c), square, v_fma(b, x, a))

/* ---- Pairs: what one double cannot hold is carried on as a second ------------------------------------------------ */

/* high + low.  Arguments have a low part of at most 2^-24 of the high one. */
typedef struct {
    double high, low;
} v_pair;

/* a + b for |a| >= |b|.  Exact, but for overflow. */
V_INLINE v_pair v_sum(double a, double b)
{
    const double high = a + b;
    return (v_pair){high, (a - high) + b};
}

/* a + b.  Exact, but for overflow. */
V_INLINE v_pair v_sum_of_any(double a, double b)
{
    const double high = a + b, b_used = high - a;
    return (v_pair){high, (a - (high - b_used)) + (b - b_used)};
}

/* The 26 leading bits of x: the product of two such numbers is exact.  Max error: 2^-25 of x. */
V_INLINE double v_leading(double x)
{
    return v_from_bits(v_bits(x) & ~(uint64_t)0x7ffffff);
}

/* a b + c, also without the instruction.  Max error: 0.51 ULP.  Range: where nothing overflows. */
V_INLINE double v_multiply_add(double a, double b, double c)
{
#ifdef V_FUSED
    return v_fma(a, b, c);
#else
    const double product = a * b;
    const v_pair sum = v_sum_of_any(product, c);
    const double rest = sum.low + v_residual(a, b, product);
    return v_where(v_abs(rest) > 0, sum.high + rest, sum.high); /* -0 + 0 would be 0, and rest may be NaN */
#endif
}

/* a b.  Max error: 2^-74 of it, not counting underflow. */
V_INLINE v_pair v_times(v_pair a, v_pair b)
{
#ifdef V_FUSED
    const double high = a.high * b.high;
    return (v_pair){high, v_fma(a.low, b.high, v_fma(a.high, b.low, v_fma(a.high, b.high, -high)))};
#else
    const double a_high = v_leading(a.high), a_low = (a.high - a_high) + a.low;
    const double b_high = v_leading(b.high), b_low = (b.high - b_high) + b.low;
    return (v_pair){a_high * b_high, a_high * b_low + (a_low * b_high + a_low * b_low)};
#endif
}

/* factor a.  Max error: 2^-74 of it, not counting underflow. */
V_INLINE v_pair v_multiple(double factor, v_pair a)
{
#ifdef V_FUSED
    const double high = factor * a.high;
    return (v_pair){high, v_fma(factor, a.low, v_fma(factor, a.high, -high))};
#else
    const double f_high = v_leading(factor), f_low = factor - f_high;
    const double a_high = v_leading(a.high), a_low = (a.high - a_high) + a.low;
    return (v_pair){f_high * a_high, f_high * a_low + (f_low * a_high + f_low * a_low)};
#endif
}

/* a b, rounded.  Max error: 0.51 ULP. */
V_INLINE double v_rounded_product(v_pair a, v_pair b)
{
#ifdef V_FUSED
    return v_fma(a.high, b.high, v_fma(a.high, b.low, a.low * b.high));
#else
    const double a_high = v_leading(a.high), a_low = (a.high - a_high) + a.low;
    const double b_high = v_leading(b.high), b_low = (b.high - b_high) + b.low;
    return a_high * b_high + (a_high * b_low + (a_low * b_high + a_low * b_low));
#endif
}

/* a².  Max error: 2^-74 of it, not counting underflow. */
V_INLINE v_pair v_pair_square(v_pair a)
{
#ifdef V_FUSED
    const double high = a.high * a.high;
    return (v_pair){high, v_fma(2 * a.high, a.low, v_fma(a.high, a.high, -high))};
#else
    const double a_high = v_leading(a.high), a_low = (a.high - a_high) + a.low;
    return v_sum(a_high * a_high, a_low * (2 * a_high + a_low));
#endif
}

/* a / b, given 1 / b but for 2^-40 of it.  Max error: 2^-64 of the quotient, not counting underflow. */
V_INLINE v_pair v_divide_by(v_pair a, v_pair b, double inverse)
{
#ifdef V_FUSED
    const double quotient = a.high * inverse;
    const double rest = v_fma(-quotient, b.low, v_fma(-quotient, b.high, a.high) + a.low);
#else
    const double quotient = v_leading(a.high * inverse), b_high = v_leading(b.high), b_low = (b.high - b_high) + b.low;
    const double rest = ((a.high - quotient * b_high) - quotient * b_low) + a.low;
#endif
    return (v_pair){quotient, rest * inverse};
}

/* a / b.  Max error: 2^-74 of it, not counting underflow. */
V_INLINE v_pair v_divide(v_pair a, v_pair b)
{
    return v_divide_by(a, b, 1 / b.high);
}

/* The pair, rounded.  Max error: 0.5 ULP. */
V_INLINE double v_rounded(v_pair a)
{
    return a.high + a.low;
}

/* base - a, rounded.  Max error: 0.51 ULP, for a between 0 and base / 2. */
V_INLINE double v_less(double base, v_pair a)
{
    const v_pair difference = v_sum(base, -a.high);
    return difference.high + (difference.low - a.low);
}

/* a + a_low + b.  Max error: 2^-74 of the larger term. */
V_INLINE v_pair v_plus(double a, double a_low, v_pair b)
{
    v_pair sum = v_sum_of_any(a, b.high);
    sum.low += b.low + a_low;
    return sum;
}

/* x + a / b, rounded.  Max error: 0.6 ULP, where they do not cancel. */
V_INLINE double v_plus_ratio(double x, v_pair a, v_pair b)
{
    return v_rounded(v_plus(x, 0, v_divide(a, b)));
}

/* factor (a + b).  Max error: 0.51 ULP. */
V_INLINE double v_times_sum(double factor, double a, double b)
{
    return v_rounded_product((v_pair){factor, 0}, v_sum_of_any(a, b));
}

/* (x + h)/2, h² = x² + b, or, where that cancels, (b/4)/((|x| + h)/2).
 * Max error: 2.0 ULP.  Range: all x, b >= 0.  0 at -inf, NaN stays.
 * h is |x| where x² overflows, and where b is 0, lest x² underflow. */
V_INLINE double v_squareplus(double x, double b)
{
    const double a = v_at_most(v_abs(x), 1.7976931348623157e308);
    const double h = v_where((a > 1e150) | (b == 0), a, v_sqrt(v_fma(x, x, b)));
    const v_pair middle = v_sum(0.5 * h, 0.5 * a);
    const double left = v_rounded(v_divide((v_pair){0.25 * b, 0}, middle));
    return v_where(x < 0, v_where((b == 0) | (x == -INFINITY), 0, left), v_where(h == a, x, middle.high));
}

/* Its derivative, tail = (b/2)/(h (|x| + h)) or 1 less that, without the rounding of h: h (|x| + h) = x² + b + h |x|.
 * A large x is scaled lest x² overflow.
 * Max error: 1.5 ULP.  Range: all x, b >= 0.  NaN stays. */
V_INLINE double v_squareplus_slope(double x, double b)
{
    const double a = v_at_most(v_abs(x), 1.7976931348623157e308), scale = v_where(a > 1e150, 0x1p-600, 1);
    const double near = scale * a, square = near * near;
    v_pair under = v_sum_of_any(square, v_where(a > 1e150, 0, b));
    const double h = v_sqrt(under.high), product = near * h;
    v_pair sum = v_sum(under.high, product);
    sum.low += under.low + (v_residual(near, near, square) + v_residual(near, h, product));
    sum.high = v_where(sum.high == 0, 1, sum.high); /* b is 0, and the tail */
    const double tail = v_rounded(v_divide((v_pair){0.5 * b, 0}, sum)) * scale * scale;
    return v_where(x > 0, 1 - tail, tail);
}

/* 2^n for a whole number n in [-1022, 1023], given as n + V_ROUND.  Exact. */
V_INLINE double v_power_of_two(double n_rounding)
{
    return v_from_bits((v_bits(n_rounding) << 52) + 0x3ff0000000000000);
}

/* exp(x + low) = 2^n (1 + p), x + low = n ln 2 + r with |r| <= ln(2)/2.  p is rounded, or left as two terms, so that
 * its sum with another number can be rounded once. */
typedef struct {
    double n_rounding, n; /* n + V_ROUND, and n */
    double p;
    double high, rest; /* p = high + rest */
} v_reduced;

/* Max error: 2^-54 of exp(x + low).  Range: -1400 <= x <= 1400, |low| no larger than half an ULP of x. */
V_INLINE v_reduced v_reduce(double x, double low)
{
    const double n_rounding = v_fma(x, V_LOG2_E, V_ROUND), n = n_rounding - V_ROUND;
    const double near = v_fma(n, -V_LN2_HIGH, x); /* exact */
    /* The low part of an x beyond the bounds may be huge. */
    const double lost = 0 - v_at_most(v_at_least(low, -1), 1);
    const double r = v_fma(n, -V_LN2_LOW, near - lost), r_low = v_fma(n, -V_LN2_LOW, (near - r) - lost);
    const double square = r * r, fourth = square * square;
    const double p8 = v_fma(V_EXP_10, square, v_fma(V_EXP_9, r, V_EXP_8));
    const double p4 = v_fma(p8, fourth, V_CUBIC(r, square, V_EXP_4, V_EXP_5, V_EXP_6, V_EXP_7));
    const double q = v_fma(p4, fourth, V_CUBIC(r, square, V_EXP_0, V_EXP_1, V_EXP_2, V_EXP_3));
    return (v_reduced){n_rounding, n, v_fma(square, q, r), r, v_fma(square, q, r_low)};
}

/* unit 2^n, for a power of two and n given as n + V_ROUND.  Exact where it is normal. */
V_INLINE double v_scaled_power_of_two(double unit, double n_rounding)
{
    return v_from_bits((v_bits(n_rounding) << 52) + v_bits(unit));
}

/* factor exp(x + low) for |low| no larger than half an ULP of x.  The power of two is made in two steps, since it may
 * be subnormal or overflow: the product with the inverse of the unit, the last to be made, is rounded once.
 * Max error: 1.5 ULP, 1.3 among subnormal results.  Range: -1400 <= x <= 720, where no product before it overflows. */
V_INLINE double v_exp_in_units(double unit, double inverse, double factor, double x, double low)
{
    const v_reduced a = v_reduce(x, low);
    const double scaled = factor * v_scaled_power_of_two(unit, a.n_rounding);
    return v_fma(scaled, a.p, scaled) * inverse;
}

/* exp(x + low) for |low| no larger than half an ULP of x.  What is beyond the range of the reduction is replaced at the
 * end, where no other operation waits for it.
 * Max error: 1.1 ULP, 1.3 among subnormal results.  Range: all.  exp(-inf) = 0, exp(inf) = inf, NaN stays. */
V_INLINE double v_exp_sum(double x, double low)
{
    const double unit = v_where(x > 0, 0x1p-100, 0x1p1000), inverse = v_where(x > 0, 0x1p100, 0x1p-1000);
    const double value = v_where(x < -1400, 0, v_exp_in_units(unit, inverse, 1, x, low));
    return v_where(x > 720, INFINITY, value);
}

/* factor exp(x + low), where exp(x) itself may be subnormal or 0 and the product not.
 * Max error: 1.5 ULP, 1.3 among subnormal results.  Range: x <= 700.  A factor beyond ±1e284, also an infinite
 * one, counts as that, so that its product with exp(-inf) is the limit, a zero with its sign.  NaN stays. */
V_INLINE double v_times_exp(double factor, double x, double low)
{
    const double unit = v_where(x < -650, 0x1p1000, 1), inverse = v_where(x < -650, 0x1p-1000, 1);
    const double finite = v_at_most(v_at_least(factor, -1e284), 1e284);
    return v_where(x < -1400, finite * 0, v_exp_in_units(unit, inverse, finite, x, low));
}

/* exp(x).  Max error: 1.0 ULP, 1.3 among subnormal results.  Range: all.  exp(-inf) = 0, exp(inf) = inf, NaN stays. */
V_INLINE double v_exp(double x)
{
    return v_exp_sum(x, 0);
}

/* exp(a - b).  Max error and special values as v_exp_sum, however much of the difference is lost to rounding. */
V_INLINE double v_exp_difference(double a, double b)
{
    const double d = a - b;
    return v_exp_sum(d, v_difference_error(a, b, d));
}

/* exp((d + low) / t), for |low| no larger than half an ULP of d.
 * Max error: 1.1 ULP, 1.3 among subnormal results.  exp(-inf / t) = 0 and exp(d / inf) = 1, NaN stays. */
V_INLINE double v_exp_quotient(double d, double low, double t)
{
    const double q = d / t;
    return v_exp_sum(q, v_quotient_error(d, low, t, q));
}

/* (factor + low) (exp(x) - 1), for |low| no larger than half an ULP of the factor.
 * Max error: 1.9 ULP.  Range: x <= 709.  -factor at -inf, factor x at ±0, NaN stays. */
V_INLINE double v_times_expm1(double factor, double low, double x)
{
    const v_reduced a = v_reduce(x, 0);
    const double power = v_power_of_two(a.n_rounding), whole = power - 1, scaled = factor * power;
    const double most = v_fma(scaled, a.high, factor * whole);
    const double by_low = V_KNOWN_TO_BE(0, low) ? 0 : low * v_fma(power, a.p, whole);
    const double value = V_KNOWN_TO_BE(0, low) ? v_fma(scaled, a.rest, most) : most + v_fma(scaled, a.rest, by_low);
    /* Where x is so small, the sum would turn -0 into 0. */
    return v_where(x == 0, factor * x, v_where(x < -60, -factor, value));
}

/* exp(x) - 1.  Max error: 1.5 ULP.  Range: x <= 709, and inf beyond.  expm1(-inf) = -1, expm1(±0) = ±0, NaN stays. */
V_INLINE double v_expm1(double x)
{
    return v_where(x > 709, INFINITY, v_times_expm1(1, 0, x));
}

/* exp(x) - 1 - x.
 * Max error: 2.6 ULP for |x| <= 0.34, elsewhere of the larger of exp(x) - 1 and x.  Range: x <= 709, not inf. */
V_INLINE double v_exp_remainder(double x)
{
    const v_reduced a = v_reduce(v_clip(x, -60, 709), 0);
    const double scale = v_power_of_two(a.n_rounding);
    return v_where(a.n == 0, a.rest, v_fma(scale, a.high + a.rest, scale - 1) - x);
}

/* 1 + p, which is exp(x + low) / 2^n.  Max error: 2^-75 of it. */
V_INLINE v_pair v_mantissa(v_reduced a)
{
    const double high = 1 + (a.high + a.rest);
    return (v_pair){high, ((1 - high) + a.high) + a.rest};
}

/* exp(x + low) 2^1000 for |low| no larger than half an ULP of x: where the exponential is subnormal or 0, its product
 * with a number need not be.  Max error: 2^-54 of it.  Range: -1400 <= x <= 0.  NaN stays. */
V_INLINE v_pair v_decay(double x, double low)
{
    const v_reduced a = v_reduce(x, low);
    const double power = v_scaled_power_of_two(0x1p1000, a.n_rounding);
    const v_pair mantissa = v_mantissa(a);
    return (v_pair){mantissa.high * power, mantissa.low * power};
}

/* The unit of v_decay. */
#define V_DECAY_UNIT 0x1p-1000

/* ---- The logistic function σ ------------------------------------------------------------------------------------- */

/* 1 / a.  Max error: 2^-74 of it. */
V_INLINE v_pair v_inverse(v_pair a)
{
    const double inverse = 1 / a.high;
#ifdef V_FUSED
    return (v_pair){inverse, v_fma(-inverse, a.low, v_fma(-inverse, a.high, 1)) * inverse};
#else
    const double quotient = v_leading(inverse), a_high = v_leading(a.high), a_low = (a.high - a_high) + a.low;
    return (v_pair){quotient, ((1 - quotient * a_high) - quotient * a_low) * inverse};
#endif
}

/* σ(z) = unit (share + share rest), where share is the quotient as it is rounded.  The unit is 1 or, lest exp(-z)
 * overflow, 2^-1020. */
typedef struct {
    double unit, share, rest;
} v_logistic;

/* For z + low, |low| no larger than half an ULP of z.  Max error: 2^-53 of σ or, precisely, 2^-60.
 * Range: -1400 <= z <= 700.  NaN stays. */
V_INLINE v_logistic v_logistic_of(double z, double low, int precisely)
{
    const v_reduced e = v_reduce(-z, 0 - low); /* exp(-z) = power (1 + p) / unit */
    const double unit = v_where(z < -700, 0x1p-1020, 1);
    const double power = v_scaled_power_of_two(unit, e.n_rounding);
    const double share = 1 / v_fma(power, e.p, power + unit), near = share * unit, odds = share * power;
    if (!precisely)
        return (v_logistic){unit, share, v_fma(-odds, e.p, v_fma(-share, unit, 1 - odds))};
    const double left = v_where(z > 0, (1 - near) - odds, (1 - odds) - near); /* exact */
    return (v_logistic){unit, share, v_fma(-odds, e.rest, v_multiply_add(-odds, e.high, left))};
}

/* σ(z + low), from σ(-|z|), which rounding leaves exact enough for 1 less it.
 * Max error: 1.1 ULP, 1.3 among subnormal results.  Range: all.  σ(-inf) = 0, σ(inf) = 1, NaN stays. */
V_INLINE double v_sigmoid(double z, double low)
{
    const v_logistic a = v_logistic_of(-v_abs(z), v_where(z < 0, low, 0 - low), 0);
    const double smaller = v_where(v_abs(z) > 1400, 0, v_fma(a.share, a.rest, a.share) * a.unit);
    return v_where(z < 0, smaller, 1 - smaller);
}

/* scale σ(z) σ(-z) for a power of two.  Max error: 1.5 ULP, 1.3 among subnormal results.  Range: all.  NaN stays. */
V_INLINE double v_sigmoid_slope(double z, double scale)
{
    const v_logistic a = v_logistic_of(-v_abs(z), 0, 0);
    const double part = a.share * a.unit;
    const double square = v_fma(a.share, part, -(a.share * a.rest) * v_fma(-2, part, 1));
    return v_where(v_abs(z) > 1400, 0, (a.share - square) * (scale * a.unit));
}

/* x σ(z + low).  Max error: 1.3 ULP, 1.3 among subnormal results.
 * Range: |x| <= 1e284, and all where z > 45.  NaN and ±0 stay. */
V_INLINE double v_times_sigmoid(double x, double z, double low)
{
    const v_logistic a = v_logistic_of(z, low, 0);
    const double value = v_multiply_add(x, a.share, x * a.share * a.rest) * a.unit;
    const double limited = v_where(z < -1400, v_copysign(0, x), value);
    return v_where(z > 700, x, limited);
}

/* The derivative of x σ(z(x)), where growth is x z'(x): σ (1 + growth (1 - σ)).
 * Max error: 1.5 ULP, 1.3 among subnormal results, where the factor of σ is beyond ±0.01.  Range: all.  NaN stays. */
V_INLINE double v_times_sigmoid_slope(double z, double low, double growth, double growth_low)
{
    const v_logistic a = v_logistic_of(z, low, 1);
    const double share = a.share * a.unit, other = 1 - share, other_low = (1 - other) - share;
    const double factor = v_multiply_add(growth, other, 1);
    const double small = V_KNOWN_TO_BE(0, growth_low) ? a.rest * factor : v_fma(growth_low, other, a.rest * factor);
    const double rest = v_fma(growth, v_fma(-share, a.rest, other_low), small);
    const double slope = v_multiply_add(a.share, factor, a.share * rest) * a.unit;
    const double limited = v_where(z < -1400, -0.0, slope);
    return v_where(z > 700, 1, limited);
}

/* numerator / denominator */
typedef struct {
    v_pair numerator, denominator;
} v_ratio;

/* tanh(|x|) = (1 - e)/(1 + e) with e = exp(-2|x|).  Max error: 2^-54 of either.  Range: all.  NaN stays. */
V_INLINE v_ratio v_tanh_ratio(double x)
{
    const v_reduced a = v_reduce(v_at_least(-2 * v_abs(x), -60), 0);
    const double power = v_power_of_two(a.n_rounding), whole = 1 - power;
    const double high = whole - power * (a.high + a.rest);
    const v_pair difference = {high, ((whole - high) - power * a.high) - power * a.rest + ((1 - whole) - power)};
    v_pair sum = v_sum(2, -high);
    sum.low -= difference.low;
    return (v_ratio){difference, sum};
}

/* tanh(|x|).  Max error: 2^-53 of it.  Range: all.  NaN stays. */
V_INLINE v_pair v_abs_tanh(double x)
{
    const v_ratio ratio = v_tanh_ratio(x);
    return v_divide(ratio.numerator, ratio.denominator);
}

/* tanh(x) = (e - 1)/(e + 1) with e = exp(2|x|).
 * Max error: 1.8 ULP.  Range: all.  tanh(±0) = ±0, tanh(±inf) = ±1, NaN stays. */
V_INLINE double v_tanh(double x)
{
    const v_reduced e = v_reduce(v_abs(2 * x), 0);
    const double power = v_power_of_two(e.n_rounding);
    const double less = v_fma(power, e.rest, v_fma(power, e.high, power - 1));
    const double more = less + 2, more_low = less - (more - 2), inverse = 1 / more;
    const double rest = v_fma(-inverse, more_low, v_residual(-inverse, more, -1));
    const double value = v_multiply_add(less, inverse, less * inverse * rest);
    const double limited = v_where(v_abs(2 * x) > 44, 1, value);
    return v_from_bits(v_bits(limited) | (v_bits(x) & 0x8000000000000000));
}

/* e = exp(-|x|) = V_DECAY_UNIT decay, and the fraction that tanh(log(1 + exp(x))) is, for x < 0 but for a factor e. */
typedef struct {
    v_pair decay, e, numerator, denominator;
} v_mish_terms;

/* T(x) = tanh(log(1 + exp(x))) is e (1 + e/2)/(1 + e + e²/2) for x < 0, and (1 + 2e)/(1 + 2e + 2e²) for others.
 * Max error: 2^-53 of each.  Range: all.  NaN stays. */
V_INLINE v_mish_terms v_mish_of(double x)
{
    const v_pair decay = v_decay(v_at_least(-v_abs(x), -1400), 0);
    const v_pair e = {decay.high * V_DECAY_UNIT, decay.low * V_DECAY_UNIT};
    const double factor = v_where(x < 0, 1, 2);
    const v_pair used = {factor * e.high, factor * e.low}, square = v_pair_square(used);
    v_pair linear = v_sum(1, used.high); /* exact, since 1 is a multiple of a unit of the sum */
    linear.low += used.low;
    v_pair denominator = v_sum(linear.high, 0.5 * square.high);
    denominator.low += 0.5 * square.low + linear.low;
    v_pair numerator = v_sum(1, 0.5 * e.high);
    numerator.low += 0.5 * e.low;
    numerator.high = v_where(x < 0, numerator.high, linear.high);
    numerator.low = v_where(x < 0, numerator.low, linear.low);
    return (v_mish_terms){decay, e, numerator, denominator};
}

/* x T(x).  Max error: 1.0 ULP, 1.3 among subnormal results.  Range: all.  NaN stays. */
V_INLINE double v_mish(double x)
{
    const v_mish_terms terms = v_mish_of(x);
    const v_pair quotient = v_divide(terms.numerator, terms.denominator);
    const v_pair tail = v_multiple(v_at_least(x, -1500), terms.decay);
    const v_pair factor = {v_where(x < 0, tail.high, x), v_where(x < 0, tail.low, 0)};
    return v_copysign(v_where(x > 40, x, v_rounded_product(factor, quotient) * v_where(x < 0, V_DECAY_UNIT, 1)), x);
}

/* a + e b, for |a| >= |e b|, or where a is a multiple of the unit of the sum.  Max error: 2^-74 of the larger term. */
V_INLINE v_pair v_horner(double a, v_pair e, v_pair b)
{
    const v_pair product = v_times(e, b);
    v_pair sum = v_sum(a, product.high);
    sum.low += product.low;
    return sum;
}

/* The derivative of x T(x): e w/4 / denominator² with w = 4(x + 1) + (4x + 6) e + 4e² + e³ for x < 0, and for others
 * the same without e/4 and with the coefficients in reverse.
 * Max error: 1.5 ULP, where it is beyond ±0.001.  Range: all.  NaN stays. */
V_INLINE double v_mish_slope(double x)
{
    const v_mish_terms terms = v_mish_of(x);
    const double c = v_at_most(v_at_least(x, -1500), 1500);
    const double first = 4 + 4 * c, second = 6 + 4 * c; /* exact where w cancels */
    const v_pair product = v_multiple(v_where(x < 0, 1, first), terms.e);
    v_pair w = v_sum(v_where(x < 0, 4, second), product.high);
    w.low += product.low;
    w = v_horner(v_where(x < 0, second, 4), terms.e, w);
    w = v_horner(v_where(x < 0, first, 1), terms.e, w);
    const v_pair factor = {v_where(x < 0, terms.decay.high, 1), v_where(x < 0, terms.decay.low, 0)};
    const v_pair quotient = v_divide(v_times(factor, w), v_pair_square(terms.denominator));
    return v_rounded(quotient) * v_where(x < 0, 0.25 * V_DECAY_UNIT, 1);
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
    const v_pair cube = v_multiple(a, v_pair_square((v_pair){a, 0})), sum = v_sum(3, p * z);
    const v_ratio tanh = v_tanh_ratio(x);
    const int small = a < 2;
    const v_pair numerator = {v_where(small, cube.high, tanh.numerator.high),
                              v_where(small, cube.low, tanh.numerator.low)};
    const v_pair denominator = {v_where(small, sum.high, tanh.denominator.high),
                                v_where(small, sum.low, tanh.denominator.low)};
    const double quotient = v_rounded(v_divide(numerator, denominator));
    return v_copysign(v_where(small, quotient, a - quotient), x);
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

/* ---- What xielu cancels ------------------------------------------------------------------------------------------ */

/* exp(x) = 2^n (1 + r + curve). */
typedef struct {
    double n;
    v_pair r, curve;
} v_precise;

/* Max error: 2^-60 of exp(x).  Range: -700 <= x <= 0. */
V_INLINE v_precise v_reduce_precisely(v_pair x)
{
    const double n = (x.high * V_LOG2_E + V_ROUND) - V_ROUND;
    const double high = x.high - n * V_LN2_HIGH; /* exact */
    const double tail = n * V_LN2_LOW - x.low, r = high - tail;
    const v_pair argument = {r, (high - r) - tail};
    const v_pair square = v_pair_square(argument);
    const double w = square.high;
    double even = V_EXP_10, odd = V_EXP_9; /* two chains, side by side */
    even = v_fma(even, w, V_EXP_8);
    odd = v_fma(odd, w, V_EXP_7);
    even = v_fma(even, w, V_EXP_6);
    odd = v_fma(odd, w, V_EXP_5);
    even = v_fma(even, w, V_EXP_4);
    odd = v_fma(odd, w, V_EXP_3);
    even = v_fma(even, w, V_EXP_2);
    const v_pair cube = v_multiple(V_EXP_1, v_times(square, argument));
    v_pair curve = v_sum(V_EXP_0 * w, cube.high);
    curve.low += v_fma(w * w, v_fma(odd, r, even), V_EXP_0 * square.low + cube.low);
    return (v_precise){n, argument, v_sum(curve.high, curve.low)};
}

/* 1 + r + curve, less 1 or not: exp(x) / 2^n.  Max error: 2^-70 of 1. */
V_INLINE v_pair v_precise_mantissa(v_precise a, double one)
{
    const v_pair p = v_sum(a.r.high, a.curve.high);
    v_pair sum = v_sum(one, p.high);
    return v_sum(sum.high, sum.low + (p.low + (a.curve.low + a.r.low)));
}

/* exp(x) - 1, or without_slope exp(x) - 1 - x.
 * Max error: 2^-60 of 1, and 2^-52 of either.  Range: x <= 0, what is below -700 as there.  NaN stays. */
V_INLINE v_pair v_precise_expm1(double x, int without_slope)
{
    const v_precise a = v_reduce_precisely((v_pair){v_at_least(x, -700), 0});
    const double power = v_power_of_two(a.n + V_ROUND);
    const v_pair p = v_precise_mantissa(a, 0);
    v_pair value = v_sum(power - 1, power * p.high);
    value.low += power * p.low + (power - ((power - 1) + 1));
    v_pair rest = v_sum_of_any(value.high, -x);
    rest.low += value.low;
    const int near = without_slope & (a.n == 0);
    return (v_pair){v_where(near, a.curve.high, v_where(without_slope, rest.high, value.high)),
                    v_where(near, a.curve.low, v_where(without_slope, rest.low, value.low))};
}

/* log(1 + exp(x)).  Max error: 2^-58 of it or, where it is smaller, 1.  Range: all.  NaN stays. */
V_INLINE v_pair v_precise_softplus(double x)
{
    const v_precise a = v_reduce_precisely((v_pair){v_at_least(-v_abs(x), -700), 0});
    const double power = v_where(v_abs(x) > 746, 0, v_power_of_two(a.n + V_ROUND));
    const v_pair e = v_precise_mantissa(a, 1);
    v_pair sum = v_sum(1, power * e.high);
    sum.low += power * e.low;
    /* One step of Newton's: log(sum) = y + log(sum exp(-y)). */
    const double y = v_log1p(power * e.high);
    const v_precise b = v_reduce_precisely((v_pair){-y, 0});
    const v_pair product = v_times(sum, v_precise_mantissa(b, 1));
    const double scale = v_power_of_two(b.n + V_ROUND), correction = (product.high * scale - 1) + product.low * scale;
    v_pair result = v_sum_of_any(v_where(x > 0, x, 0), y);
    result.low = v_where(result.low == result.low, result.low + correction, 0); /* not so for an infinite x */
    return result;
}

/* a (exp(m) - 1 - x) + b x, or for x < -1 a (exp(m) - 1) - s x, s = log(1 + exp(alpha)), a = b + s.
 * Max error: 2^-52 of the larger term.  Range: -1e150 <= x <= 0.  NaN stays. */
V_INLINE double v_xielu_left(double b, double alpha, double x, double m)
{
    const v_pair s = v_precise_softplus(alpha), a = v_plus(b, 0, s);
    const int far = x < -1;
    const v_pair less = v_precise_expm1(m, 0), curve = v_precise_expm1(m, 1);
    v_pair bend = v_sum_of_any(curve.high, m - x);
    bend.low += curve.low;
    const v_pair first = v_times(a, (v_pair){v_where(far, less.high, bend.high), v_where(far, less.low, bend.low)});
    const v_pair second = v_multiple(x, (v_pair){v_where(far, -s.high, b), v_where(far, -s.low, 0)});
    return v_rounded(v_plus(first.high, first.low, second));
}

/* b + factor log(1 + exp(alpha)).  Max error: 0.51 ULP. */
V_INLINE double v_xielu_slope_right(double b, double alpha, double factor)
{
    return v_rounded(v_plus(b, 0, v_multiple(factor, v_precise_softplus(alpha))));
}

/* (b + log(1 + exp(alpha))) (exp(x) - 1) + b.  Max error: 0.5 ULP and 2^-56 of b.  Range: x <= 0. */
V_INLINE double v_xielu_slope_left(double b, double alpha, double x)
{
    return v_rounded(v_plus(b, 0, v_times(v_plus(b, 0, v_precise_softplus(alpha)), v_precise_expm1(x, 0))));
}

/* Of a: the variable of the polynomials for the tail of the normal distribution, 1/(a + shift) - middle; a + offset,
 * and its inverse but for a few units. */
typedef struct {
    v_pair variable, sum;
    double inverse;
} v_place;

/* Max error: 2^-53 of the middle, and of a + offset.  Range: 0 <= a <= 60.  NaN stays. */
V_INLINE v_place v_place_of(double a)
{
    const v_pair shifted = {a + V_TAIL_SHIFT, (V_TAIL_SHIFT - (a + V_TAIL_SHIFT)) + a};
    const v_pair sum = {a + V_TAIL_OFFSET, (V_TAIL_OFFSET - (a + V_TAIL_OFFSET)) + a};
    const double both = 1 / (shifted.high * sum.high); /* one division for two */
    const v_pair t = v_divide_by((v_pair){1, 0}, shifted, both * sum.high);
    const double far = t.high - V_TAIL_MIDDLE, variable = far + t.low;
    return (v_place){{variable, (far - variable) + t.low}, sum, both * shifted.high};
}

/* Φ(-a) exp(a²/2), where Φ is the normal distribution: what is left of its tail when the exponential is taken out.
 * Max error: 2^-52 of it.  Range: 0 <= a <= 38.7, beyond it any Φ(-a) is 0; not inf.  NaN stays. */
V_INLINE v_pair v_normal_tail(double a)
{
    const v_place place = v_place_of(a);
    const double v = place.variable.high, square = v * v, fourth = square * square, eighth = fourth * fourth;
    const double q2 = V_CUBIC(v, square, V_TAIL_2, V_TAIL_3, V_TAIL_4, V_TAIL_5);
    const double q6 = V_CUBIC(v, square, V_TAIL_6, V_TAIL_7, V_TAIL_8, V_TAIL_9);
    const double q10 = V_CUBIC(v, square, V_TAIL_10, V_TAIL_11, V_TAIL_12, V_TAIL_13);
    const double q14 = V_CUBIC(v, square, V_TAIL_14, V_TAIL_15, V_TAIL_16, V_TAIL_17);
    const double q18 = V_CUBIC(v, square, V_TAIL_18, V_TAIL_19, V_TAIL_20, V_TAIL_21);
    const double q10_22 = v_fma(v_fma(V_TAIL_22, fourth, q18), eighth, v_fma(q14, fourth, q10));
    const double q = v_fma(q10_22, eighth, v_fma(q6, fourth, q2));
    const double first = V_TAIL_1 * v, terms = v_fma(q, square, first);
    v_pair p = v_sum(V_TAIL_0, terms);
    p.low += v_residual(V_TAIL_1, v, first) + V_TAIL_0_LOW;
    return v_divide_by(p, place.sum, place.inverse);
}

/* (Φ(-a) exp(a²/2) - φ(0) a)/(root - a), the root being that of the numerator.
 * Max error: 2^-53 of it.  Range: 0 <= a <= 38.7, beyond it that times exp(-a²/2) is 0.  NaN stays. */
V_INLINE v_pair v_bend_over_distance(double a)
{
    const v_pair variable = v_place_of(a).variable;
    const double v = variable.high, square = v * v, fourth = square * square, eighth = fourth * fourth;
    const double q2 = V_CUBIC(v, square, V_BEND_2, V_BEND_3, V_BEND_4, V_BEND_5);
    const double q6 = V_CUBIC(v, square, V_BEND_6, V_BEND_7, V_BEND_8, V_BEND_9);
    const double q10 = V_CUBIC(v, square, V_BEND_10, V_BEND_11, V_BEND_12, V_BEND_13);
    const double q14 = V_CUBIC(v, square, V_BEND_14, V_BEND_15, V_BEND_16, V_BEND_17);
    const double q18 = v_fma(V_BEND_20, square, v_fma(V_BEND_19, v, V_BEND_18));
    const double q = v_fma(v_fma(q18, eighth, v_fma(q14, fourth, q10)), eighth, v_fma(q6, fourth, q2));
    const double first = V_BEND_1 * v, terms = v_fma(q, square, first), slope = v_fma(q, v, V_BEND_1);
    v_pair p = v_sum(V_BEND_0, terms);
    p.low += v_residual(V_BEND_1, v, first) + V_BEND_0_LOW;
    p.low = v_fma(variable.low, slope * slope * (1 / V_BEND_1), p.low); /* by about their derivative */
    return p;
}

/* Beyond it the normal distribution is 0 or 1. */
#define V_NORMAL_END 40.0

/* exp(-(x + low)²/2) 2^1000 = power (1 + p), for |low| no larger than half an ULP of x. */
typedef struct {
    double power;
    v_reduced e;
} v_gaussian;

/* Max error: 2^-54 of it.  Range: |x| <= 40.  NaN stays. */
V_INLINE v_gaussian v_gaussian_of(double x, double low)
{
    const double half = -0.5 * x, square = half * x, square_low = v_residual(half, x, square);
    const v_reduced e = v_reduce(square, V_KNOWN_TO_BE(0, low) ? square_low : square_low - x * low);
    return (v_gaussian){v_scaled_power_of_two(0x1p1000, e.n_rounding), e};
}

/* a exp(-(x + low)²/2).  Max error: 0.8 ULP. */
V_INLINE double v_times_gaussian_of(v_pair a, v_gaussian g)
{
    const double high = v_fma(a.high, g.e.p, a.high), low = v_fma(a.high, g.e.p, a.high - high);
    return (high + (low + v_fma(a.low, g.e.p, a.low))) * g.power * V_DECAY_UNIT;
}

/* |x| Φ(-|x|).  Max error: 1.5 ULP.  Range: all.  NaN stays. */
V_INLINE double v_times_normal_tail(double x)
{
    const double a = v_abs(x);
    const double value = v_times_gaussian_of(v_multiple(a, v_normal_tail(a)), v_gaussian_of(x, 0));
    return v_where(a > V_NORMAL_END, 0, value);
}

/* Φ(x) + x φ(x) is Φ(-a) - a φ(a), a = |x|, or 1 less that.
 * Max error: 1.5 ULP, strictly.  Range: all.  NaN stays. */
V_INLINE double v_gelu_slope(double x)
{
    const double a = v_abs(x);
    v_pair distance = v_sum_of_any(V_GELU_ROOT, -a);
    distance.low += V_GELU_ROOT_LOW;
    const double bend = v_times_gaussian_of(v_times(distance, v_bend_over_distance(a)), v_gaussian_of(x, 0));
    const double smaller = v_where(a > V_NORMAL_END, -0.0, bend);
    return v_where(x < 0, smaller, 1 - smaller);
}

/* factor exp(-(x + low)²/2), for |low| no larger than half an ULP of x.
 * Max error: 1.6 ULP, 1.3 among subnormal results.  Range: all.  An infinite factor counts as in v_times_exp,
 * NaN stays. */
V_INLINE double v_times_gaussian(double factor, double x, double low)
{
    const double square = x * x;
    return v_times_exp(factor, -0.5 * square, -0.5 * v_product_error(x, x, square) - x * low);
}

/* Φ(x + low), the normal distribution, for |low| no larger than half an ULP of x.
 * Max error: 1.5 ULP.  Range: all.  Φ(-inf) = 0, Φ(inf) = 1, NaN stays. */
V_INLINE double v_normal_cdf(double x, double low)
{
    const double a = v_abs(x);
    v_pair tail = v_normal_tail(a);
    tail.low = v_fma(v_where(x < 0, -low, low), v_fma(a, tail.high, -V_DENSITY_AT_0), tail.low); /* its derivative */
    const double smaller = v_where(a > V_NORMAL_END, 0, v_times_gaussian_of(tail, v_gaussian_of(x, low)));
    return v_where(x < 0, smaller, 1 - smaller);
}

/* erf(x).  Max error: 1.5 ULP.  Range: all.  erf(±0) = ±0, erf(±inf) = ±1, NaN stays. */
V_INLINE double v_erf(double x)
{
    const double a = v_abs(x);
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
    const v_reduced e = v_reduce(-square, -v_residual(a, a, square));
    const double scaled = v_rounded(v_normal_tail(V_SQRT_2 * a)) * v_scaled_power_of_two(2, e.n_rounding);
    const double tail = v_fma(scaled, e.p, scaled);
    return v_copysign(v_where(a < 0.65, v_fma(p, a, a), v_where(a > 6, 1, 1 - tail)), x);
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

/* Max error: 2^-70 of 1, half an ULP of low more where |low| > 2^-18, and for low = 0 2^-88 of 1.  For |low| no larger
 * than half an ULP of z, and left out from 2^-10 on, where z is beyond 2^43; half is 0 or 1/2.
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
    const double b = v_remainder_of_two(rest * p2), c = v_remainder_of_two(high * p3), e = high * p4 + rest * p3;
    const double start = largest + v_where(z < 0, -half, half); /* exact so far, and e is but for its last bit */
    const double sum_b = start + b, sum_c = sum_b + c, sum = sum_c + e;
    const double lost = v_difference_error(start, -b, sum_b) + v_difference_error(sum_b, -c, sum_c) +
                        (v_difference_error(sum_c, -e, sum) + v_difference_error(high * p4, -(rest * p3), e));
    const double small = (high * p6 + rest * p5) + (high * p5 + rest * p4);
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

/* sin(z + low + half π/2)², as v_sine_square.  Max error: 2^-52 of it, where the square is above 2^-36. */
V_INLINE v_pair v_sine_square_pair(double z, double low, double half)
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
    const v_pair square = v_sum(w, v_fma(w * w, p, w_low));
    v_pair other = v_sum(1, -square.high);
    other.low -= square.low;
    return (v_pair){v_where(angle.odd == 0, square.high, other.high), v_where(angle.odd == 0, square.low, other.low)};
}

/* sin(z + low + half π/2)² for |low| no larger than half an ULP of z, half 0 or 1/2.
 * Max error: 1.4 ULP, where the square is above 2^-36.  Range: all.  NaN for ±inf, NaN stays. */
V_INLINE double v_sine_square(double z, double low, double half)
{
    return v_rounded(v_sine_square_pair(z, low, half));
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
