"""check_activation passes what is right, and says what is wrong with what is not."""

import numpy as np
import pytest

import pyactx
from pyactx.testing import check_activation


def test_built_in(activation):
    check_activation(activation)


@pytest.mark.parametrize("slope", [-0.5, 0.0, 1.5])
def test_parameters(elementwise, slope):
    if elementwise.parameters:
        check_activation(elementwise, dict.fromkeys(elementwise.parameters, slope))


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
