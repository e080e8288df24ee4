"""Values and derivatives against mpmath, in units in the last place, within the bound that each activation states."""

from functools import cache

import mpmath_math
import numpy as np
import pytest

import pyactx
from pyactx import _numpy_math
from pyactx._reference import BOOK, REQUIRED

OPERATIONS = ("forward", "derivative")


def parameters_of(definition, dtype):
    """Return the parameters, rounded as the kernels get them."""
    return [float(np.dtype(dtype).type(0.3 if value is REQUIRED else value))
            for value in definition.parameters.values()]


@cache
def float32_sweep():
    """One float32 bit pattern in 997, and all that is special."""
    bits = np.arange(0, 2**32, 997, dtype=np.uint64).astype(np.uint32)
    x = bits.view(np.float32)
    subnormal = np.arange(1, 200, dtype=np.uint32).view(np.float32)
    x = np.concatenate([x[np.isfinite(x)], subnormal, -subnormal, np.float32([0, -0.0, 3.4028235e38, -3.4028235e38])])
    return x


@cache
def float64_points():
    """Random bit patterns, what networks see, both tails, and the thresholds of exp."""
    generator = np.random.default_rng(1)
    bits = generator.integers(0, 2**63, 4000, dtype=np.uint64) | (generator.integers(0, 2, 4000, dtype=np.uint64) << 63)
    anything = bits.view(np.float64)
    tails = np.concatenate([np.linspace(-750, -700, 1500), np.linspace(-380, -340, 500), np.linspace(-60, 60, 3000),
                            np.linspace(30, 45, 500), np.linspace(340, 380, 500), np.linspace(700, 750, 500)])
    usual = generator.normal(size=4000) * generator.choice([0.1, 1, 10], 4000)
    x = np.concatenate([anything[np.isfinite(anything)], tails, usual, [0.0, -0.0, 5e-324, -5e-324]])
    return x


@cache
def truth(name, operation, dtype):
    """Return points and the exact results there, as sums of two doubles."""
    definition = BOOK[name]
    parameters = parameters_of(definition, dtype)
    if dtype == "float64":
        x = float64_points()
        formula = definition.operations(mpmath_math)[operation]
        return x, *mpmath_math.two_doubles(formula(mpmath_math.exact(x), *map(mpmath_math.mpmath.mpf, parameters)))
    # float64 arithmetic is right to some 1e-8 units of float32; test_worst_float32 has mpmath judge it.
    x = float32_sweep()
    with np.errstate(all="ignore"):
        high = definition.operations(_numpy_math)[operation](x.astype(np.float64), *parameters)
    return x, np.asarray(high, dtype=np.float64), 0.0


def errors(activation, operation, dtype):
    definition = activation._definition
    x, high, low = truth(definition.name, operation, dtype)
    function = activation if operation == "forward" else activation.derivative
    return x, mpmath_math.ulp_error(function(x, *parameters_of(definition, dtype)), high, low)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_within_stated_bound(elementwise, operation, dtype):
    x, error = errors(elementwise, operation, dtype)
    worst = np.argmax(error)
    assert error[worst] <= elementwise._definition.max_ulp[dtype], f"{error[worst]:.3f} ULP at {x[worst]!r}"


@pytest.mark.parametrize("operation", OPERATIONS)
def test_worst_float32(elementwise, operation):
    """mpmath judges the worst results of the sweep, and some at random: the float64 judge was right about them."""
    definition = elementwise._definition
    x, error = errors(elementwise, operation, "float32")
    chosen = np.concatenate([np.argsort(error)[-50:], np.random.default_rng(2).integers(0, x.size, 150)])
    formula = definition.operations(mpmath_math)[operation]
    parameters = parameters_of(definition, "float32")
    high, low = mpmath_math.two_doubles(
        formula(mpmath_math.exact(x[chosen]), *map(mpmath_math.mpmath.mpf, parameters)))
    function = elementwise if operation == "forward" else elementwise.derivative
    judged = mpmath_math.ulp_error(function(x[chosen], *parameters), high, low)
    assert np.max(np.abs(judged - error[chosen])) < 1e-6


def test_stated_bounds_meet_the_promise():
    for definition in BOOK.values():
        assert definition.max_ulp["float32"] <= 1, definition.name
        assert definition.max_ulp["float64"] <= (4 if definition.kind == "elementwise" else 5), definition.name


SHAPES = [(50, 1), (50, 2), (40, 10), (20, 33), (4, 1000), (1, 5003)]


@cache
def rows(shape, spread, dtype):
    x = (np.random.default_rng(3).normal(size=shape) * spread).astype(dtype)
    x[:, 0] += x.dtype.type(spread)  # a dominant logit
    return x


@pytest.mark.parametrize("spread", [1, 30, 300])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_rows_within_stated_bound(axiswise, shape, spread, dtype):
    x = rows(shape, spread, dtype)
    formula = axiswise._definition.operations(mpmath_math)["forward"]
    high, low = mpmath_math.two_doubles(formula(mpmath_math.exact(x)))
    error = mpmath_math.ulp_error(axiswise(x), high, low)
    assert np.max(error) <= axiswise._definition.max_ulp[dtype]


@pytest.mark.parametrize("operation", ["backward", "backward_from_output"])
@pytest.mark.parametrize("shape", SHAPES[:4], ids=str)
def test_rows_backward(axiswise, operation, shape, dtype):
    """In units of the largest term of the sum, since the sum itself may cancel."""
    x = rows(shape, 5, dtype)
    grad = np.random.default_rng(4).normal(size=shape).astype(dtype)
    if operation == "backward_from_output":
        x = axiswise(x)
    formula = axiswise._definition.operations(mpmath_math)[operation]
    high, _ = mpmath_math.two_doubles(formula(mpmath_math.exact(grad), mpmath_math.exact(x)))
    got = getattr(axiswise, operation)(grad, x)
    unit = np.finfo(dtype).eps * np.abs(grad).max(axis=-1, keepdims=True) * shape[-1]
    assert np.max(np.abs(got - high) / unit) < 2


@pytest.mark.parametrize("x, expected", [(-100.0, 3.783505853677006e-44), (-88.0, 6.054601895401186e-39)])
def test_sigmoid_keeps_its_tail(activations, x, expected):
    """The value at -100 is a subnormal float32, which 1/(1+exp(-x)) returns as 0."""
    assert activations["sigmoid"](np.float32([x]))[0] == np.float32(expected)


def test_tanh_derivative_keeps_its_tail(activations):
    """4 exp(-30), where 1 - tanh(15)^2 is 0 in float32."""
    assert activations["tanh"].derivative(np.float32([15]))[0] == np.float32(3.743049219223606e-13)


def test_log_softmax_keeps_the_winner(activations):
    """log(1 - 1e-9): the logarithm of a sum that float32 and float64 round to 1."""
    x = np.array([0.0, np.log(1e-9)])
    np.testing.assert_allclose(activations["log_softmax"](x)[0], -np.log1p(1e-9), rtol=1e-15)
    x = np.array([0.0, -60.0])
    np.testing.assert_allclose(activations["log_softmax"](x)[0], -np.exp(-60), rtol=1e-15)


def test_bound_is_in_the_docstring():
    for name, definition in BOOK.items():
        assert f"at most {definition.max_ulp['float32']} ULP in float32" in pyactx.get(name).__doc__
