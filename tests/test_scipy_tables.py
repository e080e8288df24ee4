"""The tables of SciPy's own tests, at SciPy's tolerances; SciPy need not be installed.

The inputs and the tolerances are those of scipy/special/tests/test_logit.py, test_logsumexp.py and test_basic.py
(TestSoftplus), BSD-3-Clause, (c) SciPy developers.  The values are computed anew with mpmath to 20 digits, from the
inputs as the dtype holds them.  What SciPy does beyond us, weights and complex numbers, is left out.
"""

import math

import numpy as np
import pytest

INFINITY = float("inf")
NINTHS = np.linspace(0, 1, 10)
FROM_MINUS_4_TO_4 = np.linspace(-4, 4, 10)
LOG_2 = 0.69314718055994530942
ALMOST_DEFAULT = 4 * np.finfo(np.float64).eps ** 0.5  # where SciPy's test states no tolerance

LOGIT = {
    "float32": ([*NINTHS, 0.0001, 0.49999, 0.50001], [
        -INFINITY, -2.079441533297932784, -1.2527629589160501108, -0.69314713585646206094, -0.2231435379031646913,
        0.22314365860257099096, 0.69314726996691380477, 1.2527630451299129097, 2.0794416087350630492, INFINITY,
        -9.2102403922405009984, -4.0054321294417591372e-5, 4.0054321294417591372e-5]),
    "float64": ([*NINTHS, 1e-8, 0.4999999999999, 0.50000000001], [
        -INFINITY, -2.0794415416798359907, -1.2527629684953680671, -0.69314718055994539268, -0.22314355131420985569,
        0.22314355131420985569, 0.69314718055994514288, 1.2527629684953674247, 2.0794415416798354287, INFINITY,
        -18.420680733952365401, -3.9990233346998138586e-13, 4.0000003309614839964e-11]),
}

EXPIT = {
    "float32": [
        0.017986209962091558027, 0.042651249967579196526, 0.097772590503401324256, 0.20860852076591769194,
        0.39068245736816898213, 0.60931754263183101787, 0.79139147923408230806, 0.90222740949659867574,
        0.95734875003242080347, 0.98201379003790844197],
    "float64": [
        0.017986209962091558027, 0.042651252130942854327, 0.097772599850799311546, 0.20860852732604491553,
        0.39068245815643928597, 0.60931754184356071403, 0.79139147267395501116, 0.90222740014920061011,
        0.95734874786905712754, 0.98201379003790844197],
}

LOG_EXPIT = {
    "float64": ([-32, -20, -10, -3, -1, -0.1, -1e-9, 0, 1e-9, 0.1, 1, 10, 100, 500, 710, 725, 735], [
        -32.000000000000012664, -20.00000000206115362, -10.000045398899216865, -3.0485873515737420588,
        -1.313261687518222834, -0.74439666007357089774, -0.69314718105994530954, -0.69314718055994530942,
        -0.69314718005994530954, -0.64439666007357089219, -0.31326168751822283405, -4.5398899216864646769e-5,
        -3.720075976020835963e-44, -7.1245764067412855315e-218, -4.4762862256751299561e-309, -1.369306343664381684e-315,
        -6.216641182568787244e-320], 1e-15),
    "float32": ([-32, -20, -10, -3, -1, -0.1, -1e-9, 0, 1e-9, 0.1, 1, 10, 100], [
        -32.000000000000012664, -20.00000000206115362, -10.000045398899216865, -3.0485873515737420588,
        -1.313261687518222834, -0.74439666085585084471, -0.6931471810599452954, -0.69314718055994530942,
        -0.69314718005994532368, -0.64439665936573472533, -0.31326168751822283405, -4.5398899216864646769e-5,
        -3.720075976020835963e-44], 5e-7),
}

SOFTPLUS = [
    (-96.18223642142114, 1.6927213232723330537e-42), (-92.40090193172863, 7.4267391114520600797e-41),
    (-78.44987002106157, 8.5046088460332045466e-35), (1.6700655987484225, 1.8425343736349796897),
    (-32.288722646646484, 9.488245799395577863e-15), (-16.443106378828674, 7.2251957640214441069e-8),
    (31.253760266045077, 31.253760266045103997), (27.75824409032695, 27.758244090327831263),
    (29.995959179643542, 29.995959179643635814), (73.26040086468937, 73.260400864689373179),
    (76.24944728617226, 76.249447286172255644), (37.83955519155184, 37.839555191551838257)]

