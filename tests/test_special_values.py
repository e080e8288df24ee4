"""NaN, infinities, kinks, zeros and the largest numbers: a matrix over all activations, and the limits of each."""

import numpy as np
import pytest
from conftest import builtin, every_compiled, every_implementation

from pyactx import testing
from pyactx._definition import BOOK

INF, NAN = np.inf, np.nan

# name: f(-inf), f(inf), f'(-inf), f'(inf); NaN where there is no limit.  A zero of the value has the sign shown.
LIMITS = {
    "identity": (-INF, INF, 1, 1),
    "sigmoid": (0.0, 1, 0, 0),
    "tanh": (-1, 1, 0, 0),
    "relu": (0.0, INF, 0, 1),
    "leaky_relu": (-INF, INF, 0.01, 1),
    "prelu": (-INF, INF, 0.25, 1),
    "relu6": (0.0, 6, 0, 0),
    "relu2": (0.0, INF, 0, INF),
    "star_relu": (0.0, INF, 0, INF),
    "threshold": (0.25, INF, 0, 1),
    "thresholded_relu": (0.0, INF, 0, 1),
    "elu": (-1, INF, 0, 1),
    "selu": (-1.7580993408473766, INF, 0, 1.0507009873554805),
    "celu": (-1, INF, 0, 1),
    "exponential": (0.0, INF, 0, INF),
    "log_sigmoid": (-INF, -0.0, 1, 0),
    "logit": (NAN, NAN, NAN, NAN),
    "softsign": (-1, 1, 0, 0),
    "erf": (-1, 1, 0, 0),
    "laplace": (0.0, 1, 0, 0),
    "gaussian": (0.0, 0.0, 0, 0),
    "silu": (-0.0, INF, 0, 1),
    "quick_gelu": (-0.0, INF, 0, 1),
    "gelu": (-0.0, INF, 0, 1),
    "gelu_tanh": (-0.0, INF, 0, 1),
    "clipped_gelu": (-0.0, 10, 0, 0),
    "mish": (-0.0, INF, 0, 1),
    "softplus": (0.0, INF, 0, 1),
    "squareplus": (0.0, INF, 0, 1),
    "sparse_plus": (0.0, INF, 0, 1),
    "sparse_sigmoid": (0.0, 1, 0, 0),
    "xielu": (INF, INF, -1.1711006659477778, INF),
    "snake": (-INF, INF, NAN, NAN),
    "snake_beta": (-INF, INF, NAN, NAN),
    "hard_tanh": (-1, 1, 0, 0),
    "hard_sigmoid": (0.0, 1, 0, 0),
    "hard_silu": (-0.0, INF, 0, 1),
    "hard_mish": (-0.0, INF, 0, 1),
    "soft_shrink": (-INF, INF, 1, 1),
    "hard_shrink": (-INF, INF, 1, 1),
    "tanh_shrink": (-INF, INF, 1, 1),
}

