"""Assembles the docstrings: what is special to an activation comes from its definition, the rest is said here once."""

ARRAYS = {
    "x": "x : array_like of float32 or float64, any shape\n    Integers and booleans are converted.",
    "grad": "grad : array_like, of a shape that broadcasts with the other array\n    The incoming gradient.",
    "y": "y : array_like of float32 or float64, any shape\n    The output of the activation.",
    "axis": {
        "elementwise": "axis : int, optional\n    The axis of x along which 1-D parameters lie.  By default they "
        "broadcast as in NumPy.",
        "axiswise": "axis : int, tuple of int or None, default -1\n    The axis or axes along which rows lie; None is "
        "all of them.",
    },
}

KEYWORDS = """out : ndarray, optional
    Where the result goes: of the shape of the result, any layout, x itself or anything that overlaps it.
**ufunc_keywords
    where, dtype, casting, order and subok, as for NumPy's ufuncs."""

RAISES = """TypeError
    If an array is not of real numbers, is longdouble, or cannot be cast to out.
ValueError
    If shapes do not broadcast, or out has another shape or is read-only.  Nothing has been written then."""

OPERATIONS = {
    "forward": "{summary}",
    "derivative": "The derivative of {name} at x.",
    "backward": "grad times the derivative of {name} at x, in one pass.",
    "backward_from_output": "grad times the derivative of {name}, from its output y.",
    "value_and_derivative": "The value and the derivative of {name} at x, in one pass.",
}


def section(title, body):
    return f"\n\n{title}\n{'-' * len(title)}\n{body}" if body else ""


def parameter_entry(name, default, required):
    if default is required:
        return f"{name} : float or array_like that broadcasts against x"
    return f"{name} : float or array_like that broadcasts against x, default {default!r}"


def docstring(operation, definition):
    """Return the numpydoc docstring of one operation of an activation."""
    from pyactx._reference import REQUIRED

    forward = operation.operation == "forward"
    summary = OPERATIONS.get(operation.operation, "grad times the derivative of {name} with respect to a parameter.")
    text = summary.format(name=definition.name, summary=definition.summary)
    if forward and definition.formula:
        text += f"\n\n    {definition.formula}\n    {definition.derivative_formula}"
    entries = []
    for name in operation.argument_names:
        if name in definition.parameters:
            entries.append(parameter_entry(name, definition.parameters[name], REQUIRED))
        elif name == "axis":
            entries.append(ARRAYS["axis"][definition.kind])
        else:
            entries.append(ARRAYS[name])
    text += section("Parameters", "\n".join([*entries, KEYWORDS]))
    result = "ndarray, or a NumPy scalar for 0-d input\n    Of the shape that the arguments broadcast to."
    text += section("Returns", f"tuple of two: {result}" if operation.outputs == 2 else result)
    text += section("Raises", RAISES)
    if not forward:
        return text
    notes = [definition.note] if definition.note else []
    notes.append("NaN gives NaN and an infinity gives the limit, without floating-point warnings.  Results do not "
                 "depend on layout, length or the number of threads.")
    if definition.max_ulp:
        bounds = " and ".join(f"{bound} ULP in {dtype}" for dtype, bound in definition.max_ulp.items())
        notes.append(f"The error of the value and of the derivative is at most {bounds}.")
    text += section("Notes", "\n\n".join(notes))
    references = "\n".join(f".. [{i}] {text}" for i, text in enumerate(definition.references, 1))
    return text + section("References", references) + "\n"
