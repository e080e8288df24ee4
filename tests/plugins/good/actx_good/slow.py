"""Notes in `loads` who asks for the activation, and makes a new one for each."""

import time

import numpy as np

import pyactx

loads = []


def __getattr__(name):
    if name != "slow_wave":
        raise AttributeError(name)
    loads.append(name)
    time.sleep(0.05)
    return pyactx.Activation("slow_wave", forward=np.sin)
