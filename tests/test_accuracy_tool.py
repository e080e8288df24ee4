"""benchmarks/accuracy.py: its judge against mpmath and against planted errors, its points, its state."""

import importlib
import json
import math
import platform
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest
from conftest import builtin

from pyactx._definition import BOOK

ROOT = Path(__file__).parent.parent
TOOL = ROOT / "benchmarks" / "accuracy.py"
PAGE = ROOT / "docs" / "accuracy.md"
OPERATIONS = ("forward", "derivative")

needs_compiler = pytest.mark.skipif(
    not TOOL.exists() or shutil.which("gcc") is None or platform.libc_ver()[0] != "glibc",
    reason="needs the sources, GCC and glibc")


@pytest.fixture(scope="module")
def accuracy():
    sys.path.append(str(TOOL.parent))
    yield importlib.import_module("accuracy")
    sys.path.remove(str(TOOL.parent))


@pytest.fixture(scope="module")
def judge(accuracy):
    return accuracy.Judge(builtin("elementwise"))


def case_of(accuracy, name, operation, dtype):
    return accuracy.Case(name, operation, np.dtype(dtype))


def correctly_rounded(judge, case, x):
    """Return the nearest numbers of the dtype by mpmath, which rounds to so many digits; not for subnormal ones."""
    truths = [truth for truth, *_ in judge.by_mpmath(case, x.astype(np.float64))]
    with mpmath.workprec(case.format[0]):
        return np.array([float(+truth) for truth in truths], case.dtype)


@needs_compiler
@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", builtin("elementwise"))
def test_judge_is_as_near_to_mpmath_as_it_states(accuracy, judge, name, operation, dtype):
    case = case_of(accuracy, name, operation, dtype)
    points = accuracy.sample(judge, case, 1 << 10)
    some = np.random.default_rng(41).choice(points[np.isfinite(points)], 40).astype(np.float64)
    assert judge.excess(case, some) <= 1


@needs_compiler
@pytest.mark.parametrize("name, operation", [("sigmoid", "forward"), ("gelu", "derivative"), ("mish", "forward")])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_planted_errors_are_found(accuracy, judge, name, operation, dtype):
    case = case_of(accuracy, name, operation, dtype)
    x = np.random.default_rng(42).normal(size=400).astype(dtype)
    right = correctly_rounded(judge, case, x)
    (verdict,) = judge.verdicts(case, x, right[np.newaxis])
    assert verdict["wrong"] == 0 and 0.4 < verdict["error"] <= 0.5
    candidates = np.stack([right] * 5)
    candidates[1, 7] = np.nextafter(right[7], right.dtype.type(2))
    candidates[2, 8], candidates[3, 9], candidates[4, 10] = 0, np.nan, np.inf
    one_off, zero, nan, infinite = judge.verdicts(case, x, candidates)[1:]
    for verdict, place in ((one_off, 7), (zero, 8), (nan, 9), (infinite, 10)):
        assert verdict["wrong"] == 1 and verdict["x"] == x[place]
    assert 0.5 < one_off["error"] <= 2
    assert zero["error"] >= 2 ** (case.format[0] - 1)
    assert nan["error"] == np.inf and infinite["error"] > zero["error"]


@needs_compiler
def test_ties_go_to_even(accuracy, judge, dtype):
    """The square of an odd number may have one bit too many; of its two neighbours the even one is right."""
    case = case_of(accuracy, "relu2", "forward", dtype)
    least = math.isqrt(2 ** case.format[0]) // 2 * 2 + 3
    x = range(least, least + 80, 2)
    pairs = [(n * n - 1, n * n + 1) if n * n % 4 == 1 else (n * n + 1, n * n - 1) for n in x]
    even, odd = judge.verdicts(case, np.array(x), np.array(pairs, np.float64).T)
    assert even["wrong"] == 0 and odd["wrong"] == len(x)
    assert even["error"] == odd["error"] == 0.5


@needs_compiler
def test_overflow(accuracy, judge, dtype):
    """Infinity counts as the next power of two: right from half a unit below it, and an error far below."""
    case, limits = case_of(accuracy, "exponential", "forward", dtype), np.finfo(dtype)
    edge = np.log(np.float64(limits.max)).astype(dtype)
    above = np.array([np.nextafter(edge, limits.max), 2 * edge, np.inf])
    (verdict,) = judge.verdicts(case, above, np.full((1, 3), np.inf))
    assert verdict["error"] == 0 and verdict["wrong"] == 0
    verdicts = judge.verdicts(case, above[1:2], np.array([[limits.max], [np.inf]], np.float64))
    assert verdicts["wrong"].tolist() == [1, 0] and verdicts["error"][0] > 1e6
    (verdict,) = verdicts = judge.verdicts(case, np.array([0.9 * edge]), np.full((1, 1), np.inf))
    error = verdict["error"]
    judge.confirm(case, verdicts)
    assert verdict["wrong"] == 1 and verdict["error"] == pytest.approx(error, rel=1e-9) and 1e6 < error < 1e300


