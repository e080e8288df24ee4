"""Bad input: the error says who, what is wrong, what was given and what to do, and out is as it was."""

import re

import numpy as np
import pytest
from numpy.exceptions import AxisError

from pyactx import testing

X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)


def read_only():
    array = np.full((3, 4), 7, np.float32)
    array.flags.writeable = False
    return array


OUT = [
    (np.full((3, 5), 7, np.float32), ValueError, "out has shape (3, 5), x has shape (3, 4)"),
    (np.full((2, 3, 4), 7, np.float32), ValueError, "out has shape (2, 3, 4), x has shape (3, 4)"),
    (np.full((), 7, np.float32), ValueError, "out has shape (), x has shape (3, 4)"),
    (np.full((3, 4), 7, np.int32), TypeError, "out has dtype int32, to which float32 is not cast under the rule "
                                              "'same_kind'; use an array of float32"),
    (np.full((3, 4), True), TypeError, "out has dtype bool"),
    (read_only(), ValueError, "out is read-only; pass a copy of it, or an array of your own"),
    ([[7.0] * 4] * 3, TypeError, "out must be an array, got list"),
    (7.0, TypeError, "out must be an array, got float"),
]


@pytest.mark.parametrize("out, error, text", OUT, ids=lambda v: getattr(v, "__name__", None))
def test_bad_out_is_untouched(activation, out, error, text):
    values = testing.values_of(activation, None)
    for operation in activation.operations():
        before = np.array(out)
        arrays = (X,) * len(operation.inputs)
        given = (out, np.empty_like(X)) if operation.outputs == 2 else out
        with pytest.raises(error, match=re.escape(f"{operation.label}: {text}")):
            operation(*arrays, **values, out=given)
        assert (np.array(out) == before).all()


def test_two_results_need_two_arrays(elementwise):
    values = testing.values_of(elementwise, None)
    out = np.full_like(X, 7)
    for wrong in (out, (out,), (out, out, out)):
        with pytest.raises(TypeError, match=re.escape(".value_and_derivative: out must be 2 array(s), got ")):
            elementwise.value_and_derivative(X, **values, out=wrong)
    with pytest.raises(ValueError, match="the two arrays of out share memory"):
        elementwise.value_and_derivative(X, **values, out=(out, out))
    assert (out == 7).all()


DTYPES = [
    (np.array([1j]), "complex128"),
    (np.array([1j], np.complex64), "complex64"),
    (np.array([1], np.longdouble), str(np.dtype(np.longdouble))),
    (np.array([1, None]), "object"),
    (np.array(["a"]), "<U1"),
    (np.array([b"a"]), "|S1"),
    (np.array(["2026-11-23"], "M8[D]"), "datetime64"),
    (np.array([3], "m8[s]"), "timedelta64"),
    (1j, "complex128"),
    ("relu", "<U4"),
    (None, "object"),
]


@pytest.mark.parametrize("x, name", DTYPES, ids=[name for _, name in DTYPES])
def test_bad_dtypes(activation, x, name):
    values = testing.values_of(activation, None)
    for operation in activation.operations():
        out = np.full(np.shape(x), 7.0)
        keywords = {} if operation.outputs == 2 else {"out": out}
        with pytest.raises(TypeError, match=re.escape(f"{operation.label}: {operation.inputs[0]} must be float32 or "
                                                      f"float64, got {name}")) as caught:
            operation(*(x,) * len(operation.inputs), **values, **keywords)
        assert "; " in str(caught.value)  # what to do
        assert (out == 7).all()


def test_bad_dtype_argument(activation):
    values = testing.values_of(activation, None)
    with pytest.raises(TypeError, match="dtype must be float32 or float64, got complex128"):
        activation(X, **values, dtype=complex)


def test_ragged_list(activation):
    values = testing.values_of(activation, None)
    with pytest.raises(TypeError, match=f"{activation.name}: x must be array_like, got list"):
        activation([[1, 2], [3]], **values)