# name, parameters: {x: f(x)}, {x: f'(x)}
LIMITS_WITH_PARAMETERS = [
    ("leaky_relu", {"negative_slope": 0.0}, {-INF: -0.0, INF: INF}, {-INF: 0, INF: 1}),
    ("prelu", {"weight": 0.0}, {-INF: -0.0, INF: INF}, {-INF: 0, INF: 1}),
    ("elu", {"alpha": 0.0}, {INF: INF}, {-INF: 0, INF: 1}),
    ("celu", {"alpha": INF}, {-INF: -INF, -3.0: -3, 0.0: 0.0, 2.0: 2, INF: INF},
     {-INF: 1, -3.0: 1, 0.0: 1, 2.0: 1, INF: 1}),
    ("celu", {"alpha": 0.0}, {-3.0: -0.0, 2.0: 2, INF: INF}, {-INF: 0, -3.0: 0, 2.0: 1, INF: 1}),
    ("silu", {"beta": 0.0}, {-INF: -INF, 3.0: 1.5, INF: INF}, {-INF: 0.5, 3.0: 0.5, INF: 0.5}),
    ("silu", {"beta": -1.0}, {-INF: -INF, INF: 0.0}, {-INF: 1, INF: 0}),
    ("silu", {"beta": 3.0}, {-INF: -0.0, INF: INF}, {-INF: 0, INF: 1}),
    ("softplus", {"beta": -1.0}, {-INF: -INF, INF: 0.0}, {-INF: 1, INF: 0}),
    ("softplus", {"beta": 3.0}, {-INF: 0.0, INF: INF}, {-INF: 0, INF: 1}),
    ("squareplus", {"b": 0.0}, {-INF: 0.0, -2.0: 0.0, 0.0: 0.0, 2.0: 2, INF: INF},
     {-INF: 0, -2.0: 0, 0.0: 0, 2.0: 1, INF: 1}),
    ("squareplus", {}, {-1e20: 1e-20, 1e20: 1e20}, {1e20: 1}),
    ("star_relu", {"scale": 0.0, "bias": 0.25}, {-INF: 0.25, INF: 0.25}, {-INF: 0, INF: 0}),
    ("hard_sigmoid", {"alpha": 0.0, "beta": 0.25}, {-INF: 0.25, INF: 0.25}, {-INF: 0, INF: 0}),
    ("snake", {"alpha": 0.0}, {-INF: -INF, -3.0: -3, 2.0: 2, INF: INF}, {-3.0: 1, 2.0: 1}),
    ("logit", {"eps": 0.25}, {-INF: -1.0986122886681098, -3.0: -1.0986122886681098, 5.0: 1.0986122886681098,
                             INF: 1.0986122886681098}, {-INF: 0, 0.0: 0, 0.9: 0, INF: 0}),
    ("logit", {}, {0.0: -INF, 0.5: 0.0, 1.0: INF, -0.5: NAN, 1.5: NAN},
     {0.0: INF, 0.5: 4, 1.0: INF, -0.5: NAN, 1.5: NAN}),
    ("softsign", {}, {1e30: 1, -1e30: -1}, {}),
    ("hard_shrink", {"lambd": 0.0}, {-INF: -INF, INF: INF}, {-2.0: 1, 2.0: 1}),
    ("soft_shrink", {"lambd": 0.0}, {-2.0: -2, 2.0: 2}, {-2.0: 1, 2.0: 1}),
]

# name: {x: f'(x)} where the derivative jumps, and where the pieces of a definition meet.
KINKS = {
    "relu": {0.0: 0},
    "leaky_relu": {0.0: 0.01},
    "prelu": {0.0: 0.25},
    "relu6": {0.0: 0, 6.0: 0},
    "relu2": {0.0: 0},
    "star_relu": {0.0: 0},
    "threshold": {0.25: 0},
    "thresholded_relu": {1.0: 0},
    "elu": {0.0: 1},
    "selu": {0.0: 1.7580993408473766},  # the left side and not the minimum norm: as PyTorch and JAX
    "celu": {0.0: 1},
    "clipped_gelu": {10.0: 0},  # gelu(10) rounds to the bound
    "sparse_plus": {-1.0: 0, 1.0: 1},
    "sparse_sigmoid": {-1.0: 0, 1.0: 0},
    "xielu": {-1e-6: 0.4999983289001696, 0.0: 0.5},  # outside of the interval in which the exponential is cut off
    "hard_tanh": {-1.0: 0, 1.0: 0},
    "hard_sigmoid": {-3.0: 0, 3.0: 0},
    "hard_silu": {-3.0: 0, 3.0: 1},
    "hard_mish": {-2.0: 0, 0.0: 1},
    "soft_shrink": {-0.5: 0, 0.5: 0},
    "hard_shrink": {-0.5: 0, 0.5: 0},
}

KINKS_WITH_PARAMETERS = [
    *((name, {parameter: slope}, {0.0: norm})
      for name, parameter in (("leaky_relu", "negative_slope"), ("prelu", "weight"), ("elu", "alpha"))
      for slope, norm in ((-0.5, 0), (0.0, 0), (0.25, 0.25), (1.0, 1), (2.0, 1))),
    ("celu", {"alpha": 2.0}, {0.0: 1}),
    ("celu", {"alpha": 0.0}, {0.0: 0}),
    ("hard_tanh", {"min_val": 0.0, "max_val": 4.0}, {0.0: 0, 4.0: 0}),
    ("hard_sigmoid", {"alpha": 0.25, "beta": 0.5}, {-2.0: 0, 2.0: 0}),
    ("logit", {"eps": 0.25}, {0.25: 0, 0.75: 0}),
    ("soft_shrink", {"lambd": 1.0}, {-1.0: 0, 1.0: 0}),
    ("hard_shrink", {"lambd": 1.0}, {-1.0: 0, 1.0: 0}),
    ("threshold", {"threshold": -2.0, "value": 7.0}, {-2.0: 0}),
    ("thresholded_relu", {"alpha": 2.0}, {2.0: 0}),
    ("clipped_gelu", {"min_val": 0.0, "max_val": 2.0}, {0.0: 0}),
    ("star_relu", {"scale": -2.0, "bias": 1.0}, {0.0: 0}),
]


