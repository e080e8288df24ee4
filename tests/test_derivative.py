"""Every hand-written derivative against mpmath's own differentiation of the value."""

import mpmath
import mpmath_math
import numpy as np
import pytest
from conftest import builtin, every_implementation

from pyactx import testing
from pyactx._definition import BOOK, REQUIRED

ELEMENTWISE = builtin("elementwise")
WITH_PARAMETERS = [name for name in ELEMENTWISE if BOOK[name].parameters]
POINTS = np.concatenate([np.random.default_rng(5).normal(size=40) * 5, [-30.0, -1e-8, 1e-8, 30.0, 100.0],
                         np.random.default_rng(6).uniform(size=10)])
TINY = mpmath.mpf(10) ** -30  # the steps of the differences: far below the distance of a float to a kink


def mp_parameters(definition, values=None):
    """Return the parameters as numbers of mpmath: those given, else the defaults, else 0.25."""
    chosen = {name: 0.25 if default is REQUIRED else default for name, default in definition.parameters.items()}
    return [mpmath.mpf(value) for value in {**chosen, **(values or {})}.values()]


def at(operation, *arguments):
    """Return the value of a formula at one point."""
    result = operation(*(np.array([mpmath.mpf(a)], dtype=object) for a in arguments[:1]), *arguments[1:])
    return np.broadcast_to(np.asarray(result, dtype=object), (1,))[0]


def derivative_by_mpmath(value, x, direction=0, step=TINY, digits=100):
    """Differentiate at x, from one side where a direction is given."""
    with mpmath.workdps(digits):
        return mpmath.diff(value, mpmath.mpf(x), h=step, direction=direction)


def agree(got, expected, digits=15, smallest=8):
    if mpmath.isnan(expected):
        return mpmath.isnan(got)
    return abs(got - expected) <= mpmath.mpf(10) ** -digits * max(abs(expected), mpmath.mpf(10) ** -smallest)


def is_defined(value, x):
    """Whether the value is a real number at x and around it: logit is not outside of [0, 1]."""
    return all(mpmath.isfinite(value(mpmath.mpf(x) + k * TINY)) for k in (-1, 0, 1))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative_is_that_of_the_value(name):
    definition = BOOK[name]
    operations, parameters = definition.operations(mpmath_math), mp_parameters(definition)
    compared = 0
    for x in POINTS:
        def value(x):
            return at(operations["forward"], x, *parameters)

        if is_defined(value, x):
            got = at(operations["derivative"], x, *parameters)
            assert agree(got, derivative_by_mpmath(value, x)), x
            compared += 1
    assert compared >= 10


@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_derivative_beside_a_kink_is_that_of_its_side(name, dtype):
    """One unit in the last place either side, whatever the derivative at the kink is."""
    definition = BOOK[name]
    operations, parameters = definition.operations(mpmath_math), mp_parameters(definition)
    for kink in definition.properties.kinks:
        for direction in (-1, 1):
            x = float(np.nextafter(np.dtype(dtype).type(kink), np.dtype(dtype).type(direction * np.inf)))

            def value(x):
                return at(operations["forward"], x, *parameters)

            step = abs(mpmath.mpf(x) - kink) / 2**20  # which is 2^-1094 beside 0
            expected = derivative_by_mpmath(value, x, step=step, digits=700)
            assert agree(at(operations["derivative"], x, *parameters), expected, 14), (kink, direction)


@pytest.mark.parametrize("value", [0.1, 0.9, 1.7, -0.4])
@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_gradients_are_those_of_the_value(name, value):
    """For each parameter at this value and the others at their defaults, and for all at this value."""
    definition = BOOK[name]
    operations = definition.operations(mpmath_math)
    names = list(definition.parameters)
    for parameter in names:
        for values in ({parameter: value}, dict.fromkeys(names, value)):
            parameters = mp_parameters(definition, values)
            k = names.index(parameter)
            for x in (-3.53125, -0.28125, 0.0, 0.40625, 2.15625):
                def of_parameter(p, parameters=parameters, k=k, x=x):
                    return at(operations["forward"], x, *parameters[:k], p, *parameters[k + 1 :])

                if not is_defined(of_parameter, parameters[k]):
                    continue
                sides = [derivative_by_mpmath(of_parameter, parameters[k], direction) for direction in (-1, 1)]
                if abs(sides[0] - sides[1]) > 1e-9 * max(1, abs(sides[0])):
                    continue  # a kink, or a step, in the parameter
                got = operations[f"{parameter}_gradient"](
                    mpmath.mpf(1), np.array([mpmath.mpf(x)], dtype=object), *parameters)
                got = np.broadcast_to(np.asarray(got, dtype=object), (1,))[0]
                assert abs(got - sides[0]) < mpmath.mpf(10) ** -12 * max(1, abs(got)), (parameter, values, x)


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_every_parameter_has_a_gradient(name):
    assert {f"{parameter}_gradient" for parameter in BOOK[name].parameters} <= set(BOOK[name].operations(mpmath_math))


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_derivative_from_output_is_that_from_input(name):
    definition = BOOK[name]
    operations = definition.operations(mpmath_math)
    if "backward_from_output" not in operations:
        return
    x = mpmath_math.exact(POINTS[np.abs(POINTS) < 20])
    parameters = mp_parameters(definition)
    y = operations["forward"](x, *parameters)
    difference = (operations["backward_from_output"](mpmath.mpf(1), y, *parameters)
                  - operations["derivative"](x, *parameters))
    assert max(abs(d) for d in difference) < mpmath.mpf(10) ** -(14 if definition.parameters else 50)


