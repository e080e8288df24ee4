"""The general path: every call that the direct path leaves, checked and handed to its ufunc.

Both implementations come through here, so that their errors are the same.  A message says who, what is wrong, what was
given and what to do; nothing has been written when one is raised.
"""

import math
from inspect import Parameter, Signature

import numpy as np
from numpy.exceptions import AxisError

REQUIRED = Parameter.empty
NUMBERS = (float, int, bool)
FLOAT64 = np.dtype(np.float64)
UFUNC_KEYWORDS = ("where", "dtype", "casting", "order", "subok")


def call(operation, arguments, keywords):
    """Compute one operation of an elementwise or axis-wise activation."""
    bound, options = bind(operation, arguments, keywords)
    out = options.pop("out", None)
    axis = bound.pop("axis", None)
    label = operation.label
    elementwise = operation.kind == "elementwise"
    arrays = [array_like(label, name, value) for name, value in bound.items()]
    if any(map(is_foreign, arrays)) or (out is not None and any(map(is_foreign, as_tuple(out)))):
        return call_foreign(operation, arrays, axis, out, options)
    if not elementwise:
        shape = broadcast_shape(label, dict(zip(bound, arrays)), {})
        axis = checked_axes(label, axis, len(shape), shape)
        arrays = [x if np.shape(x) == shape else np.broadcast_to(x, shape, subok=True) for x in arrays]
    elif axis is not None:
        arrays = along_axis(operation, dict(zip(bound, arrays)), axis)
    dtype = result_dtype(label, arrays, options)
    if out is not None or options or not can_broadcast(arrays):
        shape = broadcast_shape(label, dict(zip(bound, arrays)), options)
        options["out"] = checked_out(operation, out, shape, dtype, options.get("casting", "same_kind"))
    if elementwise and not options and all(type(x) not in NUMBERS and x.dtype == dtype for x in arrays):
        return operation.ufunc(*arrays)
    with np.errstate(all="ignore"):  # of what overflows when it is cast
        arrays = [dtype.type(x) if type(x) in NUMBERS else x for x in arrays]  # a number never widens the dtype
        if elementwise:
            return operation.ufunc(*arrays, **options)
        return call_rows(operation.ufunc, arrays, axis, options)


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
        elif name == "out" or (name in UFUNC_KEYWORDS and not (name == "where" and operation.kind != "elementwise")):
            options[name] = value
        else:
            raise TypeError(f"{label}: unknown keyword {name!r}; it takes {', '.join(known_keywords(operation))}")
    if len(bound) < len(names):
        for name in names:
            if name not in bound and name not in operation.defaults:
                raise TypeError(f"{label}: {name} is missing")
        bound = {name: bound[name] if name in bound else operation.defaults[name] for name in names}
    elif keywords:
        bound = {name: bound[name] for name in names}
    return bound, options


def known_keywords(operation):
    keywords = [name for name in UFUNC_KEYWORDS if name != "where" or operation.kind == "elementwise"]
    return [*operation.argument_names, "out", *keywords]


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
    for array in outs:
        if array is None:
            continue
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{label}: out must be an array, got {type(array).__name__}")
        if array.shape != shape:
            raise ValueError(f"{label}: out has shape {array.shape}, x has shape {shape}")
        if not array.flags.writeable:
            raise ValueError(f"{label}: out is read-only; pass a copy of it, or an array of your own")
        if not np.can_cast(dtype, array.dtype, casting):
            raise TypeError(f"{label}: out has dtype {array.dtype}, to which {dtype} is not cast under the rule "
                            f"{casting!r}; use an array of {dtype}")
    if len(outs) == 2 and outs[0] is not None and outs[1] is not None and np.may_share_memory(*outs):
        raise ValueError(f"{label}: the two arrays of out share memory; pass two arrays")
    return outs


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


def call_rows(ufunc, arrays, axes, options):
    """Call a gufunc over rows that lie along one axis, or along several taken as one."""
    if len(axes) == 1:
        return ufunc(*arrays, axis=axes[0], **options)
    (out,) = options.pop("out", (None,))
    last = tuple(range(-len(axes), 0))
    moved = [np.moveaxis(array, axes, last) for array in arrays]
    shape = moved[0].shape
    row = math.prod(shape[len(shape) - len(axes) :])
    result = ufunc(*(array.reshape(*shape[: len(shape) - len(axes)], row) for array in moved), **options)
    result = np.moveaxis(result.reshape(shape), last, axes)
    if out is None:
        return result[()]
    np.copyto(out, result, casting=options.get("casting", "same_kind"))
    return out


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
                raise ValueError(f"{label}: {name} has shape {np.shape(value)}, x has {shape[axes[0]]} channels along "
                                 f"axis {axis}")
            value = np.reshape(value, [-1 if k == axes[0] else 1 for k in range(ndim)])
        aligned.append(value)
    return aligned


def call_foreign(operation, arrays, axis, out, options):
    """Let another library's __array_ufunc__ do what it does with any ufunc."""
    if out is not None:
        options["out"] = as_tuple(out)
    if operation.kind == "axiswise":
        options["axis"] = axis
        if not hasattr(axis, "__index__"):
            raise TypeError(f"{operation.label}: axis must be an integer for arrays of "
                            f"{type(arrays[0]).__module__.split('.')[0]}, got {axis!r}")
    elif axis is not None:
        raise TypeError(f"{operation.label}: axis is not possible for arrays of "
                        f"{type(arrays[0]).__module__.split('.')[0]}; give the parameters a shape that broadcasts")
    with np.errstate(all="ignore"):
        return operation.ufunc(*arrays, **options)


# ---- Gradients of parameters -----------------------------------------------------------------------------------------


def reduced_to(shape, gradient):
    """Sum a gradient over the axes along which a parameter of that shape was broadcast."""
    extra = gradient.ndim - len(shape)
    axes = tuple(range(extra)) + tuple(
        extra + k for k, length in enumerate(shape) if length == 1 and gradient.shape[extra + k] != 1)
    # In double and over a C-contiguous array: neither the layout of x nor its length shows in the sum.
    return gradient.sum(axis=axes, dtype=np.float64, keepdims=False).reshape(shape).astype(gradient.dtype)[()]
