"""Random activations: the noise comes from rng, is repeatable, and is distributed as it should be."""

import re

import numpy as np
import pytest
from conftest import every_implementation
from numpy.exceptions import AxisError

from pyactx._reference import BOOK

pytestmark = every_implementation

NAMES = [name for name, definition in BOOK.items() if definition.kind == "random"]
MISSING = "rng is missing; pass the seed of the forward call, so that the noise is the same"
SEEDS = (0, 12345, 2**40, [1, 2, 3])


def same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


def normal(seed, *shape, dtype="float64"):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def message(text):
    return "^" + re.escape(text) + "$"


def run(activation, operation, x, **keywords):
    """Call an operation, where need be with a gradient, and return a tuple of results."""
    method = activation.named(operation)
    results = method(*(np.cos(x),) * (len(method.inputs) - 1), x, **keywords)
    return results if isinstance(results, tuple) else (results,)


def repeatable(activation):
    """Return the names of the operations that draw noise."""
    return [o.operation for o in activation.operations() if o.operation != "backward_from_output"]


# ---- Where the noise comes from --------------------------------------------------------------------------------------


def test_the_random_activations(activations):
    assert {name for name in NAMES if activations[name].kind == "random"} == {"gumbel_softmax", "rrelu"}


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_gives_the_same_noise(activations, name, dtype):
    activation = activations[name]
    x = normal(1, 6, 50, dtype=dtype)
    for operation in repeatable(activation):
        for seed in SEEDS:
            first = run(activation, operation, x, rng=seed)
            for other in (seed, np.random.default_rng(seed), np.random.SeedSequence(seed), np.random.PCG64(seed)):
                assert all(map(same, first, run(activation, operation, x, rng=other)))
        ways = [run(activation, operation, x, rng=seed)[-1].tobytes() for seed in SEEDS]
        assert len(set(ways)) == len(SEEDS)


@pytest.mark.parametrize("name", NAMES)
def test_a_generator_moves_on(activations, name):
    activation = activations[name]
    x = normal(2, 100)
    generator = np.random.default_rng(3)
    first, second = activation(x, rng=generator), activation(x, rng=generator)
    assert (first != second).any()
    again = np.random.default_rng(3)
    assert same(first, activation(x, rng=again)) and same(second, activation(x, rng=again))


@pytest.mark.parametrize("name", NAMES)
def test_the_global_state_is_left_alone(activations, name):
    activation = activations[name]
    x = normal(3, 40)
    np.random.seed(7)
    before = np.random.get_state()
    for operation in repeatable(activation):
        run(activation, operation, x, rng=1)
    activation(x)
    if name == "rrelu":
        activation(x, training=True)
    after = np.random.get_state()
    assert before[0] == after[0] and (before[1] == after[1]).all() and before[2:] == after[2:]
    expected = activation(x, rng=1)
    np.random.seed(8)  # and it does not matter
    assert same(activation(x, rng=1), expected)


@pytest.mark.parametrize("name", NAMES)
def test_the_noise_does_not_depend_on_the_layout(activations, name, dtype):
    activation = activations[name]
    x = normal(4, 4, 6, 10, dtype=dtype)
    twice = np.repeat(x, 2, axis=1)[:, ::2]
    swapped = x.astype(x.dtype.newbyteorder())
    for operation in repeatable(activation):
        expected = run(activation, operation, x, rng=5)
        for other in (np.asfortranarray(x), x[::-1].copy()[::-1], twice, swapped,
                      x.transpose(2, 0, 1).copy().transpose(1, 2, 0)):
            for a, b in zip(expected, run(activation, operation, other, rng=5), strict=True):
                np.testing.assert_array_equal(a, b)
                assert b.dtype == dtype


@pytest.mark.parametrize("name", NAMES)
def test_dtypes(activations, name):
    for given, expected in (("float32", "float32"), ("float64", "float64"), ("int16", "float32"), ("int64", "float64")):
        x = (normal(5, 3, 8) * 3).astype(given)
        for operation in repeatable(activations[name]):
            for result in run(activations[name], operation, x, rng=1):
                assert result.dtype == expected and result.shape == x.shape
        assert activations[name](x.tolist(), rng=1).dtype == np.float64
    out = np.empty((3, 8))
    x = normal(6, 3, 8)
    assert activations[name](x, rng=1, out=out) is out and same(out, activations[name](x, rng=1))
    expected = activations[name](x, rng=1)
    assert activations[name](x, rng=1, out=x) is x and same(x, expected)


