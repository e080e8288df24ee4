"""Other libraries, where they are installed: agreement, and every deliberate difference by name.

Value and gradients are compared at random points, in the tails, at the kinks, at infinities and at NaN, in float32 and
float64.  Where we differ on purpose stands in DIFFERENCES; whatever else differs fails, and so does an entry that no
longer differs.
"""

import inspect
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import ACTIVATIONS
from peers import FUNCTIONS, TORCH, call_peer, functions_of, softmax_with_sink, xielu_of_transformers

import pyactx
from pyactx._reference import BOOK

DTYPES = ("float32", "float64")
RELATIVE = 512  # the tolerance, in units of eps; absolute: the smallest normal number, below which XLA has only zero
AROUND_ZERO = 16  # the absolute tolerance of gradients where one crosses zero, in units of eps

# ---- What is called --------------------------------------------------------------------------------------------------

# Parameters to compare with, where the defaults are not all: for each peer, those that its function takes.
PARAMETERS = {
    "celu": [{}, {"alpha": 0.5}, {"alpha": 3.0}],
    "elu": [{}, {"alpha": 0.5}],
    "geglu": [{}, {"approximate": "tanh"}, {"approximate": "sigmoid"}],
    "gelu": [{}, {"approximate": "tanh"}, {"approximate": "sigmoid"}],
    "glu": [{}, {"axis": 0}],
    "hard_shrink": [{}, {"lambd": 1.25}],
    "hard_sigmoid": [{}, {"alpha": 0.25, "beta": 0.25}],
    "hard_tanh": [{}, {"min_val": -0.5, "max_val": 2.0}],
    "hardmax": [{}, {"axis": 0}],
    "laplace": [{}, {"mu": -0.5, "sigma": 2.0}],
    "leaky_relu": [{}, {"negative_slope": 0.25}],
    "log_softmax": [{}, {"axis": 0}],
    "logit": [{}, {"eps": 0.125}],
    "logmeanexp": [{}, {"axis": 0}],
    "logsumexp": [{}, {"axis": 0}],
    "prelu": [{"weight": 0.25}, {"weight": -0.5}],
    "rrelu": [{}, {"lower": 0.25, "upper": 0.75}],
    "silu": [{}, {"beta": 1.5}],
    "snake": [{}, {"alpha": 0.5}],
    "snake_beta": [{}, {"alpha": 0.5, "beta": 2.0}],
    "soft_shrink": [{}, {"lambd": 1.25}],
    "softmax": [{}, {"axis": 0}, {"temperature": 4.0}, {"sink": 0.0}],
    "softmin": [{}, {"axis": 0}],
    "softplus": [{}, {"beta": 3.0}],
    "squareplus": [{}, {"b": 0.5}],
    "star_relu": [{}, {"scale": 0.75, "bias": -0.5}],
    "swiglu": [{}, {"beta": 0.5}],
    "threshold": [{"threshold": 0.5, "value": -1.0}],
    "thresholded_relu": [{}, {"alpha": 2.0}],
    "xielu": [{}, {"alpha_p": 0.25, "alpha_n": 1.5, "beta": 0.5}],
}

# What a peer has under a name of ours, and is not compared.
NOT_COMPARED = {
    ("torch", "gumbel_softmax"): "random",
    ("torch", "linear"): "a layer",
    ("torch", "threshold_"): "in place",
}

# What a peer counts among its activations, and we do not.
OTHERS = {
    "torch": {"MultiheadAttention", "Softmax2d"},
    "jax": {"dot_product_attention", "get_scaled_dot_general_config", "initializers", "log1mexp", "one_hot",
            "scaled_dot_general", "scaled_matmul", "standardize"},
}

# ---- Where we differ on purpose --------------------------------------------------------------------------------------


def is_nan(at):
    return np.isnan(at.x) | np.isnan(at.up)


def is_infinite(at):
    return np.isinf(at.x)


def is_minus_infinity(at):
    return np.isneginf(at.x)


