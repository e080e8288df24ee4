"""Bad input: the error says who, what is wrong, what was given and what to do, and out is as it was."""

import inspect
import re

import numpy as np
import pytest
from conftest import builtin
from numpy.exceptions import AxisError

from pyactx import testing
from pyactx._definition import BOOK
from pyactx.activation import METHODS

X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)


def arrays_of(activation, operation, values):
    """Return arrays for an operation: X, and a gradient of the shape of the result."""
    result = np.shape(activation(*(X,) * len(activation.inputs), **values))
    return tuple(np.ones(result, np.float32) if name == "grad" else X for name in operation.inputs)


def read_only(shape):
    array = np.full(shape, 7, np.float32)
    array.flags.writeable = False
    return array


OUT = {
    "longer": (lambda shape: np.full((*shape[:-1], shape[-1] + 1), 7, np.float32), ValueError, None),
    "more axes": (lambda shape: np.full((2, *shape), 7, np.float32), ValueError, None),
    "no axes": (lambda shape: np.full((), 7, np.float32), ValueError, None),
    "integers": (lambda shape: np.full(shape, 7, np.int32), TypeError, "out has dtype int32, to which float32 is not "
                 "cast under the rule 'same_kind'; use an array of float32"),
    "booleans": (lambda shape: np.full(shape, True), TypeError, "out has dtype bool"),
    "read-only": (read_only, ValueError, "out is read-only; pass a copy of it, or an array of your own"),
    "list": (lambda shape: np.full(shape, 7.0).tolist(), TypeError, "out must be an array, got list"),
    "number": (lambda shape: 7.0, TypeError, "out must be an array, got float"),
}


def test_bad_out_is_untouched(activation):
    values = testing.values_of(activation, None)
    for operation in activation.operations():
        arrays = arrays_of(activation, operation, values)
        shape = testing.as_tuple(operation(*arrays, **values))[0].shape
        of = f"(the result|{operation.inputs[-1]})"
        for make, error, text in OUT.values():
            out = make(shape)
            message = re.escape(text) if text else (
                re.escape(f"out has shape {np.shape(out)}, ") + of + re.escape(f" has shape {shape}"))
            before = np.array(out)
            given = (out, np.empty_like(X)) if operation.outputs == 2 else out
            with pytest.raises(error, match=f"^{re.escape(operation.label)}: {message}"):
                operation(*arrays, **values, out=given)
            assert (np.array(out) == before).all()


def test_two_results_need_two_arrays(activation):
    values = testing.values_of(activation, None)
    for operation in activation.operations():
        if operation.outputs == 2:
            arrays = arrays_of(activation, operation, values)
            out = np.full_like(X, 7)
            for wrong in (out, (out,), (out, out, out)):
                with pytest.raises(TypeError, match=re.escape(f"{operation.label}: out must be 2 array(s), got ")):
                    operation(*arrays, **values, out=wrong)
            with pytest.raises(ValueError, match="the two arrays of out share memory"):
                operation(*arrays, **values, out=(out, out))
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


def test_bad_dtypes(activation):
    values = testing.values_of(activation, None)
    for operation in activation.operations():
        who = f"^{re.escape(operation.label)}: ({'|'.join(operation.inputs)})"
        for x, name in DTYPES:
            out = np.full(np.shape(x), 7.0)
            keywords = {} if operation.outputs == 2 else {"out": out}
            with pytest.raises(TypeError, match=f"{who} must be float32 or float64, got {re.escape(name)}") as caught:
                operation(*(x,) * len(operation.inputs), **values, **keywords)
            assert "; " in str(caught.value)  # what to do
            assert (out == 7).all()


def test_bad_dtype_argument(activation):
    values = testing.values_of(activation, None)
    with pytest.raises(TypeError, match=f"{activation.name}: dtype must be float32 or float64, got complex128"):
        activation(*(X,) * len(activation.inputs), **values, dtype=complex)


def test_ragged_list(activation):
    values = testing.values_of(activation, None)
    with pytest.raises(TypeError, match=f"{activation.name}: {activation.inputs[0]} must be array_like, got list"):
        activation(*([[1, 2], [3]],) * len(activation.inputs), **values)


def test_unknown_keyword(activation):
    values = testing.values_of(activation, None)
    for operation in activation.operations():
        with pytest.raises(TypeError, match=re.escape(
                f"{operation.label}: unknown keyword 'slop'; it takes {operation.inputs[0]}, ")):
            operation(*(X,) * len(operation.inputs), **values, slop=1)


def test_too_many_arguments(activation):
    most = len(activation.argument_names)
    with pytest.raises(TypeError, match=rf"^{activation.name}: takes at most {most} positional arguments \("
                                        rf"{', '.join(activation.argument_names)}\), {most + 1} were given"):
        activation(*(X,) * (most + 1))