@pytest.mark.parametrize("name", NAMES)
def test_numbers_and_nothing(activations, name):
    for x in (2.0, np.float32(-1), np.array(-3.0)):
        y = activations[name](x, rng=1)
        assert np.shape(y) == () and y.dtype == np.asarray(x).dtype
    assert activations[name](np.empty((0, 3)), rng=1).shape == (0, 3)
    assert activations[name](np.empty((3, 0)), rng=1).shape == (3, 0)


@pytest.mark.parametrize("name", NAMES)
def test_nan_stays(activations, name, dtype):
    x = np.array([[np.nan, 1], [2, 3]], dtype)
    for operation in repeatable(activations[name]):
        for result in run(activations[name], operation, x, rng=1):
            assert np.isnan(result[0, 0]) and not np.isnan(result[1]).any()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("wrong", ["seed", 1.5, -1, object(), np.random])
def test_bad_rng(activations, name, wrong):
    out = np.full(4, 7.0)
    for operation in repeatable(activations[name]):
        label = activations[name].named(operation).label
        keywords = {} if operation == "value_and_derivative" else {"out": out}
        with pytest.raises(TypeError, match=message(
                f"{label}: rng must be a numpy.random.Generator or a seed, got {wrong!r}")):
            run(activations[name], operation, np.ones(4), rng=wrong, **keywords)
    assert (out == 7).all()


# ---- rrelu -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lower, upper", [(1 / 8, 1 / 3), (0.0, 1.0), (-0.5, 0.25), (0.3, 0.3)])
def test_slopes_are_uniform(activations, lower, upper, dtype):
    n = 40000
    x = np.full(n, -1, dtype)
    slopes = -activations["rrelu"](x, lower, upper, rng=6).astype(np.float64)
    low, high = (float(np.dtype(dtype).type(bound)) for bound in (lower, upper))
    assert (slopes >= low).all() and (slopes <= high).all()
    if lower == upper:
        assert (slopes == low).all()
        return
    counts, _ = np.histogram(slopes, 20, (low, high))
    chi_square = np.sum((counts - n / 20) ** 2 / (n / 20))
    assert 4 < chi_square < 50, chi_square  # 19 degrees of freedom
    neighbours = np.corrcoef(slopes[:-1], slopes[1:])[0, 1]
    assert abs(neighbours) < 0.03


def test_all_operations_meet_the_same_slopes(activations, dtype):
    rrelu = activations["rrelu"]
    x = normal(7, 30, 7, dtype=dtype)
    grad = normal(8, 30, 7, dtype=dtype)
    y = rrelu(x, rng=9)
    positive = x > 0
    assert same(y[positive], x[positive]) and (y[~positive] != x[~positive]).all()
    derivative = rrelu.derivative(x, rng=9)
    assert (derivative[positive] == 1).all()
    np.testing.assert_allclose(derivative[~positive], y[~positive] / x[~positive], rtol=1e-6)
    both = rrelu.value_and_derivative(x, rng=9)
    assert same(both[0], y) and same(both[1], derivative)
    np.testing.assert_allclose(rrelu.backward(grad, x, rng=9), grad * derivative, rtol=1e-6)
    assert (rrelu.derivative(x, rng=10) != derivative)[~positive].any()
    kink = rrelu.derivative(np.zeros(9, dtype), -0.5, 1.5, rng=1)  # the slope, limited to [0, 1]
    free = rrelu.derivative(np.full(9, -1, dtype), -0.5, 1.5, rng=1)
    np.testing.assert_array_equal(kink, np.clip(free, 0, 1))


def test_evaluation(activations, dtype):
    """Without rng, and with training=False, the slope is the mean and nothing is drawn."""
    rrelu, leaky_relu = activations["rrelu"], activations["leaky_relu"]
    x, grad = normal(10, 50, dtype=dtype), normal(11, 50, dtype=dtype)
    for bounds in ((), (0.25, 0.75)):
        slope = (1 / 8 + 1 / 3) / 2 if not bounds else 0.5
        generator = np.random.default_rng(1)
        for keywords in ({}, {"training": False}, {"training": False, "rng": generator}, {"training": False, "rng": 1}):
            assert same(rrelu(x, *bounds, **keywords), leaky_relu(x, slope))
            assert same(rrelu.derivative(x, *bounds, **keywords), leaky_relu.derivative(x, slope))
            assert same(rrelu.backward(grad, x, *bounds, **keywords), leaky_relu.backward(grad, x, slope))
            assert all(map(same, rrelu.value_and_derivative(x, *bounds, **keywords),
                           leaky_relu.value_and_derivative(x, slope)))
        assert generator.bit_generator.state == np.random.default_rng(1).bit_generator.state