def is_subnormal(at):
    return (at.x != 0) & (np.abs(at.x) < at.limits.tiny)


def is_huge(at):
    return np.abs(at.x) > 1e19


def row_is_infinite(at):
    return np.isposinf(at.x).any(axis=at.axis, keepdims=True) | np.zeros(at.x.shape, bool)


def row_is_nan(at):
    return np.isnan(at.x).any(axis=at.axis, keepdims=True) | np.zeros(at.x.shape, bool)


def value_is_small(at):
    return np.abs(at.y) < 0.01


# Peers, activations, operations, where, why.  `at` has the input x (and up), the parameters, the value y, and the
# limits of the dtype.
DIFFERENCES = [
    # The limit is a number, and the peer multiplies or divides infinities.
    ("scipy jax", "gelu", "forward", is_minus_infinity, "-inf * 0"),
    ("torch", "gelu geglu", "forward", is_infinite, "-inf * 0, and inf is NaN in some lanes of a vector"),
    ("torch jax", "gelu_tanh mish silu swiglu", "forward", is_minus_infinity, "-inf * 0"),
    ("torch", "hard_mish quick_gelu swiglu_oai", "forward", is_minus_infinity, "-inf * 0"),
    ("torch jax", "hard_silu", "forward", is_minus_infinity, "-inf * 0"),
    ("torch jax", "gelu gelu_tanh mish silu swiglu", "backward", is_infinite, "inf * 0"),
    ("torch", "gaussian geglu quick_gelu swiglu_oai", "backward", is_infinite, "inf * 0"),
    ("torch jax", "softsign", "forward backward", is_infinite, "inf / inf"),
    ("jax", "sparse_plus", "backward", is_infinite, "0 * inf, in the branch not taken"),
    ("jax", "squareplus", "forward", is_minus_infinity, "inf - inf"),
    ("jax", "squareplus", "backward", is_infinite, "inf / inf"),
    ("torch", "snake snake_beta", "forward", is_infinite, "sin(inf)"),
    ("torch", "xielu", "forward backward", is_minus_infinity, "inf - inf"),
    ("torch jax", "logsumexp", "backward", row_is_infinite, "NaN only where the infinity is"),
    ("jax", "logmeanexp", "backward", row_is_infinite, "NaN only where the infinity is"),
    ("scipy", "log_softmax", "forward", row_is_infinite, "-inf beside an infinity, and 0 or NaN at it"),
    # Overflow and underflow on the way.
    ("torch jax", "gelu gelu_tanh", "backward", is_huge, "x^2 overflows"),
    ("torch", "geglu", "backward", is_huge, "x^2 overflows"),
    ("jax", "squareplus", "forward backward", is_huge, "x^2 overflows"),
    ("torch", "hard_silu", "forward", is_huge, "6 x overflows"),
    ("torch", "xielu", "forward", is_huge, "a term overflows, the sum does not"),
    ("torch jax", "gelu", "backward", is_huge, "beta x overflows"),
    ("torch", "quick_gelu swiglu_oai", "backward", is_huge, "beta x overflows"),
    ("jax", "mish silu swiglu", "backward", is_huge, "x^2 overflows"),
    ("torch jax", "silu swiglu", "forward backward", lambda at: at.beta * at.x < -85,
     "exp(-x) overflows, or exp(x) is subnormal"),
    ("torch", "mish", "backward", lambda at: at.x < -85, "exp(x) is subnormal"),
    ("jax", "mish", "forward backward", lambda at: at.x < -85, "exp(x) is subnormal"),
    # Tails that cancel.
    ("torch", "gelu geglu", "forward", lambda at: at.x < -2.9, "1 + erf or 1 + tanh"),
    ("torch", "gelu geglu", "backward", lambda at: at.x < -2.9, "1 + erf or 1 + tanh"),
    ("torch jax", "gelu_tanh", "forward backward", lambda at: at.x < -2.9, "1 + tanh"),
    ("jax", "gelu", "forward backward", lambda at: at.x < -2.9, "1 + tanh"),
    ("torch jax", "sigmoid", "backward", lambda at: at.x > 5, "y (1 - y)"),
    ("torch", "sigmoid_glu", "backward", lambda at: at.x > 5, "y (1 - y)"),
    ("torch jax", "tanh", "backward", lambda at: np.abs(at.x) > 2, "1 - y y"),
    ("jax", "elu selu", "backward", lambda at: at.x < -6, "1 + expm1(x)"),
    ("jax", "celu", "backward", lambda at: at.x < -6 * at.alpha, "1 + expm1(x / alpha)"),
    ("torch jax", "softsign", "backward", lambda at: np.abs(at.x) > 100, "1 / (1 + |x|) - |x| / (1 + |x|)^2"),
    ("jax", "squareplus", "forward backward", lambda at: at.x < -6, "x + sqrt(x^2 + b)"),
    ("torch", "tanh_shrink", "forward backward", lambda at: np.abs(at.x) < 0.1, "x - tanh(x), 1 - (1 - y y)"),
    ("torch", "softplus", "forward backward", lambda at: at.beta * at.x > 20, "the identity beyond a threshold"),
    ("scipy torch jax", "log_softmax", "forward", value_is_small, "log(1 + small) without log1p"),
    ("torch jax", "logsumexp", "forward", value_is_small, "log(1 + small) without log1p"),
    ("scipy jax", "laplace", "forward", lambda at: at.x < at.mu - 20 * at.sigma, "the argument is rounded"),
    ("jax", "laplace", "backward", lambda at: np.abs(at.x - at.mu) > 10 * at.sigma, "the argument is rounded"),
    # Kinks.
    ("jax", "hard_tanh", "backward", lambda at: np.abs(at.x) == 1, "1 at the bounds"),
    ("jax", "leaky_relu", "backward", lambda at: at.x == 0, "1 at 0"),
    ("jax", "sparse_sigmoid", "backward", lambda at: np.abs(at.x) == 1, "half the slope at the bounds"),
    ("torch", "logit", "backward", lambda at: np.isin(at.x, [at.eps, 1 - at.eps]), "the slope at the bounds"),
    ("torch", "prelu", "backward", lambda at: at.x == 0, "the slope, even if it is negative"),
    ("torch", "hard_mish", "backward", lambda at: np.isin(at.x, [-2, 0]), "the slope inside"),
    ("torch", "swiglu_oai", "backward", lambda at: (at.x == at.limit) | (np.abs(at.up) == at.limit),
     "the slope inside at the bounds"),
    ("torch", "xielu", "backward", lambda at: at.x == 0, "the slope of the left side"),
    # NaN in x: NaN is the gradient everywhere, and not only in some lanes of a vector.
    ("torch", "celu elu hard_shrink hard_sigmoid hard_silu hard_tanh identity leaky_relu logit prelu relu relu6 rrelu "
     "selu soft_shrink threshold thresholded_relu bilinear_glu reglu swiglu_oai", "backward", is_nan, "a number"),
    ("jax", "hard_sigmoid hard_tanh identity leaky_relu relu relu6 sparse_sigmoid", "backward", is_nan, "a number"),
    ("jax", "hardmax", "forward backward", row_is_nan, "numbers beside a NaN"),
    # Outside the domain.
    ("jax", "logit", "backward", lambda at: (at.x < 0) | (at.x > 1), "a number where the value is NaN"),
    # The dtype.
    ("torch", "hard_sigmoid", "backward", lambda at: np.full(at.x.shape, at.x.dtype == "float64"), "1/6 is a float32"),
    ("jax", "elu leaky_relu relu relu6 selu", "backward", is_subnormal, "a subnormal number is 0"),
    ("jax", "logit", "forward backward", is_subnormal, "a subnormal number is 0"),
]

