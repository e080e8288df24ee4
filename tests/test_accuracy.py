"""Values and derivatives against mpmath, in units in the last place, within the bound that each activation states.

Each test computes the truth once and judges all implementations by it.  AVX2 and AVX-512 have the same bits there.
"""

from functools import cache

import mpmath
import mpmath_math
import numpy as np
import pytest
from conftest import ACTIVATIONS, AVAILABLE, builtin, every_compiled, every_implementation

import pyactx
from pyactx import _numpy_math, testing
from pyactx._definition import BOOK, REQUIRED

OPERATIONS = ("forward", "derivative")
PYTHON = 5.0  # ULP of the formulas in float64 arithmetic: the pure-Python implementation, which is written to be read
BLOCK = 1 << 14  # NumPy is several times as fast where a block fits in the cache


def rounded(value, dtype):
    return float(np.dtype(dtype).type(value))


def parameters_of(definition, dtype):
    """Return the parameters, rounded as the kernels get them."""
    return [rounded(0.3 if value is REQUIRED else value, dtype) for value in definition.parameters.values()]


def other_parameters_of(definition, dtype):
    """Return parameters that are far from the defaults."""
    return [rounded(1.3 if value is REQUIRED or not np.isfinite(value) else value * 1.7 + 0.05, dtype)
            for value in definition.parameters.values()]


@cache
def float32_sweep():
    """One float32 bit pattern in 4 001, and all that is special."""
    x = np.arange(0, 2**32, 4001, dtype=np.uint64).astype(np.uint32).view(np.float32)
    subnormal = np.arange(1, 200, dtype=np.uint32).view(np.float32)
    return np.concatenate([x[np.isfinite(x)], subnormal, -subnormal,
                           np.float32([0, -0.0, 3.4028235e38, -3.4028235e38])])


def neighbours(values, dtype):
    """Return the numbers up to three units around values, and not the values, which are in test_special_values.py."""
    near = []
    for direction in (-np.inf, np.inf):
        x = np.asarray(values, dtype)
        for _ in range(3):
            x = np.nextafter(x, np.asarray(direction, dtype))
            near.append(x)
    return np.concatenate(near)


@cache
def float64_points():
    """Random bit patterns, what networks see, probabilities, both tails, and the thresholds of exp."""
    generator = np.random.default_rng(1)
    bits = generator.integers(0, 2**64, 700, dtype=np.uint64, endpoint=False)
    anything = bits.view(np.float64)
    tails = [np.linspace(-750, -700, 250), np.linspace(-380, -340, 100), np.linspace(-60, 60, 700),
             np.linspace(30, 45, 100), np.linspace(340, 380, 50), np.linspace(700, 750, 50)]
    usual = generator.normal(size=700) * generator.choice([0.1, 1, 10], 700)
    sizes = np.geomspace(1e-320, 1e4, 300)
    return np.concatenate([anything[np.isfinite(anything)], *tails, usual, generator.uniform(size=300), sizes, -sizes,
                           [0.0, -0.0, 5e-324, -5e-324]])


def points(definition, dtype):
    x = float32_sweep() if dtype == "float32" else float64_points()
    return np.concatenate([x[~np.isin(x, definition.properties.kinks)], neighbours(definition.properties.kinks, dtype)])


def by_mpmath(definition, operation, arrays, parameters):
    """Return the exact results as sums of two doubles: one pair for each result."""
    formula = definition.operations(mpmath_math)[operation]
    shape = np.shape(arrays[-1])
    with np.errstate(all="ignore"):
        results = formula(*map(mpmath_math.exact, arrays), *map(mpmath_math.mpmath.mpf, parameters))
        return [mpmath_math.two_doubles(np.broadcast_to(np.asarray(result, dtype=object), shape))
                for result in testing.as_tuple(results)]


def by_numpy(definition, operation, x, parameters):
    """Return the results in float64 arithmetic."""
    formula = definition.operations(_numpy_math)[operation]
    with np.errstate(all="ignore"):
        return by_blocks(lambda block: np.broadcast_to(formula(block.astype(np.float64), *parameters), block.shape), x)