def test_training_without_rng_draws_anew(activations):
    rrelu = activations["rrelu"]
    x = np.full(100, -1.0)
    first, second = rrelu(x, training=True), rrelu(x, training=True)
    assert (first != second).any() and len(np.unique(first)) > 50
    assert ((-first >= 1 / 8) & (-first <= 1 / 3)).all()
    for operation in ("derivative", "backward"):
        with pytest.raises(TypeError, match=message(f"rrelu.{operation}: {MISSING}")):
            run(rrelu, operation, x, training=True)


def test_bounds_for_each_channel(activations, dtype):
    lower, upper = np.array([[0.1], [0.5]], dtype), np.array([[0.2], [0.9]], dtype)
    x = np.full((2, 500), -1, dtype)
    slopes = -activations["rrelu"](x, lower, upper, rng=1)
    assert slopes.dtype == dtype
    assert (slopes >= lower).all() and (slopes <= upper).all() and (slopes.std(axis=1) > 0.02).all()
    means = np.broadcast_to([[0.15], [0.7]], x.shape)
    np.testing.assert_allclose(-activations["rrelu"](x, lower, upper), means, rtol=1e-6)
    np.testing.assert_allclose(-activations["rrelu"](x, [[0.1], [0.5]], [[0.2], [0.9]]), means, rtol=1e-6)


@pytest.mark.parametrize("keywords, text", [
    ({"lower": 0.5, "upper": 0.25}, "lower must not be above upper, got lower=0.5 and upper=0.25"),
    ({"lower": 0.5}, f"lower must not be above upper, got lower=0.5 and upper={1 / 3!r}"),
    ({"lower": float("-inf")}, "lower must be finite, got -inf"),
    ({"upper": float("nan")}, "upper must be finite, got nan"),
])
def test_bad_bounds(activations, keywords, text):
    for operation in repeatable(activations["rrelu"]):
        for more in ({}, {"rng": 1}):
            label = activations["rrelu"].named(operation).label
            with pytest.raises(ValueError, match=message(f"{label}: {text}")):
                run(activations["rrelu"], operation, np.ones(3), **keywords, **more)


# ---- gumbel_softmax --------------------------------------------------------------------------------------------------


def softmax(x, axis=-1):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


