"""The general path: every call that the direct path leaves, checked and handed to its ufunc.

Both implementations come through here, so that their errors are the same.  A message says who, what is wrong, what was
given and what to do; nothing has been written when one is raised.
"""

from inspect import Parameter, Signature

import numpy as np
from numpy.exceptions import AxisError

REQUIRED = Parameter.empty
NUMBERS = (float, int, bool)
FLOAT64 = np.dtype(np.float64)
UFUNC_KEYWORDS = ("where", "dtype", "casting", "order", "subok")


def call(operation, bound, options):
    """Compute one operation of an elementwise or gated activation."""
    out = options.pop("out", None)
    axis = bound.pop("axis", None)
    label = operation.label
    arrays = [array_like(label, name, value) for name, value in bound.items()]
    if any(map(is_foreign, arrays)) or (out is not None and any(map(is_foreign, as_tuple(out)))):
        if axis is not None:
            raise TypeError(f"{label}: axis is not possible for arrays of {type(arrays[0]).__module__.split('.')[0]}; "
                            f"give the parameters a shape that broadcasts")
        return call_foreign(operation, arrays, out, options)
    if axis is not None:
        arrays = along_axis(operation, dict(zip(bound, arrays)), axis)
    dtype = result_dtype(label, arrays, options)
    if out is not None or options or not can_broadcast(arrays):
        shape = broadcast_shape(label, dict(zip(bound, arrays)), options)
        options["out"] = checked_out(operation, out, shape, dtype, options.get("casting", "same_kind"))
    if not options and all(type(x) not in NUMBERS and x.dtype == dtype for x in arrays):
        return operation.ufunc(*arrays)
    with np.errstate(all="ignore"):  # of what overflows when it is cast
        return operation.ufunc(*not_widening(arrays, dtype), **options)


def not_widening(arrays, dtype):
    """Return Python numbers as numbers of the dtype."""
    return [dtype.type(x) if type(x) in NUMBERS else x for x in arrays]


def bind(operation, arguments, keywords):
    """Return {name: value} for the arrays, the parameters and the axis, and the remaining keywords."""
    label, names = operation.label, operation.argument_names
    if len(arguments) > len(names):
        raise TypeError(f"{label}: takes at most {len(names)} positional arguments ({', '.join(names)}), "
                        f"{len(arguments)} were given")
    bound = dict(zip(names, arguments))
    options = {}
    for name, value in keywords.items():
        if name in bound:
            raise TypeError(f"{label}: {name} was given twice")
        if name in names:
            bound[name] = value
        elif name in operation.keywords:
            options[name] = value
        else:
            known = ", ".join([*names, *operation.keywords])
            raise TypeError(f"{label}: unknown keyword {name!r}; it takes {known}")
    if len(bound) < len(names):
        for name in names:
            if name not in bound and name not in operation.defaults:
                raise TypeError(f"{label}: {name} is missing")
        bound = {name: bound[name] if name in bound else operation.defaults[name] for name in names}
    elif keywords:
        bound = {name: bound[name] for name in names}
    for name in operation._definition.parameters:
        if bound[name] is None:  # what other libraries say for a parameter that is not used
            if name not in operation.defaults:
                raise TypeError(f"{label}: {name} is missing")
            bound[name] = operation.defaults[name]
    for name, (is_right, wish) in operation._definition.domains.items():
        if not np.all(is_right(bound[name])):
            raise ValueError(f"{label}: {name} must be {wish}, got {bound[name]!r}")
    return bound, options


def keywords_of(definition):
    """Return the names of the arguments that are keywords only."""
    if definition.composed:
        return definition.keywords
    if definition.kind != "axiswise":
        return ("out", *UFUNC_KEYWORDS)
    keywords = ["out", *UFUNC_KEYWORDS[1:]]
    if definition.masked is not None:
        keywords.insert(1, "where")
    if definition.reduces:
        keywords.insert(1, "keepdims")
    return tuple(keywords)


def chosen(label, argument, value, names):
    """Return the name of the activation that an argument chooses."""
    if not isinstance(value, str) or value not in names:
        raise ValueError(f"{label}: {argument} must be one of {', '.join(map(repr, names))}, got {value!r}")
    return names[value]


def signature(operation):
    """Return the inspect.Signature of an operation."""
    parameters = [
        Parameter(name, Parameter.POSITIONAL_OR_KEYWORD, default=operation.defaults.get(name, REQUIRED))
        for name in operation.argument_names
    ]
    keywords = [Parameter("out", Parameter.KEYWORD_ONLY, default=None),
                Parameter("ufunc_keywords", Parameter.VAR_KEYWORD)]
    return Signature(parameters + keywords)


