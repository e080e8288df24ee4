"""A backend for ONNX's own tests: one node is one call of pyactx."""

import warnings
from pathlib import Path

import numpy as np
import onnx
from onnx.backend.test.loader import load_model_tests

LAST_FLATTENING_OPSET = 12  # up to it, softmax and its kin flatten all dimensions from axis on, by default from 1
LAST_CHANNEL_OPSET = 6  # up to it, the slopes of PRelu lie along axis 1


def rows(name):
    def call(activations, attributes, x):
        if attributes["opset"] > LAST_FLATTENING_OPSET:
            return activations[name](x, axis=attributes.get("axis", -1))
        return activations[name](x, axis=tuple(range(attributes.get("axis", 1) % x.ndim, x.ndim)))

    return call


def plain(name):
    return lambda activations, attributes, x: activations[name](x)


def with_alpha(name, default):
    return lambda activations, attributes, x: activations[name](x, attributes.get("alpha", default))


def prelu(activations, attributes, x, slope):
    along = {"axis": 1} if attributes["opset"] <= LAST_CHANNEL_OPSET and slope.size > 1 else {}
    return activations["prelu"](x, slope, **along)


def selu(activations, attributes, x):
    """The default constants are those of selu to seven digits; others make it a multiple of elu."""
    if "alpha" not in attributes and "gamma" not in attributes:
        return activations["selu"](x)
    return np.float32(attributes["gamma"]) * activations["elu"](x, attributes["alpha"])


def shrink(activations, attributes, x):
    bias, lambd = attributes.get("bias", 0.0), attributes.get("lambd", 0.5)
    if bias not in (0, lambd):
        raise NotImplementedError(f"Shrink with bias {bias} and lambd {lambd}")
    return activations["soft_shrink" if bias else "hard_shrink"](x, lambd)


def gelu(activations, attributes, x):
    return activations["gelu"](x, approximate=attributes.get("approximate", b"none").decode())


def hard_sigmoid(activations, attributes, x):
    return activations["hard_sigmoid"](x, alpha=attributes.get("alpha", 0.2), beta=attributes.get("beta", 0.5))


def clip(activations, attributes, x, low=None, high=None):
    return activations["hard_tanh"](x, -np.inf if low is None else low, np.inf if high is None else high)


def logsumexp(activations, attributes, x, axes=None):
    axis = None if axes is None or axes.size == 0 else tuple(axes.tolist())
    return activations["logsumexp"](x, axis=axis, keepdims=bool(attributes.get("keepdims", 1)))


# Operator: function of (activations, attributes of the node, *inputs); one attribute more is the "opset" of the model.
OPERATORS = {
    "Celu": with_alpha("celu", 1.0),
    "Clip": clip,
    "Elu": with_alpha("elu", 1.0),
    "Erf": plain("erf"),
    "Exp": plain("exponential"),
    "Gelu": gelu,
    "HardSigmoid": hard_sigmoid,
    "HardSwish": plain("hard_silu"),
    "Hardmax": rows("hardmax"),
    "Identity": plain("identity"),
    "LeakyRelu": with_alpha("leaky_relu", 0.01),
    "LogSoftmax": rows("log_softmax"),
    "Mish": plain("mish"),
    "PRelu": prelu,
    "ReduceLogSumExp": logsumexp,
    "Relu": plain("relu"),
    "Selu": selu,
    "Shrink": shrink,
    "Sigmoid": plain("sigmoid"),
    "Softmax": rows("softmax"),
    "Softplus": plain("softplus"),
    "Softsign": plain("softsign"),
    "SwiGLU": lambda activations, attributes, a, b: activations["swiglu"](a, b, attributes.get("alpha", 1.0)),
    "Swish": with_alpha("silu", 1.0),
    "Tanh": plain("tanh"),
    "ThresholdedRelu": with_alpha("thresholded_relu", 1.0),
}

# Graphs of several nodes that are one activation.
GRAPHS = {
    "test_GLU": lambda activations, x: activations["glu"](x),
    "test_GLU_dim": lambda activations, x: activations["glu"](x, axis=1),
    "test_Softmin": lambda activations, x: activations["softmin"](x, axis=1),
    "test_Softsign": lambda activations, x: activations["softsign"](x),
}


def load(kind):
    """Return the cases of ONNX of one kind by name, those of operators that pyactx has; expanded twins are left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with np.errstate(all="ignore"):
            cases = load_model_tests(kind=kind)
    return {case.name: case for case in cases if "_expanded" not in case.name and (
        case.name in GRAPHS or operator_of(case) in OPERATORS)}


def model_of(case):
    return case.model if case.model is not None else onnx.load(str(Path(case.model_dir, "model.onnx")))


def operator_of(case):
    nodes = model_of(case).graph.node
    return nodes[0].op_type if len(nodes) == 1 else None


def data_sets_of(case):
    """Yield the inputs and the expected outputs of a case, which older versions of ONNX keep in files."""
    if case.data_sets is not None:
        yield from case.data_sets
        return
    for directory in sorted(Path(case.model_dir).glob("test_data_set_*")):
        inputs, outputs = (
            [onnx.numpy_helper.to_array(onnx.load_tensor(str(directory / f"{kind}_{k}.pb")))
             for k in range(len(list(directory.glob(f"{kind}_*.pb"))))] for kind in ("input", "output"))
        yield inputs, outputs


def run(activations, case, inputs):
    """Return the output of a case, by one call."""
    model = model_of(case)
    inputs = [x.astype(np.float32) if x.dtype.name == "bfloat16" else x for x in map(np.asarray, inputs)]
    if case.name in GRAPHS:
        return GRAPHS[case.name](activations, *inputs)
    (node,) = model.graph.node
    constants = {constant.name: onnx.numpy_helper.to_array(constant) for constant in model.graph.initializer}
    values = dict(zip((value.name for value in model.graph.input if value.name not in constants), inputs))
    attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
    attributes["opset"] = next(used.version for used in model.opset_import if used.domain in ("", "ai.onnx"))
    return OPERATORS[node.op_type](activations, attributes, *[(values | constants).get(name) for name in node.input])
