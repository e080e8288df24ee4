"""Regenerate the constants of the vocabularies: src/vecmath.h and src/singlemath.h.

Each polynomial is fitted to the function it serves in relative error, at 60 digits: for doubles the minimax one (Remez'
exchange), its coefficients then rounded; for floats, whose rounding would cost more than the fit, by least squares over
Chebyshev's nodes, one coefficient rounded after the other and the rest fitted anew.  The error printed is measured with
the rounded coefficients.

    python tools/coefficients.py            # prints every constant and the error it leaves
    python tools/coefficients.py --check    # exits 1 if a header has other digits, a constant more or one less

Needs mpmath.
"""

import argparse
import re
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
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
TAIL_SHIFT, TAIL_OFFSET = mpf("5.5"), mpf("1.25")
TAIL_LOW, TAIL_HIGH = 1 / (TAIL_SHIFT + mpf("38.7")), 1 / TAIL_SHIFT
TAIL_MIDDLE = mpf("0.109375")


def scaled_tail(a):
    return mpmath.erfc(a / mpmath.sqrt(2)) * mpmath.exp(a * a / 2) / 2


GELU_ROOT = mpmath.findroot(lambda a: scaled_tail(a) - DENSITY_AT_0 * a, mpf("0.75"))  # of -gelu'(-a)


def bend_over_distance(a):
    if abs(a - GELU_ROOT) < mpf("1e-15"):
        a += mpf("1e-15")
    return (scaled_tail(a) - DENSITY_AT_0 * a) / (GELU_ROOT - a)


def of_shifted(function, degree):
    """Return the problem of a function of a, as a polynomial in 1/(a + shift) - middle for 0 <= a <= 38.7."""

    def target(v):
        return function(1 / (TAIL_MIDDLE + v) - TAIL_SHIFT)

    return target, lambda v: 1 / target(v), TAIL_LOW - TAIL_MIDDLE, TAIL_HIGH - TAIL_MIDDLE, degree


def normal_tail():
    """Phi(-a) exp(a^2/2) (a + offset)."""
    return of_shifted(lambda a: scaled_tail(a) * (a + TAIL_OFFSET), 22)


def bend_of_gelu():
    """(Phi(-a) exp(a^2/2) - phi(0) a)/(root - a)."""
    return of_shifted(bend_over_distance, 20)


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


# ---- Problems of singlemath.h ----------------------------------------------------------------------------------------


def exponential_of_single():
    """exp(r) = 1 + r + r^2 P(r) on |r| <= ln(2)/2, relative to exp."""
    target, weight, low, high, _ = exponential()
    return target, lambda r: r**2 / mpmath.exp(r), low, high, 4


def exponential_less_1_of_single():
    """expm1(r) = r + r^2 P(r) on |r| <= ln(2)/2."""
    target, weight, low, high, _ = exponential()
    return target, weight, low, high, 5


def area_tangent():
    """log(1+e) = s (1 + s^2 L(s^2)), s = 2e/(2+e), for 0 <= e <= 1."""

    def target(z):
        if z < mpf("1e-20"):
            return mpf(1) / 12
        s = mpmath.sqrt(z) / 2
        return (mpmath.atanh(s) / s - 1) / z

    return target, lambda z: z / (1 + z * target(z)), mpf(0), mpf(4) / 9 * mpf("1.0001"), 3


def hyperbolic_tangent():
    """tanh(x) = x + x^3 T(x^2) on |x| <= 1."""

    def target(z):
        if z < mpf("1e-18"):
            return -mpf(1) / 3 + 2 * z / 15
        x = mpmath.sqrt(z)
        return (mpmath.tanh(x) / x - 1) / z

    return target, lambda z: z / (1 + z * target(z)), mpf(0), mpf(1), 7


def tanh_remainder_of_single():
    """(x - tanh(x))/x^3 on |x| <= 1."""

    def target(z):
        if z < mpf("1e-18"):
            return mpf(1) / 3 - 2 * z / 15
        x = mpmath.sqrt(z)
        return (1 - mpmath.tanh(x) / x) / z

    return target, lambda z: 1 / target(z), mpf(0), mpf(1), 7


