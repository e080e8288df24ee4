"""Checks for activations: what an author runs in their own test suite, and what ``pyactx verify`` runs.

`check_activation` holds an activation to the promises that pyactx makes to its users.  `compare_with_reference` and
`compare_with_differences` are the two cross-checks of values: compiled against pure Python, derivative against
numerical differentiation.
"""

import copy
import inspect
import pickle
import warnings

import numpy as np

from pyactx._threads import threads

__all__ = ["check_activation", "compare_with_differences", "compare_with_reference", "ulp"]

DTYPES = (np.float32, np.float64)


def ulp(x):
    """Return the unit in the last place of each x, at least the smallest subnormal number."""
    with np.errstate(all="ignore"):
        return np.where(np.isfinite(x), np.spacing(np.minimum(np.abs(x), np.finfo(x.dtype).max / 2)), 1)


def points(dtype):
    """Return numbers of every size and sign, with zeros, subnormal numbers and infinities, and without NaN."""
    limits = np.finfo(dtype)
    sizes = np.geomspace(float(limits.smallest_subnormal) * 2, float(limits.max) / 2, 301, dtype=np.float64)
    near = np.linspace(0.01, 120, 997)
    positive = np.concatenate([[0.0, limits.smallest_subnormal, limits.tiny, limits.max, np.inf], sizes, near])
    return np.concatenate([positive, -positive]).astype(dtype)


def values_of(activation, parameters):
    """Return {argument: value}: those given, else the defaults, else 0.25; and a seed for a random activation."""
    chosen = {name: 0.25 if default is inspect.Parameter.empty else default
              for name, default in activation.parameters.items() if not isinstance(default, str)}
    unknown = set(parameters or {}) - set(activation.parameters)
    if unknown:
        raise TypeError(f"{activation.name} has no parameter {', '.join(sorted(unknown))}")
    if "rng" in activation.argument_names:
        chosen["rng"] = 20
    return {**chosen, **(parameters or {})}


def has_rows(activation):
    """Whether an activation works along an axis, so that the elements of its arrays are not independent."""
    return activation.defaults.get("axis") == -1


def is_pointwise(activation):
    """Whether each element of the result depends on one element of each array."""
    return activation.kind in ("elementwise", "gated") and not has_rows(activation)


def keeps_shape(activation, values):
    """Whether the result has the shape of x."""
    return not has_rows(activation) or np.shape(activation(np.ones((2, 4)), **values)) == (2, 4)


