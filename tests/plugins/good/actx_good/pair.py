"""While this is imported for one of its activations, the other is asked for here and in another thread."""

import threading
import time

import numpy as np

import pyactx

first = pyactx.Activation("first", forward=np.sin)
threading.Thread(target=pyactx.get, args=["first"]).start()
time.sleep(0.2)  # the thread now waits for the end of this import
assert pyactx.get("first") is first
second = pyactx.Activation("second", forward=np.cos)
