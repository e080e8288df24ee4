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


# function: (exact function, arguments)
FUNCTIONS = {
    "v_exp": (mpmath.exp, spread(-745.1, 709.7)),
    "v_expm1": (mpmath.expm1, spread(-745, 709)),
    "v_log1p": (mpmath.log1p, spread(0, 1.7e308)),
}


def stated_bounds():
    """Return {function: (bound, bound among subnormal results)} as the comments of the header say."""
    text = HEADER.read_text()
    found = re.findall(r"Max error: ([\d.]+) ULP(?:, ([\d.]+) among subnormal results)?(?:(?!\n/\*).)*?"
                       r"static inline double (v_\w+)", text, re.DOTALL)
    return {name: (float(bound), float(subnormal or bound)) for bound, subnormal, name in found}


@cache
def library(march):
    import tempfile

    folder = Path(tempfile.mkdtemp())
    calls = "\n".join(f"void {name}_all(const double *x, double *y, long n) "
                      f"{{ for (long i = 0; i < n; i++) y[i] = {name}(x[i]); }}" for name in FUNCTIONS)
    calls += "\nvoid v_exp_difference_all(const double *x, double *y, long n) " \
             "{ for (long i = 0; i < n; i++) y[i] = v_exp_difference(x[i], x[i + n]); }"
    (folder / "calls.c").write_text(f'#include "vecmath.h"\n{calls}\n')
    subprocess.run([COMPILER, *FLAGS, *march.split(), f"-I{HEADER.parent}", "calls.c", "-o", "calls.so"],
                   cwd=folder, check=True)
    return ctypes.CDLL(str(folder / "calls.so"))


def call(march, name, x, n):
    y = np.empty(n)
    double = ctypes.POINTER(ctypes.c_double)
    getattr(library(march), f"{name}_all")(x.ctypes.data_as(double), y.ctypes.data_as(double), ctypes.c_long(n))
    return y


def marches():
    from conftest import ACTIVATIONS

    flags = {"baseline": "", "avx2": "-march=x86-64-v3"}
    return [flags[str(i)] for i in ACTIVATIONS if str(i) in flags] or [""]


@pytest.mark.parametrize("march", marches(), ids=lambda m: m or "baseline")
@pytest.mark.parametrize("name", FUNCTIONS)
def test_within_stated_bound(name, march):
    function, x = FUNCTIONS[name]
    high, low = mpmath_math.two_doubles(np.frompyfunc(function, 1, 1)(mpmath_math.exact(x)))
    error = mpmath_math.ulp_error(call(march, name, x, x.size), high, low)
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
    error = mpmath_math.ulp_error(call(march, "v_exp_difference", np.concatenate([a, b]), a.size),
                                  *mpmath_math.two_doubles(exact))
    assert np.max(error) <= stated_bounds()["v_exp_sum"][0]


def test_special_values():
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1000.0, -1000.0])
    exp, expm1 = call("", "v_exp", x, x.size), call("", "v_expm1", x[[0, 2, 3, 4]], 4)
    np.testing.assert_array_equal(exp, [np.nan, np.inf, 0, 1, 1, np.inf, 0])
    np.testing.assert_array_equal(expm1, [np.nan, -1, 0, 0])
    assert np.signbit(expm1[2:]).tolist() == [False, True]
    np.testing.assert_array_equal(call("", "v_log1p", x[[0, 3]], 2), [np.nan, 0])


def test_constants_are_those_of_the_tool():
    import sys

    tool = HEADER.parent.parent / "tools" / "coefficients.py"
    subprocess.run([sys.executable, str(tool), "--check"], check=True)
