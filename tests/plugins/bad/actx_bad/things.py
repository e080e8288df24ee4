import numpy as np

import pyactx

misnamed = pyactx.Activation("another_name", forward=np.sin, aliases=["misnamed"])
a_class = pyactx.Activation


def a_function(x):
    return x
