"""The readable book: every activation and its derivative, as formulas.

Each definition is written in Python operators and an arithmetic `m`.  Over `_numpy_math` it is the pure-Python
implementation; over mpmath, in the tests, it is the judge of both.  src/activations.def states the same activations
for the compilers, independently: neither book is made from the other, which is what makes their agreement evidence.

Derivatives are written so that nothing cancels: a vanishing derivative of 1e-30 is 1e-30 and not 0.  At a kink they are
the (super)gradient of least magnitude.
"""

from functools import partial
from inspect import Parameter
from typing import NamedTuple

REQUIRED = Parameter.empty  # the default of a parameter that has none


class Properties(NamedTuple):
    """Facts about an activation, with its parameters at their defaults.

    Attributes
    ----------
    range : tuple of float
        Infimum and supremum of the value.
    zero_centered : bool
        Whether the values lie around zero: f(-x) = -f(x).
    monotonic, bounded : bool
        Of the value.
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
        terms of the output.  Axis-wise activations have ``"backward"`` and ``"backward_from_output"`` instead, called
        with the incoming gradient first.
    """

    def __init__(self, name, formulas, *, kind="elementwise", parameters=(), aliases=(), summary="", formula="",
                 derivative_formula="", note="", max_ulp=None, references=(), properties=None):
        self.name, self.formulas, self.kind = name, formulas, kind
        self.parameters = dict(parameters)
        self.aliases = tuple(aliases)
        self.summary = summary or f"The activation {name}."
        self.formula, self.derivative_formula, self.note = formula, derivative_formula, note
        self.max_ulp = max_ulp
        self.references = references
        self.properties = properties

    def adds(self, key):
        """Decorate a formula."""

        def decorate(function):
            self.formulas[key] = function
            return function

        return decorate

    def operations(self, m):
        """Return {operation: function of (inputs, *parameters)} over an arithmetic, for all that can be computed."""
        over = {key: partial(function, m=m) for key, function in self.formulas.items()}
        forward, slope, factor = over["forward"], over.get("derivative"), over.get("from_output")
        table = {"forward": forward}
        if slope:
            table["derivative"] = slope
            table["backward"] = lambda grad, x, *parameters: grad * slope(x, *parameters)
            table["value_and_derivative"] = lambda x, *parameters: (forward(x, *parameters), slope(x, *parameters))
        if factor:
            table["backward_from_output"] = lambda grad, y, *parameters: grad * factor(y, *parameters)
        for key in ("backward", "backward_from_output"):
            if key in over:
                table[key] = over[key]
        for parameter in self.parameters:
            if ("gradient", parameter) in over:
                table[f"{parameter}_gradient"] = partial(_product, over["gradient", parameter])
        return table


def _product(function, grad, x, *parameters):
    return grad * function(x, *parameters)


BOOK: dict[str, Definition] = {}


def define(**about):
    """Decorate the value of an activation: it becomes a Definition, entered in the book under its name."""

    def decorate(forward):
        names = forward.__code__.co_varnames[1 : forward.__code__.co_argcount]
        defaults = forward.__defaults__ or ()
        parameters = zip(names, [REQUIRED] * (len(names) - len(defaults)) + list(defaults))
        definition = Definition(
            forward.__name__, {"forward": forward}, parameters=parameters, summary=forward.__doc__, **about)
        BOOK[definition.name] = definition
        return definition

    return decorate


INFINITY = float("inf")
EXACT = {"float32": 0.5, "float64": 0.5}


@define(
    aliases=("linear",),
    formula="f(x) = x",
    derivative_formula="f'(x) = 1",
    max_ulp=EXACT,
    references=["Rosenblatt (1958), doi:10.1037/h0042519"],
    properties=Properties(
        range=(-INFINITY, INFINITY), zero_centered=True, monotonic=True, bounded=False, smooth=True, saturates="none",
        can_die=False, kinks=(), introduced="the linear unit; Rosenblatt, 1958",
        good_for="the output of a regression",
        beware="a stack of linear layers is one linear layer",
    ),
)
def identity(x, *, m):
    """Identity: the activation of a linear unit."""
    return x


@identity.adds("derivative")
def identity_derivative(x, *, m):
    return m.where(x == x, 1, x)


@identity.adds("from_output")
def identity_from_output(y, *, m):
    return m.where(y == y, 1, y)


