"""The benchmark tool: that it compares what is equal, and that its figures follow from what it has timed."""

import json
import subprocess
import sys
from pathlib import Path
from statistics import geometric_mean
from types import SimpleNamespace

import pytest

import pyactx

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


@pytest.fixture
def tool(monkeypatch):
    """The modules of the tool."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    import compare
    import libraries
    import report
    import statements
    yield SimpleNamespace(compare=compare, libraries=libraries, report=report, statements=statements)
    for module in (compare, libraries, report, statements):
        del sys.modules[module.__name__]


@pytest.fixture
def comparison(tool):
    """A function that returns the comparison of one statement of NumPy with one of pyactx."""
    def make(own, peer, result="out", n=3, **more):
        facts = {"function": "sigmoid", "operation": "value", "result": result, "shape": [n], "axis": None,
                 "dtype": "float32", "threads": 1}
        statements = {"pyactx": (tool.libraries.Pyactx(1), own, None), "NumPy": (tool.libraries.NumPy(1), peer, None)}
        return tool.compare.Comparison(statements, tool.compare.Arrays(16, "float32"), facts, **more)
    return make


def test_run(tmp_path):
    """NumPy's statements have our results, and a run of them is consistent."""
    path = tmp_path / "figures" / "bench.json"
    done = subprocess.run(
        [sys.executable, BENCHMARKS / "compare.py", "--quick", "--peers", "NumPy", "--sizes", "1", "16", "--threads",
         "1", "--rounds", "1", "--json", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    figures = json.loads(path.read_text())
    cells = figures["cells"]
    assert {(cell["dtype"], cell["threads"]) for cell in cells} == {("float32", 1)}
    assert {"sigmoid", "softmax"} < {cell["function"] for cell in cells}
    for cell in cells:
        assert cell["ratio"] == cell["seconds"]["NumPy"] / cell["seconds"]["pyactx"]
    ratios = [cell["ratio"] for cell in cells]
    assert figures["summary"] == {"geometric_mean": pytest.approx(geometric_mean(ratios)), "cells": len(ratios),
                                  "below_1": sum(ratio < 1 for ratio in ratios)}
    assert done.stdout.count("< ") >= figures["summary"]["below_1"]
    assert done.stdout.endswith(f"{figures['summary']['below_1']} of {len(ratios)} below 1\n")


def test_unknown_names_are_errors():
    done = subprocess.run([sys.executable, BENCHMARKS / "compare.py", "--functions", "sine"],
                          capture_output=True, text=True)
    assert done.returncode == 2 and "sine" in done.stderr


def test_table(tool):
    """The functions are ours, and each has a peer that offers an operation that we have."""
    for function, entries in tool.statements.STATEMENTS.items():
        own = tool.statements.own(function).statements
        assert function in pyactx.names(), function
        assert entries.keys() <= tool.libraries.PEERS.keys(), function
        for peer, entry in entries.items():
            assert entry.statements.keys() & own.keys(), (function, peer)


@pytest.mark.parametrize("result", ["fresh", "out", "in place"])
def test_check(comparison, result):
    into = {"fresh": "", "out": ", out={out}", "in place": ", out={x}"}[result]
    own = f"pyactx.sigmoid({{x}}{into})"
    with pytest.raises(SystemExit, match="is not what"):
        comparison(own, own.replace("pyactx.sigmoid", "np.tanh"), result).check()
    with pytest.raises(SystemExit, match="is not what"):
        comparison(own.replace("pyactx.sigmoid", "np.tanh"), own.replace("pyactx.sigmoid", "np.exp"), result).check()
    comparison(own.replace("pyactx.sigmoid", "pyactx.tanh"), own.replace("pyactx.sigmoid", "np.tanh"), result).check()


def test_results_in_place_start_from_x(comparison):
    """However often the statement is called: a second relu(x) - 1 of its own result would be another."""
    cell = comparison("np.subtract({x}, 1, out={x})", "np.subtract({x}, 1, out={x})", "in place")
    x = cell.named_arrays()["x"].copy()
    statement, setup, names, calls = cell.code("NumPy", cell.named_arrays())
    for _ in range(3):
        exec(f"{setup}\n{statement}", names)
    assert calls == len(names["copies"]) > 1
    assert all((copy == x - 1).all() for copy in names["copies"]) and (cell.named_arrays()["x"] == x).all()


def test_contenders(tool, comparison):
    """A peer that was far behind is not timed again, nor on larger arrays than it was far behind on."""
    small = comparison("", "", n=1_000_000)
    assert set(small.contenders()) == {"pyactx", "NumPy"}
    small.statements["SciPy"] = small.statements["NumPy"]
    small.seconds = {"pyactx": 9e-3, "NumPy": 1e-3, "SciPy": 2e-3}
    assert set(small.contenders()) == {"pyactx", "NumPy", "SciPy"}
    small.seconds["SciPy"] = 4e-3
    assert set(small.contenders()) == {"pyactx", "NumPy"}
    large = comparison("", "", n=100_000_000, smaller=small)
    large.statements["SciPy"] = large.statements["NumPy"]
    assert set(large.contenders()) == {"pyactx", "NumPy"}
    small.seconds["SciPy"] = 2.9e-3
    assert set(large.contenders()) == {"pyactx", "NumPy", "SciPy"}


def test_figures(tool, comparison):
    """16 M float32 read and written in 8 ms are half of the bandwidth of a copy in 4 ms."""
    n = 1 << 24
    one, two = comparison("", "", n=n), comparison("", "", n=n)
    two.facts = {**two.facts, "threads": 2}
    one.seconds, two.seconds = {"pyactx": 12e-3, "NumPy": 9e-3}, {"pyactx": 8e-3, "NumPy": 24e-3}
    rooflines = [SimpleNamespace(figures=lambda threads=threads: {"threads": threads, "copy": 8 * n / 4e-3})
                 for threads in (1, 2)]
    figures = tool.report.figures({}, [one, two], rooflines, {})
    assert [cell["ratio"] for cell in figures["cells"]] == [pytest.approx(3 / 4), pytest.approx(3)]
    assert [cell["of_copy_bandwidth"] for cell in figures["cells"]] == [pytest.approx(1 / 3), pytest.approx(1 / 2)]
    assert [cell["speedup"] for cell in figures["speedup"]] == [pytest.approx(3 / 2)]
    assert figures["summary"] == {"geometric_mean": pytest.approx(1.5), "cells": 2, "below_1": 1}


def test_time_per_element(tool, capsys):
    """Three times that of 65 536 elements is 1.5 times that of a copy, which an element of 8 bytes takes 2 ns for."""
    cells = [{"function": "relu", "operation": "value", "result": "out", "dtype": "float32", "threads": 1, "axis": None,
              "elements": n, "shape": [n], "seconds": {"pyactx": n * seconds}}
             for n, seconds in ((65_536, 1e-9), (1_000_000, 3e-9))]
    tool.report.show_flat(cells, [{"threads": 1, "copy": 4e9}])
    assert "1,000,000 elements: mean 1.50, worst 1.50 (relu," in (printed := capsys.readouterr().out)
    assert "more than 1.25 in 1 of 1" in printed and "32,000,000" not in printed
