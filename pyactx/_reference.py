"""The readable book: every activation and its derivative, as formulas.

Each definition is written in Python operators and an arithmetic `m`.  Over `_numpy_math` it is the pure-Python
implementation; over mpmath, in the tests, it is the judge of both.  src/activations.def states the same activations
for the compilers, independently: neither book is made from the other, which is what makes their agreement evidence.

Derivatives are written so that nothing cancels: a vanishing derivative of 1e-30 is 1e-30 and not 0.  At a kink they are
the (super)gradient of least magnitude.
"""

import numpy as np

from pyactx._definition import BOOK, REQUIRED, Definition, Properties, define

__all__ = ["BOOK", "REQUIRED", "Definition", "Properties"]

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
    note="The derivative from the output, y (1 - y), loses what y has lost to rounding: for y near 1 use `backward`.  "
    "It is what PyTorch and JAX compute for `derivative` too: 17 % wrong at x = 15 and 0 from 17 on in float32.",
    max_ulp={"float32": 0.8, "float64": 2.0},
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
    note="The derivative from the output, 1 - y^2, loses what y has lost to rounding: for |y| near 1 use `backward`.  "
    "It is what PyTorch and JAX compute for `derivative` too: 0 for |x| > 9.1 in float32.",
    max_ulp={"float32": 0.9, "float64": 2.0},
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
    note="At the kink x = 0 the derivative is negative_slope, limited to [0, 1]; that of JAX is 1.  For a negative "
    "slope the output does not tell on which side of the kink x was: `backward_from_output` is NaN.  The slope 0.01 is "
    "that of PyTorch, JAX and ONNX.",
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
    "negative weight the output does not tell on which side of the kink x was: `backward_from_output` is NaN.  The "
    "weights of PyTorch lie along axis 1; ONNX broadcasts them against the last axes.",
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


# ---- Elementwise: rectifiers, exponential linear units, sigmoids, smooth, hard and shrinking ones --------------------


# ---- Rectifiers ------------------------------------------------------------------------------------------------------


def where_known(condition, value, x, m):
    """The value where the condition holds, else 0; NaN where x is."""
    return m.where(condition, value, m.where(x == x, 0, x))


@define(
    formula="f(x) = min(max(x, 0), 6)",
    derivative_formula="f'(x) = 1 for 0 < x < 6, else 0",
    note="At the kinks x = 0 and x = 6 the derivative is 0, as in PyTorch and JAX; implementations that compose it of "
    "min and max give 1/2 there.",
    max_ulp=EXACT,
    references=["Krizhevsky (2010), Convolutional Deep Belief Networks on CIFAR-10"],
    properties=Properties(
        range=(0.0, 6.0), zero_centered=False, monotonic=True, bounded=True, smooth=False, saturates="both",
        can_die=True, kinks=(0.0, 6.0), introduced="Krizhevsky, 2010",
        good_for="networks that run in low precision",
        beware="a unit beyond either bound has no gradient",
    ),
)
def relu6(x, *, m):
    """Rectified linear unit, limited to 6."""
    return m.where(x <= 0, 0, m.where(x >= 6, 6, x))


@relu6.adds("derivative")
def relu6_derivative(x, *, m):
    return where_known((x > 0) & (x < 6), 1, x, m)


@relu6.adds("from_output")
def relu6_from_output(y, *, m):
    return relu6_derivative(y, m=m)


