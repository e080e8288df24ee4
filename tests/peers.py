"""Other libraries: what they call the activations of this one, for the tests and for benchmarks/accuracy.py."""

from functools import cache
from importlib import import_module

import numpy as np

# Where a peer has its functions.
MODULES = {
    "scipy": ("scipy.special", "numpy"),
    "torch": ("torch.nn.functional", "torch.special", "torch"),
    "jax": ("jax.nn", "jax.scipy.special", "jax.numpy"),
}


class Peer:
    """The functions of another library by name."""

    def __init__(self, name):
        self.modules = [import_module(module) for module in MODULES[name]]

    def __getattr__(self, name):
        for module in self.modules:
            if hasattr(module, name):
                return getattr(module, name)
        raise AttributeError(name)


def xielu_of_transformers(t, x, alpha_p=0.8, alpha_n=0.8, beta=0.5, eps=-1e-6):
    a_p, a_n = (t.softplus(t.as_tensor(alpha, dtype=x.dtype)) for alpha in (alpha_p, alpha_n))
    negative = (t.expm1(t.clamp(x, max=eps)) - x) * (a_n + beta) + beta * x
    return t.where(x > 0, a_p * x * x + beta * x, negative)


def swiglu_of_gpt_oss(t, gate, up, alpha=1.702, limit=7.0):
    gate, up = gate.clamp(max=limit), up.clamp(-limit, limit)
    return gate * t.sigmoid(alpha * gate) * (up + 1)


def softmax_with_sink(t, x, axis=-1, temperature=1.0, sink=None):
    if sink is None:
        return t.softmax(x / temperature, axis)
    return t.softmax(t.cat([x / temperature, t.zeros_like(x[..., :1]) + sink], axis), axis)[..., :-1]


# By our name: the peer's name, or a function of the peer and the arguments.
SCIPY = {
    "erf": "erf",
    "exponential": "exp",
    "gelu": lambda s, x: x * s.ndtr(x),
    "laplace": lambda s, x, mu=0.707107, sigma=0.282095: s.ndtr((x - x.dtype.type(mu)) / x.dtype.type(sigma)),
    "log_sigmoid": "log_expit",
    "log_softmax": lambda s, x, axis=-1: s.log_softmax(x, axis),
    "logit": "logit",
    "logsumexp": lambda s, x, axis=-1: s.logsumexp(x, axis),
    "sigmoid": "expit",
    "softmax": lambda s, x, axis=-1: s.softmax(x, axis),
    "softplus": lambda s, x: s.softplus(x) if hasattr(s, "softplus") else np.logaddexp(x, x.dtype.type(0)),
    "tanh": "tanh",
}

