"""Memory of large results that nobody owns any more, kept for the next ones."""

import sys

from pyactx._implementation import implementation, pool_limit

driver = implementation.driver

DEFAULT_LIMIT = 1 << 29

limit = pool_limit()
source = "default" if limit is None else "PYACTX_POOL_LIMIT"
driver.set_pool_limit(min(DEFAULT_LIMIT if limit is None else limit, sys.maxsize))


def set_pool_limit(n):
    """Set how much memory of large results may be kept for the next ones, for the whole process.

    A result of 128 KiB or more gets memory that an earlier result of about its size has given back, because the pages
    of new memory can cost several times what computing the result does.  Memory is given back when the last array or
    view that can see it is gone.  Up to the limit it is kept, the oldest goes first; a fork keeps nothing.

    Parameters
    ----------
    n : int
        Bytes; 0 turns it off, and what is above the limit goes back to the system at once.  At first it is 512 MiB, or
        what the environment variable ``PYACTX_POOL_LIMIT`` says.  The pure-Python implementation keeps nothing.

    Raises
    ------
    TypeError, ValueError
        If n is no integer, or below 0.

    See Also
    --------
    clear_pool
    """
    global source
    if isinstance(n, bool) or not hasattr(type(n), "__index__"):
        raise TypeError(f"set_pool_limit: n must be an integer, got {n!r}; give a number of bytes")
    if n.__index__() < 0:
        raise ValueError(f"set_pool_limit: n must be at least 0, got {n}; give a number of bytes")
    driver.set_pool_limit(min(n.__index__(), sys.maxsize))
    source = "set_pool_limit"


def get_pool_limit():
    """Return how many bytes of memory may be kept for the next large results; 0 in the pure-Python implementation."""
    return driver.get_pool_limit()


def clear_pool():
    """Give the memory that is kept for the next large results back to the system."""
    driver.clear_pool()
