"""Activations that are made of others: softmin, glu, crelu, maxout; and the matrices of derivatives of rows."""

import copy
import itertools
import pickle
import re

import numpy as np
import pytest
from conftest import every_implementation
from numpy.exceptions import AxisError

from pyactx._reference import BOOK

pytestmark = every_implementation

INF, NAN = float("inf"), float("nan")
AXES = (0, 1, 2, -1, -2, -3)


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def normal(seed, *shape, dtype="float64"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def message(text):
    return "^" + re.escape(text) + "$"


# ---- softmin ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [*AXES, (0, 2), None, ()])
def test_softmin_is_softmax_of_the_negative(activations, axis, dtype):
    softmin, softmax = activations["softmin"], activations["softmax"]
    x, grad = normal(1, 3, 4, 5, dtype=dtype), normal(2, 3, 4, 5, dtype=dtype)
    y = softmin(x, axis=axis)
    assert same(y, softmax(-x, axis=axis)) and same(y, softmin(x, axis))
    gradient = softmin.backward(grad, x, axis=axis)
    np.testing.assert_array_equal(gradient, -softmax.backward(grad, -x, axis=axis))
    assert gradient.dtype == dtype
    np.testing.assert_array_equal(softmin.backward_from_output(grad, y, axis=axis),
                                  -softmax.backward_from_output(grad, y, axis=axis))
    mask = x > -0.5
    np.testing.assert_array_equal(softmin(x, axis, where=mask), softmax(-x, axis, where=mask))
    for a, b in ((softmin(x, axis, out=np.empty_like(x)), y), (softmin(x.copy(), axis, out=x.copy()), y)):
        assert same(a, b)
    out = np.empty_like(x)
    assert softmin.backward(grad, x, axis=axis, out=out) is out and same(out, gradient)
    inside = x.copy()
    assert softmin(inside, axis, out=inside) is inside and same(inside, y)


def test_softmin_by_hand(activations, dtype):
    np.testing.assert_allclose(activations["softmin"](np.array([0, np.log(3)], dtype)), [0.75, 0.25], rtol=1e-6)
    assert activations["softmin"](np.array([INF, 1], dtype)).tolist() == [0, 1]
    assert np.isnan(activations["softmin"](np.array([-INF, 1], dtype))).all()
    assert np.isnan(activations["softmin"](np.array([INF, INF], dtype))).all()
    y = activations["softmin"](np.array([1, NAN, 2], dtype), where=[True, False, False])
    assert y.tolist() == [1, 0, 0]
    for integer in (np.uint8, np.int16, np.int64, bool):  # unsigned ones have no negative
        x = np.array([0, 1, 1], integer)
        y = activations["softmin"](x)
        assert same(y, activations["softmax"](-x.astype(y.dtype)))
    assert activations["softmin"](3.0) == 1 and activations["softmin"](True) == 1


# ---- crelu -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", AXES)
def test_crelu(activations, axis, dtype):
    crelu = activations["crelu"]
    x = normal(3, 3, 4, 5, dtype=dtype)
    expected = np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)], axis=axis)
    y = crelu(x, axis=axis)
    np.testing.assert_array_equal(y, expected)
    assert y.dtype == dtype and same(y, crelu(x, axis)) and same(y, crelu(np.asfortranarray(x), axis))
    assert same(y, crelu(x[::-1].copy()[::-1], axis))
    for out in (np.empty_like(expected), np.asfortranarray(np.empty_like(expected)),
                np.empty((*expected.shape, 2), dtype)[..., 0], np.empty(expected.shape)):
        assert crelu(x, axis, out=out) is out
        np.testing.assert_array_equal(out, expected)
    grad = normal(4, *expected.shape, dtype=dtype)
    positive, negative = np.split(grad, 2, axis=axis)
    gradient = crelu.backward(grad, x, axis=axis)
    np.testing.assert_array_equal(gradient, np.where(x > 0, positive, -negative))
    assert gradient.dtype == dtype and gradient.shape == x.shape and same(gradient, crelu.backward(grad, x, axis))
    out = np.empty_like(x)
    assert crelu.backward(grad, x, axis, out=out) is out and same(out, gradient)
    inside = x.copy()
    assert crelu.backward(grad, inside, axis, out=inside) is inside and same(inside, gradient)