@needs_compiler
def test_beside_a_root_errors_count_in_units_of_the_terms(accuracy, judge):
    """In float64 within 0.01, and nowhere in float32."""
    root = -1.2784645427610738  # of the derivative of silu, whose terms are about 0.22 there
    for distance, dtype, strict in ((1e-9, "float64", False), (0.009, "float64", False), (0.011, "float64", True),
                                    (1e-4, "float32", True)):
        case = case_of(accuracy, "silu", "derivative", dtype)
        x = np.array([root + distance], dtype)
        right = correctly_rounded(judge, case, x)
        off = right + 8 * np.finfo(dtype).eps * right.dtype.type(0.125)  # 8 units of the terms
        (verdict,) = judge.verdicts(case, x, off[np.newaxis])
        assert verdict["wrong"] == 1
        assert (verdict["error"] > 16) == strict, (distance, dtype)


@needs_compiler
def test_judges_agree(accuracy, judge, dtype):
    """The verdict of the C code, with and without mpmath, about candidates that are off by some units."""
    case = case_of(accuracy, "gelu", "derivative", dtype)
    random = np.random.default_rng(43)
    x = random.normal(size=300).astype(dtype) * 3
    off = judge.evaluate(case, x, 113)[0].astype(dtype)
    off += random.integers(-3, 4, x.size) * np.spacing(off)
    (by_c,) = judge.verdicts(case, x, off[np.newaxis])
    errors, wrong, compare = [], 0, importlib.import_module("judge").compare
    for (truth, unit, counted), result in zip(judge.by_mpmath(case, x.astype(np.float64)), off):
        distance, is_wrong = compare(float(result), truth, unit, case.format)
        errors.append(float(distance / counted))
        wrong += bool(is_wrong)
    assert by_c["wrong"] == wrong > 100
    assert abs(by_c["error"] - max(errors)) <= by_c["uncertainty"] < 0.04


@needs_compiler
@pytest.mark.parametrize("name, operation, places", [
    ("silu", "derivative", [-1.2784645427610738, 0]), ("hard_silu", "derivative", [-3, -1.5, 3]),
    ("soft_shrink", "forward", [-0.5, 0.5]),
    ("softplus", "forward", {"float32": [21 * math.log(2)], "float64": [48 * math.log(2)]}),  # from there on it is x
    ("exponential", "forward", {"float32": [88.72284, -103.97208], "float64": [709.782713, -745.1332191]}),
])
def test_landmarks(accuracy, judge, name, operation, places, dtype):
    marks = accuracy.landmarks(judge, case_of(accuracy, name, operation, dtype))
    for place in places[dtype] if isinstance(places, dict) else places:
        assert np.min(np.abs(marks - place)) <= 1e-3


@needs_compiler
def test_sample(accuracy, judge, dtype):
    """Every binade of float32 and of float64's useful sizes, and points one unit beside a root."""
    case = case_of(accuracy, "mish", "derivative", dtype)
    x = accuracy.sample(judge, case, 1 << 14)
    assert abs(x.size - (1 << 14)) < 1 << 7 and x.dtype == dtype
    _, exponents = np.frexp(np.abs(x[np.isfinite(x) & (x != 0)]))
    expected = range(-148, 129) if dtype == "float32" else range(-60, 9)
    assert set(expected) <= set(exponents.tolist())
    root = mpmath.findroot(lambda at: mpmath.diff(lambda x: x * mpmath.tanh(mpmath.log1p(mpmath.exp(x))), at), -1.19)
    distances = np.abs(accuracy.ordinals(x) - accuracy.ordinals(np.array([float(root)], dtype)))
    assert np.sum(distances < 100) > 10 and np.min(distances) <= 1


@needs_compiler
def test_places_of_numbers(accuracy, dtype):
    x = np.array([-np.inf, -1, -np.finfo(dtype).smallest_subnormal, 0, np.finfo(dtype).smallest_subnormal, 1], dtype)
    places = accuracy.ordinals(x)
    assert np.all(np.diff(places) > 0) and places[4] - places[2] == 2
    np.testing.assert_array_equal(accuracy.numbers(places, x.dtype), x)


@needs_compiler
def test_nearest_to_half(accuracy, judge):
    case = case_of(accuracy, "sigmoid", "forward", "float64")
    x = np.random.default_rng(44).normal(size=200)
    hard = judge.nearest_to_half(case, x, 64)
    usual, least = (np.median([abs(float(truth / unit % 1) - 0.5) for truth, unit, _ in judge.by_mpmath(case, at)])
                    for at in (x, hard))
    assert usual > 0.15 and least < 0.02