# ---- The points ------------------------------------------------------------------------------------------------------

TAILS = [1e-30, 1e-8, 1e-4, 0.05, 0.5, 1, 2, 3, 4, 5, 6, 7, 9, 12, 16.5, 20.5, 38, 60, 86, 90, 101, 106, 500, 730, 1e3,
         1e5, 1e20]


def points(name, parameters, dtype):
    """Special points, thrice, at other places in a vector register each time, and random ones between."""
    limits, random = np.finfo(dtype), np.random.default_rng(25)
    kinks = BOOK[name].properties.kinks if BOOK[name].kind == "elementwise" else ()
    numbers = [value for value in parameters.values() if isinstance(value, float)]
    special = np.array([0, np.inf, np.nan, limits.smallest_subnormal, limits.tiny / 4, limits.tiny * 4, limits.max / 2,
                        *TAILS, *kinks, *numbers])
    special = np.concatenate([special, -special, 1 - np.array(numbers)])
    near, far = random.normal(size=201), random.uniform(-15, 15, size=203)
    if name == "logit":
        near = random.uniform(size=201)
    return np.concatenate([special, near, special, far, special[::-1], [np.nan]]).astype(dtype)


def rows(dtype):
    random = np.random.default_rng(26)
    x = random.normal(size=(24, 24)) * random.choice([0.1, 1, 10], size=(24, 1))
    x[1] += 1000
    x[2] -= 1e4
    x[3], x[4], x[5], x[6] = 0, 700 * x[3], 1, -np.inf
    x[7, 3], x[8, 5], x[8, 6] = np.inf, np.inf, -np.inf
    x[9, 2], x[9, 7] = -np.inf, -np.inf
    x[10, 4], x[11, 0], x[11, 1:] = np.nan, np.nan, -np.inf
    x[12, 0], x[12, 1:] = 800, 0
    x[13, -1], x[13, :-1] = 20, np.arange(23) / -10
    x[14] = np.linspace(-750, 0, 24)
    return x.astype(dtype)