def error_function_of_single():
    """erf(x) = x + x E(x^2) on |x| <= 0.9."""
    target, weight, low, _, _ = error_function()
    return target, weight, low, mpf("0.9") ** 2, 6


def complementary_error_function():
    """1 - erf(a) = exp(C(a)) on 0.9 <= a <= 4, in absolute error."""
    return lambda a: mpmath.log(mpmath.erfc(a)), mpmath.erfc, mpf("0.9"), mpf(4), 7


SINGLE_MIDDLE = mpf("0.171875")
SINGLE_FAR = mpf("14.75")  # beyond which a value of gelu is 0 in float32


def of_place(function, degree):
    """Return the problem of a function of a, as a polynomial in 1/(a + 3) - middle for 0 <= a <= 14.75."""

    def target(v):
        return function(1 / (v + SINGLE_MIDDLE) - 3)

    return target, lambda v: 1 / target(v), 1 / (SINGLE_FAR + 3) - SINGLE_MIDDLE, mpf(1) / 3 - SINGLE_MIDDLE, degree


def normal_tail_of_single():
    """Phi(-a) exp(a^2/2) (a + 3)."""
    return of_place(lambda a: scaled_tail(a) * (a + 3), 10)


def bend_of_gelu_of_single():
    """(Phi(-a) exp(a^2/2) - phi(0) a)/(root - a)."""
    return of_place(bend_over_distance, 9)


# ---- Headers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Constant:
    """A constant, or a table of them."""

    name: str
    value: float | int | list
    error: mpf  # relative, of the number or of the function that it is a coefficient of
    meaning: str


@dataclass(frozen=True)
class Header:
    """What the names of its constants begin with, the binary digits of its numbers, and the constants."""

    name: str
    prefix: str
    digits: int
    constants: Callable


def rounded(x, digits):
    """Return a number of so many binary digits."""
    with mpmath.workprec(digits):
        return float(+mpf(x))


def number(name, exact, meaning, digits):
    value = rounded(exact, digits)
    return Constant(name, value, abs(value / exact - 1), meaning)


def two_numbers(name, exact, meaning, digits):
    """Return a number and what its rounding has lost."""
    high = number(name, exact, meaning, digits)
    return high, number(f"{name}_LOW", exact - mpf(high.value), f"{meaning}, less {name}", digits)


def polynomial(name, problem, digits, two_numbers_first=False):
    """Return the coefficients that solve a problem, such as exponential()."""
    target, weight, low, high, degree = problem()
    exact = minimax(target, weight, low, high, degree)
    coefficients = [mpf(rounded(c, digits)) for c in exact]
    meaning, more = re.split(r",| on ", problem.__doc__)[0].rstrip("."), []
    if two_numbers_first:
        rest = rounded(exact[0] - coefficients[0], digits)
        coefficients[0] += rest
        more = [(f"{name}_0_LOW", rest)]
    grid = [low + (high - low) * i / 4000 for i in range(4001)]
    error = max(weight(x) * abs(mpmath.polyval(coefficients[::-1], x) - target(x)) for x in grid)
    numbers = [(f"{name}_{power}", rounded(c, digits)) for power, c in enumerate(coefficients)]
    return [Constant(key, value, error, f"of {meaning}") for key, value in numbers + more]


