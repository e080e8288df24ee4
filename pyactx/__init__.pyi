from typing import Any, Literal, overload

from pyactx import ufuncs as ufuncs
from pyactx._pool import clear_pool as clear_pool
from pyactx._pool import get_pool_limit as get_pool_limit
from pyactx._pool import set_pool_limit as set_pool_limit
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

# One line for each definition in the book; tests/test_parity.py compares.
bilinear_glu: Activation
celu: Activation
clipped_gelu: Activation
crelu: Activation
elu: Activation
entmax: Activation
entmax15: Activation
erf: Activation
exponential: Activation
gaussian: Activation
geglu: Activation
geglu_quick: Activation
geglu_tanh: Activation
gelu: Activation
gelu_tanh: Activation
glu: Activation
gumbel_softmax: Activation
hard_mish: Activation
hard_shrink: Activation
hard_sigmoid: Activation
hard_silu: Activation
hard_tanh: Activation
hardmax: Activation
identity: Activation
laplace: Activation
leaky_relu: Activation
log_sigmoid: Activation
log_softmax: Activation
logit: Activation
logmeanexp: Activation
logsumexp: Activation
maxout: Activation
mish: Activation
prelu: Activation
quick_gelu: Activation
reglu: Activation
relu: Activation
relu2: Activation
relu6: Activation
rrelu: Activation
selu: Activation
sigmoid: Activation
sigmoid_glu: Activation
silu: Activation
snake: Activation
snake_beta: Activation
soft_shrink: Activation
softmax: Activation
softmin: Activation
softplus: Activation
softsign: Activation
sparse_plus: Activation
sparse_sigmoid: Activation
sparsemax: Activation
squareplus: Activation
star_relu: Activation
swiglu: Activation
swiglu_oai: Activation
tanh: Activation
tanh_shrink: Activation
threshold: Activation
thresholded_relu: Activation
xielu: Activation
