"""Swoosh: log(1 + exp(x - shift)) - 0.08 x - 0.035, for pyactx, compiled.

The formulas here say the same as _kernel.pyx, readably.  `python -m pyactx verify swoosh` compares the two, and where
pyactx itself is not compiled they are what runs.
"""

import numpy as np

import pyactx
from pyactx_swoosh._kernel import swoosh_kernel


def forward(x, shift):
    linear = np.where(x > shift, 0.92 * x - shift, -0.08 * x)  # at +inf the terms would cancel
    return np.log1p(np.exp(-np.abs(x - shift))) + linear - 0.035


def sigmoid(z):
    e = np.exp(-np.abs(z))
    return np.where(z < 0, e, 1) / (1 + e)


def derivative(x, shift):
    return sigmoid(x - shift) - 0.08


def shift_derivative(x, shift):
    return -sigmoid(x - shift)


PROPERTIES = pyactx.Properties(
    range=(-np.inf, np.inf), zero_centered=False, monotonic=False, bounded=False, smooth=True, saturates="none",
    can_die=False, kinks=(), introduced="Yao et al., Zipformer, 2023, arXiv:2310.11230",
    good_for="speech encoders, in modules that should be able to switch off",
    beware="shift=4 is the paper's Swoosh-L; its Swoosh-R has another offset too",
)

reference = pyactx.Activation(
    "swoosh",
    forward=forward,
    derivative=derivative,
    parameters={"shift": 4.0},
    parameter_derivatives={"shift": shift_derivative},
    properties=PROPERTIES,
    doc="Swoosh: softplus with a negative slope on the left.",
)

swoosh = pyactx.Activation.from_kernel("swoosh", swoosh_kernel, reference=reference, properties=PROPERTIES)
