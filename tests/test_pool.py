"""Memory of large results is used again, within a limit, and never while anybody can see it."""

import ctypes
import gc
import itertools
import mmap
import os
import pickle
import random
import threading
import tracemalloc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from conftest import chosen
from test_threads import run

import pyactx

in_pages_of_4_KiB = pytest.mark.skipif(
    not os.path.exists("/proc/self/statm") or mmap.PAGESIZE != 4096, reason="needs /proc/self/statm in pages of 4 KiB")

LARGE = 40_000  # float32 elements of a result that takes its memory from the pool
MOST_BLOCKS = 128


@pytest.fixture
def driver(compiled):
    """The compiled driver, with an empty pool of 64 MiB."""
    before = pyactx.get_pool_limit()
    gc.collect()
    pyactx.clear_pool()
    pyactx.set_pool_limit(1 << 26)
    yield chosen.driver
    pyactx.set_pool_limit(before)


def filled(number, n=LARGE):
    """Return a result of n elements that are all this number."""
    return pyactx.relu(np.full(n, number, np.float32))


def address(array):
    return array.__array_interface__["data"][0]


def block_size(nbytes):
    """Return what the pool makes of so many bytes: eight sizes between powers of two, and whole pages of 64 KiB."""
    return next(
        size for power in itertools.count(16) for eighths in range(8, 16)
        if (size := (1 << power) // 8 * eighths) >= nbytes and size % (1 << 16) == 0)


# ---- What is used again


def test_rows_along_any_axis_take_part(driver):
    x = np.zeros((200, 300), np.float32)
    for axis in (0, 1, -1, -2):
        y = pyactx.softmax(x, axis=axis)
        before = address(y)
        del y
        assert address(pyactx.softmax(x, axis=axis)) == before


def test_the_next_result_gets_the_memory_of_the_last(driver):
    first, second = filled(1), filled(2)
    addresses = address(first), address(second)
    del first, second
    assert driver.get_pool_idle() == 2 * block_size(4 * LARGE)
    third, fourth = filled(3), filled(4)
    assert (address(fourth), address(third)) == addresses, "the most recently used comes first"
    assert driver.get_pool_idle() == 0
    assert (third == 3).all() and (fourth == 4).all()


def test_every_result_of_an_operation_is_its_own(driver):
    x = np.linspace(-3, 3, LARGE, dtype=np.float32)
    for _ in range(3):
        value, derivative = pyactx.tanh.value_and_derivative(x)
        assert not np.shares_memory(value, derivative)
        del value, derivative
        assert driver.get_pool_idle() == 2 * block_size(x.nbytes)


def test_sizes_that_differ_little_share_and_waste_is_bounded(driver):
    for n in (LARGE, 100_001, 1_000_000, 3_333_333):
        first = address(filled(1, n))
        idle = driver.get_pool_idle()
        assert 4 * n <= idle <= max(4 * n * 9 / 8, 4 * n + (1 << 16))
        assert address(filled(2, idle // 4)) == first, "what fits is used"
        bigger = filled(3, idle // 4 + 1)
        assert address(bigger) != first
        smaller = filled(4, n // 2)
        assert not first <= address(smaller) < first + idle, "half the size would waste the other half"
        del bigger, smaller
        pyactx.clear_pool()


def test_memory_begins_a_page(driver):
    """Elsewhere in a page, inputs and results may hinder each other."""
    assert all(address(filled(1, n)) % 4096 == 0 for n in (LARGE, 5 * LARGE, 100 * LARGE))


def test_small_results_are_left_to_numpy(driver):
    for n in (1, 1000, (1 << 15) - 1):
        assert np._core.multiarray.get_handler_name(filled(1, n)) == "default_allocator"
    assert np._core.multiarray.get_handler_name(filled(1, 1 << 15)) == "pyactx_pool"


# ---- What anybody can still see


class Subclass(np.ndarray):
    pass


def through_interface(y):
    return type("Holder", (), {"__array_interface__": y.__array_interface__, "owner": y})()


VIEWS = {
    "itself": lambda y: y,
    "slice": lambda y: y[10:20],
    "step": lambda y: y[::-7],
    "element": lambda y: y[-1:],
    "shape": lambda y: y.reshape(2, -1).T,
    "empty": lambda y: y[:0],
    "dtype": lambda y: y.view(np.uint8),
    "subclass": lambda y: y.view(Subclass),
    "subclass of a slice": lambda y: y[5:].view(Subclass)[5:],
    "broadcast": lambda y: np.broadcast_to(y, (3, y.size)),
    "memoryview": lambda y: np.asarray(memoryview(y)),
    "slice of a memoryview": lambda y: memoryview(y)[7:9],
    "bytes": lambda y: memoryview(y).cast("B"),
    "buffer": lambda y: np.frombuffer(y, np.float32, 4, 16),
    "DLPack": lambda y: np.from_dlpack(y),
    "capsule": lambda y: y.__dlpack__(),
    "interface": lambda y: np.asarray(through_interface(y)),
    "ctypes": lambda y: y.ctypes.data_as(ctypes.POINTER(ctypes.c_float)),
    "iterator": lambda y: iter(y),
    "flat": lambda y: y.flat,
    "nditer": lambda y: np.nditer(y),
    "masked": lambda y: np.ma.masked_array(y),
    "object": lambda y: np.array([y, None], dtype=object)[:1],
    "structured": lambda y: y.view([("a", "f4"), ("b", "f4")])["b"],
    "read-only": lambda y: (y.setflags(write=False), y[:])[1],
}


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_memory_in_view_is_never_used(driver, view):
    owner = filled(7)
    place, size = address(owner), owner.nbytes
    seen = view(owner)
    del owner
    gc.collect()
    others = [filled(8) for _ in range(5)]
    assert driver.get_pool_idle() == 0
    assert all(not place - size < address(other) < place + size for other in others)
    assert (np.frombuffer((ctypes.c_float * LARGE).from_address(place), np.float32) == 7).all()
    del seen
    gc.collect()
    assert address(filled(9)) == place, "free once nobody sees it"


def test_memory_in_use_as_out_or_input(driver):
    y = filled(7)
    place = address(y)
    y = pyactx.relu(y)
    assert address(y) != place and (y == 7).all()
    y = pyactx.relu(y, out=y)
    assert (y == 7).all()


def test_an_array_is_as_any_other(driver):
    y = filled(7)
    assert y.base is None and y.flags.owndata and y.flags.writeable and y.flags.c_contiguous and y.flags.aligned
    assert type(y) is np.ndarray
    copy = pickle.loads(pickle.dumps(y))
    assert (copy == 7).all() and not np.shares_memory(copy, y)


@pytest.mark.parametrize("n", [LARGE - 1, LARGE + 1, 10, 3 * LARGE, 100 * LARGE, 0])
def test_an_array_can_be_resized(driver, n):
    y = filled(7)
    y.resize(n, refcheck=False)
    moved = block_size(max(y.nbytes, 1)) != block_size(4 * LARGE)
    assert driver.get_pool_idle() == moved * block_size(4 * LARGE), "what is too large for the new size is free"
    expected = np.zeros(n, np.float32)
    expected[:LARGE] = 7
    assert (y == expected).all()
    others = [filled(8), filled(8, max(n, 1)), filled(8)]
    assert (y == expected).all() and all((other == 8).all() for other in others)


# ---- The limit


def test_the_limit_holds(driver):
    size = block_size(4 * LARGE)
    pyactx.set_pool_limit(3 * size + size // 2)
    assert pyactx.get_pool_limit() == 3 * size + size // 2
    results = [filled(k) for k in range(6)]
    places = [address(y) for y in results]
    for k in range(6):
        results[k] = None
        assert driver.get_pool_idle() == min(k + 1, 3) * size
    assert [address(y) for y in [filled(1), filled(1), filled(1)]] == places[:2:-1], "the oldest go first"
    pyactx.set_pool_limit(size)
    assert driver.get_pool_idle() == size
    assert address(filled(1)) == places[3]


def test_what_is_larger_than_the_limit_is_not_kept(driver):
    small = block_size(4 * LARGE)
    pyactx.set_pool_limit(2 * small)
    filled(1)
    filled(1, 3 * LARGE)
    assert driver.get_pool_idle() == small


def test_no_more_than_some_blocks_are_kept(driver):
    results = [filled(k) for k in range(MOST_BLOCKS + 3)]
    places = [address(y) for y in results]
    for k in range(len(results)):
        results[k] = None
    assert driver.get_pool_idle() == MOST_BLOCKS * block_size(4 * LARGE)
    again = [filled(k) for k in range(MOST_BLOCKS)]
    assert [address(y) for y in again] == places[:2:-1]


def test_turned_off_and_on(driver):
    kept, filled_once = filled(1), filled(2)
    del filled_once
    assert driver.get_pool_idle() > 0
    pyactx.set_pool_limit(0)
    assert pyactx.get_pool_limit() == driver.get_pool_idle() == 0
    assert np._core.multiarray.get_handler_name(filled(1)) == "default_allocator"
    del kept
    assert driver.get_pool_idle() == 0
    pyactx.set_pool_limit(10**100)
    filled(1)
    assert driver.get_pool_idle() == block_size(4 * LARGE)


def test_emptied(driver):
    kept, given_back = filled(1), [filled(2, n) for n in (LARGE, 2 * LARGE, 3 * LARGE)]
    del given_back
    assert driver.get_pool_idle() > 0
    pyactx.clear_pool()
    assert driver.get_pool_idle() == 0 and (kept == 1).all()
    pyactx.clear_pool()
    assert pyactx.get_pool_limit() == 1 << 26


@in_pages_of_4_KiB
def test_emptied_memory_goes_back_to_the_system(driver):
    script = """
        import numpy as np, pyactx
        def resident():
            with open("/proc/self/statm") as stream:
                return int(stream.read().split()[1]) * 4096 >> 20
        x = np.zeros(1 << 24, np.float32) + 1
        before = resident()
        y = pyactx.relu(x)
        during = resident() - before
        del y
        pyactx.clear_pool()
        print(during, resident() - before)
    """
    during, after = map(int, run(script).split())
    assert 64 <= during <= 66 and after <= 2


@pytest.mark.parametrize("n, error, text", [
    (-1, ValueError, "set_pool_limit: n must be at least 0, got -1"),
    (1.5, TypeError, "set_pool_limit: n must be an integer, got 1.5"),
    ("2", TypeError, "set_pool_limit: n must be an integer, got '2'"),
    (True, TypeError, "set_pool_limit: n must be an integer, got True")])
def test_bad_limits(n, error, text):
    before = pyactx.get_pool_limit()
    with pytest.raises(error, match=text):
        pyactx.set_pool_limit(n)
    assert pyactx.get_pool_limit() == before


def test_settings():
    script = "import pyactx; c = pyactx.show_config(mode='dicts')['pool']; print(c['limit'], c['source'], c['idle'])"
    compiled = chosen.compiled
    assert run(script) == f"{(1 << 29) * compiled} default 0\n"
    assert run(script, PYACTX_POOL_LIMIT="1000000") == f"{1_000_000 * compiled} PYACTX_POOL_LIMIT 0\n"
    assert run(script, PYACTX_POOL_LIMIT="0") == "0 PYACTX_POOL_LIMIT 0\n"
    with pytest.raises(AssertionError, match="PYACTX_POOL_LIMIT='much' is not a number of bytes; give 0 or more"):
        run(script, PYACTX_POOL_LIMIT="much")


def test_python_keeps_nothing():
    script = """
        import numpy as np, pyactx
        pyactx.set_pool_limit(1 << 20)
        pyactx.relu(np.ones(1 << 18, np.float32))
        pyactx.clear_pool()
        print(pyactx.get_pool_limit(), pyactx.show_config(mode="dicts")["pool"]["reason"])
    """
    assert run(script, PYACTX_IMPLEMENTATION="python") == "0 the pure-Python implementation keeps no memory\n"


# ---- In the company of others


def test_another_handler_of_memory_is_respected(driver):
    """NumPy's users may choose who allocates; they do so in C, and here through its table of functions."""

    class Handler(ctypes.Structure):
        _fields_ = [("name", ctypes.c_char * 127), ("version", ctypes.c_uint8), ("context", ctypes.c_void_p),
                    ("functions", ctypes.c_void_p * 4)]

    def pointer(capsule, name):
        get = ctypes.pythonapi.PyCapsule_GetPointer
        get.restype, get.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        return get(capsule, name)

    table = ctypes.cast(pointer(np._core._multiarray_umath._ARRAY_API, None), ctypes.POINTER(ctypes.c_void_p))
    set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(table[304])
    get_handler = ctypes.PYFUNCTYPE(ctypes.py_object)(table[305])
    former = get_handler()
    handler = Handler.from_buffer_copy((ctypes.c_char * ctypes.sizeof(Handler)).from_address(
        pointer(former, b"mem_handler")))
    handler.name = b"another"
    new = ctypes.pythonapi.PyCapsule_New
    new.restype, new.argtypes = ctypes.py_object, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
    set_handler(new(ctypes.addressof(handler), b"mem_handler", None))
    try:
        y = filled(1)
        assert np._core.multiarray.get_handler_name(y) == "another"
        assert np._core.multiarray.get_handler_name() == "another"
        del y
    finally:
        set_handler(former)
    assert np._core.multiarray.get_handler_name(filled(1)) == "pyactx_pool"
    assert np._core.multiarray.get_handler_name() == "default_allocator"


def test_tracemalloc_sees_it(driver):
    x = np.ones(LARGE, np.float32)
    pyactx.relu(x)
    tracemalloc.start()
    try:
        for _ in range(3):
            before = tracemalloc.get_traced_memory()[0]
            y = pyactx.relu(x)
            assert 0 <= tracemalloc.get_traced_memory()[0] - before - x.nbytes < 2000
            del y
            assert tracemalloc.get_traced_memory()[0] - before < 2000
    finally:
        tracemalloc.stop()


@in_pages_of_4_KiB
def test_no_memory(driver):
    """What is kept does not stand in the way, and where nothing is left the error is NumPy's."""
    script = """
        import resource
        import numpy as np, pyactx
        x = np.ones(1 << 24, np.float32)
        pyactx.relu(x), pyactx.relu(x[: x.size // 2])
        assert pyactx.show_config(mode="dicts")["pool"]["idle"] == 96 << 20
        with open("/proc/self/statm") as stream:
            used = int(stream.read().split()[0]) * 4096
        resource.setrlimit(resource.RLIMIT_AS, (used + (16 << 20), -1))
        y = pyactx.relu(x[: x.size // 4 * 3])
        assert (y == 1).all()
        assert pyactx.show_config(mode="dicts")["pool"]["idle"] == 0
        try:
            z = pyactx.relu(x), pyactx.relu(x)
        except MemoryError as error:
            print(error)
    """
    assert run(script).startswith("Unable to allocate 64.0 MiB for an array with shape (16777216,)")


def test_random_sequences(driver):
    """A model of a few lines says where each result must be and how much waits."""
    generator = random.Random(0)
    sizes = [LARGE, LARGE + 100, 50_000, 70_000, 100_000, 150_000, 200_000, 1_000_000]
    numbers = itertools.count(1)
    held, waiting, limit = [], [], 1 << 26

    def shrink(bytes):
        while sum(size for _, size in waiting) > bytes:
            waiting.pop(0)

    def make():
        n, number = generator.choice(sizes), next(numbers)
        y = filled(number, n)
        size = block_size(y.nbytes)
        found = [place for place, s in waiting if s == size]
        if found:
            assert address(y) == found[-1]
            waiting.remove((found[-1], size))
        for other, _, other_size in held:
            assert address(y) + size <= address(other) or address(other) + other_size <= address(y)
        held.append((y, number, size))

    def release():
        y, number, size = held.pop(generator.randrange(len(held)))
        assert (y == number).all()
        place = address(y)
        del y
        if size <= limit:
            shrink(limit - size)
            waiting.append((place, size))

    for step in range(3000):
        action = generator.random()
        if action < 0.01:
            pyactx.clear_pool()
            waiting.clear()
        elif action < 0.03:
            limit = generator.choice([0, 200_000, 1 << 20, 3 << 20, 1 << 23, 1 << 26])
            pyactx.set_pool_limit(limit)
            shrink(limit)
        elif limit > 0 and (not held or (len(held) < 30 and generator.random() < 0.5)):
            make()
        elif held:
            release()
        assert driver.get_pool_idle() == sum(size for _, size in waiting) <= limit, step
    assert all((y == number).all() for y, number, _ in held)


def test_many_threads(driver):
    pyactx.set_pool_limit(1 << 22)
    barrier = threading.Barrier(6)

    def hammer(seed):
        generator, held = random.Random(seed), []
        barrier.wait()
        for step in range(300):
            number = seed * 1000 + step
            held.append((filled(number, generator.choice([LARGE, LARGE + 7, 70_000, 150_000])), number))
            if len(held) > 5:
                y, expected = held.pop(generator.randrange(len(held)))
                assert (y == expected).all()
            if generator.random() < 0.02:
                pyactx.clear_pool()
            assert driver.get_pool_idle() <= 1 << 22
        return all((y == expected).all() for y, expected in held)

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(hammer, range(6)))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_fork(driver):
    """Parent and child keep what they see, and share nothing that waits."""
    script = """
        import os, threading, warnings
        import numpy as np, pyactx
        warnings.simplefilter("ignore", DeprecationWarning)  # Python's own, of fork in a process with threads

        def filled(number):
            return pyactx.relu(np.full(300_000, number, np.float32))

        def idle():
            return pyactx.show_config(mode="dicts")["pool"]["idle"]

        stop = threading.Event()
        def busy():
            while not stop.is_set():
                filled(3)
        thread = threading.Thread(target=busy, daemon=True)
        thread.start()
        kept = filled(1)
        for _ in range(10):
            filled(2)
            child = os.fork()
            if child == 0:
                try:
                    assert idle() == 0
                    mine = [filled(4) for _ in range(3)]
                    assert (kept == 1).all() and all((y == 4).all() for y in mine)
                    del mine
                    assert idle() > 0
                    kept = None
                    os._exit(0)
                except BaseException:
                    import traceback
                    traceback.print_exc()
                    os._exit(1)
            mine = [filled(5) for _ in range(3)]
            assert os.waitpid(child, 0)[1] == 0
            assert (kept == 1).all() and all((y == 5).all() for y in mine)
        stop.set()
        thread.join()
        print("done")
    """
    assert run(script) == "done\n"
