"""ONNX's own tests: every node test of an activation, and what PyTorch 0.3 computed when its graphs were converted."""

from functools import cache

import numpy as np
import pytest

backend = pytest.importorskip("onnx_backend", reason="needs onnx")
import onnx  # noqa: E402

# Names less "test_", by operator and the version of it that they came with.
NODE = {
    ("Celu", 12): "celu",
    ("Celu", 28): "celu_float16 celu_bfloat16",
    ("Clip", 13): "clip clip_example clip_inbounds clip_outbounds clip_splitbounds clip_default_min clip_default_max "
    "clip_default_inbounds",
    ("Elu", 6): "elu elu_default elu_example",
    ("Erf", 13): "erf",
    ("Exp", 13): "exp exp_example",
    ("Gelu", 20): "gelu_default_1 gelu_default_2 gelu_tanh_1 gelu_tanh_2",
    ("HardSigmoid", 6): "hardsigmoid hardsigmoid_default hardsigmoid_example",
    ("HardSwish", 14): "hardswish",
    ("Hardmax", 13): "hardmax_axis_0 hardmax_axis_1 hardmax_axis_2 hardmax_default_axis hardmax_example "
    "hardmax_negative_axis hardmax_one_hot",
    ("Identity", 1): "identity",
    ("LeakyRelu", 6): "leakyrelu leakyrelu_default leakyrelu_example",
    ("LogSoftmax", 13): "logsoftmax_axis_0 logsoftmax_axis_1 logsoftmax_axis_2 logsoftmax_default_axis "
    "logsoftmax_example_1 logsoftmax_large_number logsoftmax_negative_axis",
    ("Mish", 18): "mish",
    ("PRelu", 7): "prelu_broadcast prelu_example",
    ("ReduceLogSumExp", 18): "reduce_log_sum_exp_default_axes_keepdims_example "
    "reduce_log_sum_exp_default_axes_keepdims_random reduce_log_sum_exp_do_not_keepdims_example "
    "reduce_log_sum_exp_do_not_keepdims_random reduce_log_sum_exp_empty_set reduce_log_sum_exp_keepdims_example "
    "reduce_log_sum_exp_keepdims_random reduce_log_sum_exp_negative_axes_keepdims_example "
    "reduce_log_sum_exp_negative_axes_keepdims_random",
    ("Relu", 6): "relu",
    ("Selu", 6): "selu selu_default selu_example",
    ("Shrink", 9): "shrink_hard shrink_soft",
    ("Sigmoid", 6): "sigmoid sigmoid_example",
    ("Softmax", 13): "softmax_axis_0 softmax_axis_1 softmax_axis_2 softmax_default_axis softmax_example "
    "softmax_large_number softmax_negative_axis",
    ("Softplus", 1): "softplus softplus_example",
    ("Softsign", 1): "softsign softsign_example",
    ("SwiGLU", 28): "swiglu swiglu_alpha swiglu_float16",
    ("Swish", 24): "swish",
    ("Tanh", 6): "tanh tanh_example",
    ("ThresholdedRelu", 10): "thresholdedrelu thresholdedrelu_default thresholdedrelu_example",
}

CONVERTED = (
    "ELU GLU GLU_dim LeakyReLU LeakyReLU_with_negval LogSoftmax PReLU_1d PReLU_1d_multiparam PReLU_2d "
    "PReLU_2d_multiparam PReLU_3d PReLU_3d_multiparam ReLU SELU Sigmoid Softmax Softmin Softplus Softsign Tanh "
    "log_softmax_dim3 log_softmax_lastdim softmax_functional_dim3 softmax_lastdim")

# What is of these operators and not of us.
OTHERS = {
    "test_clip_default_int8_inbounds": "integers stay integers",
    "test_clip_default_int8_max": "integers stay integers",
    "test_clip_default_int8_min": "integers stay integers",
    "test_clip_min_greater_than_max": "min_val is above max_val",
    "test_identity_opt": "an optional sequence, no array",
    "test_identity_sequence": "a sequence, no array",
}


def known(operator, version):
    """Whether the installed ONNX has the operator in this version or a later one."""
    return onnx.defs.has(operator) and onnx.defs.get_schema(operator).since_version >= version


NAMES = {
    "node": [f"test_{name}" for (operator, version), names in NODE.items() if known(operator, version)
             for name in names.split()],
    "pytorch-converted": [f"test_{name}" for name in CONVERTED.split()],
}

load = cache(backend.load)


@pytest.mark.parametrize("kind, name", [(kind, name) for kind, names in NAMES.items() for name in names])
def test_case(activations, kind, name):
    case = load(kind)[name]
    compared = 0
    for inputs, (expected,) in backend.data_sets_of(case):
        expected = np.asarray(expected)
        with np.errstate(over="ignore"):
            result = np.asarray(backend.run(activations, case, inputs)).astype(expected.dtype)
        assert result.shape == expected.shape
        rtol = case.rtol
        if expected.dtype.name == "bfloat16":  # as ONNX's own runner does
            result, expected, rtol = result.astype(np.float32), expected.astype(np.float32), 2**-6
        np.testing.assert_allclose(result, expected, rtol=rtol, atol=case.atol)
        compared += 1
    assert compared


@pytest.mark.parametrize("kind", NAMES)
def test_every_case_is_run(kind, capsys):
    there = set(load(kind)) - set(OTHERS)
    assert there == set(NAMES[kind])
    with capsys.disabled():
        print(f"\nonnx {onnx.__version__}, {kind}: {len(there)} cases on each implementation: "
              f"{' '.join(sorted(name.removeprefix('test_') for name in there))}")


def test_number_of_cases():
    newer = {("Swish", 24): 1, ("SwiGLU", 28): 3, ("Celu", 28): 2}
    assert len(NAMES["node"]) == 77 + sum(cases for key, cases in newer.items() if known(*key))
    assert len(NAMES["pytorch-converted"]) == 24