def test_missing_arguments(activation):
    arrays = (X,) * len(activation.inputs)
    with pytest.raises(TypeError, match=f"{activation.name}: {activation.inputs[0]} is missing"):
        activation()
    with pytest.raises(TypeError, match=f"{activation.name}.backward: {activation.inputs[0]} is missing"):
        activation.backward(X)
    required = [name for name, default in activation.parameters.items() if default is inspect.Parameter.empty]
    for name in required:
        others = {other: 0.25 for other in required if other != name}
        for given in (arrays, tuple(a[::2] for a in arrays)):
            with pytest.raises(TypeError, match=f"{activation.name}: {name} is missing"):
                activation(*given, **others)
            with pytest.raises(TypeError, match=f"{activation.name}: {name} is missing"):
                activation(*given, **others, **{name: None})


def test_none_is_the_default(activation):
    """What other libraries pass for a parameter that is not used."""
    arrays, values = (X,) * len(activation.inputs), testing.values_of(activation, None)
    for name in activation._definition.parameters:
        if name in activation.defaults:
            testing.same_bits(activation, f"{name}=None is not the default", activation(*arrays, **values),
                              activation(*arrays, **{**values, name: None}))


def test_argument_given_twice(activation):
    arrays = (X,) * len(activation.inputs)
    for k, name in enumerate(activation.argument_names[len(arrays):]):
        with pytest.raises(TypeError, match=f"{activation.name}: {name} was given twice"):
            activation(*arrays, *(0.1,) * (k + 1), **{name: 0.1})


@pytest.mark.parametrize("name", builtin(composed=False))
def test_shapes_that_do_not_broadcast(activations, name):
    activation = activations[name]
    values = testing.values_of(activation, None)
    last = activation.inputs[-1]
    grad = np.ones((3, 5), np.float32)
    with pytest.raises(ValueError) as caught:
        activation.backward(grad, *(X,) * len(activation.inputs), **values)
    told = str(caught.value)
    assert re.match(rf"{name}\.backward: grad has shape \(3, 5\)[,;] ", told)
    if activation._definition.reduces:
        assert told.endswith("one value for each row of x of shape (3, 4)")
    else:
        assert told.endswith(f"{last} has shape (3, 4), which do not broadcast")


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


WITH_PARAMETERS = [name for name, definition in BOOK.items()
                   if definition.parameters and definition.kind in ("elementwise", "gated") and not definition.composed]


@pytest.mark.parametrize("name", WITH_PARAMETERS)
def test_bad_channels(activations, name):
    activation = activations[name]
    arrays, last = (X,) * len(activation.inputs), activation.inputs[-1]
    for parameter in activation._definition.parameters:
        def with_value(value, axis, parameter=parameter):
            return activation(*arrays, **{**testing.values_of(activation, None), parameter: value}, axis=axis)

        with pytest.raises(ValueError, match=re.escape(
                f"{name}: {parameter} has shape (5,), {last} has 4 channels along axis 1")):
            with_value(np.ones(5), 1)
        with pytest.raises(ValueError, match=f"{name}: {parameter} must be a number or 1-D where axis is given"):
            with_value(np.ones((3, 4)), 1)
        with pytest.raises(AxisError, match=f"{name}: axis 2 is out of bounds"):
            with_value(np.ones(4), 2)


@pytest.mark.parametrize("name", [name for name, definition in BOOK.items() if definition.domains])
def test_parameters_outside_of_their_domain(activations, name):
    activation = activations[name]
    for parameter, (is_right, wish) in BOOK[name].domains.items():
        wrong = next(value for value in (-1.0, np.nan, np.inf) if not is_right(value))
        with pytest.raises(ValueError, match=f"{name}: {parameter} must be {wish}, got {wrong!r}"):
            activation(X, **{**testing.values_of(activation, None), parameter: wrong})


def test_jacobian_needs_an_axis(axiswise):
    if axiswise._definition.reduces:
        assert not hasattr(axiswise, "jacobian")
    else:
        with pytest.raises(ValueError, match=f"{axiswise.name}.jacobian: x must have at least one axis"):
            axiswise.jacobian(1.0)


def test_what_an_activation_does_not_have(activation):
    for attribute in (*METHODS, "jacobian", "packed"):
        if hasattr(activation, attribute):
            assert callable(getattr(activation, attribute))
        else:
            with pytest.raises(AttributeError, match=f"^{activation.name} has no {attribute}$"):
                getattr(activation, attribute)


def test_what_a_kind_has(activation):
    has = {attribute for attribute in (*METHODS, "jacobian", "packed") if hasattr(activation, attribute)}
    kind, composed = activation.kind, activation._definition.composed
    assert "backward" in has
    of_elements = not testing.has_rows(activation) and kind != "gated"
    assert ("derivative" in has) == ("value_and_derivative" in has) == of_elements
    assert ("packed" in has) == (kind == "gated" and not composed)
    assert ("jacobian" in has) == (kind == "axiswise" and not composed and not activation._definition.reduces)


def test_activations_cannot_be_changed(activation):
    with pytest.raises(AttributeError, match=f"{activation.name}: activations cannot be changed"):
        activation.name = "other"
    with pytest.raises(AttributeError, match=f"{activation.name}: activations cannot be changed"):
        del activation.name
