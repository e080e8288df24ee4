import numpy as np

import pyactx
from pyactx.testing import check_activation


def test_everything_that_pyactx_asks_of_an_activation():
    check_activation(pyactx.get("swoosh"))


def test_published_values():
    swoosh = pyactx.get("swoosh")
    x = np.float64([-2.0, 0.0, 4.0])
    np.testing.assert_allclose(swoosh(x), np.log(1 + np.exp(x - 4)) - 0.08 * x - 0.035, rtol=1e-14)
    np.testing.assert_allclose(swoosh.derivative(x), 1 / (1 + np.exp(4 - x)) - 0.08, rtol=1e-14)
