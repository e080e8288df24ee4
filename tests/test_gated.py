"""Gated activations: two arrays or one that holds both, their two gradients, and the parameters."""

import inspect
import itertools
import math
import pickle
import re
from functools import cache

import mpmath
import numpy as np
import pytest
from conftest import every_implementation
from mpmath_math import exact
from numpy.exceptions import AxisError

from pyactx._reference import BOOK

pytestmark = every_implementation

NAMES = [name for name, definition in BOOK.items() if definition.kind == "gated" and not definition.composed]
INF = math.inf
NAN = math.nan


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def numbers(seed, *shape, scale=1.0):
    """Return normally distributed numbers that are float32 and float64 alike, so that both have the same truth."""
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(np.float32).astype(np.float64)


def message(text):
    return "^" + re.escape(text) + "$"


# ---- Values and gradients: the formulas in mpmath, derivatives by differences ----------------------------------------


def sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def silu(x, beta=1):
    return x * sigmoid(beta * x)


def gelu(x):
    return x * mpmath.erfc(-x / mpmath.sqrt(2)) / 2


def gelu_tanh(x):
    return x / 2 * (1 + mpmath.tanh(mpmath.sqrt(2 / mpmath.pi) * (x + mpmath.mpf("0.044715") * x**3)))


def limited(value, low, high):
    return max(low, min(value, high))


GPT_OSS = mpmath.mpf("1.702")

TRUTH = {
    "bilinear_glu": lambda gate, up: gate * up,
    "sigmoid_glu": lambda gate, up: sigmoid(gate) * up,
    "reglu": lambda gate, up: max(gate, 0) * up,
    "geglu": lambda gate, up: gelu(gate) * up,
    "geglu_tanh": lambda gate, up: gelu_tanh(gate) * up,
    "geglu_quick": lambda gate, up: silu(gate, mpmath.mpf("1.702")) * up,
    "swiglu": lambda gate, up, beta=1: silu(gate, beta) * up,
    "swiglu_oai": lambda gate, up, alpha=GPT_OSS, limit=7: (
        silu(min(gate, limit), alpha) * (limited(up, -limit, limit) + 1)),
}
CASES = [(name, ()) for name in NAMES] + [
    ("swiglu", (0.5,)), ("swiglu", (1.702,)), ("swiglu", (-0.25,)), ("swiglu", (0.0,)),
    ("swiglu_oai", (1.0, 3.5)), ("swiglu_oai", (0.5, 1.25))]


def test_every_gated_activation_has_a_formula_here(activations):
    assert set(TRUTH) == {name for name in NAMES if activations[name].kind == "gated"}


@cache
def points():
    """Return gate and up: usual ones, tails, and all pairs around the bounds and kinks, none of which they meet."""
    around = [-12.0, -7.5, -3.0, -1.3, -0.5, -1e-3, 1e-3, 0.7, 1.2, 2.9, 6.9, 7.1, 20.0]
    pairs = np.array(list(itertools.product(around, around))).astype(np.float32).astype(np.float64)
    tails = np.array([[-80.0, 3.0], [80, 3], [-30.5, -2], [1e-20, 1e5], [-1e-30, 2], [40, -1e10]])
    usual = numbers(1, 60, 2, scale=3)
    return np.concatenate([usual, pairs, tails.astype(np.float32).astype(np.float64)]).T


@cache
def truth(name, parameters):
    """Return the value, and its derivatives by gate, by up and by the parameters, from central differences."""
    formula, step = TRUTH[name], mpmath.mpf(10) ** -40
    given = list(parameters) or [value for value in BOOK[name].parameters.values()]
    with mpmath.workdps(160):
        rows = []
        for gate, up in zip(*map(exact, points())):
            arguments = [gate, up, *map(mpmath.mpf, given)]
            values = [formula(*arguments)]
            for k, at in enumerate(arguments):
                moved = step * (abs(at) or 1)
                ahead, back = ([*arguments[:k], at + sign * moved, *arguments[k + 1 :]] for sign in (1, -1))
                values.append((formula(*ahead) - formula(*back)) / (2 * moved))
            rows.append([float(value) for value in values])
    return np.array(rows).T


