"""Rows along an axis: values, gradients, sinks, temperatures, masks and the edges, against mpmath."""

import math
import re
from functools import cache

import mpmath
import numpy as np
import pytest
from conftest import every_implementation
from mpmath_math import exact, two_doubles, ulp_error
from numpy.exceptions import AxisError

from pyactx._reference import BOOK

pytestmark = every_implementation

KERNELS = [name for name, definition in BOOK.items() if definition.kind == "axiswise" and not definition.composed]
MASKABLE = [name for name in KERNELS if BOOK[name].masked is not None]
PROBABILITIES = [name for name in MASKABLE if BOOK[name].masked == 0]
SPARSE = {"sparsemax": 2.0, "entmax15": 1.5}
ALPHAS = (1.0, 1.25, 1.5, 2.0, 3.0)
LENGTHS = (1, 2, 3, 10, 64, 65, 100, 1000)
INF = math.inf
NAN = math.nan


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def numbers(seed, *shape, scale=1.0):
    """Return normally distributed numbers that are float32 and float64 alike, so that both have the same truth."""
    return (np.random.default_rng(seed).normal(size=shape) * scale).astype(np.float32).astype(np.float64)


def message(text):
    return "^" + re.escape(text) + "$"


def sum_of(values):
    return mpmath.fsum(np.ravel(values))


# ---- The projections onto the simplex: bisection ---------------------------------------------------------------------


def projection(x, alpha):
    """Return p_i = max((alpha - 1) x_i - tau, 0)^(1 / (alpha - 1)), and what is raised; they sum to 1 for this tau.

    x are mpmath numbers, taken relative to the largest.  tau lies between where the largest p is 1 and where it is 1/n.
    """
    a = mpmath.mpf(alpha) - 1
    digits = 0 if a == 0 else max(0, -2 * int(mpmath.log10(a)))  # that a small a loses
    with mpmath.workdps(50 + digits):
        largest = max(x)
        behind = [v - largest for v in x]
        if a == 0:
            e = [mpmath.exp(v) for v in behind]
            total = mpmath.fsum(e)
            return [v / total for v in e], e
        scaled, power = [a * v for v in behind], raised(a)
        low, high = mpmath.mpf(-1), -mpmath.mpf(len(x)) ** -a
        tau, inside = low, [v for v in scaled if v > low]
        while high - low > mpmath.mpf(10) ** (-33 - digits):
            tau = (low + high) / 2
            if mpmath.fsum(power(v - tau) for v in inside if v > tau) > 1:
                low = tau
                inside = [v for v in inside if v > low]
            else:
                high = tau
        excess = [max(v - tau, mpmath.mpf(0)) for v in scaled]
        return [power(v) for v in excess], excess


def raised(a):
    """Return the power 1/a; whole numbers and roots are quick."""
    exponent = 1 / a
    if exponent == int(exponent) and exponent < 100:
        return lambda v, n=int(exponent): v**n
    return mpmath.sqrt if a == 2 else lambda v: v**exponent if v else v


