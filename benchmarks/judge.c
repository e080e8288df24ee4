/* The true values of the definitions, each with a bound of its own error, and how far results are from them.
 *
 * accuracy.py writes the formulas of pyactx/_reference.py in terms of the functions below, in the file FORMULAS, and
 * compiles this one for each PRECISION: double, long double and _Float128, with the mathematics of the C library.
 * Where a number is too uncertain to judge a result, its place is handed back, for a judge with more digits.
 */

#define _GNU_SOURCE
#define __STDC_WANT_IEC_60559_TYPES_EXT__
#include <stdbool.h>
#include <stdint.h>
#include <tgmath.h>

#if PRECISION == 53
typedef double real;
#define ROUNDING 0x1p-53
#elif PRECISION == 64
typedef long double real;
#define ROUNDING 0x1p-64
#elif PRECISION == 113
typedef _Float128 real;
#define ROUNDING 0x1p-113
#endif

#define TIE 0x1p-64 /* units: what is no further than that beyond half-way, and not known to be half-way, is right */
#define LIBRARY (12 * ROUNDING) /* of the functions of glibc, whose manual states at most 5 units in the last place */

typedef struct {
    real value, error; /* the error is at most that large */
} number;

typedef struct {
    bool holds, doubtful;
} condition;

/* ---- Arithmetic: each operation adds what it rounds to the errors of its operands --------------------------------- */

/* What overflows is infinite, and NaN where an infinity was lost is unknown. */
static inline number with_error(real value, real error) {
    return (number){value, isfinite(value) ? error : isinf(value) ? 0 : NAN};
}

static inline number exactly(real value) { return (number){value, 0}; }
static inline number rounded_constant(real value) { return (number){value, ROUNDING * fabs(value)}; }
static const number number_nan = {NAN, 0};

static inline number number_negative(number a) { return (number){-a.value, a.error}; }
static inline number number_abs(number a) { return (number){fabs(a.value), a.error}; }
static inline number number_precise(number a) { return a; }
static inline number number_rounded(number a) { return a; }

static inline number number_add(number a, number b) {
    real sum = a.value + b.value, used = sum - a.value;
    return with_error(sum, fabs((a.value - (sum - used)) + (b.value - used)) + a.error + b.error);
}

static inline number number_subtract(number a, number b) { return number_add(a, number_negative(b)); }

static inline number number_multiply(number a, number b) {
    real product = a.value * b.value;
#if PRECISION == 64 /* whose fma takes longer than all the rest */
    real lost = ROUNDING * fabs(product);
#else
    real lost = fabs(fma(a.value, b.value, -product));
#endif
    return with_error(product, lost + fabs(a.value) * b.error + fabs(b.value) * a.error + a.error * b.error);
}

static inline number number_divide(number a, number b) {
    real quotient = a.value / b.value, least = fabs(b.value) - b.error;
    if (b.error > 0 && !(least > 0)) return (number){quotient, NAN};
    if (b.value == 0) return exactly(quotient);
#if PRECISION == 64
    real lost = ROUNDING * fabs(a.value);
#else
    real lost = fabs(fma(-quotient, b.value, a.value));
#endif
    return with_error(quotient, (lost + a.error + fabs(quotient) * b.error) / least);
}

static inline condition number_less(number a, number b) {
    real error = a.error + b.error;
    return (condition){a.value < b.value, error != 0 && !(fabs(a.value - b.value) > error)};
}

static inline condition number_less_equal(number a, number b) {
    return (condition){a.value <= b.value, number_less(a, b).doubtful};
}

static inline condition number_equal(number a, number b) {
    return (condition){a.value == b.value, number_less(a, b).doubtful};
}

static inline condition number_and(condition a, condition b) {
    return (condition){a.holds && b.holds, a.doubtful || b.doubtful};
}

static inline condition number_or(condition a, condition b) {
    return (condition){a.holds || b.holds, a.doubtful || b.doubtful};
}

static inline number number_where(condition c, number a, number b) {
    number chosen = c.holds ? a : b;
    if (c.doubtful && !(a.value == b.value && a.error == b.error))
        chosen.error = fabs(a.value - b.value) + a.error + b.error;
    return chosen;
}

static inline number number_minimum(number a, number b) { return number_where(number_less(b, a), b, a); }

static inline number number_clip(number x, number low, number high) {
    return number_where(number_less(x, low), low, number_where(number_less(high, x), high, x));
}

/* a x, where 0 times an infinity is 0. */
static inline number number_slope(number a, number x) {
    return (a.value == 0 && isinf(x.value)) || (x.value == 0 && isinf(a.value)) ? exactly(0) : number_multiply(a, x);
}