def inputs_of(name, parameters, dtype):
    if BOOK[name].kind == "axiswise" or name == "glu":
        x = rows(dtype)
        return (x.T.copy() if parameters.get("axis") == 0 else x,)
    x = points(name, parameters, dtype)
    if BOOK[name].kind != "gated":
        return (x,)
    up = np.random.default_rng(27).normal(size=x.shape).astype(dtype)
    up[::29], up[5::31], up[7::37], up[3::41] = np.nan, 0, 7, -7
    return x, up


# ---- The comparison --------------------------------------------------------------------------------------------------


def peer_of(name):
    pytest.importorskip(name)
    return functions_of(name)


def cases(peer, name):
    """Return the parameters to compare with: those of PARAMETERS that the peer's function takes."""
    function = FUNCTIONS[peer][name]
    takes = set() if isinstance(function, str) else set(inspect.signature(function).parameters)
    return [parameters for parameters in PARAMETERS.get(name, [{}]) if set(parameters) <= takes]


def random_grad(shape, dtype):
    return np.random.default_rng(28).normal(size=shape).astype(dtype)


@cache
def results(peer, name, number, dtype):
    """Return the peer's value and its gradients of the inputs, none for SciPy."""
    parameters = cases(peer, name)[number]
    inputs = inputs_of(name, parameters, dtype)
    if peer == "torch":
        import torch

        tensors = [torch.tensor(x, requires_grad=True) for x in inputs]
        value = call_peer(peer, name, tensors, parameters)
        value.backward(torch.tensor(random_grad(value.shape, dtype)))
        return value.detach().numpy(), [tensor.grad.numpy() for tensor in tensors]
    if peer == "jax":
        import jax

        @jax.jit
        def both(*inputs):
            value, pull = jax.vjp(lambda *inputs: call_peer(peer, name, inputs, parameters), *inputs)
            return value, pull(random_grad(value.shape, dtype))

        value, gradients = both(*inputs)
        return np.asarray(value), [np.asarray(gradient) for gradient in gradients]
    with np.errstate(all="ignore"):
        return np.asarray(call_peer(peer, name, inputs, parameters)), []