def by_blocks(function, *arrays):
    return np.concatenate([function(*(x[start : start + BLOCK] for x in arrays))
                           for start in range(0, arrays[0].size, BLOCK)])


def judged(name, operation, arrays, parameters, among=AVAILABLE):
    """Yield (implementation, results) for all implementations whose bits can differ, and compare those that cannot."""
    seen = None
    for implementation in among:
        function = ACTIVATIONS[implementation][name].named(operation)
        results = testing.as_tuple(function(*arrays, *parameters))
        if implementation.name.startswith("avx"):
            if seen is not None:
                testing.same_bits(function, f"{implementation} has other bits", seen, results, arrays)
                continue
            seen = results
        yield implementation, results


def units_of_terms(name, formula, high, x, parameters):
    """Return how many units of the result there are in one of the terms that cancel in it, where some do."""
    activation = ACTIVATIONS[AVAILABLE[0]][name]
    size = testing.terms(activation, formula, x, dict(zip(BOOK[name].parameters, parameters)))
    with np.errstate(all="ignore"):
        units = np.spacing(np.maximum(np.abs(high), size)) / np.spacing(np.abs(high))
    return np.where(np.isfinite(units), units, 1.0)


def bound_of(implementation, definition, dtype):
    """Return the bound that an activation states, which in float64 is that of the kernels."""
    stated = definition.max_ulp[dtype]
    return stated if implementation.compiled or dtype == "float32" else max(stated, PYTHON)


def beyond(implementation, error, bound, x):
    """Return what to say of the worst result, if it is beyond the bound."""
    worst = np.argmax(np.where(np.isnan(error), np.inf, error))
    return [] if error[worst] <= bound else [f"{implementation}: {error[worst]:.3f} ULP at {x[worst]!r}"]


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", builtin("elementwise"))
def test_float32(name, operation):
    """Judged by float64 arithmetic, which mpmath judges where results are worst, and at random.

    That arithmetic, rounded, is the Python implementation.
    """
    definition = BOOK[name]
    parameters = parameters_of(definition, "float32")
    every = points(definition, "float32")
    truth = by_numpy(definition, operation, every, parameters)
    some, failures = np.random.default_rng(2).integers(0, every.size, 150), []
    for implementation, (result,) in judged(name, operation, [every], parameters, AVAILABLE[1:]):
        error = by_blocks(lambda r, t: mpmath_math.ulp_error(r, t, 0.0), result, truth)
        failures += beyond(implementation, error, definition.max_ulp["float32"], every)
        some = np.concatenate([some, np.argpartition(error, -50)[-50:]])
    assert not failures
    (python,) = testing.as_tuple(ACTIVATIONS[AVAILABLE[0]][name].named(operation)(every[::50], *parameters))
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(python, truth[::50].astype(np.float32))
    x = every[some]
    ((high, low),) = by_mpmath(definition, operation, [x], parameters)
    assert np.max(mpmath_math.ulp_error(truth[some], high, low) * 2.0**-29) < 1e-6


@pytest.mark.parametrize(
    "name, operation, root", [("mish", "derivative", -1.1924312), ("xielu", "forward", -0.7588345)])
