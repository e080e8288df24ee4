"""Speed of pyactx beside PyTorch, TensorFlow, JAX, ONNX Runtime, numexpr, SciPy and NumPy.

The figures are ratios, time of the best peer / time of pyactx: above 1 pyactx is faster, "<" marks where it is not.
What is compared is timed in turns in one process, on the same numbers and with the same number of threads.  The turns
are spread over the whole run, of many short timings the fastest counts, and of one thread its CPU time: so the ratios
hold on a busy machine, those of more threads as long as now and then its cores are free.  docs/performance.md says
what is fair.
"""

import argparse
import json
import math
import os
import platform
import random
import subprocess
import sys
import time
import timeit
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from pathlib import Path
from statistics import median
from string import Formatter

import numpy as np
import report
from libraries import PEERS, load
from statements import BY_ROWS, OPERATIONS, PROBABILITIES, RESULTS, STATEMENTS, own

import pyactx

SIZES = (1, 16, 256, 4_096, 65_536, 1_000_000, 32_000_000)
QUICK_SIZES = (1, 16, 4_096, 1_000_000)
SHAPES = {  # of the functions of rows, and their axes
    (1, 10): 1,
    (128, 10): 1,
    (4096, 1000): 1,
    (64, 128256): 1,
    (8, 12, 512, 512): 3,
    (1000, 1000): 0,
    (64, 256, 1024): 1,
}
DTYPES = ("float32", "float64")
LARGEST_CHECKED = 65_536  # up to here the results of all libraries are compared before they are timed
LARGEST_SMALL = 10_000_000  # of what is larger, only the likely best peers are timed, and not in every setting
FEW = 16  # up to here pyactx is also compared with np.exp
THREADED = 1_024  # up to here nobody wakes a thread
TIMING = 1e-4  # seconds of one timing, unless a call takes longer; short, so that others on the machine disturb few
IN_PLACE = 1 << 15  # elements of all the copies on which one timing works in place
CONTENDER = 3  # a peer that took so many times the time of the best one is not timed again
RECYCLING = 2e-9  # nor on large arrays, if it took so many seconds an element more: all that recycling memory can save
SETTLED = 0.9  # a turn that is not faster than so much of the time before has found nothing new
ROOFLINE = 32_000_000  # elements that are copied to measure the memory

IMPORT = """
import os, time
start = time.perf_counter()
import {}
seconds = time.perf_counter() - start
tasks = "/proc/self/task"
print(seconds, len(os.listdir(tasks)) if os.path.exists(tasks) else "nan")
"""


