"""The vocabularies of the kernels against mpmath: each function within the bound that its comment states.

A header is read for its functions, their types and the comments in front of them.  A function that lacks a bound there,
or a case here, is a failure.
"""

import ctypes
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

import mpmath
import mpmath_math
import numpy as np
import pytest
from conftest import ACTIVATIONS

SOURCES = Path(__file__).parent.parent / "src"
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")

pytestmark = pytest.mark.skipif(not SOURCES.exists() or COMPILER is None, reason="needs the sources and a C compiler")

FLAGS = ["-O2", "-std=c11", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-shared", "-fPIC"]
MARCHES = [march for name, march in {"baseline": "", "avx2": "-march=x86-64-v3"}.items()
           if name in map(str, ACTIVATIONS)] or [""]
FUSED = [march for march in MARCHES if march or platform.machine() in ("aarch64", "arm64")]
TYPES = {"double": np.float64, "float": np.float32, "uint64_t": np.uint64, "uint32_t": np.uint32, "int": np.int32}

# ---- What a header says ----------------------------------------------------------------------------------------------

FUNCTION = re.compile(r"^(/\*(?:(?!\*/).)*\*/\n)?"  # the comment right before it
                      r"(?:(?:\w+ )+(?P<type>\w+) (?P<name>\w+)\((?P<arguments>[^)]*)\)\s*{"
                      r"|\#define (?P<macro>[a-z]\w*)\((?P<variables>[^)]*)\))", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Function:
    comment: str
    type: str
    members: tuple  # (name, type) of each number in the result: one without a name, if it is no structure
    arguments: tuple  # (type, members) of each argument

    @property
    def given(self):
        """The types of the numbers in the arguments."""
        return [kind for _, members in self.arguments for _, kind in members]


@cache
def functions(header):
    """Return {name: Function} for the functions, and macros used like functions, of a header."""
    text = (SOURCES / header).read_text()
    structures = {}

    def members_of(kind):
        return structures.get(kind, (("", kind),))

    for body, name in re.findall(r"^typedef struct {\n(.*?)^} (\w+);", text, re.MULTILINE | re.DOTALL):
        fields = re.findall(r"^ +(\w+) ([\w, ]+);", body, re.MULTILINE)
        structures[name] = tuple((f".{field}{member}", number) for kind, names in fields for field in names.split(", ")
                                 for member, number in members_of(kind))
    found = {}
    for match in FUNCTION.finditer(text):
        if match["macro"]:
            kind = HEADERS[header].number
            kinds = [kind] * len(match["variables"].split(","))
        else:
            kind = match["type"]
            kinds = [argument.split()[-2] for argument in match["arguments"].split(",")]
        arguments = tuple((argument, members_of(argument)) for argument in kinds)
        name = match["macro"] or match["name"]
        found.setdefault(name, Function(match[1] or "", kind, members_of(kind), arguments))  # the first of several
    return found


def stated_bound(header, name):
    """Return (what the bound is in, bound, bound among subnormal results), or None."""
    comment = " ".join(functions(header)[name].comment.replace("\n *", " ").split())
    if ulp := re.search(r"Max error: ([\d.]+) ULP(?:, ([\d.]+) among subnormal results)?", comment):
        return "ULP", float(ulp[1]), float(ulp[2] or ulp[1])
    if fraction := re.search(r"Max error: 2\^(-\d+) of ", comment):
        return "fraction", 2.0 ** int(fraction[1]), 2.0 ** int(fraction[1])
    if other := re.search(r"Max error .*as (\w+)", comment):
        return stated_bound(header, other[1])
    return ("exact", 0.0, 0.0) if re.search(r"\bExact\b", comment) else None


# ---- Arguments -------------------------------------------------------------------------------------------------------


def spread(low, high):
    """Return points of every size in [low, high], negative, positive or both."""
    generator = np.random.default_rng(21)
    uniform = generator.uniform(low, high, 4000)
    sizes = np.exp(generator.uniform(np.log(1e-320), np.log(max(abs(low), abs(high))), 4000))
    return np.concatenate([uniform, *(s * sizes for s in (-1, 1) if low <= s * 1e-300 <= high)])


def with_low(x):
    """Return x and a low part of at most half a unit of it."""
    return x, np.spacing(np.abs(x)) * np.random.default_rng(23).uniform(-0.5, 0.5, x.size)


def products():
    """Return (factor, x, low): exponentials that are subnormal or 0, times a factor, and usual ones."""
    generator = np.random.default_rng(24)
    x = np.concatenate([generator.uniform(-760, -690, 3000), generator.uniform(-1390, 0, 3000), spread(-30, 300)])
    return generator.normal(size=x.size) * 2.0 ** generator.uniform(-10, 600, x.size).round(), *with_low(x)


def scaled_arguments(low, high):
    """Return (factor, low, x) with factors between 1 and 2, and x of every size, those that are normal."""
    x = spread(low, high)
    x = x[np.abs(x) > 1e-300]
    return *with_low(np.random.default_rng(34).uniform(1, 2, x.size)), x


def quotients():
    """Return (d, low, t) with d / t of every size."""
    generator = np.random.default_rng(25)
    t = np.exp(generator.uniform(-5, 5, 6000))
    d, low = with_low(generator.uniform(-740, 0, t.size) * t)
    return d, low, t


def angles(most=2.0**-10):
    """Return points of every size, with low parts of less than that."""
    z, low = with_low(np.concatenate([spread(-100, 100)[::4], spread(-8e307, 8e307)[::4]]))
    return z, np.where(np.abs(low) < most, low, 0)


def operands(count=2, digits=53):
    """Return numbers of many sizes and so many binary digits, whose products and quotients are normal."""
    generator = np.random.default_rng(26)
    numbers = generator.integers(2 ** (digits - 1), 2**digits, (count, 3000)) * generator.choice([-1, 1], (count, 3000))
    return np.ldexp(numbers.astype(np.float64), generator.integers(-300, 300, (count, 3000)))


def sums():
    """Return (a, b, c) where the product of a and b is exact, and its sum with c of any size."""
    a, b = operands(digits=26)
    return a, b, -a * b * 2.0 ** np.random.default_rng(28).uniform(-60, 60, a.size)


def with_product(units):
    """Return (a, b, p) with p the rounded product, or so many units from it."""
    a, b = operands()
    p = a * b
    return a, b, p + units * np.spacing(p)


def with_difference():
    a = operands(1)[0]
    b = a * np.random.default_rng(29).uniform(0.1, 1, a.size)
    return a, b, a - b


def with_quotient():
    a, b = operands()
    a, low = with_low(a)
    return a, low, b, a / b


def differences():
    """Return (a, b) with a - b of every size in the range of exp, and lost bits."""
    generator = np.random.default_rng(22)
    b = np.concatenate([generator.normal(size=2000) * 300, generator.normal(size=2000) * 1e-3, [1e6] * 500])
    return b - np.concatenate([generator.uniform(0, high, n) for high, n in ((700, 2000), (1, 2000), (90, 500))]), b


def logarithms():
    """Return (x, low), with low below 2^-52."""
    x = np.concatenate([spread(0, 1.7e308), spread(0.5, 2)])
    return x, np.random.default_rng(30).uniform(-1, 1, x.size) * 2.0**-52


def normal_logarithms():
    """Return (u, offset, low) with normal u."""
    u, low = logarithms()
    usual = u >= np.finfo(np.float64).tiny
    return u[usual], np.arange(np.sum(usual)) % 2 * -54.0, low[usual]


def near(most):
    """Return numbers of every size up to that, of either sign."""
    generator = np.random.default_rng(32)
    return np.exp(generator.uniform(np.log(1e-20), np.log(most), 3000)) * generator.choice([-1, 1], 3000)


def pairs(count=1, most=2.0**300):
    """Return numbers of every size up to that, each followed by a low part of at most half a unit of it."""
    numbers = [np.roll(near(most), 7 * i) for i in range(count)]
    return tuple(part for number in numbers for part in with_low(number))


def logits(most=745.0):
    """Return points of every size and the tails of the logistic function, with low parts."""
    generator = np.random.default_rng(33)
    return with_low(np.concatenate([near(40), generator.uniform(-most, most, 3000), generator.uniform(-3, 3, 3000)]))


def reductions_of_any():
    """Return the members of v_reduced for some p; n is of no account."""
    high, rest = near(0.3), near(0.3) ** 2 / 2
    return 0 * high, 0 * high, high + rest, high, rest


def away(x, root, distance):
    """Return the points that are not beside a root."""
    return x[np.abs(x - root) > distance]


# ---- Cases -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """What a function is compared with, and where."""

    exact: Callable  # of the arguments, as mpmath numbers
    arguments: tuple
    value: Callable | None  # what is compared, of the outputs and the arguments; without it their sum
    unit: Callable  # of the exact value: what a bound that is no ULP is a fraction of


def case(exact, *arguments, value=None, unit=abs):
    return Case(exact, arguments, value, unit)


def bits_of(x):
    return int(np.float64(float(x)).view(np.uint64))


def left_of_angle(r, r_low, odd, z, low, half):
    """Return the angle less the reduced one and less quarter turns, of which there are an odd number or not."""
    angle = mpmath.sign(z) * (z + low + half * mpmath.pi / 2) - r - r_low
    turns = mpmath.nint(angle / (mpmath.pi / 2))
    told = (turns % 2 != 0) == (odd != 0) and abs(r) <= mpmath.pi / 4 + mpmath.mpf("1e-15")
    return angle - turns * mpmath.pi / 2 if told else mpmath.inf


def relative(output, exact):
    return abs(output / exact - 1) if exact else abs(output)


def undecayed(high, low, *arguments):
    return mpmath.ldexp(high + low, -1000)


def logistic(z):
    return 1 / (1 + mpmath.exp(-z))


def error_of_tanh_ratio(numerator, numerator_low, denominator, denominator_low, x):
    e = mpmath.exp(-2 * abs(x))
    return max(relative(numerator + numerator_low, -mpmath.expm1(-2 * abs(x))),
               relative(denominator + denominator_low, 1 + e))


def error_of_mish_terms(high, low, e, e_low, numerator, numerator_low, denominator, denominator_low, x):
    exact = mpmath.exp(-abs(x))
    of = (exact, 1 + exact / 2) if x < 0 else (2 * exact, 1 + 2 * exact)
    return max(relative(undecayed(high, low), exact), relative(numerator + numerator_low, of[1]),
               relative(denominator + denominator_low, 1 + of[0] + of[0] ** 2 / 2))


MIDDLE = mpmath.mpf("0.109375")


def error_of_place(variable, variable_low, total, total_low, inverse, a):
    place = 1 / (a + mpmath.mpf("5.5"))
    rough = relative(inverse, 1 / (a + mpmath.mpf("1.25"))) / 2**13
    return max(abs(variable + variable_low + MIDDLE - place) / MIDDLE,
               relative(total + total_low, a + mpmath.mpf("1.25")), rough)


def error_of_terms(exact, terms):
    """Return what compares a result with an exact value, in units of the larger of it and the terms."""
    def error(*numbers):
        *outputs, = numbers[: len(numbers) - exact.__code__.co_argcount]
        given = numbers[len(outputs):]
        value = exact(*given)
        return abs(sum(outputs) - value) / max(abs(value), terms(*given))
    return error


def times_sigmoid_slope(z, low, growth, growth_low):
    share = logistic(-abs(z + low))
    bend = share * (1 - abs(growth + growth_low) * (1 - share))
    return bend if z < 0 else 1 - bend


def mish(x):
    return x * mpmath.tanh(mpmath.log1p(mpmath.exp(x)))


def mish_slope(x):
    e = mpmath.exp(x)
    return e * (4 * (x + 1) + 4 * e * e + e**3 + e * (4 * x + 6)) / (e * e + 2 * e + 2) ** 2


def squareplus_slope(x, b):
    return (1 + x / mpmath.sqrt(x * x + b)) / 2


def softplus(x):
    return mpmath.log1p(mpmath.exp(x))


def xielu_left(b, alpha, x, m):
    return (b + softplus(alpha)) * (mpmath.expm1(m) - x) + b * x


def scaled_tail(a):
    return mpmath.ncdf(-a) * mpmath.exp(a * a / 2)


GELU_ROOT = mpmath.findroot(lambda a: scaled_tail(a) - mpmath.npdf(0) * a, mpmath.mpf("0.75"))


SIGNED = spread(-1e300, 1e300)
CANCELLING = np.array([[1.0], [1.0], [-1.0]])
OTHER = np.roll(SIGNED, 7)
HALVES = np.arange(angles()[0].size) % 2 / 2

VECMATH = {
    "v_where": case(lambda condition, a, b: a if condition else b, np.arange(SIGNED.size) % 2, SIGNED, OTHER),
    "v_unless_nan": case(lambda x, value: value, SIGNED, OTHER),
    "v_square": case(lambda x: x * x, spread(-1e150, 1e150)),
    "v_fma": case(lambda a, b, c: a * b + c, *sums()),
    "v_bits": case(bits_of, SIGNED),
    "v_from_bits": case(lambda bits: mpmath.mpf(float(np.uint64(int(bits)).view(np.float64))), SIGNED.view(np.uint64)),
    "v_abs": case(abs, SIGNED),
    "v_copysign": case(lambda x, y: abs(x) if y > 0 else -abs(x), SIGNED, OTHER),
    "v_sqrt": case(mpmath.sqrt, spread(0, 1.7e308)),
    "v_clip": case(lambda x, low, high: min(max(x, low), high), SIGNED, -np.abs(OTHER), np.abs(np.roll(OTHER, 7))),
    "v_at_least": case(max, SIGNED, OTHER),
    "v_at_most": case(min, SIGNED, OTHER),
    "v_slope": case(lambda a, x: a * x, *operands()),
    "v_residual": case(lambda a, b, p: a * b - p, *with_product(np.arange(3000) % 9 - 4)),
    "v_product_error": case(lambda a, b, p: a * b - p, *with_product(0)),
    "v_difference_error": case(lambda a, b, d: a - b - d, *with_difference()),
    "v_quotient_error": case(lambda a, low, b, q: (a + low) / b, *with_quotient(),
                             value=lambda error, a, low, b, q: q + error),
    "v_multiply_add": case(lambda a, b, c: a * b + c, *np.hstack([operands(3), with_product(-0.0) * CANCELLING])),
    "v_power_of_two": case(lambda n: mpmath.ldexp(1, int(n - 1.5 * 2**52)), np.arange(-1022.0, 1024.0) + 1.5 * 2**52),
    "v_reduce": case(lambda x, low: mpmath.exp(x + low), *with_low(spread(-1400, 1400)),
                     value=lambda n_rounding, n, p, high, rest, x, low: mpmath.ldexp(1 + high + rest, int(n))),
    "v_scaled_power_of_two": case(lambda unit, n: unit * mpmath.ldexp(1, int(n - 1.5 * 2**52)),
                                  np.resize([1.0, 2.0**1000, 2.0**-1000], 2000),
                                  np.arange(-1000.0, 1000.0) + np.resize([0, -1000, 1000], 2000) + 1.5 * 2**52),
    "v_exp_in_units": case(lambda unit, inverse, factor, x, low: factor * mpmath.exp(x + low), np.full(8000, 2.0**-100),
                           np.full(8000, 2.0**100), np.resize(near(1e20), 8000), *with_low(spread(-600, 700)[:8000])),
    "v_exp_sum": case(lambda x, low: mpmath.exp(x + low), *with_low(spread(-745.1, 709.7))),
    "v_exp": case(mpmath.exp, spread(-745.1, 709.7)),
    "v_exp_difference": case(lambda a, b: mpmath.exp(a - b), *differences()),
    "v_exp_quotient": case(lambda d, low, t: mpmath.exp((d + low) / t), *quotients()),
    "v_times_exp": case(lambda factor, x, low: factor * mpmath.exp(x + low), *products()),
    "v_expm1": case(mpmath.expm1, spread(-745, 709)),
    "v_times_expm1": case(lambda factor, low, x: (factor + low) * mpmath.expm1(x), *scaled_arguments(-80, 700)),
    "v_exp_remainder": case(mpmath.workdps(800)(lambda x: mpmath.expm1(x) - x), spread(-0.34, 0.34)[:8000:4]),
    "v_tanh_remainder": case(mpmath.workdps(800)(lambda x: x - mpmath.tanh(x)),
                             np.concatenate([spread(-3, 3)[:6000:4], spread(-1e-5, 30)[:6000:4]])),
    "v_log_sum": case(lambda u, offset, low: mpmath.log(u) + offset * mpmath.log(2) + low,
                      *normal_logarithms()),
    "v_log_plus": case(lambda x, low: mpmath.log(x) + low, *logarithms()),
    "v_log": case(mpmath.log, np.concatenate([spread(0, 1.7e308), spread(0, 2)])),
    "v_log1p": case(mpmath.log1p, np.concatenate([spread(0, 1.7e308), np.maximum(spread(-1, 1), -1 + 2.0**-53)])),
    "v_normal_tail": case(lambda a: mpmath.ncdf(-a) * mpmath.exp(a * a / 2), spread(0, 38.6)),
    "v_times_gaussian": case(lambda factor, x, low: factor * mpmath.exp(-((x + low) ** 2) / 2),
                             np.exp(np.random.default_rng(27).uniform(-3, 3, 12000)), *with_low(spread(-38.6, 38.6))),
    "v_normal_cdf": case(lambda x, low: mpmath.ncdf(x + low), *with_low(spread(-38.6, 38.6))),
    "v_erf": case(mpmath.erf, spread(-10, 10)),
    "v_remainder_of_two": case(lambda v: 0, np.maximum(spread(-(2.0**53), 2.0**53), -(2.0**52)),
                               value=lambda rest, v: (v - rest) % 2 if abs(rest) <= 2 else mpmath.inf),
    "v_reduce_angle": case(lambda z, low, half: 0, *angles(2.0**-18), HALVES,
                           value=mpmath.workdps(400)(left_of_angle), unit=lambda exact: 1),
    "v_sine_square": case(mpmath.workdps(400)(lambda z, low, half: mpmath.sin(z + low + half * mpmath.pi / 2) ** 2),
                          *angles(), HALVES),
    "v_sum": case(lambda a, b: a + b, SIGNED, SIGNED * np.resize(near(1.0), SIGNED.size)),
    "v_sum_of_any": case(lambda a, b: a + b, SIGNED, OTHER),
    "v_leading": case(lambda x: x, near(2.0**900)),
    "v_times": case(lambda a, a_low, b, b_low: (a + a_low) * (b + b_low), *pairs(2)),
    "v_multiple": case(lambda factor, a, low: factor * (a + low), np.roll(near(2.0**300), 3), *pairs()),
    "v_rounded_product": case(lambda a, a_low, b, b_low: (a + a_low) * (b + b_low), *pairs(2)),
    "v_pair_square": case(lambda a, low: (a + low) ** 2, *pairs()),
    "v_divide_by": case(lambda a, a_low, b, b_low, inverse: (a + a_low) / (b + b_low), *pairs(2),
                        1 / pairs(2)[2] * (1 + np.resize(near(2.0**-41), 3000))),
    "v_divide": case(lambda a, a_low, b, b_low: (a + a_low) / (b + b_low), *pairs(2)),
    "v_inverse": case(lambda a, low: 1 / (a + low), *pairs()),
    "v_rounded": case(lambda a, low: a + low, *pairs()),
    "v_less": case(lambda base, a, low: base - a - low, np.abs(near(1.0)),
                   *with_low(np.abs(near(1.0)) * np.random.default_rng(34).uniform(0, 0.5, 3000))),
    "v_plus": case(lambda a, a_low, b, b_low: 0, *pairs(2),
                   value=error_of_terms(lambda a, a_low, b, b_low: a + a_low + b + b_low,
                                        lambda a, a_low, b, b_low: max(abs(a), abs(b))), unit=lambda exact: 1),
    "v_horner": case(lambda a, e, e_low, b, b_low: 0, np.ldexp(np.abs(near(1.0)), 70), *pairs(2, 1.0),
                     value=error_of_terms(lambda a, e, e_low, b, b_low: a + (e + e_low) * (b + b_low),
                                          lambda a, e, e_low, b, b_low: max(abs(a), abs(e * b))),
                     unit=lambda exact: 1),
    "v_plus_ratio": case(lambda x, a, a_low, b, b_low: x + (a + a_low) / (b + b_low), np.abs(near(2.0**300)),
                         *map(np.abs, pairs(2)[:1]), pairs(2)[1] * 0, *map(np.abs, pairs(2)[2:3]), pairs(2)[3] * 0),
    "v_times_sum": case(lambda factor, a, b: factor * (a + b), near(2.0**300), *pairs(2)[::2]),
    "v_squareplus": case(mpmath.workdps(400)(lambda x, b: (x + mpmath.sqrt(x * x + b)) / 2),
                         np.tile(spread(-1e30, 1e30)[::4], 2), np.repeat([4.0, 0.37], spread(-1e30, 1e30)[::4].size)),
    "v_squareplus_slope": case(mpmath.workdps(400)(squareplus_slope), np.tile(spread(-1e30, 1e30)[::4], 2),
                               np.repeat([4.0, 0.37], spread(-1e30, 1e30)[::4].size)),
    "v_mantissa": case(lambda n_rounding, n, p, high, rest: 1 + high + rest, *reductions_of_any()),
    "v_decay": case(lambda x, low: mpmath.exp(x + low), *with_low(-np.abs(spread(-1390, 0))), value=undecayed),
    "v_gaussian_of": case(
        lambda x, low: mpmath.exp(-(x + low) ** 2 / 2), *with_low(spread(-40, 40)),
        value=lambda power, n_rounding, n, p, high, rest, x, low: mpmath.ldexp(power * (1 + high + rest), -1000)),
    "v_times_gaussian_of": case(
        lambda a, low, power, n_rounding, n, p, high, rest: mpmath.ldexp((a + low) * power * (1 + p), -1000),
        *pairs(), np.full(3000, 2.0**500), *reductions_of_any()),
    "v_logistic_of": case(lambda z, low, precisely: logistic(z + low), *logits(690.0), np.arange(logits()[0].size) % 2,
                          value=lambda unit, share, rest, *arguments: unit * (share + share * rest)),
    "v_sigmoid": case(lambda z, low: logistic(z + low), *logits()),
    "v_sigmoid_slope": case(lambda z, scale: scale * logistic(z) * logistic(-z), logits()[0],
                          np.resize([1.0, 4.0], logits()[0].size)),
    "v_times_sigmoid": case(lambda x, z, low: x * logistic(z + low), np.resize(near(1e200), logits()[0].size),
                            *logits()),
    "v_times_sigmoid_slope": case(
        times_sigmoid_slope, *(z := [part[np.abs(logits()[0] + 1.2784) > 0.01] for part in logits()]), *z),
    "v_tanh_ratio": case(lambda x: 0, spread(-25, 25), value=error_of_tanh_ratio, unit=lambda exact: 1),
    "v_abs_tanh": case(lambda x: mpmath.tanh(abs(x)), spread(-25, 25)),
    "v_tanh": case(mpmath.tanh, spread(-25, 25)),
    "v_mish_of": case(lambda x: 0, spread(-1390, 1390), value=error_of_mish_terms, unit=lambda exact: 1),
    "v_mish": case(mish, np.concatenate([spread(-745, 60)[::2], spread(-6, 6)[::2]])),
    "v_mish_slope": case(mish_slope, away(np.concatenate([spread(-745, 60)[::2], spread(-6, 6)[::2]]), -1.19243, 0.01)),
    "v_reduce_precisely": case(lambda x, low: mpmath.exp(x + low), *with_low(-np.abs(spread(-700, 0))),
                               value=lambda n, r, r_low, curve, curve_low, *x: mpmath.ldexp(
                                   1 + r + r_low + curve + curve_low, int(n))),
    "v_precise_mantissa": case(lambda n, r, r_low, curve, curve_low, one: one + r + r_low + curve + curve_low,
                               0 * near(0.3), *with_low(near(0.34)), *with_low(near(0.34) ** 2 / 2), 1 + 0 * near(0.3)),
    "v_precise_expm1": case(lambda x, without: 0, -np.abs(spread(-700, 0)), np.arange(spread(-700, 0).size) % 2,
                            value=error_of_terms(lambda x, without: mpmath.expm1(x) - (x if without else 0),
                                                 lambda x, without: 1), unit=lambda exact: 1),
    "v_precise_softplus": case(lambda x: 0, spread(-40, 40),
                               value=error_of_terms(softplus, lambda x: 1), unit=lambda exact: 1),
    "v_xielu_left": case(lambda b, alpha, x, m: 0, np.full(8000, 0.5), np.resize(near(3.0), 8000),
                         x := np.minimum(-np.abs(spread(-30, 0))[:8000], -1e-290), x,
                         value=error_of_terms(xielu_left, lambda b, alpha, x, m: max(
                             abs(b * x), abs((b + softplus(alpha)) * (mpmath.expm1(m) - x)))), unit=lambda exact: 1),
    "v_xielu_slope_right": case(lambda b, alpha, factor: b + factor * softplus(alpha), np.full(3000, 0.5),
                                np.resize(near(3.0), 3000), np.abs(np.roll(near(1e9), 5))),
    "v_xielu_slope_left": case(lambda b, alpha, x: (b + softplus(alpha)) * mpmath.expm1(x) + b, np.full(3000, 0.5),
                               np.abs(near(3.0)), -np.abs(np.roll(near(0.2), 5))),
    "v_place_of": case(lambda a: 0, spread(0, 60), value=error_of_place, unit=lambda exact: 1),
    "v_bend_over_distance": case(lambda a: (scaled_tail(a) - mpmath.npdf(0) * a) / (GELU_ROOT - a), spread(0, 38.6)),
    "v_times_normal_tail": case(lambda x: abs(x) * mpmath.ncdf(-abs(x)), spread(-38.6, 38.6)),
    "v_gelu_slope": case(lambda x: mpmath.ncdf(x) + x * mpmath.npdf(x), spread(-38.6, 38.6)),
    "v_sine_square_pair": case(
        mpmath.workdps(400)(lambda z, low, half: mpmath.sin(z + low + half * mpmath.pi / 2) ** 2),
        *(part[(np.abs(angles()[0]) > 1e-130) | (HALVES > 0)] for part in (*angles(), HALVES))),
    "v_sine_of_twice": case(mpmath.workdps(400)(lambda z, low: mpmath.sin(2 * (z + low))), *angles()),
}

# ---- Arguments in single precision -----------------------------------------------------------------------------------

GENERATOR = np.random.default_rng(31)
COUNT = 3000
S_ROUND = 1.5 * 2**23


def uniform(low, high):
    return GENERATOR.uniform(low, high, COUNT)


def sizes(low, high):
    """Return numbers of every size between two positive ones, of either sign."""
    return np.exp(uniform(np.log(low), np.log(high))) * GENERATOR.choice([-1, 1], COUNT)


def powers(low, high):
    return 2.0 ** GENERATOR.integers(low, high, COUNT, endpoint=True)


def floats(low, high, *near):
    """Return floats of every size in [low, high], and all beside roots and where exhaustive search found the worst."""
    most = max(abs(low), abs(high))
    points = np.concatenate([uniform(low, high), sizes(most / 1000, most), sizes(2.0**-149, most)]).astype(np.float32)
    beside = (np.float32(near).view(np.int32)[:, None] + np.arange(-200, 201, dtype=np.int32)).view(np.float32)
    return np.concatenate([points[(points >= low) & (points <= high)], beside.ravel()])


def pair(numbers):
    """Return floats, and floats for what they lack."""
    high = np.float32(numbers)
    return high, np.float32(numbers - high)


def joined(*groups):
    """Return the arguments of all groups; a single number is the same in all of its group."""
    return tuple(map(np.concatenate, zip(*(np.broadcast_arrays(*group) for group in groups), strict=True)))


def powers_of_two():
    """Return (n, offset) for every n + offset in [-126, 127]."""
    offset = np.arange(254) * 5 % 129 - 64
    return np.arange(-126, 128) - offset + S_ROUND, offset


def ratios(quotient):
    """Return (quotient, rest, inverse) with a product of the last two that is at most an ULP of the quotient."""
    high, low = pair(quotient)
    inverse = uniform(0.5, 1)
    return high, 2 * low / inverse, inverse


def parts_of_base():
    """Return (base, quotient, rest, inverse, scale) where the ratio takes less than half of the base away."""
    base, scale = np.abs(sizes(0.01, 100)).astype(np.float32), powers(-40, 0)
    return base, *ratios(base / scale * np.where(base < 1, uniform(0, 0.499), np.abs(sizes(1e-9, 0.499)))), scale


def parts_of_p(p):
    """Return (n_rounding, high, rest) of s_reduced for a p; n is of no account."""
    rest = (p * uniform(-0.2, 0.2)[: p.size]).astype(np.float32)
    return S_ROUND, (p - rest).astype(np.float32), rest


def parts_of_sum():
    """Return (whole, scale) and the parts of p for each of the ranges of s_plus."""
    whole, scale = sizes(1e-3, 1e3).astype(np.float32), powers(-20, 20)
    return joined((whole, scale, *parts_of_p(whole / scale * uniform(-0.5, 0.8))),
                  (0, scale, *parts_of_p(sizes(1e-9, 1e9))))


def remainders():
    """Return r with |r| <= ln(2) / 2, of every size."""
    return np.where(np.arange(COUNT) % 2, uniform(-0.346, 0.346), sizes(1e-20, 0.346))


def reductions(low, high):
    """Return (power, n_rounding, high, rest) of 2^n exp(r) for low <= n <= high."""
    power = powers(low, high)
    return power, np.log2(power) + S_ROUND, *parts_of_p(np.expm1(remainders()))[1:]


def bends():
    """Return (y, y_low, factor.high, factor.low, far.high, far.low): the factor of silu, whose high part is even."""
    y, y_low = joined(pair(uniform(-85, 1.3)), pair(sizes(1e-9, 1.3)))
    far = 3.5911215 * (y + y_low.astype(np.float64)) * np.tile(uniform(1, 3), 2)
    return joined((y, y_low, 3.5911217, -1.9691538e-07, *pair(far)))


def near(nearest, depth, scale):
    """Return (x, nearest, least, scale) for x from almost so much below nearest ln 2 on, where nothing underflows."""
    origin = nearest * np.log(2)
    return origin + uniform(27 - depth, 0.346), nearest, origin - depth, scale


def last_terms():
    """Return (start, start_low, v.high, v.low, c1, c2) with |v (c1 + v c2)| < start."""
    return *pair(uniform(0.25, 1)), *pair(sizes(1e-3, 0.125)), uniform(1, 1.5), uniform(-4, 4)


# ---- Cases of single precision ---------------------------------------------------------------------------------------

S_PLACE_MIDDLE = 0.171875
GELU_LINEAR, GELU_CUBIC = (2 * mpmath.sqrt(2 / mpmath.pi) * mpmath.mpf(c) for c in ("1", "0.044715"))


def ratio(quotient, rest, inverse, *arguments):
    return quotient + rest * inverse


def reduced(n_rounding, high, rest, *arguments):
    return mpmath.ldexp(1 + high + rest, int(n_rounding - S_ROUND))


def error_for_expm1(n_rounding, high, rest, x, x_low):
    """Return the error of exp; for n = 0 at least a quarter of that of p, whose bound is four times as large."""
    exact = mpmath.expm1(x + x_low)
    error = abs(reduced(n_rounding, high, rest) / (1 + exact) - 1)
    return error if n_rounding != S_ROUND or exact == 0 else max(error, abs((high + rest) / exact - 1) / 4)


def error_of_place(w, w_low, v, v_low, a):
    return max(abs(w + w_low - 1 / (a + 3)), abs(v + v_low + S_PLACE_MIDDLE - 1 / (a + 3))) * (a + 3)


def error_of_last_terms(high, low, start, start_low, v, v_low, c1, c2):
    terms = (v + v_low) * (c1 + (v + v_low) * c2)
    return (high + low - start - start_low - terms) / terms


def silu_slope(z, low):
    return logistic(z + low) * (1 + (z + low) * logistic(-z - low))


def bend(y, y_low, factor, factor_low, far, far_low):
    e, factor = mpmath.exp(y + y_low), factor + factor_low
    return mpmath.ldexp((far + far_low + mpmath.expm1(y + y_low)) * e / (factor + e) ** 2, 40)


def mish_share(x):
    """Return tanh(log(1 + exp(x)))."""
    e = mpmath.exp(x)
    return e * (2 + e) / (2 + e * (2 + e))


def mish_slope(x):
    e = mpmath.exp(x)
    return e * (4 * (x + 1) + (4 * x + 6) * e + 4 * e**2 + e**3) / (2 + e * (2 + e)) ** 2


def error_of_mish_parts(scaled, scaled_low, sum_high, sum_low, high, low, *arguments):
    e = mpmath.ldexp(scaled + scaled_low, -40)
    return max(abs((sum_high + sum_low) / (1 + e) - 1), abs((high + low) / ((1 + e) ** 2 + 1) - 1))


def squareplus(x):
    value = (abs(x) + mpmath.sqrt(x * x + 4)) / 2
    return 1 / value if x < 0 else value


def gelu_argument(x):
    return x * (GELU_LINEAR + GELU_CUBIC * x * x)


def gelu_tanh_slope(x):
    s = logistic(gelu_argument(x))
    return s + x * (GELU_LINEAR + 3 * GELU_CUBIC * x * x) * s * (1 - s)


def gelu_slope(x):
    return mpmath.ncdf(x) + x * mpmath.npdf(x)


def normal_tail(a):
    return scaled_tail(a)


FLOATS = floats(-1e38, 1e38)
OTHERS = np.roll(FLOATS, 7)
UNIT_INTERVAL = np.concatenate([uniform(1e-6, 1), 0.5 + sizes(1e-7, 0.25), np.abs(sizes(1e-45, 1e-3)),
                                1 - np.abs(sizes(1e-7, 1e-3))]).astype(np.float32)
PAIRS = *pair(sizes(1e-9, 1e9)), *pair(sizes(1e-9, 1e9))

SINGLEMATH = {
    "s_fma": case(lambda a, b, c: a * b + c, a := sizes(1e-9, 1e9), b := sizes(1e-9, 1e9), -a * b * sizes(1e-9, 1e9)),
    "s_bits": case(lambda x: int(np.float32(float(x)).view(np.uint32)), FLOATS),
    "s_from_bits": case(lambda bits: mpmath.mpf(float(np.uint32(int(bits)).view(np.float32))), FLOATS.view(np.uint32)),
    "s_abs": case(abs, FLOATS),
    "s_copysign": case(lambda x, y: abs(x) if y > 0 else -abs(x), FLOATS, OTHERS),
    "s_at_least": case(max, FLOATS, OTHERS),
    "s_at_most": case(min, FLOATS, OTHERS),
    "s_sqrt": case(mpmath.sqrt, np.abs(FLOATS)),
    "s_hypotenuse": case(lambda a: mpmath.sqrt(a * a + 4), np.abs(sizes(1e-20, 1e18))),
    "s_squareplus": case(squareplus, FLOATS),
    "s_squareplus_slope": case(lambda x: squareplus(x) / mpmath.sqrt(x * x + 4), sizes(1e-20, 1e22)),
    "s_sum": case(lambda a, b: a + b, a := FLOATS, a * np.resize(uniform(-1, 1) * 2.0 ** uniform(-40, 0), a.size)),
    "s_sum_of_any": case(lambda a, b: a + b, FLOATS, OTHERS),
    "s_square": case(lambda a: a * a, sizes(1e-15, 1e19)),
    "s_times": case(lambda a, a_low, b, b_low: (a + a_low) * (b + b_low), *PAIRS),
    "s_quotient": case(lambda a, b, b_low: a / (b + b_low), sizes(1e-9, 1e9), *pair(sizes(1e-9, 1e9)), value=ratio),
    "s_divide": case(lambda a, a_low, b, b_low: (a + a_low) / (b + b_low), *PAIRS, value=ratio),
    "s_rounded": case(ratio, *ratios(sizes(1e-9, 1e9))),
    "s_less_ratio": case(lambda base, quotient, rest, inverse, scale: base - scale * ratio(quotient, rest, inverse),
                         *parts_of_base()),
    "s_sixth": case(lambda factor, a, low: factor * (a + low) / 6, sizes(1e-20, 1e9), *pair(sizes(1e-9, 1e9))),
    "s_inverse_square": case(lambda a, low: (a + low) ** -2,
                             *joined(pair(uniform(1.001, 4)), pair(np.abs(sizes(1.001, 2.0**80))))),
    "s_power_of_two": case(lambda n, offset: mpmath.ldexp(1, int(n - S_ROUND + offset)), *powers_of_two()),
    "s_exp_polynomial": case(mpmath.workdps(120)(lambda r: (mpmath.expm1(r) - r) / (r * r)),
                             remainders()),
    "s_reduce": case(lambda x, low: mpmath.exp(x + low), x := floats(-300, 300),
                     x * np.resize(uniform(-1, 1), x.size) * 2.0**-20, value=reduced),
    "s_reduce_roughly": case(mpmath.exp, floats(-300, 300), value=reduced),
    "s_reduce_for_expm1": case(lambda x, low: 0, *joined(pair(uniform(-100, 80)), pair(sizes(1e-20, 0.34))),
                               value=error_for_expm1, unit=lambda exact: 1),
    "s_plus": case(lambda whole, scale, n, high, rest: whole + scale * (high + rest), *parts_of_sum()),
    "s_exp": case(lambda power, n, high, rest: power * (1 + high + rest), *reductions(-60, 60)),
    "s_power_less_1": case(lambda power, n, high, rest: power * (1 + high + rest) - 1,
                           *joined(reductions(-60, 2), reductions(-2, 2))),
    "s_expm1": case(mpmath.expm1, floats(-30, 0)),
    "s_exponential": case(mpmath.exp, floats(-104, 88.7, 5.244809, -87.70538)),
    "s_decay": case(lambda factor, factor_low, x, low: (factor + factor_low) * mpmath.exp(-x - low),
                    *pair(uniform(1, 2)), *pair(uniform(0, 105))),
    "s_inverse_sigmoid": case(lambda z, low: mpmath.ldexp(1 + mpmath.exp(-z - low), -32),
                   *joined(pair(uniform(-109, 20)), pair(uniform(-2, 20)))),
    "s_sigmoid": case(logistic, floats(-104, 104, 16.982107, -87.69508)),
    "s_sigmoid_slope": case(lambda z, scale: scale * logistic(z) * logistic(-z),
                          *joined((floats(-104, 104, 5.222609, 87.69508), 1), (floats(-104, 104, 89.066917), 4),
                                  (uniform(-90, 90), powers(-20, 20)))),
    "s_times_sigmoid": case(lambda x, z, low: x * logistic(z + low),
                          *joined((x := floats(-109, 109, -5.2291217, -91.86264), x, 0),
                                  (x := sizes(1e-9, 20), *pair(np.copysign(uniform(0, 109), x))))),
    "s_bend": case(bend, *bends(), value=ratio),
    "s_silu_slope": case(silu_slope, *joined((floats(-104, 104, -1.2784645, 1.2784645, -78.564, -92.41533), 0),
                                             pair(uniform(-104, 30)), pair(-1.2784645 + sizes(1e-6, 1)))),
    "s_gelu_argument": case(gelu_argument, np.concatenate([uniform(-11, 11), sizes(1e-20, 1000)])),
    "s_gelu_tanh_slope": case(gelu_tanh_slope,
                              floats(-11, 11, -0.75246143, 0.75246143, -0.5148478, -10.242918)),
    "s_mish_terms_of": case(lambda scaled, low: 0, *pair(np.exp(uniform(-60, 13)) * 2.0**40), value=error_of_mish_parts,
                            unit=lambda exact: 1),
    "s_mish": case(lambda x: x * mish_share(x), floats(-104, 20, -92.006012, 0.346054345, 12)),
    "s_mish_slope": case(mish_slope, floats(-104, 20, -1.1924312, -0.5148478, 0.72368598, -92.2254486, 12)),
    "s_tanh_cubic": case(mpmath.workdps(80)(lambda x: (x - mpmath.tanh(x)) / x**3), np.abs(sizes(1e-15, 1))),
    "s_tanh_loss": case(lambda x: 1 - mpmath.tanh(x), uniform(1, 10), value=ratio),
    "s_tanh_remainder": case(mpmath.workdps(80)(lambda x: x - mpmath.tanh(x)),
                             floats(-40, 40, 0.982672155, 1, 3.2395557e-13)),
    "s_tanh_square": case(lambda x: mpmath.tanh(x) ** 2, floats(-20, 20, 0.985674143, 1)),
    "s_tanh": case(mpmath.tanh, floats(-12, 12, 0.90865171, 1, 1.010254)),
    "s_area_tangent_tail": case(mpmath.workdps(80)(lambda s: 2 * mpmath.atanh(s / 2) / s - 1),
                                np.concatenate([uniform(-0.66, 0.66), sizes(1e-15, 0.66)])),
    "s_log1p_exp": case(lambda z: mpmath.ldexp(mpmath.log1p(mpmath.exp(-abs(z))), 32),
                        np.concatenate([uniform(-88, 88), sizes(1e-20, 20)]),
                        value=lambda quotient, rest, inverse, tail, z: ratio(quotient, rest, inverse) * (1 + tail)),
    "s_softplus": case(lambda z: mpmath.log1p(mpmath.exp(z)), floats(-104, 104, 5.6364574e-05, -87.70538)),
    "s_logit": case(lambda x: mpmath.log(x / (1 - x)), UNIT_INTERVAL),
    "s_logit_slope": case(lambda x: 1 / (x * (1 - x)), UNIT_INTERVAL),
    "s_place_of": case(lambda a: 0, floats(0, 15), value=error_of_place, unit=lambda exact: 1),
    "s_last_terms": case(lambda *arguments: 0, *last_terms(), value=error_of_last_terms, unit=lambda exact: 1),
    "s_gaussian": case(lambda a: mpmath.ldexp(mpmath.exp(-a * a / 2), 32), floats(0, 13)),
    "s_normal_tail": case(normal_tail, floats(0, 14.75)),
    "s_gelu": case(lambda x: x * mpmath.ncdf(x), floats(-14.7, 14.7, -12.937085, -13.153727)),
    "s_gelu_slope": case(gelu_slope, floats(-14.7, 14.7, -0.75179154, 0.75179154, -13.031776, -13.344656)),
    "s_erf": case(mpmath.erf, floats(-5, 5, 0.9, 0.93523103, 0.951616883)),
    "s_exp_near": case(lambda x, nearest, least, scale: mpmath.ldexp(mpmath.exp(x), int(scale - nearest)),
                       *joined(near(0, 131, 64), near(-5, 131, 64), near(300, 131, 64), near(739, 174, 126),
                               near(-739, 174, 126), (-np.abs(sizes(1e-20, 1)), 0, -131, 64))),
}

# ---- Special values --------------------------------------------------------------------------------------------------

nan, inf = np.nan, np.inf
SPECIAL_VALUES = {  # (name, the first member of the result, the arguments), each of several
    "vecmath.h": [
        ("v_abs", [nan, inf, 0.0, 0.0], [nan, -inf, 0.0, -0.0]),
        ("v_copysign", [nan, -inf, 0.0, -0.0, 2.0], [nan, inf, -0.0, 0.0, -2.0], [1.0, -inf, 0.0, -0.0, nan]),
        ("v_sqrt", [nan, inf, nan, 0.0, -0.0, nan], [nan, inf, -inf, 0.0, -0.0, -1.0]),
        ("v_clip", [nan, 1.0, -1.0], [nan, inf, -inf], [-1.0] * 3, [1.0] * 3),
        ("v_at_least", [nan, inf, -1.0], [nan, inf, -inf], [-1.0] * 3),
        ("v_at_most", [nan, 1.0, -inf], [nan, inf, -inf], [1.0] * 3),
        ("v_unless_nan", [nan, 1.0, 1.0], [nan, inf, -inf], [1.0] * 3),
        ("v_slope", [nan, 0.0, -0.0, -inf, nan], [0.0, 0.0, 0.0, -1.0, nan], [nan, inf, -inf, inf, 0.0]),
        ("v_exp", [nan, inf, 0.0, 1.0, 1.0, inf, 0.0], [nan, inf, -inf, 0.0, -0.0, 1000.0, -1000.0]),
        ("v_times_expm1", [nan, -3.0, 0.0, -0.0], [3.0] * 4, [0.0] * 4, [nan, -inf, 0.0, -0.0]),
        ("v_expm1", [nan, inf, -1.0, 0.0, -0.0], [nan, inf, -inf, 0.0, -0.0]),
        ("v_exp_difference", [nan, inf, 0.0, 1.0], [nan, inf, 1.0, 3.0], [1.0, 1.0, inf, 3.0]),
        ("v_exp_quotient", [0.0, 1.0, 1.0, nan, nan], [-inf, -2.0, 0.0, nan, 1.0], [0.0] * 5,
         [3.0, inf, 1.0, 1.0, nan]),
        ("v_times_exp", [-0.0, 0.0, nan, nan, 0.0], [-inf, inf, nan, 1.0, 3.0], [-inf, -inf, -inf, nan, -1e300],
         [0.0] * 5),
        ("v_times_gaussian", [-0.0, 0.0, nan, nan, 2.0], [-inf, inf, nan, 2.0, 2.0], [-inf, inf, inf, nan, 0.0],
         [0.0] * 5),
        ("v_exp_remainder", [nan, 0.0], [nan, 0.0]),
        ("v_tanh_remainder", [nan, inf, -inf, 0.0, -0.0], [nan, inf, -inf, 0.0, -0.0]),
        ("v_log", [nan, inf, nan, -inf, -inf, 0.0, nan], [nan, inf, -inf, 0.0, -0.0, 1.0, -1.0]),
        ("v_log_plus", [nan, inf, nan, -inf, -inf, 0.0, nan], [nan, inf, -inf, 0.0, -0.0, 1.0, -1.0], [0.0] * 7),
        ("v_log1p", [nan, inf, nan, 0.0, 0.0, -inf, nan], [nan, inf, -inf, 0.0, -0.0, -1.0, -2.0]),
        ("v_normal_tail", [nan], [nan]),
        ("v_normal_cdf", [nan, 1.0, 0.0, 0.5], [nan, inf, -inf, 0.0], [0.0] * 4),
        ("v_erf", [nan, 1.0, -1.0, 0.0, -0.0], [nan, inf, -inf, 0.0, -0.0]),
        ("v_sine_square", [nan, nan, nan, 0.0], [nan, inf, -inf, 0.0], [0.0] * 4, [0.0] * 4),
        ("v_sine_of_twice", [nan, nan, nan, 0.0], [nan, inf, -inf, 0.0], [0.0] * 4),
    ],
    "singlemath.h": [
        ("s_abs", [nan, inf, 0.0, 0.0], [nan, -inf, 0.0, -0.0]),
        ("s_copysign", [nan, -inf, 0.0, -0.0, 2.0], [nan, inf, -0.0, 0.0, -2.0], [1.0, -inf, 0.0, -0.0, nan]),
        ("s_at_least", [nan, inf, -1.0], [nan, inf, -inf], [-1.0] * 3),
        ("s_at_most", [nan, 1.0, -inf], [nan, inf, -inf], [1.0] * 3),
        ("s_reduce", [nan], [nan], [0.0]),
        ("s_reduce_roughly", [nan], [nan]),
        ("s_reduce_for_expm1", [nan], [nan], [0.0]),
        ("s_exp_near", [nan, 2.0**64, 2.0**64, 0.0, 0.0], [nan, 0.0, -0.0, -131.1, -inf], [0.0] * 5, [-131.0] * 5,
         [64] * 5),
        ("s_expm1", [nan, -1.0], [nan, -inf]),
        ("s_exponential", [nan, inf, 0.0, 1.0, 1.0, inf, 0.0], [nan, inf, -inf, 0.0, -0.0, 89.0, -105.0]),
        ("s_sigmoid", [nan, 1.0, 0.0, 0.5, 0.5], [nan, inf, -inf, 0.0, -0.0]),
        ("s_sigmoid_slope", [nan, 0.0, 0.0, 1.0, 1.0], [nan, inf, -inf, 0.0, -0.0], [4.0] * 5),
        ("s_times_sigmoid", [nan, 0.0, -0.0, 2.0**100, inf, nan], [nan, 0.0, -0.0, 2.0**100, inf, 1.0],
         [nan, 0.0, -0.0, 30.0, inf, nan], [0.0] * 6),
        ("s_silu_slope", [nan, 1.0, -0.0, 0.5, 0.5], [nan, inf, -inf, 0.0, -0.0], [0.0] * 5),
        ("s_mish", [nan, inf, -0.0, 0.0, -0.0], [nan, inf, -inf, 0.0, -0.0]),
        ("s_mish_slope", [nan, 1.0, -0.0], [nan, inf, -inf]),
        ("s_tanh_remainder", [nan, inf, -inf, 0.0, -0.0], [nan, inf, -inf, 0.0, -0.0]),
        ("s_tanh_square", [nan, 1.0, 1.0, 0.0, 0.0], [nan, inf, -inf, 0.0, -0.0]),
        ("s_sqrt", [nan, inf, 0.0, -0.0, nan], [nan, inf, 0.0, -0.0, -1.0]),
        ("s_hypotenuse", [nan, 2.0], [nan, 0.0]),
        ("s_squareplus", [nan, inf, 0.0, 1.0], [nan, inf, -inf, 0.0]),
        ("s_squareplus_slope", [nan, 1.0, 0.0, 0.5], [nan, inf, -inf, 0.0]),
        ("s_gelu_tanh_slope", [nan, 1.0, -0.0, 0.5, 0.5], [nan, inf, -inf, 0.0, -0.0]),
        ("s_tanh", [nan, 1.0, -1.0, 0.0, -0.0], [nan, inf, -inf, 0.0, -0.0]),
        ("s_log1p_exp", [nan], [nan]),
        ("s_softplus", [nan, inf, 0.0], [nan, inf, -inf]),
        ("s_logit", [nan, nan, nan, -inf, -inf, inf, 0.0, nan, nan],
         [nan, inf, -inf, 0.0, -0.0, 1.0, 0.5, -1e-40, 1.0000001]),
        ("s_logit_slope", [nan, nan, nan, inf, inf, inf, 4.0, nan, nan],
         [nan, inf, -inf, 0.0, -0.0, 1.0, 0.5, -1e-40, 1.0000001]),
        ("s_gelu", [nan, inf, -0.0, 0.0, -0.0], [nan, inf, -inf, 0.0, -0.0]),
        ("s_gelu_slope", [nan, 1.0, -0.0, 0.5, 0.5], [nan, inf, -inf, 0.0, -0.0]),
        ("s_erf", [nan, 1.0, -1.0, 0.0, -0.0], [nan, inf, -inf, 0.0, -0.0]),
    ],
}

# ---- The headers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Header:
    """A vocabulary: its number type, which is that of its macros, the cases, and what to compile for."""

    number: str
    cases: dict
    marches: list


HEADERS = {"vecmath.h": Header("double", VECMATH, MARCHES), "singlemath.h": Header("float", SINGLEMATH, FUSED)}


def compiled(header, *rest):
    """Return a parameter set that is skipped where the header cannot be compiled."""
    reason = f"{header} needs a processor with fused multiply-add"
    return pytest.param(header, *rest, marks=pytest.mark.skipif(not HEADERS[header].marches, reason=reason))


EVERY = [compiled(header, name) for header in HEADERS for name in HEADERS[header].cases]

# ---- Calls -----------------------------------------------------------------------------------------------------------


@cache
def library(header, march):
    """Compile a loop over each function: of an array for each argument, to an array for each member of the result."""
    loops = []
    for name, function in functions(header).items():
        loads = (f"(({kind} *)in[{k}])[i]" for k, kind in enumerate(function.given))
        given = ", ".join(f"({kind}){{{', '.join(islice(loads, len(members)))}}}"
                          for kind, members in function.arguments)
        stores = " ".join(f"(({kind} *)out[{k}])[i] = result{member};"
                          for k, (member, kind) in enumerate(function.members))
        loops.append(f"void {name}_loop(void **in, void **out, long n) "
                     f"{{ for (long i = 0; i < n; i++) {{ {function.type} result = {name}({given}); {stores} }} }}")
    folder = Path(tempfile.mkdtemp())
    (folder / "loops.c").write_text("\n".join([f'#include "{header}"', *loops]))
    command = [COMPILER, *FLAGS, *march.split(), f"-I{SOURCES}", "loops.c", "-o", "loops.so"]
    subprocess.run(command, cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "loops.so"))


def call(header, march, name, *arguments):
    """Return a tuple of arrays, one for each member of the result."""
    function = functions(header)[name]
    arrays = [np.ascontiguousarray(a, TYPES[kind]) for a, kind in zip(arguments, function.given, strict=True)]
    results = tuple(np.empty(arrays[0].shape, TYPES[kind]) for _, kind in function.members)
    pointers = [(ctypes.c_void_p * len(group))(*(a.ctypes.data for a in group)) for group in (arrays, results)]
    getattr(library(header, march), f"{name}_loop")(*pointers, ctypes.c_long(arrays[0].size))
    return results


def numbers(array):
    return np.frompyfunc(mpmath.mpf, 1, 1)(array.astype(object))


# ---- Tests -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("header", HEADERS)
def test_every_function_states_its_bound(header):
    assert [name for name in functions(header) if stated_bound(header, name) is None] == []


@pytest.mark.parametrize("header", HEADERS)
def test_every_function_has_a_case(header):
    assert set(functions(header)) == set(HEADERS[header].cases)


@pytest.mark.parametrize("header, name", EVERY)
def test_within_stated_bound(header, name):
    compared, function = HEADERS[header].cases[name], functions(header)[name]
    arguments = [np.asarray(a, TYPES[kind]) for a, kind in zip(compared.arguments, function.given, strict=True)]
    given = list(map(numbers, arguments))
    exact = np.frompyfunc(compared.exact, len(given), 1)(*given)
    kind, normal_bound, subnormal_bound = stated_bound(header, name)
    for march in HEADERS[header].marches:
        results = call(header, march, name, *arguments)
        if kind == "ULP":
            (result,) = results
            high, low = mpmath_math.two_doubles(exact)
            error = mpmath_math.ulp_error(result, high, low)
            bound = np.where(np.abs(high) < np.finfo(result.dtype).tiny, subnormal_bound, normal_bound)
        else:
            outputs = list(map(numbers, results))
            value = sum(outputs)
            if compared.value is not None:
                value = np.frompyfunc(compared.value, len(outputs) + len(given), 1)(*outputs, *given)
            error, bound = np.frompyfunc(fraction_of(compared.unit), 2, 1)(value, exact).astype(float), normal_bound
        worst = np.argmax(error - bound)
        assert np.all(error <= bound), (march, error[worst], [a[worst] for a in arguments])


def fraction_of(unit):
    return lambda value, exact: 0.0 if value == exact else abs(value - exact) / (unit(exact) or mpmath.mpf("1e-400"))


@pytest.mark.parametrize("march", MARCHES)
def test_errors_of_what_is_not_finite(march):
    a, b = np.array([[np.inf, np.nan, 1e308, -np.inf, 0, np.inf], [2, 1, 1e308, np.inf, np.inf, 0]])
    with np.errstate(all="ignore"):
        for name, arguments in [("v_product_error", (a, b, a * b)), ("v_difference_error", (a, -b, a + b)),
                                ("v_quotient_error", (a, 0 * b, b, a / b))]:
            assert not np.any(call("vecmath.h", march, name, *arguments)), name


@pytest.mark.parametrize("header", list(map(compiled, HEADERS)))
def test_special_values(header):
    for march in HEADERS[header].marches:
        for name, expected, *arguments in SPECIAL_VALUES[header]:
            got, *_ = call(header, march, name, *arguments)
            np.testing.assert_array_equal(got, expected, f"{name} {march}")
            np.testing.assert_array_equal(np.signbit(got)[~np.isnan(got)], np.signbit(expected)[~np.isnan(got)], name)


def test_constants_are_those_of_the_tool():
    subprocess.run([sys.executable, str(SOURCES.parent / "tools" / "coefficients.py"), "--check"], check=True)
