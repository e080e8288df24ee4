"""The arithmetic of the pure-Python implementation: what _reference.py calls `m`, over float64 arrays.

Rows lie along the last axis.  Where a float64 is too short, a number is a `Pair`: exp(a b) is as wrong as a b is long,
and so is the difference from a number that no float64 is.
"""

import math
from functools import cache

import numpy as np

cos_of_array, sin_of_array, exp_of_array = np.cos, np.sin, np.exp
tanh, expm1, log, log1p = np.tanh, np.expm1, np.log, np.log1p
sqrt, hypot, divide, minimum = np.sqrt, np.hypot, np.divide, np.minimum
where = np.where
nan = np.nan


def clip(x, low, high):
    return where(low > x, low, where(high < x, high, x))


def slope(a, x):
    """a x, except that 0 times an infinity is a zero: the limit of a x as x grows when a is 0."""
    return a * where(a == 0, clip(x, -1, 1), x)


# ---- Pairs: twice the digits -----------------------------------------------------------------------------------------


def two_sum(a, b):
    """a + b, and what the addition loses."""
    total = a + b
    b_used = total - a
    return total, (a - (total - b_used)) + (b - b_used)


def two_product(a, b):
    """a b, and what the multiplication loses, from halves whose products are exact."""
    product = slope(a, b)
    a_high, b_high = ((x * 134217729.0) - (x * 134217729.0 - x) for x in (a, b))
    a_low, b_low = a - a_high, b - b_high
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


class Pair:
    """The sum of two float64 arrays, the second below the last digit of the first."""

    __array_ufunc__ = None  # an array on the left leaves the operation to the pair

    def __init__(self, high, low=0.0):
        total, rest = two_sum(high, where(np.isfinite(low), low, 0.0))
        self.high = where(total == high, high, total)  # with the sign of a zero
        self.low = where(np.isfinite(rest), rest, 0.0)  # an infinity has no digits to add

    def __add__(self, other):
        other = precise(other)
        high, low = two_sum(self.high, other.high)
        return Pair(high, low + (self.low + other.low))

    def __mul__(self, other):
        other = precise(other)
        high, low = two_product(self.high, other.high)
        return Pair(high, low + (self.high * other.low + self.low * other.high))

    def __truediv__(self, other):
        other = precise(other)
        quotient = self.high / other.high
        return Pair(quotient, (self - other * quotient).high / other.high)

    def __rtruediv__(self, other):
        return precise(other) / self

    def __neg__(self):
        return Pair(-self.high, -self.low)

    def __sub__(self, other):
        return self + -other

    __radd__, __rmul__ = __add__, __mul__


def precise(x):
    """x as a number with twice the digits."""
    return x if isinstance(x, Pair) else Pair(x)


def rounded(x):
    return x.high


def product(a, x):
    """a x with twice the digits; 0 times an infinity is 0."""
    return Pair(*two_product(a, x))


@cache
def constant(digits):
    """A number given in decimal, with twice the digits of a float64."""
    from decimal import Decimal

    high = float(digits)
    return Pair(high, float(Decimal(digits) - Decimal(high)))


def angle(a, x):
    """a x as the argument of a sine: with twice the digits while it is below 2^43, and beyond as it is rounded."""
    turns = product(a, x)
    return Pair(turns.high, where(np.abs(turns.low) < 2.0**-10, turns.low, 0.0))


def abs(x):
    if isinstance(x, Pair):
        sign = where(x.high < 0, -1.0, 1.0)
        return Pair(sign * x.high, sign * x.low)
    return np.abs(x)


def parts(x):
    """An argument of exp and what it lacks, which matters only where exp neither overflows nor vanishes."""
    return (x.high, where(np.abs(x.high) < 800, x.low, 0.0)) if isinstance(x, Pair) else (x, 0.0)


def exp(x):
    high, low = parts(x)
    e = exp_of_array(high)
    return e + slope(low, e)


def exp_times(factor, x):
    """factor exp(x), with all its digits even where exp(x) alone is subnormal; 0 times an infinity is 0."""
    factor, (high, low) = precise(factor), parts(x)
    tiny = high < -700
    e = exp_of_array(where(tiny, high / 2, high))
    product, rest = two_product(e, factor.high)
    result = Pair(product, rest + (e * factor.low + product * low)).high
    return where(tiny, result * e, result)


def sin(x):
    x = precise(x)
    return sin_of_array(x.high) * cos_of_array(x.low) + cos_of_array(x.high) * sin_of_array(x.low)


def cos(x):
    x = precise(x)
    return cos_of_array(x.high) * cos_of_array(x.low) - sin_of_array(x.high) * sin_of_array(x.low)


def exp_difference(a, b):
    """exp(a - b), with what the subtraction loses."""
    d = a - b
    b_used = a - d
    low = (a - (d + b_used)) + (b_used - b)
    return exp_of_array(d) * (1 + where(low == low, low, 0))


# ---- What cancels near 0 ---------------------------------------------------------------------------------------------


def exp_remainder(x):
    """exp(x) - 1 - x."""
    series = 1 / math.factorial(22)
    for k in range(21, 1, -1):
        series = series * x + 1 / math.factorial(k)
    return where(np.abs(x) < 1, x * x * series, expm1(x) - x)


def tanh_remainder(x):
    """x - tanh(x); for small x from the continued fraction tanh(x) = x / (1 + x^2 / (3 + x^2 / (5 + ...)))."""
    squared = x * x
    fraction = 25.0
    for k in range(23, 1, -2):
        fraction = k + squared / fraction
    rest = squared / fraction
    return where(np.abs(x) < 2, x * (rest / (1 + rest)), x - tanh(x))


# ---- The normal distribution -----------------------------------------------------------------------------------------

_erf, _erfc = np.frompyfunc(math.erf, 1, 1), np.frompyfunc(math.erfc, 1, 1)


def erf(x):
    return np.asarray(_erf(x), dtype=np.float64)


def erfc(x):
    return np.asarray(_erfc(x), dtype=np.float64)


def normal_pdf(x, factor=1.0):
    """factor times the density of the normal distribution."""
    x = precise(x)
    return exp_times(constant("0.398942280401432677939946059934381868") * factor, x * x * -0.5)


def normal_cdf(x, factor=1.0):
    """factor times the probability that a normal variable is below x."""
    x = precise(x)
    a = x * constant("-0.707106781186547524400844362104849039")
    center = (erfc(a.high) - 2 / math.sqrt(math.pi) * exp_of_array(-a.high * a.high) * a.low) / 2
    # Far below, the density times the continued fraction 1 / (t + 1 / (t + 2 / (t + 3 / ...))), t = -x.
    t = fraction = -x.high
    for k in range(40, 0, -1):
        fraction = t + k / fraction
    return where(x.high < -5, normal_pdf(x, slope(1 / fraction, factor)), factor * center)


# ---- Rows ------------------------------------------------------------------------------------------------------------


def row_sum(x):
    return np.sum(x, axis=-1, keepdims=True)


def row_maximum(x):
    """The largest element of each row, NaN left aside."""
    return np.fmax.reduce(x, axis=-1, keepdims=True, initial=-np.inf)


def row_descending(x):
    return -np.sort(-x, axis=-1)


def row_cumulative(x):
    return np.cumsum(x, axis=-1)


def row_places(x):
    """1, 2, ... n along a row."""
    return np.broadcast_to(np.arange(1, x.shape[-1] + 1), x.shape)


def row_first(condition):
    """The first place of each row at which the condition holds."""
    return condition & (np.cumsum(condition, axis=-1) == 1)


BISECTIONS = 64
SMALL = 1e-3  # of which five terms of a series are enough
