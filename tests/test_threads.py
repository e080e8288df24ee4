"""Threads: the same bits for any number of them, polite defaults, and children that do not hang after a fork."""

import math
import os
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import best_compiled, builtin, chosen

import pyactx
from pyactx import testing

WORK_PER_THREAD = 1 << 18  # in copied bytes: pyactx/_driver.pyx
N = 300_007  # worth several threads, and no multiple of anything


def run(script, timeout=120, **environment):
    """Run a script in a process of its own and return what it prints."""
    changed = {key: value for key, value in os.environ.items() if not key.startswith(("PYACTX_", "OMP_"))}
    kept = {key: os.environ[key] for key in ("PYACTX_IMPLEMENTATION",) if key in os.environ}
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=timeout,
        env={**changed, **kept, **environment}, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


@best_compiled  # the others share its driver, and its loops but for the instructions; Python is serial
def test_same_bits_for_any_number(with_ufuncs, dtype):
    values = testing.values_of(with_ufuncs, None)
    shape = (N // 101, 101) if with_ufuncs.kind == "axiswise" else (N // 7, 7)
    for operation in with_ufuncs.operations():
        inputs = testing.inputs_of(with_ufuncs, operation, np.dtype(dtype), values, shape)
        with pyactx.threads(1):
            expected = testing.as_tuple(operation(*inputs, **values))
        for threads in (2, 3, 7):
            with pyactx.threads(threads):
                got = testing.as_tuple(operation(*inputs, **values))
            assert [e.tobytes() for e in expected] == [g.tobytes() for g in got], (operation.label, threads)
        with pyactx.threads(3):
            got = testing.as_tuple(operation(*(np.asfortranarray(x) for x in inputs), **values))
        assert [e.tobytes() for e in expected] == [g.tobytes() for g in got], (operation.label, "Fortran order")


@best_compiled
def test_rows_along_a_middle_axis(axiswise, dtype):
    """Threads share the groups of rows that lie beside each other, and may begin within one."""
    for operation in axiswise.operations():
        inputs = testing.inputs_of(axiswise, operation, np.dtype(dtype), {}, (5, 211, 103))
        if any(x.shape != inputs[-1].shape for x in inputs):
            continue
        expected = testing.as_tuple(operation(*inputs))
        apart = [np.ascontiguousarray(np.swapaxes(x, 1, 2)) for x in inputs]
        for threads in (1, 2, 3):
            with pyactx.threads(threads):
                got = testing.as_tuple(operation(*apart, axis=1))
            for rows, columns in zip(expected, got):
                moved = np.swapaxes(columns, 1, 2) if columns.ndim == 3 else columns
                assert np.array_equal(rows, moved, equal_nan=True), (operation.label, threads)


@best_compiled
def test_parameters_that_are_arrays(activations, dtype):
    """Each thread finds the values that belong to its elements."""
    for name in builtin():
        activation = activations[name]
        definition = activation._definition
        if definition.composed or not definition.parameters or definition.kind == "axiswise":
            continue
        generator = np.random.default_rng(30)
        arrays = generator.normal(size=(len(activation.inputs), 601, 499)).astype(dtype)
        parameters = generator.uniform(0.5, 1.5, (len(definition.parameters), 499)).astype(dtype)
        with pyactx.threads(1):
            expected = activation(*arrays, *parameters).tobytes()
        with pyactx.threads(3):
            assert activation(*arrays, *parameters).tobytes() == expected, name


def test_default_and_limits():
    script = "import pyactx; print(pyactx.get_num_threads(), pyactx.show_config(mode='dicts')['threads']['source'])"
    assert run(script, PYACTX_NUM_THREADS="3", OMP_NUM_THREADS="5") == "3 PYACTX_NUM_THREADS\n"
    assert run(script, OMP_NUM_THREADS="5") == "5 OMP_NUM_THREADS\n"
    assert run(script, OMP_NUM_THREADS="4,2") == "4 OMP_NUM_THREADS\n"
    number, source = run(script).split(" ", 1)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert 1 <= int(number) <= cores and source.strip() in ("processor affinity", "control group quota")


def test_quota_of_control_groups(monkeypatch):
    from pyactx import _threads

    def quota(files):
        monkeypatch.setattr(_threads, "_read", lambda path: files.get(path, ""))
        return _threads.cpu_quota()

    assert quota({}) is None
    assert quota({"/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "max 100000\n"}) is None
    assert quota({"/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/cpu.max": "150000 100000\n",
                  "/sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}) == 2
    assert quota({"/proc/self/cgroup": "4:cpu,cpuacct:/x\n", "/sys/fs/cgroup/cpu/x/cpu.cfs_quota_us": "50000\n",
                  "/sys/fs/cgroup/cpu/x/cpu.cfs_period_us": "100000\n"}) == 1
    assert quota({"/proc/self/cgroup": "4:cpu:/\n", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
                  "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n"}) is None


def test_set_and_get():
    before = pyactx.get_num_threads()
    try:
        pyactx.set_num_threads(3)
        assert pyactx.get_num_threads() == 3
        with pyactx.threads(2):
            assert pyactx.get_num_threads() == 2
            with pyactx.threads(5):
                assert pyactx.get_num_threads() == 5
            assert pyactx.get_num_threads() == 2
            with ThreadPoolExecutor(1) as pool:  # the limit is that of the caller's thread
                assert pool.submit(pyactx.get_num_threads).result() == 3
        assert pyactx.get_num_threads() == 3
    finally:
        pyactx.set_num_threads(before)


@pytest.mark.parametrize("n, error, text", [
    (0, ValueError, "threads must be at least 1, got 0"), (-2, ValueError, "threads must be at least 1, got -2"),
    (1.5, TypeError, "threads must be an integer, got 1.5"), ("2", TypeError, "threads must be an integer, got '2'"),
    (True, TypeError, "threads must be an integer, got True")])
def test_bad_numbers(n, error, text):
    before = pyactx.get_num_threads()
    with pytest.raises(error, match=text):
        pyactx.set_num_threads(n)
    with pytest.raises(error, match=text), pyactx.threads(n):
        pass
    assert pyactx.get_num_threads() == before


def test_import_and_small_arrays_start_no_thread():
    script = """
        import os, sys
        import numpy as np
        def count():
            return len(os.listdir("/proc/self/task")) if sys.platform == "linux" else 0
        before = count()
        import pyactx, pyactx.testing
        x = np.ones(1000, np.float32)
        for name in pyactx.names():
            activation = pyactx.get(name)
            activation(*[x] * len(activation.inputs), **pyactx.testing.values_of(activation, None))
        print(count() - before, "pyactx._omp" in sys.modules)
    """
    assert run(script, PYACTX_NUM_THREADS="2") == "0 False\n"


@pytest.mark.parametrize("operation", ["", ".backward_from_output"], ids=["value", "from output"])
@pytest.mark.parametrize("name", ["relu", "sigmoid", "entmax"])
def test_threads_start_where_they_pay(compiled, dtype, name, operation):
    """The cost of a kernel decides, and the size of its elements; from the output on it costs a quarter."""
    cost = chosen.driver.describe(chosen.kernels[name])["cost"]
    cost = max(cost // 4, 1) if operation else cost
    half = math.ceil(WORK_PER_THREAD / (cost * np.dtype(dtype).itemsize))
    script = f"""
        import sys
        import numpy as np, pyactx
        for columns in {half - 1}, {half}:
            x = np.zeros((2, columns), {dtype!r})
            pyactx.{name}{operation}(*[x] * {2 if operation else 1})
            print("pyactx._omp" in sys.modules)
    """
    assert run(script, PYACTX_NUM_THREADS="2") == "False\nTrue\n"
    assert run(script, PYACTX_NUM_THREADS="1") == "False\nFalse\n"


def test_callers_in_many_threads(activation, implementation, dtype):
    """Callers share one object, compute the right bits, and keep their own limits."""
    values = testing.values_of(activation, None)
    shape = (400, 500) if implementation.compiled else (20, 50)
    arrays = np.random.default_rng(19).normal(size=(len(activation.inputs), *shape)).astype(dtype)
    expected = activation(*arrays, **values).tobytes()
    barrier = threading.Barrier(4)

    def call(k):
        barrier.wait()
        with pyactx.threads(1 + k % 3):
            return all(activation(*arrays, **values).tobytes() == expected for _ in range(3))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(call, range(4)))


FORK = """
    import multiprocessing, os, sys, threading, warnings
    import numpy as np
    import pyactx

    warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of fork in a process with threads
    pyactx.set_num_threads(2)
    x = np.linspace(-8, 8, 2_000_000, dtype=np.float32)
    expected = pyactx.sigmoid(x).tobytes()

    def check():
        assert pyactx.get_num_threads() == 1
        assert pyactx.sigmoid(x).tobytes() == expected
        assert pyactx.softmax(x.reshape(-1, 100)).shape == (20_000, 100)
        assert pyactx.tanh(x.reshape(2, -1).T).shape == (1_000_000, 2)

    def fork():
        child = os.fork()
        if child == 0:
            try:
                check()
                grandchild = os.fork()
                if grandchild == 0:
                    check()
                    os._exit(0)
                os._exit(os.waitpid(grandchild, 0)[1])
            except BaseException:
                import traceback
                traceback.print_exc()
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("how", ["""
    fork()
""", """
    context = multiprocessing.get_context("fork")
    process = context.Process(target=check)
    process.start()
    process.join(60)
    assert process.exitcode == 0, process.exitcode
""", """
    def second():
        pyactx.sigmoid(x)
        fork()
    thread = threading.Thread(target=second)
    thread.start()
    thread.join()
    fork()
""", """
    with multiprocessing.get_context("fork").Pool(2) as pool:
        results = pool.map(pyactx.sigmoid, [x, x])
    assert all(result.tobytes() == expected for result in results)
"""], ids=["os.fork", "multiprocessing", "second thread", "pool"])
def test_a_forked_child_computes(how):
    script = textwrap.dedent(FORK) + textwrap.dedent(how) + 'print("done")\n'
    assert run(script, timeout=100) == "done\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_stays_serial():
    script = textwrap.dedent(FORK) + textwrap.dedent("""
        def set_threads():
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                pyactx.set_num_threads(4)
            assert [w.category for w in caught] == [RuntimeWarning] and "forked" in str(caught[0].message)
            assert pyactx.get_num_threads() == 1
            assert pyactx.show_config(mode="dicts")["threads"]["forked_child"]
        process = multiprocessing.get_context("fork").Process(target=set_threads)
        process.start()
        process.join(60)
        assert process.exitcode == 0
        assert pyactx.get_num_threads() == 2
        print("done")
    """)
    assert run(script) == "done\n"


def test_without_openmp(compiled):
    """An OpenMP part that cannot be loaded means one warning and serial calls, nothing else."""
    script = """
        import sys, types, warnings
        import numpy as np
        class Broken:
            def find_spec(self, name, path=None, target=None):
                if name == "pyactx._omp":
                    raise ImportError("libgomp.so.1: cannot open shared object file")
        sys.meta_path.insert(0, Broken())
        import pyactx
        pyactx.set_num_threads(2)
        x = np.linspace(-8, 8, 2_000_000, dtype=np.float32)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            y = [pyactx.sigmoid(x) for _ in range(3)]
        assert (y[0] == y[1]).all() and y[0][0] < 0.001
        print([str(w.message) for w in caught], pyactx.show_config(mode="dicts")["openmp"]["available"])
    """
    assert run(script) == ("['pyactx: OpenMP cannot be loaded, calls are serial: libgomp.so.1: cannot open shared "
                           "object file'] False\n")
    # Where it was not built at all, as on macOS, that is no reason to warn.
    absent = script.replace("ImportError(", "ModuleNotFoundError(")
    assert run(absent) == "[] False\n"
