"""How far results are from the true values, and how many of them are not correctly rounded.

The formulas of pyactx/_reference.py take their arithmetic as an argument.  `Code` is one that writes them down in C,
for judge.c, which evaluates them in double, long double and _Float128 with the C library's functions and a bound of
the error.  A place that none of these can decide goes to mpmath.  Nothing here comes from the kernels.
"""

import ctypes
import math
import subprocess
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path
from typing import NamedTuple

import mpmath
import numpy as np
from mpmath import mpf

from pyactx._definition import BOOK, REQUIRED

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE.parent / "tests"))

import mpmath_math  # noqa: E402

OPERATIONS = ("forward", "derivative")
PRECISIONS = (53, 64, 113)
COMPILER = ("gcc", "-O2", "-std=gnu11", "-ffp-contract=off", "-fno-math-errno", "-shared", "-fPIC")
PARAMETERS = 8  # of a formula, at most; as in judge.c
BESIDE = 0.01  # of a root
TIE = mpmath.ldexp(1, -64)  # units that count as nothing beside half a unit; as in judge.c

FORMATS = {"float16": (11, -14, 15), "bfloat16": (8, -126, 127), "float32": (24, -126, 127),
           "float64": (53, -1022, 1023)}

VERDICT = np.dtype([("error", "f8"), ("x", "f8"), ("result", "f8"), ("wrong", "i8"), ("uncertainty", "f8")])


class Case(NamedTuple):
    """What is judged: an operation of an activation for a dtype, with the parameters at their defaults."""

    name: str
    operation: str
    dtype: np.dtype

    @property
    def parameters(self):
        """The parameters as the kernels get them, 0.3 for those that have no default."""
        return [float(self.dtype.type(0.3 if value is REQUIRED else value))
                for value in BOOK[self.name].parameters.values()]

    @property
    def format(self):
        """Digits of the significand, exponents of the smallest and of the largest normal number."""
        return FORMATS[self.dtype.name]

    @property
    def precisions(self):
        """In how many bits it is judged: at first in few, and what they do not decide in more."""
        return [bits for bits in PRECISIONS if bits > self.format[0]]

    def __str__(self):
        return f"{self.name}, {self.operation}, {self.dtype}"


# ---- The formulas in C -----------------------------------------------------------------------------------------------


class Expression:
    """The name of a value or of a condition in the C code, with the operators of Python."""

    def __init__(self, code, name):
        self.code, self.name = code, name

    def __neg__(self):
        return self.code.negative(self)

    def __gt__(self, other):
        return self.code.less(other, self)

    def __ge__(self, other):
        return self.code.less_equal(other, self)

    def __pow__(self, exponent):
        if exponent != 2:
            raise ValueError(f"only squares are known in C, got the power {exponent}")
        return self.code.multiply(self, self)


for method, function in {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "lt": "less",
                         "le": "less_equal", "eq": "equal", "and": "and", "or": "or"}.items():
    setattr(Expression, f"__{method}__", lambda a, b, function=function: a.code.call(function, a, b))
    setattr(Expression, f"__r{method}__", lambda a, b, function=function: a.code.call(function, b, a))


class Code:
    """The arithmetic that writes down a formula as C, each term once: what _reference.py calls `m`."""

    def __init__(self, parameters):
        self.lines, self.known = [], {}
        self.x = Expression(self, "x")
        self.parameters = [Expression(self, f"parameters[{i}]") for i in range(parameters)]

    def text(self, value):
        if isinstance(value, Expression):
            return value.name
        return f"exactly({float(value).hex()})".replace("inf", "INFINITY")

    def term(self, text):
        if text not in self.known:
            self.known[text] = Expression(self, f"r{len(self.known)}")
            self.lines.append(f"    const __auto_type {self.known[text].name} = {text};")
        return self.known[text]

    def call(self, function, *arguments):
        return self.term(f"number_{function}({', '.join(map(self.text, arguments))})")

    def __getattr__(self, function):
        return partial(self.call, function)

    @property
    def nan(self):
        return self.term("number_nan")

    def constant(self, digits):
        return self.term(f"rounded_constant({digits}f128)")

    def normal_cdf(self, x, factor=1):
        return self.call("normal_cdf", x, factor)

    def normal_pdf(self, x, factor=1):
        return self.call("normal_pdf", x, factor)

    def function(self, name, result):
        """Return the C function whose last term is the result."""
        lines = [*self.lines, f"    return {self.text(result)};"]
        return f"static number {name}(number x, const number *parameters) {{\n{chr(10).join(lines)}\n}}\n"


