"""Offers a name and an alias that are built in."""

import numpy as np

import pyactx

relu = pyactx.Activation("ReLU", forward=np.negative)
linear = pyactx.Activation("linear", forward=np.negative)