def case(entry):
    name, parameters, *_ = entry
    return f"{name}({', '.join(f'{key}={value}' for key, value in parameters.items())})"


def same_with_sign(got, expected, dtype):
    expected = np.array(expected, dtype)
    np.testing.assert_allclose(got, expected, rtol=np.finfo(dtype).eps, atol=0)
    assert (np.signbit(got) == np.signbit(expected))[expected == 0].all(), f"{got} has other zeros than {expected}"


@every_implementation
def test_limits(elementwise, dtype):
    values = testing.values_of(elementwise, None)
    x = np.array([-INF, INF], dtype)
    same_with_sign(elementwise(x, **values), LIMITS[elementwise.name][:2], dtype)
    np.testing.assert_array_equal(elementwise.derivative(x, **values), np.array(LIMITS[elementwise.name][2:], dtype))


@every_implementation
@pytest.mark.parametrize("entry", LIMITS_WITH_PARAMETERS, ids=case)
def test_limits_with_parameters(activations, entry, dtype):
    name, parameters, value, derivative = entry
    values = testing.values_of(activations[name], parameters)
    same_with_sign(activations[name](np.array([*value], dtype), **values), [*value.values()], dtype)
    np.testing.assert_array_equal(activations[name].derivative(np.array([*derivative], dtype), **values),
                                  np.array([*derivative.values()], dtype))


@pytest.mark.parametrize("name", builtin("elementwise"))
def test_tables_are_complete(name):
    assert name in LIMITS
    assert set(BOOK[name].properties.kinks) <= set(KINKS.get(name, ()))


@every_implementation
def test_kinks(elementwise, dtype):
    """Implementations that compose clamps of min and max give the mean of both sides."""
    table = KINKS.get(elementwise.name, {})
    same_derivatives(elementwise, {}, table, dtype)


@every_implementation
@pytest.mark.parametrize("entry", KINKS_WITH_PARAMETERS, ids=case)
def test_kinks_with_parameters(activations, entry, dtype):
    name, parameters, table = entry
    same_derivatives(activations[name], parameters, table, dtype)


def same_derivatives(activation, parameters, table, dtype):
    """The derivative is as in a table of {x: f'(x)}, and `backward` and its kin say the same; -0 is 0."""
    values = testing.values_of(activation, parameters)
    zero = [0.0] if 0.0 in table else []
    x = np.array([*table, *np.negative(zero)], dtype)
    expected = np.array([*table.values(), *map(table.get, zero)], dtype)
    np.testing.assert_allclose(activation.derivative(x, **values), expected, rtol=np.finfo(dtype).eps, atol=0)
    np.testing.assert_allclose(activation.value_and_derivative(x, **values)[1], expected, rtol=np.finfo(dtype).eps)
    np.testing.assert_allclose(activation.backward(3 * np.ones_like(x), x, **values), 3 * expected,
                               rtol=2 * np.finfo(dtype).eps)


# ---- NaN -------------------------------------------------------------------------------------------------------------


@every_implementation
def test_nan_in_every_lane_of_every_length(elementwise, implementation, dtype):
    """Vectorised bodies and scalar tails agree: each element is NaN where x is, and nowhere else."""
    values = testing.values_of(elementwise, None)
    for n in range(1, 68) if implementation.compiled else (1, 7, 67):
        for odd in (0, 1):
            x = np.full(n, 0.625, dtype)
            x[odd::2] = np.nan
            expected = np.isnan(x)
            for operation in elementwise.operations():
                for result in testing.as_tuple(operation(*(x,) * len(operation.inputs), **values)):
                    assert (np.isnan(result) == expected).all(), f"{operation.label} of {n} elements"


@pytest.mark.parametrize("name", builtin("gated", composed=False))
@every_implementation
def test_nan_of_either_input(activations, implementation, name, dtype):
    """A NaN in gate or up is one in the value and in what depends on it."""
    gated = activations[name]
    for n in range(1, 68) if implementation.compiled else (1, 7, 67):
        for odd in (0, 1):
            arrays = {"gate": np.full(n, 0.625, dtype), "up": np.full(n, 0.625, dtype)}
            for which in arrays:
                x = arrays[which].copy()
                x[odd::2] = np.nan
                given = {**arrays, which: x}
                assert (np.isnan(gated(**given)) == np.isnan(x)).all()
                gate, up = gated.backward(np.ones(n, dtype), **given)
                assert (np.isnan(up if which == "gate" else gate) == np.isnan(x)).all()
                assert not np.isnan(gate[~np.isnan(x)]).any() and not np.isnan(up[~np.isnan(x)]).any()


