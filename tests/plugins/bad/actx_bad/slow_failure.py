"""Notes in `loads` who asks for the activation, and fails each."""

import time

loads = []


def __getattr__(name):
    if name != "activation":
        raise AttributeError(name)
    loads.append(name)
    time.sleep(0.05)
    raise OSError("not ready")