@define(
    aliases=("expit", "logistic"),
    formula="f(x) = 1 / (1 + exp(-x))",
    derivative_formula="f'(x) = f(x) f(-x)",
    note="The derivative from the output, y (1 - y), loses what y has lost to rounding: for y near 1 use `backward`.",
    max_ulp={"float32": 0.51, "float64": 4.0},
    references=["Verhulst (1838); as a unit: Rumelhart, Hinton & Williams (1986), doi:10.1038/323533a0"],
    properties=Properties(
        range=(0.0, 1.0), zero_centered=False, monotonic=True, bounded=True, smooth=True, saturates="both",
        can_die=False, kinks=(), introduced="Verhulst, 1838; Rumelhart, Hinton & Williams, 1986",
        good_for="a probability at the output, gates",
        beware="vanishing gradients (the derivative is at most 1/4); outputs are not zero-centred",
    ),
)
def sigmoid(x, *, m):
    """Logistic sigmoid."""
    e = m.exp(-m.abs(x))
    return m.where(x < 0, e, 1) / (1 + e)


@sigmoid.adds("derivative")
def sigmoid_derivative(x, *, m):
    e = m.exp(-m.abs(x))
    return e / (1 + e) ** 2


@sigmoid.adds("from_output")
def sigmoid_from_output(y, *, m):
    return y * (1 - y)


@define(
    aliases=("hyperbolic_tangent",),
    formula="f(x) = (exp(x) - exp(-x)) / (exp(x) + exp(-x))",
    derivative_formula="f'(x) = 1 / cosh(x)^2",
    note="The derivative from the output, 1 - y^2, loses what y has lost to rounding: for |y| near 1 use `backward`.",
    max_ulp={"float32": 0.51, "float64": 4.0},
    references=["LeCun, Bottou, Orr & Müller (1998), Efficient BackProp, doi:10.1007/3-540-49430-8_2"],
    properties=Properties(
        range=(-1.0, 1.0), zero_centered=True, monotonic=True, bounded=True, smooth=True, saturates="both",
        can_die=False, kinks=(), introduced="LeCun et al., Efficient BackProp, 1998",
        good_for="recurrent networks, outputs in (-1, 1)",
        beware="vanishing gradients for large |x|",
    ),
)
def tanh(x, *, m):
    """Hyperbolic tangent."""
    return m.tanh(x)


@tanh.adds("derivative")
def tanh_derivative(x, *, m):
    e = m.exp(-2 * m.abs(x))
    return 4 * e / (1 + e) ** 2


@tanh.adds("from_output")
def tanh_from_output(y, *, m):
    return (1 - y) * (1 + y)