@every_implementation
@pytest.mark.parametrize("name", builtin("axiswise", composed=False))
def test_nan_in_every_place_of_a_row(activations, implementation, name, dtype):
    axiswise = activations[name]
    for n in (*range(1, 20), 31, 32, 33, 63, 64, 65, 67) if implementation.compiled else (1, 7, 33):
        x = np.zeros((n, n), dtype)
        np.fill_diagonal(x, np.nan)
        assert np.isnan(axiswise(x)).all(), n
        grad = np.ones_like(axiswise(x))
        assert np.isnan(axiswise.backward(grad, x)).all(), n
        x[1::2] = 0  # and stays in its row
        assert (np.isnan(axiswise(x)).reshape(n, -1).all(axis=1) == np.isnan(x).any(axis=1)).all()


def test_nan_in_parameters(elementwise, dtype):
    """Of what the parameter takes part in: at least somewhere, and never a number for a NaN of x."""
    x = np.array([-4, -0.25, 0.25, 0.75, 4, np.nan], dtype)
    for name in elementwise._definition.parameters:
        values = testing.values_of(elementwise, {name: np.nan})
        y = elementwise(x, **values)
        assert np.isnan(y[-1])


# ---- Infinities and large numbers ------------------------------------------------------------------------------------


@every_implementation
def test_no_warnings(activation):
    testing.check_infinities(activation, testing.values_of(activation, None))


def test_sums_of_gradients_give_no_warning(with_ufuncs, dtype):
    """Infinities of both signs, and sums beyond float32: not a number or infinite, without a word."""
    values = testing.values_of(with_ufuncs, None)
    for operation in with_ufuncs._gradients.values():
        inputs = testing.inputs_of(with_ufuncs, operation, np.dtype(dtype), values)
        with_ufuncs.parameter_gradients(*inputs, **values)


def test_a_parameter_that_overflows_gives_no_warning(elementwise):
    """pytest makes a warning an error."""
    x = np.float32([[-2, 3], [-4, 5]])
    for name in elementwise._definition.parameters:
        values = testing.values_of(elementwise, {name: 1e300})
        infinite = testing.values_of(elementwise, {name: np.inf})
        for array in (x, x[:, ::-1][:, ::-1], x.T, x[0, 0]):
            np.testing.assert_array_equal(elementwise(array, **values), elementwise(array, **infinite))


@pytest.mark.parametrize("name", ["leaky_relu", "prelu"])
def test_a_slope_that_overflows_is_infinite(activations, name):
    x = np.float32([[-2, 3], [-4, 5]])
    assert np.isinf(activations[name](x, 1e300)[x < 0]).all()


@every_implementation
def test_zeros_keep_their_sign(elementwise, dtype):
    values = testing.values_of(elementwise, None)
    if elementwise.properties.range[0] < 0 and elementwise(0.0, **values) == 0:
        assert np.signbit(elementwise(np.array([0.0, -0.0], dtype), **values)).tolist() == [False, True]


@pytest.mark.parametrize("name", ["leaky_relu", "prelu"])
def test_slope_zero_has_a_limit(activations, name, dtype):
    """0 times -inf: the limit of 0 x is 0, and of the same sign as for a large x."""
    y = activations[name](np.array([-INF, -1e30, INF], dtype), 0.0)
    assert y.tolist() == [0, 0, INF] and np.signbit(y).tolist() == [True, True, False]


@pytest.mark.parametrize("name, parameters", [
    ("leaky_relu", (-0.5,)), ("prelu", (-0.5,)), ("elu", (-0.5,)), ("celu", (-0.5,)), ("celu", (0.0,))])
@every_implementation
def test_output_does_not_tell_the_side(activations, name, parameters, dtype):
    x = np.array([-1.0, 1.0], dtype)
    assert np.isnan(activations[name].backward_from_output(x, x, *parameters)).all()


# ---- Rows ------------------------------------------------------------------------------------------------------------

# name: the value of a row of equal elements, the first of (1e30, 0, -1e30); of reductions, the value.
CERTAIN = {"softmax": 1, "log_softmax": 0, "hardmax": 1, "sparsemax": 1, "entmax15": 1, "entmax": 1,
           "logsumexp": 1e30, "logmeanexp": 1e30}
# of a row without elements, or that is -inf throughout, or holds an infinity
REDUCED = {"logsumexp": (-INF, -INF, INF), "logmeanexp": (NAN, -INF, INF)}


