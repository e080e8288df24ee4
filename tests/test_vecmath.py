"""The vocabulary of src/vecmath.h against mpmath: each function within the bound that its comment states."""

import ctypes
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import mpmath
import mpmath_math
import numpy as np
import pytest

HEADER = Path(__file__).parent.parent / "src" / "vecmath.h"
COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")

pytestmark = pytest.mark.skipif(not HEADER.exists() or COMPILER is None, reason="needs the sources and a C compiler")

FLAGS = ["-O2", "-std=c11", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off", "-shared", "-fPIC"]


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


def angles():
    """Return points of every size, with low parts up to 2^43."""
    z, low = with_low(np.concatenate([spread(-100, 100)[::4], spread(-8e307, 8e307)[::4]]))
    return z, np.where(np.abs(z) < 2**43, low, 0)


# function: (exact function, *arguments)
FUNCTIONS = {
    "v_sqrt": (mpmath.sqrt, spread(0, 1.7e308)),
    "v_exp": (mpmath.exp, spread(-745.1, 709.7)),
    "v_exp_sum": (lambda x, low: mpmath.exp(x + low), *with_low(spread(-745.1, 709.7))),
    "v_exp_quotient": (lambda d, low, t: mpmath.exp((d + low) / t), *quotients()),
    "v_times_exp": (lambda factor, x, low: factor * mpmath.exp(x + low), *products()),
    "v_expm1": (mpmath.expm1, spread(-745, 709)),
    "v_exp_remainder": (mpmath.workdps(800)(lambda x: mpmath.expm1(x) - x), spread(-0.34, 0.34)[:8000:4]),
    "v_tanh_remainder": (mpmath.workdps(800)(lambda x: x - mpmath.tanh(x)),
                         np.concatenate([spread(-3, 3)[:6000:4], spread(-1e-5, 30)[:6000:4]])),
    "v_normal_tail": (lambda a: mpmath.ncdf(-a) * mpmath.exp(a * a / 2), spread(0, 38.6)),
    "v_times_gaussian": (lambda factor, x, low: factor * mpmath.exp(-((x + low) ** 2) / 2),
                         np.exp(np.random.default_rng(27).uniform(-3, 3, 12000)), *with_low(spread(-38.6, 38.6))),
    "v_normal_cdf": (lambda x, low: mpmath.ncdf(x + low), *with_low(spread(-38.6, 38.6))),
    "v_erf": (mpmath.erf, spread(-10, 10)),
    "v_sine_square": (mpmath.workdps(400)(lambda z, low, half: mpmath.sin(z + low + half * mpmath.pi / 2) ** 2),
                      *angles(), np.arange(angles()[0].size) % 2 / 2),
    "v_sine_of_twice": (mpmath.workdps(400)(lambda z, low: mpmath.sin(2 * (z + low))), *angles()),
    "v_log": (mpmath.log, np.concatenate([spread(0, 1.7e308), spread(0, 2)])),
    "v_log1p": (mpmath.log1p, np.concatenate([spread(0, 1.7e308), np.maximum(spread(-1, 1), -1 + 2.0**-53)])),
}


def stated_bounds():
    """Return {function: (bound, bound among subnormal results)} as the comments of the header say."""
    text = HEADER.read_text()
    found = re.findall(r"Max error: ([\d.]+) ULP(?:, ([\d.]+) among subnormal results)?(?:(?!\n/\*).)*?"
                       r"V_INLINE double (v_\w+)", text, re.DOTALL)
    return {name: (float(bound), float(subnormal or bound)) for bound, subnormal, name in found}


@cache
def library(march):
    import tempfile

    folder = Path(tempfile.mkdtemp())
    counts = {name: len(arguments) for name, (_, *arguments) in FUNCTIONS.items()} | {
        "v_exp_difference": 2, "v_product_error": 3, "v_difference_error": 3, "v_quotient_error": 4}
    calls = "\n".join(
        f"void {name}_all(const double *x, double *y, long n) {{ for (long i = 0; i < n; i++) y[i] = {name}("
        + ", ".join(f"x[i + {k} * n]" for k in range(count)) + "); }" for name, count in counts.items())
    (folder / "calls.c").write_text(f'#include "vecmath.h"\n{calls}\n')
    subprocess.run([COMPILER, *FLAGS, *march.split(), f"-I{HEADER.parent}", "calls.c", "-o", "calls.so"],
                   cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "calls.so"))


def call(march, name, *arguments):
    x = np.array(arguments, dtype=np.float64)
    y = np.empty(x.shape[1])
    double = ctypes.POINTER(ctypes.c_double)
    getattr(library(march), f"{name}_all")(x.ctypes.data_as(double), y.ctypes.data_as(double), ctypes.c_long(y.size))
    return y


def marches():
    from conftest import ACTIVATIONS

    flags = {"baseline": "", "avx2": "-march=x86-64-v3"}
    return [flags[str(i)] for i in ACTIVATIONS if str(i) in flags] or [""]


@pytest.mark.parametrize("march", marches(), ids=lambda m: m or "baseline")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_within_stated_bound(name, march):
    function, *arguments = FUNCTIONS[name]
    exact = np.frompyfunc(function, len(arguments), 1)(*map(mpmath_math.exact, arguments))
    high, low = mpmath_math.two_doubles(exact)
    error = mpmath_math.ulp_error(call(march, name, *arguments), high, low)
    x = np.transpose(arguments)
    subnormal = np.abs(high) < np.finfo(np.float64).tiny
    normal_bound, subnormal_bound = stated_bounds()[name]
    assert np.max(error[~subnormal]) <= normal_bound, x[~subnormal][np.argmax(error[~subnormal])]
    assert np.max(error[subnormal], initial=0) <= subnormal_bound, x[subnormal][np.argmax(error[subnormal])]