def is_close(ours, theirs, absolute):
    with np.errstate(all="ignore"):
        near = np.abs(ours - theirs) <= RELATIVE * np.finfo(ours.dtype).eps * np.abs(ours) + absolute
    return near | (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))


def noise(name, inputs, grad, dtype):
    """How far gradients may differ where one crosses zero, or, in a row, is a difference of others."""
    eps = np.finfo(dtype).eps
    if BOOK[name].kind == "axiswise" or name == "glu":
        return 4 * AROUND_ZERO * eps
    x, up = inputs[0], inputs[-1] if len(inputs) > 1 else 1
    crosses = ((x > -2) & (x < -0.3)) | (name in ("snake", "snake_beta"))
    return np.where(crosses, AROUND_ZERO * eps * np.abs(grad) * np.fmax(np.abs(up), 1), np.finfo(dtype).tiny)


BOTH = list(dict.fromkeys([next(iter(ACTIVATIONS)), list(ACTIVATIONS)[-1]]))  # Python, and the best compiled one


@pytest.fixture(params=BOTH, ids=str, scope="module")
def activations(request):
    return ACTIVATIONS[request.param]


def places(where, at, shape):
    """Where an entry applies, in the shape of a result: element by element, or row by row."""
    with np.errstate(all="ignore"):
        places = where(at)
    if places.shape == shape:
        return places
    places = np.broadcast_to(places, at.x.shape)
    return places if places.shape == shape else places.any(axis=at.axis)


def comparisons(activation, peer, number, dtype):
    """Yield operation, place of the inputs, our result, the peer's, and where they differ."""
    name, parameters = activation.name, cases(peer, activation.name)[number]
    inputs = inputs_of(name, parameters, dtype)
    value, gradients = results(peer, name, number, dtype)
    ours = activation(*inputs, **parameters)
    at = SimpleNamespace(**{**activation.defaults, **parameters}, x=inputs[0], y=ours, limits=np.finfo(dtype),
                         up=inputs[-1] if len(inputs) > 1 else np.zeros((), dtype))
    yield "forward", at, ours, value, ~is_close(ours, value, at.limits.tiny)
    if gradients:
        grad = random_grad(value.shape, dtype)
        backward = activation.backward(grad, *inputs, **parameters)
        for mine, theirs in zip(backward if isinstance(backward, tuple) else (backward,), gradients):
            yield "backward", at, mine, theirs, ~is_close(mine, theirs, noise(name, inputs, grad, dtype))


@pytest.mark.parametrize("peer, name", [(peer, name) for peer in FUNCTIONS for name in FUNCTIONS[peer]])
def test_agreement(activations, peer, name):
    peer_of(peer)
    allowed = [(operation, where, reason) for peers, names, operations, where, reason in DIFFERENCES
               for operation in operations.split() if peer in peers.split() and name in names.split()]
    stale = set(allowed)
    for number, parameters in enumerate(cases(peer, name)):
        for dtype in DTYPES:
            for operation, at, ours, theirs, differs in comparisons(activations[name], peer, number, dtype):
                assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
                unexplained = differs.copy()
                for entry in allowed:
                    if entry[0] == operation:
                        explained = places(entry[1], at, differs.shape)
                        unexplained &= ~explained
                        if (differs & explained).any():
                            stale.discard(entry)
                if unexplained.any():
                    where = tuple(np.argwhere(unexplained)[0])
                    x = at.x[where] if at.x.shape == differs.shape else at.x
                    pytest.fail(f"{name}, {operation}, {parameters}, {dtype}: {unexplained.sum()} of {differs.size} "
                                f"differ, first at x = {x!r}: {ours[where]!r} here, {theirs[where]!r} in {peer}")
    assert not stale, f"{peer} no longer differs: {[(operation, reason) for operation, where, reason in stale]}"


# ---- Gradients of parameters -----------------------------------------------------------------------------------------

