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


def error_function():
    """erf(x) = x + x E(x^2) on |x| <= 0.65."""

    def target(z):
        if z < mpf("1e-30"):
            return 2 / mpmath.sqrt(mpmath.pi) * (1 - z / 3) - 1
        x = mpmath.sqrt(z)
        return mpmath.erf(x) / x - 1

    def weight(z):
        return 1 / (1 + target(z))

    return target, weight, mpf(0), mpf("0.65") ** 2 * mpf("1.0001"), 9


DENSITY_AT_0 = 1 / mpmath.sqrt(2 * mpmath.pi)
TAIL_SHIFT = mpf("5.5")
TAIL_LOW, TAIL_HIGH = 1 / (TAIL_SHIFT + mpf("38.7")), 1 / TAIL_SHIFT
TAIL_MIDDLE = mpf(float((TAIL_LOW + TAIL_HIGH) / 2))


def normal_tail():
    """Phi(-a) exp(a^2/2) = t (1/sqrt(2 pi) + t T(t - middle)), t = 1/(a + shift), for 0 <= a <= 38.7."""

    def tail(t):
        a = 1 / t - TAIL_SHIFT
        return mpmath.erfc(a / mpmath.sqrt(2)) * mpmath.exp(a * a / 2) / 2

    def target(v):
        t = TAIL_MIDDLE + v
        return (tail(t) / t - mpf(float(DENSITY_AT_0))) / t

    def weight(v):
        t = TAIL_MIDDLE + v
        return t**2 / tail(t)

    return target, weight, TAIL_LOW - TAIL_MIDDLE, TAIL_HIGH - TAIL_MIDDLE, 20


def tanh_remainder():
    """x - tanh(x) = x z / (3 + z R(z)), z = x^2, on |x| <= 2."""

    def target(z):
        if z < mpf("1e-12"):
            return mpf(6) / 5 - z / 175
        x = mpmath.sqrt(z)
        return x / (x - mpmath.tanh(x)) - 3 / z

    def weight(z):
        return z / (3 + z * target(z)) + mpf("1e-9")

    return target, weight, mpf(0), mpf(4) * mpf("1.0001"), 12


def sine_square():
    """sin(r)^2 = w + w^2 S(w), w = r^2, for |r| <= pi/4."""

    def target(w):
        if w < mpf("1e-12"):
            return -mpf(1) / 3 + 2 * w / 45
        return (mpmath.sin(mpmath.sqrt(w)) ** 2 / w - 1) / w

    def weight(w):
        return w / (1 + w * target(w)) + mpf("1e-9")

    return target, weight, mpf(0), (mpmath.pi / 4) ** 2 * mpf("1.0001"), 7


def sine():
    """sin(2 r) = 2 r + 2 r w D(w), w = r^2, for |r| <= pi/4."""

    def target(w):
        if w < mpf("1e-12"):
            return -mpf(2) / 3 + 2 * w / 15
        return (mpmath.sin(2 * mpmath.sqrt(w)) / (2 * mpmath.sqrt(w)) - 1) / w

    def weight(w):
        return w / (1 + w * target(w)) + mpf("1e-9")

    return target, weight, mpf(0), (mpmath.pi / 4) ** 2 * mpf("1.0001"), 7


def two_over_pi():
    """Return 2/pi in pieces of 24 bits, times 2^120, after three zeros: as many as the largest double needs."""
    with mpmath.workprec(1300):
        rest, pieces = mpmath.ldexp(2 / mpmath.pi, 24), []
        for i in range(47):
            whole = int(mpmath.floor(rest))
            pieces.append(float(mpmath.ldexp(mpf(whole), 120 - 24 * (i + 1))))
            rest = mpmath.ldexp(rest - whole, 24)
    return [0.0, 0.0, 0.0, *pieces]


def constants():
    """Yield (name, value as a double, comment) for every constant."""
    log2 = mpmath.log(2)
    high = leading(log2, 32)
    yield "LOG2_E", float(1 / log2), "1 / ln 2"
    yield "LN2_HIGH", float(high), "ln 2 to 32 bits: n * LN2_HIGH is exact for |n| < 2^21"
    yield "LN2_LOW", float(log2 - high), "ln 2 - LN2_HIGH"
    yield "DENSITY_AT_0", float(DENSITY_AT_0), "1 / sqrt(2 pi)"
    for i, piece in enumerate(two_over_pi()):
        yield f"TWO_OVER_PI[{i}]", piece, "a piece of 24 bits"
    high = mpmath.pi / 2
    yield "HALF_PI", float(high), "pi / 2"
    yield "HALF_PI_LOW", float(high - mpf(float(high))), "pi / 2 - HALF_PI"
    yield "SQRT_2", float(mpmath.sqrt(2)), "sqrt(2)"
    yield "ERF_SLOPE", float(2 / mpmath.sqrt(mpmath.pi)), "2 / sqrt(pi)"
    # gelu_tanh(x) = x sigma(LINEAR x + CUBIC x^3), that is 2 sqrt(2/pi) (x + 0.044715 x^3)
    linear = 2 * mpmath.sqrt(2 / mpmath.pi)
    for name, value in (("LINEAR", linear), ("CUBIC", linear * mpf(0.044715))):
        yield f"GELU_{name}", float(value), "and what the double lacks"
        yield f"GELU_{name}_LOW", float(value - mpf(float(value))), "of the one before"
    yield "TAIL_SHIFT", float(TAIL_SHIFT), "where the polynomial for the tail converges best"
    yield "TAIL_MIDDLE", float(TAIL_MIDDLE), "of the interval of 1 / (a + TAIL_SHIFT)"
    for name, problem in (("EXP", exponential()), ("LOG", logarithm()), ("ERF", error_function()),
                          ("TAIL", normal_tail()), ("TANH", tanh_remainder()),
                          ("SINE_SQUARE", sine_square()), ("SINE", sine())):
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
    written = {name: float(value) for name, value in re.findall(r"^#define V_(\w+) (-?\d\S*)", header, re.MULTILINE)}
    table = re.search(r"V_TWO_OVER_PI\[\d+\] = {(.*?)}", header, re.DOTALL)[1].replace("\n", "").strip(" ,")
    written |= {f"TWO_OVER_PI[{i}]": float(piece) for i, piece in enumerate(table.split(","))}
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