TO_4 = [0.032058603280084988451, 0.087144318742032567489, 0.2368828180899101323, 0.64391425988797231176]
LOG_TO_4 = [-3.4401896985611953305, -2.4401896985611953305, -1.4401896985611953305, -0.44018969856119533049]
WIDE = [[-25.0, 0.0, 25.0, 50.0], [1.0, 325.0, 749.0, 750.0]]
OF_WIDE = [
    [2.6786369617708771846e-33, 1.9287498479371314134e-22, 1.388794386477114561e-11, 0.99999999998611205614],
    [0.0, 1.9444526359919374025e-185, 0.26894142136999512075, 0.73105857863000487925]]

# Input, keywords, value.
SOFTMAX = [
    ([1000.0, 0.0, 0.0, 0.0], {}, [1.0, 0.0, 0.0, 0.0]),
    ([1.0, 1.0], {}, [0.5, 0.5]),
    ([0.0, 1.0], {}, [0.26894142136999512075, 0.73105857863000487925]),
    ([0.0, 1.0, 2.0, 3.0], {}, TO_4),
    ([100.0, 101.0, 102.0, 103.0], {}, TO_4),
    ([[0.0, 1.0], [2.0, 3.0]], {"axis": None}, [TO_4[:2], TO_4[2:]]),
    ([[1000.0, 0.0], [1000.0, 0.0]], {"axis": 0}, [[0.5, 0.5], [0.5, 0.5]]),
    ([[1000.0, 0.0], [1000.0, 0.0]], {"axis": 1}, [[1.0, 0.0], [1.0, 0.0]]),
    (WIDE, {"axis": 1}, OF_WIDE),
    (np.transpose(WIDE), {"axis": 0}, np.transpose(OF_WIDE)),
    (np.reshape(WIDE, (2, 2, 2)), {"axis": (1, 2)}, np.reshape(OF_WIDE, (2, 2, 2))),
    ([1000, 0, 0, 0], {}, [1.0, 0.0, 0.0, 0.0]),
    (1000, {"axis": None}, 1.0),
]

LOG_SOFTMAX = [
    ([1000.0, 1.0], {}, [0.0, -999.0]),
    ([1000, 1], {}, [0.0, -999.0]),
    (1.0, {"axis": None}, 0.0),
    ([0.0, 1.0, 2.0, 3.0], {}, LOG_TO_4),
    ([100.0, 101.0, 102.0, 103.0], {}, LOG_TO_4),
    ([[0.0, 1.0], [2.0, 3.0]], {"axis": None}, [LOG_TO_4[:2], LOG_TO_4[2:]]),
    ([[1000.0, 1.0], [1000.0, 1.0]], {"axis": 0}, [[-LOG_2, -LOG_2], [-LOG_2, -LOG_2]]),
    ([[1000.0, 1.0], [1000.0, 1.0]], {"axis": 1}, [[0.0, -999.0], [0.0, -999.0]]),
    (np.arange(8.0).reshape(2, 4), {"axis": 1}, [LOG_TO_4, LOG_TO_4]),
    (np.arange(8.0).reshape(2, 4).T, {"axis": 0}, np.transpose([LOG_TO_4, LOG_TO_4])),
    (np.arange(8.0).reshape(2, 2, 2), {"axis": (1, 2)}, np.reshape([LOG_TO_4, LOG_TO_4], (2, 2, 2))),
]