def test_crelu_of_memory_that_overlaps(activations, dtype):
    whole = normal(5, 40, dtype=dtype)
    for start in (0, 3, 10, 17, 20):
        memory = whole.copy()
        x = memory[start : start + 20]
        expected = activations["crelu"](x.copy())
        assert activations["crelu"](x, out=memory) is memory and same(memory, expected)
    expected = activations["crelu"].backward(whole, whole[:20].copy())
    for start in (0, 3, 20):
        memory = whole.copy()
        out = memory[start : start + 20]
        activations["crelu"].backward(memory, whole[:20].copy(), out=out)
        assert same(out, expected)


def test_crelu_special_values(activations, dtype):
    x = np.array([0, -0.0, NAN, INF, -INF], dtype)
    np.testing.assert_array_equal(activations["crelu"](x), [0, 0, NAN, INF, 0, 0, 0, NAN, 0, INF])
    np.testing.assert_array_equal(activations["crelu"].backward(np.ones(10, dtype), x), [0, 0, NAN, 1, -1])
    assert activations["crelu"](np.empty((3, 0), dtype)).shape == (3, 0)
    assert activations["crelu"](np.empty((0, 3), dtype)).shape == (0, 6)
    assert activations["crelu"].backward(np.empty((0, 6), dtype), np.empty((0, 3), dtype)).shape == (0, 3)
    assert activations["crelu"](np.array([1, 2], np.uint8)).tolist() == [1, 2, 0, 0]
    assert activations["crelu"]([1, -2]).dtype == np.float64


def test_crelu_dtypes(activations):
    crelu = activations["crelu"]
    x = normal(6, 5)
    assert crelu(x, dtype=np.float32).dtype == np.float32
    with pytest.raises(TypeError):
        crelu(x, dtype=np.float32, casting="safe")
    assert crelu.backward(np.ones(10), x.astype(np.float32)).dtype == np.float64
    assert crelu.backward(np.ones(10, np.float32), x).dtype == np.float64


def test_crelu_errors(activations):
    crelu = activations["crelu"]
    x, grad = np.ones((2, 3), np.float32), np.ones((2, 6), np.float32)
    for axis, error, text in [(2, AxisError, "axis 2 is out of bounds for x of shape (2, 3)"),
                              ((0, 1), ValueError, None), (None, ValueError, None), ((1,), ValueError, None),
                              ("x", TypeError, "axis must be an integer, a tuple of them or None, got 'x'")]:
        text = text or f"axis must be one axis of x, which has shape (2, 3), got {axis!r}"
        with pytest.raises(error, match=message(f"crelu: {text}")):
            crelu(x, axis=axis)
        with pytest.raises(error, match=message(f"crelu.backward: {text}")):
            crelu.backward(grad, x, axis=axis)
    with pytest.raises(ValueError, match=message("crelu: axis must be one axis of x, which has shape (), got -1")):
        crelu(1.0)
    out = np.full((2, 3), 7, np.float32)
    with pytest.raises(ValueError, match=message("crelu: out has shape (2, 3), the result has shape (2, 6)")):
        crelu(x, out=out)
    with pytest.raises(ValueError, match=message("crelu.backward: out has shape (2, 6), x has shape (2, 3)")):
        crelu.backward(grad, x, out=np.empty((2, 6), np.float32))
    with pytest.raises(ValueError, match=message("crelu.backward: grad has shape (2, 3), the result has shape (2, 6)")):
        crelu.backward(x, x, out=out)
    with pytest.raises(TypeError, match=r"^crelu: out has dtype int64, to which float32 is not cast"):
        crelu(x, out=np.full((2, 6), 7))
    with pytest.raises(TypeError, match=message("crelu: out must be an array, got list")):
        crelu(x, out=[1.0])
    with pytest.raises(TypeError, match=r"^crelu: unknown keyword 'where'"):
        crelu(x, where=True)
    with pytest.raises(TypeError, match=r"^crelu.backward: grad must be float32 or float64, got complex64"):
        crelu.backward(grad * 1j, x)
    assert (out == 7).all()


