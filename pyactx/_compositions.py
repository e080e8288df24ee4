"""Activations that are made of others: those that negate, split or join arrays, and the random ones.

A composition has no formulas and no kernel of its own.  It is called with the library of the activations it is made of,
compiled or in Python, its arguments, and keywords.
"""

import numpy as np

from pyactx import _arguments
from pyactx._definition import Properties, define
from pyactx._documentation import ANY_SHAPE, AXIS
from pyactx._reference import DAUPHIN, INFINITY, probabilities

ROWS = AXIS["axiswise"]
ONE_AXIS = "axis : int, default -1\n    The axis along which x is split or joined."
RNG = ("rng : numpy.random.Generator or seed, optional\n    Where the noise comes from.  It is drawn in the order of "
       "the elements, whatever their layout; the global state of NumPy is not touched.")


def floating(label, x, name="x", dtype=None, casting="same_kind"):
    """Return x as an array of floating-point numbers, or a foreign array as it is."""
    x = _arguments.array_like(label, name, x)
    if _arguments.is_foreign(x):
        return x
    return np.asanyarray(x).astype(_arguments.result_dtype(label, [x], {"dtype": dtype}), casting=casting, copy=False)


def negated(label, x, name="x"):
    """Return -x; a Python number stays one, so that it does not widen the others."""
    return -x if type(x) in _arguments.NUMBERS else np.negative(floating(label, x, name))


def one_axis(name, x, axis):
    axes = _arguments.checked_axes(name, axis, np.ndim(x), np.shape(x))
    if len(axes) != 1 or isinstance(axis, tuple) or axis is None:
        raise ValueError(f"{name}: axis must be one axis of x, which has shape {np.shape(x)}, got {axis!r}")
    return axes[0]


# ---- Rows ------------------------------------------------------------------------------------------------------------


@define(
    kind="axiswise",
    composed=True,
    masked=0.0,
    keywords=("out", "where", "dtype", "casting"),
    formula="f(x)_i = exp(-x_i) / sum_j exp(-x_j)",
    derivative_formula="df_i/dx_j = -f_i (delta_ij - f_j)",
    note="The softmax of -x.",
    max_ulp={"float32": 0.95, "float64": 5.0},
    references=["PyTorch's Softmin"],
    properties=probabilities(
        monotonic=False, smooth=True, saturates="both", introduced="the softmax of -x",
        good_for="weights from distances or energies", beware="the largest element gets the least",
    ),
)
def softmin(library, x, axis=-1, **keywords):
    """Softmin: exponentials of the negative that sum to one along an axis."""
    return library["softmax"](negated("softmin", x), axis, **keywords)


@softmin.adds("backward")
def softmin_backward(library, grad, x, axis, **keywords):
    grad, x = negated("softmin.backward", grad, "grad"), negated("softmin.backward", x)
    return library["softmax"].backward(grad, x, axis, **keywords)


@softmin.adds("backward_from_output")
def softmin_backward_from_output(library, grad, y, axis, **keywords):
    grad = negated("softmin.backward_from_output", grad, "grad")
    return library["softmax"].backward_from_output(grad, y, axis, **keywords)


# ---- Arrays that are split or joined ---------------------------------------------------------------------------------


@define(
    kind="gated",
    composed=True,
    aliases=("gated_linear_unit",),
    arguments={"x": f"x : {ANY_SHAPE}\n    Even in length along the axis.", "axis": ONE_AXIS},
    formula="f(x) = a sigmoid(b), a and b the halves of x along the axis",
    derivative_formula="df/da = sigmoid(b), df/db = a sigmoid'(b)",
    note="The second half is the gate, as in PyTorch, JAX and Keras.  `sigmoid_glu` is the same of two arrays.",
    max_ulp={"float32": 0.51, "float64": 2.0},
    references=[DAUPHIN],
    properties=Properties(
        range=(-INFINITY, INFINITY), zero_centered=False, monotonic=False, bounded=False, smooth=True, saturates="none",
        can_die=False, kinks=(), introduced="Dauphin et al., 2017",
        good_for="gated convolutions", beware="swiglu and its kin mostly have the gate in the first half",
    ),
)
def glu(library, x, axis=-1, **keywords):
    """Gated linear unit of one array that holds the values and, behind them, the gate."""
    return library["sigmoid_glu"].packed(x, axis=axis, gate="last", **keywords)


