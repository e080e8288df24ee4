"""The ufuncs behind the activations, each under its own name, so that it pickles: ``pyactx.ufuncs.sigmoid``.

Beside the value there are ``sigmoid_derivative``, ``sigmoid_backward`` and so on, with the parameters as further
inputs.  They are made when first asked for.
"""

from pyactx._registry import registry

_operations = {
    operation.ufunc_name: operation
    for activation in registry.builtin.values()
    if not activation._definition.composed
    for operation in activation.operations()
}


def __getattr__(name):
    if name not in _operations:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    ufunc = globals()[name] = _operations[name].ufunc
    return ufunc


def __dir__():
    return sorted({*globals(), *_operations})