static inline number number_product(number a, number x) { return number_slope(a, x); }
static inline number number_angle(number a, number x) { return number_slope(a, x); }

/* ---- Functions: the error of the library, and what the error of the argument makes ------------------------------- */

static inline number from_library(real value, real carried) {
    return with_error(value, LIBRARY * fabs(value) + carried);
}

static inline real carried_by_exp(real value, number x) {
    return x.error < 0.1 ? 1.1 * value * x.error : exp(x.value + x.error);
}

static inline number number_exp(number x) {
    real value = exp(x.value);
    return from_library(value, carried_by_exp(value, x));
}

static inline number number_expm1(number x) {
    real value = expm1(x.value);
    return from_library(value, carried_by_exp(1 + value, x));
}

static inline number number_exp_times(number factor, number x) { return number_slope(factor, number_exp(x)); }
static inline number number_tanh(number x) {
    if (fabs(x.value) - x.error > 50) return exactly(copysign((real)1, x.value)); /* but for 2^-143 */
    return from_library(tanh(x.value), x.error);
}

static inline number number_sin(number x) { return from_library(sin(x.value), x.error); }
static inline number number_cos(number x) { return from_library(cos(x.value), x.error); }
static inline number number_erf(number x) { return from_library(erf(x.value), 1.2 * x.error); }

static inline real carried_by_log(real argument, real error) {
    return error == 0 ? 0 : error < argument / 2 ? 2 * error / argument : INFINITY;
}

static inline number number_log(number x) {
    if (x.value < -x.error) return number_nan;
    return from_library(log(x.value), carried_by_log(x.value, x.error));
}

static inline number number_log1p(number x) {
    if (1 + x.value < -x.error) return number_nan;
    return from_library(log1p(x.value), carried_by_log(1 + x.value, x.error));
}

static inline number number_sqrt(number x) {
    if (x.value < -x.error) return number_nan;
    real value = sqrt(x.value);
    return from_library(value, x.error == 0 ? 0 : x.error / value);
}

static inline number number_hypot(number a, number b) {
    return from_library(hypot(a.value, b.value), a.error + b.error);
}

/* exp(x) - 1 - x */
static inline number number_exp_remainder(number x) {
    if (!(fabs(x.value) < 1)) return number_subtract(number_expm1(x), x);
    real series = 1;
    for (int k = 36; k > 2; k--) series = 1 + series * x.value / k;
    return from_library(x.value * x.value / 2 * series, 2 * fabs(x.value) * x.error);
}

/* x - tanh(x), from the continued fraction tanh(x) = x / (1 + x^2 / (3 + x^2 / (5 + ...))) where it is small. */
static inline number number_tanh_remainder(number x) {
    if (!(fabs(x.value) < 2)) return number_subtract(x, number_tanh(x));
    real squared = x.value * x.value, fraction = 53;
    for (int k = 51; k > 1; k -= 2) fraction = k + squared / fraction;
    return from_library(x.value * (squared / (fraction + squared)), squared * x.error);
}

static inline number number_normal_pdf(number x, number factor) {
    number density = rounded_constant(0.398942280401432677939946059934381868475858631164934657665925f128);
    return number_exp_times(number_multiply(density, factor), number_multiply(number_multiply(x, x), exactly(-0.5)));
}

/* erfc(a) / 2 with a = -x / sqrt(2); the derivative of erfc is largest where the argument may be nearest to 0. */
static inline number number_normal_cdf(number x, number factor) {
    number root = rounded_constant(0.707106781186547524400844362104849039284835937688474036588340f128);
    number a = number_multiply(number_negative(x), root);
    real nearest = fmax(fabs(a.value) - a.error, 0);
    number twice = from_library(erfc(a.value), 1.2 * exp(-nearest * nearest) * a.error);
    return number_slope(number_multiply(twice, exactly(0.5)), factor);
}

/* ---- The formulas ------------------------------------------------------------------------------------------------- */

typedef struct {
    number (*value)(number x, const number *parameters);
    number (*terms)(number x, const number *parameters); /* the size of those that cancel; NULL: none do */
} formula;

#include FORMULAS

#define PARAMETERS 8

static void exact_parameters(number *parameters, const double *values) {
    for (int i = 0; i < PARAMETERS; i++) parameters[i] = exactly(values[i]);
}

/* Each true value as a sum of two doubles, and the bound of its error. */
void evaluate(int32_t which, const double *values, int64_t n, const double *x, double *high, double *low,
              double *error) {
    number parameters[PARAMETERS];
    exact_parameters(parameters, values);
    for (int64_t i = 0; i < n; i++) {
        number truth = formulas[which].value(exactly(x[i]), parameters);
        high[i] = truth.value;
        low[i] = isfinite(high[i]) ? truth.value - high[i] : 0;
        error[i] = truth.error;
    }
}