def terms_of(definition, operation, x, parameters, m):
    """Return how large the terms are that cancel in an operation, or None where none do."""
    size = definition.cancels.get(operation)
    return size and size(x, definition.formulas["forward"](x, *parameters, m=m))


def formulas(cases):
    """Return the formulas of (name, operation) pairs as C."""
    functions, table = [], []
    for number, (name, operation) in enumerate(cases):
        definition = BOOK[name]
        code = Code(len(definition.parameters))
        value = definition.formulas[operation](code.x, *code.parameters, m=code)
        functions.append(code.function(f"value_{number}", value))
        code = Code(len(definition.parameters))
        terms = terms_of(definition, operation, code.x, code.parameters, code)
        if terms is not None:
            functions.append(code.function(f"terms_{number}", terms))
        table.append(f"{{value_{number}, {'0' if terms is None else f'terms_{number}'}}}")
    return "\n".join([*functions, f"static const formula formulas[] = {{{', '.join(table)}}};\n"])


# ---- The judge -------------------------------------------------------------------------------------------------------


class Judge:
    """Knows the true values of activations.

    Parameters
    ----------
    names : iterable of str
        Elementwise activations.
    operations : iterable of str
        ``"forward"``, ``"derivative"``.
    """

    def __init__(self, names, operations=OPERATIONS):
        pairs = [(name, operation) for name in names for operation in operations]
        self.numbers = {pair: number for number, pair in enumerate(pairs)}
        self.lock = threading.Lock()  # mpmath has one precision for all threads
        with tempfile.TemporaryDirectory() as folder:
            written = Path(folder, "formulas.h")
            written.write_text(formulas(pairs))
            processes = {precision: subprocess.Popen(
                [*COMPILER, f"-DPRECISION={precision}", f'-DFORMULAS="{written}"', HERE / "judge.c", "-o",
                 Path(folder, f"{precision}.so"), "-lm"]) for precision in PRECISIONS}
            for process in processes.values():
                if process.wait():
                    raise RuntimeError("benchmarks/judge.c does not compile; it needs GCC and glibc")
            self.libraries = {precision: ctypes.CDLL(Path(folder, f"{precision}.so")) for precision in PRECISIONS}
        for library in self.libraries.values():
            library.judge.restype = ctypes.c_int64

    def about(self, case):
        """Return the first arguments of the functions in C."""
        return (self.numbers[case.name, case.operation],
                (ctypes.c_double * PARAMETERS)(*case.parameters), (ctypes.c_int32 * 3)(*case.format))

    def evaluate(self, case, x, precision):
        """Return the true values, as sums of two doubles, and bounds of their errors."""
        number, parameters, _ = self.about(case)
        with np.errstate(invalid="ignore"):
            x = np.ascontiguousarray(x, np.float64)
        high, low, error = np.empty((3, x.size))
        self.libraries[precision].evaluate(
            number, parameters, ctypes.c_int64(x.size), *map(address, (x, high, low, error)))
        return high, low, error

    def nearest_to_half(self, case, x, width):
        """Return for each double x the one, of so many from there on, whose true value is hardest to round."""
        x = x.copy()
        self.libraries[64].nearest_to_half(*self.about(case), ctypes.c_int64(x.size), address(x), width)
        return x

    def verdicts(self, case, x, results):
        """Judge the results of several candidates.

        Errors are in units in the last place of the true value.  In float64 within 0.01 of a root, where terms cancel,
        they are in units of the largest term.

        Parameters
        ----------
        case : Case
        x : (n,) array
        results : (candidates, n) array

        Returns
        -------
        (candidates,) array of VERDICT
        """
        with np.errstate(invalid="ignore"):  # signalling NaN
            x, results = np.ascontiguousarray(x, np.float64), np.ascontiguousarray(results, np.float64)
        verdicts = np.zeros(len(results), VERDICT)
        verdicts["error"] = -1
        for precision in case.precisions:
            doubtful = np.empty(x.size, np.int64)
            doubts = self.libraries[precision].judge(
                *self.about(case), case.dtype == np.float64, ctypes.c_int64(x.size), address(x), len(results),
                address(results), address(verdicts), address(doubtful))
            x, results = x[doubtful[:doubts]], np.ascontiguousarray(results[:, doubtful[:doubts]])
        form = case.format
        for i, (truth, unit, counted) in enumerate(self.by_mpmath(case, x)):
            for verdict, result in zip(verdicts, results[:, i]):
                distance, wrong = compare(float(result), truth, unit, form)
                verdict["wrong"] += wrong
                if distance / counted > verdict["error"]:
                    verdict["error"], verdict["x"], verdict["result"] = distance / counted, x[i], result
        return verdicts

    def by_mpmath(self, case, x):
        """Return for each x the true value, the unit in its last place, and the unit in which errors are counted."""
        if not len(x):
            return []
        definition, parameters, form = BOOK[case.name], [mpf(value) for value in case.parameters], case.format

        def value(x):
            with np.errstate(all="ignore"):
                return np.broadcast_to(definition.formulas[case.operation](x, *parameters, m=mpmath_math), x.shape)

        with self.lock:
            exact = mpmath_math.exact(x)
            truths = value(exact)
            units = [unit_of(truth, form) for truth in truths]
            counted = list(units)
            if case.dtype == np.float64 and case.operation in definition.cancels:
                beside = (value(exact - BESIDE) < 0) != (value(exact + BESIDE) < 0)
                for i in np.flatnonzero(beside):
                    terms = terms_of(definition, case.operation, exact[i], parameters, mpmath_math)
                    counted[i] = max(units[i], unit_of(mpf(terms), form))
            return list(zip(truths, units, counted))

    def confirm(self, case, verdicts):
        """Let mpmath measure the largest errors that were found."""
        for verdict in verdicts:
            if 0 < verdict["error"] < np.inf and np.isfinite(verdict["x"]):
                ((truth, unit, counted),) = self.by_mpmath(case, verdict["x"][np.newaxis])
                verdict["error"] = compare(float(verdict["result"]), truth, unit, case.format)[0] / counted

    def excess(self, case, x):
        """Return the largest error of the judge itself, from mpmath, as a fraction of the bound that it states."""
        largest = 0.0
        for precision in case.precisions:
            for (truth, *_), high, low, error in zip(self.by_mpmath(case, x), *self.evaluate(case, x, precision)):
                if mpmath.isfinite(truth) and math.isfinite(high):
                    lost = mpmath.ldexp(abs(truth), -104) + mpmath.ldexp(1, -1073)  # beyond the two doubles
                    off = max(abs(truth - mpf(high) - mpf(low)) - lost, 0)
                    largest = max(largest, float(off / error) if error else math.inf if off else 0.0)
        return largest


def address(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def unit_of(value, form):
    """Return the unit in the last place of an mpmath number, which is no smaller among the subnormal ones."""
    digits, lowest, highest = form
    exponent = min(max(mpmath.mag(value) - 1, lowest), highest) if mpmath.isfinite(value) else highest
    return mpmath.ldexp(1, int(exponent) - digits + 1)


def compare(result, truth, unit, form):
    """Return how far a result is from the true value, and whether another number is nearer, as judge.c does."""
    if math.isnan(result) or mpmath.isnan(truth):
        wrong = not (math.isnan(result) and mpmath.isnan(truth))
        return math.inf if wrong else 0.0, wrong
    if math.isinf(result):
        overflow = mpmath.ldexp(1, form[2] + 1)
        result, truth = math.copysign(1, result) * overflow, min(max(truth, -overflow), overflow)
    result = mpf(result)
    distance = abs(result - truth)
    if distance == unit / 2:
        return distance, abs(result) / unit_of(result, form) % 2 != 0
    return distance, distance > (0.5 + TIE) * unit
