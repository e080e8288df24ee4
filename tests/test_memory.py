"""What a call allocates: nothing that grows with the arrays where there is `out`, else the result and nothing more.

Python's and NumPy's allocations are seen by tracemalloc, those of C by the most memory that a process ever had.  What
is made of other activations may hold intermediate results.
"""

import os
import tracemalloc

import numpy as np
import pytest
from conftest import best_compiled, builtin
from test_threads import run

import pyactx
from pyactx import testing

ROWS, COLUMNS = 256, 1024
N = ROWS * COLUMNS
SMALL = 20_000  # bytes: of Python objects, and far less than one for each element

needs_most_memory = pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="needs /proc/self/status: the most memory that a process ever had")


def arguments(activation, operation, dtype):
    values = testing.values_of(activation, None)
    return testing.inputs_of(activation, operation, np.dtype(dtype), values, (ROWS, COLUMNS)), values


def traced(call):
    """Return what a call allocates at most, what is left of it, and its result.

    Of three tries the one that takes least: the other threads of the process are seen too.
    """
    return min((traced_once(call) for _ in range(3)), key=lambda figures: figures[0])


def traced_once(call):
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        result = call()
        left, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    return most - before, left - before, result


@best_compiled
def test_out_allocates_nothing(with_ufuncs, dtype):
    for operation in with_ufuncs.operations():
        inputs, values = arguments(with_ufuncs, operation, dtype)
        out = operation(*inputs, **values)
        assert traced(lambda: operation(*inputs, **values, out=out))[0] < SMALL, operation.label  # noqa: B023


@best_compiled
@pytest.mark.parametrize("limit", [0, 1 << 26], ids=["NumPy's", "pool"])
def test_a_fresh_result_is_all_that_is_allocated(with_ufuncs, dtype, limit):
    before = pyactx.get_pool_limit()
    pyactx.set_pool_limit(limit)
    try:
        for operation in with_ufuncs.operations():
            inputs, values = arguments(with_ufuncs, operation, dtype)
            operation(*inputs, **values)
            most, left, result = traced(lambda: operation(*inputs, **values))  # noqa: B023
            size = sum(part.nbytes for part in testing.as_tuple(result))
            assert size <= left <= most < size + SMALL, operation.label
    finally:
        pyactx.set_pool_limit(before)


RETURNED = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}  # glibc gives back what is freed

MOST_MEMORY = """
    import numpy as np, pyactx
    from pyactx import testing

    def most():
        with open("/proc/self/status") as stream:
            return next(int(line.split()[1]) << 10 for line in stream if line.startswith("VmHWM"))

    def ones(*shape):
        return np.ones(shape, np.float32)

    def calls(names, arrange):
        for activation in map(pyactx.get, names):
            values = testing.values_of(activation, None)
            for operation in activation.operations():
                inputs = [number if activation._definition.reduces and name == "grad" else array
                          for name, array in zip(operation.inputs, arrange(arrays))]
                out = arrange(outs)[: operation.outputs]
                if activation.kind == "axiswise" and operation.reduced[1]:
                    out = [number_out]
                result = operation(*inputs, **values, out=tuple(out) if operation.outputs > 1 else out[0])
                del result

    def prepare(rows, columns):
        global arrays, outs, number, number_out
        arrays = outs = None  # what is given back now would hide what is allocated later
        arrays, outs = [ones(rows, columns) for _ in range(3)], [ones(rows, columns) for _ in range(2)]
        number, number_out = ones(rows), ones(rows)
"""


@needs_most_memory
def test_kernels_allocate_nothing(compiled):
    """One byte for each of 524 288 elements would show.  Nor do rows that lie apart need more than a bounded buffer."""
    script = f"""
    names = {builtin(composed=False)}
    prepare(64, 1024)
    for arrange in (lambda a: a), (lambda a: [x.copy(order="F") for x in a]):
        calls(names, arrange)
    prepare(512, 1024)
    before = most()
    calls(names, lambda arrays: arrays)
    in_rows = most() - before
    calls([n for n in names if pyactx.get(n).kind == "axiswise"], lambda arrays: [x[::-1, ::-1] for x in arrays])
    reversed_ = most() - before
    seen = np.ones(1 << 20, np.uint8)
    print(in_rows, reversed_, most() - before)
    """
    in_rows, apart, seen = map(int, run(MOST_MEMORY + script, timeout=300, PYACTX_NUM_THREADS="1", **RETURNED).split())
    assert in_rows < 1 << 19
    assert apart < 3 << 19, "three arrays of 65 536 elements"
    assert seen > 3 << 18, "what would be allocated is seen"


@needs_most_memory
def test_a_fresh_result_takes_its_pages(compiled):
    """No more than a huge page beyond, whether its memory is new or was used before."""
    script = """
    prepare(4096, 1024)
    x = arrays[0]
    before = most()
    y = pyactx.relu(x)
    first = most() - before
    for _ in range(3):
        del y
        y = pyactx.relu(x)
    print(first, most() - before)
    """
    first, later = map(int, run(MOST_MEMORY + script).split())
    assert 16 << 20 <= first <= 18 << 20 and later <= 18 << 20
