import numpy as np

import pyactx

wave = pyactx.Activation("wave", forward=np.sin, derivative=np.cos)
