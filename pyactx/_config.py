"""What this installation is and does."""

import sys

import numpy as np

from pyactx import _pool, _threads
from pyactx._implementation import implementation
from pyactx._registry import registry


def show_config(mode="stdout"):
    """Show how pyactx is set up: implementation, instruction set, OpenMP, threads, memory and plugins.

    Parameters
    ----------
    mode : {"stdout", "dicts"}
        Print it, or return it as a dict.

    Returns
    -------
    dict or None

    Raises
    ------
    ValueError
        If mode is another.
    """
    if mode not in ("stdout", "dicts"):
        raise ValueError(f"show_config: mode must be 'stdout' or 'dicts', got {mode!r}")
    from pyactx import __version__

    failure = implementation.driver.openmp()
    config = {
        "version": __version__,
        "implementation": {"name": implementation.name, "reason": implementation.reason},
        "instruction_set": {"used": implementation.instruction_set, "available": list(implementation.available)},
        "openmp": {"available": failure is None, "reason": failure},
        "threads": {"number": _threads.get_num_threads(), "source": _threads.source,
                    "forked_child": implementation.driver.is_forked_child()},
        "pool": {"limit": _pool.get_pool_limit(), "source": _pool.source, "idle": implementation.driver.get_pool_idle(),
                 "reason": implementation.driver.no_pool()},
        "plugins": registry.plugins(),
        "numpy": np.__version__,
        "python": sys.version.split()[0],
    }
    if mode == "dicts":
        return config
    for key, value in config.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k}: {v}" for k, v in value.items() if v is not None)
        elif isinstance(value, list):
            value = "".join(f"\n    {p['name']} from {p['distribution']} {p['version']}: {p['state']}"
                            for p in value) or "none"
        print(f"{key}: {value}")
    return None