def test_float32_beside_a_root(name, operation, root):
    """Where the terms of a float64 cancel most, for a float32 that happens to lie very near the root."""
    definition = BOOK[name]
    parameters = parameters_of(definition, "float32")
    x = (np.float32(root).view(np.uint32) + np.arange(-200, 200)).astype(np.uint32).view(np.float32)
    ((high, low),) = by_mpmath(definition, operation, [x], parameters)
    failures = []
    for implementation, (result,) in judged(name, operation, [x], parameters):
        error = mpmath_math.ulp_error(result, high, low)
        failures += beyond(implementation, error, definition.max_ulp["float32"], x)
    assert not failures


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", builtin("elementwise"))
def test_float64(name, operation):
    definition = BOOK[name]
    parameters = parameters_of(definition, "float64")
    x = points(definition, "float64")
    ((high, low),) = by_mpmath(definition, operation, [x], parameters)
    unit = units_of_terms(name, operation, high, x, parameters)
    failures = []
    for implementation, (result,) in judged(name, operation, [x], parameters):
        error = mpmath_math.ulp_error(result, high, low) / unit
        failures += beyond(implementation, error, bound_of(implementation, definition, "float64"), x)
    assert not failures


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", [name for name in builtin("elementwise") if BOOK[name].parameters])
def test_with_other_parameters(name, operation, dtype):
    definition = BOOK[name]
    parameters = other_parameters_of(definition, dtype)
    x = points(definition, dtype)
    x = x[np.random.default_rng(3).integers(0, x.size, 600)]
    x = np.concatenate([x, np.linspace(-12, 12, 200).astype(dtype)])
    if "sin(" in definition.formula:  # from 2^43 on the sine is that of the product as it is rounded
        x = x[np.abs(x) < 2.0**40]
    ((high, low),) = by_mpmath(definition, operation, [x], parameters)
    unit = units_of_terms(name, operation, high, x, parameters) if dtype == "float64" else 1.0
    failures = []
    for implementation, (result,) in judged(name, operation, [x], parameters):
        error = mpmath_math.ulp_error(result, high, low) / unit
        failures += beyond(implementation, error, bound_of(implementation, definition, dtype), x)
    assert not failures


@pytest.mark.parametrize("operation", ["forward", "backward"])
@pytest.mark.parametrize("name", builtin("gated", composed=False))
def test_gated(name, operation, dtype):
    """The value, and both gradients for grad = 1."""
    definition = BOOK[name]
    parameters = parameters_of(definition, dtype)
    generator = np.random.default_rng(4)
    gate, up = (generator.normal(size=(2, 500)) * [[8], [3]]).astype(dtype)
    arrays = [gate, up] if operation == "forward" else [np.ones_like(gate), gate, up]
    truths, failures = by_mpmath(definition, operation, arrays, parameters), []
    for implementation, results in judged(name, operation, arrays, parameters):
        for output, ((high, low), result) in enumerate(zip(truths, results, strict=True)):
            error = mpmath_math.ulp_error(result, high, low)
            if operation == "backward" and dtype == "float64" and output == 0:
                # The derivative of the nonlinearity may be a sum of terms that cancel: in units of those, about up.
                with np.errstate(over="ignore"):
                    error /= np.spacing(np.maximum(np.abs(high), np.abs(up))) / np.spacing(np.abs(high))
            failures += beyond(implementation, error, bound_of(implementation, definition, dtype), gate)
    assert not failures


def test_stated_bounds_meet_the_promise():
    for definition in BOOK.values():
        assert definition.max_ulp["float32"] <= 1, definition.name
        most = 2 if definition.kind in ("elementwise", "gated") else 16
        assert definition.max_ulp["float64"] <= most, definition.name


# ---- Rows ------------------------------------------------------------------------------------------------------------

SHAPES = [(50, 1), (50, 2), (40, 10), (20, 33), (2, 1000), (1, 5003)]


@cache
def rows(shape, spread, dtype):
    x = (np.random.default_rng(3).normal(size=shape) * spread).astype(dtype)
    x[:, 0] += x.dtype.type(spread)  # a dominant logit
    return x


def shapes_of(name):
    """Return the shapes that mpmath is fast enough for: an iteration takes as long as 100 closed formulas."""
    return [shape for shape in SHAPES if name != "entmax" or shape[1] <= 2] + [(5, 10)] * (name == "entmax")


@pytest.mark.parametrize("spread", [1, 30, 300])
@pytest.mark.parametrize("name, shape", [(name, shape) for name in builtin("axiswise", composed=False)
                                         for shape in shapes_of(name)], ids=str)