# Compositions that PyTorch differentiates by the parameters too.
PARAMETRIC = {
    "celu": (lambda t, x, alpha: t.where(x > 0, x, alpha * t.expm1(x / alpha)), {"alpha": 0.75}),
    "elu": (lambda t, x, alpha: t.where(x > 0, x, alpha * t.expm1(x)), {"alpha": 0.75}),
    "hard_sigmoid": (lambda t, x, alpha, beta: t.clamp(alpha * x + beta, 0, 1), {"alpha": 0.2, "beta": 0.4}),
    "hard_tanh": (lambda t, x, min_val, max_val: t.clamp(x, min_val, max_val), {"min_val": -0.5, "max_val": 2.0}),
    "laplace": (lambda t, x, mu, sigma: t.ndtr((x - mu) / sigma), {"mu": 0.5, "sigma": 0.75}),
    "leaky_relu": (lambda t, x, negative_slope: t.where(x > 0, x, negative_slope * x), {"negative_slope": 0.1}),
    "prelu": (lambda t, x, weight: t.where(x > 0, x, weight * x), {"weight": 0.25}),
    "silu": (lambda t, x, beta: x * t.sigmoid(beta * x), {"beta": 1.5}),
    "snake": (lambda t, x, alpha: x + t.sin(alpha * x) ** 2 / alpha, {"alpha": 0.75}),
    "snake_beta": (lambda t, x, alpha, beta: x + t.sin(alpha * x) ** 2 / (beta + 1e-9), {"alpha": 0.75, "beta": 1.5}),
    "soft_shrink": (lambda t, x, lambd: t.where(x > lambd, x - lambd, t.where(x < -lambd, x + lambd, 0 * x)),
                    {"lambd": 0.75}),
    "softmax": (lambda t, x, temperature, sink: softmax_with_sink(t, x, -1, temperature, sink),
                {"temperature": 1.5, "sink": 0.5}),
    "softplus": (lambda t, x, beta: t.softplus(beta * x) / beta, {"beta": 1.5}),
    "squareplus": (lambda t, x, b: (x + t.sqrt(x * x + b)) / 2, {"b": 1.5}),
    "star_relu": (lambda t, x, scale, bias: scale * t.relu(x) ** 2 + bias, {"scale": 0.8, "bias": -0.4}),
    "swiglu": (lambda t, gate, up, beta: gate * t.sigmoid(beta * gate) * up, {"beta": 1.5}),
    "swiglu_oai": (lambda t, gate, up, alpha, limit: (
        t.minimum(gate, limit) * t.sigmoid(alpha * t.minimum(gate, limit)) * (t.clamp(up, -limit, limit) + 1)),
        {"alpha": 1.5, "limit": 1.25}),
    "threshold": (lambda t, x, threshold, value: t.where(x > threshold, x, value + 0 * threshold),
                  {"threshold": 0.5, "value": -1.0}),
    "xielu": (lambda t, x, alpha_p, alpha_n, beta, eps: xielu_of_transformers(t, x, alpha_p, alpha_n, beta, eps),
              {"alpha_p": 0.75, "alpha_n": 0.5, "beta": 0.25, "eps": -0.125}),
}


@pytest.mark.parametrize("name", PARAMETRIC)
def test_parameter_gradients(activations, name):
    t = peer_of("torch")
    function, parameters = PARAMETRIC[name]
    rowwise = BOOK[name].kind == "axiswise"
    random = np.random.default_rng(29)
    inputs = [random.normal(size=(60, 5)) * 1.5 for _ in range(2 if BOOK[name].kind == "gated" else 1)]
    # One parameter for each element, so that none hides in a sum; a row has one of each.
    values = {key: np.float64(value) if rowwise else value * random.uniform(0.8, 1.2, size=(60, 5))
              for key, value in parameters.items()}
    grad = random.normal(size=(60, 5))
    tensors = {key: t.tensor(value, requires_grad=True) for key, value in values.items()}
    function(t, *map(t.tensor, inputs), **tensors).backward(t.tensor(grad))
    ours = activations[name].parameter_gradients(grad, *inputs, **values)
    assert set(ours) == set(parameters)
    for key, tensor in tensors.items():
        theirs = np.zeros(values[key].shape) if tensor.grad is None else tensor.grad.numpy()
        np.testing.assert_allclose(ours[key], theirs, rtol=1e-11, atol=1e-13, err_msg=key)