/* ---- The judge ---------------------------------------------------------------------------------------------------- */

typedef struct {
    int32_t digits, lowest, highest; /* of the significand; exponents of the smallest and the largest normal number */
} format;

typedef struct {
    double error, x, result; /* the largest error in units in the last place, -1 before the first, and where */
    int64_t wrong;           /* how many results are not correctly rounded */
    double uncertainty;      /* the largest bound of the judge's own error, in the same units */
} verdict;

static inline real unit_of(real value, format f) {
    int exponent = value == 0 ? f.lowest : ilogb(value);
    exponent = exponent < f.lowest ? f.lowest : exponent > f.highest ? f.highest : exponent;
    return ldexp((real)1, exponent - f.digits + 1);
}

/* Whether a root lies within 0.01 of x. */
static bool beside_root(const formula *about, real x, const number *parameters) {
    real left = about->value(exactly(x - 0.01), parameters).value;
    real right = about->value(exactly(x + 0.01), parameters).value;
    return (left < 0) != (right < 0);
}

/* Judge the results of several candidates.  Returns how many places are doubtful, and which; they are left out. */
int64_t judge(int32_t which, const double *values, const format *dtype, int32_t count_terms, int64_t n,
              const double *x, int32_t candidates, const double *results, verdict *verdicts, int64_t *doubtful) {
    const formula *about = &formulas[which];
    const format f = *dtype;
    const real overflow = ldexp((real)1, f.highest + 1); /* what an infinity counts as */
    number parameters[PARAMETERS];
    exact_parameters(parameters, values);
    int64_t doubts = 0;

    for (int64_t i = 0; i < n; i++) {
        number truth = about->value(exactly(x[i]), parameters);
        real unit = unit_of(truth.value, f), counted = unit;
        real uncertainty = fabs(truth.value) - truth.error >= overflow ? 0 : truth.error / unit;
        bool known = isnan(truth.value) ? truth.error == 0 : uncertainty <= 1 / (real)32;
        if (count_terms && about->terms) {
            real terms = fabs(about->terms(exactly(x[i]), parameters).value);
            if (fabs(truth.value) < terms / 8 && beside_root(about, x[i], parameters)) counted = unit_of(terms, f);
        }

        double errors[candidates];
        bool wrong[candidates];
        for (int32_t c = 0; c < candidates; c++) {
            real result = results[c * n + i], target = truth.value;
            if (isnan(result) || isnan(target)) {
                wrong[c] = !(isnan(result) && isnan(target));
                errors[c] = wrong[c] ? INFINITY : 0;
                known |= isnan(result) && isnan(target);
                continue;
            }
            if (isinf(result)) {
                result = copysign(overflow, result);
                if (fabs(target) > overflow) target = copysign(overflow, target);
            }
            real distance = fabs(result - target);
            real error = distance / unit, beyond_half = error - 0.5 - TIE;
            wrong[c] = beyond_half > 0;
            if (uncertainty == 0 && error == 0.5) wrong[c] = fmod(fabs(result) / unit_of(result, f), (real)2) != 0;
            known &= isinf(error) || uncertainty == 0 || fabs(beyond_half) > uncertainty;
            errors[c] = distance / counted;
        }
        if (!known && isfinite(x[i])) { /* mpmath has no limits to tell at an infinity */
            doubtful[doubts++] = i;
            continue;
        }
        for (int32_t c = 0; c < candidates; c++) {
            verdict *v = &verdicts[c];
            v->wrong += wrong[c];
            if (errors[c] > v->error) {
                v->error = errors[c];
                v->x = x[i];
                v->result = results[c * n + i];
            }
            if (uncertainty > v->uncertainty) v->uncertainty = uncertainty;
        }
    }
    return doubts;
}

/* For each x, that of the `width` doubles from there on whose true value is nearest to half-way between two doubles. */
void nearest_to_half(int32_t which, const double *values, const format *dtype, int64_t n, double *x, int32_t width) {
    number parameters[PARAMETERS];
    exact_parameters(parameters, values);
    for (int64_t i = 0; i < n; i++) {
        double at = x[i];
        real nearest = 1;
        for (int32_t k = 0; k < width; k++, at = nextafter(at, (double)INFINITY)) {
            real value = formulas[which].value(exactly(at), parameters).value;
            real scaled = fabs(value) / unit_of(value, *dtype), distance = fabs(scaled - floor(scaled) - 0.5);
            if (distance < nearest) {
                nearest = distance;
                x[i] = at;
            }
        }
    }
}
