"""The vocabularies of the kernels against mpmath: each function within the bound that its comment states.

A header is read for its functions, their types and the comments in front of them.  A function that lacks a bound there,
or a case here, is a failure.
"""

import ctypes
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
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
TYPES = {"double": np.float64, "float": np.float32, "uint64_t": np.uint64, "uint32_t": np.uint32}

# ---- What a header says ----------------------------------------------------------------------------------------------

FUNCTION = re.compile(r"^(/\*(?:(?!\*/).)*\*/\n)?"  # the comment right before it
                      r"(?:(?:\w+ )+(?P<type>\w+) (?P<name>\w+)\((?P<arguments>[^)]*)\)\s*{"
                      r"|\#define (?P<macro>[a-z]\w*)\((?P<variables>[^)]*)\))", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Function:
    comment: str
    type: str
    arguments: tuple  # their types
    members: tuple  # (name, type) of the result, if that is a structure; else one with an empty name


def functions(header):
    """Return {name: Function} for the functions, and macros used like functions, of a header."""
    text = (SOURCES / header).read_text()
    structures = {}
    for body, name in re.findall(r"^typedef struct {\n(.*?)^} (\w+);", text, re.MULTILINE | re.DOTALL):
        members = re.findall(r"^ +(\w+) ([\w, ]+);", body, re.MULTILINE)
        structures[name] = tuple((member, kind) for kind, names in members for member in names.split(", "))
    found = {}
    for match in FUNCTION.finditer(text):
        if match["macro"]:  # the first of several
            arguments = ("double",) * len(match["variables"].split(","))
            found.setdefault(match["macro"], Function(match[1] or "", "double", arguments, (("", "double"),)))
        else:
            arguments = tuple(argument.split()[-2] for argument in match["arguments"].split(","))
            members = structures.get(match["type"], (("", match["type"]),))
            found[match["name"]] = Function(match[1] or "", match["type"], arguments, members)
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


SIGNED = spread(-1e300, 1e300)
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
    "v_power_of_two": case(lambda n: mpmath.ldexp(1, int(n - 1.5 * 2**52)), np.arange(-1022.0, 1024.0) + 1.5 * 2**52),
    "v_reduce": case(lambda x, low: mpmath.exp(x + low), *with_low(spread(-1400, 720)),
                     value=lambda n, high, rest, x, low: mpmath.ldexp(1 + high + rest, int(n))),
    "v_clip_exponent": case(lambda x: min(max(x, -1400), 720), spread(-3000, 3000)),
    "v_power_of_two_twice": case(lambda n: mpmath.ldexp(1, int(n)), np.arange(-2040.0, 1041.0),
                                 value=lambda first, second, n: first * second),
    "v_exp_sum": case(lambda x, low: mpmath.exp(x + low), *with_low(spread(-745.1, 709.7))),
    "v_exp": case(mpmath.exp, spread(-745.1, 709.7)),
    "v_exp_difference": case(lambda a, b: mpmath.exp(a - b), *differences()),
    "v_exp_quotient": case(lambda d, low, t: mpmath.exp((d + low) / t), *quotients()),
    "v_times_exp": case(lambda factor, x, low: factor * mpmath.exp(x + low), *products()),
    "v_expm1": case(mpmath.expm1, spread(-745, 709)),
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
    "v_sine_of_twice": case(mpmath.workdps(400)(lambda z, low: mpmath.sin(2 * (z + low))), *angles()),
}

HEADERS = {"vecmath.h": VECMATH}
EVERY = [(header, name) for header, cases in HEADERS.items() for name in cases]

# ---- Calls -----------------------------------------------------------------------------------------------------------


@cache
def library(header, march):
    """Compile a loop over each function: of an array for each argument, to an array for each member of the result."""
    loops = []
    for name, function in functions(header).items():
        given = ", ".join(f"(({kind} *)in[{k}])[i]" for k, kind in enumerate(function.arguments))
        stores = " ".join(f"(({kind} *)out[{k}])[i] = result{member and '.'}{member};"
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
    arrays = [np.ascontiguousarray(a, TYPES[kind]) for a, kind in zip(arguments, function.arguments, strict=True)]
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
    assert set(functions(header)) == set(HEADERS[header])


@pytest.mark.parametrize("header, name", EVERY)
def test_within_stated_bound(header, name):
    compared, function = HEADERS[header][name], functions(header)[name]
    arguments = [np.asarray(a, TYPES[kind]) for a, kind in zip(compared.arguments, function.arguments, strict=True)]
    given = list(map(numbers, arguments))
    exact = np.frompyfunc(compared.exact, len(given), 1)(*given)
    kind, normal_bound, subnormal_bound = stated_bound(header, name)
    for march in MARCHES:
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


@pytest.mark.parametrize("march", MARCHES)
def test_special_values(march):
    nan, inf = np.nan, np.inf
    for name, expected, *arguments in [
        ("v_abs", [nan, inf, 0.0, 0.0], [nan, -inf, 0.0, -0.0]),
        ("v_copysign", [nan, -inf, 0.0, -0.0, 2.0], [nan, inf, -0.0, 0.0, -2.0], [1.0, -inf, 0.0, -0.0, nan]),
        ("v_sqrt", [nan, inf, nan, 0.0, -0.0, nan], [nan, inf, -inf, 0.0, -0.0, -1.0]),
        ("v_clip", [nan, 1.0, -1.0], [nan, inf, -inf], [-1.0] * 3, [1.0] * 3),
        ("v_at_least", [nan, inf, -1.0], [nan, inf, -inf], [-1.0] * 3),
        ("v_at_most", [nan, 1.0, -inf], [nan, inf, -inf], [1.0] * 3),
        ("v_unless_nan", [nan, 1.0, 1.0], [nan, inf, -inf], [1.0] * 3),
        ("v_slope", [nan, 0.0, -0.0, -inf, nan], [0.0, 0.0, 0.0, -1.0, nan], [nan, inf, -inf, inf, 0.0]),
        ("v_exp", [nan, inf, 0.0, 1.0, 1.0, inf, 0.0], [nan, inf, -inf, 0.0, -0.0, 1000.0, -1000.0]),
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
    ]:
        (got,) = call("vecmath.h", march, name, *arguments)
        np.testing.assert_array_equal(got, expected, name)
        np.testing.assert_array_equal(np.signbit(got)[~np.isnan(got)], np.signbit(expected)[~np.isnan(got)], name)


def test_constants_are_those_of_the_tool():
    subprocess.run([sys.executable, str(SOURCES.parent / "tools" / "coefficients.py"), "--check"], check=True)
