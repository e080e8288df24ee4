"""What a definition is: the formulas of an activation, and what is to be known of it."""

from functools import partial
from inspect import Parameter
from typing import NamedTuple

REQUIRED = Parameter.empty  # the default of a parameter that has none

# What the operations take, by kind.
INPUTS = {
    "elementwise": {"forward": ("x",), "derivative": ("x",), "value_and_derivative": ("x",), "backward": ("grad", "x"),
                    "backward_from_output": ("grad", "y"), "gradient": ("grad", "x")},
    "gated": {"forward": ("gate", "up"), "backward": ("grad", "gate", "up"), "gradient": ("grad", "gate", "up")},
    "axiswise": {"forward": ("x",), "backward": ("grad", "x"), "backward_from_output": ("grad", "y"),
                 "gradient": ("grad", "x")},
}


class Properties(NamedTuple):
    """Facts about an activation, with its parameters at their defaults, and at 0.25 where they have none.

    Attributes
    ----------
    range : tuple of float
        Infimum and supremum of the value.
    zero_centered : bool
        Whether the values lie around zero: f(-x) = -f(x).
    monotonic, bounded : bool
        Of the value; of a row in each of its elements, of a gated activation in the values that the gate lets through.
    smooth : bool
        Continuously differentiable everywhere.
    saturates : {"none", "left", "right", "both"}
        Where the derivative tends to 0, or is 0, far out.
    can_die : bool
        The derivative is exactly zero on a half-line.
    kinks : tuple of float
        Where the derivative jumps.
    introduced : str
        Paper or source.
    good_for, beware : str
        Short advice.
    """

    range: tuple[float, float]
    zero_centered: bool
    monotonic: bool
    bounded: bool
    smooth: bool
    saturates: str
    can_die: bool
    kinks: tuple[float, ...]
    introduced: str
    good_for: str
    beware: str


class Definition:
    """One activation: its formulas, and what is to be known of it.

    Attributes
    ----------
    name, kind, aliases, parameters, properties
        As those of `pyactx.Activation`.
    summary, formula, derivative_formula, note, references
        For its docstring.
    max_ulp : dict of float, or None
        The largest error of value and derivative in units in the last place, by dtype name.
    formulas : dict of callable
        ``"forward"`` is called as ``formula(x, *parameters, m=arithmetic)``, and so are ``"derivative"`` and
        ``("gradient", parameter)``, the derivative with respect to a parameter.  ``"from_output"`` is the derivative in
        terms of the output.

        Gated activations take ``gate, up`` in place of x, and have ``"by_gate"`` and ``"by_up"`` for a derivative.

        Axis-wise activations work on rows along the last axis.  They have ``"backward"`` and ``"backward_from_output"``
        in place of derivatives, and these, like their gradients, are called with the incoming gradient first.

        A composition is called with the library of the activations it is made of, its arguments and the keywords:
        ``formula(library, x, *arguments, **keywords)``.
    cancels : dict of callable
        For ``"forward"`` or ``"derivative"``, where it is a sum whose terms cancel around a root: the size of the
        terms, as a function of x and f(x).  There errors are counted in units of them.
    reduces : bool
        An axis-wise activation maps a row to a number.
    masked : float or None
        The value of an axis-wise activation where a mask leaves an element out; None: it takes no mask.
    domains : dict
        For a parameter that is checked: a function that tells whether values are right, and what it asks for.
    variants : dict
        For an argument that chooses among activations: a dict from its values to their names, the default first.
    order : tuple of str
        The positional arguments behind the inputs.
    composed : bool
        It is made of other activations and has no kernel.
    arguments : dict of str
        What the docstring says of the arguments of a composition.
    keywords : tuple of str
        The keywords that a composition takes.
    """

    def __init__(self, name, formulas, *, kind="elementwise", parameters=(), aliases=(), summary="", formula="",
                 derivative_formula="", note="", max_ulp=None, references=(), properties=None, cancels=(),
                 reduces=False, masked=None, domains=(), variants=(), order=None, defaults=(), composed=False,
                 arguments=(), keywords=("out", "where", "dtype", "casting", "order", "subok")):
        self.name, self.formulas, self.kind = name, formulas, kind
        self.parameters = dict(parameters)
        self.aliases = tuple(aliases)
        self.summary = summary or f"The activation {name}."
        self.formula, self.derivative_formula, self.note = formula, derivative_formula, note
        self.max_ulp = max_ulp
        self.cancels = dict(cancels)
        self.references = references
        self.properties = properties
        self.reduces, self.masked, self.domains, self.variants = reduces, masked, dict(domains), dict(variants)
        self.composed, self.arguments, self.keywords = composed, dict(arguments), keywords
        self.defaults = {**self.parameters, **{option: next(iter(names)) for option, names in self.variants.items()}}
        if composed:
            self.defaults = dict(defaults)
        elif kind == "axiswise":
            self.defaults = {"axis": -1, **self.defaults}
        elif self.parameters:
            self.defaults["axis"] = None
        self.order = tuple(order or self.defaults)

    def adds(self, key):
        """Decorate a formula."""

        def decorate(function):
            self.formulas[key] = function
            return function

        return decorate

    def operations(self, m):
        """Return {operation: function of (inputs, *parameters)} over an arithmetic, for all that can be computed."""
        over = {key: partial(function, m=m) for key, function in self.formulas.items()}
        table = {key: over[key] for key in ("forward", "derivative", "backward", "backward_from_output") if key in over}
        forward, slope, factor = over["forward"], over.get("derivative"), over.get("from_output")
        if slope:
            table["backward"] = partial(_product, slope)
            table["value_and_derivative"] = lambda x, *parameters: (forward(x, *parameters), slope(x, *parameters))
        if factor:
            table["backward_from_output"] = partial(_product, factor)
        if "by_gate" in over:
            table["backward"] = lambda grad, *arguments: (grad * over["by_gate"](*arguments),
                                                          grad * over["by_up"](*arguments))
        for parameter in self.parameters:
            gradient = over.get(("gradient", parameter))
            if gradient:
                table[f"{parameter}_gradient"] = gradient if self.kind == "axiswise" else partial(_product, gradient)
        return table


def _product(function, grad, *arguments):
    return grad * function(*arguments)


BOOK: dict[str, Definition] = {}


def define(*, kind="elementwise", composed=False, **about):
    """Decorate the value of an activation: it becomes a Definition, entered in the book under its name."""

    def decorate(forward):
        inputs = 2 if composed else len(INPUTS[kind]["forward"])  # a composition has its library and x
        names = forward.__code__.co_varnames[inputs : forward.__code__.co_argcount]
        defaults = forward.__defaults__ or ()
        arguments = dict(zip(names, [REQUIRED] * (len(names) - len(defaults)) + list(defaults)))
        if composed:
            about["defaults"] = arguments
            arguments = {name: value for name, value in arguments.items() if isinstance(value, float)}
        definition = Definition(forward.__name__, {"forward": forward}, kind=kind, parameters=arguments,
                                summary=forward.__doc__, composed=composed, **about)
        BOOK[definition.name] = definition
        return definition

    return decorate