@glu.adds("backward")
def glu_backward(library, grad, x, axis, **keywords):
    return library["sigmoid_glu"].packed.backward(grad, x, axis=axis, gate="last", **keywords)


@define(
    kind="axiswise",
    composed=True,
    keywords=("out", "dtype", "casting"),
    aliases=("concatenated_relu",),
    arguments={"axis": ONE_AXIS},
    formula="f(x) = (relu(x), relu(-x)) joined along the axis",
    derivative_formula="f'(x) = (1 for x > 0, -1 for x < 0)",
    note="The result is twice as long along the axis.  At the kink x = 0 the derivative is 0.",
    max_ulp={"float32": 0.5, "float64": 0.5},
    references=["Shang, Sohn, Almeida & Lee (2016), Understanding and Improving CNN via Concatenated ReLU, "
                "arXiv:1603.05201"],
    properties=Properties(
        range=(0.0, INFINITY), zero_centered=False, monotonic=False, bounded=False, smooth=False, saturates="none",
        can_die=False, kinks=(0.0,), introduced="Shang et al., 2016",
        good_for="early convolutions, which learn filters in pairs of opposite phase",
        beware="it doubles the channels",
    ),
)
def crelu(library, x, axis=-1, **keywords):
    """Concatenated rectified linear unit."""
    x = floating("crelu", x)
    place = one_axis("crelu", x, axis)
    out = result_array("crelu", doubled(x.shape, place), [x], keywords)
    negative = np.negative(x)  # before out, which may be x's memory, is written
    for half, part in zip(halves(out, place), (x, negative)):
        library["relu"](part, out=half, **keywords)
    return out


@crelu.adds("backward")
def crelu_backward(library, grad, x, axis, **keywords):
    grad, x = floating("crelu.backward", grad, "grad"), floating("crelu.backward", x)
    place = one_axis("crelu.backward", x, axis)
    shape = doubled(x.shape, place)
    if grad.shape != shape:
        raise ValueError(f"crelu.backward: grad has shape {grad.shape}, the result has shape {shape}")
    positive, negative = halves(grad, place)
    other = library["relu"].backward(negative, np.negative(x))
    out = library["relu"].backward(positive, x, **keywords)
    return np.subtract(out, other, out=out, casting=keywords.get("casting", "same_kind"))


def doubled(shape, place):
    return tuple(2 * n if k == place else n for k, n in enumerate(shape))


def halves(array, place):
    half = array.shape[place] // 2
    return (array[(slice(None),) * place + (part,)] for part in (slice(None, half), slice(half, None)))


def result_array(name, shape, arrays, keywords, of="the result"):
    """Return out, taken from the keywords and checked, or a new array."""
    out = keywords.pop("out", None)
    dtype = _arguments.result_dtype(name, arrays, keywords)
    if out is None:
        return np.empty(shape, dtype)
    _arguments.check_out(name, out, shape, of, dtype, keywords.get("casting", "same_kind"))
    return out


