import numpy as np

import pyactx
from pyactx.testing import check_activation


def test_everything_that_pyactx_asks_of_an_activation():
    check_activation(pyactx.get("softcap"))


def test_known_values():
    softcap = pyactx.get("softcap")
    assert softcap(np.inf) == 30.0
    np.testing.assert_allclose(softcap(np.float64([0.0, 1.0]), cap=1.0), [0.0, 0.7615941559557649], rtol=1e-15)