# ---- The arrays ------------------------------------------------------------------------------------------------------


def is_foreign(x):
    """Whether x is an array of another library that takes ufuncs into its own hands."""
    override = getattr(type(x), "__array_ufunc__", None)
    return override is not None and override is not np.ndarray.__array_ufunc__


def as_tuple(out):
    return out if isinstance(out, tuple) else (out,)


def array_like(label, name, value):
    """Return value as an ndarray, a Python number or a foreign array; raise TypeError for what cannot be computed."""
    if type(value) in NUMBERS:
        return value
    if isinstance(value, np.ndarray):
        array = value
    elif is_foreign(value):
        return value
    elif hasattr(type(value), "__dlpack__") and not isinstance(value, np.generic):
        array = from_dlpack(label, name, value)
    else:
        try:
            array = np.asanyarray(value)
        except (TypeError, ValueError) as error:
            raise TypeError(f"{label}: {name} must be array_like, got {type(value).__name__}: {error}") from error
    if array.dtype.char not in "df" and (array.dtype.kind not in "biuf" or array.dtype.char == "g"):
        raise TypeError(f"{label}: {name} must be float32 or float64, got {array.dtype}; {advice(array.dtype)}")
    return array


def advice(dtype):
    if dtype.kind == "c":
        return "take the real part or the modulus"
    if dtype.char == "g" or dtype.kind == "O":
        return "use x.astype(np.float64)"
    return "convert it to numbers first"


def from_dlpack(label, name, tensor):
    """Return a CPU tensor of another library as an array, without a copy."""
    device, _ = tensor.__dlpack_device__()
    if device != 1:  # kDLCPU
        raise TypeError(f"{label}: {name} is a {type(tensor).__name__} on another device than the CPU; move it to the "
                        f"CPU, or use its own library there")
    try:
        return np.from_dlpack(tensor)
    except (BufferError, RuntimeError, TypeError) as error:
        raise TypeError(f"{label}: {name} is a {type(tensor).__name__} that cannot be read: {error}") from error


def result_dtype(label, arrays, options):
    """Return the dtype of the result; Python numbers count only where there is nothing else."""
    if options.get("dtype") is not None:
        dtype = np.dtype(options["dtype"])
    else:
        strong = [x.dtype for x in arrays if type(x) not in NUMBERS]
        dtype = strong[0] if strong else FLOAT64
        if any(other is not dtype for other in strong) or dtype.char not in "fd" or not dtype.isnative:
            dtype = np.result_type(*strong, np.float32)
    if dtype.char not in "fd":
        raise TypeError(f"{label}: dtype must be float32 or float64, got {dtype}")
    return dtype


def can_broadcast(arrays):
    """Whether NumPy will find a shape: so often that the message can wait."""
    shapes = {x.shape for x in arrays if type(x) not in NUMBERS} - {()}
    if len(shapes) < 2:
        return True
    try:
        np.broadcast_shapes(*shapes)
    except ValueError:
        return False
    return True


def broadcast_shape(label, arrays, options):
    shapes = {name: np.shape(value) for name, value in arrays.items()}
    if "where" in options:
        shapes["where"] = np.shape(options["where"])
    try:
        return np.broadcast_shapes(*shapes.values())
    except ValueError:
        given = ", ".join(f"{name} has shape {shape}" for name, shape in shapes.items() if shape)
        raise ValueError(f"{label}: {given}, which do not broadcast") from None


def checked_out(operation, out, shape, dtype, casting):
    """Return out as the ufunc wants it, once nothing can go wrong with it any more."""
    if out is None:
        return (None,) * operation.outputs
    outs = as_tuple(out)
    label = operation.label
    if len(outs) != operation.outputs:
        raise TypeError(f"{label}: out must be {operation.outputs} array(s), got {len(outs)}")
    of = "the result" if operation.reduced[1] else operation.inputs[-1]
    for array in outs:
        if array is not None:
            check_out(label, array, shape, of, dtype, casting)
    if len(outs) == 2 and outs[0] is not None and outs[1] is not None and np.may_share_memory(*outs, max_work=10_000):
        raise ValueError(f"{label}: the two arrays of out share memory; pass two arrays")
    return outs


