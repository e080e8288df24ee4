"""Accuracy of pyactx, and of PyTorch, JAX and SciPy where they are installed.

For each elementwise activation, value and derivative, dtype and instruction set: the largest error in units in the last
place (ULP), where it is, and in brackets how many results are not correctly rounded.  Candidates whose results have the
same bits are judged once.  The true values are those of the definitions in pyactx/_reference.py, as judge.py tells.

Exits with 1 where an error of pyactx is beyond the bound that the activation states.  Needs GCC and glibc.
"""

import argparse
import hashlib
import importlib.util
import json
import math
import os
import platform
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from itertools import groupby
from pathlib import Path

import numpy as np
from compare import processor, progress
from judge import BOOK, FORMATS, HERE, OPERATIONS, REQUIRED, VERDICT, Case, Judge
from peers import FUNCTIONS, call_peer

import pyactx
from pyactx import testing
from pyactx._implementation import available, implementation
from pyactx.activation import Activation

ELEMENTWISE = [name for name, definition in BOOK.items() if definition.kind == "elementwise"]
DTYPES = {np.dtype(dtype).name: np.dtype(dtype) for dtype in testing.DTYPES}
MODULES = available(implementation.driver) if implementation.compiled else {}  # by instruction set, best last
PEERS = {"torch": "PyTorch", "jax": "JAX", "scipy": "SciPy"}
RESULTS = HERE.parent / "results"

CHUNK = 1 << 19  # numbers that are judged at once
POINTS = {True: {4: 1 << 20, 8: 1 << 17}, False: {4: 1 << 24, 8: 10_000_000}}  # by --quick and the size of the dtype
CHECKED = 48  # points of each case at which mpmath checks the judge
LANDMARKS = 64  # of a case, at most
WIDTH = 64  # numbers of which the one whose value is nearest to half-way is taken


# ---- Candidates ------------------------------------------------------------------------------------------------------


@cache
def library(instruction_set):
    """Return the activations of an instruction set, or of the pure-Python implementation."""
    kernels = importlib.import_module(MODULES[instruction_set]).kernels if instruction_set in MODULES else {}
    return {name: Activation._from_definition(BOOK[name], kernels.get(name)) for name in ELEMENTWISE}


def own_candidates(case, instruction_sets):
    """Return {instruction set: function of x}."""

    def of(name):
        operation = library(name)[case.name].named(case.operation)
        return lambda x: operation(x, *case.parameters)

    return {name: of(name) for name in instruction_sets}


def peer_candidates(case, peers):
    """Return {peer: function of x} for the peers that have the activation; derivatives are those by autograd."""
    required = {name: value for (name, default), value in zip(BOOK[case.name].parameters.items(), case.parameters)
                if default is REQUIRED}

    def of_torch(x):
        import torch

        tensor = torch.from_numpy(x).requires_grad_(case.operation == "derivative")
        value = call_peer("torch", case.name, [tensor], required)
        if case.operation == "forward":
            return value.numpy()
        value.backward(torch.ones_like(value))
        return tensor.grad.numpy()

    @cache
    def compiled_by_jax():
        import jax

        def value(x):
            return call_peer("jax", case.name, [x], required)

        def derivative(x):
            return jax.vjp(value, x)[1](jax.numpy.ones_like(x))[0]

        return jax.jit(value if case.operation == "forward" else derivative)

    functions = {"torch": of_torch, "jax": lambda x: np.asarray(compiled_by_jax()(x)),
                 "scipy": lambda x: call_peer("scipy", case.name, [x], required)}
    return {PEERS[peer]: functions[peer] for peer in peers
            if case.name in FUNCTIONS[peer] and (peer != "scipy" or case.operation == "forward")}


# ---- Points ----------------------------------------------------------------------------------------------------------


def signed(dtype):
    return np.dtype(f"i{dtype.itemsize}")