@needs_compiler
def test_the_same_bits_are_judged_once(accuracy, judge, monkeypatch):
    case = case_of(accuracy, "tanh", "forward", "float32")
    judged, verdicts = [], judge.verdicts
    monkeypatch.setattr(judge, "verdicts", lambda case, x, results: judged.append(len(results)) or verdicts(
        case, x, results))
    x = np.float32([0.5, np.nan, 3])
    negative_nan = np.array(0xFFC00000, np.uint32).view(np.float32)
    candidates = {"a": np.tanh, "b": lambda x: np.where(np.isnan(x), negative_nan, np.tanh(x)), "c": np.sin}
    points, found, digests = accuracy.judged(judge, case, candidates, x)
    assert points == 3 and judged == [2]
    assert digests["a"] == digests["b"] != digests["c"] and found["a"] == found["b"] != found["c"]


def run(accuracy, capsys, *words):
    code = accuracy.main(["--peers", "--float32-points", "6000", "--float64-points", "3000", "--threads", "1", *words])
    return code, capsys.readouterr().out


@needs_compiler
def test_a_bound_that_is_exceeded_fails(accuracy, capsys, monkeypatch, compiled):
    words = ["--quick", "--functions", "tanh", "relu", "--operations", "forward"]
    code, text = run(accuracy, capsys, *words)
    assert code == 0 and "stated" not in text
    monkeypatch.setattr(BOOK["tanh"], "max_ulp", {"float32": 0.1, "float64": 100.0})
    code, text = run(accuracy, capsys, *words)
    assert code == 1
    assert "tanh, forward, float32, " in text and "where at most 0.1 are stated" in text
    assert "relu, forward, " not in text


@needs_compiler
def test_figures_and_table(accuracy, capsys, tmp_path, compiled):
    file = tmp_path / "figures.json"
    words = ["--quick", "--functions", "softsign", "--instruction-sets", "python", "--json", str(file), "--markdown"]
    code, text = run(accuracy, capsys, *words)
    cases = json.loads(file.read_text())["cases"]
    assert [(case["operation"], case["dtype"]) for case in cases] == [
        (operation, dtype) for dtype in ("float32", "float64") for operation in OPERATIONS]
    for case in cases:
        error, x, result, wrong, uncertainty = case["verdicts"]["python"]
        cell = f"{error:.4f} at {np.dtype(case['dtype']).type(x)!s} ({wrong})"
        assert f"| `softsign` | {case['operation']} | {cell} |" in text
        assert case["points"] > 1000 and uncertainty < 0.04


@needs_compiler
def test_every_number_and_an_interruption(accuracy, judge, tmp_path):
    """What is interrupted goes on where it was, and gives what an undisturbed run gives."""
    case = case_of(accuracy, "softsign", "forward", "float16")
    calls, limit = [], [5]

    def kernel(x):
        calls.append(x.size)
        if len(calls) > limit[0]:
            raise KeyboardInterrupt
        return x / (1 + np.abs(x))

    def measure(folder):
        chosen = SimpleNamespace(instruction_sets=[], peers=[], results=folder)
        with ThreadPoolExecutor(1) as pool:
            return accuracy.measure_all(judge, case, chosen, pool, chunk=1 << 12)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accuracy, "candidates_of", lambda case, chosen: {"kernel": kernel})
        with pytest.raises(KeyboardInterrupt):
            measure(tmp_path / "interrupted")
        (state,) = (tmp_path / "interrupted").iterdir()
        assert json.loads(state.read_text())["chunks"] == 5
        calls.clear()
        limit[0] = 100
        tally = measure(tmp_path / "interrupted")
        assert len(calls) == 11 and tally.points == 1 << 16
        undisturbed = measure(tmp_path / "undisturbed")
        assert undisturbed.as_json() == tally.as_json()
        points, verdicts, _ = accuracy.judged(judge, case, {"kernel": kernel}, np.arange(1 << 16, dtype=np.uint16).view(
            np.float16))
        for field in ("error", "wrong", "uncertainty"):
            assert tally.verdicts["kernel"][field] == verdicts["kernel"][field] > 0
        state.write_text(state.read_text().replace('"origin": "', '"origin": "other '))
        calls.clear()
        measure(tmp_path / "interrupted")
        assert len(calls) == 16


@pytest.mark.skipif(not PAGE.exists(), reason="the pages are not beside the tests")
def test_page_has_every_activation():
    text = PAGE.read_text()
    for dtype in ("float32", "float64"):
        table = text.partition(f"\n{dtype}: ")[2].partition("\n\n")[2].partition("\n\n")[0]
        rows = [line.split(" | ")[:2] for line in table.splitlines()[2:]]
        assert rows == [[f"| `{name}`", operation] for name in builtin("elementwise") for operation in OPERATIONS]