def test_the_weight_of_prelu_along_the_channels(activations, dtype):
    t = peer_of("torch")
    random = np.random.default_rng(30)
    x, grad = (random.normal(size=(4, 3, 5, 6)).astype(dtype) for _ in range(2))
    x[0, 0, 0] = 0
    weight = np.array([0.25, -0.5, 1.5], dtype)
    tensor, slopes = t.tensor(x, requires_grad=True), t.tensor(weight, requires_grad=True)
    value = t.prelu(tensor, slopes)
    value.backward(t.tensor(grad))
    prelu = activations["prelu"]
    np.testing.assert_array_equal(prelu(x, weight, axis=1), value.detach().numpy())
    np.testing.assert_array_equal(prelu.backward(grad, x, weight, axis=1), tensor.grad.numpy())
    np.testing.assert_allclose(prelu.parameter_gradients(grad, x, weight, axis=1)["weight"], slopes.grad.numpy(),
                               rtol=64 * np.finfo(dtype).eps)


# ---- Both halves in one array ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", ["halves", "interleaved"])
@pytest.mark.parametrize("gate", ["first", "last"])
@pytest.mark.parametrize("name", ["swiglu", "geglu", "reglu", "bilinear_glu", "sigmoid_glu", "swiglu_oai"])
def test_packed(activations, name, gate, layout, dtype):
    t = peer_of("torch")
    random = np.random.default_rng(33)
    x, grad = random.normal(size=(5, 14)).astype(dtype), random.normal(size=(5, 7)).astype(dtype)
    tensor = t.tensor(x, requires_grad=True)
    first, second = (tensor[:, :7], tensor[:, 7:]) if layout == "halves" else (tensor[:, ::2], tensor[:, 1::2])
    value = TORCH[name](t, *((first, second) if gate == "first" else (second, first)))
    value.backward(t.tensor(grad))
    packed = activations[name].packed
    tolerance = {"rtol": 64 * np.finfo(dtype).eps, "atol": 4 * np.finfo(dtype).eps}
    np.testing.assert_allclose(packed(x, gate=gate, layout=layout), value.detach().numpy(), **tolerance)
    np.testing.assert_allclose(packed.backward(grad, x, gate=gate, layout=layout), tensor.grad.numpy(), **tolerance)


# ---- Masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_masks(activations, name, dtype):
    j = peer_of("jax")
    random = np.random.default_rng(31)
    x = random.normal(size=(8, 9)).astype(dtype)
    mask = random.random(size=x.shape) < 0.6
    mask[0], mask[1], x[2, mask[2]] = True, False, 1000
    x[3, ~mask[3]] = np.nan
    ours = activations[name](x, where=mask)
    theirs = np.asarray(getattr(j, name)(x, axis=-1, where=mask))
    np.testing.assert_allclose(ours, theirs, rtol=64 * np.finfo(dtype).eps)


# ---- Nothing is left out ---------------------------------------------------------------------------------------------


def normalized(name):
    return name.lower().replace("_", "")


OUR_NAMES = {normalized(alias): name for name, definition in BOOK.items() for alias in (name, *definition.aliases)}


@pytest.mark.parametrize("peer", FUNCTIONS)
def test_every_function_that_a_peer_has_is_compared(peer):
    left_out = [
        f"{module.__name__}.{name}" for module in peer_of(peer).modules
        if module.__name__ not in ("torch", "numpy", "jax.numpy")
        for name in dir(module) if not name.startswith("_") and (peer, name) not in NOT_COMPARED
        and OUR_NAMES.get(normalized(name), next(iter(FUNCTIONS[peer]))) not in FUNCTIONS[peer]]
    assert not left_out


