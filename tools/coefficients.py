"""Regenerate the constants of src/vecmath.h.

Each polynomial is the minimax one for the relative error of the function it serves (Remez' exchange at 60
digits), its coefficients then rounded to double; the error printed is measured with the rounded coefficients.

    python tools/coefficients.py            # prints every constant and the error it leaves
    python tools/coefficients.py --check    # exits 1 if src/vecmath.h holds other digits

Needs mpmath.
"""

import argparse
import re
import sys
from pathlib import Path

import mpmath
from mpmath import mpf

mpmath.mp.dps = 60
GRID = 1500


def minimax(target, weight, low, high, degree):
    """Return the polynomial P of that degree that minimises max |weight(x) (P(x) - target(x))|."""
    middle, radius = (low + high) / 2, (high - low) / 2
    nodes = [middle - radius * mpmath.cos(mpmath.pi * (2 * i + 1) / (2 * degree + 4)) for i in range(degree + 2)]
    grid = [middle - radius * mpmath.cos(mpmath.pi * i / GRID) for i in range(GRID + 1)]
    values = [(x, target(x), weight(x)) for x in grid]
    for _ in range(12):
        rows = [[x**j for j in range(degree + 1)] + [(-1) ** i / weight(x)] for i, x in enumerate(nodes)]
        solution = mpmath.lu_solve(mpmath.matrix(rows), mpmath.matrix([target(x) for x in nodes]))
        coefficients = list(solution)[: degree + 1]
        level = abs(solution[degree + 1])
        errors = [(x, w * (mpmath.polyval(coefficients[::-1], x) - t)) for x, t, w in values]
        nodes, largest = alternation(errors, degree + 2)
        if largest < level * mpf("1.0001"):
            break
    return coefficients


def alternation(errors, count):
    """Return `count` points at which the error alternates in sign and is largest, and the largest error."""
    extrema = []
    for x, e in errors:
        if extrema and (e > 0) == (extrema[-1][1] > 0):
            if abs(e) > abs(extrema[-1][1]):
                extrema[-1] = (x, e)
        elif e != 0:
            extrema.append((x, e))
    while len(extrema) > count:
        extrema.pop(0 if abs(extrema[0][1]) < abs(extrema[-1][1]) else -1)
    return [x for x, _ in extrema], max(abs(e) for _, e in errors)


def leading(x, bits):
    """Return x rounded to that many leading bits, so that a short integer times it is exact."""
    mantissa, exponent = mpmath.frexp(x)
    return mpmath.ldexp(mpmath.nint(mpmath.ldexp(mantissa, bits)), int(exponent) - bits)


def exponential():
    """exp(r) = 1 + r + r^2 P(r) on |r| <= ln(2)/2 (a little wider: n is rounded before r is known)."""

    def target(r):
        if abs(r) < mpf("1e-12"):
            return mpf(1) / 2 + r / 6
        return (mpmath.expm1(r) - r) / r**2

    bound = mpmath.log(2) / 2 * mpf("1.0001")

    def weight(r):
        return abs(r) + mpf("1e-6")  # r^2 / expm1(r), kept away from 0

    return target, weight, -bound, bound, 10


def logarithm():
    """log(1+f) = f - (f^2/2 - s (f^2/2 + z L(z))), s = f/(2+f), z = s^2, for 1+f in [sqrt(1/2), sqrt(2)]."""

    def target(z):
        if z < mpf("1e-12"):
            return mpf(2) / 3 + 2 * z / 5
        s = mpmath.sqrt(z)
        return 2 * (mpmath.atanh(s) / s - 1) / z

    def weight(z):
        return z / 2 + mpf("1e-9")  # relative to 2 s

    bound = (mpmath.sqrt(2) - 1) ** 2 / (mpmath.sqrt(2) + 1) ** 2 * mpf("1.0001")
    return target, weight, mpf(0), bound, 6


def constants():
    """Yield (name, value as a double, comment) for every constant."""
    log2 = mpmath.log(2)
    high = leading(log2, 32)
    yield "LOG2_E", float(1 / log2), "1 / ln 2"
    yield "LN2_HIGH", float(high), "ln 2 to 32 bits: n * LN2_HIGH is exact for |n| < 2^21"
    yield "LN2_LOW", float(log2 - high), "ln 2 - LN2_HIGH"
    for name, problem in (("EXP", exponential()), ("LOG", logarithm())):
        target, weight, low, high, degree = problem
        rounded = [float(c) for c in minimax(*problem)]
        grid = [low + (high - low) * i / 4000 for i in range(4001)]
        error = max(weight(x) * abs(mpmath.polyval([mpf(c) for c in rounded[::-1]], x) - target(x)) for x in grid)
        for power, value in enumerate(rounded):
            yield f"{name}_{power}", value, f"relative error of the polynomial 2^{float(mpmath.log(error, 2)):.1f}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with src/vecmath.h instead of printing")
    check = parser.parse_args().check
    header = (Path(__file__).parent.parent / "src" / "vecmath.h").read_text()
    written = {name: float(value) for name, value in re.findall(r"^#define V_(\w+) (\S+)", header, re.MULTILINE)}
    wrong = 0
    for name, value, comment in constants():
        if not check:
            print(f"#define V_{name} {value!r}  /* {comment} */")
        elif written.get(name) != value:
            wrong += 1
            print(f"V_{name} is {written.get(name)} in src/vecmath.h, not {value!r}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
