"""What is timed: the statements of pyactx and of its peers.

A statement is a template that names arrays in braces, where each library puts its own of the same numbers:

x, grad, ones, y   the input, a gradient, ones, and the value of the function at x
out, d             where a result goes, and the derivative beside it
weight, buffer     the parameter of prelu, and what PyTorch keeps of log_sigmoid for its gradient
axis               the axis of the rows

Beside these, a statement sees the modules of its library (`libraries.py`): np, special (of SciPy), numexpr, torch, nn
and aten (functions of torch that have no other name), and tf.  Those of JAX and ONNX Runtime call what the library
makes of a definition: value, backward and both, jitted; session and binding.

Where a library has nothing of its own for a function and what it can be made of is no better than NumPy's, it is left
out.  So are results in place in a library whose arrays are immutable.
"""

from functools import partial
from typing import Any, NamedTuple

import pyactx

OPERATIONS = ("value", "backward", "backward_from_output", "value_and_derivative")
RESULTS = ("fresh", "out", "in place")

BY_ROWS = ("softmax", "log_softmax")
PARAMETERS = {"prelu": ", {weight}", "threshold": ", 0.5, -1.0", **dict.fromkeys(BY_ROWS, ", axis={axis}")}
PROBABILITIES = ("logit",)  # functions of numbers between 0 and 1; all others are timed on standard normal ones


class Entry(NamedTuple):
    """How a library computes one function.

    Parameters
    ----------
    statements : dict of (str, str) to str
        By operation and result.  That of a fresh result is an expression.
    definition : optional
        What the library makes the callables of its statements of.
    """

    statements: dict
    definition: Any = None


def entry(value, out=None, in_place=None, backward=None, backward_out=None, from_output=None, from_output_out=None,
          both=None, both_out=None):
    """Return an Entry.

    Value and backward make both, where these are not given.  A backward that needs y alone is one from the output, and
    one from x has to compute y first.
    """
    if backward and not both:
        both = "({y} := " + value + ", " + backward.replace("{grad}", "{ones}") + ")"
    if out and backward_out and not both_out:
        derivative = backward_out.replace("{out}", "{d}").replace("{y}", "{out}").replace("{grad}", "{ones}")
        both_out = f"{out}; {derivative}"
    if backward and "{y}" in backward and "{x}" not in backward:
        from_output, from_output_out = backward, backward_out
        backward = "({y} := " + value + ", " + backward + ")[1]"
        backward_out = out and backward_out and out.replace("{out}", "{d}") + "; " + backward_out.replace("{y}", "{d}")
    statements = {
        ("value", "fresh"): value, ("value", "out"): out, ("value", "in place"): in_place,
        ("backward", "fresh"): backward, ("backward", "out"): backward_out,
        ("backward_from_output", "fresh"): from_output, ("backward_from_output", "out"): from_output_out,
        ("value_and_derivative", "fresh"): both, ("value_and_derivative", "out"): both_out,
    }
    return Entry({key: statement for key, statement in statements.items() if statement})


def own(function):
    """Return the Entry of pyactx."""
    activation, options = f"pyactx.{function}", PARAMETERS.get(function, "")
    arguments = {
        "value": "{x}", "backward": "{grad}, {x}", "backward_from_output": "{grad}, {y}",
        "value_and_derivative": "{x}",
    }
    statements = {("value", result): None for result in RESULTS}
    for operation, arrays in arguments.items():
        method = activation if operation == "value" else f"{activation}.{operation}"
        result = "({out}, {d})" if operation == "value_and_derivative" else "{out}"
        if operation == "value" or hasattr(getattr(pyactx, function), operation):
            statements[operation, "fresh"] = f"{method}({arrays}{options})"
            statements[operation, "out"] = f"{method}({arrays}{options}, out={result})"
    statements["value", "in place"] = f"{activation}({{x}}{options}, out={{x}})"
    return Entry(statements)


def numpy(value, out, in_place=True, backward=None, backward_out=None):
    return entry(value, out, out.replace("{out}", "{x}") if in_place else None, backward, backward_out)


def ufunc(name, arguments="{x}", **more):
    return numpy(f"{name}({arguments})", f"{name}({arguments}, out={{out}})", **more)