@pytest.mark.parametrize("tau", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("axis", [-1, 0, (0, 2), None])
def test_rows_sum_to_one(activations, axis, tau, dtype):
    x = normal(12, 4, 5, 6, dtype=dtype)
    y = activations["gumbel_softmax"](x, tau, axis=axis, rng=1)
    assert y.dtype == dtype and (y >= 0).all()
    np.testing.assert_allclose(y.sum(axis=axis), 1, rtol=1e-5)
    hard = activations["gumbel_softmax"](x, tau, True, axis, rng=1)
    assert set(np.unique(hard)) == {0, 1} and (hard.sum(axis=axis) == 1).all()
    if axis is None or isinstance(axis, int):
        assert (hard.argmax(axis=axis) == y.argmax(axis=axis)).all()


def test_samples_are_distributed_as_softmax(activations, dtype):
    """The Gumbel-max trick: the winner is a sample of the categorical distribution, whatever tau."""
    logits = np.array([0.0, 1.0, -1.5, 2.0, 0.5], dtype)
    n = 30000
    x = np.broadcast_to(logits, (n, 5))
    expected = softmax(logits.astype(np.float64)) * n
    for keywords in ({"hard": True}, {"tau": 0.5}, {"tau": 3.0}):
        y = activations["gumbel_softmax"](x, rng=13, **keywords)
        counts = np.bincount(y.argmax(axis=-1), minlength=5)
        chi_square = np.sum((counts - expected) ** 2 / expected)
        assert chi_square < 25, (chi_square, counts)  # 4 degrees of freedom
    # As tau grows, they approach 1/5; as it falls, one-hot vectors.
    assert activations["gumbel_softmax"](x, 100.0, rng=13).std() < 0.01
    assert activations["gumbel_softmax"](x, 0.001, rng=13).max(axis=-1).mean() > 0.99


def test_it_is_softmax_of_noisy_logits(activations, dtype):
    x = normal(14, 7, 9, dtype=dtype)
    noise = np.random.default_rng(15).gumbel(size=x.shape).astype(dtype)
    for tau in (1.0, 0.5):
        assert same(activations["gumbel_softmax"](x, tau, rng=15), activations["softmax"](x + noise, temperature=tau))
    assert same(activations["gumbel_softmax"](x, hard=True, rng=15), activations["hardmax"](x + noise))


def test_straight_through(activations, dtype):
    """The backward pass of hard samples is that of the soft ones, and both meet the noise of the forward call."""
    gumbel_softmax = activations["gumbel_softmax"]
    x, grad = normal(16, 7, 9, dtype=dtype), normal(17, 7, 9, dtype=dtype)
    for tau in (1.0, 0.4):
        y = gumbel_softmax(x, tau, rng=18).astype(np.float64)
        expected = y * (grad - (grad * y).sum(axis=-1, keepdims=True)) / tau
        soft = gumbel_softmax.backward(grad, x, tau, rng=18)
        np.testing.assert_allclose(soft, expected, rtol=1e-5, atol=1e-6 if dtype == "float32" else 1e-14)
        assert same(soft, gumbel_softmax.backward(grad, x, tau, hard=True, rng=18))
        out = np.empty_like(soft)
        assert gumbel_softmax.backward(grad, x, tau, rng=18, out=out) is out and same(out, soft)
        assert (gumbel_softmax.backward(grad, x, tau, rng=19) != soft).any()
        from_output = gumbel_softmax.backward_from_output(grad, y.astype(dtype), tau)
        np.testing.assert_allclose(from_output, expected, rtol=1e-4, atol=1e-6)
    step = 1e-6
    if dtype == "float64":
        ahead, back = (gumbel_softmax(x + sign * step * grad, 0.7, rng=18) for sign in (1, -1))
        change = (ahead - back) / (2 * step)  # along grad; the Jacobian is symmetric
        np.testing.assert_allclose(gumbel_softmax.backward(grad, x, 0.7, rng=18), change, atol=1e-8)


def test_a_tau_for_each_row(activations, dtype):
    x = normal(20, 3, 8, dtype=dtype)
    tau = np.array([[0.5], [1], [2]], dtype)
    y = activations["gumbel_softmax"](x, tau, rng=1)
    for row in range(3):
        assert same(y[row], activations["gumbel_softmax"](x, float(tau[row, 0]), rng=1)[row])


def test_impossible_categories(activations, dtype):
    x = np.array([[0, -np.inf, 1], [-np.inf, -np.inf, 2]], dtype)
    for seed in range(20):
        y = activations["gumbel_softmax"](x, rng=seed)
        assert y[0, 1] == 0 and y[1].tolist() == [0, 0, 1]
        assert activations["gumbel_softmax"](x, hard=True, rng=seed)[1].tolist() == [0, 0, 1]


@pytest.mark.parametrize("tau", [0, 0.0, -1.0, float("nan"), np.array([[1.0], [0.0]])],
                         ids=lambda v: str(v).replace("\n", ""))
def test_bad_tau(activations, tau):
    gumbel_softmax = activations["gumbel_softmax"]
    x, out = np.ones((2, 3)), np.full((2, 3), 7.0)
    for operation in ("forward", "backward", "backward_from_output"):
        label = gumbel_softmax.named(operation).label
        with pytest.raises(ValueError, match=message(f"{label}: tau must be positive, got {tau!r}")):
            run(gumbel_softmax, operation, x, tau=tau, rng=1, out=out)
    with pytest.raises(ValueError, match=message(f"gumbel_softmax.backward: tau must be positive, got {tau!r}")):
        gumbel_softmax.backward(x, x, tau, hard=True, rng=1)
    assert (out == 7).all()


def test_hard_samples_need_no_tau(activations, dtype):
    x = normal(21, 6, 5, dtype=dtype)
    assert same(activations["gumbel_softmax"](x, 0, True, rng=1), activations["gumbel_softmax"](x, 1.0, True, rng=1))


def test_gumbel_softmax_errors(activations):
    gumbel_softmax = activations["gumbel_softmax"]
    x = np.ones((2, 3))
    with pytest.raises(TypeError, match=message(f"gumbel_softmax.backward: {MISSING}")):
        gumbel_softmax.backward(x, x)
    with pytest.raises(ValueError, match=message(
            "gumbel_softmax.backward_from_output: a hard sample does not tell the soft one; "
            "use gumbel_softmax.backward")):
        gumbel_softmax.backward_from_output(x, x, hard=True)
    with pytest.raises(AxisError, match=message("gumbel_softmax: axis 2 is out of bounds for x of shape (2, 3)")):
        gumbel_softmax(x, axis=2, rng=1)
    with pytest.raises(ValueError, match=message("gumbel_softmax: out has shape (3,), x has shape (2, 3)")):
        gumbel_softmax(x, rng=1, out=np.empty(3))
    with pytest.raises(TypeError, match=r"^gumbel_softmax: unknown keyword 'where'"):
        gumbel_softmax(x, rng=1, where=True)
    with pytest.raises(TypeError, match=r"^gumbel_softmax: x must be float32 or float64, got complex128"):
        gumbel_softmax(x * 1j, rng=1)


def test_kinds(activations):
    assert activations["rrelu"].kind == activations["gumbel_softmax"].kind == "random"
    assert activations["rrelu"].ufunc is None
    assert dict(activations["rrelu"].parameters)["lower"] == 1 / 8
