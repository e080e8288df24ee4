"""Other libraries, where they are installed: agreement, and every deliberate difference by name."""

import numpy as np
import pytest

from pyactx import testing

X = np.concatenate([np.linspace(-30, 30, 2001), [0.0, -0.0, 1e-30, -1e-30, 80.0, -80.0]])

SCIPY = {"sigmoid": "expit", "softmax": "softmax", "log_softmax": "log_softmax"}

TORCH = {
    "sigmoid": lambda torch, x: torch.sigmoid(x),
    "tanh": lambda torch, x: torch.tanh(x),
    "relu": lambda torch, x: torch.relu(x),
    "identity": lambda torch, x: x * 1,
    "leaky_relu": lambda torch, x: torch.nn.functional.leaky_relu(x),
    "prelu": lambda torch, x: torch.nn.functional.prelu(x, torch.tensor(0.25, dtype=x.dtype)),
    "softmax": lambda torch, x: torch.softmax(x, -1),
    "log_softmax": lambda torch, x: torch.log_softmax(x, -1),
}

# Where we differ on purpose: (activation, direction): (where, why)
DIFFERENCES = {
    ("sigmoid", "backward"): (lambda x: x > 10, "PyTorch computes y (1 - y), which cancels"),
    ("tanh", "backward"): (lambda x: np.abs(x) > 5, "PyTorch computes 1 - y y, which cancels"),
}


def points(activation):
    return X if activation.kind == "elementwise" else X[: 2000].reshape(20, 100)


@pytest.mark.parametrize("name", SCIPY)
def test_scipy(activations, name):
    special = pytest.importorskip("scipy.special")
    activation = activations[name]
    x = points(activation)
    keywords = {} if activation.kind == "elementwise" else {"axis": -1}
    np.testing.assert_allclose(activation(x), getattr(special, SCIPY[name])(x, **keywords), rtol=1e-13)


# From scipy/special/tests/test_logit.py (TestExpit): the limits at which a float of each kind is 0 or 1.
def test_expit_of_scipy_at_large_numbers(activations, dtype):
    for large in (40, 80, 160, 320, 640):
        high, low = activations["sigmoid"](np.array([large, -large], dtype))
        assert high == 1
        np.testing.assert_allclose(low, np.exp(np.array(-large, dtype)), rtol=1e-6, atol=2e-45)


# From scipy/special/tests/test_logsumexp.py (TestSoftmax, TestLogSoftmax), values by mpmath.
SOFTMAX = [([0.0, 0.0], [0.5, 0.5]), ([1000.0, 1000.0], [0.5, 0.5]), ([-1000.0, 1000.0], [0.0, 1.0]),
           ([1000.0, 0.0], [1.0, 0.0]),
           ([0.0, 1.0, 2.0, 3.0], [0.03205860328008499, 0.08714431874203257, 0.23688281808991013, 0.6439142598879722])]
LOG_SOFTMAX = [([1000.0, 1.0], [0.0, -999.0]),
               ([0.0, 1.0, 2.0, 3.0], [-3.4401896985611953, -2.4401896985611953, -1.4401896985611953,
                                       -0.44018969856119533]),
               ([0.0, -1.0, -2.0, -3.0], [-0.44018969856119533, -1.4401896985611953, -2.4401896985611953,
                                          -3.4401896985611953])]


@pytest.mark.parametrize("name, table", [("softmax", SOFTMAX), ("log_softmax", LOG_SOFTMAX)])
def test_published_rows(activations, name, table):
    for x, expected in table:
        np.testing.assert_allclose(activations[name](np.array(x)), expected, rtol=1e-13)
        np.testing.assert_allclose(activations[name](np.array(x) + 100), expected, rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("name", TORCH)
def test_torch(activations, name, dtype):
    torch = pytest.importorskip("torch")
    activation = activations[name]
    x = points(activation).astype(dtype)
    values = testing.values_of(activation, None)
    tensor = torch.tensor(x, requires_grad=True)
    result = TORCH[name](torch, tensor)
    tolerance = 40 * np.finfo(dtype).eps
    np.testing.assert_allclose(activation(x, **values), result.detach().numpy(), rtol=tolerance, atol=1e-37)
    grad = np.random.default_rng(23).normal(size=x.shape).astype(dtype)
    result.backward(torch.from_numpy(grad))
    differs = DIFFERENCES.get((name, "backward"), (lambda x: np.zeros(x.shape, bool), ""))[0](x)
    ours, theirs = activation.backward(grad, x, **values), tensor.grad.numpy()
    np.testing.assert_allclose(ours[~differs], theirs[~differs], rtol=1e4 * tolerance, atol=tolerance)
    for where in np.flatnonzero(differs.ravel())[:5]:  # a difference that is no longer one leaves the list
        assert ours.ravel()[where] != 0


def test_torch_tensors_are_array_like(activations):
    torch = pytest.importorskip("torch")
    x = torch.linspace(-2, 2, 7)
    np.testing.assert_array_equal(activations["sigmoid"](x), activations["sigmoid"](x.numpy()))
    with pytest.raises(TypeError, match="sigmoid: x is a Tensor that cannot be read"):
        activations["sigmoid"](x.requires_grad_())
