"""The arithmetic of truth: the vocabulary of _reference.py over object arrays of mpmath numbers, 60 digits."""

import mpmath
import numpy as np

mpmath.mp.dps = 60


def elementwise(function, arguments=1):
    return np.frompyfunc(function, arguments, 1)


exp, expm1, tanh = elementwise(mpmath.exp), elementwise(mpmath.expm1), elementwise(mpmath.tanh)
sin, cos, erf = elementwise(mpmath.sin), elementwise(mpmath.cos), elementwise(mpmath.erf)
erfc = elementwise(lambda x: mpmath.erfc(min(x, 2**100)))  # without gmpy2 mpmath fails for larger numbers
sqrt = elementwise(lambda x: mpmath.sqrt(x) if x >= 0 else mpmath.nan)
hypot = elementwise(mpmath.hypot, 2)
log = elementwise(lambda x: mpmath.log(x) if x >= 0 else mpmath.nan)
log1p = elementwise(lambda x: mpmath.log1p(x) if x > -1 else mpmath.log(1 + x) if x == -1 else mpmath.nan)
divide = elementwise(lambda a, b: a / b if b else mpmath.sign(a) * mpmath.inf if a else mpmath.nan, 2)
abs = elementwise(mpmath.fabs)
where = np.where
nan = mpmath.nan


def clip(x, low, high):
    return where(low > x, low, where(high < x, high, x))


def minimum(a, b):
    return where(a > b, b, a)


def slope(a, x):
    return a * x


product = angle = slope


def precise(x):
    return mpmath.mpf(x) if isinstance(x, (int, float)) else x


def rounded(x):
    return x


constant = mpmath.mpf


def exp_times(factor, x):
    return factor * exp(x)


def cancelling(function):
    """A difference that is small near 0, with as many digits more as it loses."""

    def value(x):
        lost = max(0, -2 * mpmath.mag(x)) if x and mpmath.isfinite(x) else 0
        with mpmath.workprec(mpmath.mp.prec + lost):
            return function(x)

    return elementwise(value)


exp_remainder = cancelling(lambda x: mpmath.expm1(x) - x)
tanh_remainder = cancelling(lambda x: x - mpmath.tanh(x))


def normal_pdf(x, factor=1):
    return factor * exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)


def normal_cdf(x, factor=1):
    return factor * erfc(-x / mpmath.sqrt(2)) / 2


def exp_difference(a, b):
    return exp(a - b)


def row_sum(x):
    return np.sum(x, axis=-1, keepdims=True)


def row_maximum(x):
    return np.max(x, axis=-1, keepdims=True)


def row_descending(x):
    return -np.sort(-x, axis=-1)


def row_cumulative(x):
    return np.cumsum(x, axis=-1)


def row_places(x):
    return np.broadcast_to(np.arange(1, x.shape[-1] + 1), x.shape)


def row_first(condition):
    return condition & (np.cumsum(condition, axis=-1) == 1)


BISECTIONS = 220
SMALL = mpmath.mpf(10) ** -12


def exact(x):
    """Return an array of mpmath numbers."""
    return np.frompyfunc(lambda v: mpmath.mpf(float(v)), 1, 1)(np.asarray(x, dtype=np.float64))


def two_doubles(values):
    """Return mpmath numbers as unevaluated sums of two doubles."""
    with np.errstate(all="ignore"):  # beyond the largest double
        high = elementwise(float)(values)
        low = elementwise(lambda v, h: float(v - mpmath.mpf(h)) if mpmath.isfinite(v) else 0.0, 2)(values, high)
    return high.astype(np.float64), low.astype(np.float64)


def ulp_error(result, high, low):
    """Return |result - (high + low)| in units in the last place of the dtype of the result, subnormal ones included."""
    limits = np.finfo(result.dtype)
    _, exponent = np.frexp(high)
    lowest = limits.minexp - limits.nmant
    with np.errstate(all="ignore"):
        unit = np.ldexp(1.0, np.maximum(exponent - 1 - limits.nmant, lowest))
        error = np.abs((result.astype(np.float64) - high) - low) / unit
    overflows = np.isinf(result) & (np.abs(high) >= limits.max)
    return np.where(overflows | (np.isnan(result) & np.isnan(high)), 0, error)
