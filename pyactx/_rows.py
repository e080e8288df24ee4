"""The general path of the axis-wise activations: rows along any axes, masks, reductions."""

import math

import numpy as np

from pyactx import _arguments


def call(operation, bound, options):
    """Compute one operation of an axis-wise activation."""
    label, definition = operation.label, operation._definition
    out, axis = options.pop("out", None), bound.pop("axis")
    mask, keepdims = options.pop("where", None), options.pop("keepdims", False)
    arrays = {name: _arguments.array_like(label, name, value) for name, value in bound.items()}
    if any(map(_arguments.is_foreign, arrays.values())) or (
            out is not None and any(map(_arguments.is_foreign, _arguments.as_tuple(out)))):
        return call_foreign(operation, list(arrays.values()), axis, out, mask, {**options, "keepdims": keepdims})
    dtype = _arguments.result_dtype(label, list(arrays.values()), options)
    with np.errstate(all="ignore"):  # of a number that overflows when it is cast
        arrays = dict(zip(arrays, _arguments.not_widening(arrays.values(), dtype)))
    numbers, reduces = operation.reduced
    numbers = {*definition.parameters, *(name for name, number in zip(operation.inputs, numbers) if number)}
    rows = {name: value for name, value in arrays.items() if name not in numbers}
    shape = _arguments.broadcast_shape(label, rows, {} if mask is None else {"where": mask})
    axes = _arguments.checked_axes(label, axis, len(shape), shape)
    for name, value in arrays.items():
        if name in numbers:
            arrays[name] = without_axes(label, name, value, shape, axes)
        elif np.shape(value) != shape:
            arrays[name] = np.broadcast_to(value, shape, subok=True)
    expected = reduced_shape(shape, axes, keepdims) if reduces else shape
    casting = options.get("casting", "same_kind")
    (out,) = _arguments.checked_out(operation, out, expected, dtype, casting)
    with np.errstate(all="ignore"):  # of what overflows when it is cast
        masked = 0.0
        if mask is not None:
            mask = np.broadcast_to(mask, shape)
            fill = {"x": -np.inf, "y": definition.masked, "grad": 0.0}
            if reduces and operation.operation != "forward":  # the gradient of a row without elements is 0
                fill["x"] = np.where(np.any(mask, axes, keepdims=True), -np.inf, 0.0)
            for name in rows:
                arrays[name] = np.where(mask, arrays[name], np.asarray(fill[name], dtype))
            if operation.operation == "forward":
                masked = definition.masked
        direct = len(axes) == 1 and (mask is None or reduces) and (out is None or not reduces or not keepdims)
        if direct:
            keep = {"keepdims": True} if reduces and keepdims else {}
            return operation.ufunc(*arrays.values(), axis=axes[0], out=(out,), **keep, **options)
        result = call_flat(operation, list(arrays.values()), [name in numbers for name in arrays], axes, options)
        if not reduces:
            result = np.moveaxis(result.reshape(moved_shape(shape, axes)), tuple(range(-len(axes), 0)), axes)
        result = result.reshape(expected)
        if mask is not None and not reduces:
            result = np.where(mask, result, result.dtype.type(masked))
        if out is None:
            return result[()]
        np.copyto(out, result, casting=casting)
        return out


def call_flat(operation, operands, numbers, axes, options):
    """Call the gufunc over rows that lie along several axes taken as one, which becomes the last."""
    last = tuple(range(-len(axes), 0))
    flat = []
    for operand, number in zip(operands, numbers):
        if not number:
            moved = np.moveaxis(operand, axes, last)
            outer = moved.shape[: moved.ndim - len(axes)]
            operand = moved.reshape(*outer, math.prod(moved.shape[len(outer):]))
        flat.append(operand)
    return np.asarray(operation.ufunc(*flat, **options))


def moved_shape(shape, axes):
    return (*(n for k, n in enumerate(shape) if k not in axes), *(shape[k] for k in axes))


def reduced_shape(shape, axes, keepdims):
    if keepdims:
        return tuple(1 if k in axes else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in axes)


def without_axes(label, name, value, shape, axes):
    """Return what has one value for each row, without the axes of the rows; they may be there with length 1, or not."""
    given = np.shape(value)
    outer = reduced_shape(shape, axes, False)
    if len(given) == len(shape) and axes:
        if any(given[k] != 1 for k in axes):
            raise ValueError(f"{label}: {name} has shape {given}; along axis {axes if len(axes) > 1 else axes[0]} it "
                             f"must have length 1, one value for each row of x of shape {shape}")
        value = np.squeeze(value, axes)
    elif len(given) > len(shape):
        raise ValueError(f"{label}: {name} has shape {given}, which does not broadcast against x of shape {shape}")
    elif len(given) and name != "grad":
        # As it broadcasts against x: its last axis is the last of x.
        padded = np.reshape(value, (1,) * (len(shape) - len(given)) + given)
        return without_axes(label, name, padded, shape, axes)
    try:
        np.broadcast_shapes(np.shape(value), outer)
    except ValueError:
        raise ValueError(f"{label}: {name} has shape {given}, the rows of x have shape {outer}") from None
    return value


def as_column(operation, values, bound):
    """Return the gradients of a parameter, one for each row, with the axes of the rows."""
    shape = np.broadcast_shapes(*(np.shape(bound[name]) for name in operation.inputs))
    axes = _arguments.checked_axes(operation.label, bound["axis"], len(shape), shape)
    return np.reshape(values, reduced_shape(shape, axes, True))


def call_foreign(operation, arrays, axis, out, mask, options):
    """Let another library's __array_ufunc__ do what it does with any gufunc."""
    library = type(arrays[0]).__module__.split(".")[0]
    if mask is not None:
        raise TypeError(f"{operation.label}: where is not possible for arrays of {library}; fill x with -inf there")
    if not hasattr(axis, "__index__"):
        raise TypeError(f"{operation.label}: axis must be an integer for arrays of {library}, got {axis!r}")
    if not options.pop("keepdims"):
        return _arguments.call_foreign(operation, arrays, out, {**options, "axis": axis})
    return _arguments.call_foreign(operation, arrays, out, {**options, "axis": axis, "keepdims": True})
