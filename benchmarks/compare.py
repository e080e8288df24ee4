"""Speed of pyactx beside NumPy, SciPy and PyTorch.

The figures are ratios, time of the peer / time of pyactx: above 1 pyactx is faster, "<" marks where it is not.  What is
compared is timed in turns in one process, on the same arrays and with the same number of threads, and the fastest turn
of each counts.  So the ratios hold on a busy machine; the times themselves need not.
"""

import argparse
import importlib
import json
import math
import os
import platform
import subprocess
import sys
import time
import timeit
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import geometric_mean, median

import numpy as np
from statements import BY_ROWS, OPERATIONS, PARAMETERS, PEERS, STATEMENTS, numpy_log_softmax, numpy_softmax

import pyactx

SIZES = (1, 1_000, 16_384, 1_000_000, 32_000_000)
QUICK_SIZES = SIZES[:-1]
DTYPES = ("float16", "float32", "float64")
ROW = 1_000  # elements per row where the function works along rows
LARGEST_CHECKED = 16_384  # up to here the results of all libraries are compared before they are timed
TURN = 0.01  # seconds of one timing, unless a single call takes longer
PAUSE = 0.01  # seconds before each: idle threads of the former library stay busy that long, waiting for more work

IMPORT = """
import os, time
start = time.perf_counter()
import {}
print(time.perf_counter() - start, len(os.listdir(tasks)) if os.path.isdir(tasks := "/proc/self/task") else "nan")
"""


def progress(items, label):
    """Yield the items and show on stderr how far it is."""
    items = list(items)
    try:
        from tqdm import tqdm
    except ImportError:
        for number, item in enumerate(items):
            print(f"\r{label} {number}/{len(items)} ", end="", file=sys.stderr, flush=True)
            yield item
        print("\r" + " " * 60 + "\r", end="", file=sys.stderr, flush=True)
    else:
        yield from tqdm(items, label, leave=False)


def installed_peers():
    """Return the modules of the peers that can be imported, and say which cannot."""
    modules = {}
    for peer, module in PEERS.items():
        try:
            modules[peer] = importlib.import_module(module)
        except ImportError as error:
            print(f"{peer} is left out: {error}")
    return modules


def calls_per_turn(timer, turn):
    calls, seconds = 1, timer.timeit(1)
    while seconds < turn / 10:
        calls *= 5
        seconds = timer.timeit(calls)
    return max(1, round(calls * turn / seconds))