@define(
    kind="axiswise",
    composed=True,
    keywords=("out", "dtype", "casting"),
    arguments={"axis": ONE_AXIS, "pieces": "pieces : int, default 2\n    The size of a group."},
    formula="f(x)_i = max(x_(k i), ..., x_(k i + k - 1)), k = pieces",
    derivative_formula="df_i/dx_j = 1 for the largest of a group, else 0",
    note="Groups are `pieces` neighbours along the axis.  Where several are largest, they share the derivative evenly, "
    "which is the subgradient of least norm.",
    max_ulp={"float32": 0.5, "float64": 0.5},
    references=["Goodfellow, Warde-Farley, Mirza, Courville & Bengio (2013), Maxout Networks, arXiv:1302.4389"],
    properties=Properties(
        range=(-INFINITY, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=False, saturates="none",
        can_die=False, kinks=(0.0,), introduced="Goodfellow et al., 2013",
        good_for="learning a convex activation, with dropout", beware="it takes `pieces` times the parameters",
    ),
)
def maxout(library, x, pieces=2, axis=-1, **keywords):
    """Maximum over groups of neighbours along an axis."""
    x = floating("maxout", x)
    groups, place = grouped("maxout", x, pieces, axis)
    shape = tuple(n for k, n in enumerate(groups.shape) if k != place)
    out = result_array("maxout", shape, [x], keywords)
    with np.errstate(all="ignore"):
        np.copyto(out, np.max(groups, axis=place), casting=keywords.get("casting", "same_kind"))
    return out


@maxout.adds("backward")
def maxout_backward(library, grad, x, pieces, axis, **keywords):
    grad, x = floating("maxout.backward", grad, "grad"), floating("maxout.backward", x)
    groups, place = grouped("maxout.backward", x, pieces, axis)
    shape = tuple(n for k, n in enumerate(groups.shape) if k != place)
    if grad.shape != shape:
        raise ValueError(f"maxout.backward: grad has shape {grad.shape}, the result has shape {shape}")
    out = result_array("maxout.backward", x.shape, [grad, x], keywords, of="x")
    with np.errstate(all="ignore"):
        largest = np.max(groups, axis=place, keepdims=True)
        share = np.where(np.isnan(largest), largest, groups == largest)
        gradient = np.expand_dims(grad, place) * share / np.sum(share, axis=place, keepdims=True)
        np.copyto(out, gradient.reshape(x.shape), casting=keywords.get("casting", "same_kind"))
    return out


def grouped(name, x, pieces, axis):
    """Return x with groups of neighbours along an axis of their own, and the place of that axis."""
    place = one_axis(name, x, axis)
    if isinstance(pieces, bool) or not hasattr(type(pieces), "__index__") or pieces < 1:
        raise ValueError(f"{name}: pieces must be a whole number from 1 on, got {pieces!r}")
    length = x.shape[place]
    if length % pieces:
        raise ValueError(f"{name}: x has {length} elements along axis {axis}, which is no multiple of pieces = "
                         f"{pieces}")
    return x.reshape(*x.shape[:place], length // pieces, pieces, *x.shape[place + 1 :]), place + 1


# ---- Random: the noise comes from rng, and from nowhere else ---------------------------------------------------------


def generator(name, rng):
    """Return the numpy.random.Generator that rng is or seeds."""
    try:
        return np.random.default_rng(rng)
    except (TypeError, ValueError) as error:
        raise TypeError(f"{name}: rng must be a numpy.random.Generator or a seed, got {rng!r}") from error


def repeatable(name, rng):
    """Return a generator for an operation that has to meet the noise of the forward call again."""
    if rng is None:
        raise TypeError(f"{name}: rng is missing; pass the seed of the forward call, so that the noise is the same")
    return generator(name, rng)


@define(
    kind="random",
    composed=True,
    aliases=("randomized_relu", "randomized_leaky_relu"),
    arguments={"training": "training : bool, optional\n    Whether to draw; by default, whether rng is given.",
               "rng": RNG},
    formula="f(x) = x for x > 0, else a x, with a drawn uniformly from [lower, upper) for each element",
    derivative_formula="f'(x) = 1 for x > 0, else a",
    note="In training, that is where `rng` is given or `training` is true, the slopes are drawn; otherwise a is "
    "(lower + upper) / 2.  The same seed gives the same slopes in every operation.  At the kink x = 0 the derivative "
    "is the slope, limited to [0, 1].",
    max_ulp={"float32": 0.5, "float64": 0.5},
    references=["Xu, Wang, Chen & Li (2015), Empirical Evaluation of Rectified Activations, arXiv:1505.00853"],
    domains={"lower": (np.isfinite, "finite"), "upper": (np.isfinite, "finite")},
    properties=Properties(
        range=(-INFINITY, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=False,
        saturates="none", can_die=False, kinks=(0.0,), introduced="Xu et al., 2015",
        good_for="regularising small data sets", beware="random in training: keep the seed for the backward pass",
    ),
)
def rrelu(library, x, lower=1 / 8, upper=1 / 3, training=None, rng=None, **keywords):
    """Randomized leaky rectified linear unit."""
    return library["leaky_relu"](x, slopes("rrelu", x, lower, upper, training, rng, generator), **keywords)


@rrelu.adds("derivative")
def rrelu_derivative(library, x, lower, upper, training, rng, **keywords):
    slope = slopes("rrelu.derivative", x, lower, upper, training, rng, repeatable)
    return library["leaky_relu"].derivative(x, slope, **keywords)


@rrelu.adds("value_and_derivative")
def rrelu_value_and_derivative(library, x, lower, upper, training, rng, **keywords):
    slope = slopes("rrelu.value_and_derivative", x, lower, upper, training, rng, generator)
    return library["leaky_relu"].value_and_derivative(x, slope, **keywords)


@rrelu.adds("backward")
def rrelu_backward(library, grad, x, lower, upper, training, rng, **keywords):
    slope = slopes("rrelu.backward", x, lower, upper, training, rng, repeatable)
    return library["leaky_relu"].backward(grad, x, slope, **keywords)


def slopes(name, x, lower, upper, training, rng, source):
    """Return the slopes of the negative side: drawn one by one in training, otherwise their mean."""
    lower, upper = (value if type(value) in _arguments.NUMBERS else np.asarray(value) for value in (lower, upper))
    if not np.all(np.less_equal(lower, upper)):
        raise ValueError(f"{name}: lower must not be above upper, got lower={lower!r} and upper={upper!r}")
    if training is None:
        training = rng is not None
    if not training:
        return (lower + upper) / 2
    x = floating(name, x)
    return source(name, rng).uniform(lower, upper, x.shape).astype(x.dtype)


@define(
    kind="random",
    composed=True,
    keywords=("out", "dtype", "casting"),
    arguments={"tau": "tau : float or array_like, default 1.0\n    The temperature, positive.",
               "hard": "hard : bool, default False\n    Return one-hot rows.", "axis": ROWS, "rng": RNG},
    formula="f(x) = softmax((x + g) / tau), with g drawn from the Gumbel distribution",
    derivative_formula="df_i/dx_j = f_i (delta_ij - f_j) / tau",
    note="With `hard` the value is one-hot and the derivative that of the soft one (straight through); tau may then be "
    "0 in the forward call.  Without `rng` each call draws anew, from entropy of the system.",
    max_ulp={"float32": 0.95, "float64": 5.0},
    references=["Jang, Gu & Poole (2017), Categorical Reparameterization with Gumbel-Softmax, arXiv:1611.01144",
                "Maddison, Mnih & Teh (2017), The Concrete Distribution, arXiv:1611.00712"],
    properties=probabilities(
        monotonic=True, smooth=True, saturates="both", introduced="Jang, Gu & Poole, 2017",
        good_for="sampling categories with a gradient", beware="a low tau gives gradients of high variance",
    ),
)
def gumbel_softmax(library, x, tau=1.0, hard=False, axis=-1, rng=None, **keywords):
    """Samples of a categorical distribution, relaxed to probabilities that sum to one along an axis."""
    noisy = with_noise("gumbel_softmax", x, rng, generator, **keywords)
    if hard:
        return library["hardmax"](noisy, axis, **keywords)
    return library["softmax"](noisy, axis, checked_tau("gumbel_softmax", tau), **keywords)


@gumbel_softmax.adds("backward")
def gumbel_softmax_backward(library, grad, x, tau, hard, axis, rng, **keywords):
    noisy = with_noise("gumbel_softmax.backward", x, rng, repeatable, **keywords)
    return library["softmax"].backward(grad, noisy, axis, checked_tau("gumbel_softmax.backward", tau), **keywords)


@gumbel_softmax.adds("backward_from_output")
def gumbel_softmax_backward_from_output(library, grad, y, tau, hard, axis, rng, **keywords):
    name = "gumbel_softmax.backward_from_output"
    if hard:
        raise ValueError(f"{name}: a hard sample does not tell the soft one; use gumbel_softmax.backward")
    return library["softmax"].backward_from_output(grad, y, axis, checked_tau(name, tau), **keywords)


def with_noise(name, x, rng, source, dtype=None, casting="same_kind", **others):
    x = floating(name, x, dtype=dtype, casting=casting)
    with np.errstate(all="ignore"):
        return x + source(name, rng).gumbel(size=x.shape).astype(x.dtype)


def checked_tau(name, tau):
    if not np.all(np.greater(tau, 0)):
        raise ValueError(f"{name}: tau must be positive, got {tau!r}")
    return tau