def fitted(name, problem, digits, two_numbers_first=False):
    """Return the coefficients that solve a problem, each rounded before the ones after it are fitted."""
    target, weight, low, high, degree = problem()
    middle, radius, count = (low + high) / 2, (high - low) / 2, 200
    nodes = [middle - radius * mpmath.cos(mpmath.pi * (i + mpf(1) / 2) / count) for i in range(count)]
    scale = max(abs(low), abs(high))
    rows = [[weight(x) * (x / scale) ** power for power in range(degree + 1)] for x in nodes]
    rest = [weight(x) * target(x) for x in nodes]
    meaning, coefficients, exact = re.split(r",| on ", problem.__doc__)[0].rstrip("."), [], []
    for power in range(degree + 1):
        normal = mpmath.matrix([[mpmath.fsum(row[i] * row[j] for row in rows) for j in range(power, degree + 1)]
                                for i in range(power, degree + 1)])
        right = mpmath.matrix([mpmath.fsum(row[i] * r for row, r in zip(rows, rest, strict=True))
                               for i in range(power, degree + 1)])
        exact.append(mpmath.lu_solve(normal, right)[0] / scale**power)
        value = mpf(rounded(exact[power], digits))
        if power == 0 and two_numbers_first:
            value += rounded(exact[0] - value, digits)
        coefficients.append(value)
        rest = [r - row[power] * value * scale**power for row, r in zip(rows, rest, strict=True)]
    grid = [low + (high - low) * i / 4000 for i in range(1, 4001)]
    error = max(weight(x) * abs(mpmath.polyval(coefficients[::-1], x) - target(x)) for x in grid)
    for power, value in enumerate(coefficients):
        high = rounded(value, digits)
        yield Constant(f"{name}_{power}", high, error, f"of {meaning}")
        if value != high:
            yield Constant(f"{name}_{power}_LOW", float(value - high), error, f"of {meaning}")


def two_over_pi():
    """Return 2/pi in pieces of 24 bits, times 2^120, after three zeros: as many as the largest double needs."""
    with mpmath.workprec(1300):
        exact = rest = mpmath.ldexp(2 / mpmath.pi, 120)
        pieces = [0.0, 0.0, 0.0]
        for place in range(96, 96 - 24 * 47, -24):
            piece = mpmath.ldexp(mpmath.floor(mpmath.ldexp(rest, -place)), place)
            pieces.append(float(piece))
            rest -= piece
        return Constant("TWO_OVER_PI", pieces, rest / exact, "2^120 2 / pi, in pieces of 24 bits after three zeros")


def constants_of_vecmath(digits=53):
    log2, pi = mpmath.log(2), mpmath.pi
    high = leading(log2, 32)
    yield number("LOG2_E", 1 / log2, "1 / ln 2", digits)
    yield Constant("LN2_HIGH", float(high), abs(high / log2 - 1), "ln 2 to 32 bits: n LN2_HIGH is exact for |n| < 2^21")
    yield number("LN2_LOW", log2 - high, "ln 2, less LN2_HIGH", digits)
    yield number("DENSITY_AT_0", DENSITY_AT_0, "1 / sqrt(2 pi)", digits)
    yield two_over_pi()
    yield from two_numbers("HALF_PI", pi / 2, "pi / 2", digits)
    yield number("SQRT_2", mpmath.sqrt(2), "sqrt(2)", digits)
    yield number("ERF_SLOPE", 2 / mpmath.sqrt(pi), "2 / sqrt(pi)", digits)
    # gelu_tanh(x) = x sigma(LINEAR x + CUBIC x^3), that is 2 sqrt(2/pi) (x + 0.044715 x^3)
    yield from two_numbers("GELU_LINEAR", 2 * mpmath.sqrt(2 / pi), "2 sqrt(2 / pi)", digits)
    yield from two_numbers("GELU_CUBIC", 2 * mpmath.sqrt(2 / pi) * mpf(0.044715), "0.044715 times that", digits)
    yield number("TAIL_SHIFT", TAIL_SHIFT, "where the polynomial for the tail converges best", digits)
    yield number("TAIL_OFFSET", TAIL_OFFSET, "times a + it the tail is nearly constant", digits)
    yield number("TAIL_MIDDLE", TAIL_MIDDLE, "of the interval of 1 / (a + TAIL_SHIFT), a little to the right", digits)
    yield number("ROUND", mpf(1.5) * 2**52, "1.5 * 2^52: the last digit of the sum with it is that of 1", digits)
    yield number("SPLIT", 2**27 + 1, "2^27 + 1: the product with it splits a number in halves", digits)
    yield number("DECAY_UNIT", mpf(2) ** -1000, "2^-1000: exp(-1400) in such units is normal", digits)
    yield number("NORMAL_END", mpf(40), "where the tail of the normal distribution is 0", digits)
    half = number("SQRT_HALF_BITS", mpmath.sqrt(mpf(1) / 2), "the bits of sqrt(1 / 2)", digits)
    yield replace(half, value=int.from_bytes(struct.pack(">d", half.value)))
    for name, problem in (("EXP", exponential), ("LOG", logarithm), ("ERF", error_function), ("TANH", tanh_remainder),
                          ("SINE_SQUARE", sine_square), ("SINE", sine)):
        yield from polynomial(name, problem, digits)
    yield from polynomial("TAIL", normal_tail, digits, two_numbers_first=True)
    yield from polynomial("BEND", bend_of_gelu, digits, two_numbers_first=True)
    yield from two_numbers("GELU_ROOT", GELU_ROOT, "where -gelu'(-a) is 0", digits)


