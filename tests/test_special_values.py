"""NaN, infinities, zeros and the largest numbers: a matrix over all activations, and the limits of each."""

import numpy as np
import pytest

from pyactx import testing

INF = np.inf

# name: f(-inf), f(inf), f'(-inf), f'(inf)
LIMITS = {
    "identity": (-INF, INF, 1, 1),
    "sigmoid": (0, 1, 0, 0),
    "tanh": (-1, 1, 0, 0),
    "relu": (0, INF, 0, 1),
    "leaky_relu": (-INF, INF, 0.01, 1),
    "prelu": (-INF, INF, 0.25, 1),
}


def test_limits(elementwise, dtype):
    values = testing.values_of(elementwise, None)
    x = np.array([-INF, INF], dtype)
    got = [*elementwise(x, **values), *elementwise.derivative(x, **values)]
    np.testing.assert_array_equal(got, np.array(LIMITS[elementwise.name], dtype))


def test_nan_stays_and_stays_alone(activation):
    testing.check_nan(activation, testing.values_of(activation, None))


def test_no_warnings(activation):
    testing.check_infinities(activation, testing.values_of(activation, None))


def test_a_parameter_that_overflows_gives_no_warning(elementwise):
    """pytest makes a warning an error."""
    x = np.float32([[-2, 3], [-4, 5]])
    for name in elementwise.parameters:
        for array in (x, x[:, ::-1][:, ::-1], x.T, x[0, 0]):
            assert np.isinf(elementwise(array, **{name: 1e300})[array < 0]).all()


def test_zeros_keep_their_sign(elementwise, dtype):
    if elementwise.properties.range[0] < 0:
        values = testing.values_of(elementwise, None)
        assert np.signbit(elementwise(np.array([0.0, -0.0], dtype), **values)).tolist() == [False, True]


@pytest.mark.parametrize("name", ["leaky_relu", "prelu"])
def test_slope_zero_has_a_limit(activations, name, dtype):
    """0 times -inf: the limit of 0 x is 0, and of the same sign as for a large x."""
    y = activations[name](np.array([-INF, -1e30, INF], dtype), 0.0)
    assert y.tolist() == [0, 0, INF] and np.signbit(y).tolist() == [True, True, False]


@pytest.mark.parametrize("name", ["leaky_relu", "prelu"])
def test_output_does_not_tell_with_a_negative_slope(activations, name, dtype):
    x = np.array([-1.0, 1.0], dtype)
    assert np.isnan(activations[name].backward_from_output(x, x, -0.5)).all()


def test_whole_rows(axiswise, dtype):
    x = np.array([[-INF, 0, 1], [INF, 0, 1], [-INF, -INF, -INF], [np.nan, 0, 1], [1, 1, 1]], dtype)
    got = np.isnan(axiswise(x))
    assert got.tolist() == [[False] * 3, [True] * 3, [True] * 3, [True] * 3, [False] * 3]
    finite = axiswise(x[:1])
    assert finite[0, 0] == (0 if axiswise.name == "softmax" else -INF)
    assert (axiswise(x[4:]) == axiswise(x[4:])[0, 0]).all()


def test_large_logits(axiswise, dtype):
    """No overflow on the way, and shifts do not matter."""
    x = np.array([[1e4, 1e4 - 1, 0], [-1e4, -1e4 - 1, -2e4], [1e30, 0, -1e30]], dtype)
    y = axiswise(x)
    assert np.isfinite(y[0, :2]).all() and np.isfinite(y[1, :2]).all()
    np.testing.assert_array_equal(y[0, :2], y[1, :2])
    assert y[2, 0] == (1 if axiswise.name == "softmax" else 0)


def test_empty(activation, dtype):
    values = testing.values_of(activation, None)
    for shape in ((0,), (3, 0), (0, 3)):
        x = np.empty(shape, dtype)
        for operation in activation.operations():
            for result in testing.as_tuple(operation(*(x,) * len(operation.inputs), **values)):
                assert result.shape == shape and result.dtype == dtype


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


def test_environment_is_left_alone(elementwise, implementation, floating_point_environment):
    if not implementation.compiled:
        pytest.skip("NumPy clears the flags of its caller, and pure Python cannot set them again")
    x = np.array([-1e30, -100, 1e-40, 3], np.float32)
    values = testing.values_of(elementwise, None)
    before = floating_point_environment()
    elementwise(x, **values)
    elementwise(x[::2], **values)
    assert floating_point_environment() == before


def test_flush_to_zero_does_not_reach_results(activations, implementation, floating_point_environment):
    """A caller who flushes subnormal numbers, or rounds down, gets the same bits, and keeps the setting."""
    if not implementation.compiled:
        pytest.skip("the arithmetic of NumPy is in the environment of its caller")
    x = np.float32([-100, -95, 1e-40])
    expected = activations["sigmoid"](x)
    before = floating_point_environment()
    try:
        floating_point_environment.write(before | 0x8040 | 0x2000)
        set_to = floating_point_environment()
        got = activations["sigmoid"](x)
        assert floating_point_environment() == set_to
    finally:
        floating_point_environment.write(before)
    assert got.tobytes() == expected.tobytes() and got[0] > 0