@pytest.mark.parametrize("name", builtin("gated", composed=False))
def test_gradients_of_gated_activations(name):
    """With respect to gate and up, by mpmath."""
    definition = BOOK[name]
    operations, parameters = definition.operations(mpmath_math), mp_parameters(definition)

    def value(gate, up):
        gate, up = (np.array([mpmath.mpf(x)], dtype=object) for x in (gate, up))
        return operations["forward"](gate, up, *parameters)[0]

    generator = np.random.default_rng(7)
    for gate, up in generator.normal(size=(20, 2)) * 4:
        grad = mpmath.mpf(generator.normal())
        got = operations["backward"](grad, *(np.array([mpmath.mpf(x)], dtype=object) for x in (gate, up)), *parameters)
        by_gate = grad * derivative_by_mpmath(lambda x, up=up: value(x, up), gate)
        by_up = grad * derivative_by_mpmath(lambda x, gate=gate: value(gate, x), up)
        assert agree(got[0][0], by_gate) and agree(got[1][0], by_up), (gate, up)


# ---- Numerical differentiation of what runs; with the default parameters check_activation does it --------------------


@pytest.mark.parametrize("value", [-0.5, 0.0, 0.2, 1.0, 2.5])
@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_numerical_differentiation_with_parameters(activations, name, value):
    for parameter in activations[name].parameters:
        if (name, parameter, value) not in WITHOUT_DERIVATIVE:
            testing.compare_with_differences(activations[name], {parameter: value})


# There the value is not a number, or has a pole, or a step that differences do not see the sides of.
WITHOUT_DERIVATIVE = {
    ("laplace", "sigma", 0.0), ("snake_beta", "beta", 0.0), ("softplus", "beta", 0.0),
    ("squareplus", "b", -0.5), ("squareplus", "b", 0.0), ("celu", "alpha", 0.0), ("snake", "alpha", 0.0),
    ("hard_tanh", "min_val", 2.5),  # above max_val
    ("logit", "eps", 1.0), ("logit", "eps", 2.5),  # above 1 - eps
    ("soft_shrink", "lambd", 0.0), ("hard_shrink", "lambd", 0.0),  # two kinks in one place
}


def test_kinks_are_where_properties_say(elementwise, dtype):
    """One unit either side of a kink the derivative is that of its side, and nowhere else does it jump."""
    kinks = elementwise.properties.kinks
    values = testing.values_of(elementwise, None)
    for kink in kinks:
        kink = np.dtype(dtype).type(kink)
        below, above = np.nextafter(kink, kink - 1), np.nextafter(kink, kink + 1)
        left, right = elementwise.derivative(np.array([below, above]), **values)
        assert abs(left - right) > 1e-7
    x = np.linspace(-5, 5, 100_001)
    x = x[(np.abs(x[:, np.newaxis] - np.array([*kinks])) > 2e-4).all(axis=1)] if kinks else x
    slopes = elementwise.derivative(x, **values)
    steps = np.abs(np.diff(slopes))
    with np.errstate(invalid="ignore"):
        jumps = (steps > 1e-3) & (steps > 1e-2 * np.abs(slopes[1:])) & (np.diff(x) < 2e-4) & (np.abs(slopes[1:]) < 90)
    assert not jumps.any(), x[:-1][jumps]


def test_at_a_kink_the_derivative_is_between_its_sides(elementwise, dtype):
    values = testing.values_of(elementwise, None)
    for kink in elementwise.properties.kinks:
        kink = np.dtype(dtype).type(kink)
        x = np.array([np.nextafter(kink, kink - 1), kink, np.nextafter(kink, kink + 1)])
        left, middle, right = elementwise.derivative(x, **values)
        assert min(left, right) <= middle <= max(left, right)


@pytest.mark.parametrize("slope", [-0.5, 0.0, 0.3, 1.0, 2.0])
@pytest.mark.parametrize("name", ["leaky_relu", "prelu"])
def test_gradient_of_a_slope_is_zero_at_zero(activations, name, slope, dtype):
    x = np.array([0.0, -0.0], dtype)
    assert activations[name].parameter_gradients(x + 1, x, slope) == {next(iter(activations[name].parameters)): 0}


@pytest.mark.parametrize("name", [n for n in builtin("axiswise", composed=False) if not BOOK[n].reduces])
def test_jacobian(activations, name, dtype):
    axiswise = activations[name]
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