# ---- maxout ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [1, 2, 3, 6])
@pytest.mark.parametrize("axis", AXES)
def test_maxout(activations, axis, pieces, dtype):
    """Groups of neighbours: the loop says which."""
    maxout = activations["maxout"]
    x = normal(7, 6, 12, 6, dtype=dtype)
    rows = np.moveaxis(x, axis, -1)
    expected, gradient = np.empty((*rows.shape[:-1], rows.shape[-1] // pieces), dtype), np.zeros_like(rows)
    grad = normal(8, *expected.shape, dtype=dtype)
    for place in np.ndindex(expected.shape):
        group = rows[place[:-1]][place[-1] * pieces : (place[-1] + 1) * pieces]
        expected[place] = max(group)
        gradient[place[:-1]][place[-1] * pieces + list(group).index(max(group))] = grad[place]
    expected, gradient, grad = (np.moveaxis(a, -1, axis) for a in (expected, gradient, grad))
    y = maxout(x, pieces, axis)
    np.testing.assert_array_equal(y, expected)
    assert y.dtype == dtype and same(y, maxout(x, pieces=pieces, axis=axis))
    assert same(y, maxout(np.asfortranarray(x), pieces, axis))
    for out in (np.empty_like(y), np.asfortranarray(np.empty_like(y)), np.empty(y.shape)):
        assert maxout(x, pieces, axis, out=out) is out
        np.testing.assert_array_equal(out, expected)
    got = maxout.backward(grad, x, pieces, axis)
    np.testing.assert_array_equal(got, gradient)
    assert got.dtype == dtype and same(got, maxout.backward(grad, np.asfortranarray(x), pieces=pieces, axis=axis))
    inside = x.copy()
    assert maxout.backward(grad, inside, pieces, axis, out=inside) is inside and same(inside, got)


def test_maxout_default(activations):
    assert activations["maxout"]([1, 2, 4, 3]).tolist() == [2, 4]
    assert activations["maxout"].parameters == {} or "pieces" not in activations["maxout"].parameters
    out = np.arange(4.0)
    assert activations["maxout"](out, out=out[:2]).tolist() == [1, 3]


def test_ties_of_maxout_share_evenly(activations, dtype):
    maxout = activations["maxout"]
    x = np.array([1, 1, 0, 2, 2, 2, -1, 0, -0.0], dtype)
    gradient = maxout.backward(np.array([6, 3, 5], dtype), x, 3)
    np.testing.assert_array_equal(gradient, [3, 3, 0, 1, 1, 1, 0, 2.5, 2.5])
    seven = maxout.backward(np.array([5], dtype), np.zeros(7, dtype), 7)  # rounded once
    assert (seven == np.dtype(dtype).type(5) / np.dtype(dtype).type(7)).all()


def test_maxout_special_values(activations, dtype):
    maxout = activations["maxout"]
    x = np.array([NAN, 1, 2, 3, -INF, -INF, INF, 0], dtype)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(maxout(x), [NAN, 3, -INF, INF])
        gradient = maxout.backward(np.ones(4, dtype), x)
        np.testing.assert_array_equal(gradient, [NAN, NAN, 0, 1, 0.5, 0.5, 1, 0])
        maxout.backward(np.array([INF, -INF, NAN, 1], dtype), x)
        maxout(np.array([1e300, -1e300]), dtype=np.float32)
        maxout.backward(np.array([1e300]), np.array([1.0, 2.0]), dtype=np.float32)
    for shape, pieces, axis, expected in [((0,), 2, -1, (0,)), ((3, 0), 2, 1, (3, 0)), ((0, 4), 2, 1, (0, 2))]:
        x = np.empty(shape, dtype)
        assert maxout(x, pieces, axis).shape == expected
        assert maxout.backward(np.empty(expected, dtype), x, pieces, axis).shape == shape


def test_maxout_dtypes(activations):
    maxout = activations["maxout"]
    x = np.float32([1, 2, 3, 4])
    assert maxout(x).dtype == np.float32 and maxout(x, dtype=np.float64).dtype == np.float64
    assert maxout(np.int16([1, 2])).dtype == np.float32 and maxout(np.int64([1, 2])).dtype == np.float64
    assert maxout.backward(np.ones(2), x).dtype == np.float64  # the wider of grad and x
    assert maxout.backward(np.ones(2, np.float32), x).dtype == np.float32
    assert maxout.backward(np.ones(2, np.float32), x.astype(np.float64)).dtype == np.float64
    with pytest.raises(TypeError):
        maxout(x.astype(np.float64), dtype=np.float32, casting="safe")


@pytest.mark.parametrize("pieces", [0, -1, 1.5, "2", True, None, 2.0, (2,)])
def test_bad_pieces(activations, pieces):
    for label, call in (("maxout", activations["maxout"]),
                        ("maxout.backward", lambda x, k: activations["maxout"].backward(x[:2], x, k))):
        with pytest.raises(ValueError, match=message(
                f"{label}: pieces must be a whole number from 1 on, got {pieces!r}")):
            call(np.ones(4), pieces)


def test_maxout_errors(activations):
    maxout = activations["maxout"]
    x, grad = np.ones((2, 6), np.float32), np.ones((2, 3), np.float32)
    assert maxout(x, np.int64(3)).shape == (2, 2)
    for pieces, axis, n in ((4, -1, 6), (3, 0, 2), (7, 1, 6)):
        text = f"x has {n} elements along axis {axis}, which is no multiple of pieces = {pieces}"
        with pytest.raises(ValueError, match=message(f"maxout: {text}")):
            maxout(x, pieces, axis)
        with pytest.raises(ValueError, match=message(f"maxout.backward: {text}")):
            maxout.backward(grad, x, pieces, axis)
    out = np.full((2, 6), 7, np.float32)
    with pytest.raises(ValueError, match=message("maxout: out has shape (2, 6), the result has shape (2, 3)")):
        maxout(x, out=out)
    with pytest.raises(ValueError, match=message(
            "maxout.backward: grad has shape (2, 6), the result has shape (2, 3)")):
        maxout.backward(x, x, out=out)
    with pytest.raises(ValueError, match=message("maxout.backward: out has shape (2, 3), x has shape (2, 6)")):
        maxout.backward(grad, x, out=grad)
    with pytest.raises(AxisError, match=message("maxout: axis 2 is out of bounds for x of shape (2, 6)")):
        maxout(x, axis=2)
    for axis in (None, (0,), (0, 1)):
        with pytest.raises(ValueError, match=message(
                f"maxout: axis must be one axis of x, which has shape (2, 6), got {axis!r}")):
            maxout(x, axis=axis)
    with pytest.raises(ValueError, match=message("maxout: axis must be one axis of x, which has shape (), got -1")):
        maxout(1.0)
    with pytest.raises(TypeError, match=r"^maxout.backward: grad must be float32 or float64, got complex64"):
        maxout.backward(grad * 1j, x)
    with pytest.raises(TypeError, match=r"^maxout: unknown keyword 'where'"):
        maxout(x, where=True)
    assert (out == 7).all() and (grad == 1).all()


# ---- Of all of them --------------------------------------------------------------------------------------------------

NAMES = ("softmin", "crelu", "maxout", "glu")


@pytest.mark.parametrize("name", NAMES)
def test_backward_is_the_change_of_the_value(activations, name):
    activation = activations[name]
    x, direction = normal(9, 3, 4, 6), normal(10, 3, 4, 6)
    step = 1e-6
    for axis in (-1, 1):
        ahead, back = (activation(x + sign * step * direction, axis=axis) for sign in (1, -1))
        grad = normal(11, *ahead.shape)
        expected = np.sum(grad * (ahead - back)) / (2 * step)
        np.testing.assert_allclose(np.sum(activation.backward(grad, x, axis=axis) * direction), expected, rtol=1e-7)


@pytest.mark.parametrize("name", ["softmin", "glu", "crelu"])
def test_a_python_number_never_widens(activations, name):
    x = normal(12, 3, 4, dtype="float32")
    if name != "crelu":
        y = activations[name](x)
        assert activations[name].backward(1.0, x).dtype == np.float32
        assert same(activations[name].backward(1.0, x), activations[name].backward(np.ones_like(y), x))
    assert activations[name]([1, 2]).dtype == np.float64


@pytest.mark.parametrize("name", NAMES)
def test_errors_say_who(activations, name):
    """The name of the composition, not of what it is made of."""
    activation = activations[name]
    x = np.ones((2, 4), np.float32)
    for operation, inputs in (("forward", (x,)), ("backward", (np.ones_like(activation(x)), x))):
        run = activation.named(operation)
        read_only = run(*inputs)
        read_only.flags.writeable = False
        for error, text, given, keywords in [
            (ValueError, "out is read-only", inputs, {"out": read_only}),
            (TypeError, "out has dtype int64", inputs, {"out": read_only.astype(np.int64)}),
            (ValueError, "out has shape (9,)", inputs, {"out": np.ones(9)}),
            (TypeError, "out must be an array, got list", inputs, {"out": [1.0]}),
            (AxisError, "axis 5 is out of bounds for x of shape (2, 4)", inputs, {"axis": 5}),
            (TypeError, "unknown keyword 'dim'; it takes ", inputs, {"dim": 1}),
            (TypeError, f"{run.inputs[0]} must be float32 or float64", [v * 1j for v in inputs], {}),
            (TypeError, f"{run.inputs[-1]} is missing", inputs[:-1], {}),
        ]:
            with pytest.raises(error, match=r"^" + re.escape(f"{run.label}: {text}")):
                run(*given, **keywords)


@pytest.mark.parametrize("name", NAMES)
def test_they_are_activations(activations, name):
    activation = activations[name]
    assert copy.copy(activation) is activation and copy.deepcopy(activation) is activation
    assert pickle.loads(pickle.dumps(activation)) is activation
    assert pickle.loads(pickle.dumps(activation.backward)) is activation.backward
    assert activation.ufunc is None and not hasattr(activation, "packed") and not hasattr(activation, "derivative")
    assert activation.name in activation.__doc__ or BOOK[name].summary in activation.__doc__
    x = normal(13, 2, 12, dtype="float32")
    reference = activation.reference
    np.testing.assert_allclose(reference(x), activation(x), rtol=1e-6)
    grad = np.ones_like(activation(x))
    np.testing.assert_allclose(reference.backward(grad, x), activation.backward(grad, x), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", NAMES)
def test_many_threads_worth_of_elements(activations, name):
    """Large arrays go through the same steps."""
    x = normal(14, 40, 3000, dtype="float32")
    y = activations[name](x)
    for row in (0, 17, 39):
        assert same(y[row], activations[name](x[row]))


# ---- The matrix of derivatives ---------------------------------------------------------------------------------------

MATRICES = [(name, {}) for name, definition in BOOK.items()
            if definition.kind == "axiswise" and not definition.reduces and not definition.composed]


@pytest.mark.parametrize("name, parameters", MATRICES)
def test_jacobian(activations, name, parameters):
    activation = activations[name]
    x = normal(15, 2, 3, 6) * 0.8
    jacobian = activation.jacobian(x)
    assert jacobian.shape == (2, 3, 6, 6) and jacobian.dtype == np.float64
    step = 1e-6
    for j in range(6):
        moved = np.zeros(6)
        moved[j] = step
        change = (activation(x + moved) - activation(x - moved)) / (2 * step)
        np.testing.assert_allclose(jacobian[..., j], change, atol=2e-9)
    single = activation.jacobian(x.astype(np.float32))
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, jacobian, atol=1e-5)
    assert same(activation.jacobian(x[0, 0]), jacobian[0, 0])
    assert activation.jacobian([1, 2]).shape == (2, 2)
    grad = normal(16, 2, 3, 6)
    np.testing.assert_allclose(activation.backward(grad, x), np.einsum("...i,...ij->...j", grad, jacobian), atol=1e-14)


def test_the_jacobians_of_probabilities(activations):
    """Rows sum to zero, and they are symmetric; that of log_softmax is 1 - p."""
    x = normal(17, 5)
    for name in ("softmax", "sparsemax", "entmax15", "entmax"):
        jacobian = activations[name].jacobian(x)
        np.testing.assert_allclose(jacobian.sum(axis=0), 0, atol=1e-15)
        np.testing.assert_allclose(jacobian, jacobian.T, atol=1e-15)
    p = activations["softmax"](x)
    np.testing.assert_allclose(activations["softmax"].jacobian(x), np.diag(p) - np.outer(p, p), atol=1e-16)
    np.testing.assert_allclose(activations["log_softmax"].jacobian(x), np.eye(5) - p, atol=1e-15)
    assert (activations["hardmax"].jacobian(x) == 0).all()


def test_reductions_and_what_joins_have_no_jacobian(activations):
    for name, definition in BOOK.items():
        if definition.reduces or name in ("crelu", "maxout", "glu", "relu", "swiglu"):
            with pytest.raises(AttributeError, match=f"^{name} has no jacobian"):
                activations[name].jacobian  # noqa: B018


def test_pairs_of_axes_commute(activations, dtype):
    """A composition along an axis is that of the transposed array along the other."""
    x = normal(18, 4, 6, dtype=dtype)
    for name, (axis, other) in itertools.product(NAMES, ((0, 1), (-1, 0))):
        np.testing.assert_array_equal(activations[name](x, axis=axis), activations[name](x.T, axis=other).T)