def check_out(label, array, shape, of, dtype, casting):
    """Raise unless a result of this shape, that of `of`, and dtype can be written to an array."""
    if not isinstance(array, np.ndarray):
        raise TypeError(f"{label}: out must be an array, got {type(array).__name__}")
    if array.shape != shape:
        raise ValueError(f"{label}: out has shape {array.shape}, {of} has shape {shape}")
    if not array.flags.writeable:
        raise ValueError(f"{label}: out is read-only; pass a copy of it, or an array of your own")
    if not np.can_cast(dtype, array.dtype, casting):
        raise TypeError(f"{label}: out has dtype {array.dtype}, to which {dtype} is not cast under the rule "
                        f"{casting!r}; use an array of {dtype}")


# ---- Axes ------------------------------------------------------------------------------------------------------------


def checked_axes(label, axis, ndim, shape):
    """Return the axes as a tuple of numbers from 0, None meaning all of them."""
    if axis is None:
        return tuple(range(ndim))
    axes = axis if isinstance(axis, tuple) else (axis,)
    checked = []
    for one in axes:
        if isinstance(one, bool) or not hasattr(type(one), "__index__"):
            raise TypeError(f"{label}: axis must be an integer, a tuple of them or None, got {one!r}")
        number = one.__index__()
        if ndim == 0 and number in (0, -1) and len(axes) == 1:
            return ()
        if not -ndim <= number < ndim:
            raise AxisError(f"{label}: axis {number} is out of bounds for x of shape {shape}")
        checked.append(number % ndim)
    if len(set(checked)) != len(checked):
        raise ValueError(f"{label}: axis {axis!r} names an axis twice")
    return tuple(checked)


def along_axis(operation, arrays, axis):
    """Lay 1-D parameters along an axis of x, so that they broadcast there."""
    label, inputs = operation.label, operation.inputs
    x = arrays[inputs[-1]]
    ndim, shape = np.ndim(x), np.shape(x)
    axes = checked_axes(label, axis, ndim, shape)
    if len(axes) != 1:
        raise TypeError(f"{label}: axis must be one integer, got {axis!r}")
    aligned = []
    for name, value in arrays.items():
        if name not in inputs and np.ndim(value) > 0:
            if np.ndim(value) != 1:
                raise ValueError(f"{label}: {name} must be a number or 1-D where axis is given, it has shape "
                                 f"{np.shape(value)}")
            if len(value) not in (1, shape[axes[0]]):
                raise ValueError(f"{label}: {name} has shape {np.shape(value)}, {inputs[-1]} has {shape[axes[0]]} "
                                 f"channels along axis {axis}")
            value = np.reshape(value, [-1 if k == axes[0] else 1 for k in range(ndim)])
        aligned.append(value)
    return aligned


def call_foreign(operation, arrays, out, options):
    """Let another library's __array_ufunc__ do what it does with any ufunc."""
    if out is not None:
        options["out"] = as_tuple(out)
    with np.errstate(all="ignore"):
        return operation.ufunc(*arrays, **options)


# ---- Gate and values in one array ------------------------------------------------------------------------------------


def unpacked(label, x, axis, gate, layout):
    """Return the views (gate, up) of an array that holds both along an axis."""
    if gate is REQUIRED:
        raise TypeError(f"{label}: gate is missing; say whether the gate comes 'first' or 'last'")
    if gate not in ("first", "last"):
        raise ValueError(f"{label}: gate must be 'first' or 'last', got {gate!r}")
    if layout not in ("halves", "interleaved"):
        raise ValueError(f"{label}: layout must be 'halves' or 'interleaved', got {layout!r}")
    shape = np.shape(x)
    if not shape:
        raise ValueError(f"{label}: x must have at least one axis, it has shape ()")
    axes = checked_axes(label, axis, len(shape), shape)
    if len(axes) != 1:
        raise TypeError(f"{label}: axis must be one integer, got {axis!r}")
    length = shape[axes[0]]
    if length % 2:
        raise ValueError(f"{label}: x has {length} elements along axis {axis}, an odd number, which does not split in "
                         f"two")
    if layout == "halves":
        slices = slice(None, length // 2), slice(length // 2, None)
    else:
        slices = slice(None, None, 2), slice(1, None, 2)
    first, last = (x[(slice(None),) * axes[0] + (part,)] for part in slices)
    return (first, last) if gate == "first" else (last, first)


# ---- Gradients of parameters -----------------------------------------------------------------------------------------


def reduced_to(shape, gradient):
    """Sum a gradient over the axes along which a parameter of that shape was broadcast."""
    extra = gradient.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + k for k, length in enumerate(shape) if length == 1 and gradient.shape[extra + k] != 1)
    # In double and over a C-contiguous array: neither the layout of x nor its length shows in the sum.
    return gradient.sum(axis=axes, dtype=np.float64, keepdims=False).reshape(shape).astype(gradient.dtype)[()]