def test_unknown_keyword(activation):
    values = testing.values_of(activation, None)
    with pytest.raises(TypeError, match=f"{activation.name}: unknown keyword 'slop'; it takes x, "):
        activation(X, **values, slop=1)


def test_too_many_arguments(activation):
    with pytest.raises(TypeError, match=f"{activation.name}: takes at most . positional arguments"):
        activation(X, 0.1, 0, 0, 0)


def test_missing_arguments(activation):
    with pytest.raises(TypeError, match=f"{activation.name}: x is missing"):
        activation()
    with pytest.raises(TypeError, match=f"{activation.name}.backward: x is missing"):
        activation.backward(X)
    for name, default in activation.parameters.items():
        if not isinstance(default, float):
            with pytest.raises(TypeError, match=f"{activation.name}: {name} is missing"):
                activation(X)
            with pytest.raises(TypeError, match=f"{activation.name}: {name} is missing"):
                activation(X[::2])


def test_argument_given_twice(elementwise):
    for name in elementwise.parameters:
        with pytest.raises(TypeError, match=f"{elementwise.name}: {name} was given twice"):
            elementwise(X, 0.1, **{name: 0.1})


def test_shapes_that_do_not_broadcast(activation):
    values = testing.values_of(activation, None)
    with pytest.raises(ValueError, match=re.escape(
            f"{activation.name}.backward: grad has shape (3, 5), x has shape (3, 4), which do not broadcast")):
        activation.backward(np.ones((3, 5), np.float32), X, **values)


@pytest.mark.parametrize("axis, error, text", [
    (2, AxisError, "axis 2 is out of bounds for x of shape (3, 4)"),
    (-3, AxisError, "axis -3 is out of bounds for x of shape (3, 4)"),
    ((0, 5), AxisError, "axis 5 is out of bounds"),
    ((0, 0), ValueError, "axis (0, 0) names an axis twice"),
    ((1, -1), ValueError, "axis (1, -1) names an axis twice"),
    (1.0, TypeError, "axis must be an integer, a tuple of them or None, got 1.0"),
    ("rows", TypeError, "axis must be an integer, a tuple of them or None, got 'rows'"),
    (True, TypeError, "axis must be an integer, a tuple of them or None, got True"),
])
def test_bad_axes(axiswise, axis, error, text):
    for operation in axiswise.operations():
        out = np.full_like(X, 7)
        with pytest.raises(error, match=re.escape(f"{operation.label}: {text}")):
            operation(*(X,) * len(operation.inputs), axis=axis, out=out)
        assert (out == 7).all()


def test_bad_channels(elementwise):
    for name in elementwise.parameters:
        with pytest.raises(ValueError, match=re.escape(
                f"{elementwise.name}: {name} has shape (5,), x has 4 channels along axis 1")):
            elementwise(X, np.ones(5), axis=1)
        with pytest.raises(ValueError, match=f"{elementwise.name}: {name} must be a number or 1-D where axis is given"):
            elementwise(X, np.ones((3, 4)), axis=1)
        with pytest.raises(AxisError, match="axis 2 is out of bounds"):
            elementwise(X, np.ones(4), axis=2)


def test_jacobian_needs_an_axis(axiswise):
    with pytest.raises(ValueError, match=f"{axiswise.name}.jacobian: x must have at least one axis"):
        axiswise.jacobian(1.0)


def test_what_an_activation_does_not_have(axiswise, elementwise):
    assert not hasattr(axiswise, "derivative") and not hasattr(elementwise, "jacobian")
    with pytest.raises(AttributeError, match=f"{axiswise.name} has no derivative"):
        axiswise.derivative  # noqa: B018


def test_activations_cannot_be_changed(activation):
    with pytest.raises(AttributeError, match=f"{activation.name}: activations cannot be changed"):
        activation.name = "other"
    with pytest.raises(AttributeError, match=f"{activation.name}: activations cannot be changed"):
        del activation.name
