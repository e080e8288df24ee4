"""Activation functions and their derivatives for NumPy arrays, compiled, with a plugin registry.

>>> import numpy as np, pyactx
>>> x = np.float32([-1, 0, 2])
>>> pyactx.relu(x)
array([0., 0., 2.], dtype=float32)
>>> pyactx.relu.derivative(x)
array([0., 0., 1.], dtype=float32)
"""

from pyactx import ufuncs
from pyactx._config import show_config
from pyactx._pool import clear_pool, get_pool_limit, set_pool_limit
from pyactx._registry import get, names, register, registry, unregister
from pyactx._threads import get_num_threads, set_num_threads, threads
from pyactx._version import __version__
from pyactx.activation import Activation, Properties
from pyactx.errors import DuplicateActivationError, PluginConflictWarning, PluginError, UnknownActivationError
from pyactx.include import get_include

globals().update(registry.builtin)

__all__ = [
    "Activation",
    "DuplicateActivationError",
    "PluginConflictWarning",
    "PluginError",
    "Properties",
    "UnknownActivationError",
    "__version__",
    "clear_pool",
    "get",
    "get_include",
    "get_num_threads",
    "get_pool_limit",
    "names",
    "register",
    "registry",
    "set_num_threads",
    "set_pool_limit",
    "show_config",
    "threads",
    "ufuncs",
    "unregister",
    *registry.builtin,
]
