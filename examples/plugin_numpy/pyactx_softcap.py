"""Snake: x + sin²(alpha x) / alpha, for pyactx.

The formulas are called with NumPy arrays of float64, whatever the dtype of the array that the user has; pyactx rounds,
broadcasts, and makes `backward` and `value_and_derivative` of them.  It silences floating-point warnings.
"""

import numpy as np

import pyactx


def forward(x, alpha):
    """Snake: the identity with a periodic part."""
    periodic = np.sin(alpha * x) ** 2 / np.where(alpha == 0, 1, alpha)  # 0 in the limit alpha = 0
    return np.where(np.isinf(x), x, x + periodic)


def derivative(x, alpha):
    # 1 + sin(2u) as a square: it vanishes without cancelling to a negative number.
    u = alpha * x
    return (np.sin(u) + np.cos(u)) ** 2


def alpha_derivative(x, alpha):
    # x sin(2u)/alpha - sin²(u)/alpha², with sin(u) taken out: what is left does not cancel for small u.
    u = alpha * x
    return np.where(alpha == 0, x * x, np.sin(u) * (2 * u * np.cos(u) - np.sin(u)) / alpha**2)


snake = pyactx.Activation(
    "snake",
    forward=forward,
    derivative=derivative,
    parameters={"alpha": 1.0},
    parameter_derivatives={"alpha": alpha_derivative},
    properties=pyactx.Properties(
        range=(-np.inf, np.inf), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="none",
        can_die=False, kinks=(), introduced="Ziyin, Hartwig & Ueda, 2020, arXiv:2006.08195",
        good_for="periodic data: seasons, audio",
        beware="the derivative vanishes once in every period; at an infinity it has no limit and is NaN",
    ),
)