class Arrays:
    """The numbers that all work on, and where the results go.

    Parameters
    ----------
    size : int
        The largest number of elements.
    dtype : str
    """

    def __init__(self, size, dtype):
        self.size, self.dtype, self.tensors = size, dtype, {}
        generator = np.random.default_rng(0)
        self.normal, self.grad = (generator.standard_normal(size, dtype) for _ in range(2))
        self.ones, self.weight = np.ones(size, dtype), np.array([0.25], dtype)
        self.y, self.out, self.d = (np.zeros(size, dtype) for _ in range(3))
        self.copies = np.zeros(max(size, 2 * IN_PLACE), dtype)

    @cached_property
    def probabilities(self):
        return np.random.default_rng(1).random(self.size, self.dtype)

    def of(self, function, shape):
        """Return the arrays by the names of `statements.py`."""
        arrays = {"x": self.probabilities if function in PROBABILITIES else self.normal,
                  "grad": self.grad, "ones": self.ones, "y": self.y, "out": self.out, "d": self.d}
        return {"weight": self.weight,
                **{name: array[:math.prod(shape)].reshape(shape) for name, array in arrays.items()}}

    def tensor(self, library, name, array):
        """Return the library's array; constant ones are converted once where that is a copy."""
        if library.mutable or name not in ("x", "grad", "ones"):
            return library.array(array)
        key = library, array.ctypes.data, array.shape
        if key not in self.tensors:
            self.tensors[key] = library.array(array)
        return self.tensors[key]

    def copies_of(self, x):
        """Return copies of x to work on in place, and what makes them copies of x again."""
        stride = -(-x.size // 16) * 16
        number = min(max(IN_PLACE // stride, 1), 128)
        rows = self.copies[:number * stride].reshape(number, stride)[:, :x.size]
        return [row.reshape(x.shape) for row in rows], lambda: np.copyto(rows, x.ravel())


class Comparison:
    """Statements that are timed beside each other.

    Parameters
    ----------
    statements : dict of str to tuple of (Library, str, optional)
        The statement of each library and the definition it belongs to, by label.  Labels of other things than peers
        begin with "np.".
    arrays : Arrays
    facts : dict
        What is compared.
    smaller : Comparison, optional
        Of the same on fewer elements.
    alone : Comparison, optional
        Of the same on fewer threads.

    Attributes
    ----------
    seconds : dict of str to float
        Of one call, in the fastest timing so far, of all that have been timed.
    """

    def __init__(self, statements, arrays, facts, smaller=None, alone=None):
        self.statements, self.arrays, self.facts, self.smaller, self.alone = statements, arrays, facts, smaller, alone
        self.function, self.operation, self.result = (facts[name] for name in ("function", "operation", "result"))
        self.shape, self.axis = tuple(facts["shape"]), facts["axis"]
        self.elements = math.prod(self.shape)
        self.is_small = self.elements <= LARGEST_SMALL
        self.seconds, self.turns, self.is_settled = {}, 0, False

    def contenders(self):
        """Return the labels of pyactx and of the peers that may be the best."""
        known = self if self.seconds or self.is_small else self.smaller
        if known is None or not known.seconds:
            return list(self.statements)
        seconds = {label: min(cell.seconds.get(label, math.inf) for cell in (known, known.alone or known))
                   for label in self.statements}
        best = min(seconds[label] for label in self.peers())
        limit = CONTENDER * best if known is self else max(CONTENDER * best, best + RECYCLING * known.elements)
        return [label for label in self.statements if label not in self.peers() or seconds[label] <= limit]

    def peers(self):
        return [label for label in self.statements if label != "pyactx" and not label.startswith("np.")]

    def best_peer(self):
        return min(self.seconds.keys() & set(self.peers()), key=self.seconds.get)

    def is_disturbed(self):
        """Whether another turn may find other figures: the last one did, or threads seem to cost time."""
        if not self.is_settled or self.alone is None:
            return not self.is_settled
        return any(report.SLOWER * self.seconds[label] > self.alone.seconds.get(label, math.inf)
                   for label in ("pyactx", self.best_peer()))

    def needs_output(self):
        return self.operation != "value_and_derivative" and any(
            "y" in fields(statement) for _, statement, _ in self.statements.values())

    def named_arrays(self):
        """Return the arrays by name, with y computed."""
        arrays = self.arrays.of(self.function, self.shape)
        if self.needs_output():
            library, *_ = self.statements["pyactx"]
            statement = filled(own(self.function).statements["value", "out"], library, self.axis)
            exec(statement, {**library.names, **arrays, "out": arrays["y"]})
        return arrays

    def code(self, label, arrays):
        """Return a statement and its setup as timeit takes them, what they see, and the number of calls they make."""
        library, template, definition = self.statements[label]
        library.use_threads(self.facts["threads"])
        names = {**library.names, **library.callables(definition, arrays, self.axis)}
        for name in fields(template) & arrays.keys():
            names[library.prefix + name] = self.arrays.tensor(library, name, arrays[name])
        if "buffer" in fields(template):
            names[library.prefix + "buffer"] = library.array(np.exp(-np.abs(arrays["x"])))
        statement = filled(template, library, self.axis)
        if self.result == "in place":
            copies, names["refresh"] = self.arrays.copies_of(arrays["x"])
            names["copies"] = [library.array(copy) for copy in copies]
            return f"for {library.prefix}x in copies: {statement}", "refresh()", names, len(copies)
        if self.result == "fresh":
            # Kept until the next call has made its own, as `result = f(x)` in anybody's loop does.
            return f"result = {statement}", "global result", names, 1
        return statement, "pass", names, 1

    def check(self):
        """Exit unless all statements have the same result, up to the rounding of half the digits."""
        arrays, results = self.named_arrays(), {}
        for label in ("pyactx", *self.peers()):
            statement, setup, names, _ = self.code(label, arrays)
            exec(f"{setup}\n{statement}", names)
            if self.result == "in place":
                parts = names["copies"][-1:]
            elif self.result == "out":
                parts = [arrays["out"], arrays["d"]] if self.operation == "value_and_derivative" else [arrays["out"]]
            else:
                parts = names["result"] if self.operation == "value_and_derivative" else [names["result"]]
            results[label] = np.array([np.asarray(part) for part in parts])
        expected = results["pyactx"]
        tolerance = math.sqrt(np.finfo(expected.dtype).eps)
        for label, result in results.items():
            if (result.dtype != expected.dtype
                    or not np.allclose(result, expected, tolerance, tolerance, equal_nan=True)):
                wrong, right = (self.code(name, arrays)[0] for name in (label, "pyactx"))
                raise SystemExit(f"{label}: {wrong!r} is not what {right!r} is, {self.facts}")

    def turn(self, length):
        """Time each statement for so many seconds; all of them where the figures are in doubt."""
        arrays, before = self.named_arrays(), self.seconds.copy()
        in_doubt = self.turns > 1 and self.is_small and self.is_disturbed()
        self.turns += 1
        self.statements = dict(reversed(self.statements.items()))  # not always the same one first
        for label in list(self.statements) if in_doubt else self.contenders():
            statement, setup, names, calls = self.code(label, arrays)
            timer, seconds = timeit.Timer(statement, setup, self.clock(label), names), self.seconds.get(label, math.inf)
            repeat = 1
            if self.is_small and self.result != "in place":
                repeat = round(TIMING / (estimate(timer) if seconds == math.inf else seconds)) or 1
            # A result is first kept, then made beside a kept one, then made where memory was given back.
            least = 3 if self.result == "fresh" else 2
            end = time.perf_counter() + length
            while least > 0 or time.perf_counter() < end:
                seconds = min(seconds, timer.timeit(repeat) / repeat / calls)
                least -= 1
            self.seconds[label] = seconds
            if self.facts["threads"] > 1 and self.elements > THREADED:
                time.sleep(self.statements[label][0].spinning)
        self.is_settled = all(self.seconds[label] > SETTLED * before.get(label, math.inf) for label in self.seconds)

    def clock(self, label):
        """Return the clock of the processor, where one thread does it all and it is fine, or that of the wall.

        The one thread of TensorFlow and of JAX need not be the caller's, and the clock of a process lags behind its
        other threads.
        """
        library, *_ = self.statements[label]
        is_fine = time.get_clock_info("thread_time").resolution < TIMING / 1000
        alone = self.facts["threads"] == 1 and not library.fixed_threads
        return time.thread_time if is_fine and alone else time.perf_counter

    def weight(self):
        """Return about how long a turn takes, for the progress bar."""
        return len(self.statements) * (1 + self.elements / 1e6)


def fields(template):
    """Return the names in braces."""
    return {name for _, name, _, _ in Formatter().parse(template) if name}


def filled(template, library, axis):
    """Return the statement with the names of the library's arrays."""
    return template.format_map({name: library.prefix + name for name in fields(template)} | {"axis": axis})


def estimate(timer):
    """Return about how many seconds a call takes, after the first, which may compile."""
    timer.timeit(1)
    calls = 1
    while (seconds := timer.timeit(calls)) < TIMING / 4:
        calls *= 4
    return seconds / calls


def comparisons(libraries, chosen):
    """Return a comparison for each function, operation, result, dtype, number of threads and shape.

    Unless asked for, large arrays are of the first dtype and on the most threads only: others would take an hour.
    """
    cells = []
    for dtype in chosen.dtype:
        largest = chosen.sizes[-1] if chosen.full or dtype == chosen.dtype[0] else LARGEST_SMALL
        sizes = {(n,): None for n in chosen.sizes if n <= largest}
        by_rows = {shape: axis for shape, axis in SHAPES.items() if math.prod(shape) <= min(largest, chosen.sizes[-1])}
        arrays = Arrays(max(map(math.prod, {**sizes, **by_rows}), default=1), dtype)
        for function in chosen.functions:
            shapes = by_rows if function in BY_ROWS else sizes
            entries = {"pyactx": own(function), **STATEMENTS[function]}
            entries = {label: entry for label, entry in entries.items()
                       if label in libraries and libraries[label].supports(entry.definition, dtype)}
            for operation, result in entries["pyactx"].statements:
                if operation not in chosen.operations or result not in chosen.results:
                    continue
                alone = {}
                for threads in chosen.threads:
                    smaller = None
                    for shape, axis in shapes.items():
                        if math.prod(shape) > LARGEST_SMALL and threads < chosen.threads[-1] and not chosen.full:
                            continue
                        statements = {
                            label: (libraries[label], entry.statements[operation, result], entry.definition)
                            for label, entry in entries.items() if (operation, result) in entry.statements
                            and not (libraries[label].fixed_threads and threads < chosen.threads[-1])}
                        if len(statements) < 2:
                            continue
                        if operation == "value" and result != "in place" and max(shape) <= FEW and axis is None:
                            into = ", out={out}" if result == "out" else ""
                            statements["np.exp"] = (libraries["pyactx"], f"np.exp({{x}}{into})", None)
                        cell = Comparison(statements, arrays, {
                            "function": function, "operation": operation, "result": result, "shape": list(shape),
                            "axis": axis, "dtype": dtype, "threads": threads}, smaller, alone.get(shape))
                        cells.append(cell)
                        alone.setdefault(shape, cell)
                        smaller = cell if axis is None else None
    return cells


class Roofline:
    """Copying and scaling in place, by NumPy on all threads: the speed of the memory.

    Parameters
    ----------
    threads : int

    Attributes
    ----------
    seconds : dict of str to float
        In the fastest timing so far.
    """

    def __init__(self, threads):
        self.threads = threads
        self.source, self.target = np.ones(ROOFLINE, np.float32), np.ones(ROOFLINE, np.float32)
        self.seconds = dict.fromkeys(("copy", "scale in place"), math.inf)

    def turn(self, length):
        parts = list(zip(np.array_split(self.source, self.threads), np.array_split(self.target, self.threads)))
        functions = {
            "copy": lambda part: np.copyto(part[1], part[0]),
            "scale in place": lambda part: np.multiply(part[1], 1.0, out=part[1]),
        }
        with ThreadPoolExecutor(self.threads) as pool:
            for name, function in functions.items():
                for _ in range(5):
                    names = {"pool": pool, "function": function, "parts": parts}
                    seconds = timeit.timeit("list(pool.map(function, parts))", globals=names, number=1)
                    self.seconds[name] = min(self.seconds[name], seconds)

    def weight(self):
        return 10 * (1 + ROOFLINE / 1e6)

    def figures(self):
        return {"threads": self.threads, **{name: 2 * self.source.nbytes / s for name, s in self.seconds.items()}}


def rounds(cells, rooflines, number):
    """Yield what to time in each round: all in a random order, large cells not in the first, then what is disturbed."""
    order = random.Random(0)
    small, large = ([cell for cell in cells if cell.is_small == is_small] for is_small in (True, False))
    for i in range(number):
        chosen = small + (large if i else [])
        yield order.sample(chosen, len(chosen)) + (large if number == 1 else []) + rooflines
    for _ in range(number):
        yield [cell for cell in order.sample(cells, len(cells)) if cell.is_disturbed()]


def import_cost(pairs):
    """Return the milliseconds and the threads that importing pyactx adds to importing NumPy: medians."""
    milliseconds, threads = [], []
    for _ in range(pairs):
        (time_without, threads_without), (time_with, threads_with) = (
            map(float, subprocess.check_output([sys.executable, "-P", "-c", IMPORT.format(modules)]).split())
            for modules in ("numpy", "numpy, pyactx"))
        milliseconds.append(1e3 * (time_with - time_without))
        threads.append(threads_with - threads_without)
    return {"milliseconds": median(milliseconds), "threads": None if math.isnan(threads[0]) else median(threads)}


def progress(items, label, weight=lambda item: 1):
    """Yield the items and show on stderr how far it is."""
    try:
        from tqdm import tqdm
    except ImportError:
        for number, item in enumerate(items):
            print(f"\r{label} {number}/{len(items)} ", end="", file=sys.stderr, flush=True)
            yield item
        print(f"\r{label} {len(items)}/{len(items)} ", file=sys.stderr, flush=True)
    else:
        shown = "{desc} {percentage:.0f}%|{bar}| {elapsed}, {remaining} left"
        with tqdm(total=sum(map(weight, items)), desc=label, leave=False, mininterval=0.5, bar_format=shown) as bar:
            for item in items:
                yield item
                bar.update(weight(item))


def processor():
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor() or platform.machine()


def setup(libraries):
    """Return what the figures depend on."""
    config = pyactx.show_config(mode="dicts")
    return {
        "versions": {**{name: library.version for name, library in libraries.items()}, "Python": config["python"]},
        "processor": processor(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1) if hasattr(os, "getloadavg") else None,
        "implementation": config["implementation"]["name"],
        "instruction_set": config["instruction_set"]["used"],
    }


def arguments():
    def positive(text):
        number = int(text)
        if number < 1:
            raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
        return number

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)

    def add(option, values):
        parser.add_argument(option, nargs="+", choices=values, default=list(values), metavar="NAME",
                            help=", ".join(values))

    add("--functions", STATEMENTS)
    add("--operations", OPERATIONS)
    add("--results", RESULTS)
    add("--peers", PEERS)
    parser.add_argument("--dtype", nargs="+", choices=DTYPES, metavar="NAME", help=", ".join(DTYPES))
    parser.add_argument("--sizes", nargs="+", type=positive, metavar="N",
                        help="numbers of elements; functions of rows are timed on shapes up to the largest")
    parser.add_argument("--threads", nargs="+", type=positive, default=[1, pyactx.get_num_threads()], metavar="N",
                        help="TensorFlow and JAX take part with the largest only")
    parser.add_argument("--rounds", type=positive, metavar="N", help="turns of each statement")
    parser.add_argument("--quick", action="store_true", help="float32 up to 1 M elements, fewer and shorter turns")
    parser.add_argument("--full", action="store_true",
                        help="large arrays in every dtype and on every number of threads, as with --sizes")
    parser.add_argument("--cells", action="store_true", help="print every cell beside the summary")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw all ratios in FILE (.svg, .png ...)")
    chosen = parser.parse_args()
    chosen.full = chosen.full or chosen.sizes is not None
    chosen.threads = sorted(set(chosen.threads))
    chosen.dtype = chosen.dtype or (DTYPES[:1] if chosen.quick else DTYPES)
    chosen.sizes = sorted(set(chosen.sizes or (QUICK_SIZES if chosen.quick else SIZES)))
    chosen.rounds = chosen.rounds or (2 if chosen.quick else 3)
    return chosen


def main():
    chosen = arguments()
    libraries = load(chosen.peers, chosen.threads[-1])
    facts = setup(libraries)
    report.show_setup(facts)

    cells = comparisons(libraries, chosen)
    if not cells:
        raise SystemExit("no peer offers any of this")
    checked = [cell for cell in cells
               if cell.elements <= LARGEST_CHECKED and cell.facts["threads"] == chosen.threads[-1]]
    for cell in progress(checked, "checking", Comparison.weight):
        cell.check()
    rooflines = [Roofline(threads) for threads in chosen.threads]
    for i, round_ in enumerate(rounds(cells, rooflines, chosen.rounds), 1):
        label = f"round {i} of {chosen.rounds}" if i <= chosen.rounds else f"again {i - chosen.rounds}"
        for item in progress(round_, label, lambda item: item.weight()):
            item.turn(0.002 if chosen.quick else 0.004)

    figures = report.figures(facts, cells, rooflines, import_cost(7 if chosen.quick else 21))
    report.show(figures, chosen.cells)
    for path in filter(None, (chosen.json, chosen.plot)):
        path.parent.mkdir(parents=True, exist_ok=True)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=1) + "\n")
    if chosen.plot:
        report.draw(figures, chosen.plot)


if __name__ == "__main__":
    main()