@define(
    aliases=("rectifier", "rectified_linear"),
    formula="f(x) = max(x, 0)",
    derivative_formula="f'(x) = 1 for x > 0, else 0",
    note="At the kink x = 0 the derivative is 0.",
    max_ulp=EXACT,
    references=["Nair & Hinton (2010), Rectified Linear Units Improve Restricted Boltzmann Machines"],
    properties=Properties(
        range=(0.0, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=False, saturates="left",
        can_die=True, kinks=(0.0,), introduced="Nair & Hinton, 2010",
        good_for="the default of hidden layers",
        beware="dying units: a unit that is negative for every input has no gradient; outputs are not zero-centred",
    ),
)
def relu(x, *, m):
    """Rectified linear unit."""
    return m.where(x <= 0, 0, x)


@relu.adds("derivative")
def relu_derivative(x, *, m):
    return m.where(x > 0, 1, m.where(x <= 0, 0, x))


@relu.adds("from_output")
def relu_from_output(y, *, m):
    return relu_derivative(y, m=m)


def rectifier_derivative(x, slope, m):
    """1, or the slope of the negative side; at 0 the point between them nearest to 0."""
    return m.where(x > 0, 1, m.where(x < 0, slope, m.where(x == 0, m.clip(slope, 0, 1), x)))


@define(
    formula="f(x) = x for x > 0, else negative_slope x",
    derivative_formula="f'(x) = 1 for x > 0, else negative_slope",
    note="At the kink x = 0 the derivative is negative_slope, limited to [0, 1].  For a negative slope the output does "
    "not tell on which side of the kink x was: `backward_from_output` is NaN.",
    max_ulp=EXACT,
    references=["Maas, Hannun & Ng (2013), Rectifier Nonlinearities Improve Neural Network Acoustic Models"],
    properties=Properties(
        range=(-INFINITY, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=False,
        saturates="none", can_die=False, kinks=(0.0,), introduced="Maas, Hannun & Ng, 2013",
        good_for="hidden layers in which relu units die",
        beware="TensorFlow and Keras have other default slopes (0.2, 0.3)",
    ),
)
def leaky_relu(x, negative_slope=0.01, *, m):
    """Leaky rectified linear unit."""
    return m.where(x > 0, x, m.slope(negative_slope, x))


@leaky_relu.adds("derivative")
def leaky_relu_derivative(x, negative_slope, *, m):
    return rectifier_derivative(x, negative_slope, m)


@leaky_relu.adds("from_output")
def leaky_relu_from_output(y, negative_slope, *, m):
    return m.where(negative_slope < 0, m.nan, rectifier_derivative(y, negative_slope, m))


@leaky_relu.adds(("gradient", "negative_slope"))
def leaky_relu_gradient(x, negative_slope, *, m):
    return m.where(x > 0, 0, x)


@define(
    aliases=("parametric_relu",),
    formula="f(x) = x for x > 0, else weight x",
    derivative_formula="f'(x) = 1 for x > 0, else weight",
    note="At the kink x = 0 the derivative is weight, limited to [0, 1], and the gradient of weight is 0.  For a "
    "negative weight the output does not tell on which side of the kink x was: `backward_from_output` is NaN.",
    max_ulp=EXACT,
    references=["He, Zhang, Ren & Sun (2015), Delving Deep into Rectifiers, arXiv:1502.01852"],
    properties=Properties(
        range=(-INFINITY, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=False,
        saturates="none", can_die=False, kinks=(0.0,), introduced="He et al., 2015",
        good_for="letting each channel learn the slope of its negative side",
        beware="weight decay on the slope pulls it towards relu",
    ),
)
def prelu(x, weight, *, m):
    """Parametric rectified linear unit."""
    return m.where(x > 0, x, m.slope(weight, x))


@prelu.adds("derivative")
def prelu_derivative(x, weight, *, m):
    return rectifier_derivative(x, weight, m)


@prelu.adds("from_output")
def prelu_from_output(y, weight, *, m):
    return m.where(weight < 0, m.nan, rectifier_derivative(y, weight, m))


@prelu.adds(("gradient", "weight"))
def prelu_gradient(x, weight, *, m):
    return m.where(x > 0, 0, x)


@define(
    kind="axiswise",
    aliases=("softargmax", "normalized_exponential"),
    formula="f(x)_i = exp(x_i) / sum_j exp(x_j)",
    derivative_formula="df_i/dx_j = f_i (delta_ij - f_j)",
    note="A row whose maximum is infinite, or that holds a NaN, is NaN; a row without elements is empty.",
    max_ulp={"float32": 0.51, "float64": 5.0},
    references=["Bridle (1990), doi:10.1007/978-3-642-76153-9_28"],
    properties=Properties(
        range=(0.0, 1.0), zero_centered=False, monotonic=True, bounded=True, smooth=True, saturates="both",
        can_die=False, kinks=(), introduced="Bridle, 1990",
        good_for="class probabilities at the output, attention weights",
        beware="with a logarithm behind it use log_softmax, which keeps the small probabilities",
    ),
)
def softmax(x, *, m):
    """Softmax: exponentials that sum to one along an axis."""
    e = m.exp_difference(x, m.row_maximum(x))
    return e / m.row_sum(e)


@softmax.adds("backward")
def softmax_backward(grad, x, *, m):
    return softmax_backward_from_output(grad, softmax.formulas["forward"](x, m=m), m=m)


@softmax.adds("backward_from_output")
def softmax_backward_from_output(grad, y, *, m):
    return y * (grad - m.row_sum(grad * y))


@define(
    kind="axiswise",
    aliases=("logsoftmax",),
    formula="f(x)_i = x_i - log sum_j exp(x_j)",
    derivative_formula="df_i/dx_j = delta_ij - softmax(x)_j",
    note="A row whose maximum is infinite, or that holds a NaN, is NaN; a row without elements is empty.",
    max_ulp={"float32": 0.51, "float64": 3.0},
    references=["Bridle (1990), doi:10.1007/978-3-642-76153-9_28"],
    properties=Properties(
        range=(-INFINITY, 0.0), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="right",
        can_die=False, kinks=(), introduced="the logarithm of softmax",
        good_for="cross-entropy",
        beware="-inf for an impossible class is right, and 0 * -inf is not a number",
    ),
)
def log_softmax(x, *, m):
    """Logarithm of softmax."""
    maximum = m.row_maximum(x)
    # The maximum contributes exp(0) = 1, left out of the sum so that log1p keeps what lies far below it.
    others = m.row_sum(m.where(x == maximum, 0, m.exp_difference(x, maximum)))
    ties = m.row_sum(m.where(x == maximum, 1, 0))
    return (x - maximum) - m.log1p(others + (ties - 1) + (maximum - maximum))


@log_softmax.adds("backward")
def log_softmax_backward(grad, x, *, m):
    return grad - softmax.formulas["forward"](x, m=m) * m.row_sum(grad)


@log_softmax.adds("backward_from_output")
def log_softmax_backward_from_output(grad, y, *, m):
    return grad - m.exp(y) * m.row_sum(grad)
