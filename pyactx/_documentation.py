"""Assembles the docstrings: what is special to an activation comes from its definition, the rest is said here once."""

from textwrap import fill

from pyactx._definition import REQUIRED

ANY_SHAPE = "array_like of float32 or float64, any shape"

ARGUMENTS = {
    "x": f"x : {ANY_SHAPE}\n    Integers and booleans are converted.",
    "gate": f"gate : {ANY_SHAPE}\n    What the nonlinearity is applied to.  Integers and booleans are converted.",
    "up": "up : array_like, of a shape that broadcasts with gate\n    What the gate lets through.",
    "grad": "grad : array_like, of a shape that broadcasts with the other array\n    The incoming gradient.",
    "y": f"y : {ANY_SHAPE}\n    The output of the activation.",
    "approximate": "approximate : {variants}, default {default!r}\n    Which of these activations is meant.",
}

AXIS = {
    "elementwise": "axis : int, optional\n    The axis of x along which 1-D parameters lie.  By default they broadcast "
    "as in NumPy.",
    "gated": "axis : int, optional\n    The axis along which 1-D parameters lie.  By default they broadcast as in "
    "NumPy.",
    "axiswise": "axis : int, tuple of int or None, default -1\n    The axis or axes along which rows lie; None is all "
    "of them.",
}

OUT = ("out : ndarray, optional\n    Where the result goes: of the shape of the result, any layout, x itself or "
       "anything that overlaps it.")

KEYWORDS = {
    "where": "where : array_like of bool, optional\n    Which elements take part; of a shape that broadcasts with x.  "
    "A row without any is {masked:g}.",
    "keepdims": "keepdims : bool, default False\n    Keep the reduced axes, with length 1.",
}

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


def argument_entry(operation, definition, name):
    """Return the entry of one argument in the section of parameters."""
    if name in definition.arguments:
        return definition.arguments[name]
    if name == "axis":
        return AXIS[definition.kind]
    if name in ARGUMENTS:
        variants = definition.variants.get(name, {})
        return ARGUMENTS[name].format(variants="{" + ", ".join(map(repr, variants)) + "}",
                                      default=definition.defaults.get(name))
    entry = f"{name} : float or array_like that broadcasts against {operation.inputs[-1]}"
    return entry if definition.defaults[name] is REQUIRED else f"{entry}, default {definition.defaults[name]!r}"


def keyword_entries(operation, definition):
    """Yield the entries of the arguments that are keywords only."""
    yield OUT
    others = [name for name in operation.keywords if name != "out"]
    for name in KEYWORDS:
        if name in others and definition.kind == "axiswise":
            others.remove(name)
            yield KEYWORDS[name].format(masked=definition.masked)
    yield f"**ufunc_keywords\n    {', '.join(others[:-1])} and {others[-1]}, as for NumPy's ufuncs."


def docstring(operation, definition):
    """Return the numpydoc docstring of one operation of an activation."""
    forward = operation.operation == "forward"
    summary = OPERATIONS.get(operation.operation, "grad times the derivative of {name} with respect to a parameter.")
    text = summary.format(name=definition.name, summary=definition.summary)
    if forward and definition.formula:
        text += f"\n\n    {definition.formula}\n    {definition.derivative_formula}"
    entries = [argument_entry(operation, definition, name) for name in operation.argument_names]
    text += section("Parameters", "\n".join([*entries, *keyword_entries(operation, definition)]))
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
    text += section("Notes", "\n\n".join(fill(note, 100) for note in notes))
    references = "\n".join(f".. [{i}] {text}" for i, text in enumerate(definition.references, 1))
    return text + section("References", references) + "\n"
