"""What an element costs in each kernel, relative to copying it: the `cost` of the rows in src/*.def.

A figure is the time of an operation / the time of `identity`, in cache and on one thread.  The cost of a kernel decides
from how many elements on a call is worth a second thread; so it should be that of its value, in the dtype where it is
lower.  "<" marks a kernel that states a cost which is off by more than a quarter.  All are timed in turns, and of many
short timings the fastest counts.
"""

import argparse
import math
import time

import numpy as np

import pyactx
from pyactx._definition import REQUIRED
from pyactx._implementation import implementation

ROWS, COLUMNS = 32, 1_000
TIMING = 1e-4  # seconds
DTYPES = ("float32", "float64")
OPERATIONS = {"forward": "value", "derivative": "derivative", "backward": "backward",
              "backward_from_output": "from output", "value_and_derivative": "both"}


class Cost:
    """An operation of an activation in a dtype, and the seconds of its fastest timing so far."""

    def __init__(self, operation, activation, dtype):
        random = np.random.default_rng(0)
        arrays = {name: random.standard_normal((ROWS, COLUMNS)).astype(dtype) for name in ("x", "gate", "up")}
        values = {name: 0.25 for name, default in activation.parameters.items() if default is REQUIRED}
        arrays["y"] = activation(*(arrays[name] for name in activation.inputs), **values)
        arrays["grad"] = np.ones_like(arrays["y"])
        inputs = [arrays[name] for name in operation.inputs]
        out = operation(*inputs, **values)
        self.call = lambda: operation(*inputs, **values, out=out)
        self.seconds = math.inf

    def turn(self):
        calls = 1 if self.seconds == math.inf else round(TIMING / self.seconds) or 1
        start = time.perf_counter()
        for _ in range(calls):
            self.call()
        self.seconds = min(self.seconds, (time.perf_counter() - start) / calls)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="by default every kernel")
    parser.add_argument("--turns", type=int, default=200, metavar="N")
    chosen = parser.parse_args()
    names = chosen.names or list(implementation.kernels)
    pyactx.set_num_threads(1)

    costs = {}
    for dtype in DTYPES:
        for name in dict.fromkeys(["identity", *names]):
            activation = pyactx.get(name)
            for operation in activation.operations():
                if operation.operation in OPERATIONS:
                    costs[name, dtype, operation.operation] = Cost(operation, activation, dtype)
    for _ in range(chosen.turns):
        for cost in costs.values():
            cost.turn()

    print(f"{pyactx.show_config('dicts')['instruction_set']['used']}, {ROWS} x {COLUMNS} elements")
    print(f"{'':18}{'states':>7}{'is':>5}  " + "".join(f"{label + ', f32/f64':>22}" for label in OPERATIONS.values()))
    for name in names:
        stated = implementation.driver.describe(implementation.kernels[name])["cost"]
        ratios = {key: cost.seconds / costs["identity", key[1], "forward"].seconds
                  for key, cost in costs.items() if key[0] == name}
        measured = max(1, round(min(ratios[name, dtype, "forward"] for dtype in DTYPES)))
        cells = []
        for operation in OPERATIONS:
            pair = [ratios.get((name, dtype, operation)) for dtype in DTYPES]
            cells.append("-" if None in pair else "{:.1f} /{:6.1f}".format(*pair))
        mark = " " if 0.8 <= stated / measured <= 1.25 else "<"
        print(f"{name:18}{stated:>7}{measured:>5}{mark} " + "".join(f"{cell:>22}" for cell in cells))


if __name__ == "__main__":
    main()