@pytest.mark.parametrize("march", marches(), ids=lambda m: m or "baseline")
def test_exp_difference(march):
    generator = np.random.default_rng(22)
    b = np.concatenate([generator.normal(size=2000) * 300, generator.normal(size=2000) * 1e-3, [1e6] * 500])
    a = b - np.concatenate([generator.uniform(0, high, n) for high, n in ((700, 2000), (1, 2000), (90, 500))])
    exact = np.frompyfunc(mpmath.exp, 1, 1)(mpmath_math.exact(a) - mpmath_math.exact(b))
    error = mpmath_math.ulp_error(call(march, "v_exp_difference", a, b),
                                  *mpmath_math.two_doubles(exact))
    assert np.max(error) <= stated_bounds()["v_exp_sum"][0]


@pytest.mark.parametrize("march", marches(), ids=lambda m: m or "baseline")
def test_errors_of_operations(march):
    """Result and error together are the exact result; where the result is infinite or NaN the error is 0."""
    generator = np.random.default_rng(26)
    a, b = generator.normal(size=(2, 3000)) * 2.0 ** generator.uniform(-300, 300, (2, 3000)).round()
    c, exact = a * generator.uniform(0.1, 1, a.size), mpmath_math.exact
    product, difference, quotient = a * b, a - c, a / b
    assert np.all(exact(call(march, "v_product_error", a, b, product)) == exact(a) * exact(b) - exact(product))
    assert np.all(exact(call(march, "v_difference_error", a, c, difference)) == exact(a) - exact(c) - exact(difference))
    error = call(march, "v_quotient_error", a, 0 * a, b, quotient)
    assert np.max(np.abs((exact(a) / exact(b) - exact(quotient) - exact(error)) / exact(quotient))) < 2.0**-103
    a, b = np.array([[np.inf, np.nan, 1e308, -np.inf, 0, np.inf], [2, 1, 1e308, np.inf, np.inf, 0]])
    with np.errstate(all="ignore"):
        assert not np.any(call(march, "v_product_error", a, b, a * b))
        assert not np.any(call(march, "v_difference_error", a, -b, a + b))
        assert not np.any(call(march, "v_quotient_error", a, 0 * b, b, a / b))


def test_special_values():
    nan, inf = np.nan, np.inf
    for name, arguments, expected in [
        ("v_exp", [nan, inf, -inf, 0.0, -0.0, 1000.0, -1000.0], [nan, inf, 0.0, 1.0, 1.0, inf, 0.0]),
        ("v_expm1", [nan, inf, -inf, 0.0, -0.0], [nan, inf, -1.0, 0.0, -0.0]),
        ("v_log", [nan, inf, -inf, 0.0, -0.0, 1.0, -1.0], [nan, inf, nan, -inf, -inf, 0.0, nan]),
        ("v_log1p", [nan, inf, -inf, 0.0, -0.0, -1.0, -2.0], [nan, inf, nan, 0.0, 0.0, -inf, nan]),
        ("v_tanh_remainder", [nan, inf, -inf, 0.0, -0.0], [nan, inf, -inf, 0.0, -0.0]),
        ("v_sine_square", [nan, inf, -inf, 0.0], [nan, nan, nan, 0.0]),
        ("v_sine_of_twice", [nan, inf, -inf, 0.0], [nan, nan, nan, 0.0]),
        ("v_erf", [nan, inf, -inf, 0.0, -0.0], [nan, 1.0, -1.0, 0.0, -0.0]),
    ]:
        got = call("", name, arguments, *[[0.0] * len(arguments)] * (len(FUNCTIONS[name]) - 2))
        np.testing.assert_array_equal(got, expected)
        np.testing.assert_array_equal(np.signbit(got)[~np.isnan(got)], np.signbit(expected)[~np.isnan(got)])
    got = call("", "v_exp_quotient", [-inf, -2.0, 0.0, nan, 1.0], [0.0] * 5, [3.0, inf, 1.0, 1.0, nan])
    np.testing.assert_array_equal(got, [0, 1, 1, nan, nan])
    got = call("", "v_times_exp", [-inf, inf, nan, 1.0, 3.0], [-inf, -inf, -inf, nan, -1e300], [0.0] * 5)
    np.testing.assert_array_equal(got, [0, 0, nan, nan, 0])
    assert np.signbit(got)[[0, 1, 4]].tolist() == [True, False, False]
    got = call("", "v_times_gaussian", [-inf, inf, nan, 2.0, 2.0], [-inf, inf, inf, nan, 0.0], [0.0] * 5)
    np.testing.assert_array_equal(got, [0, 0, nan, nan, 2])
    np.testing.assert_array_equal(call("", "v_normal_cdf", [nan, inf, -inf, 0.0], [0.0] * 4), [nan, 1, 0, 0.5])


def test_constants_are_those_of_the_tool():
    import sys

    tool = HEADER.parent.parent / "tools" / "coefficients.py"
    subprocess.run([sys.executable, str(tool), "--check"], check=True)