@cache
def simplex_rows(n):
    generator = np.random.default_rng(n)
    normal = numbers(n, n)
    rows = [normal, np.round(2 * normal) / 2, normal * 8]
    if n < 1000:  # a thousand elements in the support are slow
        rows += [numbers(n, n, scale=0.01), np.zeros(n)]
    far = numbers(n + 1, n) + generator.choice([-1e8, 1e8], n)
    rows.append(far.astype(np.float32).astype(np.float64))
    if n > 1:
        holes = normal.copy()
        holes[generator.permutation(n)[: n // 2]] = -INF
        rows.append(holes)
    return np.array(rows)


@cache
def simplex_truth(n, alpha):
    """Return the projections of simplex_rows as sums of two doubles, and what is raised."""
    values = [projection(list(exact(row)), alpha) for row in simplex_rows(n)]
    return (*two_doubles(np.array([p for p, _ in values])), np.array([u for _, u in values]).astype(np.float64))


def check_projection(p, high, low, excess, alpha, units):
    """Hold p to a number of units, plus what tau may be off: some roundings of numbers that are below 1."""
    dtype = p.dtype
    slack = 8 * np.finfo(np.float64).eps
    with np.errstate(all="ignore"):
        unit = np.maximum(np.spacing(high.astype(dtype)).astype(np.float64), np.finfo(dtype).smallest_subnormal)
        if alpha == 1:  # exp(u) has the roundings of u
            moved = np.where(high > 0, -high * np.log(high), 0) * np.finfo(np.float64).eps
        else:
            moved = (np.maximum(excess + slack, 0) ** (1 / (alpha - 1))
                     - np.maximum(excess - slack, 0) ** (1 / (alpha - 1)))
    error = np.abs((p.astype(np.float64) - high) - low)
    assert (error <= units * unit + moved).all(), (error / (unit + moved)).max()
    sums = p.astype(np.float64).sum(axis=-1)
    np.testing.assert_allclose(sums, 1, atol=len(p.T) * np.finfo(dtype).eps, rtol=0)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("name", SPARSE)
def test_projections(activations, name, n, dtype):
    x = simplex_rows(n).astype(dtype)
    p = activations[name](x)
    assert p.dtype == dtype
    check_projection(p, *simplex_truth(n, SPARSE[name]), SPARSE[name], 2 if dtype == "float64" else 0.51)


@pytest.mark.parametrize("n", LENGTHS)
@pytest.mark.parametrize("alpha", ALPHAS)
def test_entmax(activations, alpha, n, dtype):
    x = simplex_rows(n).astype(dtype)
    p = activations["entmax"](x, alpha)
    assert p.dtype == dtype
    check_projection(p, *simplex_truth(n, alpha), alpha, 8 if dtype == "float64" else 0.51)


def test_entmax_with_an_alpha_for_each_row(activations, dtype):
    """Bit for bit as if each row were computed by itself; the last, 4, along the axis of the rows counts as they do."""
    x = numbers(3, 5, 4, 33).astype(dtype)
    alpha = np.array(ALPHAS, dtype).reshape(5, 1, 1)
    for operation, inputs in [("forward", (x,)), ("backward", (x[::-1], x)), ("alpha_gradient", (x[::-1], x))]:
        run = activations["entmax"].named(operation)
        whole = run(*inputs, alpha)
        for row, value in enumerate(ALPHAS):
            assert same(whole[row], run(*(a[row] for a in inputs), value))
    each = np.array([[1, 1.1, 1.5, 2]], dtype).repeat(5, 0)
    whole = activations["entmax"](x, each[:, :, None])
    assert same(whole[2, 1], activations["entmax"](x[2, 1], float(each[2, 1])))


def test_keras_regression(activations):
    """Keras before 2026-08 returned [0.15, 0.25]."""
    np.testing.assert_allclose(activations["sparsemax"]([0.5, 0.6]), [0.45, 0.55], rtol=0, atol=1e-15)
    np.testing.assert_allclose(activations["entmax"]([0.5, 0.6], 2), [0.45, 0.55], rtol=0, atol=1e-15)


def test_projections_by_hand(activations, dtype):
    cases = {
        "sparsemax": [([3, 1, 0], [1, 0, 0]), ([1, 1, -1], [0.5, 0.5, 0]), ([0, 0, 0, 0], [0.25] * 4),
                      ([1, 0], [1, 0]), ([0.5, 0, -0.5], [0.75, 0.25, 0]), ([1e30, 1e30], [0.5, 0.5])],
        "entmax15": [([3, 1, 0], [1, 0, 0]), ([0, 0, 0, 0], [0.25] * 4), ([2, 0], [1, 0]),
                     ([1e30, -1e30], [1, 0])],
    }
    for name, rows in cases.items():
        for x, p in rows:
            np.testing.assert_allclose(activations[name](np.array(x, dtype)), p, rtol=0, atol=1e-15)


# ---- Their gradients: differences of the bisection -------------------------------------------------------------------


def gradient_rows(n):
    """Return (grad, x) without elements on the edge of the support."""
    x = np.stack([numbers(10 + n, n), numbers(20 + n, n, scale=0.1), numbers(30 + n, n, scale=4)])
    x[1, : n // 3] = x[1, 0]
    if n > 3:
        x[0, 1:3] = -INF
    return numbers(40 + n, 3, n), x


@cache
def jacobian_truth(n, alpha):
    """Return the products of gradients and Jacobians, which are symmetric: the change of p along the gradient."""
    step = mpmath.mpf(10) ** -14
    products = []
    for grad, x in zip(*map(exact, gradient_rows(n))):
        ahead, _ = projection(list(x + step * grad), alpha)
        back, _ = projection(list(x - step * grad), alpha)
        products.append([(a - b) / (2 * step) for a, b in zip(ahead, back)])
    return np.array(products).astype(np.float64)


@pytest.mark.parametrize("n", [1, 2, 3, 10, 65, 100])
def test_jacobian_of_projections(activations, n, dtype):
    grad, x = (array.astype(dtype) for array in gradient_rows(n))
    tolerance = {"rtol": 1e-6, "atol": 1e-7} if dtype == "float32" else {"rtol": 1e-11, "atol": 1e-14}
    for name, alpha in [*SPARSE.items(), *(("entmax", alpha) for alpha in ALPHAS)]:
        activation, parameters = activations[name], (alpha,) * (name == "entmax")
        expected = jacobian_truth(n, alpha)
        backward = activation.backward(grad, x, *parameters)
        assert backward.dtype == dtype
        np.testing.assert_allclose(backward, expected, **tolerance)
        y = activation(x, *parameters)
        np.testing.assert_allclose(activation.backward_from_output(grad, y, *parameters), expected,
                                   rtol=1e-5 if dtype == "float32" else 1e-6, atol=2e-4 if dtype == "float32" else 1e-7)


def test_the_edge_of_the_support_counts_as_outside(activations, dtype):
    grad = np.array([3, 5], dtype)
    assert activations["sparsemax"].backward(grad, np.array([1, 0], dtype)).tolist() == [0, 0]
    np.testing.assert_allclose(activations["entmax"].backward(grad, np.array([1, 0], dtype), 2), 0, atol=1e-6)


@cache
def alpha_truth(n, alpha):
    """Return sum_i grad_i dp_i/dalpha, from p on the side of alpha that is above."""
    step = mpmath.mpf(10) ** -14
    results = []
    for grad, x in zip(*map(exact, gradient_rows(n))):
        here, once, twice = (projection(list(x), alpha + k * step)[0] for k in range(3))
        change = [(4 * b - 3 * a - c) / (2 * step) for a, b, c in zip(here, once, twice)]
        results.append(sum_of(grad * change))
    return np.array(results).astype(np.float64)


@pytest.mark.parametrize("alpha", [1.0, 1.0001, 1.01, 1.25, 1.5, 2.0, 3.0])
def test_gradient_by_alpha(activations, alpha, dtype):
    for n in (1, 2, 10):
        grad, x = (array.astype(dtype) for array in gradient_rows(n))
        column = np.full((3, 1), alpha, dtype)
        gradients = activations["entmax"].parameter_gradients(grad, x, column)["alpha"]
        assert gradients.shape == (3, 1) and gradients.dtype == dtype
        expected = alpha_truth(n, float(column[0, 0]))
        np.testing.assert_allclose(gradients[:, 0], expected, rtol=1e-6 if dtype == "float32" else 1e-9,
                                   atol=1e-6 if dtype == "float32" else 1e-11)
        total = activations["entmax"].parameter_gradients(grad, x, alpha)["alpha"]
        assert total.shape == () and total.dtype == dtype
        np.testing.assert_allclose(total, gradients.sum(), rtol=1e-5 if dtype == "float32" else 1e-9, atol=1e-6)


# ---- softmax: temperature and sink -----------------------------------------------------------------------------------


def softmax_truth(x, temperature=1.0, sink=-INF):
    """Return the probabilities of a row and that of the sink."""
    logits = [v / mpmath.mpf(temperature) for v in exact(x)]
    top = max([*logits, mpmath.mpf(sink)])
    e = [mpmath.exp(v - top) for v in logits]
    total = mpmath.fsum(e) + mpmath.exp(mpmath.mpf(sink) - top)
    return np.array([v / total for v in e]), mpmath.exp(mpmath.mpf(sink) - top) / total


TEMPERATURES = (1.0, 0.1, 0.3, 7.0, 1e-3, 1e3, 1e-30, 1e30)


@cache
def temperature_truth(temperature, sink=-INF):
    x = np.concatenate([numbers(50, 20, scale=5), [0, -60, -61.3, -300]])
    x = x.astype(np.float32).astype(np.float64)
    p, share = softmax_truth(x, temperature, sink)
    return x, p, share


@pytest.mark.parametrize("sink", [-INF, 0.0, -3.0, 2.5, 40.0, -1000.0, 1000.0])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_temperature_and_sink(activations, temperature, sink, dtype):
    """Right to the last digits of the smallest probabilities, for each temperature and sink."""
    given = float(np.dtype(dtype).type(temperature))
    x, p, _ = temperature_truth(given, sink)
    y = activations["softmax"](x.astype(dtype), -1, temperature, sink)
    assert y.dtype == dtype
    bound = BOOK["softmax"].max_ulp[dtype]
    assert ulp_error(y, *two_doubles(p)).max() <= bound
    if sink == -INF:
        y = activations["softmax"](x.astype(dtype), temperature=temperature)
        assert ulp_error(y, *two_doubles(p)).max() <= bound


def test_extreme_temperatures(activations, dtype):
    softmax = activations["softmax"]
    x = np.array([3, 1, 3, -2], dtype)
    tiny = np.finfo(dtype).tiny
    assert softmax(x, temperature=tiny).tolist() == [0.5, 0, 0.5, 0]
    assert softmax(x * 1000, temperature=tiny).tolist() == [0.5, 0, 0.5, 0]
    assert softmax(x, temperature=np.finfo(dtype).max).tolist() == [0.25] * 4
    assert softmax(x, temperature=INF).tolist() == [0.25] * 4


def test_temperature_1_is_none(activations, dtype):
    x = numbers(51, 7, 40, scale=10).astype(dtype)
    assert same(activations["softmax"](x), activations["softmax"](x, temperature=1, sink=-INF))


@cache
def softmax_gradients_truth(temperature, sink):
    """Return a gradient, and with it those by x, from the Jacobian, and by temperature and sink, from differences."""
    x, p, share = temperature_truth(temperature, sink)
    grad = numbers(52, len(x))
    upstream = exact(grad)
    mean = sum_of(upstream * p)
    step = mpmath.mpf(10) ** -20 * temperature
    ahead, back = (softmax_truth(x, temperature + sign * step, sink)[0] for sign in (1, -1))
    by_temperature = sum_of(upstream * (ahead - back)) / (2 * step)
    by_x = p * (upstream - mean) / mpmath.mpf(temperature)
    if sink == -INF:
        return grad, by_x, by_temperature, mpmath.mpf(0)
    ahead, back = (softmax_truth(x, temperature, sink + sign * step)[0] for sign in (1, -1))
    return grad, by_x, by_temperature, sum_of(upstream * (ahead - back)) / (2 * step)


@pytest.mark.parametrize("sink", [-INF, 0.0, 2.5, -30.0])
@pytest.mark.parametrize("temperature", [1.0, 0.1, 3.0])
def test_softmax_gradients(activations, temperature, sink, dtype):
    softmax = activations["softmax"]
    given = float(np.dtype(dtype).type(temperature))
    x, p, _ = temperature_truth(given, sink)
    grad, by_x, by_temperature, by_sink = softmax_gradients_truth(given, sink)
    x, grad = x.astype(dtype), grad.astype(dtype)
    tolerance = {"rtol": 3e-7 if dtype == "float32" else 1e-13, "atol": 0}
    by_x = by_x.astype(np.float64)
    # Where gradient and mean cancel, at a sure winner, there is what the difference of the two has.
    size = p.astype(np.float64) * (np.abs(grad) + float(abs(sum_of(exact(grad) * p)))) / given
    error = np.abs(softmax.backward(grad, x, -1, temperature, sink) - by_x)
    assert (error <= tolerance["rtol"] * np.abs(by_x) + 1e-14 * size + np.finfo(dtype).smallest_subnormal).all()
    y = softmax(x, -1, temperature, sink)
    np.testing.assert_allclose(softmax.backward_from_output(grad, y, -1, temperature, sink), by_x,
                               rtol=1e-5 if dtype == "float32" else 1e-12,
                               atol=1e-6 if dtype == "float32" else 1e-13)
    gradients = softmax.parameter_gradients(grad, x, -1, temperature, sink)
    assert list(gradients) == ["temperature", "sink"]
    sizes = {"temperature": np.sum(size * np.abs(x)) / given, "sink": np.sum(size) * given}
    for name, expected in (("temperature", by_temperature), ("sink", by_sink)):
        assert gradients[name].dtype == dtype and gradients[name].shape == ()
        np.testing.assert_allclose(gradients[name], float(expected), rtol=10 * tolerance["rtol"],
                                   atol=1e-14 * sizes[name])


def test_sink_of_minus_infinite_rows(activations, dtype):
    softmax = activations["softmax"]
    x = np.array([[-INF, -INF], [0, -INF], [-INF, 5]], dtype)
    y = softmax(x, sink=0)
    np.testing.assert_allclose(y, [[0, 0], [0.5, 0], [0, 1 / (1 + math.exp(-5))]], rtol=1e-6)
    assert np.isnan(softmax(x)[0]).all()
    grad = np.ones_like(x)
    gradient = softmax.backward(grad, x, sink=0)
    assert gradient[0].tolist() == [0, 0] and np.isfinite(gradient).all()
    np.testing.assert_allclose(gradient[1], [0.25, 0], rtol=1e-6)
    by_sink = softmax.parameter_gradients(grad, x, sink=np.zeros((3, 1), dtype))["sink"]
    np.testing.assert_allclose(by_sink[:2], [[0], [-0.25]], rtol=1e-6)
    by_temperature = softmax.parameter_gradients(grad, x, sink=0, temperature=np.ones((3, 1), dtype))["temperature"]
    assert np.isfinite(by_temperature).all() and by_temperature[:2].tolist() == [[0], [0]]


def test_infinite_sink_takes_all_or_nothing(activations, dtype):
    x = np.array([1, 2, -INF], dtype)
    assert same(activations["softmax"](x, sink=-INF), activations["softmax"](x))
    assert np.isnan(activations["softmax"](np.array([1, INF], dtype), sink=0)).all()
    assert np.isnan(activations["softmax"](np.array([1, NAN], dtype), sink=0)).all()
    assert np.isnan(activations["softmax"](np.array([1, 2], dtype), sink=NAN)).all()


@cache
def heads():
    """Return grad and x of (batch, head, query, key), and the sinks and temperatures of the heads."""
    return (numbers(53, 2, 3, 4, 5), numbers(54, 2, 3, 4, 5, scale=2), np.array([-1.0, 0.5, 2.0]).reshape(3, 1, 1),
            np.array([0.5, 1.0, 2.0]).reshape(3, 1, 1))


@cache
def heads_truth():
    """Return the value, and the gradients by the sinks and the temperatures, from central differences in mpmath."""
    grad, x, sinks, temperatures = heads()
    step = mpmath.mpf(10) ** -20
    value = np.empty(x.shape)
    by_sink, by_temperature = [], []
    for head in range(3):
        t, s = float(temperatures[head, 0, 0]), float(sinks[head, 0, 0])
        by = [mpmath.mpf(0), mpmath.mpf(0)]
        for batch in range(2):
            for query in range(4):
                row, upstream = x[batch, head, query], exact(grad[batch, head, query])
                value[batch, head, query] = softmax_truth(row, t, s)[0].astype(np.float64)
                for k, (dt, ds) in enumerate([(0, step), (step, 0)]):
                    change = softmax_truth(row, t + dt, s + ds)[0] - softmax_truth(row, t - dt, s - ds)[0]
                    by[k] += sum_of(upstream * change) / (2 * step)
        by_sink.append(float(by[0]))
        by_temperature.append(float(by[1]))
    return value, np.reshape(by_sink, (3, 1, 1)), np.reshape(by_temperature, (3, 1, 1))


@pytest.mark.parametrize("axis", [-1, 1])
def test_a_sink_for_each_head(activations, axis, dtype):
    """The gradients are of the shape of the parameters; rows may lie along any axis."""
    softmax = activations["softmax"]
    value, by_sink, by_temperature = heads_truth()
    grad, x, sinks, temperatures = (array.astype(dtype) for array in heads())
    if axis == 1:  # batch, key, head, query
        grad, x = (np.ascontiguousarray(np.moveaxis(array, 3, 1)) for array in (grad, x))
        value = np.moveaxis(value, 3, 1)
        sinks, temperatures = sinks.reshape(3, 1), temperatures.reshape(1, 1, 3, 1)
        by_sink, by_temperature = by_sink.reshape(3, 1), by_temperature.reshape(1, 1, 3, 1)
    rtol = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(softmax(x, axis, temperatures, sinks), value, rtol=rtol)
    gradients = softmax.parameter_gradients(grad, x, axis, temperatures, sinks)
    for name, expected in (("sink", by_sink), ("temperature", by_temperature)):
        assert gradients[name].shape == expected.shape and gradients[name].dtype == dtype
        np.testing.assert_allclose(gradients[name], expected, rtol=rtol)
    totals = softmax.parameter_gradients(grad, x, axis, temperatures, sinks[:1] * 0)
    assert totals["sink"].shape == sinks[:1].shape


def test_parameters_over_several_axes(activations, dtype):
    """One value for each row of rows that lie along two axes."""
    x = numbers(55, 4, 3, 5).astype(dtype)
    sink = np.array([0, 1, -2], dtype)
    flat = np.ascontiguousarray(np.moveaxis(x, 1, 0)).reshape(3, 20)
    expected = np.moveaxis(activations["softmax"](flat, sink=sink[:, None]).reshape(3, 4, 5), 0, 1)
    for shape in ((3, 1), (1, 3, 1)):
        np.testing.assert_array_equal(activations["softmax"](x, (0, 2), 1.0, sink.reshape(shape)), expected)
        gradient = activations["softmax"].parameter_gradients(x[::-1], x, (0, 2), 1.0, sink.reshape(shape))["sink"]
        assert gradient.shape == shape
    total = activations["softmax"].parameter_gradients(x[::-1], x, None, 2.0, 1.0)
    assert {name: value.shape for name, value in total.items()} == {"temperature": (), "sink": ()}


# ---- log_softmax, logsumexp, logmeanexp, hardmax ---------------------------------------------------------------------


def logarithm_rows():
    dominant = numbers(60, 30)
    dominant[17] = 45
    rows = [numbers(61, 30, scale=3), numbers(62, 30, scale=1e-3), dominant, np.full(30, 2.5), numbers(63, 30) + 700,
            numbers(64, 30) - 1000, numbers(65, 30, scale=1e4)]
    return np.array(rows).astype(np.float32).astype(np.float64)


@cache
def logarithm_truth():
    """Return logsumexp, logmeanexp and log_softmax of logarithm_rows."""
    sums = [mpmath.log(mpmath.fsum(map(mpmath.exp, row))) for row in exact(logarithm_rows())]
    return {"logsumexp": np.array(sums), "logmeanexp": np.array(sums) - mpmath.log(30),
            "log_softmax": exact(logarithm_rows()) - np.array(sums)[:, None]}


@pytest.mark.parametrize("name", ["logsumexp", "logmeanexp", "log_softmax"])
def test_logarithms(activations, name, dtype):
    x = logarithm_rows().astype(dtype)
    y = activations[name](x)
    assert y.dtype == dtype and y.shape == (x.shape if name == "log_softmax" else x.shape[:1])
    error = ulp_error(y, *two_doubles(logarithm_truth()[name]))
    if name != "log_softmax":  # where maximum and logarithm cancel there is no more than the digits of these
        size = np.maximum(np.abs(x.max(axis=1)), 1 if dtype == "float64" else 1e-8)
        error = error / (np.spacing(np.maximum(size, np.abs(y)).astype(dtype)) / np.spacing(np.abs(y)))
    assert error.max() <= BOOK[name].max_ulp[dtype]


@pytest.mark.parametrize("value", [-0.5, -1.0, -8.0])
def test_long_rows_of_equal_elements(activations, value, dtype):
    """What each addition loses has the same sign, and adds up."""
    for n in (2048, 20_000, 100_000):
        x = np.full(n, value, dtype)
        x[n // 3] = 0
        total = 1 + (n - 1) * mpmath.exp(mpmath.mpf(value))
        logits = np.array([mpmath.mpf(0), mpmath.mpf(value)])
        truth = {"softmax": np.array([mpmath.exp(v) / total for v in logits]),
                 "log_softmax": logits - mpmath.log(total)}
        for name, expected in truth.items():
            y = activations[name](x)[[n // 3, 0]]
            assert ulp_error(y, *two_doubles(expected)).max() <= BOOK[name].max_ulp[dtype], (name, n)
        y = activations["logsumexp"](x[None])
        assert ulp_error(y, *two_doubles(np.array([mpmath.log(total)]))).max() <= BOOK["logsumexp"].max_ulp[dtype]


@cache
def wide_rows(dtype):
    """Return rows with probabilities of every size, also subnormal ones, and their softmax and log_softmax."""
    generator = np.random.default_rng(69)
    most = -math.log(np.finfo(dtype).smallest_subnormal) - 0.5
    rows = [generator.uniform(-most, 0, (6, 33)), generator.uniform(-most, 20 - most, (3, 33)),
            generator.normal(size=(6, 33)) - generator.uniform(0, most, (6, 1)), generator.normal(size=(3, 33)) * 1e-3,
            generator.normal(size=(3, 33)) + generator.choice([-1e8, 1e8], (3, 33))]
    x = np.concatenate(rows).astype(dtype)
    x[:15, 7] = 0.25
    values, logarithms = [], []
    for row in exact(x.astype(np.float64)):
        origin = max(row)
        e = [mpmath.exp(v - origin) for v in row]
        total = mpmath.fsum(e)
        values.append([v / total for v in e])
        others = mpmath.log1p(mpmath.fsum(sorted(e)[:-1]))
        logarithms.append([v - origin - others for v in row])
    return x, {"softmax": np.array(values), "log_softmax": np.array(logarithms)}


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_probabilities_of_every_size(activations, name, dtype):
    """Beside sure winners, and down to the smallest number there is."""
    x, truth = wide_rows(dtype)
    y = activations[name](x)
    high, low = two_doubles(truth[name])
    assert ulp_error(y, high, low).max() <= BOOK[name].max_ulp[dtype]
    assert (y[np.abs(high) >= np.finfo(dtype).smallest_subnormal] != 0).all()


def test_long_rows_beside_each_other(activations, dtype):
    """Of a length whose exponentials are not kept, and where a group of rows is not full."""
    x = numbers(59, 20_000, 70, scale=3).astype(dtype)
    grad = x[::-1]
    for name in ("softmax", "log_softmax", "logsumexp"):
        rows = slice(0, None, 23)
        expected = activations[name](np.ascontiguousarray(x.T[rows]))
        assert same(np.ascontiguousarray(np.moveaxis(activations[name](x, axis=0)[..., rows], 0, -1)), expected)
        if name != "logsumexp":
            whole = activations[name].backward(grad, x, axis=0)
            expected = activations[name].backward(np.ascontiguousarray(grad.T[rows]), np.ascontiguousarray(x.T[rows]))
            assert same(np.ascontiguousarray(whole[:, rows].T), expected)


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_gradients_from_output_beyond_single_precision(activations, name):
    """float32 rows whose sums single precision does not hold, among others: as float64 has them."""
    y = activations[name](numbers(58, 40, 20).astype(np.float32))
    grad = numbers(57, 40, 20).astype(np.float32)
    grad[3] *= np.float32(1e37)
    grad[5] *= np.float32(1e-37)
    y[7] = np.abs(y[7])
    operation = activations[name].backward_from_output
    expected = operation(grad.astype(np.float64), y.astype(np.float64))
    for got in (operation(grad, y), operation(grad.T.copy(), y.T.copy(), axis=0).T):
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-45)


def test_dominant_terms(activations):
    """A sure winner: the rest is not lost."""
    x = np.array([0.0, -40.0])
    assert activations["log_softmax"](x)[0] == pytest.approx(-math.exp(-40), rel=1e-15)
    assert activations["logsumexp"](x) == pytest.approx(math.exp(-40), rel=1e-15)
    assert activations["logsumexp"](np.array([1e-20, -50.0])) == pytest.approx(1e-20 + math.exp(-50), rel=1e-15)
    assert activations["logsumexp"]([1000.0, 1000.0]) == pytest.approx(1000 + math.log(2), rel=1e-15)
    assert activations["logsumexp"]([-1000.0, -1000.0]) == pytest.approx(-1000 + math.log(2), rel=1e-15)


def test_the_mean_of_equal_elements_is_exact(activations, dtype):
    for n in (*range(1, 40), 64, 65, 100, 255, 256, 257, 1000):
        for value in (0, 1, -2.5, 1e30):
            assert activations["logmeanexp"](np.full(n, value, dtype)) == np.dtype(dtype).type(value)


def test_a_mean_near_the_maximum_keeps_its_digits(activations):
    """log(mean) = log1p(mean - 1): the difference is not that of rounded sums."""
    x = np.array([0, 0, 0, -1e-12])
    truth = mpmath.log((3 + mpmath.exp(mpmath.mpf(-1e-12))) / 4)
    assert activations["logmeanexp"](x) == pytest.approx(float(truth), rel=1e-3)


@pytest.mark.parametrize("name", ["logsumexp", "logmeanexp"])
def test_reductions(activations, name, dtype):
    """Shapes as those of a NumPy reduction, axis an int, a tuple or None."""
    activation = activations[name]
    x = numbers(66, 3, 4, 5).astype(dtype)
    for axis in (0, 1, 2, -1, -3, (0,), (0, 2), (2, 0), (-1, 1), (0, 1, 2), None):
        for keepdims in (False, True):
            expected = np.exp(x.astype(np.float64))
            expected = np.log(expected.sum(axis, keepdims=keepdims) if name == "logsumexp"
                              else expected.mean(axis, keepdims=keepdims))
            y = activation(x, axis=axis, keepdims=keepdims)
            assert y.shape == expected.shape and y.dtype == dtype
            np.testing.assert_allclose(y, expected, rtol=2e-6 if dtype == "float32" else 1e-14)
            out = np.empty(expected.shape, dtype)
            assert activation(x, axis=axis, keepdims=keepdims, out=out) is out and same(out, np.asarray(y))
            grad = numbers(67, *expected.shape).astype(dtype)
            shares = np.exp(x.astype(np.float64))
            shares /= shares.sum(axis, keepdims=True)
            full = np.reshape(grad, np.sum(x, axis, keepdims=True).shape)
            gradient = activation.backward(grad, x, axis=axis)
            assert gradient.shape == x.shape and gradient.dtype == dtype
            np.testing.assert_allclose(gradient, full * shares, rtol=2e-6 if dtype == "float32" else 1e-14)
            out = np.empty_like(x)
            assert activation.backward(grad, x, axis=axis, out=out) is out and same(out, gradient)
    assert isinstance(activation([1.0, 2.0]), np.float64)
    np.testing.assert_allclose(activation.backward(2.0, x), 2 * activation.backward(np.ones((3, 4), dtype), x))


@pytest.mark.parametrize("name", ["logsumexp", "logmeanexp"])
def test_reductions_over_no_axis(activations, name):
    x = numbers(68, 3, 4)
    np.testing.assert_array_equal(activations[name](x, axis=()), x)
    assert activations[name](3.0) == activations[name](3.0, axis=None) == 3


def test_special_rows_of_logsumexp(activations, dtype):
    """As SciPy has them."""
    rows = [([-INF, -INF], -INF), ([INF, 1], INF), ([INF, INF], INF), ([INF, -INF], INF), ([NAN, 1], NAN),
            ([NAN, INF], NAN), ([NAN, -INF], NAN), ([-INF, 2], 2), ([], -INF), ([0.0], 0), ([-INF], -INF)]
    for row, expected in rows:
        np.testing.assert_array_equal(activations["logsumexp"](np.array(row, dtype)), np.dtype(dtype).type(expected))
    for row, expected in rows:
        n = len(row)
        mean = NAN if n == 0 else expected if n == 1 or not np.isfinite(expected) else expected - math.log(n)
        np.testing.assert_allclose(activations["logmeanexp"](np.array(row, dtype)), mean, rtol=1e-7)


def test_hardmax(activations, dtype):
    hardmax = activations["hardmax"]
    x = np.array([[1, 3, 3, 2], [0, 0, 0, 0], [-INF, -5, -INF, -5], [2, -1, 2, 2], [-0.0, 0, 0, 0]], dtype)
    expected = np.array([[0, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0], [1, 0, 0, 0]])
    assert hardmax(x).tolist() == expected.tolist()
    assert hardmax(x[:, ::-1]).argmax(axis=1).tolist() == x[:, ::-1].argmax(axis=1).tolist()
    assert (hardmax(x, axis=0).argmax(axis=0) == x.argmax(axis=0)).all() and (hardmax(x, axis=0).sum(axis=0) == 1).all()
    long = numbers(69, 5, 1000).astype(dtype)
    long[:, ::7] = long.max()
    assert (hardmax(long).argmax(axis=1) == 0).all() and (hardmax(long).sum(axis=1) == 1).all()
    whole = hardmax(x, axis=None)
    assert whole.sum() == 1 and whole.ravel().argmax() == x.argmax()
    assert hardmax.backward(x, x).tolist() == np.zeros(x.shape).tolist()
    assert np.isnan(hardmax(np.array([1, NAN, 2], dtype))).all()


# ---- Edges -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROBABILITIES + ["log_softmax"])
def test_special_rows(activations, name, dtype):
    """No finite maximum, or a NaN: all of the row is NaN, and no other row."""
    if name == "hardmax":
        pytest.skip("it has its own")
    activation = activations[name]
    x = np.array([[-INF] * 3, [1, INF, 2], [INF, INF, 0], [INF, -INF, 0], [1, NAN, 2], [NAN, -INF, -INF], [NAN, INF, 0],
                  [0, 1, 2], [-INF, 1, -INF]], dtype)
    y = activation(x)
    gradient = activation.backward(np.ones_like(x), x)
    assert np.isnan(y[:7]).all() and not np.isnan(y[7:]).any()
    assert np.isnan(gradient[:7]).all() and np.isfinite(gradient[7:]).all()
    assert np.exp(y[8]).tolist() == [0, 1, 0] if name == "log_softmax" else y[8].tolist() == [0, 1, 0]
    for n in (1, 2, 17, 65, 300):
        for bad in (-INF, INF, NAN):
            row = np.full(n, -INF if bad == -INF else 1, dtype)
            row[n // 2] = bad
            assert np.isnan(activation(row)).all() and np.isnan(activation.backward(np.ones_like(row), row)).all()


@pytest.mark.parametrize("name", KERNELS)
def test_empty(activations, name, dtype):
    activation = activations[name]
    reduces = BOOK[name].reduces
    for shape, axis in [((0,), -1), ((3, 0), 1), ((0, 3), 1), ((2, 0, 4), 1), ((2, 0, 4), (0, 1)), ((0,), None)]:
        x = np.empty(shape, dtype)
        y = activation(x, axis=axis)
        assert y.dtype == dtype and y.shape == (np.sum(x, axis).shape if reduces else shape)
        if reduces:
            np.testing.assert_array_equal(y, -INF if name == "logsumexp" else NAN)
        assert activation.backward(y, x, axis=axis).shape == shape


@pytest.mark.parametrize("name", KERNELS)
def test_numbers(activations, name):
    expected = {"log_softmax": 0, "logsumexp": 3, "logmeanexp": 3}.get(name, 1)
    for axis in (-1, 0, None, ()):
        y = activations[name](3, axis=axis)
        assert isinstance(y, np.float64) and y == expected
    assert activations[name](np.float32(3)).dtype == np.float32
    assert activations[name](np.array(3, np.float32), axis=None) == expected
    with pytest.raises(AxisError, match=message(f"{name}: axis 1 is out of bounds for x of shape ()")):
        activations[name](3.0, axis=1)


@pytest.mark.parametrize("name", KERNELS)
def test_integers(activations, name):
    x = np.array([[0, 3, 1], [2, 2, 2]])
    for integer in (np.int64, np.int16, bool, np.uint8):
        floating = np.result_type(integer, np.float32)
        assert same(activations[name](x.astype(integer)), activations[name](x.astype(integer).astype(floating)))


# ---- Masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [-1, 0, 1, (0, 2), (2, 1), None])
@pytest.mark.parametrize("name", MASKABLE)
def test_masked_rows_are_those_of_the_others(activations, name, axis, dtype):
    """Bit by bit what -inf in their place gives, and `masked` there, whatever lies under the mask."""
    activation, masked = activations[name], BOOK[name].masked
    x = numbers(70, 3, 4, 5, scale=2).astype(dtype)
    grad = numbers(71, 3, 4, 5).astype(dtype)
    mask = np.random.default_rng(72).random(x.shape) < 0.6
    mask[0, 0, 0] = mask[:, 1, 1] = mask[2, :, 3] = True
    mask[0, :, 0] = mask[0, 0, :] = mask[:, 0, 0] = True
    dirty = np.where(mask, x, np.random.default_rng(73).choice([NAN, INF, -INF, 1e30], x.shape).astype(dtype))
    holes = np.where(mask, x, -INF).astype(dtype)
    expected = activation(holes, axis=axis)
    reduces = BOOK[name].reduces
    if not reduces:
        expected = np.where(mask, expected, np.dtype(dtype).type(masked))
    y = activation(dirty, axis=axis, where=mask)
    assert same(np.asarray(y), np.asarray(expected))
    out = np.full(np.shape(expected), 7, dtype)
    assert activation(dirty, axis=axis, where=mask, out=out) is out and same(out, np.asarray(expected))
    strided = np.full((*np.shape(expected), 2), 7, dtype)[..., 0]
    activation(dirty, axis=axis, where=mask, out=strided)
    np.testing.assert_array_equal(strided, expected)
    upstream = np.sum(grad, axis) if reduces else np.where(mask, grad, np.dtype(dtype).type(NAN))
    clean = upstream if reduces else np.where(mask, grad, np.dtype(dtype).type(0))
    gradient = activation.backward(upstream, dirty, axis=axis, where=mask)
    assert same(gradient, np.where(mask, activation.backward(clean, holes, axis=axis), np.dtype(dtype).type(0)))
    if hasattr(activation, "backward_from_output"):
        from_output = activation.backward_from_output(upstream, y, axis=axis, where=mask)
        assert (from_output[~mask] == 0).all()
        np.testing.assert_allclose(from_output, gradient, rtol=1e-3 if dtype == "float32" else 1e-6, atol=1e-5)


@pytest.mark.parametrize("name", MASKABLE)
def test_fully_masked_rows(activations, name, dtype):
    activation, masked = activations[name], BOOK[name].masked
    x = np.array([[1, NAN, 3], [4, 5, 6], [INF, -INF, NAN]], dtype)
    mask = np.array([[False] * 3, [True] * 3, [False] * 3])
    y = activation(x, where=mask)
    assert (y[[0, 2]] == masked).all() and same(np.asarray(y[1]), np.asarray(activation(x[1])))
    reduces = BOOK[name].reduces
    grad = np.array([2, 3, 5] if reduces else [[2, NAN, 3], [1, 2, 4], [NAN] * 3], dtype)
    gradient = activation.backward(grad, x, where=mask)
    assert (gradient[[0, 2]] == 0).all() and np.isfinite(gradient[1]).all()
    if hasattr(activation, "backward_from_output"):
        gradient = activation.backward_from_output(grad, y, where=mask)
        assert (gradient[[0, 2]] == 0).all()
    for parameter in activation.parameters:
        by = activation.parameter_gradients(grad, x, **{parameter: np.full((3, 1), 1, dtype)}, where=mask)[parameter]
        assert (by[[0, 2]] == 0).all() and np.isfinite(by).all()
    for axis in (0, None, (0, 1)):
        nothing = activation(x, axis=axis, where=False)
        assert (nothing == masked).all() and nothing.shape == (np.sum(mask, axis).shape if reduces else x.shape)


@pytest.mark.parametrize("name", MASKABLE)
def test_a_mask_does_not_hide_what_it_lets_through(activations, name, dtype):
    """A NaN that counts makes the row NaN, and a row that is all -inf without being masked stays so."""
    activation, masked = activations[name], BOOK[name].masked
    x = np.array([[NAN, -INF, 1], [NAN, NAN, -INF], [-INF, -INF, 2], [1, INF, 0]], dtype)
    mask = np.array([[True, True, False], [True, False, False], [True, True, False], [True, True, False]])
    y = activation(x, where=mask)
    if BOOK[name].reduces:
        np.testing.assert_array_equal(y, [NAN, NAN, -INF, INF])
        return
    assert (y[~mask] == masked).all()
    assert np.isnan(y[:2][mask[:2]]).all()
    if name != "hardmax":  # -inf is the largest of its kind there
        assert np.isnan(y[2:][mask[2:]]).all()
    gradient = activation.backward(np.ones_like(x), x, where=mask)
    assert (gradient[~mask] == 0).all() and np.isnan(gradient[:2][mask[:2]]).all()


@pytest.mark.parametrize("name", MASKABLE)
def test_masks_broadcast(activations, name, dtype):
    activation = activations[name]
    x = numbers(74, 2, 3, 4).astype(dtype)
    for shape in ((4,), (3, 1), (2, 1, 4), (1,), ()):
        mask = np.arange(math.prod(shape)).reshape(shape) % 3 != 1
        for axis in (-1, 0, (0, 2)):
            full = np.broadcast_to(mask, x.shape)
            assert same(np.asarray(activation(x, axis=axis, where=mask)),
                        np.asarray(activation(x, axis=axis, where=np.ascontiguousarray(full))))
    mask = np.tri(4, dtype=bool)  # one row, and how much of it each query sees
    y = activation(x[0, 0], where=mask)
    for query in range(4):
        alone = np.asarray(activation(x[0, 0, : query + 1]))
        assert same(np.asarray(y[query] if BOOK[name].reduces else y[query, : query + 1]), alone)
    assert same(np.asarray(activation(x[0, 0], where=[True, False, True, True])),
                np.asarray(activation(x[0, 0], where=np.array([True, False, True, True]))))


def test_masks_keep_the_dtype(activations):
    """Integers have no -inf: they become floating-point numbers first."""
    for name in MASKABLE:
        for given in (np.float32, np.float64, np.int16, np.int64, bool):
            x = np.array([1, 0], given)
            y = activations[name](x, where=[True, False])
            assert y.dtype == activations[name](x).dtype
            assert same(y, activations[name](x.astype(y.dtype), where=[True, False]))
        assert activations[name](3, where=[True, False]).dtype == np.float64


def test_a_python_number_never_widens(activations):
    x = numbers(76, 3, 4).astype(np.float32)
    for name in KERNELS:
        for operation in activations[name].operations():
            if operation.inputs[0] == "grad":
                ones = np.ones((3,) if BOOK[name].reduces else x.shape, np.float32)
                for keywords in ({}, {"where": x > 0} if name in MASKABLE else {}):
                    assert same(operation(1.0, x, **keywords), operation(ones, x, **keywords))
                assert operation(1, x).dtype == np.float32
                assert operation(1e300, x).dtype == np.float32


def test_masked_keepdims(activations, dtype):
    x = numbers(75, 3, 4).astype(dtype)
    mask = np.array([True, False, True, True])
    for axis in (0, 1, (0, 1), None):
        kept = activations["logsumexp"](x, axis, where=mask, keepdims=True)
        assert kept.shape == np.sum(x, axis, keepdims=True).shape
        assert same(kept.ravel(), np.ravel(activations["logsumexp"](x, axis, where=mask)))
        out = np.empty_like(kept)
        assert activations["logsumexp"](x, axis, where=mask, keepdims=True, out=out) is out and same(out, kept)


# ---- The same bits wherever a row lies -------------------------------------------------------------------------------

VARIANTS = [(name, {}) for name in KERNELS] + [
    ("softmax", {"temperature": 0.7, "sink": 0.5}), ("softmax", {"temperature": "rows", "sink": "rows"}),
    ("entmax", {"alpha": 1.0}), ("entmax", {"alpha": "rows"})]
SOME_LENGTHS = (1, 2, 3, 8, 15, 16, 17, 33, 63, 64, 65, 70, 257)


def of_rows(values, rows, dtype):
    """Return the parameters, those that are to differ from row to row as a column."""
    return {name: np.linspace(1.1, 2.6, rows).astype(dtype)[:, None] if value == "rows" else value
            for name, value in values.items()}


def pick(values, rows):
    return {name: value[rows] if isinstance(value, np.ndarray) else value for name, value in values.items()}


@pytest.mark.parametrize("name, values", VARIANTS, ids=lambda v: "-".join(v) if isinstance(v, dict) else v)
def test_the_same_bits_in_every_place(activations, implementation, name, values, dtype):
    """A row alone takes the kernel of long rows, short ones among others that of rows side by side."""
    activation, reduces = activations[name], BOOK[name].reduces
    lengths = (*range(1, 71), 255, 256, 257, 1000) if implementation.compiled and not values else SOME_LENGTHS
    for n in lengths:
        every_count = implementation.compiled and n in ((3, 17) if name == "entmax" else (3, 17, 64, 65))
        rows = 40 if every_count else 6 if n > 100 else 16 if name == "entmax" else 21
        generator = np.random.default_rng(n)
        x = (generator.normal(size=(rows, n)) * 4).astype(dtype)
        x[::5] = np.round(x[::5])
        arrays = {"grad": generator.normal(size=(rows, 1 if reduces else n)).astype(dtype), "x": x}
        given = of_rows(values, rows, dtype)
        arrays["y"] = activation(x, **given)
        for operation in activation.operations():
            inputs = [arrays[key] for key in operation.inputs]
            whole = operation(*inputs, **given)
            for row in range(rows) if every_count else (0, 1, rows // 2, rows - 1):
                alone = operation(*(a[row] for a in inputs), **pick(given, row))
                assert alone.tobytes() == whole[row].tobytes(), (n, row, operation)
            columns = operation(*(np.ascontiguousarray(a.T) for a in inputs), axis=0,
                                **{key: value.T if np.ndim(value) else value for key, value in given.items()})
            assert same(np.ascontiguousarray(columns.T), whole), (n, operation)
            few = slice(0, 5)
            apart = operation(*(np.repeat(a, 2, axis=-1)[few, ::2] for a in inputs), **pick(given, few))
            assert same(apart, whole[few]), (n, operation)
            for count in range(1, 41) if every_count else (2 + n % (rows - 2),):
                some = slice(rows - count, rows)
                part = operation(*(a[some] for a in inputs), **pick(given, some))
                assert same(part, whole[some]), (n, count, operation)


# ---- Errors ----------------------------------------------------------------------------------------------------------

X = np.linspace(-2, 2, 12, dtype=np.float32).reshape(3, 4)


@pytest.mark.parametrize("temperature", [0, 0.0, -1.0, NAN, np.array([[1.0], [0.0], [2.0]]), -np.ones((3, 1))],
                         ids=lambda v: str(v).replace("\n", ""))
def test_bad_temperature(activations, temperature):
    softmax = activations["softmax"]
    out = np.full_like(X, 7)
    for operation in softmax.operations():
        text = f"{operation.label}: temperature must be positive, got {temperature!r}"
        keywords = {} if operation.label.endswith("gradient") else {"out": out}
        with pytest.raises(ValueError, match=message(text)):
            operation(*(X,) * len(operation.inputs), temperature=temperature, **keywords)
    assert (out == 7).all()
    with pytest.raises(ValueError, match="temperature must be positive"):
        softmax(X, -1, temperature)
    with pytest.raises(ValueError, match="temperature must be positive"):
        softmax.parameter_gradients(X, X, -1, temperature)


@pytest.mark.parametrize("alpha", [0.999, 0, -1, NAN, np.array([[1.5], [0.5], [2.0]])],
                         ids=lambda v: str(v).replace("\n", ""))
def test_bad_alpha(activations, alpha):
    for operation in activations["entmax"].operations():
        with pytest.raises(ValueError, match=message(f"{operation.label}: alpha must be at least 1, got {alpha!r}")):
            operation(*(X,) * len(operation.inputs), alpha)


@pytest.mark.parametrize("name", ["logsumexp", "logmeanexp"])
def test_bad_shapes_of_reductions(activations, name):
    activation = activations[name]
    for out, axis, keepdims, shape in [((4,), -1, False, (3,)), ((3, 1), -1, False, (3,)), ((3,), -1, True, (3, 1)),
                                       ((3, 4), -1, False, (3,)), ((3,), 0, False, (4,)), ((1,), None, False, ()),
                                       ((), None, True, (1, 1)), ((3,), (0, 1), False, ())]:
        array = np.full(out, 7, np.float32)
        with pytest.raises(ValueError, match=message(f"{name}: out has shape {out}, the result has shape {shape}")):
            activation(X, axis=axis, keepdims=keepdims, out=array)
        assert (array == 7).all()
    wrong = np.full((3,), 7, np.float32)
    with pytest.raises(ValueError, match=message(f"{name}.backward: out has shape (3,), x has shape (3, 4)")):
        activation.backward(np.ones(3, np.float32), X, out=wrong)
    with pytest.raises(ValueError, match=message(
            f"{name}.backward: grad has shape (4,), the rows of x have shape (3,)")):
        activation.backward(np.ones(4, np.float32), X)
    with pytest.raises(ValueError, match=message(
            f"{name}.backward: grad has shape (3, 4); along axis 1 it must have length 1, one value for each row of x "
            f"of shape (3, 4)")):
        activation.backward(X, X)
    with pytest.raises(ValueError, match=message(
            f"{name}.backward: grad has shape (1, 3, 1), which does not broadcast against x of shape (3, 4)")):
        activation.backward(np.ones((1, 3, 1), np.float32), X)


def test_bad_shapes_of_parameters(activations):
    softmax = activations["softmax"]
    with pytest.raises(ValueError, match=message(
            "softmax: sink has shape (1, 4); along axis 1 it must have length 1, one value for each row of x of shape "
            "(3, 4)")):
        softmax(X, sink=np.zeros((1, 4), np.float32))
    with pytest.raises(ValueError, match=r"^softmax: sink has shape .*\(.*4.*\); along axis 1 it must have length 1"):
        softmax(X, sink=np.zeros(4, np.float32))
    with pytest.raises(ValueError, match=message("softmax: sink has shape (2, 1), the rows of x have shape (3,)")):
        softmax(X, sink=np.zeros((2, 1), np.float32))
    with pytest.raises(ValueError, match=message(
            "softmax: sink has shape (1, 3, 1), which does not broadcast against x of shape (3, 4)")):
        softmax(X, sink=np.zeros((1, 3, 1), np.float32))


@pytest.mark.parametrize("name", MASKABLE)
def test_bad_masks(activations, name):
    for mask in (np.ones(5, bool), np.ones((4, 3), bool)):
        with pytest.raises(ValueError, match=message(
                f"{name}: x has shape (3, 4), where has shape {mask.shape}, which do not broadcast")):
            activations[name](X, where=mask)
    out = np.full(np.shape(activations[name](X)), 7, np.float32)
    with pytest.raises(ValueError, match=f"^{name}: out has shape"):  # the mask makes the result larger
        activations[name](X, where=np.ones((2, 3, 4), bool), out=out)
    assert (out == 7).all()


@pytest.mark.parametrize("name", KERNELS)
def test_bad_keywords(activations, name):
    activation, definition = activations[name], BOOK[name]
    known = ", ".join([*activation.argument_names, *activation.keywords])
    unknown = {"dim": 1, **({} if definition.masked is not None else {"where": True}),
               **({} if definition.reduces else {"keepdims": True})}
    for keyword, value in unknown.items():
        with pytest.raises(TypeError, match=message(f"{name}: unknown keyword {keyword!r}; it takes {known}")):
            activation(X, **{keyword: value})


def test_logmeanexp_takes_no_mask(activations):
    with pytest.raises(TypeError, match=message("logmeanexp: unknown keyword 'where'; it takes x, axis, out, keepdims, "
                                                "dtype, casting, order, subok")):
        activations["logmeanexp"](X, where=True)


@pytest.mark.parametrize("name", KERNELS)
def test_bad_axes(activations, name):
    for operation in activations[name].operations():
        inputs = (X,) * len(operation.inputs)
        for axis in (2, -3):
            with pytest.raises(AxisError, match=message(
                    f"{operation.label}: axis {axis} is out of bounds for x of shape (3, 4)")):
                operation(*inputs, axis=axis)
        with pytest.raises(ValueError, match=message(f"{operation.label}: axis (0, -2) names an axis twice")):
            operation(*inputs, axis=(0, -2))
        with pytest.raises(TypeError, match=message(
                f"{operation.label}: axis must be an integer, a tuple of them or None, got 1.5")):
            operation(*inputs, axis=1.5)


def test_nothing_is_raised_for_any_number(activations):
    """No floating-point warning, with masks and parameters too."""
    x = np.array([[INF, -INF, NAN, 1e308, -1e308, 5e-324], [1, 2, 3, 4, 5, 6]])
    mask = np.array([True, False, True, True, False, True])
    with np.errstate(all="raise"):
        for name in KERNELS:
            keywords = {"where": mask} if name in MASKABLE else {}
            for operation in activations[name].operations():
                grad = x[:, 0] if BOOK[name].reduces and operation.operation != "forward" else x
                inputs = [grad if key == "grad" else x for key in operation.inputs]
                for axis in (-1, None) if not BOOK[name].reduces else (-1,):
                    operation(*inputs, axis=axis)
                    operation(*inputs, axis=axis, **keywords)
        activations["softmax"](x, temperature=1e-300, sink=1e300)