def numexpr(value, backward=None, from_output=None):
    """Formulas with whole numbers only: a decimal fraction would make all of it float64."""
    def fresh(formula):
        return formula and f'numexpr.evaluate("{formula}")'

    def into(formula, target="{out}"):
        return formula and f'numexpr.evaluate("{formula}", out={target})'

    return entry(fresh(value), into(value), into(value, "{x}"), fresh(backward), into(backward),
                 fresh(from_output), into(from_output))


def torch(name, options="", out=True, in_place=True, backward=None, backward_out=True, from_output=None, **more):
    """The function, its namesake in place, and the kernel of its gradient, which autograd calls.

    `out` and `in_place` are False where there is no such form, or another statement.
    """
    def optional(given, default):
        return default if given is True else given or None

    def kernel(call):
        return call and f"aten.{call}"

    def kernel_out(call):
        return call and backward_out and f"aten.{call[:-1]}, grad_input={{out}})"

    return entry(
        f"{name}({{x}}{options})", optional(out, f"{name}({{x}}{options}, out={{out}})"),
        optional(in_place, f"{name}_({{x}}{options})"), kernel(backward), kernel_out(backward), kernel(from_output),
        kernel_out(from_output), **more)


def tensorflow(value, backward=None, from_output=None):
    return entry(value, backward=backward, from_output=from_output)


def jax(definition):
    """An expression in x, compiled by jit together with its vector-Jacobian product."""
    return Entry({
        ("value", "fresh"): "value({x}).block_until_ready()",
        ("backward", "fresh"): "backward({grad}, {x}).block_until_ready()",
        ("value_and_derivative", "fresh"): "jax.block_until_ready(both({x}))",
    }, definition)


class Node(NamedTuple):
    """An ONNX operator; the constants are its inputs after x."""

    operator: str
    attributes: tuple
    constants: tuple
    domain: str
    dtypes: tuple


def onnx(operator, constants=(), domain="", dtypes=("float32", "float64"), **attributes):
    return Entry({
        ("value", "fresh"): "session.run(None, {{'x': {x}}})[0]",
        ("value", "out"): "session.run_with_iobinding(binding)",
    }, Node(operator, tuple(attributes.items()), constants, domain, dtypes))


SELU = "1.6732632423543772, 1.0507009873554805, 1"  # alpha, scale and input scale

SHRINK = partial(onnx, "Shrink", dtypes=("float32",), lambd=0.5)  # rounds float64 to float32

