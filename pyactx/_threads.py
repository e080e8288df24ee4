"""How many threads calls on large arrays may use."""

import math
import os
import warnings
from contextlib import contextmanager

from pyactx._implementation import implementation, number_of_threads

driver = implementation.driver


def cpu_quota():
    """Return how many processors the control groups of this process allow, rounded up, or None."""
    limits = []
    for line in _read("/proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2: "quota period" in one file, and the limit of every ancestor counts
            files = ["cpu.max"]
            root = "/sys/fs/cgroup"
        elif "cpu" in controllers.split(","):
            files = ["cpu.cfs_quota_us", "cpu.cfs_period_us"]
            root = "/sys/fs/cgroup/cpu"
        else:
            continue
        parts = [part for part in path.split("/") if part]
        for depth in range(len(parts) + 1):
            folder = "/".join([root, *parts[:depth]])
            words = " ".join(_read(f"{folder}/{file}") for file in files).split()
            if len(words) == 2 and words[0].isdecimal():  # not "max" and not -1
                limits.append(max(1, math.ceil(int(words[0]) / int(words[1]))))
    return min(limits, default=None)


def _read(file):
    try:
        with open(file) as stream:
            return stream.read()
    except OSError:
        return ""


def default_threads():
    """Return the number of threads to start with, and where it comes from."""
    number = number_of_threads()
    if number is not None:
        return number, "PYACTX_NUM_THREADS"
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    if first.isdecimal() and int(first) > 0:
        return int(first), "OMP_NUM_THREADS"
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = cpu_quota()
    if quota is not None and quota < affinity:
        return quota, "control group quota"
    return affinity, "processor affinity"


def checked(threads):
    if isinstance(threads, bool) or not hasattr(type(threads), "__index__"):
        raise TypeError(f"threads must be an integer, got {threads!r}")
    if threads.__index__() < 1:
        raise ValueError(f"threads must be at least 1, got {threads}")
    if driver.is_forked_child():
        warnings.warn("pyactx: this process was forked and computes serially; start it with the spawn or forkserver "
                      "method to use threads", RuntimeWarning, stacklevel=3)
    return threads.__index__()


number, source = default_threads()
driver.set_process_threads(number)


def set_num_threads(n):
    """Set the number of threads that a call on large arrays may use, for the whole process.

    Parameters
    ----------
    n : int
        At least 1.  In a forked child it stays 1, with a RuntimeWarning.

    Raises
    ------
    TypeError, ValueError
        If n is no integer, or below 1.
    """
    global source
    driver.set_process_threads(checked(n))
    source = "set_num_threads"


def get_num_threads():
    """Return the number of threads that calls from this thread may use; 1 in a forked child."""
    return driver.get_threads()


@contextmanager
def threads(n):
    """Limit the calls of this thread to n threads within the block.

    Examples
    --------
    >>> import pyactx
    >>> with pyactx.threads(1):
    ...     pyactx.get_num_threads()
    1
    """
    former = driver.set_caller_threads(checked(n))
    try:
        yield
    finally:
        driver.set_caller_threads(former)
