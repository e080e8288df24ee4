"""Speed of pyactx beside NumPy, SciPy and PyTorch.

The figures are ratios, time of the peer / time of pyactx: above 1 pyactx is faster, "<" marks where it is not.  What is
compared is timed in turns in one process, on the same arrays and with the same number of threads.  The turns are spread
over the whole run, and of many short timings the fastest counts: so the ratios hold on a busy machine, as long as now
and then its cores are free.
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
from functools import partial
from pathlib import Path
from statistics import geometric_mean, median

import numpy as np
from statements import BY_ROWS, OPERATIONS, PEERS, STATEMENTS, own_statement, variables

import pyactx

SIZES = (1, 1_000, 16_384, 1_000_000, 32_000_000)
QUICK_SIZES = SIZES[:-1]
DTYPES = ("float32", "float64")
ROW = 1_000  # elements per row where the function works along rows
LARGEST_CHECKED = 16_384  # up to here the results of all libraries are compared before they are timed
TIMING = 1e-4  # seconds of one timing, unless a call takes longer; short, so that others on the machine disturb few
TURN = 0.01  # seconds of timings in one turn
PAUSE = 0.01  # seconds before a turn: idle threads of the library before stay busy that long, waiting for more work

IMPORT = """
import os, time
start = time.perf_counter()
import {}
seconds = time.perf_counter() - start
tasks = "/proc/self/task"
print(seconds, len(os.listdir(tasks)) if os.path.exists(tasks) else "nan")
"""


class Comparison:
    """Statements that are timed beside each other.

    Parameters
    ----------
    statements : dict of str to str
        By library.
    variables : callable
        Returns what the statements see.
    facts : dict
        What is compared.

    Attributes
    ----------
    seconds : dict of str to float
        Of one call, in the fastest timing so far.
    """

    def __init__(self, statements, variables, **facts):
        self.statements, self.variables, self.facts = statements, variables, facts
        self.seconds = dict.fromkeys(statements, math.inf)

    def turn(self):
        """Time each statement for a while."""
        names = self.variables()
        self.statements = dict(reversed(self.statements.items()))  # not always the same one first
        for library, statement in self.statements.items():
            timer, seconds = timeit.Timer(statement, globals=names), self.seconds[library]
            time.sleep(PAUSE)
            calls = round(TIMING / (estimate(timer) if seconds == math.inf else seconds)) or 1
            end = time.perf_counter() + TURN
            while time.perf_counter() < end:
                seconds = min(seconds, timer.timeit(calls) / calls)
            self.seconds[library] = seconds

    def ratios(self):
        """Return time of the peer / time of pyactx, by peer."""
        return {peer: seconds / self.seconds["pyactx"] for peer, seconds in self.seconds.items() if peer != "pyactx"}


def estimate(timer):
    """Return about how many seconds a call takes."""
    calls = 1
    while (seconds := timer.timeit(calls)) < TIMING / 4:
        calls *= 4
    return seconds / calls


class Arrays:
    """The arrays that the statements work on: standard normal numbers, the same for all.

    Parameters
    ----------
    size : int
        The largest number of elements.
    dtype : str
    peers : dict of str to module
    """

    def __init__(self, size, dtype, peers):
        random = np.random.default_rng(0)
        self.x, self.grad = (random.standard_normal(size, dtype) for _ in range(2))
        self.y, self.out = np.zeros_like(self.x), np.zeros_like(self.x)
        self.weight = np.array([0.25], dtype)
        self.peers = peers

    def shape(self, function, n):
        return (n // ROW, ROW) if function in BY_ROWS and n > ROW else (n,)

    def variables(self, function, n):
        """Return what the statements of a function see, for n elements."""
        shape = self.shape(function, n)
        arrays = {name: getattr(self, name)[:math.prod(shape)].reshape(shape) for name in ("x", "y", "grad", "out")}
        names = variables({**arrays, "weight": self.weight}, self.peers)
        exec(own_statement(function, "value", into_out=True), {**names, "out": names["y"]})
        return names


def comparisons(arrays, functions, operations, sizes):
    """Return a comparison for each function, operation, size, and fresh or existing result."""
    chosen = []
    for function in functions:
        for operation in (operation for operation in operations if operation in STATEMENTS[function]):
            for n in sizes:
                for into_out in (False, True):
                    statements = {"pyactx": own_statement(function, operation, into_out)}
                    for peer, pair in STATEMENTS[function][operation].items():
                        if peer in arrays.peers and pair[into_out]:
                            statements[peer] = pair[into_out]
                    names = partial(arrays.variables, function, n)
                    if n <= LARGEST_CHECKED:
                        check(statements, names(), into_out)
                    chosen.append(Comparison(
                        statements, names, function=function, operation=operation, n=n,
                        elements=math.prod(arrays.shape(function, n)), result="out" if into_out else "fresh"))
    return chosen


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


def one_element(arrays):
    """Return the comparisons of pyactx.sigmoid and np.exp for one element."""
    names = partial(arrays.variables, "sigmoid", 1)
    return [Comparison({"pyactx": f"pyactx.sigmoid{arguments}", "np.exp": f"np.exp{arguments}"}, names, result=result)
            for result, arguments in {"fresh": "(x)", "out": "(x, out=out)"}.items()]


def memory(arrays, pool, threads):
    """Return the timing of copying and of scaling in place, by NumPy on all threads: the speed of the memory."""
    parts = list(zip(np.array_split(arrays.x, threads), np.array_split(arrays.out, threads), strict=True))
    functions = {
        "copy": lambda: list(pool.map(lambda part: np.copyto(part[1], part[0]), parts)),
        "scale in place": lambda: list(pool.map(lambda part: np.multiply(part[1], 1.0, out=part[1]), parts)),
    }
    return Comparison({name: f"functions[{name!r}]()" for name in functions}, lambda: {"functions": functions})


def import_cost(pairs):
    """Return the milliseconds and the threads that importing pyactx adds to importing NumPy: medians."""
    milliseconds, threads = [], []
    for _ in progress(range(pairs), "import"):
        (time_without, threads_without), (time_with, threads_with) = (
            map(float, subprocess.check_output([sys.executable, "-P", "-c", IMPORT.format(modules)]).split())
            for modules in ("numpy", "numpy, pyactx"))
        milliseconds.append(1e3 * (time_with - time_without))
        threads.append(threads_with - threads_without)
    return {"milliseconds": median(milliseconds), "threads": None if math.isnan(threads[0]) else median(threads)}


def installed_peers():
    """Return the modules of the peers that can be imported, and say which cannot."""
    modules = {}
    for peer, module in PEERS.items():
        try:
            modules[peer] = importlib.import_module(module)
        except ImportError as error:
            print(f"{peer} is left out: {error}")
    return modules


def progress(items, label):
    """Yield the items and show on stderr how far it is."""
    try:
        from tqdm import tqdm
    except ImportError:
        for number, item in enumerate(items):
            print(f"\r{label} {number}/{len(items)} ", end="", file=sys.stderr, flush=True)
            yield item
        print(f"\r{label} {len(items)}/{len(items)} ", file=sys.stderr, flush=True)
    else:
        yield from tqdm(items, label, leave=False, mininterval=0.5)


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def setup(peers, dtype):
    """Return what the figures depend on."""
    config = pyactx.show_config(mode="dicts")
    versions = {peer: sys.modules[PEERS[peer].partition(".")[0]].__version__ for peer in peers}
    return {
        "versions": {"pyactx": config["version"], **versions, "Python": config["python"]},
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "implementation": config["implementation"]["name"],
        "instruction_set": config["instruction_set"]["used"],
        "threads": config["threads"]["number"],
        "dtype": dtype,
    }


def show_setup(facts):
    print(", ".join(f"{name} {version}" for name, version in facts["versions"].items()))
    load = "" if facts["load"] is None else f" with a load of {facts['load']} before the start"
    print(f"{facts['processor']}, {facts['cores']} cores{load}; pyactx: {facts['implementation']}, "
          f"{facts['instruction_set']}; threads: {facts['threads']}; dtype: {facts['dtype']}", flush=True)


def show_memory(seconds, x):
    figures = (f"{name} {1e9 * seconds[name] / x.size:.3f} ns ({2e-9 * x.nbytes / seconds[name]:.1f} GB/s)"
               for name in ("copy", "scale in place"))
    print(f"memory, per element of {x.size:,}: {', '.join(figures)}")


def ratio_text(ratio):
    return "-  " if ratio is None else f"{ratio:.2f}{'<' if ratio < 1 else ' '} "


def by(keys, cells):
    """Return the cells in groups that have the same facts."""
    groups = {}
    for cell in cells:
        groups.setdefault(tuple(cell.facts[key] for key in keys), []).append(cell)
    return groups


def show_cells(function, cells, peers):
    """Print the table of one function."""
    print(f"\n{function + ': peer / pyactx':38}{'ns/element':>20}")
    print(f"{'operation':22}{'n':>11}  {'result':6}{'pyactx':>17}  " + "".join(f"{peer + '  ':>11}" for peer in peers))
    for cell in cells:
        facts, ratios = cell.facts, cell.ratios()
        print(f"{facts['operation']:22}{facts['n']:>11,}  {facts['result']:6}"
              f"{1e9 * cell.seconds['pyactx'] / facts['elements']:17.3f}  "
              + "".join(f"{ratio_text(ratios.get(peer)):>11}" for peer in peers))


def show_summary(cells, peers):
    """Print geometric means for each function and operation, and how often the best peer was faster."""
    print(f"\n{'summary: geometric mean of peer / pyactx':42}"
          + "".join(f"{peer + '  ':>11}" for peer in ("best peer", *peers)) + f"{'below 1':>12}")
    for (function, operation), group in by(("function", "operation"), cells).items():
        ratios = [cell.ratios() for cell in group]
        best = [min(cell.values()) for cell in ratios]
        columns = [best, *([cell[peer] for cell in ratios if peer in cell] for peer in peers)]
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
    parser.add_argument("--rounds", type=positive, metavar="N", help="turns of each statement")
    parser.add_argument("--quick", action="store_true", help="fewer turns, no large arrays")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    chosen = parser.parse_args()
    chosen.sizes = chosen.sizes or (QUICK_SIZES if chosen.quick else SIZES)
    chosen.rounds = chosen.rounds or (3 if chosen.quick else 6)
    return chosen


def main():
    chosen = arguments()
    peers = installed_peers()
    pyactx.set_num_threads(chosen.threads)
    if "PyTorch" in peers:
        peers["PyTorch"].set_num_threads(chosen.threads)
    facts = setup(peers, chosen.dtype)
    show_setup(facts)

    arrays = Arrays(max(chosen.sizes), chosen.dtype, peers)
    cells = comparisons(arrays, chosen.functions, chosen.operations, chosen.sizes)
    single = one_element(arrays)
    with ThreadPoolExecutor(chosen.threads) as pool:
        roofline = memory(arrays, pool, chosen.threads)
        for comparison in progress([*cells, *single, roofline] * chosen.rounds, "timing"):
            comparison.turn()
    cost = import_cost(7 if chosen.quick else 21)

    show_memory(roofline.seconds, arrays.x)
    for (function,), group in by(["function"], cells).items():
        show_cells(function, group, peers)
    show_summary(cells, peers)
    ratios = {comparison.facts["result"]: 1 / comparison.ratios()["np.exp"] for comparison in single}
    show_costs(ratios, cost)
    if chosen.json:
        figures = {"setup": facts, "memory_seconds": roofline.seconds, "one_element": ratios, "import": cost,
                   "cells": [{**cell.facts, "seconds": cell.seconds} for cell in cells]}
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