def ordinals(x):
    """Return the places of numbers among all of their dtype, in order: neighbours differ by one."""
    bits = x.view(signed(x.dtype))
    return np.where(bits < 0, -(bits & np.iinfo(bits.dtype).max), bits)


def numbers(places, dtype):
    """Return the numbers at places: the inverse of `ordinals`."""
    bits = places.astype(signed(dtype))
    return np.where(bits < 0, -bits | np.iinfo(bits.dtype).min, bits).view(dtype)


def patterns(chunk, dtype):
    """Return the numbers whose bits are those of a range of integers."""
    return np.arange(chunk.start, chunk.stop, dtype=np.uint64).astype(f"u{dtype.itemsize}").view(dtype)


def landmarks(judge, case):
    """Return where something changes: at kinks, parameters and roots, where results become 0, subnormal or infinite,
    where they saturate at 1 or at x."""
    limits = np.array([-np.inf, np.inf], case.dtype)
    first, last = (int(place) for place in ordinals(limits))

    def kind(places):
        x = numbers(places, case.dtype)
        with np.errstate(all="ignore"):
            y = judge.evaluate(case, x, 64)[0].astype(case.dtype)
        small = np.abs(y) < 2.0 ** case.format[1]
        return np.nan_to_num(np.sign(y), nan=48) + 3 * small + 6 * np.isinf(y) + 12 * (y == x) + 24 * (y == 1)

    grid = np.concatenate([np.linspace(-60, 60, 2001), np.geomspace(1e-30, 1e30, 500), -np.geomspace(1e-30, 1e30, 500)])
    below = np.unique(np.concatenate([ordinals(grid.astype(case.dtype)), np.linspace(first, last, 4001)[1:-1].astype(
        signed(case.dtype))]))
    below, above = below[:-1], below[1:]
    changes = kind(below) != kind(above)
    below, above = below[changes], above[changes]
    while below.size and np.any(above - below > 1):
        middle = below + (above - below) // 2
        same = kind(middle) == kind(below)
        below, above = np.where(same, middle, below), np.where(same, above, middle)
    found = np.concatenate([numbers(below, case.dtype), numbers(above, case.dtype)])
    found = found[np.argsort(np.abs(found), kind="stable")][:LANDMARKS]
    given = np.array([0, 1, *BOOK[case.name].properties.kinks, *case.parameters], case.dtype)
    return np.unique(np.concatenate([found, given, -given, limits]))


def around(marks, count, random):
    """Return marks and numbers at both sides of them, up to a binade away, most of them near."""
    digits = FORMATS[marks.dtype.name][0]
    places, last = ordinals(marks), int(ordinals(np.array(np.inf, marks.dtype)))
    steps = np.floor(2 ** random.uniform(0, digits, count)) * random.choice([-1, 1], count)
    near = random.choice(places, count) + steps.astype(places.dtype)
    return numbers(np.unique(np.concatenate([places, np.clip(near, -last, last)])), marks.dtype)


