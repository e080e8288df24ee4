"""Chooses the implementation, once, at import: the only file that reads the run-time variables PYACTX_*."""

import importlib.util
import os
from types import SimpleNamespace

IMPLEMENTATIONS = ("auto", "compiled", "python")
INSTRUCTION_SETS = ("baseline", "avx2", "avx512", "neon")
COMPILED = ("baseline", "avx2", "avx512")  # modules, best last; on aarch64 the baseline is NEON


def choice(variable, values, default):
    value = os.environ.get(variable, "") or default
    if value not in values:
        raise ValueError(f"{variable}={value!r} is not one of {', '.join(values)}")
    return value


def number_of_threads():
    """Return PYACTX_NUM_THREADS as a number, or None."""
    value = os.environ.get("PYACTX_NUM_THREADS", "")
    if not value:
        return None
    if not value.strip().isdecimal() or int(value) < 1:
        raise ValueError(f"PYACTX_NUM_THREADS={value!r} is not a number of threads; give 1 or more")
    return int(value)


def pool_limit():
    """Return the bytes of PYACTX_POOL_LIMIT, or None."""
    value = os.environ.get("PYACTX_POOL_LIMIT", "")
    if not value:
        return None
    if not value.strip().isdecimal():
        raise ValueError(f"PYACTX_POOL_LIMIT={value!r} is not a number of bytes; give 0 or more")
    return int(value)


def disabled_plugins():
    """Return the names that PYACTX_DISABLE_PLUGINS turns off, or True for all."""
    value = os.environ.get("PYACTX_DISABLE_PLUGINS", "").strip()
    if value in ("", "0"):
        return frozenset()
    return True if value == "1" else frozenset(name.strip() for name in value.split(",") if name.strip())


def is_arm():
    return os.uname().machine in ("aarch64", "arm64") if hasattr(os, "uname") else (
        os.environ.get("PROCESSOR_ARCHITECTURE") == "ARM64")


def available(driver):
    """Return {instruction set: module name} for what this processor can run and this installation has, best last."""
    names = {}
    for name in COMPILED[: driver.cpu() + 1]:
        if importlib.util.find_spec(f"pyactx._kernels_{name}") is not None:
            names["neon" if name == "baseline" and is_arm() else name] = f"pyactx._kernels_{name}"
    return names


def pure_python(reason):
    from pyactx import _driver_py

    return SimpleNamespace(
        name="python", compiled=False, reason=reason, instruction_set=None, available=(), driver=_driver_py,
        kernels={})


def choose():
    """Return the implementation: `driver`, `kernels` by name, and how it came to be chosen."""
    wish = choice("PYACTX_IMPLEMENTATION", IMPLEMENTATIONS, "auto")
    bound = choice("PYACTX_SIMD", INSTRUCTION_SETS, "") if os.environ.get("PYACTX_SIMD") else None
    if wish == "python":
        return pure_python("PYACTX_IMPLEMENTATION=python")
    try:
        driver = importlib.import_module("pyactx._driver")
        modules = available(driver)
        if not modules:
            raise ImportError("no module of compiled kernels is installed")
        if bound and bound not in modules and not (bound == "baseline" and "neon" in modules):
            raise ValueError(f"PYACTX_SIMD={bound!r} is not supported here; this processor and installation have "
                             f"{', '.join(modules)}")
        usable = list(modules)[: list(modules).index(bound) + 1] if bound in modules else list(modules)
        kernels = importlib.import_module(modules[usable[-1]]).kernels
    except ImportError as error:
        reason = f"nothing compiled can be imported: {error}"
        if wish == "compiled":
            raise ImportError(f"PYACTX_IMPLEMENTATION=compiled, but {reason}") from error
        return pure_python(reason)
    return SimpleNamespace(
        name="compiled", compiled=True, reason="PYACTX_IMPLEMENTATION=compiled" if wish == "compiled" else "available",
        instruction_set=usable[-1], available=tuple(modules), driver=driver, kernels=kernels)


implementation = choose()