def constants_of_singlemath(digits=24):
    log2, pi = mpmath.log(2), mpmath.pi
    high = leading(log2, 16)
    yield number("LOG2_E", 1 / log2, "1 / ln 2", digits)
    yield Constant("LN2_HIGH", float(high), abs(high / log2 - 1), "ln 2 to 16 bits: n LN2_HIGH is exact for |n| < 2^8")
    yield number("LN2_LOW", log2 - high, "ln 2, less LN2_HIGH", digits)
    yield number("ROUND", mpf(1.5) * 2**23, "1.5 * 2^23: the last digit of the sum with it is that of 1", digits)
    yield number("UNIT", mpf(2) ** -32, "2^-32: 1 + exp(109), times it, is finite", digits)
    problems = {"EXP": exponential_of_single, "EXPM1": exponential_less_1_of_single, "LOG": area_tangent,
                "TANH": hyperbolic_tangent, "ERF": error_function_of_single, "ERFC": complementary_error_function}
    for name, problem in problems.items():
        yield from fitted(name, problem, digits)
    yield from fitted("TANH_REMAINDER", tanh_remainder_of_single, digits, two_numbers_first=True)
    yield number("PLACE_MIDDLE", SINGLE_MIDDLE, "of the interval of 1 / (a + 3), a little to the left", digits)
    yield from fitted("TAIL", normal_tail_of_single, digits, two_numbers_first=True)
    yield from fitted("BEND", bend_of_gelu_of_single, digits, two_numbers_first=True)
    yield from two_numbers("GELU_ROOT", GELU_ROOT, "where -gelu'(-a) is 0", digits)
    yield from two_numbers("SIXTH", mpf(1) / 6, "1 / 6", digits)
    yield from two_numbers("ERF_SLOPE", 2 / mpmath.sqrt(pi), "2 / sqrt(pi)", digits)
    scale, alpha = mpf("1.0507009873554804934193349852946"), mpf("1.6732632423543772848170429916717")
    yield from two_numbers("SELU", scale, "the scale of selu", digits)
    yield from two_numbers("SELU_ALPHA", scale * alpha, "times its alpha", digits)
    yield from two_numbers("QUICK_GELU", mpf("1.702"), "the slope of quick_gelu", digits)
    linear = 2 * mpmath.sqrt(2 / pi)
    cubic = linear * mpf("0.044715")
    yield from two_numbers("GELU_LINEAR", linear, "2 sqrt(2 / pi)", digits)
    yield from two_numbers("GELU_CUBIC", cubic, "0.044715 times that", digits)
    # The factors, 1/exp at the roots, have a bit to spare for the sum with a power of two.
    root = mpmath.findroot(lambda z: 1 + z + mpmath.exp(z), mpf("-1.28"))
    yield from two_numbers("SILU_ROOT", root, "where silu' is 0", digits)
    yield from two_numbers("SILU_FACTOR", mpmath.exp(-root), "exp(-SILU_ROOT)", digits - 2)

    def argument(x):
        return x * (linear + cubic * x**2)

    root = mpmath.findroot(lambda x: 1 + argument(x) + mpmath.exp(argument(x)) + 2 * cubic * x**3, mpf("-0.75"))
    yield from two_numbers("GELU_TANH_ROOT", root, "where gelu_tanh' is 0", digits)
    yield from two_numbers("GELU_TANH_SQUARE", root**2, "its square", digits)
    yield from two_numbers("GELU_TANH_FACTOR", mpmath.exp(-argument(root)), "1 / exp there", digits - 2)
    # mish' is e w / q^2 with e = exp(x), q = e^2 + 2e + 2 and, at d from the root,
    # w = 4 d (1 + e) + (e - MISH_EXP) (q + MISH_LINEAR e + MISH_CONSTANT)

    def mish_slope(x):
        return 4 * (x + 1) + (4 * x + 6) * mpmath.exp(x) + 4 * mpmath.exp(2 * x) + mpmath.exp(3 * x)

    root = mpmath.findroot(mish_slope, mpf("-1.19"))
    e = mpmath.exp(root)
    yield from two_numbers("MISH_ROOT", root, "where mish' is 0", digits)
    yield from two_numbers("MISH_EXP", e, "exp there", digits)
    yield number("MISH_LINEAR", 2 + e, "2 + MISH_EXP", digits)
    yield number("MISH_CONSTANT", 4 * root + 4 + 4 * e + e**2, "4 + 4 MISH_ROOT + 4 MISH_EXP + MISH_EXP^2", digits)