# By function and peer.
STATEMENTS = {
    "identity": {
        "NumPy": entry("{x}.copy()", "np.copyto({out}, {x})", None, "{grad}.copy()", "np.copyto({out}, {grad})"),
        "PyTorch": entry("{x}.clone()", "{out}.copy_({x})", None, "{grad}.clone()", "{out}.copy_({grad})"),
    },
    "sigmoid": {
        "NumPy": numpy(
            "1 / (1 + np.exp(-{x}))",
            "np.exp(np.negative({x}, out={out}), out={out}); np.add(1, {out}, out={out}); "
            "np.divide(1, {out}, out={out})",
            backward="{grad} * {y} * (1 - {y})",
            backward_out="np.multiply({y}, np.subtract(1, {y}, out={out}), out={out}); "
                         "np.multiply({grad}, {out}, out={out})",
        ),
        "SciPy": ufunc("special.expit"),
        "numexpr": numexpr("1 / (1 + exp(-{x}))", "{grad} * {y} * (1 - {y})"),
        "PyTorch": torch("torch.sigmoid", backward="sigmoid_backward({grad}, {y})"),
        "TensorFlow": tensorflow("tf.nn.sigmoid({x})", "tf.raw_ops.SigmoidGrad(y={y}, dy={grad})"),
        "JAX": jax("jax.nn.sigmoid(x)"),
        "ONNX Runtime": onnx("Sigmoid"),
    },
    "tanh": {
        "NumPy": ufunc(
            "np.tanh",
            backward="{grad} * (1 - {y} * {y})",
            backward_out="np.subtract(1, np.multiply({y}, {y}, out={out}), out={out}); "
                         "np.multiply({grad}, {out}, out={out})",
        ),
        "numexpr": numexpr("tanh({x})", "{grad} * (1 - {y} * {y})"),
        "PyTorch": torch("torch.tanh", backward="tanh_backward({grad}, {y})"),
        "TensorFlow": tensorflow("tf.nn.tanh({x})", "tf.raw_ops.TanhGrad(y={y}, dy={grad})"),
        "JAX": jax("jax.nn.tanh(x)"),
        "ONNX Runtime": onnx("Tanh"),
    },
    "relu": {
        "NumPy": ufunc("np.maximum", "{x}, 0", backward="{grad} * ({x} > 0)",
                       backward_out="np.multiply({grad}, {x} > 0, out={out})"),
        "numexpr": numexpr("where({x} > 0, {x}, 0)", "where({x} > 0, {grad}, 0)", "where({y} > 0, {grad}, 0)"),
        "PyTorch": torch("torch.relu", out="torch.clamp_min({x}, 0, out={out})",
                         backward="threshold_backward({grad}, {x}, 0)",
                         from_output="threshold_backward({grad}, {y}, 0)"),
        "TensorFlow": tensorflow("tf.nn.relu({x})", "tf.raw_ops.ReluGrad(gradients={grad}, features={x})",
                                 "tf.raw_ops.ReluGrad(gradients={grad}, features={y})"),
        "JAX": jax("jax.nn.relu(x)"),
        "ONNX Runtime": onnx("Relu"),
    },
    "relu6": {
        "NumPy": ufunc("np.clip", "{x}, 0, 6"),
        "numexpr": numexpr("where({x} > 0, where({x} < 6, {x}, 6), 0)", "where(({x} > 0) & ({x} < 6), {grad}, 0)"),
        "PyTorch": torch("nn.relu6", out="torch.clamp({x}, 0, 6, out={out})",
                         backward="hardtanh_backward({grad}, {x}, 0, 6)",
                         from_output="hardtanh_backward({grad}, {y}, 0, 6)"),
        "TensorFlow": tensorflow("tf.nn.relu6({x})", "tf.raw_ops.Relu6Grad(gradients={grad}, features={x})",
                                 "tf.raw_ops.Relu6Grad(gradients={grad}, features={y})"),
        "JAX": jax("jax.nn.relu6(x)"),
        "ONNX Runtime": onnx("Clip", (0, 6)),
    },
    "leaky_relu": {
        "NumPy": numpy(
            "np.maximum({x}, 0.01 * {x})",
            "np.maximum({x}, np.multiply(0.01, {x}, out={out}), out={out})",
            in_place=False,
            backward="np.where({x} > 0, {grad}, 0.01 * {grad})",
            backward_out="np.multiply(0.01, {grad}, out={out}); np.copyto({out}, {grad}, where={x} > 0)",
        ),
        "numexpr": numexpr("where({x} > 0, {x}, {x} / 100)", "where({x} > 0, {grad}, {grad} / 100)",
                           "where({y} > 0, {grad}, {grad} / 100)"),
        "PyTorch": torch("nn.leaky_relu", ", 0.01", backward="leaky_relu_backward({grad}, {x}, 0.01, False)",
                         from_output="leaky_relu_backward({grad}, {y}, 0.01, True)"),
        "TensorFlow": tensorflow("tf.nn.leaky_relu({x}, 0.01)",
                                 "tf.raw_ops.LeakyReluGrad(gradients={grad}, features={x}, alpha=0.01)",
                                 "tf.raw_ops.LeakyReluGrad(gradients={grad}, features={y}, alpha=0.01)"),
        "JAX": jax("jax.nn.leaky_relu(x, 0.01)"),
        "ONNX Runtime": onnx("LeakyRelu", alpha=0.01),
    },
    "prelu": {
        "NumPy": numpy(
            "np.where({x} > 0, {x}, {weight} * {x})",
            "np.multiply({weight}, {x}, out={out}); np.copyto({out}, {x}, where={x} > 0)",
            in_place=False,
            backward="np.where({x} > 0, {grad}, {weight} * {grad})",
            backward_out="np.multiply({weight}, {grad}, out={out}); np.copyto({out}, {grad}, where={x} > 0)",
        ),
        "numexpr": numexpr("where({x} > 0, {x}, {weight} * {x})", "where({x} > 0, {grad}, {weight} * {grad})"),
        # The gradient of PyTorch cannot but compute that of the weight too.
        "PyTorch": entry("torch.prelu({x}, {weight})",
                         backward="aten._prelu_kernel_backward({grad}, {x}, {weight})[0]"),
        "ONNX Runtime": onnx("PRelu", (0.25,)),
    },
    "threshold": {
        "PyTorch": torch("torch.threshold", ", 0.5, -1.0", backward="threshold_backward({grad}, {x}, 0.5)"),
    },
    "thresholded_relu": {
        "PyTorch": torch("torch.threshold", ", 1.0, 0.0", backward="threshold_backward({grad}, {x}, 1.0)"),
        "ONNX Runtime": onnx("ThresholdedRelu", alpha=1.0),
    },
    "hard_tanh": {
        "NumPy": ufunc("np.clip", "{x}, -1, 1"),
        "numexpr": numexpr("where({x} > -1, where({x} < 1, {x}, 1), -1)", "where(({x} > -1) & ({x} < 1), {grad}, 0)"),
        "PyTorch": torch("nn.hardtanh", ", -1, 1", backward="hardtanh_backward({grad}, {x}, -1, 1)",
                         from_output="hardtanh_backward({grad}, {y}, -1, 1)"),
        "TensorFlow": tensorflow("tf.clip_by_value({x}, -1, 1)"),
        "JAX": jax("jax.nn.hard_tanh(x)"),
        "ONNX Runtime": onnx("Clip", (-1, 1)),
    },
    "hard_sigmoid": {
        "numexpr": numexpr("where({x} > -3, where({x} < 3, ({x} + 3) / 6, 1), 0)"),
        "PyTorch": torch("nn.hardsigmoid", backward="hardsigmoid_backward({grad}, {x})"),
        "JAX": jax("jax.nn.hard_sigmoid(x)"),
        "ONNX Runtime": onnx("HardSigmoid", alpha=1 / 6, beta=0.5),
    },
    "hard_silu": {
        "numexpr": numexpr("where({x} > -3, where({x} < 3, {x} * ({x} + 3) / 6, {x}), 0)"),
        "PyTorch": torch("nn.hardswish", backward="hardswish_backward({grad}, {x})", backward_out=False),
        "JAX": jax("jax.nn.hard_silu(x)"),
        "ONNX Runtime": onnx("HardSwish"),
    },
    "hard_shrink": {
        "numexpr": numexpr("where(abs(2 * {x}) > 1, {x}, 0)", "where(abs(2 * {x}) > 1, {grad}, 0)"),
        "PyTorch": torch("torch.hardshrink", ", 0.5", in_place=False,
                         backward="hardshrink_backward({grad}, {x}, 0.5)"),
        "ONNX Runtime": SHRINK(bias=0.0),
    },
    "soft_shrink": {
        "PyTorch": torch("nn.softshrink", ", 0.5", in_place=False, backward="softshrink_backward({grad}, {x}, 0.5)"),
        "ONNX Runtime": SHRINK(bias=0.5),
    },
    "elu": {
        "numexpr": numexpr("where({x} > 0, {x}, expm1({x}))", "where({x} > 0, {grad}, {grad} * exp({x}))",
                           "where({y} > 0, {grad}, {grad} * ({y} + 1))"),
        "PyTorch": torch("nn.elu", backward="elu_backward({grad}, 1, 1, 1, False, {x})",
                         from_output="elu_backward({grad}, 1, 1, 1, True, {y})"),
        "TensorFlow": tensorflow("tf.nn.elu({x})", "tf.raw_ops.EluGrad(gradients={grad}, outputs={y})"),
        "JAX": jax("jax.nn.elu(x)"),
        "ONNX Runtime": onnx("Elu"),
    },
    "selu": {
        "PyTorch": torch("torch.selu", out=False, backward=f"elu_backward({{grad}}, {SELU}, False, {{x}})",
                         from_output=f"elu_backward({{grad}}, {SELU}, True, {{y}})"),
        "TensorFlow": tensorflow("tf.nn.selu({x})", "tf.raw_ops.SeluGrad(gradients={grad}, outputs={y})"),
        "JAX": jax("jax.nn.selu(x)"),
        "ONNX Runtime": onnx("Selu"),
    },
    "celu": {
        "numexpr": numexpr("where({x} > 0, {x}, expm1({x}))", "where({x} > 0, {grad}, {grad} * exp({x}))",
                           "where({y} > 0, {grad}, {grad} * ({y} + 1))"),
        "PyTorch": torch("torch.celu", out=False, backward="elu_backward({grad}, 1, 1, 1, False, {x})",
                         from_output="elu_backward({grad}, 1, 1, 1, True, {y})"),
        "JAX": jax("jax.nn.celu(x)"),
        "ONNX Runtime": onnx("Celu"),
    },
    "silu": {
        "numexpr": numexpr("{x} / (1 + exp(-{x}))"),
        "PyTorch": torch("nn.silu", backward="silu_backward({grad}, {x})"),
        "TensorFlow": tensorflow("tf.nn.silu({x})"),
        "JAX": jax("jax.nn.silu(x)"),
        "ONNX Runtime": onnx("QuickGelu", domain="com.microsoft", alpha=1.0),
    },
    "quick_gelu": {
        "ONNX Runtime": onnx("QuickGelu", domain="com.microsoft", alpha=1.702),
    },
    "gelu": {
        "SciPy": numpy("{x} * special.ndtr({x})", "np.multiply({x}, special.ndtr({x}, out={out}), out={out})",
                       in_place=False),
        "PyTorch": torch("nn.gelu", backward="gelu_backward({grad}, {x})"),
        "TensorFlow": tensorflow("tf.nn.gelu({x})"),
        "JAX": jax("jax.nn.gelu(x, approximate=False)"),
        "ONNX Runtime": onnx("Gelu"),
    },
    "gelu_tanh": {
        "PyTorch": torch("nn.gelu", ", approximate='tanh'", backward="gelu_backward({grad}, {x}, approximate='tanh')"),
        "TensorFlow": tensorflow("tf.nn.gelu({x}, approximate=True)"),
        "JAX": jax("jax.nn.gelu(x, approximate=True)"),
        "ONNX Runtime": onnx("Gelu", approximate="tanh"),
    },
    "mish": {
        "numexpr": numexpr("{x} * tanh(log1p(exp({x})))"),
        "PyTorch": torch("nn.mish", backward="mish_backward({grad}, {x})", backward_out=False),
        "JAX": jax("jax.nn.mish(x)"),
        "ONNX Runtime": onnx("Mish"),
    },
    "softplus": {
        "NumPy": ufunc("np.logaddexp", "{x}, 0"),
        "SciPy": ufunc("special.softplus"),
        "numexpr": numexpr("log1p(exp({x}))", "{grad} / (1 + exp(-{x}))"),
        "PyTorch": torch("nn.softplus", in_place=False, backward="softplus_backward({grad}, {x}, 1, 20)"),
        "TensorFlow": tensorflow("tf.nn.softplus({x})", "tf.raw_ops.SoftplusGrad(gradients={grad}, features={x})"),
        "JAX": jax("jax.nn.softplus(x)"),
        "ONNX Runtime": onnx("Softplus"),
    },
    "log_sigmoid": {
        "SciPy": ufunc("special.log_expit"),
        "numexpr": numexpr("-log1p(exp(-{x}))", "{grad} / (1 + exp({x}))"),
        "PyTorch": torch(
            "nn.log_sigmoid", in_place=False,
            backward="log_sigmoid_backward({grad}, {x}, aten.log_sigmoid_forward({x})[1])",
            both="((pair := aten.log_sigmoid_forward({x}))[0], aten.log_sigmoid_backward({ones}, {x}, pair[1]))",
            both_out="aten.log_sigmoid_forward({x}, output={out}, buffer={buffer}); "
                     "aten.log_sigmoid_backward({ones}, {x}, {buffer}, grad_input={d})",
        ),
        "TensorFlow": tensorflow("tf.math.log_sigmoid({x})"),
        "JAX": jax("jax.nn.log_sigmoid(x)"),
    },
    "softsign": {
        "numexpr": numexpr("{x} / (1 + abs({x}))", "{grad} / (1 + abs({x})) ** 2"),
        "PyTorch": torch("torch.nn.functional.softsign", out=False, in_place=False),
        "TensorFlow": tensorflow("tf.nn.softsign({x})", "tf.raw_ops.SoftsignGrad(gradients={grad}, features={x})"),
        "JAX": jax("jax.nn.soft_sign(x)"),
        "ONNX Runtime": onnx("Softsign"),
    },
    "tanh_shrink": {
        "numexpr": numexpr("{x} - tanh({x})"),
        "PyTorch": torch("torch.nn.functional.tanhshrink", out=False, in_place=False),
    },
    "erf": {
        "SciPy": ufunc("special.erf"),
        "PyTorch": torch("torch.erf"),
        "TensorFlow": tensorflow("tf.math.erf({x})"),
        "JAX": jax("jax.lax.erf(x)"),
        "ONNX Runtime": onnx("Erf"),
    },
    "exponential": {
        "NumPy": ufunc("np.exp", backward="{grad} * {y}", backward_out="np.multiply({grad}, {y}, out={out})"),
        "numexpr": numexpr("exp({x})"),
        "PyTorch": entry("torch.exp({x})", "torch.exp({x}, out={out})", "torch.exp_({x})", "torch.mul({grad}, {y})",
                         "torch.mul({grad}, {y}, out={out})"),
        "TensorFlow": tensorflow("tf.math.exp({x})", "tf.math.multiply({grad}, {y})"),
        "JAX": jax("jax.numpy.exp(x)"),
        "ONNX Runtime": onnx("Exp"),
    },
    "logit": {
        "SciPy": ufunc("special.logit"),
        "PyTorch": torch("torch.logit", backward="logit_backward({grad}, {x})"),
        "JAX": jax("jax.scipy.special.logit(x)"),
    },
    "squareplus": {"JAX": jax("jax.nn.squareplus(x)")},
    "sparse_plus": {"JAX": jax("jax.nn.sparse_plus(x)")},
    "sparse_sigmoid": {"JAX": jax("jax.nn.sparse_sigmoid(x)")},
    "softmax": {
        "NumPy": numpy(
            "(e := np.exp({x} - {x}.max({axis}, keepdims=True))) / e.sum({axis}, keepdims=True)",
            "np.exp(np.subtract({x}, {x}.max({axis}, keepdims=True), out={out}), out={out}); "
            "np.divide({out}, {out}.sum({axis}, keepdims=True), out={out})",
            backward="{y} * ({grad} - ({grad} * {y}).sum({axis}, keepdims=True))",
            backward_out="s = np.multiply({grad}, {y}, out={out}).sum({axis}, keepdims=True); "
                         "np.multiply({y}, np.subtract({grad}, s, out={out}), out={out})",
        ),
        "SciPy": entry("special.softmax({x}, axis={axis})"),
        "PyTorch": torch("torch.softmax", ", {axis}", in_place="torch.softmax({x}, {axis}, out={x})",
                         backward="_softmax_backward_data({grad}, {y}, {axis}, {y}.dtype)"),
        "TensorFlow": tensorflow("tf.nn.softmax({x}, {axis})"),
        "JAX": jax("jax.nn.softmax(x, axis)"),
        "ONNX Runtime": onnx("Softmax"),
    },
    "log_softmax": {
        "NumPy": numpy(
            "(z := {x} - {x}.max({axis}, keepdims=True)) - np.log(np.exp(z).sum({axis}, keepdims=True))",
            "np.subtract({x}, {x}.max({axis}, keepdims=True), out={out}); "
            "np.subtract({out}, np.log(np.exp({out}).sum({axis}, keepdims=True)), out={out})",
            backward="{grad} - np.exp({y}) * {grad}.sum({axis}, keepdims=True)",
            backward_out="np.multiply(np.exp({y}, out={out}), {grad}.sum({axis}, keepdims=True), out={out}); "
                         "np.subtract({grad}, {out}, out={out})",
        ),
        "SciPy": entry("special.log_softmax({x}, axis={axis})"),
        "PyTorch": entry(
            "torch.log_softmax({x}, {axis})", "torch.log_softmax({x}, {axis}, out={out})",
            "torch.log_softmax({x}, {axis}, out={x})",
            "aten._log_softmax_backward_data({grad}, {y}, {axis}, {y}.dtype)",
            "aten._log_softmax_backward_data({grad}, {y}, {axis}, {y}.dtype, out={out})",
        ),
        "TensorFlow": tensorflow("tf.nn.log_softmax({x}, {axis})"),
        "JAX": jax("jax.nn.log_softmax(x, axis)"),
        "ONNX Runtime": onnx("LogSoftmax"),
    },
}
