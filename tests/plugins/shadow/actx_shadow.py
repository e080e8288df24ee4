"""Offers a name that is built in."""

import numpy as np
import pyactx

relu = pyactx.Activation("ReLU", forward=np.negative)
