"""The arithmetic of truth: the vocabulary of _reference.py over object arrays of mpmath numbers, 60 digits."""

import mpmath
import numpy as np

mpmath.mp.dps = 60

exp = np.frompyfunc(mpmath.exp, 1, 1)
tanh = np.frompyfunc(mpmath.tanh, 1, 1)
log1p = np.frompyfunc(mpmath.log1p, 1, 1)
abs = np.frompyfunc(mpmath.fabs, 1, 1)
where = np.where
nan = mpmath.nan


def clip(x, low, high):
    return where(low > x, low, where(high < x, high, x))


def slope(a, x):
    return a * x


def exp_difference(a, b):
    return exp(a - b)


def row_sum(x):
    return np.sum(x, axis=-1, keepdims=True)


def row_maximum(x):
    return np.max(x, axis=-1, keepdims=True)


def exact(x):
    """Return an array of mpmath numbers."""
    return np.frompyfunc(lambda v: mpmath.mpf(float(v)), 1, 1)(np.asarray(x, dtype=np.float64))


def two_doubles(values):
    """Return mpmath numbers as unevaluated sums of two doubles."""
    high = np.frompyfunc(float, 1, 1)(values)
    low = np.frompyfunc(lambda v, h: float(v - mpmath.mpf(h)) if mpmath.isfinite(v) else 0.0, 2, 1)(values, high)
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