HEADERS = [Header("vecmath.h", "V_", 53, constants_of_vecmath),
           Header("singlemath.h", "S_", 24, constants_of_singlemath)]


def literal(value, header):
    """Return how a number is written, in as few digits as tell it from its neighbours."""
    if isinstance(value, int):
        return f"{value:#x}"
    texts = [repr(value)] if header.digits == 53 else [f"{float(f'{value:.{k}g}')!r}f" for k in range(1, 10)]
    return next(text for text in texts if value_of(text, header) == value)


def value_of(text, header):
    """Return the number that a literal is, or None where it is none."""
    if re.fullmatch("0x[0-9a-f]+", text):
        return int(text, 16)
    text = text.removesuffix("f")
    try:
        return rounded(float.fromhex(text) if "x" in text else text, header.digits)
    except ValueError:
        return None


def written(header):
    """Return {name: value} of the constants that a header has; of a table a list."""
    text = (Path(__file__).parent.parent / "src" / header.name).read_text()
    numbers = re.findall(rf"^#define {header.prefix}(\w+) ([-.(\d]\S*)", text, re.MULTILINE)
    tables = re.findall(rf"^static const \w+ {header.prefix}(\w+)\[\d+\] = {{(.*?)}};", text, re.MULTILINE | re.DOTALL)
    return {name: value_of(value, header) for name, value in numbers} | {
        name: [value_of(value, header) for value in re.findall(r"[^\s,]+", values)] for name, values in tables}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="compare with the headers instead of printing")
    check, wrong = parser.parse_args().check, 0
    for header in HEADERS:
        left = written(header)
        for constant in header.constants(header.digits):
            name, value = header.prefix + constant.name, constant.value
            if isinstance(value, list):
                line = f"static const double {name}[{len(value)}] = {{{', '.join(literal(v, header) for v in value)}}};"
            else:
                line = f"#define {name} {literal(value, header)}"
            if not check:
                error = f"relative error 2^{float(mpmath.log(constant.error, 2)):.1f}" if constant.error else "exact"
                print(f"{line}  /* {constant.meaning}: {error} */")
            elif left.pop(constant.name, None) != value:
                wrong += 1
                print(f"{header.name}: {name} has another value than here: {line}", file=sys.stderr)
        for name in left if check else ():
            wrong += 1
            print(f"{header.name}: {header.prefix}{name} is not regenerated here", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