FAR_APART = [[1e10, 1e-10], [-1e10, -INFINITY]]
LOGSUMEXP = [
    (np.arange(200.0), {}, 199.45867514538708189),
    ([1000.0, 1000.0], {}, 1000.6931471805599453),
    ([1000, 1000], {}, 1000.6931471805599453),
    (np.full(1000, 10000), {}, 10006.907755278982137),
    (np.full((2, 1_000_000), -92.10340371976183), {"axis": 1}, [-78.287893161797554834] * 2),
    (np.full((2, 1_000_000), -92.10340371976183).T, {"axis": 0}, [-78.287893161797554834] * 2),
    (FAR_APART, {"axis": -1}, [1e10, -1e10]),
    (FAR_APART, {"axis": -1, "keepdims": True}, [[1e10], [-1e10]]),
    (FAR_APART, {"axis": (-1, -2)}, 1e10),
    ([0.0, -40.0], {}, 4.2483542552915889863e-18),
    (1, {"axis": None}, 1.0),
    ([1, 2, 3], {}, 3.4076059644443803045),
]
LIMITS = [([], -INFINITY), ([INFINITY], INFINITY), ([-INFINITY], -INFINITY), ([-INFINITY, -INFINITY], -INFINITY),
          ([math.nan], math.nan), ([INFINITY, INFINITY], INFINITY), ([-INFINITY, INFINITY], INFINITY),
          ([INFINITY, -INFINITY], INFINITY)]


def test_logit(activations, dtype):
    x, expected = LOGIT[dtype]
    result = activations["logit"](np.array(x, dtype))
    assert result.dtype == dtype
    np.testing.assert_allclose(result, expected, rtol=16 * np.finfo(dtype).eps)


def test_logit_outside_its_domain(activations, dtype):
    assert np.isnan(activations["logit"](np.array([-3, -2, 2, 3], dtype))).all()


def test_expit(activations, dtype):
    result = activations["sigmoid"](FROM_MINUS_4_TO_4.astype(dtype))
    assert result.dtype == dtype
    np.testing.assert_allclose(result, EXPIT[dtype], rtol=0, atol=1.5e-7)


def test_expit_of_large_numbers(activations, dtype):
    for n in (88, 89, 709, 710):
        high, low = activations["sigmoid"](np.array([n, -n], dtype))
        assert high.dtype == low.dtype == dtype
        np.testing.assert_allclose([high, low], [1, 0], rtol=0, atol=1e-20)


def test_log_expit(activations, dtype):
    x, expected, rtol = LOG_EXPIT[dtype]
    np.testing.assert_allclose(activations["log_sigmoid"](np.array(x, dtype)), np.array(expected, dtype), rtol=rtol)


def test_log_expit_of_large_numbers(activations):
    x = np.array([-10000.0, -750.0, -500.0, -35.0])
    np.testing.assert_array_equal(activations["log_sigmoid"](x), x)
    np.testing.assert_array_equal(activations["log_sigmoid"](np.array([750.0, 1000.0, 10000.0])), 0)


def test_softplus(activations):
    x, expected = np.transpose(SOFTPLUS)
    np.testing.assert_allclose(activations["softplus"](x), expected, rtol=2e-15)


@pytest.mark.parametrize("name, x, keywords, expected, rtol", [
    *[("softmax", *case, 1e-13) for case in SOFTMAX],
    *[("log_softmax", *case, 1e-13) for case in LOG_SOFTMAX],
    *[("logsumexp", *case, ALMOST_DEFAULT) for case in LOGSUMEXP],
], ids=lambda value: value if isinstance(value, str) else "")
def test_rows(activations, name, x, keywords, expected, rtol):
    result = activations[name](x, **keywords)
    assert np.shape(result) == np.shape(expected)
    np.testing.assert_allclose(result, expected, rtol=rtol)


def test_logsumexp_at_the_limits(activations, dtype):
    for x, expected in LIMITS:
        result = activations["logsumexp"](np.array(x, dtype))
        assert result.dtype == dtype
        np.testing.assert_array_equal(result, expected)


def test_logsumexp_has_the_dtype_of_x(activations, dtype):
    result = activations["logsumexp"](np.array([1000.0, 1000.0], dtype))
    assert result.dtype == dtype
    np.testing.assert_allclose(result, 1000.6931471805599453, rtol=4 * np.finfo(dtype).eps ** 0.5)


def test_shapes_of_logsumexp(activations):
    x = np.ones((1, 2, 3, 4))
    assert activations["logsumexp"](x, axis=2).shape == (1, 2, 4)
    assert activations["logsumexp"](x, axis=(1, 3)).shape == (1, 3)