@define(
    aliases=("relu_squared", "squared_relu", "relu_square"),
    formula="f(x) = max(x, 0)^2",
    derivative_formula="f'(x) = 2 max(x, 0)",
    max_ulp=EXACT,
    references=["So, Mańke, Liu, Dai, Shazeer & Le (2021), Primer: Searching for Efficient Transformers for Language "
                "Modeling, arXiv:2109.08668"],
    properties=Properties(
        range=(0.0, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="left",
        can_die=True, kinks=(), introduced="So et al., Primer, 2021",
        good_for="the feed-forward layers of transformers, with sparse activations",
        beware="it grows with the square: large inputs overflow in low precision",
    ),
)
def relu2(x, *, m):
    """Squared rectified linear unit."""
    return m.where(x <= 0, 0, x * x)


@relu2.adds("derivative")
def relu2_derivative(x, *, m):
    return m.where(x <= 0, 0, 2 * x)


@define(
    formula="f(x) = scale max(x, 0)^2 + bias",
    derivative_formula="f'(x) = 2 scale max(x, 0)",
    note="The paper starts from scale = 0.8944 and bias = -0.4472, for mean 0 and variance 1; the defaults 1 and 0 are "
    "those of timm.",
    max_ulp={"float32": 0.51, "float64": 2.0},
    references=["Yu, Si, Zhou, Luo, Zhou, Feng, Yan & Wang (2022), MetaFormer Baselines for Vision, arXiv:2210.13452"],
    properties=Properties(
        range=(0.0, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="left",
        can_die=True, kinks=(), introduced="Yu et al., MetaFormer, 2022",
        good_for="vision transformers, at less cost than gelu",
        beware="it grows with the square: large inputs overflow in low precision",
    ),
)
def star_relu(x, scale=1.0, bias=0.0, *, m):
    """Squared rectified linear unit with scale and bias."""
    positive = m.where(x <= 0, 0, x)
    return m.slope(m.slope(scale, positive), positive) + bias


@star_relu.adds("derivative")
def star_relu_derivative(x, scale, bias, *, m):
    return m.slope(2 * scale, m.where(x <= 0, 0, x))


@star_relu.adds(("gradient", "scale"))
def star_relu_scale_gradient(x, scale, bias, *, m):
    return m.where(x <= 0, 0, x * x)


@star_relu.adds(("gradient", "bias"))
def star_relu_bias_gradient(x, scale, bias, *, m):
    return where_known(x == x, 1, x, m)


@define(
    formula="f(x) = x for x > threshold, else value",
    derivative_formula="f'(x) = 1 for x > threshold, else 0",
    note="At the kink x = threshold the derivative is 0, and so is the gradient of threshold everywhere.  NaN stays "
    "NaN, which the NumPy backend of Keras replaces by the value.",
    max_ulp=EXACT,
    references=["Collobert, Kavukcuoglu & Farabet (2011), Torch7: A Matlab-like Environment for Machine Learning"],
    properties=Properties(
        range=(0.25, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=False, saturates="left",
        can_die=True, kinks=(0.25,), introduced="Torch",
        good_for="cutting off what is small",
        beware="a step at the threshold unless value equals it",
    ),
)
def threshold(x, threshold, value, *, m):
    """The identity above a threshold, a constant below it."""
    return m.where(x <= threshold, value, x)


@threshold.adds("derivative")
def threshold_derivative(x, threshold, value, *, m):
    return where_known(x > threshold, 1, x, m)


@threshold.adds(("gradient", "threshold"))
def threshold_threshold_gradient(x, threshold, value, *, m):
    return m.where(x == x, 0, x)


@threshold.adds(("gradient", "value"))
def threshold_value_gradient(x, threshold, value, *, m):
    return where_known(x <= threshold, 1, x, m)


@define(
    formula="f(x) = x for x > alpha, else 0",
    derivative_formula="f'(x) = 1 for x > alpha, else 0",
    note="At x = alpha the derivative is 0, and so is the gradient of alpha everywhere.  NaN stays NaN, which "
    "becomes 0 by the letter of ONNX.",
    max_ulp=EXACT,
    references=["Konda, Memisevic & Krueger (2014), Zero-bias autoencoders and the benefits of co-adapting features, "
                "arXiv:1402.3337"],
    properties=Properties(
        range=(0.0, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=False, saturates="left",
        can_die=True, kinks=(1.0,), introduced="Konda, Memisevic & Krueger, 2014",
        good_for="sparse codes without a bias",
        beware="a step of height alpha; units below it have no gradient",
    ),
)
def thresholded_relu(x, alpha=1.0, *, m):
    """Rectified linear unit with a threshold."""
    return m.where(x <= alpha, 0, x)


@thresholded_relu.adds("derivative")
def thresholded_relu_derivative(x, alpha, *, m):
    return where_known(x > alpha, 1, x, m)


@thresholded_relu.adds(("gradient", "alpha"))
def thresholded_relu_gradient(x, alpha, *, m):
    return m.where(x == x, 0, x)


# ---- Exponential linear units ----------------------------------------------------------------------------------------


@define(
    formula="f(x) = x for x > 0, else alpha (exp(x) - 1)",
    derivative_formula="f'(x) = 1 for x > 0, else alpha exp(x)",
    note="At x = 0 the derivative is alpha, limited to [0, 1].  The derivative from the output, y + alpha, loses what "
    "y has lost to rounding; for a negative alpha it is NaN, since the output does not tell the sign of x.  TensorFlow "
    "computes exp(x) - 1, which is wrong near 0, and fixes alpha at 1.",
    max_ulp={"float32": 0.9, "float64": 2.0},
    references=["Clevert, Unterthiner & Hochreiter (2015), Fast and Accurate Deep Network Learning by Exponential "
                "Linear Units (ELUs), arXiv:1511.07289"],
    properties=Properties(
        range=(-1.0, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="left",
        can_die=False, kinks=(), introduced="Clevert, Unterthiner & Hochreiter, 2015",
        good_for="hidden layers whose mean is to be near 0",
        beware="a kink at 0 unless alpha is 1; vanishing gradients for very negative x",
    ),
)
def elu(x, alpha=1.0, *, m):
    """Exponential linear unit."""
    return m.where(x > 0, x, alpha * m.expm1(x))


@elu.adds("derivative")
def elu_derivative(x, alpha, *, m):
    return rectifier_derivative(x, alpha * m.exp(x), m)


@elu.adds("from_output")
def elu_from_output(y, alpha, *, m):
    return m.where(alpha < 0, m.nan, rectifier_derivative(y, y + alpha, m))


@elu.adds(("gradient", "alpha"))
def elu_gradient(x, alpha, *, m):
    return m.where(x > 0, 0, m.expm1(x))


SELU_SCALE, SELU_ALPHA = 1.0507009873554804934, 1.6732632423543772848


@define(
    formula="f(x) = 1.0507009873554804934 (x for x > 0, else 1.6732632423543772848 (exp(x) - 1))",
    derivative_formula="f'(x) = 1.0507009873554804934 for x > 0, else 1.7580993408473766 exp(x)",
    note="At the kink x = 0 the derivative is that of the left side, 1.7581, as in PyTorch and JAX; TensorFlow gives "
    "1.0507.  ONNX rounds both constants to float32.",
    max_ulp={"float32": 1.0, "float64": 2.0},
    references=["Klambauer, Unterthiner, Mayr & Hochreiter (2017), Self-Normalizing Neural Networks, arXiv:1706.02515"],
    properties=Properties(
        range=(-1.7580993408473766, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=False,
        saturates="left", can_die=False, kinks=(0.0,), introduced="Klambauer et al., 2017",
        good_for="deep feed-forward networks that normalize themselves",
        beware="it needs weights of variance 1/fan_in and alpha dropout; other layouts lose the normalization",
    ),
)
def selu(x, *, m):
    """Scaled exponential linear unit."""
    return SELU_SCALE * m.where(x > 0, x, SELU_ALPHA * m.expm1(x))


@selu.adds("derivative")
def selu_derivative(x, *, m):
    return SELU_SCALE * m.where(x > 0, 1, SELU_ALPHA * m.exp(x))


@selu.adds("from_output")
def selu_from_output(y, *, m):
    return m.where(y > 0, SELU_SCALE, y + m.rounded(SELU_ALPHA * m.precise(SELU_SCALE)))


@define(
    formula="f(x) = x for x > 0, else alpha (exp(x / alpha) - 1)",
    derivative_formula="f'(x) = 1 for x > 0, else exp(x / alpha)",
    note="At x = 0 the derivative is 1 (0 for alpha = 0, which is relu; an infinite alpha is the identity).  The "
    "derivative from the output, 1 + y / alpha, loses what y has lost to rounding, and is NaN for alpha <= 0.  PyTorch "
    "gives NaN for an infinite alpha.",
    max_ulp={"float32": 0.9, "float64": 2.0},
    references=["Barron (2017), Continuously Differentiable Exponential Linear Units, arXiv:1704.07483"],
    properties=Properties(
        range=(-1.0, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="left",
        can_die=False, kinks=(), introduced="Barron, 2017",
        good_for="elu with a slope of 1 at 0 for every alpha",
        beware="vanishing gradients for very negative x",
    ),
)
def celu(x, alpha=1.0, *, m):
    """Continuously differentiable exponential linear unit."""
    flat, linear = alpha == 0, m.abs(alpha) == INFINITY
    curve = alpha * m.expm1(m.divide(x, alpha))
    return m.where((x > 0) | linear, x, m.where(flat, m.slope(0, x), curve))


@celu.adds("derivative")
def celu_derivative(x, alpha, *, m):
    z = m.precise(x) / m.where((alpha == 0) | (m.abs(alpha) == INFINITY), 1, alpha)
    curve = m.where(alpha == 0, 0, m.where(m.abs(alpha) == INFINITY, 1, m.exp(z)))
    return m.where(x > 0, 1, m.where(x <= 0, curve, x))


@celu.adds("from_output")
def celu_from_output(y, alpha, *, m):
    return m.where(alpha <= 0, m.nan, m.where(y > 0, 1, 1 + m.divide(y, alpha)))


@celu.adds(("gradient", "alpha"))
def celu_gradient(x, alpha, *, m):
    z = m.divide(x, alpha)
    curve = m.where(m.abs(z) < 1, m.exp_remainder(z) - z * m.expm1(z), m.exp_times(1 - z, z) - 1)
    flat = m.slope(0, x) - m.where(x == 0, 0, 1)
    linear = m.abs(alpha) == INFINITY
    return m.where(x > 0, 0, m.where(linear, m.slope(0, x), m.where(alpha == 0, flat, curve)))


@define(
    aliases=("exp",),
    formula="f(x) = exp(x)",
    derivative_formula="f'(x) = exp(x)",
    max_ulp={"float32": 0.8, "float64": 2.0},
    references=["Nelder & Wedderburn (1972), Generalized Linear Models, doi:10.2307/2344614"],
    properties=Properties(
        range=(0.0, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="left",
        can_die=False, kinks=(), introduced="the inverse of the logarithmic link; Nelder & Wedderburn, 1972",
        good_for="rates and variances at the output",
        beware="overflow: beyond 88.7 in float32, 709.7 in float64",
    ),
)
def exponential(x, *, m):
    """Exponential function."""
    return m.exp(x)


@exponential.adds("derivative")
def exponential_derivative(x, *, m):
    return m.exp(x)


@exponential.adds("from_output")
def exponential_from_output(y, *, m):
    return y


# ---- Sigmoids and bells ----------------------------------------------------------------------------------------------


@define(
    aliases=("log_expit",),
    formula="f(x) = -log(1 + exp(-x))",
    derivative_formula="f'(x) = 1 / (1 + exp(x))",
    max_ulp={"float32": 0.85, "float64": 2.0},
    references=["Mächler (2012), Accurately Computing log(1 - exp(-|a|)), vignette of the R package Rmpfr"],
    properties=Properties(
        range=(-INFINITY, 0.0), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="right",
        can_die=False, kinks=(), introduced="the logarithm of the logistic function",
        good_for="the log-likelihood of a binary outcome",
        beware="vanishing gradients for large x",
    ),
)
def log_sigmoid(x, *, m):
    """Logarithm of the logistic sigmoid."""
    return -(m.where(x < 0, -x, 0) + m.log1p(m.exp(-m.abs(x))))


@log_sigmoid.adds("derivative")
def log_sigmoid_derivative(x, *, m):
    e = m.exp(-m.abs(x))
    return m.where(x > 0, e, 1) / (1 + e)


def log_odds(x, m):
    near = m.log1p(m.divide(2 * x - 1, 1 - x))  # 2 x - 1 and 1 - x are exact
    return m.where(m.abs(x - 0.5) < 0.25, near, m.log(m.divide(x, 1 - x)))


@define(
    formula="f(x) = log(x / (1 - x)), x limited to [eps, 1 - eps]",
    derivative_formula="f'(x) = 1 / (x (1 - x)) for eps < x < 1 - eps, else 0",
    note="Outside [0, 1] the value and the derivative are NaN, unless a non-negative eps limits x; at and beyond such "
    "a limit the derivative is 0, and at a limit so is the gradient of eps.",
    max_ulp={"float32": 0.7, "float64": 2.0},
    references=["Berkson (1944), Application of the Logistic Function to Bio-Assay, "
                "doi:10.1080/01621459.1944.10500699"],
    properties=Properties(
        range=(-INFINITY, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="none",
        can_die=False, kinks=(), introduced="Berkson, 1944",
        good_for="turning probabilities into scores, the inverse of sigmoid",
        beware="infinite at 0 and 1, where its derivative is infinite too: give an eps",
    ),
)
def logit(x, eps=-INFINITY, *, m):
    """Logarithm of the odds, the inverse of the logistic sigmoid."""
    at_limit = log_odds(eps, m)
    return m.where(x < eps, at_limit, m.where(1 - x < eps, -at_limit, log_odds(x, m)))


@logit.adds("derivative")
def logit_derivative(x, eps, *, m):
    limited = (eps >= 0) & ((x <= eps) | (1 - x <= eps))
    return m.where(limited, 0, m.where((x >= 0) & (x <= 1), m.divide(1, m.abs(x * (1 - x))), m.nan))


@logit.adds(("gradient", "eps"))
def logit_gradient(x, eps, *, m):
    slope = m.divide(1, m.slope(eps, 1 - eps))
    return m.where(x < eps, slope, m.where(1 - x < eps, -slope, m.where(x == x, 0, x)))


@define(
    aliases=("soft_sign",),
    formula="f(x) = x / (1 + |x|)",
    derivative_formula="f'(x) = 1 / (1 + |x|)^2",
    note="At an infinity the value is its sign, where PyTorch, JAX and Keras give NaN.",
    max_ulp={"float32": 0.8, "float64": 2.0},
    references=["Turian, Bergstra & Bengio (2009), Quadratic Features and Deep Architectures for Chunking"],
    properties=Properties(
        range=(-1.0, 1.0), zero_centered=True, monotonic=True, bounded=True, smooth=True, saturates="both",
        can_die=False, kinks=(), introduced="Turian, Bergstra & Bengio, 2009",
        good_for="tanh with heavier tails",
        beware="vanishing gradients for large |x|",
    ),
)
def softsign(x, *, m):
    """Softsign."""
    return m.where(m.abs(x) == INFINITY, m.clip(x, -1, 1), x / (1 + m.abs(x)))


@softsign.adds("derivative")
def softsign_derivative(x, *, m):
    return (1 / (1 + m.abs(x))) ** 2


TWO_BY_SQRT_PI = "1.128379167095512573896158903121545171688101258657997713688171443421285"


@define(
    formula="f(x) = erf(x) = 2/sqrt(pi) times the integral of exp(-t^2) from 0 to x",
    derivative_formula="f'(x) = 2/sqrt(pi) exp(-x^2)",
    max_ulp={"float32": 0.95, "float64": 2.0},
    references=["As a unit: Williams (1996), Computing with Infinite Networks, NIPS 9"],
    properties=Properties(
        range=(-1.0, 1.0), zero_centered=True, monotonic=True, bounded=True, smooth=True, saturates="both",
        can_die=False, kinks=(), introduced="Williams, 1996",
        good_for="networks that are to be analysed: its averages over normal variables are known",
        beware="the gradient vanishes faster than that of tanh",
    ),
)
def erf(x, *, m):
    """Error function."""
    return m.erf(x)


@erf.adds("derivative")
def erf_derivative(x, *, m):
    return m.exp_times(m.rounded(m.constant(TWO_BY_SQRT_PI)), -m.product(x, x))


@define(
    formula="f(x) = (1 + erf((x - mu) / (sigma sqrt(2)))) / 2",
    derivative_formula="f'(x) = exp(-(x - mu)^2 / (2 sigma^2)) / (sigma sqrt(2 pi))",
    note="The defaults, sqrt(1/2) and sqrt(1/(4 pi)) to six digits, bring it near relu2 for small x.  Those who "
    "compute 1 + erf lose the left tail.",
    max_ulp={"float32": 0.51, "float64": 2.0},
    references=["Ma, Zhou, Kong, He, Gui, Neubig, May & Zettlemoyer (2022), Mega: Moving Average Equipped Gated "
                "Attention, arXiv:2209.10655"],
    properties=Properties(
        range=(0.0, 1.0), zero_centered=False, monotonic=True, bounded=True, smooth=True, saturates="both",
        can_die=False, kinks=(), introduced="Ma et al., Mega, 2022",
        good_for="attention weights without softmax",
        beware="its name: it is the distribution function of a normal variable and not of a Laplace one",
    ),
)
def laplace(x, mu=0.707107, sigma=0.282095, *, m):
    """Laplace attention function: the distribution function of a normal variable."""
    return m.normal_cdf((m.precise(x) - mu) / sigma)


@laplace.adds("derivative")
def laplace_derivative(x, mu, sigma, *, m):
    return m.normal_pdf((m.precise(x) - mu) / sigma) / sigma


@laplace.adds(("gradient", "mu"))
def laplace_mu_gradient(x, mu, sigma, *, m):
    return -laplace_derivative(x, mu, sigma, m=m)


@laplace.adds(("gradient", "sigma"))
def laplace_sigma_gradient(x, mu, sigma, *, m):
    z = (m.precise(x) - mu) / sigma
    return m.normal_pdf(z, -m.rounded(z)) / sigma


@define(
    formula="f(x) = exp(-x^2)",
    derivative_formula="f'(x) = -2 x exp(-x^2)",
    max_ulp={"float32": 0.51, "float64": 2.0},
    references=["Broomhead & Lowe (1988), Multivariable Functional Interpolation and Adaptive Networks"],
    properties=Properties(
        range=(0.0, 1.0), zero_centered=False, monotonic=False, bounded=True, smooth=True, saturates="both",
        can_die=False, kinks=(), introduced="Broomhead & Lowe, 1988",
        good_for="radial basis functions",
        beware="far from 0 a unit is silent and its gradient vanishes fast",
    ),
)
def gaussian(x, *, m):
    """Gaussian bell."""
    return m.exp(-m.product(x, x))


@gaussian.adds("derivative")
def gaussian_derivative(x, *, m):
    return m.exp_times(-2 * x, -m.product(x, x))


# ---- Smooth rectifiers -----------------------------------------------------------------------------------------------


def value_by_x(x, y):
    """What the terms of the derivative of x g(x) are as large as."""
    return y / x


def x_sigmoid(x, beta, m):
    """x sigmoid(beta x)."""
    z = m.product(beta, x)
    e = m.exp(-m.abs(z))
    return m.where(m.rounded(z) < 0, m.exp_times(x / (1 + e), z), x / (1 + e))


def x_sigmoid_derivative(x, beta, m):
    z = m.product(beta, x)
    return sigmoid_and_slope(z, z, m)


def sigmoid_and_slope(z, x_slope, m):
    """The derivative of x sigmoid(z): s + x_slope s (1 - s) with s = sigmoid(z) and x_slope = x dz/dx."""
    e = m.exp(-m.abs(z))
    x_slope = m.rounded(x_slope)
    positive = 1 + m.exp_times(1 + x_slope, -z)
    negative = m.exp_times(1 + x_slope + e, z)
    return m.where(m.rounded(z) < 0, negative, positive) / (1 + e) ** 2


@define(
    aliases=("swish", "sigmoid_linear_unit"),
    formula="f(x) = x / (1 + exp(-beta x))",
    derivative_formula="f'(x) = s + beta x s (1 - s), s = 1 / (1 + exp(-beta x))",
    note="At minus infinity the value is -0, where PyTorch, JAX, Keras and oneDNN give NaN; between -103 and -88 in "
    "float32 it is the small number that it is, where x / (1 + exp(-x)) gives 0.",
    cancels={"derivative": value_by_x},
    max_ulp={"float32": 0.85, "float64": 2.0},
    references=["Hendrycks & Gimpel (2016), Gaussian Error Linear Units (GELUs), arXiv:1606.08415",
                "Elfwing, Uchibe & Doya (2017), Sigmoid-Weighted Linear Units for Neural Network Function "
                "Approximation in Reinforcement Learning, arXiv:1702.03118",
                "Ramachandran, Zoph & Le (2017), Searching for Activation Functions, arXiv:1710.05941"],
    properties=Properties(
        range=(-0.2784645427610738, INFINITY), zero_centered=False, monotonic=False, bounded=False, smooth=True,
        saturates="left", can_die=False, kinks=(), introduced="Hendrycks & Gimpel, 2016; Elfwing et al., 2017",
        good_for="hidden layers of convolutional networks and, in swiglu, of language models",
        beware="swish is often silu with a learnt beta",
    ),
)
def silu(x, beta=1.0, *, m):
    """Sigmoid linear unit."""
    return x_sigmoid(x, beta, m)


@silu.adds("derivative")
def silu_derivative(x, beta, *, m):
    return x_sigmoid_derivative(x, beta, m)


@silu.adds(("gradient", "beta"))
def silu_gradient(x, beta, *, m):
    z = -m.abs(m.product(beta, x))
    return (m.exp_times(x, z * 0.5) / (1 + m.exp(z))) ** 2


@define(
    aliases=("gelu_quick", "gelu_sigmoid"),
    formula="f(x) = x / (1 + exp(-1.702 x))",
    derivative_formula="f'(x) = s + 1.702 x s (1 - s), s = 1 / (1 + exp(-1.702 x))",
    note="It is silu with beta = 1.702, and gelu(x, approximate='sigmoid').",
    cancels={"derivative": value_by_x},
    max_ulp={"float32": 0.85, "float64": 2.0},
    references=["Hendrycks & Gimpel (2016), Gaussian Error Linear Units (GELUs), arXiv:1606.08415"],
    properties=Properties(
        range=(-0.1636101896363536, INFINITY), zero_centered=False, monotonic=False, bounded=False, smooth=True,
        saturates="left", can_die=False, kinks=(), introduced="Hendrycks & Gimpel, 2016",
        good_for="models that were trained with it, such as CLIP",
        beware="it differs from gelu by up to 0.02",
    ),
)
def quick_gelu(x, *, m):
    """Gaussian error linear unit, sigmoid approximation."""
    return x_sigmoid(x, 1.702, m)


@quick_gelu.adds("derivative")
def quick_gelu_derivative(x, *, m):
    return x_sigmoid_derivative(x, 1.702, m)
@define(
    aliases=("gelu_erf", "gelu_python", "gelu_exact", "gelu_none"),
    variants={"approximate": {"none": "gelu", "tanh": "gelu_tanh", "sigmoid": "quick_gelu"}},
    formula="f(x) = x Phi(x), Phi(x) = erfc(-x / sqrt(2)) / 2",
    derivative_formula="f'(x) = Phi(x) + x phi(x), phi(x) = exp(-x^2 / 2) / sqrt(2 pi)",
    note="approximate='none' is the exact one and the default, as in PyTorch; that of jax.nn.gelu and keras.ops.gelu "
    "is the tanh approximation.  The left tail is kept: through 1 + erf, as in PyTorch, it is 57 % wrong at -5.5 and 0 "
    "below -6 in float32.  At minus infinity the value is -0, where others give NaN.",
    cancels={"derivative": value_by_x},
    max_ulp={"float32": 0.95, "float64": 2.0},
    references=["Hendrycks & Gimpel (2016), Gaussian Error Linear Units (GELUs), arXiv:1606.08415"],
    properties=Properties(
        range=(-0.16997120747990366, INFINITY), zero_centered=False, monotonic=False, bounded=False, smooth=True,
        saturates="left", can_die=False, kinks=(), introduced="Hendrycks & Gimpel, 2016",
        good_for="hidden layers of transformers",
        beware="models differ in the approximation they were trained with",
    ),
)
def gelu(x, *, m):
    """Gaussian error linear unit."""
    return m.normal_cdf(x, x)


@gelu.adds("derivative")
def gelu_derivative(x, *, m):
    return m.normal_cdf(x) + m.normal_pdf(x, x)


SQRT_8_BY_PI = "1.595769121605730711759784239737527473903434524659738630663703318682632"


def gelu_tanh_exponent(x, m):
    """2 sqrt(2/pi) (x + 0.044715 x^3)."""
    return m.constant(SQRT_8_BY_PI) * (x * (1 + 0.044715 * m.product(x, x)))


@define(
    aliases=("gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate", "gelu_approximate", "gelu_python_tanh"),
    formula="f(x) = x (1 + tanh(u)) / 2 = x / (1 + exp(-2 u)), u = sqrt(2/pi) (x + 0.044715 x^3)",
    derivative_formula="f'(x) = s + 2 x u' s (1 - s), s = 1 / (1 + exp(-2 u)), u' = sqrt(2/pi) (1 + 0.134145 x^2)",
    note="It is gelu(x, approximate='tanh').  The left tail is kept: through 1 + tanh, as in PyTorch, JAX, Keras and "
    "ONNX, it is 30 % wrong at -5 and 0 below -6 in float32.",
    cancels={"derivative": value_by_x},
    max_ulp={"float32": 0.85, "float64": 2.0},
    references=["Hendrycks & Gimpel (2016), Gaussian Error Linear Units (GELUs), arXiv:1606.08415"],
    properties=Properties(
        range=(-0.17004075057125406, INFINITY), zero_centered=False, monotonic=False, bounded=False, smooth=True,
        saturates="left", can_die=False, kinks=(), introduced="Hendrycks & Gimpel, 2016",
        good_for="models that were trained with it, such as BERT and GPT-2",
        beware="it is no faster than gelu here, and differs from it by up to 0.0005",
    ),
)
def gelu_tanh(x, *, m):
    """Gaussian error linear unit, tanh approximation."""
    w = gelu_tanh_exponent(x, m)
    e = m.exp(-m.abs(w))
    return m.where(x < 0, m.exp_times(x / (1 + e), w), x / (1 + e))


@gelu_tanh.adds("derivative")
def gelu_tanh_derivative(x, *, m):
    x_slope = m.constant(SQRT_8_BY_PI) * (x * (1 + 0.044715 * (3 * m.product(x, x))))
    return sigmoid_and_slope(gelu_tanh_exponent(x, m), x_slope, m)


@define(
    aliases=("gelu_10",),
    formula="f(x) = min(max(gelu(x), min_val), max_val)",
    derivative_formula="f'(x) = gelu'(x) for min_val < gelu(x) < max_val, else 0",
    note="Where gelu is at or beyond a bound the derivative is 0; at a bound so is the gradient of that bound.",
    cancels={"derivative": value_by_x},
    max_ulp={"float32": 0.51, "float64": 2.0},
    references=["Wu, Judd, Zhang, Isaev & Micikevicius (2020), Integer Quantization for Deep Learning Inference: "
                "Principles and Empirical Evaluation, arXiv:2004.09602"],
    properties=Properties(
        range=(-0.16997120747990366, 10.0), zero_centered=False, monotonic=False, bounded=True, smooth=False,
        saturates="both", can_die=True, kinks=(10.0,), introduced="Wu et al., 2020",
        good_for="networks that are quantized to integers",
        beware="a unit beyond a bound has no gradient",
    ),
)
def clipped_gelu(x, min_val=-10.0, max_val=10.0, *, m):
    """Gaussian error linear unit, limited."""
    return m.clip(m.normal_cdf(x, x), min_val, max_val)


@clipped_gelu.adds("derivative")
def clipped_gelu_derivative(x, min_val, max_val, *, m):
    y = m.normal_cdf(x, x)
    return m.where((y <= min_val) | (y >= max_val), 0, gelu_derivative(x, m=m))


@clipped_gelu.adds(("gradient", "min_val"))
def clipped_gelu_min_gradient(x, min_val, max_val, *, m):
    return where_known(m.normal_cdf(x, x) < min_val, 1, x, m)


@clipped_gelu.adds(("gradient", "max_val"))
def clipped_gelu_max_gradient(x, min_val, max_val, *, m):
    return where_known(m.normal_cdf(x, x) > max_val, 1, x, m)


@define(
    formula="f(x) = x tanh(log(1 + exp(x)))",
    derivative_formula="f'(x) = t + x (1 - t^2) / (1 + exp(-x)), t = tanh(log(1 + exp(x)))",
    note="At minus infinity the value is -0 and at infinity the derivative 1, where PyTorch gives NaN.",
    cancels={"derivative": value_by_x},
    max_ulp={"float32": 0.95, "float64": 2.0},
    references=["Misra (2019), Mish: A Self Regularized Non-Monotonic Activation Function, arXiv:1908.08681"],
    properties=Properties(
        range=(-0.30884341301725043, INFINITY), zero_centered=False, monotonic=False, bounded=False, smooth=True,
        saturates="left", can_die=False, kinks=(), introduced="Misra, 2019",
        good_for="hidden layers of convolutional networks for detection",
        beware="where it is written with tanh and softplus it costs three transcendental functions",
    ),
)
def mish(x, *, m):
    """Mish."""
    e = m.exp(m.minimum(x, 40))
    n = e * (e + 2)  # tanh(log(1 + e)) is n / (n + 2)
    return m.where(x < 0, m.exp_times(x * (e + 2) / (n + 2), x), x * (n / (n + 2)))


@mish.adds("derivative")
def mish_derivative(x, *, m):
    at = m.clip(x, -800, 40)
    e = m.exp(at)
    n = e * (e + 2)
    right = n / (n + 2) + 4 * at * e * (1 + e) / (4 + n * (4 + n))
    left = 4 * (at + 1) + e * (4 * at + 6 + e * (4 + e))
    return m.where(x < -0.5, m.exp_times(left / (n + 2) ** 2, x), right)


@define(
    aliases=("soft_relu",),
    formula="f(x) = log(1 + exp(beta x)) / beta",
    derivative_formula="f'(x) = 1 / (1 + exp(-beta x))",
    note="There is no threshold: PyTorch returns x for beta x > 20, which loses exp(-beta x).",
    max_ulp={"float32": 0.85, "float64": 2.0},
    references=["Dugas, Bengio, Bélisle, Nadeau & Garcia (2000), Incorporating Second-Order Functional Knowledge for "
                "Better Option Pricing, NIPS 13"],
    properties=Properties(
        range=(0.0, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="left",
        can_die=False, kinks=(), introduced="Dugas et al., 2000",
        good_for="positive outputs, such as a standard deviation",
        beware="outputs are not zero-centred; log(2) at 0",
    ),
)
def softplus(x, beta=1.0, *, m):
    """Softplus."""
    z = m.product(beta, x)
    return m.where(m.rounded(z) > 0, x, 0) + m.log1p(m.exp(-m.abs(z))) / beta


@softplus.adds("derivative")
def softplus_derivative(x, beta, *, m):
    z = m.product(beta, x)
    e = m.exp(-m.abs(z))
    return m.where(m.rounded(z) < 0, e, 1) / (1 + e)


@softplus.adds(("gradient", "beta"))
def softplus_gradient(x, beta, *, m):
    z = -m.abs(m.product(beta, x))
    e = m.exp(z)
    return (m.exp_times(m.rounded(z), z) / (1 + e) - m.log1p(e)) / beta / beta


@define(
    formula="f(x) = (x + sqrt(x^2 + b)) / 2",
    derivative_formula="f'(x) = (1 + x / sqrt(x^2 + b)) / 2",
    note="b = 0 is relu, with derivative 0 at x = 0.  The left tail b / (4 |x|) is kept and large x do not overflow, "
    "unlike in JAX and Keras, which in float32 give 0 from -1e4 on and infinity for 1e20.",
    max_ulp={"float32": 0.8, "float64": 2.0},
    references=["Barron (2021), Squareplus: A Softplus-Like Algebraic Rectifier, arXiv:2112.11687"],
    properties=Properties(
        range=(0.0, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="left",
        can_die=False, kinks=(), introduced="Barron, 2021",
        good_for="softplus without transcendental functions",
        beware="its tails decay slowly: 1/|x| where softplus has exp(-|x|)",
    ),
)
def squareplus(x, b=4.0, *, m):
    """Squareplus."""
    h = m.hypot(x, m.sqrt(b))
    return m.where(x <= 0, 0, x) + m.where(h == 0, 0, m.divide(b / 4, h / 2 + m.abs(x) / 2))


@squareplus.adds("derivative")
def squareplus_derivative(x, b, *, m):
    h = m.hypot(x, m.sqrt(b))
    tail = m.where(h == 0, 0, m.divide(m.divide(b / 4, h), h / 2 + m.abs(x) / 2))
    return m.where(x > 0, 1 - tail, tail)


@squareplus.adds(("gradient", "b"))
def squareplus_gradient(x, b, *, m):
    return m.divide(0.25, m.hypot(x, m.sqrt(b)))


@define(
    formula="f(x) = 0 for x <= -1, (x + 1)^2 / 4 for -1 < x < 1, x for x >= 1",
    derivative_formula="f'(x) = 0 for x <= -1, (x + 1) / 2 for -1 < x < 1, 1 for x >= 1",
    max_ulp={"float32": 0.51, "float64": 2.0},
    references=["JAX, jax.nn.sparse_plus"],
    properties=Properties(
        range=(0.0, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="left",
        can_die=True, kinks=(), introduced="JAX, 2023",
        good_for="a softplus that is exactly 0 and exactly x outside (-1, 1)",
        beware="units below -1 have no gradient",
    ),
)
def sparse_plus(x, *, m):
    """Sparse plus: the integral of the sparse sigmoid."""
    return m.where(x <= -1, 0, m.where(x >= 1, x, (x + 1) * (x + 1) / 4))


@sparse_plus.adds("derivative")
def sparse_plus_derivative(x, *, m):
    return m.where(x <= -1, 0, m.where(x >= 1, 1, (x + 1) / 2))


@define(
    formula="f(x) = x^2 a_p + beta x for x > 0, else a_n (exp(min(x, eps)) - 1 - x) + beta x,\n"
    "    a_p = softplus(alpha_p), a_n = beta + softplus(alpha_n)",
    derivative_formula="f'(x) = 2 a_p x + beta for x >= 0, a_n (exp(x) - 1) + beta for x <= eps, beta - a_n between",
    note="The parameters are those before softplus, as in the published code, whose eps keeps exp(x) - 1 away from 0 "
    "in low precision; it makes a step of a_n eps at 0.  At eps and at 0 the derivative is that outside of the "
    "interval between them.",
    cancels={"forward": lambda x, y: x, "derivative": lambda x, y: 1},
    max_ulp={"float32": 0.51, "float64": 2.0},
    references=["Huang & Schlag (2024), Deriving Activation Functions Using Integration, arXiv:2411.13010"],
    properties=Properties(
        range=(-0.08362869143994935, INFINITY), zero_centered=False, monotonic=False, bounded=False, smooth=False,
        saturates="none", can_die=False, kinks=(-1e-6, 0.0), introduced="Huang & Schlag, 2024",
        good_for="the feed-forward layers of language models; Apertus has it",
        beware="it grows with the square of x to the right and linearly to the left",
    ),
)
def xielu(x, alpha_p=0.8, alpha_n=0.8, beta=0.5, eps=-1e-6, *, m):
    """Expanded integral of the exponential linear unit."""
    softplus_n = log_1_plus_exp(alpha_n, m)
    a_n = beta + softplus_n
    positive = x * (log_1_plus_exp(alpha_p, m) * x + beta)
    near = a_n * m.exp_remainder(x) + beta * x
    negative = a_n * m.expm1(m.minimum(x, eps)) - softplus_n * x
    return m.where(x > 0, positive, m.where((x > -1) & (x <= eps), near, negative))


def log_1_plus_exp(x, m):
    return m.where(x > 0, x, 0) + m.log1p(m.exp(-m.abs(x)))


@xielu.adds("derivative")
def xielu_derivative(x, alpha_p, alpha_n, beta, eps, *, m):
    softplus_n = log_1_plus_exp(alpha_n, m)
    positive = 2 * log_1_plus_exp(alpha_p, m) * x + beta
    negative = (beta + softplus_n) * m.expm1(x) + beta
    return m.where(x >= 0, positive, m.where(x <= eps, negative, m.where(x < 0, -softplus_n, x)))


@xielu.adds(("gradient", "alpha_p"))
def xielu_alpha_p_gradient(x, alpha_p, alpha_n, beta, eps, *, m):
    return m.where(x <= 0, 0, x * x * softplus_derivative(alpha_p, 1, m=m))


@xielu.adds(("gradient", "alpha_n"))
def xielu_alpha_n_gradient(x, alpha_p, alpha_n, beta, eps, *, m):
    rest = m.where(x <= eps, m.exp_remainder(x), m.expm1(eps) - x)
    return m.where(x > 0, 0, rest * softplus_derivative(alpha_n, 1, m=m))


@xielu.adds(("gradient", "beta"))
def xielu_beta_gradient(x, alpha_p, alpha_n, beta, eps, *, m):
    return m.where(x > 0, x, m.expm1(m.minimum(x, eps)))


@xielu.adds(("gradient", "eps"))
def xielu_eps_gradient(x, alpha_p, alpha_n, beta, eps, *, m):
    return where_known((x > eps) & (x <= 0), (beta + log_1_plus_exp(alpha_n, m)) * m.exp(eps), x, m)


def one_plus_sine(alpha, x, m):
    """1 + sin(2 alpha x), which is cos^2 / (1 - sin)."""
    u = m.angle(alpha, x)
    s, c = m.sin(2 * u), m.cos(2 * u)
    overflows = m.abs(m.rounded(u)) > 8e307
    return m.where(overflows, (m.sin(u) + m.cos(u)) ** 2, m.where(s < 0, c * c / (1 - s), 1 + s))


@define(
    formula="f(x) = x + sin(alpha x)^2 / alpha",
    derivative_formula="f'(x) = 1 + sin(2 alpha x)",
    note="alpha = 0 is the identity.  At an infinity the derivative has no limit and is NaN.  In float64, from "
    "|alpha x| = 2^43 on, the sine is that of the product as it is rounded.",
    cancels={"forward": lambda x, y: x, "derivative": value_by_x},
    max_ulp={"float32": 0.51, "float64": 2.0},
    references=["Ziyin, Hartwig & Ueda (2020), Neural Networks Fail to Learn Periodic Functions and How to Fix It, "
                "arXiv:2006.08195"],
    properties=Properties(
        range=(-INFINITY, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="none",
        can_die=False, kinks=(), introduced="Ziyin, Hartwig & Ueda, 2020",
        good_for="periodic signals, audio",
        beware="the derivative is 0 at one point in each period",
    ),
)
def snake(x, alpha=1.0, *, m):
    """Snake: the identity and a periodic part."""
    s = m.sin(m.angle(alpha, x))
    still = (m.abs(x) == INFINITY) | (x == 0) | (alpha == 0)
    return m.where(still, x, m.rounded(m.product(s, s) / m.where(alpha == 0, 1, alpha) + x))


@snake.adds("derivative")
def snake_derivative(x, alpha, *, m):
    return one_plus_sine(alpha, x, m)


@snake.adds(("gradient", "alpha"))
def snake_gradient(x, alpha, *, m):
    s, c = m.sin(m.angle(alpha, x)), m.cos(m.angle(alpha, x))
    wave = m.divide(m.slope(2 * s * c, x), alpha) - m.divide(s, alpha) ** 2
    return m.where(alpha == 0, x * x, wave)


@define(
    formula="f(x) = x + sin(alpha x)^2 / (beta + 1e-9)",
    derivative_formula="f'(x) = 1 + alpha / (beta + 1e-9) sin(2 alpha x)",
    note="At an infinity the derivative has no limit and is NaN.  In float64, from |alpha x| = 2^43 on, the sine is "
    "that of the product as it is rounded.",
    cancels={"forward": lambda x, y: x, "derivative": value_by_x},
    max_ulp={"float32": 0.51, "float64": 2.0},
    references=["Lee, Ping, Ginsburg, Catanzaro & Yoon (2022), BigVGAN: A Universal Neural Vocoder with Large-Scale "
                "Training, arXiv:2206.04658"],
    properties=Properties(
        range=(-INFINITY, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="none",
        can_die=False, kinks=(), introduced="Lee et al., BigVGAN, 2022",
        good_for="audio: frequency and height of the wave are learnt apart",
        beware="published code holds the logarithms of alpha and beta",
    ),
)
def snake_beta(x, alpha=1.0, beta=1.0, *, m):
    """Snake whose wave has a height of its own."""
    s = m.sin(m.angle(alpha, x))
    return m.where((m.abs(x) == INFINITY) | (x == 0), x, m.rounded(m.product(s, s) / (m.precise(beta) + 1e-9) + x))


@snake_beta.adds("derivative")
def snake_beta_derivative(x, alpha, beta, *, m):
    total = (beta - alpha) + 1e-9 + alpha * one_plus_sine(alpha, x, m)
    return m.divide(total, beta + 1e-9)


@snake_beta.adds(("gradient", "alpha"))
def snake_beta_alpha_gradient(x, alpha, beta, *, m):
    s, c = m.sin(m.angle(alpha, x)), m.cos(m.angle(alpha, x))
    return m.divide(m.slope(2 * s * c, x), beta + 1e-9)


@snake_beta.adds(("gradient", "beta"))
def snake_beta_beta_gradient(x, alpha, beta, *, m):
    return -m.divide(m.sin(m.angle(alpha, x)), beta + 1e-9) ** 2


# ---- Of straight pieces ----------------------------------------------------------------------------------------------


@define(
    aliases=("clip", "clamp"),
    formula="f(x) = min(max(x, min_val), max_val)",
    derivative_formula="f'(x) = 1 for min_val < x < max_val, else 0",
    note="At the bounds the derivative is 0, and so is the gradient of the bound.  JAX gives 1 for the derivative of "
    "hard_tanh there, and so does PyTorch for that of clamp.",
    max_ulp=EXACT,
    references=["Collobert (2004), Large Scale Machine Learning, thesis, Université Paris VI"],
    properties=Properties(
        range=(-1.0, 1.0), zero_centered=True, monotonic=True, bounded=True, smooth=False, saturates="both",
        can_die=True, kinks=(-1.0, 1.0), introduced="Collobert, 2004",
        good_for="tanh at the cost of two comparisons",
        beware="a unit beyond either bound has no gradient",
    ),
)
def hard_tanh(x, min_val=-1.0, max_val=1.0, *, m):
    """Hard hyperbolic tangent: x limited to an interval."""
    return m.clip(x, min_val, max_val)


@hard_tanh.adds("derivative")
def hard_tanh_derivative(x, min_val, max_val, *, m):
    return where_known((x > min_val) & (x < max_val), 1, x, m)


@hard_tanh.adds("from_output")
def hard_tanh_from_output(y, min_val, max_val, *, m):
    return hard_tanh_derivative(y, min_val, max_val, m=m)


@hard_tanh.adds(("gradient", "min_val"))
def hard_tanh_min_gradient(x, min_val, max_val, *, m):
    return where_known(x < min_val, 1, x, m)


@hard_tanh.adds(("gradient", "max_val"))
def hard_tanh_max_gradient(x, min_val, max_val, *, m):
    return where_known(x > max_val, 1, x, m)


@define(
    formula="f(x) = min(max(alpha x + beta, 0), 1)",
    derivative_formula="f'(x) = alpha for 0 < alpha x + beta < 1, else 0",
    note="At the kinks, x = -3 and x = 3 by default, the derivative and the gradients are 0.  The default alpha = 1/6 "
    "is that of PyTorch, JAX and Keras 3; ONNX and Keras 2 have 0.2.",
    max_ulp={"float32": 0.51, "float64": 2.0},
    references=["Courbariaux, Bengio & David (2015), BinaryConnect: Training Deep Neural Networks with Binary Weights "
                "during Propagations, arXiv:1511.00363",
                "Howard et al. (2019), Searching for MobileNetV3, arXiv:1905.02244"],
    properties=Properties(
        range=(0.0, 1.0), zero_centered=False, monotonic=True, bounded=True, smooth=False, saturates="both",
        can_die=True, kinks=(-3.0, 3.0), introduced="Courbariaux, Bengio & David, 2015",
        good_for="gates on small devices",
        beware="a unit beyond either bound has no gradient; libraries differ in alpha",
    ),
)
def hard_sigmoid(x, alpha=1 / 6, beta=0.5, *, m):
    """Hard sigmoid: a straight line from 0 to 1."""
    line = m.slope(alpha, x) + beta
    return m.where(line <= 0, 0, m.where(line >= 1, 1, m.rounded(m.product(alpha, x) + beta)))


def on_the_line(x, alpha, beta, slope, m):
    line = m.slope(alpha, x) + beta
    return where_known((line > 0) & (line < 1), slope, x, m)


@hard_sigmoid.adds("derivative")
def hard_sigmoid_derivative(x, alpha, beta, *, m):
    return on_the_line(x, alpha, beta, alpha, m)


@hard_sigmoid.adds(("gradient", "alpha"))
def hard_sigmoid_alpha_gradient(x, alpha, beta, *, m):
    return on_the_line(x, alpha, beta, x, m)


@hard_sigmoid.adds(("gradient", "beta"))
def hard_sigmoid_beta_gradient(x, alpha, beta, *, m):
    return on_the_line(x, alpha, beta, 1, m)


@define(
    formula="f(x) = min(max((x + 1) / 2, 0), 1)",
    derivative_formula="f'(x) = 1/2 for -1 < x < 1, else 0",
    note="At the kinks x = -1 and x = 1 the derivative is 0.",
    max_ulp=EXACT,
    references=["Martins & Astudillo (2016), From Softmax to Sparsemax, arXiv:1602.02068",
                "JAX, jax.nn.sparse_sigmoid"],
    properties=Properties(
        range=(0.0, 1.0), zero_centered=False, monotonic=True, bounded=True, smooth=False, saturates="both",
        can_die=True, kinks=(-1.0, 1.0), introduced="Martins & Astudillo, 2016",
        good_for="probabilities that may be exactly 0 or 1: the sparsemax of x/2 and -x/2",
        beware="a unit beyond either bound has no gradient",
    ),
)
def sparse_sigmoid(x, *, m):
    """Sparse sigmoid."""
    return sparse_plus_derivative(x, m=m)


@sparse_sigmoid.adds("derivative")
def sparse_sigmoid_derivative(x, *, m):
    return where_known(m.abs(x) < 1, 0.5, x, m)


@define(
    aliases=("hard_swish",),
    formula="f(x) = x min(max(x + 3, 0), 6) / 6",
    derivative_formula="f'(x) = 0 for x <= -3, x/3 + 1/2 for -3 < x < 3, 1 for x >= 3",
    note="At the kinks x = -3 and x = 3 the derivative is 0 and 1; PyTorch had -1/2 and 3/2 there until 2025.  At "
    "minus infinity the value is -0, where PyTorch, JAX and Keras give NaN.",
    max_ulp={"float32": 0.51, "float64": 2.0},
    references=["Howard et al. (2019), Searching for MobileNetV3, arXiv:1905.02244"],
    properties=Properties(
        range=(-0.375, INFINITY), zero_centered=False, monotonic=False, bounded=False, smooth=False, saturates="left",
        can_die=True, kinks=(-3.0, 3.0), introduced="Howard et al., MobileNetV3, 2019",
        good_for="silu on small devices",
        beware="units below -3 have no gradient",
    ),
)
def hard_silu(x, *, m):
    """Hard sigmoid linear unit."""
    return m.where(x <= -3, -0.0, m.where(x >= 3, x, x * (x + 3) / 6))


@hard_silu.adds("derivative")
def hard_silu_derivative(x, *, m):
    return m.where(x <= -3, 0, m.where(x >= 3, 1, (2 * x + 3) / 6))


@define(
    formula="f(x) = x min(max(x + 2, 0), 2) / 2",
    derivative_formula="f'(x) = 0 for x <= -2, x + 1 for -2 < x < 0, 1 for x >= 0",
    note="At the kink x = -2 the derivative is 0.",
    max_ulp={"float32": 0.51, "float64": 2.0},
    references=["Misra (2020), H-Mish, https://github.com/digantamisra98/H-Mish"],
    properties=Properties(
        range=(-0.5, INFINITY), zero_centered=False, monotonic=False, bounded=False, smooth=False, saturates="left",
        can_die=True, kinks=(-2.0,), introduced="Misra, 2020",
        good_for="mish on small devices",
        beware="units below -2 have no gradient",
    ),
)
def hard_mish(x, *, m):
    """Hard mish."""
    return m.where(x <= -2, -0.0, m.where(x >= 0, x, x * (x + 2) / 2))


@hard_mish.adds("derivative")
def hard_mish_derivative(x, *, m):
    return m.where(x <= -2, 0, m.where(x >= 0, 1, x + 1))


# ---- Shrinking -------------------------------------------------------------------------------------------------------


@define(
    formula="f(x) = x - lambd for x > lambd, x + lambd for x < -lambd, else 0",
    derivative_formula="f'(x) = 1 for |x| > lambd, else 0",
    note="At the kinks x = -lambd and x = lambd the derivative is 0, and so is the gradient of lambd.  NaN stays NaN, "
    "which the NumPy backend of Keras replaces by 0.",
    max_ulp=EXACT,
    references=["Donoho (1995), De-noising by soft-thresholding, doi:10.1109/18.382009"],
    properties=Properties(
        range=(-INFINITY, INFINITY), zero_centered=True, monotonic=True, bounded=False, smooth=False, saturates="none",
        can_die=False, kinks=(-0.5, 0.5), introduced="Donoho, 1995",
        good_for="denoising and sparse codes: the proximal operator of lambd |x|",
        beware="what is large becomes smaller by lambd too",
    ),
)
def soft_shrink(x, lambd=0.5, *, m):
    """Soft shrinkage."""
    return m.where(x > lambd, x - lambd, m.where(x < -lambd, x + lambd, m.slope(0, x)))


@soft_shrink.adds("derivative")
def soft_shrink_derivative(x, lambd, *, m):
    return where_known(m.abs(x) > lambd, 1, x, m)


@soft_shrink.adds(("gradient", "lambd"))
def soft_shrink_gradient(x, lambd, *, m):
    return m.where(x > lambd, -1, where_known(x < -lambd, 1, x, m))


@define(
    formula="f(x) = x for |x| > lambd, else 0",
    derivative_formula="f'(x) = 1 for |x| > lambd, else 0",
    note="At x = -lambd and x = lambd the derivative is 0; the gradient of lambd is 0 everywhere.  NaN stays NaN, "
    "which the NumPy backend of Keras replaces by 0.",
    max_ulp=EXACT,
    references=["Donoho & Johnstone (1994), Ideal spatial adaptation by wavelet shrinkage, "
                "doi:10.1093/biomet/81.3.425"],
    properties=Properties(
        range=(-INFINITY, INFINITY), zero_centered=True, monotonic=True, bounded=False, smooth=False, saturates="none",
        can_die=False, kinks=(-0.5, 0.5), introduced="Donoho & Johnstone, 1994",
        good_for="denoising that leaves alone what is large",
        beware="steps of height lambd",
    ),
)
def hard_shrink(x, lambd=0.5, *, m):
    """Hard shrinkage."""
    return m.where(m.abs(x) > lambd, x, m.slope(0, x))


@hard_shrink.adds("derivative")
def hard_shrink_derivative(x, lambd, *, m):
    return where_known(m.abs(x) > lambd, 1, x, m)


@hard_shrink.adds(("gradient", "lambd"))
def hard_shrink_gradient(x, lambd, *, m):
    return m.where(x == x, 0, x)


@define(
    formula="f(x) = x - tanh(x)",
    derivative_formula="f'(x) = tanh(x)^2",
    note="Near 0 it is x^3 / 3: the difference as written, in PyTorch and Keras, is 5 % wrong at 1e-3 and 0 at 1e-4 in "
    "float32.",
    max_ulp={"float32": 0.85, "float64": 2.0},
    references=["PyTorch, torch.nn.Tanhshrink"],
    properties=Properties(
        range=(-INFINITY, INFINITY), zero_centered=True, monotonic=True, bounded=False, smooth=True, saturates="none",
        can_die=False, kinks=(), introduced="Torch",
        good_for="a smooth shrinkage",
        beware="the gradient vanishes near 0, where inputs usually are",
    ),
)
def tanh_shrink(x, *, m):
    """Hyperbolic tangent shrinkage."""
    return m.tanh_remainder(x)


@tanh_shrink.adds("derivative")
def tanh_shrink_derivative(x, *, m):
    return m.tanh(x) ** 2


# ---- Gated: two arrays, the gate and what it lets up -----------------------------------------------------------------

SHAZEER = "Shazeer (2020), GLU Variants Improve Transformer, arXiv:2002.05202"
DAUPHIN = "Dauphin, Fan, Auli & Grangier (2017), Language Modeling with Gated Convolutional Networks, arXiv:1612.08083"


def gated_properties(introduced, good_for, beware, kinks=()):
    return Properties(
        range=(-INFINITY, INFINITY), zero_centered=False, monotonic=False, bounded=False, smooth=not kinks,
        saturates="none", can_die=False, kinks=kinks, introduced=introduced, good_for=good_for, beware=beware)


def gated_unit(name, activation, summary, references, properties, **about):
    """Enter activation(gate) up in the book, with the parameters of the activation."""
    call = ", ".join(["gate", *activation.parameters])
    definition = BOOK[name] = Definition(
        name, {}, kind="gated", parameters=activation.parameters, summary=summary,
        formula=f"f(gate, up) = {activation.name}({call}) up",
        derivative_formula=f"df/dgate = {activation.name}'({call}) up, df/dup = {activation.name}({call})",
        references=references, properties=properties, max_ulp=activation.max_ulp, **about)

    def times_up(formula):
        return lambda gate, up, *parameters, m: formula(gate, *parameters, m=m) * up

    definition.formulas.update(
        forward=times_up(activation.formulas["forward"]),
        by_gate=times_up(activation.formulas["derivative"]),
        by_up=lambda gate, up, *parameters, m: activation.formulas["forward"](gate, *parameters, m=m))
    for parameter in activation.parameters:
        definition.formulas["gradient", parameter] = times_up(activation.formulas["gradient", parameter])


gated_unit(
    "bilinear_glu", identity, "Bilinear gated linear unit.", [DAUPHIN, SHAZEER],
    gated_properties("Dauphin et al., 2017, after Mnih & Hinton, 2007", "a gate without a nonlinearity",
                     "nothing bounds either factor"))
gated_unit(
    "sigmoid_glu", sigmoid, "Gated linear unit of two arrays; `glu` is that of one.", [DAUPHIN],
    gated_properties("Dauphin et al., 2017", "gated convolutions", "PyTorch's glu has the gate in the second half"))
gated_unit(
    "reglu", relu, "Gated linear unit with a rectified gate.", [SHAZEER],
    gated_properties("Shazeer, 2020", "sparse gates", "a gate below 0 lets no gradient through", kinks=(0.0,)))
gated_unit(
    "geglu", gelu, "Gated linear unit with a Gaussian error linear gate.", [SHAZEER],
    gated_properties("Shazeer, 2020", "the feed-forward layers of transformers",
                     "models differ in the approximation: approximate='tanh' is that of T5 and Gemma"),
    variants={"approximate": {"none": "geglu", "tanh": "geglu_tanh", "sigmoid": "geglu_quick"}})
gated_unit(
    "geglu_tanh", gelu_tanh, "Gated linear unit with the tanh approximation of the Gaussian error linear gate.",
    [SHAZEER],
    gated_properties("Shazeer, 2020", "the feed-forward layers of T5 and Gemma",
                     "it differs from geglu in the third digit"))
gated_unit(
    "geglu_quick", quick_gelu, "Gated linear unit with the sigmoid approximation of the Gaussian error linear gate.",
    [SHAZEER],
    gated_properties("Shazeer, 2020", "models trained with it", "it differs from geglu in the second digit"))
gated_unit(
    "swiglu", silu, "Gated linear unit with a sigmoid-weighted gate.", [SHAZEER],
    gated_properties("Shazeer, 2020", "the feed-forward layers of large language models",
                     "libraries differ in the order of gate and values in one array: see `packed`"))


@define(
    kind="gated",
    aliases=("swiglu_clamped",),
    formula="f(gate, up) = a sigmoid(alpha a) (b + 1), a = min(gate, limit), b = up limited to [-limit, limit]",
    derivative_formula="df/dgate = silu'(a, alpha) (b + 1) for gate < limit, else 0; "
    "df/dup = silu(a, alpha) for |up| < limit, else 0",
    note="At the bounds the derivatives are 0.  The published code holds gate and values interleaved: "
    "``packed(x, gate='first', layout='interleaved')``.",
    max_ulp={"float32": 0.51, "float64": 2.0},
    references=["OpenAI (2025), gpt-oss-120b & gpt-oss-20b Model Card, arXiv:2508.10925"],
    properties=gated_properties("OpenAI, gpt-oss, 2025", "mixtures of experts in low precision",
                                "the value is not 0 where up is 0", kinks=(7.0,)),
)
def swiglu_oai(gate, up, alpha=1.702, limit=7.0, *, m):
    """Clamped gated linear unit of gpt-oss."""
    return silu.formulas["forward"](m.minimum(gate, limit), alpha, m=m) * (m.clip(up, -limit, limit) + 1)


@swiglu_oai.adds("by_gate")
def swiglu_oai_by_gate(gate, up, alpha, limit, *, m):
    slope = silu.formulas["derivative"](gate, alpha, m=m) * (m.clip(up, -limit, limit) + 1)
    return m.where(gate >= limit, 0 * up, slope)


@swiglu_oai.adds("by_up")
def swiglu_oai_by_up(gate, up, alpha, limit, *, m):
    value = silu.formulas["forward"](m.minimum(gate, limit), alpha, m=m)
    return m.where(m.abs(up) >= limit, 0 * value, value + 0 * up)


@swiglu_oai.adds(("gradient", "alpha"))
def swiglu_oai_gradient(gate, up, alpha, limit, *, m):
    gradient = silu.formulas["gradient", "beta"](m.minimum(gate, limit), alpha, m=m)
    return gradient * (m.clip(up, -limit, limit) + 1)


@swiglu_oai.adds(("gradient", "limit"))
def swiglu_oai_gradient_by_limit(gate, up, alpha, limit, *, m):
    by_gate = silu.formulas["derivative"](m.minimum(gate, limit), alpha, m=m) * (m.clip(up, -limit, limit) + 1)
    by_up = silu.formulas["forward"](m.minimum(gate, limit), alpha, m=m)
    return (m.where(gate > limit, by_gate, 0 * by_gate)
            + m.where(up > limit, by_up, m.where(up < -limit, -by_up, 0 * up)))


# ---- Axis-wise: rows along the last axis -----------------------------------------------------------------------------

def probabilities(**others):
    return Properties(range=(0.0, 1.0), zero_centered=False, bounded=True, can_die=False, kinks=(), **others)


@define(
    kind="axiswise",
    aliases=("softargmax", "normalized_exponential"),
    formula="f(x)_i = exp(x_i / temperature) / (exp(sink) + sum_j exp(x_j / temperature))",
    derivative_formula="df_i/dx_j = f_i (delta_ij - f_j) / temperature",
    note="A row whose maximum is infinite, or that holds a NaN, is NaN; a row without elements is empty; elements that "
    "`where` leaves out are 0, and so is a row without others.  The sink is one logit more that is not returned: -inf "
    "for none, 0 for `softmax_one`.  SciPy's default axis is None, PyTorch has none.",
    max_ulp={"float32": 0.95, "float64": 5.0},
    references=["Bridle (1990), doi:10.1007/978-3-642-76153-9_28",
                "the sink: Xiao et al. (2023), Efficient Streaming Language Models with Attention Sinks, "
                "arXiv:2309.17453"],
    masked=0.0,
    domains={"temperature": (lambda value: np.asarray(value) > 0, "positive")},
    properties=probabilities(
        monotonic=True, smooth=True, saturates="both", introduced="Bridle, 1990",
        good_for="class probabilities at the output, attention weights",
        beware="with a logarithm behind it use log_softmax, which keeps the small probabilities",
    ),
)
def softmax(x, temperature=1.0, sink=-INFINITY, *, m):
    """Softmax: exponentials that sum to one along an axis."""
    e, share = exponentials_and_share(x, temperature, sink, m)
    return e / (m.row_sum(e) + share)


def exponentials_and_share(x, temperature, sink, m):
    """exp(x_j / temperature) and exp(sink), both relative to the largest of them."""
    maximum = m.row_maximum(x)
    origin = m.where(maximum == -INFINITY, 0, maximum)
    e = m.exp((m.precise(x) - origin) / temperature)
    ahead = m.precise(maximum) / temperature - m.where(sink == -INFINITY, 0, sink)  # of the sink
    below = (m.rounded(ahead) < 0) & (sink > -INFINITY)
    share = m.where(sink == -INFINITY, 0, m.where(below, 1, m.exp(-ahead)))
    return m.where(below, e * m.exp(ahead), e), share


@softmax.adds("backward")
def softmax_backward(grad, x, temperature, sink, *, m):
    y = softmax.formulas["forward"](x, temperature, sink, m=m)
    return softmax_backward_from_output(grad, y, temperature, sink, m=m)


@softmax.adds("backward_from_output")
def softmax_backward_from_output(grad, y, temperature, sink, *, m):
    return y * (grad - m.row_sum(grad * y)) / temperature


@softmax.adds(("gradient", "temperature"))
def softmax_gradient_by_temperature(grad, x, temperature, sink, *, m):
    y = softmax.formulas["forward"](x, temperature, sink, m=m)
    logits = m.where(y == 0, 0, x)
    return m.row_sum(grad * y * (m.row_sum(y * logits) - logits)) / temperature**2


@softmax.adds(("gradient", "sink"))
def softmax_gradient_by_sink(grad, x, temperature, sink, *, m):
    e, share = exponentials_and_share(x, temperature, sink, m)
    total = m.row_sum(e) + share
    return -share / total * m.row_sum(grad * e / total)


def exponentials_beside_the_largest(x, m):
    """Return the maximum, and the sum of exp(x_j - maximum) without the 1 of the maximum itself.

    Left out of the sum, it cannot hide from log1p what lies far below it.
    """
    maximum = m.row_maximum(x)
    others = m.row_sum(m.where(x == maximum, 0, m.exp_difference(x, maximum)))
    ties = m.row_sum(m.where(x == maximum, 1, 0))
    return maximum, others + (ties - 1)


@define(
    kind="axiswise",
    formula="f(x)_i = x_i - log sum_j exp(x_j)",
    derivative_formula="df_i/dx_j = delta_ij - softmax(x)_j",
    note="A row whose maximum is infinite, or that holds a NaN, is NaN; a row without elements is empty; elements that "
    "`where` leaves out are -inf.  Other libraries give 0 for the logarithm of a probability that rounds to 1.",
    max_ulp={"float32": 0.75, "float64": 2.0},
    references=["Bridle (1990), doi:10.1007/978-3-642-76153-9_28"],
    masked=-INFINITY,
    properties=Properties(
        range=(-INFINITY, 0.0), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="right",
        can_die=False, kinks=(), introduced="the logarithm of softmax",
        good_for="cross-entropy",
        beware="-inf for an impossible class is right, and 0 * -inf is not a number",
    ),
)
def log_softmax(x, *, m):
    """Logarithm of softmax."""
    maximum, others = exponentials_beside_the_largest(x, m)
    return (x - maximum) - (m.log1p(others) + (maximum - maximum))


@log_softmax.adds("backward")
def log_softmax_backward(grad, x, *, m):
    return grad - softmax.formulas["forward"](x, m=m) * m.row_sum(grad)


@log_softmax.adds("backward_from_output")
def log_softmax_backward_from_output(grad, y, *, m):
    return grad - m.exp(y) * m.row_sum(grad)


@define(
    kind="axiswise",
    reduces=True,
    formula="f(x) = log sum_j exp(x_j)",
    derivative_formula="df/dx_j = softmax(x)_j",
    note="A row without elements, or in which `where` leaves all out, is -inf; a row that holds an infinity is inf.",
    max_ulp={"float32": 0.51, "float64": 2.0},
    references=["Boyd & Vandenberghe (2004), Convex Optimization, section 3.1.5"],
    masked=-INFINITY,
    properties=Properties(
        range=(-INFINITY, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="left",
        can_die=False, kinks=(), introduced="folklore; a smooth maximum",
        good_for="normalising logarithms of probabilities, a smooth maximum",
        beware="it is above the maximum, by up to log n",
    ),
)
def logsumexp(x, *, m):
    """Logarithm of the sum of exponentials along an axis."""
    maximum, others = exponentials_beside_the_largest(x, m)
    return maximum + m.log1p(others)


@logsumexp.adds("backward")
def logsumexp_backward(grad, x, *, m):
    return grad * softmax.formulas["forward"](x, m=m)


@define(
    kind="axiswise",
    reduces=True,
    formula="f(x) = log((1/n) sum_j exp(x_j))",
    derivative_formula="df/dx_j = softmax(x)_j",
    note="A row without elements is NaN.",
    max_ulp={"float32": 0.51, "float64": 3.0},
    references=["jax.nn.logmeanexp"],
    properties=Properties(
        range=(-INFINITY, INFINITY), zero_centered=False, monotonic=True, bounded=False, smooth=True, saturates="left",
        can_die=False, kinks=(), introduced="folklore; a smooth maximum",
        good_for="estimates of a marginal likelihood from samples",
        beware="dominated by the largest few elements",
    ),
)
def logmeanexp(x, *, m):
    """Logarithm of the mean of exponentials along an axis."""
    maximum, others = exponentials_beside_the_largest(x, m)
    n = x.shape[-1]
    mean = (1 + others) / n if n else m.nan * (1 + others)
    near_1 = m.log1p((others + (1 - n)) / max(n, 1))
    return maximum + m.where(2 * mean > 1, near_1, m.log(mean))


@logmeanexp.adds("backward")
def logmeanexp_backward(grad, x, *, m):
    return logsumexp_backward(grad, x, m=m)


def nan_of_row(x, m):
    return m.row_sum(m.where(x == x, 0, x))


@define(
    kind="axiswise",
    aliases=("argmax_one_hot",),
    formula="f(x)_i = 1 for the first i at which x_i is the maximum, else 0",
    derivative_formula="df_i/dx_j = 0",
    note="Of equal maxima the first has the 1, as in ONNX.",
    max_ulp=EXACT,
    references=["ONNX operator Hardmax"],
    masked=0.0,
    properties=probabilities(
        monotonic=True, smooth=False, saturates="both", introduced="the limit of softmax at temperature 0",
        good_for="decisions, hard attention", beware="no gradient",
    ),
)
def hardmax(x, *, m):
    """One at the first maximum along an axis."""
    return m.where(m.row_first(x == m.row_maximum(x)), 1, 0) + nan_of_row(x, m)


@hardmax.adds("backward")
def hardmax_backward(grad, x, *, m):
    return m.where(x == x, 0, x) + nan_of_row(x, m)


@hardmax.adds("backward_from_output")
def hardmax_backward_from_output(grad, y, *, m):
    return hardmax_backward(grad, y, m=m)


def simplex_backward(grad, s, m):
    """The product with the Jacobian diag(s) - s s^T / sum(s), which sparsemax and entmax share."""
    mean = m.row_sum(m.where(s == 0, 0, s * grad)) / m.row_sum(s)
    return m.where(s == 0, 0, s * (grad - mean))


def positive(excess, m):
    return m.where(excess <= 0, 0, excess)


def behind(x, m):
    """x relative to the maximum; NaN throughout a row that has no finite one, or holds a NaN."""
    z = x - m.row_maximum(x)
    return z + nan_of_row(z, m)


@define(
    kind="axiswise",
    formula="f(x)_i = max(x_i - tau, 0), with the tau for which they sum to 1",
    derivative_formula="df_i/dx_j = delta_ij - 1/k for i, j among the k elements that are not 0, else 0",
    note="At a kink, where an element is about to leave the support, it counts as outside.  A row whose maximum is "
    "infinite, or that holds a NaN, is NaN.  Keras before 2026-08 summed wrongly; TensorFlow gives NaN beyond 1e8.",
    cancels={"forward": lambda x, y: 1},
    max_ulp={"float32": 1.0, "float64": 4.0},
    references=["Martins & Astudillo (2016), From Softmax to Sparsemax, arXiv:1602.02068"],
    masked=0.0,
    properties=probabilities(
        monotonic=True, smooth=False, saturates="both", introduced="Martins & Astudillo, 2016",
        good_for="sparse attention, probabilities that are exactly 0",
        beware="no gradient for what is outside the support",
    ),
)
def sparsemax(x, *, m):
    """Euclidean projection onto the simplex along an axis."""
    z = behind(x, m)
    descending = m.row_descending(z)
    k = m.row_places(x)  # 1, 2, ... n
    inside = 1 + k * descending > m.row_cumulative(descending)
    threshold = (m.row_sum(m.where(inside, descending, 0)) - 1) / m.row_sum(m.where(inside, 1, 0))
    return positive(z - threshold, m)


@sparsemax.adds("backward")
def sparsemax_backward(grad, x, *, m):
    return sparsemax_backward_from_output(grad, sparsemax.formulas["forward"](x, m=m), m=m)


@sparsemax.adds("backward_from_output")
def sparsemax_backward_from_output(grad, y, *, m):
    return simplex_backward(grad, m.where(y > 0, 1, positive(y, m)), m)


@define(
    kind="axiswise",
    aliases=("entmax_15",),
    formula="f(x)_i = max(x_i / 2 - tau, 0)^2, with the tau for which they sum to 1",
    derivative_formula="df_i/dx_j = s_i delta_ij - s_i s_j / sum_k s_k, s = sqrt(f)",
    note="A row whose maximum is infinite, or that holds a NaN, is NaN.",
    cancels={"forward": lambda x, y: 1},
    max_ulp={"float32": 1.0, "float64": 8.0},
    references=["Peters, Niculae & Martins (2019), Sparse Sequence-to-Sequence Models, arXiv:1905.05702"],
    masked=0.0,
    properties=probabilities(
        monotonic=True, smooth=True, saturates="both", introduced="Peters, Niculae & Martins, 2019",
        good_for="attention between softmax and sparsemax",
        beware="no gradient for what is outside the support",
    ),
)
def entmax15(x, *, m):
    """Entmax with alpha 1.5: sparse probabilities along an axis."""
    z = behind(x, m) / 2
    descending = m.row_descending(z)
    k = m.row_places(x)
    mean = m.row_cumulative(descending) / k
    spread = m.row_cumulative(descending**2) - k * mean**2
    rest = (1 - spread) / k
    thresholds = mean - m.sqrt(positive(rest, m))
    size = m.row_sum(m.where(thresholds <= descending, 1, 0))
    threshold = m.row_sum(m.where(k == size, thresholds, 0))
    return positive(z - threshold, m) ** 2


@entmax15.adds("backward")
def entmax15_backward(grad, x, *, m):
    return entmax15_backward_from_output(grad, entmax15.formulas["forward"](x, m=m), m=m)


@entmax15.adds("backward_from_output")
def entmax15_backward_from_output(grad, y, *, m):
    return simplex_backward(grad, m.sqrt(positive(y, m)), m)


def entmax_power(u, a, exponent, m):
    """(1 + a u)^(exponent/a), 0 where 1 + a u is not positive; in the limit a = 0 it is exp(exponent u)."""
    v = m.slope(a, u)
    inside = 1 + v > 0
    logarithm = m.where(a == 0, u, m.log1p(m.where(inside, v, 0)) / m.where(a == 0, 1, a))
    return m.where(inside, m.exp(exponent * logarithm), m.where(u == u, 0, u))


def entmax_excess(x, a, m):
    """Return u = x - tau for the tau at which the powers sum to 1, by bisection."""
    z = behind(x, m)
    n = max(x.shape[-1], 1)
    low, high = 0 * a, m.where(a == 0, m.log(n + 0 * a), -m.expm1(-a * m.log(n + 0 * a)) / m.where(a == 0, 1, a))
    for _ in range(m.BISECTIONS):
        middle = (low + high) / 2
        above = m.row_sum(entmax_power(z - middle, a, 1, m)) > 1
        low, high = m.where(above, middle, low), m.where(above, high, middle)
    return z - low


@define(
    kind="axiswise",
    aliases=("alpha_entmax",),
    formula="f(x)_i = max((alpha - 1) x_i - tau, 0)^(1 / (alpha - 1)), with the tau for which they sum to 1",
    derivative_formula="df_i/dx_j = s_i delta_ij - s_i s_j / sum_k s_k, s = f^(2 - alpha) on the support",
    note="alpha = 1 is softmax, 1.5 entmax15, 2 sparsemax; it is at least 1.  A row whose maximum is infinite, or that "
    "holds a NaN, is NaN.",
    cancels={"forward": lambda x, y: 1},
    max_ulp={"float32": 1.0, "float64": 16.0},
    references=["Peters, Niculae & Martins (2019), Sparse Sequence-to-Sequence Models, arXiv:1905.05702",
                "Correia, Niculae & Martins (2019), Adaptively Sparse Transformers, arXiv:1909.00015"],
    masked=0.0,
    domains={"alpha": (lambda value: np.asarray(value) >= 1, "at least 1")},
    order=("alpha", "axis"),
    properties=probabilities(
        monotonic=True, smooth=True, saturates="both", introduced="Peters, Niculae & Martins, 2019",
        good_for="attention that learns how sparse it is",
        beware="solved iteratively: entmax15 and sparsemax are faster",
    ),
)
def entmax(x, alpha=1.5, *, m):
    """Entmax: probabilities between softmax and sparsemax and beyond, along an axis."""
    p = entmax_power(entmax_excess(x, alpha - 1, m), alpha - 1, 1, m)
    return p / m.row_sum(p)


@entmax.adds("backward")
def entmax_backward(grad, x, alpha, *, m):
    a = alpha - 1
    return simplex_backward(grad, entmax_power(entmax_excess(x, a, m), a, 1 - a, m), m)


@entmax.adds("backward_from_output")
def entmax_backward_from_output(grad, y, alpha, *, m):
    return simplex_backward(grad, m.where(y <= 0, 0, m.exp((2 - alpha) * m.log(m.where(y <= 0, 1, y)))), m)


@entmax.adds(("gradient", "alpha"))
def entmax_gradient(grad, x, alpha, *, m):
    """The change of p with alpha at a constant tau, less what the movement of tau takes to keep the sum."""
    a = alpha - 1
    u = entmax_excess(x, a, m)
    p, s = entmax_power(u, a, 1, m), entmax_power(u, a, 1 - a, m)
    v = m.where(p > 0, a * u, 0)
    # d log(p) / da = (v/(1 + v) - log(1 + v)) / a^2, for small v by its series
    series = u**2 * (-1 / 2 + v * (2 / 3 + v * (-3 / 4 + v * (4 / 5 - v * 5 / 6))))
    exact = (v / (1 + v) - m.log1p(v)) / m.where(a == 0, 1, a) ** 2
    change = m.where(p > 0, p * m.where(m.abs(v) < m.SMALL, series, exact), p)
    return m.row_sum(grad * change) - m.row_sum(change) * m.row_sum(grad * s) / m.row_sum(s)