def sample(judge, case, count):
    """Return so many points.

    An eighth lie around landmarks.  The others are one of each range of bit patterns; of float64, which has more
    binades than matter, a quarter are random bit patterns, a sixteenth those whose true value is nearly half-way
    between two numbers, and the rest of the sizes 1e-20 to 1e3.
    """
    random, dtype = np.random.default_rng(1), case.dtype
    if dtype.itemsize == 2:
        return patterns(range(1 << 16), dtype)
    marked = around(landmarks(judge, case), count // 8, random)
    rest = count - marked.size
    if dtype.itemsize == 4:
        bits = (np.arange(rest) + random.random(rest)) * (2.0**32 / rest)
        return np.concatenate([marked, bits.astype(np.uint32).view(dtype)])
    hard = judge.nearest_to_half(case, sizes(count // 16, random), WIDTH)
    bits = random.integers(0, 1 << 64, count // 4, dtype=np.uint64).view(dtype)
    return np.concatenate([marked, hard, bits, sizes(rest - hard.size - bits.size, random)])


def sizes(count, random):
    return np.exp(random.uniform(math.log(1e-20), math.log(1e3), count)) * random.choice([-1.0, 1.0], count)


# ---- Measuring -------------------------------------------------------------------------------------------------------


class Tally:
    """What is known of the candidates of a case.

    Attributes
    ----------
    chunks, points : int
        How many were judged.
    verdicts : dict of str to VERDICT
    digests : dict of str to str
        Of the bits of all results, NaN being one number.
    """

    def __init__(self, chunks=0, points=0, verdicts=(), digests=()):
        self.chunks, self.points, self.digests = chunks, points, dict(digests)
        self.verdicts = {name: np.array(tuple(map(float, values)), VERDICT)[()]
                         for name, values in dict(verdicts).items()}

    def add(self, points, verdicts, digests):
        self.chunks, self.points = self.chunks + 1, self.points + points
        for name, new in verdicts.items():
            old = self.verdicts.get(name, new)
            verdict = self.verdicts[name] = (new if new["error"] > old["error"] else old).copy()
            verdict["wrong"] = new["wrong"] + (old["wrong"] if old is not new else 0)
            verdict["uncertainty"] = max(new["uncertainty"], old["uncertainty"])
            self.digests[name] = digest(self.digests.get(name, "") + digests[name])

    def as_json(self):
        return {"chunks": self.chunks, "points": self.points, "digests": self.digests,
                "verdicts": {name: [value if math.isfinite(value) else str(value) for value in verdict.item()]
                             for name, verdict in self.verdicts.items()}}


def digest(data):
    return hashlib.blake2b(data.encode() if isinstance(data, str) else data, digest_size=8).hexdigest()


def candidates_of(case, chosen):
    return {**own_candidates(case, chosen.instruction_sets), **peer_candidates(case, chosen.peers)}


def judged(judge, case, candidates, x):
    """Return what `Tally.add` takes: number of points, verdicts, digests.

    Kinks are left out, where the derivative is a convention, and for peers what is not finite, which would hide the
    rest: many have NaN where a limit is a number.
    """
    first, digests, distinct, bits = None, {}, {}, {}
    kinks = np.array(BOOK[case.name].properties.kinks, case.dtype)
    with np.errstate(all="ignore"):
        if kinks.size:
            x = x[~np.isin(x, kinks)]
        for name, function in candidates.items():
            result = function(x)
            first = result if first is None else first
            if name in PEERS.values():
                result = np.where(np.isfinite(x), result, first)
            found = np.where(np.isnan(result), np.nan, result).astype(case.dtype).view(signed(case.dtype))
            twins = (key for key, others in bits.items() if np.array_equal(found, others))  # sooner than a digest
            digests[name] = next(twins, None) or digest(found)
            bits.setdefault(digests[name], found)
            distinct.setdefault(digests[name], result)
    found = dict(zip(distinct, judge.verdicts(case, x, np.stack(list(distinct.values())))))
    return x.size, {name: found[digests[name]] for name in candidates}, digests


def measure_sample(judge, case, chosen):
    """Return the tally of a sample."""
    x, tally = sample(judge, case, chosen.points.get(case.dtype.itemsize)), Tally()
    candidates = candidates_of(case, chosen)
    for start in range(0, x.size, CHUNK):
        tally.add(*judged(judge, case, candidates, x[start : start + CHUNK]))
    judge.confirm(case, tally.verdicts.values())
    return tally


def measure_all(judge, case, chosen, pool, chunk=CHUNK):
    """Return the tally of every number of a dtype; what was judged before an interruption is not judged again."""
    candidates = candidates_of(case, chosen)
    state = chosen.results / f"accuracy-{case.name}-{case.operation}-{case.dtype}.json"
    origin, tally = origin_of(candidates, chosen, chunk), Tally()
    if state.exists() and (saved := json.loads(state.read_text())).pop("origin") == origin:
        tally = Tally(**saved)
    starts = range(0, 1 << 8 * case.dtype.itemsize, chunk)

    def judge_from(start):
        return judged(judge, case, candidates, patterns(range(start, start + chunk), case.dtype))

    for future in progress([pool.submit(judge_from, start) for start in starts[tally.chunks :]], str(case)):
        tally.add(*future.result())
        write(state, {"origin": origin, **tally.as_json()})
    judge.confirm(case, tally.verdicts.values())
    return tally


def check(judge, case):
    """Return the largest error of the judge at random points, as a fraction of the bound that it states."""
    random = np.random.default_rng(2)
    bits = random.integers(0, 1 << 8 * case.dtype.itemsize, CHECKED // 2, dtype=np.uint64)
    anything, usual = bits.astype(f"u{case.dtype.itemsize}").view(case.dtype), random.normal(size=CHECKED // 2) * 4
    x = np.concatenate([anything, usual.astype(case.dtype)])
    return judge.excess(case, x[np.isfinite(x)].astype(np.float64))


def origin_of(candidates, chosen, chunk):
    """Return a digest of all that results and verdicts depend on."""
    files = [importlib.util.find_spec(MODULES[name]).origin for name in chosen.instruction_sets if name in MODULES]
    files += [HERE / "judge.c", HERE / "judge.py", Path(pyactx.__file__).parent / "_reference.py"]
    contents = [digest(Path(file).read_bytes()) for file in files]
    return digest(str([list(candidates), chunk, versions(chosen.peers), contents]))


def write(file, content):
    """Write JSON at once or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_suffix(".draft")
    draft.write_text(json.dumps(content, indent=1) + "\n")
    os.replace(draft, file)


# ---- What is shown ---------------------------------------------------------------------------------------------------


def versions(peers):
    modules = {"NumPy": "numpy", **{PEERS[peer]: peer for peer in peers}}
    return {"pyactx": pyactx.__version__, **{name: importlib.import_module(module).__version__
                                             for name, module in modules.items()},
            "Python": platform.python_version()}


def cell(case, tally, name, columns):
    """Return error, place and number of wrong roundings, or whose bits the results have."""
    if name not in tally.verdicts:
        return ""
    twin = next(other for other in columns if tally.digests.get(other) == tally.digests[name])
    if twin != name:
        return f"= {twin}"
    verdict = tally.verdicts[name]
    error = f"{verdict['error']:.4f}" if verdict["error"] < 1000 else f"{verdict['error']:.2g}"
    return f"{error} at {case.dtype.type(verdict['x'])!s} ({verdict['wrong']})"


def show(measured, dtype, columns, markdown):
    """Print the table of a dtype."""
    points = max(tally.points for _, tally in measured)
    print(f"\n{dtype}: {points:,} points each\n")
    rows = [["activation", "operation", *columns], *(
        [f"`{case.name}`" if markdown else case.name, case.operation,
         *(cell(case, tally, column, columns) for column in columns)] for case, tally in measured)]
    if markdown:
        rows.insert(1, ["---"] * len(rows[0]))
        print("\n".join(f"| {' | '.join(row)} |" for row in rows))
    else:
        widths = [max(map(len, column)) for column in zip(*rows)]
        print("\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows))


def beyond(case, tally, chosen):
    """Yield what exceeds the bound that the activation states, once for results with the same bits."""
    bound, seen = BOOK[case.name].max_ulp[case.dtype.name], set()
    for name in chosen.instruction_sets:
        verdict = tally.verdicts[name]
        if not verdict["error"] <= bound and tally.digests[name] not in seen:
            seen.add(tally.digests[name])
            yield (f"{case}, {name}: {verdict['error']:.4f} ULP at {case.dtype.type(verdict['x'])!s}, "
                   f"where at most {bound} are stated")


def arguments(words=None):
    installed = [peer for peer in PEERS if importlib.util.find_spec(peer)]
    own = list(reversed(MODULES)) or ["python"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--functions", nargs="+", choices=ELEMENTWISE, default=ELEMENTWISE, metavar="NAME")
    parser.add_argument("--operations", nargs="+", choices=OPERATIONS, default=list(OPERATIONS), metavar="NAME")
    parser.add_argument("--dtypes", nargs="+", choices=DTYPES, default=list(DTYPES), metavar="NAME")
    parser.add_argument("--instruction-sets", nargs="+", choices=[*MODULES, "python"], default=own,
                        metavar="NAME")
    parser.add_argument("--peers", nargs="*", choices=installed, default=installed, metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="fewer points")
    parser.add_argument("--float32-points", type=int, metavar="N")
    parser.add_argument("--float64-points", type=int, metavar="N")
    parser.add_argument("--exhaustive", nargs="+", choices=ELEMENTWISE, metavar="NAME",
                        help="every number of dtypes of at most 32 bits; goes on where it was interrupted")
    parser.add_argument("--threads", type=int, default=pyactx.get_num_threads(), metavar="N")
    parser.add_argument("--results", type=Path, default=RESULTS, metavar="FOLDER", help="of the state")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures to FILE")
    parser.add_argument("--markdown", action="store_true", help="print the table of docs/accuracy.md")
    chosen = parser.parse_args(words)
    chosen.points = {**POINTS[chosen.quick]}
    for size, points in ((4, chosen.float32_points), (8, chosen.float64_points)):
        chosen.points[size] = points or chosen.points[size]
    if chosen.exhaustive:
        chosen.functions = chosen.exhaustive
        chosen.dtypes = [name for name in chosen.dtypes if DTYPES[name].itemsize <= 4]
    if not chosen.dtypes:
        parser.error("--exhaustive is for dtypes of at most 32 bits")
    return chosen


def main(words=None):
    chosen = arguments(words)
    pyactx.set_num_threads(1)  # of the kernels: the threads are those that judge
    if "torch" in chosen.peers:
        import torch

        torch.set_num_threads(1)
    judge = Judge(chosen.functions, chosen.operations)
    cases = [Case(name, operation, DTYPES[dtype]) for dtype in chosen.dtypes for name in chosen.functions
             for operation in chosen.operations]
    columns = [*chosen.instruction_sets, *(PEERS[peer] for peer in chosen.peers)]
    print(", ".join(f"{name} {version}" for name, version in versions(chosen.peers).items()) + f"; {processor()}")
    pool = ThreadPoolExecutor(chosen.threads)
    try:
        excess = max(pool.map(partial(check, judge), cases))
        if chosen.exhaustive:
            tallies = [measure_all(judge, case, chosen, pool) for case in cases]
        else:
            futures = [pool.submit(measure_sample, judge, case, chosen) for case in cases]
            tallies = [future.result() for future in progress(futures, "judging")]
    finally:
        pool.shutdown(cancel_futures=True)
    for dtype, group in groupby(zip(cases, tallies), lambda pair: pair[0].dtype):
        show(list(group), dtype, columns, chosen.markdown)
    failures = [failure for case, tally in zip(cases, tallies) for failure in beyond(case, tally, chosen)]
    uncertainty = max(verdict["uncertainty"] for tally in tallies for verdict in tally.verdicts.values())
    print(f"\nThe judge decided with errors of at most {uncertainty:.2g} ULP; mpmath decided the rest and measured the "
          f"largest ones.\nAt {CHECKED} points of each it was off by at most {excess:.0%} of its bounds.")
    if excess > 1:
        failures.append("the judge is further from mpmath than its bounds")
    if chosen.json:
        write(chosen.json, {"versions": versions(chosen.peers), "processor": processor(), "cases": [
            {"activation": case.name, "operation": case.operation, "dtype": case.dtype.name, **tally.as_json()}
            for case, tally in zip(cases, tallies)]})
    if failures:
        print("", *failures, sep="\n")
    return 1 if failures else 0


if __name__ == "__main__":
    raise SystemExit(main())