def inputs_of(activation, operation, dtype, values, shape=None):
    """Return arrays for an operation: points, and a gradient of the shape of the result where it takes one."""
    x = points(dtype)
    if has_rows(activation):
        x = x[np.abs(x) < 1e4][: x.size // 16 * 8].reshape(4, -1)
        x = np.ascontiguousarray(x[:, np.argsort(np.arange(x.shape[1]) * 7919 % x.shape[1])])
    if operation.operation == "backward_from_output":
        x = x[np.isfinite(x)].reshape(x.shape[:-1] + (-1,)) if x.ndim > 1 else x
    if shape is not None:
        x = np.resize(x, shape)
    arrays = {name: x for name in operation.inputs}
    if "up" in arrays:
        arrays["up"] = np.roll(x, x.size // 3)
    if "grad" in arrays:
        result = np.shape(activation(x, **values)) if has_rows(activation) else x.shape
        arrays["grad"] = np.linspace(-2, 3, int(np.prod(result))).reshape(result).astype(dtype)
    return tuple(arrays.values())


def as_tuple(result):
    return result if isinstance(result, tuple) else (result,)


def fail(operation, what, detail=""):
    raise AssertionError(f"{operation.label}: {what}{': ' if detail else ''}{detail}")


def same_bits(operation, what, expected, got, inputs=None):
    """Raise AssertionError unless two results are of one dtype and shape and equal, NaN being equal to NaN."""
    for e, g in zip(as_tuple(expected), as_tuple(got), strict=True):
        e, g = np.asarray(e), np.asarray(g)
        if e.dtype != g.dtype or e.shape != g.shape:
            fail(operation, what, f"{e.dtype} of shape {e.shape} was expected, got {g.dtype} of shape {g.shape}")
        different = ~((e == g) & (np.signbit(e) == np.signbit(g)) | np.isnan(e) & np.isnan(g))
        if different.any():
            where = tuple(int(i) for i in np.argwhere(different)[0])
            x = f" for x = {inputs[-1][where]!r}" if inputs is not None and inputs[-1].shape == e.shape else ""
            fail(operation, what, f"{different.sum()} of {e.size} elements differ, the first at {where}{x}: "
                                  f"{e[where]!r} was expected, got {g[where]!r}")


# ---- The two cross-checks --------------------------------------------------------------------------------------------


def compare_with_reference(activation, parameters=None):
    """Compare every operation with the pure-Python reference.

    Parameters
    ----------
    activation : Activation
    parameters : mapping of str to float, optional
        Values of parameters, where the defaults are not wanted or do not exist.

    Returns
    -------
    dict of str to float
        For each operation and dtype the largest difference, as a fraction of the bound: twice the stated error of the
        activation and one unit in the last place; 64 units of the larger of x and the value where none is stated.

    Raises
    ------
    AssertionError
        If a difference is beyond the bound, or only one of the two is NaN.
    """
    reference, largest = activation.reference, {}
    if reference is None or reference is activation:
        return largest
    values = values_of(activation, parameters)
    for operation in activation.operations():
        twin = next((t for t in reference.operations() if t.operation == operation.operation), None)
        if twin is None:
            continue
        for dtype in DTYPES:
            inputs = inputs_of(activation, operation, dtype, values)
            scale = scale_of(activation, operation, inputs, values)
            stated = activation._definition.max_ulp
            for e, g in zip(as_tuple(twin(*inputs, **values)), as_tuple(operation(*inputs, **values)), strict=True):
                bound = 2 * stated[np.dtype(dtype).name] + 1 if stated else 64
                with np.errstate(all="ignore"):
                    if operation.operation == "backward" and activation.kind == "elementwise":
                        # Either rounding is right: once, or first that of the derivative, which may overflow.
                        twice = inputs[0] * reference.derivative(inputs[1], **values)
                        e = np.where(np.isinf(twice) & (twice == g), g, e)
                    bound = bound * ulp(np.maximum(np.abs(e), scale).astype(dtype))
                    difference = np.where((e == g) | np.isnan(e) & np.isnan(g), 0, np.abs(e - g) / bound)
                worst = np.unravel_index(np.argmax(np.where(np.isnan(difference), np.inf, difference)), e.shape)
                fraction = float(difference[worst])
                if not fraction <= 1:
                    x = inputs[-1][worst] if inputs[-1].shape == e.shape else inputs[-1][worst[:1]]
                    fail(operation, f"compiled and Python differ in {np.dtype(dtype).name}",
                         f"at x = {x!r} Python gives {e[worst]!r}, compiled {g[worst]!r}")
                key = f"{operation.label} {np.dtype(dtype).name}"
                largest[key] = max(fraction, largest.get(key, 0.0))
    return largest


def scale_of(activation, operation, inputs, values):
    """Return what an error is measured against where the result is smaller: the terms it is a sum or product of."""
    x, definition, ends = inputs[-1], activation._definition, operation.operation
    grad = np.abs(inputs[0]) if operation.inputs[0] == "grad" else 1.0
    with np.errstate(all="ignore"):
        if definition.max_ulp is None:
            size = np.where(np.isfinite(x), np.abs(x), 0)
            return max(np.max(grad), np.max(size)) if has_rows(activation) else np.maximum(grad, size)
        if has_rows(activation):
            if ends == "forward":
                return terms(activation, "forward", x, values)
            # A sum over the row, in which terms may cancel.
            return np.max(grad) * (1 if ends in OF_ROWS else x.shape[-1] * max(1.0, np.max(np.abs(x[np.isfinite(x)]))))
        if activation.kind == "gated":  # in double the nonlinearity may be subnormal where the product is not
            others = np.prod([np.abs(array) for array in inputs if array is not inputs[-2]], axis=0)
            return np.where(np.isfinite(others), others, 0) * (1 if ends == "backward" else np.finfo(np.float64).tiny)
        of_value, of_derivative = (terms(activation, formula, x, values) for formula in ("forward", "derivative"))
        of_both = np.maximum(of_value, of_derivative)
        scale = {"forward": of_value, "value_and_derivative": of_both}.get(ends, of_derivative)
        return np.maximum(scale, grad) if operation.inputs[0] == "grad" else scale


OF_ROWS = ("backward", "backward_from_output")


def terms(activation, formula, x, values):
    """Return the size of the terms that cancel in a formula, 0 where none do."""
    size = activation._definition.cancels.get(formula)
    if size is None:
        return 0.0
    with np.errstate(all="ignore"):
        found = np.abs(size(x.astype(np.float64), np.asarray(activation(x.astype(np.float64), **values))))
    return np.where(np.isfinite(found), found, 0)


def compare_with_differences(activation, parameters=None):
    """Compare `derivative`, `backward` and the gradients of parameters with numerical differentiation.

    Parameters
    ----------
    activation : Activation
    parameters : mapping of str to float, optional

    Returns
    -------
    float
        The largest difference, as a fraction of the bound (1e-6 of the larger of 1, the value and the derivative).

    Raises
    ------
    AssertionError
        If a difference is beyond the bound.  At a kink the derivative may lie anywhere between those of its sides.
    """
    values = values_of(activation, parameters)
    largest = 0.0
    if hasattr(activation, "derivative"):
        x = np.concatenate([np.linspace(-12, 12, 2001), [-0.5, 0.0, 0.5]])
        step = 2.0**-12

        def value(at):
            return activation(at, **values)

        left, right = one_sided(value, x, -step), one_sided(value, x, step)
        largest = _between(activation.derivative, x, activation.derivative(x, **values), left, right, value(x))
    elif hasattr(activation, "backward"):
        largest = _compare_directions(activation, values)
    # A default of -inf stands for "none", which is no place to differentiate at.
    values = {name: 0.25 if isinstance(value, float) and np.isinf(value) else value for name, value in values.items()}
    for name, operation in activation._gradients.items():
        largest = max(largest, _compare_gradient(activation, operation, name, values))
    return largest


def _compare_gradient(activation, operation, name, values):
    step = 2.0**-12
    if has_rows(activation):
        inputs = (np.random.default_rng(21).normal(size=(12, 8)),)
    else:
        x = np.concatenate([np.linspace(-6, 6, 501), [0.0]])
        inputs = (x, np.roll(x, 100))[: len(activation.inputs)]
    grad = np.random.default_rng(22).normal(size=np.shape(activation(*inputs, **values)))

    def weighted(at):
        """Return what the gradient is that of, as a function of one value of the parameter for each element or row."""
        y = grad * activation(*inputs, **{**values, name: at})
        return np.sum(y, axis=-1, keepdims=True) if y.ndim > 1 and has_rows(activation) else y

    at = np.full((12, 1) if has_rows(activation) else inputs[0].shape, values[name])
    left, right = (tuple(map(np.ravel, one_sided(weighted, at, s))) for s in (-step, step))
    got = np.ravel(operation(grad, *inputs, **values))
    x = np.ravel(at if has_rows(activation) else inputs[0])
    return _between(operation, x, got, left, right, np.ravel(weighted(at)))


def one_sided(function, x, step):
    """Return the derivative on one side of x by differences, and how much a smaller step changes it."""
    weights = (-25 / 12, 4, -3, 4 / 3, -1 / 4)  # exact for polynomials of degree 4
    with np.errstate(all="ignore"):
        coarse, fine = (sum(w * function(x + k * h) for k, w in enumerate(weights)) / h for h in (step, step / 2))
        return fine, np.abs(fine - coarse)


def _between(operation, x, got, left, right, value):
    """Compare with the differences on the left and on the right, each with its own error, where they are known."""
    (left, left_error), (right, right_error) = left, right
    tolerance = 1e-6 * np.maximum(1, np.maximum(np.abs(value), np.abs(got))) + left_error + right_error
    low, high = np.minimum(left, right), np.maximum(left, right)
    # A difference that reaches over a kink sees both of its sides.
    excess = np.maximum(low - got, got - high) / tolerance
    # Between the two, or, where the sides agree, equal to both.
    smooth = np.abs(left - right) < 1e-4 * np.maximum(1, np.abs(got))
    excess = np.where(smooth, np.abs((left + right) / 2 - got) / tolerance, excess)
    known = np.isfinite(left) & np.isfinite(right)
    excess = np.where(known, np.where(np.isnan(excess), np.inf, excess), -np.inf)
    worst = int(np.argmax(excess))
    if not (known.any() and excess[worst] <= 1):
        fail(operation, "differs from numerical differentiation",
             f"at x = {x[worst]!r} it gives {got[worst]!r}, differences give {left[worst]!r} on the left and "
             f"{right[worst]!r} on the right")
    return float(max(excess[worst], 0.0))


def _compare_directions(activation, values):
    """Compare `backward` with the differences along random directions of all inputs."""
    generator = np.random.default_rng(20)
    largest, step = 0.0, 2.0**-20
    for n in (2, 8, 34) if has_rows(activation) else (300,):
        shape = (5, n)
        inputs = generator.normal(size=(len(activation.inputs), *shape))
        directions = generator.normal(size=inputs.shape)
        grad = generator.normal(size=np.shape(activation(*inputs, **values)))

        def value(at, inputs=inputs, directions=directions):
            return activation(*(inputs + at * directions), **values)

        ahead, behind, further, back = (value(k * step) for k in (1, -1, 2, -2))
        slope = (8 * (ahead - behind) - (further - back)) / (12 * step)
        gradients = as_tuple(activation.backward(grad, *inputs, **values))
        got = sum(gradient * direction for gradient, direction in zip(gradients, directions, strict=True))
        expected = grad * slope
        if has_rows(activation):
            got, expected = np.sum(got, axis=-1), np.sum(expected.reshape(5, -1), axis=-1)
        excess = np.abs(expected - got) / (1e-6 * np.maximum(1, np.abs(expected)))
        worst = np.unravel_index(np.argmax(excess), excess.shape)
        if not excess[worst] <= 1:
            fail(activation.backward, "differs from numerical differentiation",
                 f"along {inputs[(slice(None), *worst)]!r} it gives {got[worst]!r}, differences give "
                 f"{expected[worst]!r}")
        largest = max(largest, float(excess[worst]))
    return largest


# ---- The promises ----------------------------------------------------------------------------------------------------


def check_dtypes_and_shapes(activation, values):
    kept = keeps_shape(activation, values)
    for dtype in DTYPES:
        for shape in ((), (1,), (0,), (3, 4), (2, 0, 3), (2, 1, 5)) if kept else ((4,), (3, 4), (0, 6), (2, 1, 2)):
            x = np.linspace(-2, 2, int(np.prod(shape)), dtype=dtype).reshape(shape)
            y = activation(*(x,) * len(activation.inputs), **values)
            if (kept and np.shape(y) != shape) or y.dtype != dtype:
                fail(activation, "does not keep shape and dtype",
                     f"x is {x.dtype} of shape {shape}, the result {y.dtype} of shape {np.shape(y)}")
    of_integers = activation(*([1, 2],) * len(activation.inputs), **values)
    if of_integers.dtype != np.float64:
        fail(activation, "does not convert integers to float64", f"{of_integers.dtype}")


def check_nan(activation, values):
    for operation in activation.operations():
        for dtype in DTYPES:
            for n in (2, 8, 16, 34, 66) if has_rows(activation) else (1, 2, 7, 8, 15, 16, 17, 33, 67):
                for position in {0, n // 2, n - 1}:
                    _check_one_nan(activation, operation, values, np.linspace(-1, 1, n).astype(dtype), position)


def _check_one_nan(activation, operation, values, x, position):
    arrays = {name: x for name in operation.inputs}
    if "grad" in arrays:
        arrays["grad"] = np.ones_like(activation(*(x,) * len(activation.inputs), **values))
    without = as_tuple(operation(*arrays.values(), **values))
    for name in arrays:
        if name == "grad":
            continue
        with_nan = x.copy()
        with_nan[position] = np.nan
        results = as_tuple(operation(*{**arrays, name: with_nan}.values(), **values))
        if not is_pointwise(activation):
            if not np.isnan(results[0]).any():
                fail(operation, "does not keep NaN", f"at {position} of {x.size}")
            continue
        if not any(np.isnan(result[position]) for result in results):
            fail(operation, "does not keep NaN", f"{results[0][position]!r} at {position} of {x.size}")
        if len(arrays) < 3 and not all(np.isnan(result[position]) for result in results):
            fail(operation, "does not keep NaN", f"{results[-1][position]!r} at {position} of {x.size}")
        others = np.arange(x.size) != position
        if any((np.isnan(r) != np.isnan(e))[others].any() for r, e in zip(results, without, strict=True)):
            fail(operation, "a NaN reaches other elements", f"of {x.size}, from {position}")


def check_infinities(activation, values):
    """No floating-point warning for any number, and at an infinity what large numbers tend to."""
    for operation in activation.operations():
        for dtype in DTYPES:
            inputs = inputs_of(activation, operation, dtype, values)
            with warnings.catch_warnings(), np.errstate(all="raise"):
                warnings.simplefilter("error")
                try:
                    operation(*inputs, **values)
                    operation(*(x[::-1][::2] for x in inputs), **values)
                except (FloatingPointError, RuntimeWarning) as error:
                    fail(operation, "gives a floating-point warning", str(error))
    if activation.kind == "elementwise":
        for infinity in (np.inf, -np.inf):
            value = activation(infinity, **values)
            large = activation(np.copysign([1e8, 1e16, 1e32], infinity), **values)
            if np.isnan(value) and not np.isnan(large).any() and np.ptp(large) == 0:
                fail(activation, "has a limit that it does not give", f"NaN at {infinity}, {large[-1]!r} before it")


def check_layouts(activation, values):
    for operation in activation.operations():
        for dtype in DTYPES:
            inputs = inputs_of(activation, operation, dtype, values, (6, 8, 16))
            expected = operation(*inputs, **values)
            for what, arrange in LAYOUTS.items():
                arranged = tuple(arrange(x) for x in inputs)
                same_bits(operation, f"gives other results for {what} arrays", expected,
                          operation(*arranged, **values), inputs)


def strided(x):
    wide = np.zeros((*x.shape[:-1], 3 * x.shape[-1]), x.dtype)
    wide[..., ::3] = x
    return wide[..., ::3]


def reversed_order(x):
    return np.flip(np.flip(x).copy())


def unaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)
    array = raw[1:].view(x.dtype).reshape(x.shape)
    array[...] = x
    return array


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def foreign_byte_order(x):
    return x.astype(x.dtype.newbyteorder())


LAYOUTS = {"strided": strided, "reversed": reversed_order, "Fortran": np.asfortranarray, "unaligned": unaligned,
           "read-only": read_only, "foreign-endian": foreign_byte_order}


def check_lengths(activation, values):
    """Elements have the same bits in every array and at every offset."""
    if not is_pointwise(activation):
        return
    for operation in activation.operations():
        for dtype in DTYPES:
            inputs = tuple(x[:320] for x in inputs_of(activation, operation, dtype, values))
            expected = as_tuple(operation(*inputs, **values))
            for start, stop in [(k, 2 * k + k % 5) for k in range(1, 150)]:
                part = tuple(x[start:stop] for x in inputs)
                same_bits(operation, f"gives other results for elements {start} to {stop} alone",
                          tuple(e[start:stop] for e in expected), as_tuple(operation(*part, **values)), part)


def check_out(activation, values):
    for operation in activation.operations():
        for dtype in DTYPES:
            inputs = inputs_of(activation, operation, dtype, values)
            expected = as_tuple(operation(*inputs, **values))
            out = tuple(np.full_like(e, 7) for e in expected)
            returned = as_tuple(operation(*inputs, **values, out=out if len(out) > 1 else out[0]))
            if any(r is not o for r, o in zip(returned, out)):
                fail(operation, "does not return out")
            same_bits(operation, "gives other results with out=", expected, out, inputs)
            if len(out) > 1:
                continue
            for k in range(len(inputs)):
                own = [x.copy() for x in inputs]
                if own[k].shape == expected[0].shape:
                    operation(*own, **values, out=own[k])
                    same_bits(operation, "gives other results in place", expected, own[k], inputs)
            if is_pointwise(activation):
                memory = np.concatenate([inputs[-1], inputs[-1][:5]])
                own = (*inputs[:-1], memory[:-5])
                operation(*own, **values, out=memory[5:])
                same_bits(operation, "gives other results where out overlaps x", expected, memory[5:], inputs)
            wrong = np.full(inputs[-1].shape + (1,), 7, dtype)
            try:
                operation(*inputs, **values, out=wrong)
            except ValueError:
                pass
            else:
                fail(operation, "accepts out of a wrong shape", f"{wrong.shape} for x of shape {inputs[-1].shape}")
            if not (wrong == 7).all():
                fail(operation, "writes to an out that it refuses")


def check_consistency(activation, values):
    """backward is grad times derivative, value_and_derivative gives both."""
    if activation.kind != "elementwise" or not hasattr(activation, "derivative"):
        return
    for dtype in DTYPES:
        x = points(dtype)
        grad = np.linspace(-2, 3, x.size).astype(dtype)
        derivative = activation.derivative(x, **values)
        same_bits(activation.value_and_derivative, "differs from value and derivative",
                  (activation(x, **values), derivative), activation.value_and_derivative(x, **values), (x,))
        with np.errstate(all="ignore"):
            expected = grad * derivative
            got = activation.backward(grad, x, **values)
            tolerance = np.abs(grad) * ulp(derivative) + ulp(expected)
            agrees = (np.abs(expected - got) <= tolerance) | (expected == got) | np.isnan(expected) & np.isnan(got)
            wrong = ~(agrees | np.isinf(derivative))  # the product may be finite where its factor overflows
        if wrong.any():
            k = int(np.argmax(wrong))
            fail(activation.backward, "is not grad times derivative",
                 f"at x = {x[k]!r} it gives {got[k]!r}, the product is {expected[k]!r}")


def check_threads(activation, values):
    for operation in activation.operations():
        for dtype in DTYPES:
            shape = (3000, 100) if has_rows(activation) else (300_007,)
            inputs = inputs_of(activation, operation, dtype, values, shape)
            with threads(1):
                expected = operation(*inputs, **values)
            for n in (2, 3):
                with threads(n):
                    same_bits(operation, f"gives other results on {n} threads", expected,
                              operation(*inputs, **values), inputs)


def check_pickling(activation, values):
    inputs = (np.linspace(-2, 2, 10),) * len(activation.inputs)
    expected = activation(*inputs, **values)
    try:
        twin = pickle.loads(pickle.dumps(activation))
    except Exception as error:
        raise AssertionError(f"{activation.name}: cannot be pickled: {error}") from error
    for other in (twin, copy.copy(activation), copy.deepcopy(activation)):
        same_bits(activation, "is another function after pickling or copying", expected, other(*inputs, **values))
    hash(activation)


CHECKS = (check_dtypes_and_shapes, check_nan, check_infinities, check_layouts, check_lengths, check_out,
          check_consistency, check_threads)


def check_activation(activation, parameters=None):
    """Check that an activation keeps the promises of pyactx: for the test suite of its author.

    Shapes and dtypes, NaN and infinities, layouts, array lengths, `out` and in-place calls, floating-point warnings,
    the derivative and the gradients of parameters against numerical differentiation, a compiled kernel against its
    pure-Python reference, threads, pickling and copying.

    Parameters
    ----------
    activation : Activation
    parameters : mapping of str to float, optional
        Values of parameters; by default their defaults, and 0.25 for a required one.

    Raises
    ------
    AssertionError
        That says which operation fails, in what, where and by how much.
    TypeError
        If it is no Activation.

    Examples
    --------
    >>> import pyactx
    >>> from pyactx.testing import check_activation
    >>> check_activation(pyactx.sigmoid)
    """
    from pyactx.activation import Activation

    if not isinstance(activation, Activation):
        raise TypeError(f"check_activation: needs a pyactx.Activation, got {type(activation).__name__}")
    values = values_of(activation, parameters)
    for check in CHECKS:
        check(activation, values)
    compare_with_differences(activation, parameters)
    compare_with_reference(activation, parameters)
    check_pickling(activation, values)
