"""Offers one name that actx-good offers too, and one of its own."""

import numpy as np

import pyactx

wave = pyactx.Activation("wave", forward=np.cos)
rival_only = pyactx.Activation("rival_only", forward=np.sin)
