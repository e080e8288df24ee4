from typing import Any, Literal, overload

from pyactx import ufuncs as ufuncs
from pyactx._registry import Registry
from pyactx._threads import get_num_threads as get_num_threads
from pyactx._threads import set_num_threads as set_num_threads
from pyactx._threads import threads as threads
from pyactx.activation import Activation as Activation
from pyactx.activation import Properties as Properties
from pyactx.errors import DuplicateActivationError as DuplicateActivationError
from pyactx.errors import PluginConflictWarning as PluginConflictWarning
from pyactx.errors import PluginError as PluginError
from pyactx.errors import UnknownActivationError as UnknownActivationError
from pyactx.include import get_include as get_include

__version__: str
__all__: list[str]

registry: Registry

def get(name: str) -> Activation: ...
def names(kind: str | None = None) -> list[str]: ...
def register(activation: Activation, override: bool = False) -> Activation: ...
def unregister(name: str) -> Activation: ...
@overload
def show_config(mode: Literal["stdout"] = "stdout") -> None: ...
@overload
def show_config(mode: Literal["dicts"]) -> dict[str, Any]: ...

# One line for each definition in _reference.py; tests/test_parity.py compares.
identity: Activation
leaky_relu: Activation
log_softmax: Activation
prelu: Activation
relu: Activation
sigmoid: Activation
softmax: Activation
tanh: Activation
