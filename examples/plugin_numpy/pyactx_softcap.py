"""Soft cap: cap tanh(x / cap), for pyactx.

The formulas are called with NumPy arrays of float64, whatever the dtype of the array that the user has; pyactx rounds,
broadcasts, and makes `backward` and `value_and_derivative` of them.  It silences floating-point warnings.
"""

import numpy as np

import pyactx


def forward(x, cap):
    """Soft cap: the identity, bent to stay within the cap."""
    return cap * np.tanh(x / cap)


def derivative(x, cap):
    # sech² by the exponential: 1 - tanh² would be 0 where it is small.
    e = np.exp(-2 * np.abs(x / cap))
    return 4 * e / (1 + e) ** 2


def cap_derivative(x, cap):
    z = np.clip(x / cap, -800, 800)  # beyond, 0 times an infinity would be NaN
    return np.tanh(z) - z * derivative(z, 1)


softcap = pyactx.Activation(
    "softcap",
    forward=forward,
    derivative=derivative,
    parameters={"cap": 30.0},
    parameter_derivatives={"cap": cap_derivative},
    properties=pyactx.Properties(
        range=(-30.0, 30.0), zero_centered=True, monotonic=True, bounded=True, smooth=True, saturates="both",
        can_die=False, kinks=(), introduced="Gemma Team, Gemma 2, 2024, arXiv:2408.00118",
        good_for="keeping logits in bounds",
        beware="vanishing gradients beyond the cap",
    ),
)
