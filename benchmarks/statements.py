"""What is timed: the statements of pyactx and of its peers.

Statements see x, y, grad, weight and out, which are arrays, tx, ty, tgrad, tweight and tout, which are tensors over the
same memory, and what is imported here: np, pyactx, special (of SciPy), torch, and aten, operators of torch that have no
other name in Python.
"""

import numpy as np

import pyactx

# Of pyactx itself, by operation; options are the parameters of PARAMETERS, and out.
OPERATIONS = {
    "value": "pyactx.{function}(x{options})",
    "backward": "pyactx.{function}.backward(grad, x{options})",
    "backward_from_output": "pyactx.{function}.backward_from_output(grad, y{options})",
}
PARAMETERS = {"prelu": ", weight"}
BY_ROWS = ("softmax", "log_softmax")
PEERS = {"NumPy": "numpy", "SciPy": "scipy.special", "PyTorch": "torch"}

# By function, operation and peer: the statement that makes a fresh result, and the one that writes it to out, or None.
STATEMENTS = {
    "identity": {
        "value": {
            "NumPy": ("x.copy()", "np.copyto(out, x)"),
            "PyTorch": ("tx.clone()", "tout.copy_(tx)"),
        },
        "backward": {
            "NumPy": ("grad.copy()", "np.copyto(out, grad)"),
            "PyTorch": ("tgrad.clone()", "tout.copy_(tgrad)"),
        },
    },
    "sigmoid": {
        "value": {
            "NumPy": (
                "1 / (1 + np.exp(-x))",
                "np.exp(np.negative(x, out=out), out=out); np.add(1, out, out=out); np.divide(1, out, out=out)",
            ),
            "SciPy": ("special.expit(x)", "special.expit(x, out=out)"),
            "PyTorch": ("torch.sigmoid(tx)", "torch.sigmoid(tx, out=tout)"),
        },
        "backward": {
            "NumPy": (
                "grad * y * (1 - y)",
                "np.multiply(y, np.subtract(1, y, out=out), out=out); np.multiply(grad, out, out=out)",
            ),
            "PyTorch": ("aten.sigmoid_backward(tgrad, ty)", "aten.sigmoid_backward(tgrad, ty, grad_input=tout)"),
        },
    },
    "tanh": {
        "value": {
            "NumPy": ("np.tanh(x)", "np.tanh(x, out=out)"),
            "PyTorch": ("torch.tanh(tx)", "torch.tanh(tx, out=tout)"),
        },
        "backward": {
            "NumPy": (
                "grad * (1 - y * y)",
                "np.subtract(1, np.multiply(y, y, out=out), out=out); np.multiply(grad, out, out=out)",
            ),
            "PyTorch": ("aten.tanh_backward(tgrad, ty)", "aten.tanh_backward(tgrad, ty, grad_input=tout)"),
        },
    },
    "relu": {
        "value": {
            "NumPy": ("np.maximum(x, 0)", "np.maximum(x, 0, out=out)"),
            "PyTorch": ("torch.relu(tx)", "torch.clamp_min(tx, 0, out=tout)"),
        },
        "backward": {
            "NumPy": ("grad * (x > 0)", "np.multiply(grad, x > 0, out=out)"),
            "PyTorch": (
                "aten.threshold_backward(tgrad, tx, 0)",
                "aten.threshold_backward(tgrad, tx, 0, grad_input=tout)",
            ),
        },
    },
    "leaky_relu": {
        "value": {
            "NumPy": ("np.where(x > 0, x, 0.01 * x)", "np.maximum(x, np.multiply(0.01, x, out=out), out=out)"),
            "PyTorch": ("torch._C._nn.leaky_relu(tx, 0.01)", "torch._C._nn.leaky_relu(tx, 0.01, out=tout)"),
        },
        "backward": {
            "NumPy": (
                "np.where(x > 0, grad, 0.01 * grad)",
                "np.multiply(0.01, grad, out=out); np.copyto(out, grad, where=x > 0)",
            ),
            "PyTorch": (
                "aten.leaky_relu_backward(tgrad, tx, 0.01, False)",
                "aten.leaky_relu_backward(tgrad, tx, 0.01, False, grad_input=tout)",
            ),
        },
    },
    "prelu": {
        "value": {
            "NumPy": (
                "np.where(x > 0, x, weight * x)",
                "np.multiply(weight, x, out=out); np.copyto(out, x, where=x > 0)",
            ),
            "PyTorch": ("torch.prelu(tx, tweight)", None),
        },
        "backward": {
            "NumPy": (
                "np.where(x > 0, grad, weight * grad)",
                "np.multiply(weight, grad, out=out); np.copyto(out, grad, where=x > 0)",
            ),
            # This one cannot but compute the gradient of the weight too.
            "PyTorch": ("aten._prelu_kernel_backward(tgrad, tx, tweight)[0]", None),
        },
    },
    "softmax": {
        "value": {
            "NumPy": (
                "numpy_softmax(x)",
                "np.exp(np.subtract(x, x.max(-1, keepdims=True), out=out), out=out); "
                "np.divide(out, out.sum(-1, keepdims=True), out=out)",
            ),
            "SciPy": ("special.softmax(x, axis=-1)", None),
            "PyTorch": ("torch.softmax(tx, -1)", "torch.softmax(tx, -1, out=tout)"),
        },
        "backward": {
            "NumPy": (
                "y * (grad - (grad * y).sum(-1, keepdims=True))",
                "s = np.multiply(grad, y, out=out).sum(-1, keepdims=True); "
                "np.multiply(y, np.subtract(grad, s, out=out), out=out)",
            ),
            "PyTorch": (
                "torch._softmax_backward_data(tgrad, ty, -1, tx.dtype)",
                "torch._softmax_backward_data(tgrad, ty, -1, tx.dtype, grad_input=tout)",
            ),
        },
    },
    "log_softmax": {
        "value": {
            "NumPy": (
                "numpy_log_softmax(x)",
                "np.subtract(x, x.max(-1, keepdims=True), out=out); "
                "np.subtract(out, np.log(np.exp(out).sum(-1, keepdims=True)), out=out)",
            ),
            "SciPy": ("special.log_softmax(x, axis=-1)", None),
            "PyTorch": ("torch.log_softmax(tx, -1)", "torch.log_softmax(tx, -1, out=tout)"),
        },
        "backward": {
            "NumPy": (
                "grad - np.exp(y) * grad.sum(-1, keepdims=True)",
                "np.multiply(np.exp(y, out=out), grad.sum(-1, keepdims=True), out=out); "
                "np.subtract(grad, out, out=out)",
            ),
            "PyTorch": (
                "torch._log_softmax_backward_data(tgrad, ty, -1, tx.dtype)",
                "torch._log_softmax_backward_data(tgrad, ty, -1, tx.dtype, out=tout)",
            ),
        },
    },
}

# The peers' backward of these starts from y: it stands beside both of ours, from x and from y.
for operations in map(STATEMENTS.get, ("sigmoid", "tanh", "softmax", "log_softmax")):
    operations["backward_from_output"] = operations["backward"]


def numpy_softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def numpy_log_softmax(x):
    z = x - x.max(-1, keepdims=True)
    return z - np.log(np.exp(z).sum(-1, keepdims=True))


def own_statement(function, operation, into_out=False):
    """Return the statement of pyactx."""
    options = PARAMETERS.get(function, "") + (", out=out" if into_out else "")
    return OPERATIONS[operation].format(function=function, options=options)


def variables(arrays, peers):
    """Return what statements see, given the arrays and the modules of the peers."""
    names = {"np": np, "pyactx": pyactx, "special": peers.get("SciPy"), **arrays}
    names.update(numpy_softmax=numpy_softmax, numpy_log_softmax=numpy_log_softmax)
    if torch := peers.get("PyTorch"):
        names.update(torch=torch, aten=torch.ops.aten)
        names.update({f"t{name}": torch.from_numpy(array) for name, array in arrays.items()})
    return names
