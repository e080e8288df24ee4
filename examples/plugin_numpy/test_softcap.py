import numpy as np

import pyactx
from pyactx.testing import check_activation


def test_everything_that_pyactx_asks_of_an_activation():
    check_activation(pyactx.get("snake"))


def test_published_values():
    snake = pyactx.get("snake")
    assert snake(np.pi / 2) == np.pi / 2 + 1
    assert snake(np.float64([0.0, 2.0]), alpha=0.0).tolist() == [0.0, 2.0]