def test_rows(name, shape, spread, dtype):
    definition = BOOK[name]
    parameters = parameters_of(definition, dtype)
    x = rows(shape, spread, dtype)
    formula = definition.operations(mpmath_math)["forward"]
    high, low = mpmath_math.two_doubles(formula(mpmath_math.exact(x), *map(mpmath_math.mpmath.mpf, parameters)))
    named = dict(zip(definition.parameters, parameters))
    seen = None
    for implementation in AVAILABLE:
        function = ACTIVATIONS[implementation][name]
        result = function(x, **named)
        if implementation.name.startswith("avx"):
            if seen is not None:
                testing.same_bits(function, f"{implementation} has other bits", seen, result, [x])
            seen = result
        result = result.reshape(high.shape)  # a number for each row is a row of one
        if definition.reduces and dtype == "float64":  # maximum and logarithm, which cancel where the sum is near 1
            largest = np.maximum(np.abs(high), np.abs(x.max(axis=-1, keepdims=True)))
            error = np.abs((result - high) - low) / np.spacing(largest)
        elif "forward" in definition.cancels:  # against a threshold: in units of a whole probability
            error = np.abs((result.astype(float) - high) - low) / np.finfo(dtype).eps
        else:
            error = mpmath_math.ulp_error(result, high, low)
        worst = np.unravel_index(np.argmax(error), error.shape)
        assert error[worst] <= definition.max_ulp[dtype], f"{implementation}: {error[worst]:.3f} ULP at {worst}"


@pytest.mark.parametrize("operation", ["backward", "backward_from_output"])
@pytest.mark.parametrize("name, shape", [(name, shape) for name in builtin("axiswise", composed=False)
                                         for shape in shapes_of(name) if shape[1] <= 33], ids=str)
def test_rows_backward(name, operation, shape, dtype):
    """In units of the largest term of the sum, since the sum itself may cancel."""
    definition = BOOK[name]
    formula = definition.operations(mpmath_math).get(operation)
    if formula is None:
        assert not hasattr(pyactx.get(name), operation)
        return
    parameters = parameters_of(definition, dtype)
    named = dict(zip(definition.parameters, parameters))
    x = rows(shape, 5, dtype)
    grad_shape = (*shape[:1], 1) if definition.reduces else shape
    grad = np.random.default_rng(4).normal(size=grad_shape).astype(dtype)
    if operation == "backward_from_output":
        x = ACTIVATIONS[AVAILABLE[-1]][name](x, **named)
    high, _ = mpmath_math.two_doubles(
        formula(mpmath_math.exact(grad), mpmath_math.exact(x), *map(mpmath_math.mpmath.mpf, parameters)))
    unit = np.finfo(dtype).eps * np.abs(grad).max(axis=-1, keepdims=True) * shape[-1]
    for implementation in AVAILABLE:
        function = getattr(ACTIVATIONS[implementation][name], operation)
        got = function(grad[:, 0] if definition.reduces else grad, x, **named)
        assert np.max(np.abs(got - high) / unit) < 2, implementation


# ---- Where others lose the tail --------------------------------------------------------------------------------------


@every_compiled
@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="needs a long double of 64 bits")
@pytest.mark.parametrize("spread", [1, 30])
@pytest.mark.parametrize("shape, axis", [((1, 10), 1), ((128, 10), 1), ((96, 1000), 1), ((2, 128_256), 1),
                                         ((1000, 100), 0), ((2, 256, 64), 1), ((2, 64, 512), 2)], ids=str)
@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_rows_of_networks(activations, name, shape, axis, spread):
    """Lengths and axes of the benchmark, in float32, some rows with one dominant logit."""
    x = (np.random.default_rng(41).normal(size=shape) * spread).astype(np.float32)
    np.moveaxis(x, axis, -1)[::2, ..., -1] += np.float32(20)
    wide = x.astype(np.longdouble)
    below = wide - wide.max(axis, keepdims=True)
    exponentials, winners = np.exp(below), below == 0
    others = np.where(winners, 0, exponentials).sum(axis, keepdims=True) + (winners.sum(axis, keepdims=True) - 1)
    truth = exponentials / (1 + others) if name == "softmax" else below - np.log1p(others)
    high = truth.astype(np.float64)
    error = mpmath_math.ulp_error(activations[name](x, axis=axis), high, (truth - high).astype(np.float64))
    assert error.max() <= BOOK[name].max_ulp["float32"] <= 1, error.max()


