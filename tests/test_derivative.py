"""Every hand-written derivative against mpmath's own differentiation of the value."""

import mpmath
import mpmath_math
import numpy as np
import pytest

from pyactx import testing
from pyactx._reference import BOOK, REQUIRED

ELEMENTWISE = [name for name, definition in BOOK.items() if definition.kind == "elementwise"]
POINTS = np.concatenate([np.random.default_rng(5).normal(size=40) * 5, [-30.0, -1e-8, 1e-8, 30.0, 100.0]])


def parameters_of(definition, value=0.3):
    return [mpmath.mpf(value if default is REQUIRED else default) for default in definition.parameters.values()]


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative_is_that_of_the_value(name):
    definition = BOOK[name]
    operations = definition.operations(mpmath_math)
    parameters = parameters_of(definition)
    for x in POINTS:
        def value(at):
            return operations["forward"](np.array([at], dtype=object), *parameters)[0]

        expected = mpmath.diff(value, mpmath.mpf(x), h=mpmath.mpf(10) ** -25)
        got = operations["derivative"](np.array([mpmath.mpf(x)], dtype=object), *parameters)[0]
        assert abs(got - expected) <= mpmath.mpf(10) ** -15 * max(abs(expected), mpmath.mpf(10) ** -8)


@pytest.mark.parametrize("name", [n for n in ELEMENTWISE if BOOK[n].parameters])
@pytest.mark.parametrize("value", [0.1, 0.9, 1.7, -0.4])
def test_gradients_are_those_of_the_value(name, value):
    definition = BOOK[name]
    operations = definition.operations(mpmath_math)
    parameters = [mpmath.mpf(value)] * len(definition.parameters)
    for k, parameter in enumerate(definition.parameters):
        for x in (-3.5, -0.25, 0.0, 2.0):
            def at(p, k=k, x=x):
                changed = [*parameters[:k], p, *parameters[k + 1 :]]
                return operations["forward"](np.array([mpmath.mpf(x)], dtype=object), *changed)[0]

            got = operations[f"{parameter}_gradient"](
                mpmath.mpf(1), np.array([mpmath.mpf(x)], dtype=object), *parameters)[0]
            assert abs(got - mpmath.diff(at, parameters[k])) < mpmath.mpf(10) ** -12


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative_from_output_is_that_from_input(name):
    definition = BOOK[name]
    operations = definition.operations(mpmath_math)
    if "backward_from_output" not in operations:
        return
    x = mpmath_math.exact(POINTS[np.abs(POINTS) < 20])
    parameters = parameters_of(definition)
    y = operations["forward"](x, *parameters)
    difference = (operations["backward_from_output"](mpmath.mpf(1), y, *parameters)
                  - operations["derivative"](x, *parameters))
    assert max(abs(d) for d in difference) < mpmath.mpf(10) ** -50


def test_numerical_differentiation(activation):
    testing.compare_with_differences(activation)


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.2, 1.0, 2.5])
def test_numerical_differentiation_with_parameters(elementwise, slope):
    if elementwise.parameters:
        testing.compare_with_differences(elementwise, dict.fromkeys(elementwise.parameters, slope))


def test_kinks_are_where_properties_say(elementwise, dtype):
    """One unit either side of a kink the derivative is that of its side, and at it the one nearest to 0."""
    for kink in elementwise.properties.kinks:
        below, at, above = np.nextafter(kink, -1, dtype=dtype), np.dtype(dtype).type(kink), np.nextafter(
            kink, 1, dtype=dtype)
        values = testing.values_of(elementwise, None)
        left, middle, right = elementwise.derivative(np.array([below, at, above]), **values)
        assert left != right
        assert middle == min((left, right), key=abs)
    if not elementwise.properties.kinks:
        x = np.linspace(-5, 5, 100_001)
        assert np.max(np.abs(np.diff(elementwise.derivative(x)))) < 1e-3


@pytest.mark.parametrize("slope, expected", [(-0.5, 0.0), (0.0, 0.0), (0.3, 0.3), (1.0, 1.0), (2.0, 1.0)])
@pytest.mark.parametrize("name", ["leaky_relu", "prelu"])
def test_minimum_norm_at_zero(activations, name, slope, expected, dtype):
    x = np.array([0.0, -0.0], dtype)
    assert (activations[name].derivative(x, slope) == np.dtype(dtype).type(expected)).all()
    assert activations[name].parameter_gradients(x + 1, x, slope) == {next(iter(activations[name].parameters)): 0}


def test_jacobian(axiswise, dtype):
    x = np.random.default_rng(6).normal(size=(2, 5)).astype(dtype)
    jacobian = axiswise.jacobian(x)
    assert jacobian.shape == (2, 5, 5) and jacobian.dtype == dtype
    grad = np.random.default_rng(7).normal(size=(2, 5)).astype(dtype)
    np.testing.assert_allclose(np.einsum("bi,bij->bj", grad, jacobian), axiswise.backward(grad, x),
                               atol=20 * np.finfo(dtype).eps)
    for i in range(5):
        step = np.zeros(5)
        step[i] = 1e-6
        slope = (axiswise(x.astype(float) + step) - axiswise(x.astype(float) - step)) / 2e-6
        np.testing.assert_allclose(jacobian[..., i], slope, atol=1e-6)


def test_parameter_gradients_reduce_to_the_shape(elementwise, dtype):
    """Against central differences of a scalar loss, for scalars, channels and everything between."""
    if not elementwise.parameters:
        assert elementwise.parameter_gradients(np.ones(3), np.ones(3)) == {}
        return
    generator = np.random.default_rng(8)
    x = generator.normal(size=(4, 3, 5)).astype(dtype)
    grad = generator.normal(size=x.shape).astype(dtype)
    (name,) = elementwise.parameters
    for shape, axis in [((), None), ((3,), 1), ((5,), None), ((5,), -1), ((3, 1), None), ((1,), 1), ((4, 1, 5), None)]:
        value = (0.2 + 0.1 * np.arange(np.prod(shape, dtype=int))).reshape(shape).astype(dtype)
        gradient = elementwise.parameter_gradients(grad, x, value, axis=axis)[name]
        assert np.shape(gradient) == shape and gradient.dtype == dtype
        for index in np.ndindex(*shape):
            step = np.zeros(shape)
            step[index] = 1e-4
            ahead, behind = (np.sum(grad * elementwise(x.astype(float), value.astype(float) + s * step, axis=axis))
                             for s in (1, -1))
            np.testing.assert_allclose(gradient[index], (ahead - behind) / 2e-4, rtol=1e-5, atol=1e-5)