@pytest.mark.parametrize("name, parameters", CASES)
def test_values_and_gradients(activations, name, parameters, dtype):
    activation = activations[name]
    given = tuple(float(np.dtype(dtype).type(value)) for value in parameters)
    if not given and activation.parameters and dtype == "float32":  # the defaults are rounded too
        given = tuple(float(np.float32(value)) for value in activation.parameters.values() if isinstance(value, float))
    value, by_gate, by_up, *by_parameters = truth(name, given)
    gate, up = points().astype(dtype)
    # float32 is rounded once; near a root of the derivative there is what its terms leave.
    size = np.finfo(dtype).smallest_subnormal + (1e-15 * np.maximum(1, np.abs(up)) if dtype == "float64" else 1e-15)
    rtol = 0.51 * 2**-23 if dtype == "float32" else 3e-15

    def check(result, expected):
        assert result.dtype == dtype
        error = np.abs(result - expected)
        allowed = rtol * np.abs(expected) + np.where(np.abs(expected) < 1e-8 * np.abs(up), 0, size)
        allowed = np.maximum(allowed, 3e-12 * np.abs(expected) if dtype == "float64" else 0)
        wrong = ~(error <= allowed + np.finfo(dtype).smallest_subnormal)
        assert not wrong.any(), np.stack([gate, up, result, expected])[:, wrong]

    check(activation(gate, up, *parameters), value)
    grad = np.full_like(gate, 1)
    for result, expected in zip(activation.backward(grad, gate, up, *parameters), (by_gate, by_up), strict=True):
        check(result, expected)
    scaled = activation.backward(grad * -2, gate, up, *parameters)
    for result, expected in zip(scaled, activation.backward(grad, gate, up, *parameters)):
        np.testing.assert_array_equal(result, -2 * expected)
    for k, parameter in enumerate(activation.parameters if by_parameters else ()):
        columns = [np.full_like(gate, value) for value in (parameters or given or activation.parameters.values())]
        gradient = activation.parameter_gradients(grad, gate, up, *columns)[parameter]
        np.testing.assert_allclose(gradient, by_parameters[k], rtol=1e-6 if dtype == "float32" else 1e-12,
                                   atol=1e-14 + np.finfo(dtype).smallest_subnormal)


def test_gradients_of_parameters_are_reduced(activations, dtype):
    grad, gate, up = (numbers(seed, 4, 5).astype(dtype) for seed in (2, 3, 4))
    for name, shapes in (("swiglu", [((),), ((5,),), ((4, 1),), ((1, 1),)]),
                         ("swiglu_oai", [((), ()), ((5,), (4, 1)), ((1,), ())])):
        activation = activations[name]
        for given in shapes:
            parameters = [np.full(shape, value, dtype) for shape, value in zip(given, (1.5, 0.5))]
            full = [np.ascontiguousarray(np.broadcast_to(value, gate.shape)) for value in parameters]
            gradients = activation.parameter_gradients(grad, gate, up, *parameters)
            each = activation.parameter_gradients(grad, gate, up, *full)
            assert list(gradients) == list(activation.parameters)
            for (parameter, gradient), shape in zip(gradients.items(), given):
                assert gradient.dtype == dtype and gradient.shape == shape
                total = each[parameter].astype(np.float64)
                for k in range(2):
                    if len(shape) < 2 - k or shape[k - 2] == 1:
                        total = total.sum(axis=k, keepdims=True)
                np.testing.assert_allclose(gradient, total.reshape(shape), rtol=1e-5, atol=1e-6)
    along = activations["swiglu"].parameter_gradients(grad, gate, up, np.ones(4, dtype), axis=0)["beta"]
    np.testing.assert_array_equal(
        along, activations["swiglu"].parameter_gradients(grad, gate, up, np.ones((4, 1), dtype))["beta"][:, 0])


def test_clamps_of_swiglu_oai(activations, dtype):
    activation = activations["swiglu_oai"]
    gate = np.array([6, 7, 8, 100, INF, 2, 2, 2, 2, 2, 2], dtype)
    up = np.array([2, 2, 2, 2, 2, 6, 7, 8, -7, -8, INF], dtype)
    y = activation(gate, up)
    assert y[1] == y[2] == y[3] == y[4] and y[6] == y[7] == y[10] and y[8] == y[9]
    by_gate, by_up = activation.backward(np.ones_like(gate), gate, up)
    assert (by_gate == 0).tolist() == [False, True, True, True, True, *[False] * 6]  # at the bound, 0
    assert (by_up == 0).tolist() == [*[False] * 5, False, True, True, True, True, True]
    tight = activation(gate, up, limit=2.0)
    np.testing.assert_allclose(tight, [float(silu(mpmath.mpf(2), mpmath.mpf(float(np.dtype(dtype).type(1.702)))))
                                       * (min(max(value, -2), 2) + 1) for value in up.tolist()], rtol=1e-6)
    assert activation(np.array([0, 5], dtype), np.array([0, -1], dtype)).tolist() == [0, 0]  # up + 1 is 0
    assert activation(np.array([1], dtype), np.array([0], dtype))[0] > 0
    limit = activation.parameter_gradients(np.ones_like(gate), gate, up, 1.702, np.full_like(gate, 7))["limit"]
    assert (limit == 0).tolist() == [True, True, False, False, False, True, True, False, True, False, False]