@every_implementation
def test_backward_of_rows_is_that_of_the_value(axiswise):
    """Against central differences of a scalar loss in every element, and in every parameter."""
    x, step = np.random.default_rng(9).normal(size=(3, 7)), 1e-6
    values = {name: 0.25 if np.isinf(value) else value for name, value in axiswise.parameters.items()}
    grad = np.random.default_rng(10).normal(size=np.shape(axiswise(x, **values)))

    def loss(x, **changed):
        return np.sum(grad * axiswise(x, **{**values, **changed}))

    for place in np.ndindex(*x.shape):
        change = np.zeros_like(x)
        change[place] = step
        slope = (loss(x + change) - loss(x - change)) / (2 * step)
        np.testing.assert_allclose(axiswise.backward(grad, x, **values)[place], slope, atol=1e-8)
    gradients = axiswise.parameter_gradients(grad, x, **values)
    assert set(gradients) == set(values)
    for name, value in values.items():
        slope = (loss(x, **{name: value + step}) - loss(x, **{name: value - step})) / (2 * step)
        np.testing.assert_allclose(gradients[name], slope, atol=1e-8)


# ---- Parameters that are arrays --------------------------------------------------------------------------------------

LAYOUTS = [((), None), ((3,), 1), ((5,), None), ((5,), -1), ((3, 1), None), ((1,), 1), ((4, 1, 5), None)]


@pytest.mark.parametrize("name", [name for name in [*builtin("elementwise"), *builtin("gated", composed=False)]
                                  if BOOK[name].parameters])
def test_parameter_gradients_reduce_to_the_shape(activations, name, dtype):
    """The sums of the gradients of single elements, for scalars, channels, what is between, and a mixture of these."""
    activation = activations[name]
    generator = np.random.default_rng(8)
    inputs = generator.normal(size=(len(activation.inputs), 4, 3, 5)).astype(dtype)
    grad = generator.normal(size=(4, 3, 5)).astype(dtype)
    names = list(activation.parameters)
    for shift in range(len(LAYOUTS)):
        # One axis goes for all 1-D parameters, so that layouts without one are mixed with each other.
        own, axis = LAYOUTS[shift]
        shapes = [shape for shape, other in LAYOUTS if (other == axis and len(shape) != 1) or shape in (own, ())]
        given = {}
        for k, parameter in enumerate(names):
            shape = own if k == shift % len(names) else shapes[k % len(shapes)]
            given[parameter] = (0.2 + 0.1 * np.arange(np.prod(shape, dtype=int))).reshape(shape).astype(dtype)
        gradients = activation.parameter_gradients(grad, *inputs, **given, axis=axis)
        aligned = {parameter: value if axis is None or np.ndim(value) != 1 else
                   value.reshape([-1 if k == axis % 3 else 1 for k in range(3)]) for parameter, value in given.items()}
        for parameter, value in given.items():
            assert np.shape(gradients[parameter]) == value.shape and gradients[parameter].dtype == dtype
            each = activation.named(f"{parameter}_gradient")(grad, *inputs, **aligned).astype(float)
            shared = aligned[parameter]
            axes = tuple(k for k in range(3) if k < 3 - shared.ndim or shared.shape[k - 3 + shared.ndim] == 1)
            with np.errstate(invalid="ignore"):  # infinities of both signs, where eps of logit is 1
                expected = each.sum(axis=axes).reshape(value.shape)
            np.testing.assert_allclose(gradients[parameter], expected, rtol=4 * np.finfo(dtype).eps,
                                       atol=np.finfo(dtype).eps * np.abs(each[np.isfinite(each)]).max(initial=0))


@pytest.mark.parametrize("name", [name for name in [*builtin("elementwise"), *builtin("gated", composed=False)]
                                  if not BOOK[name].parameters])
def test_no_parameters_no_gradients(activations, name):
    arrays = (np.ones(3),) * len(activations[name].inputs)
    assert activations[name].parameter_gradients(np.ones(3), *arrays) == {}


@pytest.mark.parametrize("name, value", [("leaky_relu", 0.2), ("prelu", 0.2), ("elu", 0.7), ("silu", 1.3),
                                         ("softplus", 0.7), ("soft_shrink", 0.4)])
def test_a_channel_learns_by_its_gradient(activations, name, value, dtype):
    """Central differences of a scalar loss with respect to one value of a channel."""
    activation = activations[name]
    (parameter,) = activation.parameters
    generator = np.random.default_rng(11)
    x, grad = generator.normal(size=(2, 4, 3, 5)).astype(dtype)
    weights = (value + 0.1 * np.arange(3)).astype(dtype)
    gradient = activation.parameter_gradients(grad, x, weights, axis=1)[parameter]
    for k in range(3):
        step = np.zeros(3)
        step[k] = 1e-5
        ahead, behind = (np.sum(grad * activation(x.astype(float), weights.astype(float) + s * step, axis=1))
                         for s in (1, -1))
        np.testing.assert_allclose(gradient[k], (ahead - behind) / 2e-5, rtol=1e-5, atol=1e-5)
