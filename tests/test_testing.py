"""check_activation passes what is right, and says what is wrong with what is not."""

import numpy as np
import pytest
from conftest import BOOK, best_compiled, builtin

import pyactx
from pyactx import testing
from pyactx.testing import check_activation


@pytest.fixture
def quickly(monkeypatch, implementation):
    """Leave out what others test for all activations: threads (test_threads.py), in Python lengths (test_layout.py)."""
    left_out = [testing.check_threads] + [testing.check_lengths] * (not implementation.compiled)
    monkeypatch.setattr(testing, "CHECKS", [check for check in testing.CHECKS if check not in left_out])


def test_built_in(activation, quickly):
    check_activation(activation)


@pytest.mark.parametrize("name", ["relu", "softmax", "logsumexp", "reglu", "crelu"])
def test_built_in_with_all_checks(activations, name):
    check_activation(activations[name])


PARAMETERS = dict.fromkeys(["leaky_relu", "prelu", "elu", "silu"], (-0.5, 0.0, 1.5))


@best_compiled  # which is compared with Python
@pytest.mark.parametrize("name, value", [(name, value) for name in builtin("elementwise") if BOOK[name].parameters
                                         for value in PARAMETERS.get(name, (0.75,))])
def test_parameters(activations, quickly, name, value):
    """Of several parameters each in turn."""
    for parameter in BOOK[name].parameters:
        check_activation(activations[name], {parameter: value})


def bent(x):
    return (np.hypot(x, 1) - 1) / 2 + x


def bent_derivative(x):
    """x / (2 hypot(x, 1)) + 1, with its limits at the infinities."""
    return np.where(np.isinf(x), np.sign(x), x / np.hypot(x, 1)) / 2 + 1


def test_of_callables():
    check_activation(pyactx.Activation("bent", bent, bent_derivative))


WRONG = {
    "differs from numerical differentiation": dict(forward=np.square, derivative=lambda x: 2.001 * x),
    "does not keep NaN": dict(forward=lambda x: np.where(x > 0, x, 0 * np.nan_to_num(x)), derivative=np.sign),
    "a NaN reaches other elements": dict(forward=lambda x: x - np.max(x, initial=0), derivative=np.ones_like),
    "cannot be pickled": dict(forward=lambda x: x + 0, derivative=lambda x: 1 + 0 * np.clip(x, -1, 1)),
}


@pytest.mark.parametrize("text", WRONG)
def test_says_what_is_wrong(text):
    with pytest.raises(AssertionError, match=f"wrong.*{text}"):
        check_activation(pyactx.Activation("wrong", **WRONG[text]))


def test_needs_an_activation():
    with pytest.raises(TypeError, match=r"check_activation: needs a pyactx\.Activation, got function"):
        check_activation(bent)


def test_unknown_parameter():
    with pytest.raises(TypeError, match="relu has no parameter alpha"):
        check_activation(pyactx.relu, {"alpha": 1})