def test_kinks(activations, dtype):
    gate, up, grad = np.zeros(3, dtype), np.array([2, -3, 0], dtype), np.ones(3, dtype)
    by_gate, by_up = activations["reglu"].backward(grad, gate, up)
    assert by_gate.tolist() == [0, 0, 0] and by_up.tolist() == [0, 0, 0]
    by_gate, by_up = activations["bilinear_glu"].backward(grad, gate, up)
    assert by_gate.tolist() == up.tolist() and by_up.tolist() == [0, 0, 0]
    for name, slope in (("swiglu", 0.5), ("geglu", 0.5), ("geglu_tanh", 0.5), ("geglu_quick", 0.5)):
        by_gate, by_up = activations[name].backward(grad, gate, up)
        np.testing.assert_array_equal(by_gate, slope * up)
        assert by_up.tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", NAMES)
def test_nan_in_either(activations, name, dtype):
    activation = activations[name]
    for n in (1, 7, 16, 33):
        for place in (0, n // 2, n - 1):
            for which in (0, 1):
                arrays = [np.ones(n, dtype), np.ones(n, dtype)]
                arrays[which][place] = NAN
                alone = np.arange(n) == place
                np.testing.assert_array_equal(np.isnan(activation(*arrays)), alone)
                by_gate, by_up = activation.backward(np.ones(n, dtype), *arrays)
                if which == 0 or name != "bilinear_glu":
                    assert np.isnan((by_gate, by_up)[1 - which])[place] or which
                assert not np.isnan(by_gate[~alone]).any() and not np.isnan(by_up[~alone]).any()
                if which == 0:  # both depend on the gate, except for a product
                    assert np.isnan(by_up[place]) and (name == "bilinear_glu" or np.isnan(by_gate[place]))
                else:
                    assert np.isnan(by_gate[place])


# ---- The choice of an approximation ----------------------------------------------------------------------------------


def test_approximate(activations, dtype):
    gate, up, grad = (numbers(seed, 3, 7).astype(dtype) for seed in (5, 6, 7))
    geglu = activations["geglu"]
    assert geglu.parameters["approximate"] == "none"
    for argument, name in (("none", "geglu"), ("tanh", "geglu_tanh"), ("sigmoid", "geglu_quick")):
        other = activations[name]
        for operation, inputs in (("forward", (gate, up)), ("backward", (grad, gate, up))):
            expected = other.named(operation)(*inputs)
            run = geglu.named(operation)
            for got in (run(*inputs, approximate=argument), run(*inputs, argument)):
                for a, b in zip(np.atleast_3d(got), np.atleast_3d(expected), strict=True):
                    assert same(np.ascontiguousarray(a), np.ascontiguousarray(b))
        out = np.empty_like(gate)
        assert geglu(gate, up, approximate=argument, out=out) is out and same(out, other(gate, up))
        both = np.concatenate([gate, up], axis=-1)
        assert same(geglu.packed(both, gate="first", approximate=argument), other(gate, up))
    values = [geglu(gate, up, approximate=argument) for argument in ("none", "tanh", "sigmoid")]
    assert all((a != b).any() for a, b in itertools.combinations(values, 2))


@pytest.mark.parametrize("wrong", ["erf", "TANH", "", None, True, False, 1])
def test_bad_approximate(activations, wrong):
    gate = np.ones(3)
    text = f"approximate must be one of 'none', 'tanh', 'sigmoid', got {wrong!r}"
    with pytest.raises(ValueError, match=message(f"geglu: {text}")):
        activations["geglu"](gate, gate, approximate=wrong)
    with pytest.raises(ValueError, match=message(f"geglu.backward: {text}")):
        activations["geglu"].backward(gate, gate, gate, wrong)


# ---- out, broadcasting, layouts --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_out(activations, name, dtype):
    activation = activations[name]
    grad, gate, up = (numbers(seed, 5, 33).astype(dtype) for seed in (8, 9, 10))
    value, (by_gate, by_up) = activation(gate, up), activation.backward(grad, gate, up)
    out = np.empty_like(gate)
    assert activation(gate, up, out=out) is out and same(out, value)
    for which in (0, 1):  # in place
        arrays = [gate.copy(), up.copy()]
        assert activation(*arrays, out=arrays[which]) is arrays[which] and same(arrays[which], value)
        arrays = [gate[::-1].copy()[::-1], up[:, ::-1].copy()[:, ::-1]]
        activation(*arrays, out=arrays[which])
        np.testing.assert_array_equal(arrays[which], value)
    for first, second in itertools.permutations(range(3), 2):
        arrays = [grad.copy(), gate.copy(), up.copy()]
        results = activation.backward(*arrays, out=(arrays[first], arrays[second]))
        assert results[0] is arrays[first] and results[1] is arrays[second]
        assert same(results[0], by_gate) and same(results[1], by_up)
        shifted = np.empty((2, *gate.shape), dtype)
        shifted[:] = (grad, gate)
        results = activation.backward(shifted[0], shifted[1], up, out=(shifted[1], shifted[0]))
        assert same(results[0], by_gate) and same(results[1], by_up)
    for given in ((None, None), (np.empty_like(gate), None), (None, np.empty_like(gate))):
        results = activation.backward(grad, gate, up, out=given)
        assert same(results[0], by_gate) and same(results[1], by_up)
        assert all(a is None or a is b for a, b in zip(given, results))
    strided = np.empty((*gate.shape, 2), dtype)
    activation.backward(grad, gate, up, out=(strided[..., 0], strided[..., 1]))
    np.testing.assert_array_equal(strided, np.stack([by_gate, by_up], axis=-1))


@pytest.mark.parametrize("name", NAMES)
def test_broadcasting(activations, name, dtype):
    """gate, up and grad each broadcast; the gradients are of the common shape."""
    activation = activations[name]
    for gate_shape, up_shape in [((4, 5), (5,)), ((5,), (4, 5)), ((4, 1), (1, 5)), ((), (4, 5)), ((3, 1, 5), (4, 1)),
                                 ((1,), (6,)), ((0, 3), (3,))]:
        gate, up = numbers(11, *gate_shape).astype(dtype), numbers(12, *up_shape).astype(dtype)
        gate, up = np.asarray(gate, dtype), np.asarray(up, dtype)
        shape = np.broadcast_shapes(gate_shape, up_shape)
        full = [np.ascontiguousarray(np.broadcast_to(a, shape)) for a in (gate, up)]
        assert same(activation(gate, up), activation(*full))
        grad = numbers(13, *shape[-1:]).astype(dtype)
        wide = np.ascontiguousarray(np.broadcast_to(grad, shape))
        for a, b in zip(activation.backward(grad, gate, up), activation.backward(wide, *full), strict=True):
            assert same(a, b)
    x = numbers(14, 6).astype(np.float32)
    assert activation(x, 0.3).dtype == activation(2, x).dtype == np.float32
    assert same(activation(x, 0.3), activation(x, np.full_like(x, 0.3)))
    assert activation(x, np.ones(6)).dtype == np.float64
    assert isinstance(activation(1.0, 2.0), np.float64)
    assert all(isinstance(g, np.float64) for g in activation.backward(1.0, 1.0, 2.0))


@pytest.mark.parametrize("name", ["swiglu", "swiglu_oai"])
def test_array_parameters(activations, name, dtype):
    """One for each element, along an axis, or broadcast: the bits of a number."""
    activation = activations[name]
    grad, gate, up = (numbers(seed, 3, 40, scale=3).astype(dtype) for seed in (15, 16, 17))
    first = np.array([0.5, 1, 2], dtype)
    for given, keywords in ((first[:, None], {}), (first, {"axis": 0}),
                            (np.ascontiguousarray(np.broadcast_to(first[:, None], gate.shape)), {})):
        whole, both = activation(gate, up, given, **keywords), activation.backward(grad, gate, up, given, **keywords)
        for row in range(3):
            assert same(whole[row], activation(gate[row], up[row], float(first[row])))
            for a, b in zip(both, activation.backward(grad[row], gate[row], up[row], float(first[row]))):
                assert same(a[row], b)


# ---- Packed ----------------------------------------------------------------------------------------------------------


def pack(gate, up, axis, first, layout):
    """Return the array that holds both, written out."""
    parts = (gate, up) if first == "first" else (up, gate)
    if layout == "halves":
        return np.concatenate(parts, axis=axis)
    shape = list(gate.shape)
    place = axis % gate.ndim
    shape[place] *= 2
    return np.ascontiguousarray(np.stack(parts, axis=place + 1).reshape(shape))


FORMS = list(itertools.product([-1, 0, 1, 2, -2], ["first", "last"], ["halves", "interleaved"]))


@pytest.mark.parametrize("axis, first, layout", FORMS)
@pytest.mark.parametrize("name", NAMES)
def test_packed(activations, name, axis, first, layout, dtype):
    """Bit for bit the form of two arrays."""
    activation = activations[name]
    grad, gate, up = (numbers(seed, 3, 4, 5).astype(dtype) for seed in (18, 19, 20))
    form = {"axis": axis, "gate": first, "layout": layout}
    x = pack(gate, up, axis, first, layout)
    value = activation(gate, up)
    assert same(activation.packed(x, **form), value)
    out = np.empty_like(value)
    assert activation.packed(x, **form, out=out) is out and same(out, value)
    gradients = pack(*activation.backward(grad, gate, up), axis, first, layout)
    gradient = activation.packed.backward(grad, x, **form)
    assert gradient.shape == x.shape and same(gradient, gradients)
    out = np.full_like(x, 7)
    assert activation.packed.backward(grad, x, **form, out=out) is out and same(out, gradients)
    assert activation.packed.backward(grad, x, **form, out=x) is x and same(x, gradients)  # in place
    turned = np.asfortranarray(pack(gate, up, axis, first, layout))
    np.testing.assert_array_equal(activation.packed(turned, **form), value)
    assert same(np.ascontiguousarray(activation.packed.backward(grad, turned, **form)), gradients)


def test_packed_parameters(activations, dtype):
    gate, up, grad = (numbers(seed, 3, 4).astype(dtype) for seed in (21, 22, 23))
    x = pack(gate, up, -1, "first", "interleaved")
    for name, keywords in (("swiglu", {"beta": 1.5}), ("swiglu_oai", {"alpha": 1.2, "limit": 0.8})):
        given = tuple(keywords.values())
        packed = activations[name].packed
        expected = activations[name](gate, up, *given)
        assert same(packed(x, *given, gate="first", layout="interleaved"), expected)
        assert same(packed(x, **keywords, gate="first", layout="interleaved"), expected)
        gradients = pack(*activations[name].backward(grad, gate, up, *given), -1, "first", "interleaved")
        assert same(packed.backward(grad, x, *given, gate="first", layout="interleaved"), gradients)
        assert same(packed.backward(grad, x, **keywords, gate="first", layout="interleaved"), gradients)


def test_packed_array_likes(activations):
    swiglu = activations["swiglu"]
    expected = swiglu(np.array([1.0, 2]), np.array([3.0, 4]))
    np.testing.assert_array_equal(swiglu.packed([1, 2, 3, 4], gate="first"), expected)
    np.testing.assert_array_equal(swiglu.packed([3.0, 4, 1, 2], gate="last"), expected)
    x = np.array([1, 2, 3, 4], np.int16)
    assert swiglu.packed(x, gate="first").dtype == np.float32
    gradient = swiglu.packed.backward(1.0, x, gate="first")
    assert gradient.dtype == np.float32 and gradient.shape == (4,)
    assert swiglu.packed(np.empty((3, 0), np.float32), gate="first").shape == (3, 0)
    assert swiglu.packed.backward(np.empty((3, 0)), np.empty((3, 0)), gate="first").shape == (3, 0)


def test_packed_dtypes_of_the_gradient(activations):
    """As that of two arrays: the wider of grad and x."""
    x, grad = np.ones(4, np.float32), np.ones(2)
    expected = activations["swiglu"].backward(grad, x[:2], x[2:])[0].dtype
    assert activations["swiglu"].packed.backward(grad, x, gate="first").dtype == expected == np.float64
    assert activations["swiglu"].packed.backward(grad.astype(np.float32), x, gate="first").dtype == np.float32


def test_the_order_of_the_gate_matters(activations):
    x = np.array([1.0, 2.0])
    assert activations["swiglu"].packed(x, gate="first") != activations["swiglu"].packed(x, gate="last")


@pytest.mark.parametrize("name", NAMES)
def test_pickling(activations, name):
    activation = activations[name]
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        for attribute in ("packed", "backward"):
            copied = pickle.loads(pickle.dumps(getattr(activation, attribute), protocol))
            assert copied is getattr(activation, attribute)
    backward = pickle.loads(pickle.dumps(activation.packed.backward))
    x = np.arange(4.0)
    assert same(backward(np.ones(2), x, gate="first"), activation.packed.backward(np.ones(2), x, gate="first"))
    assert repr(activation.packed) == f"<packed form of {activation!r}>"


# ---- glu -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [-1, 0, 1, 2])
def test_glu_has_its_gate_in_the_second_half(activations, axis, dtype):
    """As PyTorch, JAX and Keras: first half times sigmoid(second half)."""
    glu = activations["glu"]
    values, gate, grad = (numbers(seed, 3, 4, 5).astype(dtype) for seed in (24, 25, 26))
    x = np.concatenate([values, gate], axis=axis)
    y = glu(x, axis=axis)
    assert same(y, activations["sigmoid_glu"](gate, values)) and same(y, glu(x, axis))
    np.testing.assert_allclose(y, values / (1 + np.exp(-gate.astype(np.float64))), rtol=1e-6)
    by_gate, by_values = activations["sigmoid_glu"].backward(grad, gate, values)
    gradient = glu.backward(grad, x, axis=axis)
    assert same(gradient, np.concatenate([by_values, by_gate], axis=axis))
    assert same(gradient, glu.backward(grad, x, axis))
    out = np.empty_like(values)
    assert glu(x, axis, out=out) is out and same(out, y)
    assert glu.backward(grad, x, axis, out=x) is x and same(x, gradient)


def test_glu_of_torch(activations):
    """torch.nn.functional.glu(torch.tensor([[1., 2., 3., 4.]])) and its gradient."""
    x = np.array([[1, 2, 3, 4]], np.float32)
    np.testing.assert_allclose(activations["glu"](x), [[0.95257413, 1.9640275]], rtol=1e-6)
    np.testing.assert_allclose(activations["glu"].backward(np.ones((1, 2), np.float32), x),
                               [[0.95257413, 0.98201376, 0.04517666, 0.03532541]], rtol=1e-6)


# ---- Errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_bad_packed_arguments(activations, name):
    packed = activations[name].packed
    x, grad = np.ones((2, 4), np.float32), np.ones((2, 2), np.float32)
    out = np.full((2, 4), 7, np.float32)

    def backward(x, **keywords):
        return packed.backward(grad, x, out=out, **keywords)

    for label, call in ((f"{name}.packed", packed), (f"{name}.packed.backward", backward)):
        for keywords, error, text in [
            ({}, TypeError, "gate is missing; say whether the gate comes 'first' or 'last'"),
            ({"gate": "second"}, ValueError, "gate must be 'first' or 'last', got 'second'"),
            ({"gate": True}, ValueError, "gate must be 'first' or 'last', got True"),
            ({"gate": None}, ValueError, "gate must be 'first' or 'last', got None"),
            ({"gate": "last", "layout": "rows"}, ValueError, "layout must be 'halves' or 'interleaved', got 'rows'"),
            ({"gate": "last", "layout": None}, ValueError, "layout must be 'halves' or 'interleaved', got None"),
            ({"gate": "first", "axis": 2}, AxisError, "axis 2 is out of bounds for x of shape (2, 4)"),
            ({"gate": "first", "axis": (0, 1)}, TypeError, "axis must be one integer, got (0, 1)"),
            ({"gate": "first", "axis": None}, TypeError, "axis must be one integer, got None"),
            ({"gate": "first", "axis": 1.0}, TypeError, "axis must be an integer, a tuple of them or None, got 1.0"),
        ]:
            with pytest.raises(error, match=message(f"{label}: {text}")):
                call(x, **keywords)
        for shape, axis in (((2, 3), -1), ((3, 2), 0), ((1,), 0)):
            text = f"x has {shape[axis]} elements along axis {axis}, an odd number, which does not split in two"
            with pytest.raises(ValueError, match=message(f"{label}: {text}")):
                call(np.ones(shape, np.float32), axis=axis, gate="first")
        with pytest.raises(ValueError, match=message(f"{label}: x must have at least one axis, it has shape ()")):
            call(1.0, gate="first")
        with pytest.raises(TypeError, match=re.escape(f"{label}: x must be float32 or float64, got complex128")):
            call(np.ones((2, 4), complex), gate="first")
    assert (out == 7).all()
    wrong = np.full((2, 2), 7, np.float32)
    with pytest.raises(ValueError, match=message(f"{name}.packed.backward: out has shape (2, 2), x has shape (2, 4)")):
        packed.backward(grad, x, gate="first", out=wrong)
    with pytest.raises(TypeError, match=f"^{name}.* out must be an array, got list"):
        packed.backward(grad, x, gate="first", out=[[7.0] * 4] * 2)
    with pytest.raises(ValueError, match=f"^{name}.*grad has shape"):
        packed.backward(np.ones((2, 3), np.float32), x, gate="first", out=out)
    with pytest.raises(TypeError, match=f"^{name}.* out has dtype int"):
        packed.backward(grad, x, gate="first", out=np.full((2, 4), 7))
    assert (wrong == 7).all() and (out == 7).all()


@pytest.mark.parametrize("name", NAMES)
def test_bad_arguments(activations, name):
    activation = activations[name]
    gate, up = np.ones((2, 3), np.float32), np.ones((2, 4), np.float32)
    with pytest.raises(ValueError, match=message(
            f"{name}: gate has shape (2, 3), up has shape (2, 4), which do not broadcast")):
        activation(gate, up)
    with pytest.raises(ValueError, match=message(
            f"{name}.backward: grad has shape (2, 4), gate has shape (2, 3), up has shape (2, 3), which do not "
            f"broadcast")):
        activation.backward(up, gate, gate)
    with pytest.raises(TypeError, match=message(f"{name}: up is missing")):
        activation(gate)
    with pytest.raises(TypeError, match=message(f"{name}.backward: up is missing")):
        activation.backward(gate, gate)
    out = np.full_like(gate, 7)
    for wrong in (out, (out,), (out, out, out)):
        count = len(wrong) if isinstance(wrong, tuple) else 1
        with pytest.raises(TypeError, match=message(f"{name}.backward: out must be 2 array(s), got {count}")):
            activation.backward(gate, gate, gate, out=wrong)
    with pytest.raises(ValueError, match=message(
            f"{name}.backward: the two arrays of out share memory; pass two arrays")):
        activation.backward(gate, gate, gate, out=(out, out))
    with pytest.raises(ValueError, match=message(f"{name}.backward: out has shape (2, 4), up has shape (2, 3)")):
        activation.backward(gate, gate, gate, out=(out, np.empty_like(up)))
    with pytest.raises(ValueError, match=message(f"{name}: out has shape (2, 4), up has shape (2, 3)")):
        activation(gate, gate, out=np.empty_like(up))
    assert (out == 7).all()
    for absent in ("derivative", "value_and_derivative", "backward_from_output", "jacobian"):
        with pytest.raises(AttributeError, match=f"^{name} has no {absent}"):
            getattr(activation, absent)


def test_bad_glu(activations):
    glu = activations["glu"]
    with pytest.raises(ValueError, match=r"glu.*x has 3 elements along axis -1, an odd number, which does not split"):
        glu(np.ones(3))
    with pytest.raises(ValueError, match=r"glu.*x has 3 elements along axis 0, an odd number, which does not split"):
        glu.backward(np.ones((3, 4)), np.ones((3, 4)), axis=0)
    with pytest.raises(AxisError, match=r"glu.*axis 1 is out of bounds"):
        glu(np.ones(4), axis=1)
    with pytest.raises(TypeError, match=r"^glu: unknown keyword 'gate'"):
        glu(np.ones(4), gate="first")


def test_signatures(activations):
    assert list(inspect.signature(activations["swiglu"]).parameters)[:3] == ["gate", "up", "beta"]
    assert list(inspect.signature(activations["swiglu"].backward).parameters)[:4] == ["grad", "gate", "up", "beta"]
    assert next(iter(inspect.signature(activations["swiglu"].packed).parameters)) == "x"
    assert activations["swiglu"].kind == "gated" and activations["glu"].kind == "gated"