@every_implementation
def test_whole_rows(axiswise, dtype):
    x = np.array([[-INF, 0, 1], [INF, 0, 1], [-INF, -INF, -INF], [np.nan, 0, 1], [1, 1, 1]], dtype)
    y = axiswise(x)
    if axiswise.name in REDUCED:
        _, nothing, infinite = REDUCED[axiswise.name]
        assert np.isfinite(y[[0, 4]]).all() and y[2] == nothing and y[1] == infinite and np.isnan(y[3])
        return
    of_infinite_maximum = axiswise.name != "hardmax"  # a place, not a value
    assert np.isnan(y[[1, 2]]).all() == of_infinite_maximum and np.isnan(y[3]).all()
    assert np.isfinite(y[4]).all()
    assert y[0, 0] == (-INF if axiswise.properties.range[0] == -INF else 0)
    if of_infinite_maximum:
        assert (y[4] == y[4, 0]).all()


@every_implementation
def test_large_logits(axiswise, dtype):
    """No overflow on the way, and shifts do not matter."""
    x = np.array([[1e4, 1e4 - 1, 0], [-1e4, -1e4 - 1, -2e4], [1e30, 0, -1e30]], dtype)
    y = axiswise(x).reshape(3, -1)
    assert np.isfinite(y[:2, :2]).all()
    if not axiswise._definition.reduces:
        np.testing.assert_array_equal(y[0, :2], y[1, :2])
    assert y[2, 0] == np.dtype(dtype).type(CERTAIN[axiswise.name])


@every_implementation
def test_empty(activation, dtype):
    values = testing.values_of(activation, None)
    kept = testing.keeps_shape(activation, values)
    for shape in ((0,), (3, 0), (0, 4)):
        x = np.empty(shape, dtype)
        if not kept:
            reduced = activation(x, **values)
            assert (reduced.dtype == dtype and reduced.size == 0) or activation.name in REDUCED
            if activation.name in REDUCED and shape[-1] == 0:
                np.testing.assert_array_equal(reduced, np.full(shape[:-1], REDUCED[activation.name][0], dtype))
            continue
        for operation in activation.operations():
            for result in testing.as_tuple(operation(*(x,) * len(operation.inputs), **values)):
                rows_as_numbers = activation.kind == "axiswise" and operation.operation.endswith("_gradient")
                assert result.shape == (shape[:-1] if rows_as_numbers else shape) and result.dtype == dtype


# ---- The environment -------------------------------------------------------------------------------------------------


@pytest.fixture
def floating_point_environment():
    """A function that reads the control and status word of this thread, through a C function made for the purpose."""
    import ctypes
    import platform

    if platform.system() != "Linux" or platform.machine() != "x86_64":
        pytest.skip("reads MXCSR through the C library of Linux on x86-64")
    libm = ctypes.CDLL("libm.so.6")
    environment = (ctypes.c_uint32 * 8)()  # fenv_t: seven words of the x87, then MXCSR

    def read():
        libm.fegetenv(environment)
        return environment[7]

    def write(mxcsr):
        libm.fegetenv(environment)
        environment[7] = mxcsr
        libm.fesetenv(environment)

    read.write = write
    return read


@every_compiled  # NumPy clears the flags of its caller, and pure Python cannot set them again
def test_environment_is_left_alone(with_ufuncs, floating_point_environment):
    x = np.array([-1e30, -100, 1e-40, 3], np.float32)
    values = testing.values_of(with_ufuncs, None)
    inputs = (x,) * len(with_ufuncs.inputs)
    before = floating_point_environment()
    with_ufuncs(*inputs, **values)
    with_ufuncs(*(i[::2] for i in inputs), **values)
    assert floating_point_environment() == before


@every_compiled
def test_flush_to_zero_does_not_reach_results(elementwise, floating_point_environment):
    """A caller who flushes subnormal numbers, or rounds down, gets the same bits, and keeps the setting."""
    x = np.float32([-100, -95, 1e-40, -1e-40, 0.3, 1e-20])
    values = testing.values_of(elementwise, None)
    expected = elementwise(x, **values)
    before = floating_point_environment()
    try:
        floating_point_environment.write(before | 0x8040 | 0x2000)
        set_to = floating_point_environment()
        got = elementwise(x, **values)
        assert floating_point_environment() == set_to
    finally:
        floating_point_environment.write(before)
    assert got.tobytes() == expected.tobytes()
    assert elementwise.name != "sigmoid" or got[0] > 0