TORCH = {
    "bilinear_glu": lambda t, gate, up: gate * up,
    "celu": lambda t, x, alpha=1.0: t.celu(x, alpha),
    "elu": lambda t, x, alpha=1.0: t.elu(x, alpha),
    "erf": "erf",
    "exponential": "exp",
    "gaussian": lambda t, x: t.exp(-x * x),
    "geglu": lambda t, gate, up, approximate="none": TORCH["gelu"](t, gate, approximate) * up,
    "gelu": lambda t, x, approximate="none": (
        x * t.sigmoid(1.702 * x) if approximate == "sigmoid" else t.gelu(x, approximate=approximate)),
    "gelu_tanh": lambda t, x: t.gelu(x, approximate="tanh"),
    "glu": lambda t, x, axis=-1: t.glu(x, axis),
    "hard_mish": lambda t, x: 0.5 * x * t.clamp(x + 2, 0, 2),
    "hard_shrink": lambda t, x, lambd=0.5: t.hardshrink(x, lambd),
    "hard_sigmoid": "hardsigmoid",
    "hard_silu": "hardswish",
    "hard_tanh": lambda t, x, min_val=-1.0, max_val=1.0: t.hardtanh(x, min_val, max_val),
    "identity": lambda t, x: x * 1,
    "leaky_relu": lambda t, x, negative_slope=0.01: t.leaky_relu(x, negative_slope),
    "log_sigmoid": "logsigmoid",
    "log_softmax": lambda t, x, axis=-1: t.log_softmax(x, axis),
    "logit": lambda t, x, eps=None: t.logit(x, eps),
    "logsumexp": lambda t, x, axis=-1: t.logsumexp(x, axis),
    "mish": "mish",
    "prelu": lambda t, x, weight: t.prelu(x, t.as_tensor(weight, dtype=x.dtype)),
    "quick_gelu": lambda t, x: x * t.sigmoid(1.702 * x),
    "reglu": lambda t, gate, up: t.relu(gate) * up,
    "relu": "relu",
    "relu2": lambda t, x: t.relu(x) ** 2,
    "relu6": "relu6",
    "rrelu": lambda t, x, lower=1 / 8, upper=1 / 3: t.rrelu(x, lower, upper),
    "selu": "selu",
    "sigmoid": "sigmoid",
    "sigmoid_glu": lambda t, gate, up: t.sigmoid(gate) * up,
    "silu": lambda t, x, beta=None: t.silu(x) if beta is None else x * t.sigmoid(beta * x),
    "snake": lambda t, x, alpha=1.0: x + t.sin(alpha * x) ** 2 / alpha,
    "snake_beta": lambda t, x, alpha=1.0, beta=1.0: x + t.sin(alpha * x) ** 2 / (beta + 1e-9),
    "soft_shrink": lambda t, x, lambd=0.5: t.softshrink(x, lambd),
    "softmax": softmax_with_sink,
    "softmin": lambda t, x, axis=-1: t.softmin(x, axis),
    "softplus": lambda t, x, beta=1.0: t.softplus(x, beta),
    "softsign": "softsign",
    "star_relu": lambda t, x, scale=1.0, bias=0.0: scale * t.relu(x) ** 2 + bias,
    "swiglu": lambda t, gate, up, beta=None: TORCH["silu"](t, gate, beta) * up,
    "swiglu_oai": swiglu_of_gpt_oss,
    "tanh": "tanh",
    "tanh_shrink": "tanhshrink",
    "threshold": lambda t, x, threshold, value: t.threshold(x, threshold, value),
    "thresholded_relu": lambda t, x, alpha=1.0: t.threshold(x, alpha, 0.0),
    "xielu": xielu_of_transformers,
}

JAX = {
    "celu": lambda j, x, alpha=1.0: j.celu(x, alpha),
    "elu": lambda j, x, alpha=1.0: j.elu(x, alpha),
    "erf": "erf",
    "exponential": "exp",
    "gelu": lambda j, x, approximate="none": (
        x * j.sigmoid(1.702 * x) if approximate == "sigmoid" else j.gelu(x, approximate == "tanh")),
    "gelu_tanh": "gelu",
    "glu": lambda j, x, axis=-1: j.glu(x, axis),
    "hard_sigmoid": "hard_sigmoid",
    "hard_silu": "hard_silu",
    "hard_tanh": "hard_tanh",
    "hardmax": lambda j, x, axis=-1: j.one_hot(j.argmax(x, axis), x.shape[axis], dtype=x.dtype, axis=axis),
    "identity": "identity",
    "laplace": lambda j, x, mu=0.707107, sigma=0.282095: j.ndtr((x - mu) / sigma),
    "leaky_relu": lambda j, x, negative_slope=0.01: j.leaky_relu(x, negative_slope),
    "log_sigmoid": "log_sigmoid",
    "log_softmax": lambda j, x, axis=-1: j.log_softmax(x, axis),
    "logit": "logit",
    "logmeanexp": lambda j, x, axis=-1: j.logmeanexp(x, axis),
    "logsumexp": lambda j, x, axis=-1: j.logsumexp(x, axis),
    "mish": "mish",
    "relu": "relu",
    "relu6": "relu6",
    "selu": "selu",
    "sigmoid": "sigmoid",
    "silu": "silu",
    "softmax": lambda j, x, axis=-1: j.softmax(x, axis),
    "softplus": "softplus",
    "softsign": "soft_sign",
    "sparse_plus": "sparse_plus",
    "sparse_sigmoid": "sparse_sigmoid",
    "squareplus": lambda j, x, b=4.0: j.squareplus(x, b),
    "swiglu": lambda j, gate, up: j.silu(gate) * up,
    "tanh": "tanh",
}

FUNCTIONS = {"scipy": SCIPY, "torch": TORCH, "jax": JAX}


@cache
def functions_of(name):
    """Return the functions of a peer, imported here."""
    if name == "jax":
        import_module(name).config.update("jax_enable_x64", True)
    return Peer(name)


def call_peer(peer, name, inputs, parameters):
    """Return what a peer has for an activation."""
    function = FUNCTIONS[peer][name]
    if isinstance(function, str):
        return getattr(functions_of(peer), function)(*inputs)
    return function(functions_of(peer), *inputs, **parameters)
