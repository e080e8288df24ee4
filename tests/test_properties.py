"""The properties of each activation are facts: they are found again in its values."""

import numpy as np
import pytest
from conftest import builtin

from pyactx import Properties, testing
from pyactx._definition import BOOK

FAR = 1e6
X = np.concatenate([np.linspace(-20, 20, 40_001), np.geomspace(20, FAR, 200), -np.geomspace(20, FAR, 200)])
X.sort()


@pytest.fixture
def values(elementwise):
    return testing.values_of(elementwise, None)


@pytest.fixture
def x(elementwise, values):
    """Numbers of the domain: all, except for logit."""
    x = X[~np.isnan(elementwise(X, **values))]
    if x.size < X.size:  # up to a domain that is an interval
        inside = np.linspace(x[0], x[-1], 20_001)
        near = np.geomspace(1e-300, 0.1, 1000) * (x[-1] - x[0])
        x = np.sort(np.concatenate([inside[1:-1], x[0] + near, x[-1] - near[near > 1e-15]]))
    return x


def test_range_and_bounded(elementwise, values, x):
    low, high = elementwise.properties.range
    y = elementwise(x, **values)
    assert low <= y.min() and y.max() <= high
    assert elementwise.properties.bounded == (np.isfinite(low) and np.isfinite(high))
    whole_line = x.size == X.size
    for limit, reached in ((low, y.min()), (high, y.max())):
        if np.isfinite(limit):
            assert abs(reached - limit) < 1e-4
        else:
            assert abs(reached) > (FAR / 1000 if whole_line else 30)


def test_zero_centered(elementwise, values):
    with_numbers = ~np.isnan(elementwise(X, **values))
    odd = np.array_equal(elementwise(-X, **values)[with_numbers], -elementwise(X, **values)[with_numbers])
    assert elementwise.properties.zero_centered == odd


def test_monotonic(elementwise, values, x):
    y = elementwise(x, **values)
    y = y[np.isfinite(y)]
    noise = 4 * np.spacing(np.abs(y[1:]))  # a rounding of neighbours, which is not a fall
    assert elementwise.properties.monotonic == bool((np.diff(y) >= -noise).all())


def test_smooth_has_no_kinks(activation):
    assert activation.properties.smooth or activation.properties.kinks or testing.has_rows(activation)
    assert not (activation.properties.smooth and activation.properties.kinks)


def test_saturates(elementwise, values):
    far = np.array([-FAR, FAR])
    if np.isnan(elementwise(far, **values)).any():
        assert elementwise.properties.saturates == "none"  # at the ends of its domain it is infinite
        assert (elementwise.derivative(np.array([1e-9, 1 - 1e-9]), **values) > 1e6).all()
        return
    # At several places: a derivative that oscillates does not tend to 0.
    beyond = FAR + np.arange(10)
    left, right = (bool((np.abs(elementwise.derivative(side, **values)) < 1e-3).all()) for side in (-beyond, beyond))
    expected = {(False, False): "none", (True, False): "left", (False, True): "right", (True, True): "both"}
    assert elementwise.properties.saturates == expected[left, right]


def test_can_die(elementwise, values):
    """Exactly zero on a half-line, and not merely too small for a float64."""
    slopes = elementwise.derivative(np.array([[-9.5, -9.0, -8.0], [10.25, 10.5, 11.0]]), **values)
    assert elementwise.properties.can_die == bool((slopes == 0).all(axis=1).any())


@pytest.mark.parametrize("name", [name for name in builtin() if BOOK[name].kind != "elementwise"])
def test_range_on_samples(activations, name):
    activation = activations[name]
    low, high = activation.properties.range
    values = testing.values_of(activation, None)
    inputs = np.random.default_rng(26).normal(size=(len(activation.inputs), 200, 8)) * 30
    y = activation(*inputs, **values)
    assert low <= y.min() and y.max() <= high
    assert activation.properties.bounded == (np.isfinite(low) and np.isfinite(high))
    for limit, reached in ((low, -y.min()), (high, y.max())):
        assert np.isfinite(limit) or reached > 30 or activation._definition.reduces


@pytest.mark.parametrize("name", [name for name in builtin("axiswise") if BOOK[name].properties.monotonic])
def test_a_row_grows_in_its_elements(activations, name):
    """An element of x that grows raises its own element of the result, or the number that the row becomes."""
    activation = activations[name]
    x = np.random.default_rng(27).normal(size=(50, 6))
    slopes = activation.backward(np.ones_like(activation(x)), x) if activation(x).ndim == 1 else None
    if slopes is None and activation(x).shape == x.shape:
        slopes = np.diagonal(activation.jacobian(x), axis1=-2, axis2=-1)
    elif slopes is None:
        slopes = activation.backward(np.ones_like(activation(x)), x)
    assert (slopes >= 0).all()


def test_texts(activation):
    properties = activation.properties
    assert isinstance(properties, Properties)
    assert properties.introduced and properties.good_for and properties.beware
    with pytest.raises(AttributeError):
        properties.range = (0, 1)
