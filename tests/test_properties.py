"""The properties of each activation are facts: they are found again in its values."""

import numpy as np
import pytest

from pyactx import Properties, testing

FAR = 1e6
X = np.concatenate([np.linspace(-20, 20, 40_001), np.geomspace(20, FAR, 200), -np.geomspace(20, FAR, 200)])
X.sort()


@pytest.fixture
def values(elementwise):
    return testing.values_of(elementwise, None)


def test_range_and_bounded(elementwise, values):
    low, high = elementwise.properties.range
    y = elementwise(X, **values)
    assert low <= y.min() and y.max() <= high
    assert elementwise.properties.bounded == (np.isfinite(low) and np.isfinite(high))
    for limit, reached in ((low, y.min()), (high, y.max())):
        assert abs(reached - limit) < 1e-4 if np.isfinite(limit) else abs(reached) > FAR / 1000


def test_zero_centered(elementwise, values):
    odd = np.array_equal(elementwise(-X, **values), -elementwise(X, **values))
    assert elementwise.properties.zero_centered == odd


def test_monotonic(elementwise, values):
    assert elementwise.properties.monotonic == bool((np.diff(elementwise(X, **values)) >= 0).all())


def test_smooth_has_no_kinks(elementwise):
    assert elementwise.properties.smooth == (not elementwise.properties.kinks)


def test_saturates(elementwise, values):
    left, right = np.abs(elementwise.derivative(np.array([-FAR, FAR]), **values)) < 1e-3
    expected = {(False, False): "none", (True, False): "left", (False, True): "right", (True, True): "both"}
    assert elementwise.properties.saturates == expected[bool(left), bool(right)]


def test_can_die(elementwise, values):
    """Exactly zero on a half-line, and not merely too small for a float64."""
    x = np.array([-40.0, -30.0, 30.0, 40.0])
    left_1, left_2, right_1, right_2 = elementwise.derivative(x, **values) == 0
    assert elementwise.properties.can_die == bool((left_1 and left_2) or (right_1 and right_2))


def test_rows(axiswise):
    low, high = axiswise.properties.range
    y = axiswise(np.random.default_rng(26).normal(size=(50, 7)) * 30)
    assert low <= y.min() and y.max() <= high
    assert axiswise.properties.bounded == (np.isfinite(low) and np.isfinite(high))


def test_texts(activation):
    properties = activation.properties
    assert isinstance(properties, Properties)
    assert properties.introduced and properties.good_for and properties.beware
    with pytest.raises(AttributeError):
        properties.range = (0, 1)