@every_implementation
@pytest.mark.parametrize("x, expected", [(-100.0, 3.783505853677006e-44), (-88.0, 6.054601895401186e-39)])
def test_sigmoid_keeps_its_tail(activations, x, expected):
    """The value at -100 is a subnormal float32, which 1/(1+exp(-x)) returns as 0."""
    assert activations["sigmoid"](np.float32([x]))[0] == np.float32(expected)


@every_implementation
def test_tanh_derivative_keeps_its_tail(activations):
    """4 exp(-30), where 1 - tanh(15)^2 is 0 in float32."""
    assert activations["tanh"].derivative(np.float32([15]))[0] == np.float32(3.743049219223606e-13)


@every_implementation
@pytest.mark.parametrize("name, x, expected", [
    ("gelu", -5.5, -1.044425936e-07), ("gelu", -12.0, -2.131778534e-32),  # through 1 + erf
    ("gelu_tanh", -5.0, -2.291796197e-07), ("gelu_tanh", -10.0, -1.204092348e-37),  # through 1 + tanh
    ("silu", -90.0, -7.374611362e-38),  # as x / (1 + exp(-x))
    ("elu", -1e-8, -1e-8), ("selu", -1e-8, -1.758099321e-08),  # as exp(x) - 1
    ("tanh_shrink", 1e-3, 3.333332475e-10), ("tanh_shrink", 1e-4, 3.333333067e-13),  # as x - tanh(x)
    ("squareplus", -1e3, 9.99999e-4), ("squareplus", -1e4, 9.9999999e-5),  # as x + sqrt(x^2 + b)
    ("softplus", -100.0, 3.720075976e-44), ("softplus", 1000.0, 1000.0),  # as log(1 + exp(x))
    ("log_sigmoid", 100.0, -3.720075976e-44),
], ids=str)
def test_what_others_lose(activations, name, x, expected):
    """In float32, where it is computed as the comment says."""
    np.testing.assert_allclose(activations[name](np.float32([x]))[0], np.float32(expected), rtol=1.2e-7, atol=1e-45)


@every_compiled
def test_snake_of_huge_arguments(activations):
    """The smallest derivatives of many, and one that needs a third exact sum.

    They are as right beside roots that take all digits of 2/π to find.
    """
    generator = np.random.default_rng(40)
    x = np.exp(generator.uniform(40, 700, 300_000)) * generator.choice([-1, 1], 300_000)
    x[0] = -4.267848316537283e210
    derivatives = activations["snake"].derivative(x)
    for i in np.argsort(derivatives)[:50]:
        with mpmath.workdps(700):
            exact = 2 * mpmath.sin(mpmath.mpf(float(x[i])) + mpmath.pi / 4) ** 2
        assert mpmath_math.ulp_error(derivatives[i], *mpmath_math.two_doubles(np.array([exact])))[0] <= 2, x[i]


@every_implementation
def test_softplus_has_no_threshold(activations):
    """PyTorch returns x beyond 20, which is 1.9e-9 off in float64."""
    assert activations["softplus"](20.1) - 20.1 == pytest.approx(1.865e-9, rel=1e-3)


@every_implementation
def test_log_softmax_keeps_the_winner(activations):
    """log(1 - 1e-9): the logarithm of a sum that float32 and float64 round to 1."""
    x = np.array([0.0, np.log(1e-9)])
    np.testing.assert_allclose(activations["log_softmax"](x)[0], -np.log1p(1e-9), rtol=1e-15)
    x = np.array([0.0, -60.0])
    np.testing.assert_allclose(activations["log_softmax"](x)[0], -np.exp(-60), rtol=1e-15)


def test_bound_is_in_the_docstring():
    for name, definition in BOOK.items():
        assert f"at most {definition.max_ulp['float32']} ULP in float32" in pyactx.get(name).__doc__