@pytest.mark.parametrize("peer", OTHERS)
def test_every_activation_of_a_peer_is_known(peer):
    peer_of(peer)
    if peer == "torch":
        names = import_module("torch.nn.modules.activation").__all__
    else:
        names = [name for name in dir(import_module("jax.nn")) if not name.startswith("_")]
    assert {name for name in names if normalized(name) not in OUR_NAMES} == OTHERS[peer]


# ---- docs/coming-from.md ---------------------------------------------------------------------------------------------

PAGE = Path(__file__).resolve().parent.parent / "docs" / "coming-from.md"
RANDOM = ("gumbel_softmax",)
NOT_INSTALLED = ("flax", "entmax")


def table_of(heading):
    """Yield the calls in the first and in the second column of a table."""
    for line in PAGE.read_text(encoding="utf-8").partition(f"\n## {heading}\n")[2].partition("\n## ")[0].splitlines():
        if line.startswith("| `"):
            yield tuple(re.findall("`([^`]+)`", column) for column in line.split(" | ")[:2])


def scope(convert):
    """Return what the calls are about, with arrays of the library that converts them."""
    random = np.random.default_rng(32)
    arrays = {"x": random.uniform(-3, 3, size=(2, 3, 4, 6)), "weight": np.array([0.25, 0.5, 0.75]),
              "slope": np.full((4, 6), 0.25), "alpha": np.full((3, 4, 6), 0.25)}
    arrays |= {"gate": arrays["x"], "up": arrays["x"][::-1].copy(), "mask": arrays["x"] > -1}
    return {"np": np, "pyactx": pyactx, "dim": -1, "t": 0.5, "v": -1.0, "a": -0.5, "b": 2.0, "eps": 0.01, "beta": 1.0,
            "gamma": 3.0, **{name: convert(array) for name, array in arrays.items()}}


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not there")
@pytest.mark.parametrize("heading, peer, least", [
    ("PyTorch", "torch", 33), ("JAX and Flax", "jax", 26), ("SciPy and entmax", "scipy", 8)])
def test_calls_of_the_documentation_agree(heading, peer, least):
    peer_of(peer)
    if peer == "torch":
        import torch

        theirs = {**scope(torch.tensor), "torch": torch, "F": torch.nn.functional}
    else:
        library = import_module({"jax": "jax", "scipy": "scipy.special"}[peer])
        theirs = {**scope({"jax": np.asarray, "scipy": np.asarray}[peer]), **vars(library), peer: import_module(peer)}
        if peer == "jax":
            theirs["x"] = library.numpy.asarray(theirs["x"])
    ours, compared = scope(np.asarray), 0
    for there, here in table_of(heading):
        for call, own in zip(there, here):
            if not any(word in call for word in (*RANDOM, *NOT_INSTALLED)):
                with np.errstate(all="ignore"):
                    expected = np.asarray(eval(call, theirs))
                np.testing.assert_allclose(eval(own, ours), expected, rtol=1e-9, atol=1e-12, err_msg=f"{call}, {own}")
                compared += 1
    assert compared >= least


@pytest.mark.skipif(not PAGE.exists(), reason="the documentation is not there")
def test_calls_of_the_documentation_are_valid():
    text = PAGE.read_text(encoding="utf-8")
    calls = re.findall(r"`([^`\n]*pyactx\.[^`\n]*)`", text)
    assert len(calls) > 150
    for call in calls:
        eval(call, scope(np.asarray))
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, {})


def test_torch_tensors_are_array_like(activations):
    torch = pytest.importorskip("torch")
    x = torch.linspace(-2, 2, 7)
    np.testing.assert_array_equal(activations["sigmoid"](x), activations["sigmoid"](x.numpy()))
    with pytest.raises(TypeError, match="sigmoid: x is a Tensor that cannot be read"):
        activations["sigmoid"](x.requires_grad_())