def measure(statements, names, rounds, turn=TURN):
    """Time statements in turns.

    Parameters
    ----------
    statements : dict of str to str
    names : dict
        The variables of the statements.
    rounds : int
        The number of turns of each.
    turn : float
        Seconds of one turn.

    Returns
    -------
    dict of str to float
        Seconds of one call, in the fastest turn.
    """
    timers = {key: timeit.Timer(statement, globals=names) for key, statement in statements.items()}
    calls = {key: calls_per_turn(timer, turn) for key, timer in timers.items()}
    seconds = dict.fromkeys(timers, math.inf)
    for number in range(rounds):
        for key in reversed(timers) if number % 2 else timers:  # not always the same one before
            time.sleep(PAUSE)
            timers[key].timeit(calls[key] // 10)
            seconds[key] = min(seconds[key], timers[key].timeit(calls[key]) / calls[key])
    return seconds


class Comparison:
    """The libraries, their arrays, and how to time them.

    Parameters
    ----------
    peers : dict of str to module
    dtype : str
    sizes : sequence of int
    rounds : int
    turn : float
        As for `measure`.
    """

    def __init__(self, peers, dtype, sizes, rounds, turn):
        self.peers, self.sizes, self.rounds, self.turn = peers, sizes, rounds, turn
        random = np.random.default_rng(0)
        self.x, self.grad = (random.standard_normal(max(sizes), np.float32).astype(dtype) for _ in range(2))
        self.y, self.out = np.zeros_like(self.x), np.zeros_like(self.x)
        self.weight = np.array([0.25], dtype)

    def names(self, function, n):
        """Return the variables of the statements, for n elements."""
        whole_rows = function in BY_ROWS and n > ROW
        shape, used = ((n // ROW, ROW), n // ROW * ROW) if whole_rows else ((n,), n)
        arrays = {name: getattr(self, name)[:used].reshape(shape) for name in ("x", "y", "grad", "out")}
        arrays["weight"] = self.weight
        names = {**globals(), **arrays, "special": self.peers.get("SciPy")}
        if torch := self.peers.get("PyTorch"):
            names.update(torch=torch, aten=torch.ops.aten)
            names.update({f"t{name}": torch.from_numpy(array) for name, array in arrays.items()})
        np.copyto(names["y"], eval(OPERATIONS["value"].format(function=function, more=PARAMETERS.get(function, "")), names))
        return names

    def statements(self, function, operation, into_out):
        """Return the statements to compare, by library; pyactx comes first."""
        more = PARAMETERS.get(function, "") + (", out=out" if into_out else "")
        statements = {"pyactx": OPERATIONS[operation].format(function=function, more=more)}
        for peer, pair in STATEMENTS[function][operation].items():
            if peer in self.peers and pair[into_out]:
                statements[peer] = pair[into_out]
        return statements

    def cells(self, function, operations):
        """Return what is to be timed of a function."""
        return [(operation, n, into_out) for operation in operations if operation in STATEMENTS[function]
                for n in self.sizes for into_out in (False, True)]

    def time(self, function, operation, n, into_out):
        """Return the nanoseconds per element of every library, with what they belong to."""
        statements, names = self.statements(function, operation, into_out), self.names(function, n)
        if n <= LARGEST_CHECKED:
            check(statements, names, into_out)
        seconds = measure(statements, names, self.rounds, self.turn)
        return {
            "function": function, "operation": operation, "n": n, "result": "out" if into_out else "fresh",
            "ns": {library: 1e9 * value / names["x"].size for library, value in seconds.items()},
        }

    def memory(self):
        """Return the nanoseconds per element of copying and of scaling in place, by NumPy on all threads."""
        threads = pyactx.get_num_threads()
        parts = list(zip(np.array_split(self.x, threads), np.array_split(self.out, threads), strict=True))
        with ThreadPoolExecutor(threads) as pool:
            names = {
                "copy": lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts)),
                "scale": lambda: list(pool.map(lambda part: np.multiply(part[1], 1.0, out=part[1]), parts)),
            }
            seconds = measure({"copy": "copy()", "in-place scale": "scale()"}, names, 2 * self.rounds, self.turn)
        return {name: 1e9 * value / self.x.size for name, value in seconds.items()}

    def one_element(self):
        """Return time of pyactx.sigmoid / time of np.exp, for one element."""
        names = {**globals(), "x": self.x[:1], "out": self.out[:1]}
        ratios = {}
        for result, arguments in {"fresh": "(x)", "out": "(x, out=out)"}.items():
            statements = {name: name + arguments for name in ("pyactx.sigmoid", "np.exp")}
            seconds = measure(statements, names, 4 * self.rounds, self.turn)
            ratios[result] = seconds["pyactx.sigmoid"] / seconds["np.exp"]
        return ratios


def check(statements, names, into_out):
    """Exit unless all statements have the same result, up to the rounding of half the digits."""
    results = {}
    for library, statement in statements.items():
        if into_out:
            exec(statement, names)
            results[library] = names["out"].copy()
        else:
            results[library] = np.asarray(eval(statement, names))
    expected = results["pyactx"]
    tolerance = math.sqrt(np.finfo(expected.dtype).eps)
    for library, result in results.items():
        if not np.allclose(result, expected, tolerance, tolerance):
            raise SystemExit(f"{statements[library]!r} is not what {statements['pyactx']!r} is")


def import_cost(pairs):
    """Return the milliseconds, and the threads, that importing pyactx adds to importing NumPy; medians."""
    milliseconds, threads = [], []
    for _ in progress(range(pairs), "import"):
        (time_without, threads_without), (time_with, threads_with) = (
            map(float, subprocess.run([sys.executable, "-P", "-c", 'tasks = "/proc/self/task"' + IMPORT.format(modules)],
                                      check=True, capture_output=True, text=True).stdout.split())
            for modules in ("numpy", "numpy, pyactx"))
        milliseconds.append(1e3 * (time_with - time_without))
        threads.append(threads_with - threads_without)
    return {"milliseconds": median(milliseconds), "threads": None if math.isnan(threads[0]) else median(threads)}


def cpu_model():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def setup(peers, dtype):
    """Return what the figures depend on."""
    config = pyactx.show_config(mode="dicts")
    versions = {peer: sys.modules[PEERS[peer].partition(".")[0]].__version__ for peer in peers}
    return {
        "versions": {"pyactx": config["version"], **versions, "Python": config["python"]},
        "processor": cpu_model(),
        "cores": os.cpu_count(),
        "implementation": config["implementation"]["name"],
        "instruction_set": config["instruction_set"]["used"],
        "threads": config["threads"]["number"],
        "dtype": dtype,
    }


def show_setup(facts):
    print(", ".join(f"{name} {version}" for name, version in facts["versions"].items()))
    print(f"{facts['processor']}, {facts['cores']} cores; pyactx: {facts['implementation']}, "
          f"{facts['instruction_set']}; threads: {facts['threads']}; dtype: {facts['dtype']}", flush=True)


def show_memory(memory, n, itemsize):
    figures = (f"{name} {ns:.3f} ns ({2 * itemsize / ns:.1f} GB/s)" for name, ns in memory.items())
    print(f"memory, per element of {n:,}: {', '.join(figures)}", flush=True)


def ratio_text(ratio):
    return "-  " if ratio is None else f"{ratio:.2f}{'<' if ratio < 1 else ' '} "


def show_cells(function, cells, peers):
    """Print the table of one function."""
    print(f"\n{function + ': peer / pyactx':38}{'ns/element':>20}")
    print(f"{'operation':22}{'n':>11}  {'result':6}{'pyactx':>17}  " + "".join(f"{peer + '  ':>11}" for peer in peers))
    for cell in cells:
        ns = cell["ns"]
        ratios = (ns[peer] / ns["pyactx"] if peer in ns else None for peer in peers)
        print(f"{cell['operation']:22}{cell['n']:>11,}  {cell['result']:6}{ns['pyactx']:17.3f}  "
              + "".join(f"{ratio_text(ratio):>11}" for ratio in ratios), flush=True)


def show_summary(cells, peers):
    """Print geometric means for each function and operation, and how often the best peer was faster."""
    print(f"\n{'summary: geometric mean of peer / pyactx':42}"
          + "".join(f"{peer + '  ':>11}" for peer in ("best peer", *peers)) + f"{'below 1':>12}")
    for function, operation in dict.fromkeys((cell["function"], cell["operation"]) for cell in cells):
        chosen = [cell["ns"] for cell in cells if (cell["function"], cell["operation"]) == (function, operation)]
        best = [min(ns[peer] for peer in peers if peer in ns) / ns["pyactx"] for ns in chosen]
        columns = [best, *([ns[peer] / ns["pyactx"] for ns in chosen if peer in ns] for peer in peers)]
        means = (ratio_text(geometric_mean(column) if column else None) for column in columns)
        print(f"{function:20}{operation:22}" + "".join(f"{mean:>11}" for mean in means)
              + f"{sum(ratio < 1 for ratio in best):>6} of {len(best)}")


def show_costs(one_element, cost):
    print("\none element, pyactx.sigmoid / np.exp: "
          f"fresh {one_element['fresh']:.2f}, out= {one_element['out']:.2f} (below 1: pyactx takes less time)")
    threads = "unknown" if cost["threads"] is None else f"{cost['threads']:.0f}"
    print(f"import pyactx adds to import numpy: {cost['milliseconds']:.1f} ms, threads started: {threads}")


def arguments():
    def positive(text):
        number = int(text)
        if number < 1:
            raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
        return number

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", nargs="+", choices=STATEMENTS, default=list(STATEMENTS), metavar="NAME")
    parser.add_argument("--operations", nargs="+", choices=OPERATIONS, default=list(OPERATIONS), metavar="NAME")
    parser.add_argument("--sizes", nargs="+", type=positive, metavar="N", help="numbers of elements")
    parser.add_argument("--dtype", choices=DTYPES, default="float32")
    parser.add_argument("--threads", type=positive, default=pyactx.get_num_threads(), metavar="N")
    parser.add_argument("--rounds", type=positive, metavar="N", help="turns of each library in a comparison")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter turns, no large arrays")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    chosen = parser.parse_args()
    chosen.sizes = chosen.sizes or (QUICK_SIZES if chosen.quick else SIZES)
    chosen.rounds = chosen.rounds or (2 if chosen.quick else 5)
    return chosen


def main():
    chosen = arguments()
    peers = installed_peers()
    pyactx.set_num_threads(chosen.threads)
    if "PyTorch" in peers:
        peers["PyTorch"].set_num_threads(chosen.threads)
    comparison = Comparison(peers, chosen.dtype, chosen.sizes, chosen.rounds, TURN / 5 if chosen.quick else TURN)
    facts = setup(peers, chosen.dtype)
    show_setup(facts)
    memory = comparison.memory()
    show_memory(memory, max(chosen.sizes), np.dtype(chosen.dtype).itemsize)
    cells = []
    for number, function in enumerate(chosen.functions, 1):
        todo = comparison.cells(function, chosen.operations)
        done = [comparison.time(function, *cell)
                for cell in progress(todo, f"{function} ({number} of {len(chosen.functions)})")]
        show_cells(function, done, peers)
        cells += done
    show_summary(cells, peers)
    one_element, cost = comparison.one_element(), import_cost(5 if chosen.quick else 15)
    show_costs(one_element, cost)
    if chosen.json:
        figures = {"setup": facts, "memory_ns": memory, "cells": cells, "one_element": one_element, "import": cost}
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
