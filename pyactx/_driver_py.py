"""The pure-Python twin of _driver: the same names, without a direct path, without threads."""

import os
import re
import threading

import numpy as np

_process_threads = 1
_caller = threading.local()
_forked = False


def _mark_forked():
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_mark_forked)


def openmp():
    return "the pure-Python implementation is serial"


def set_process_threads(threads):
    global _process_threads
    _process_threads = threads


def set_caller_threads(threads):
    former = getattr(_caller, "threads", 0)
    _caller.threads = threads
    return former


def get_threads():
    return 1 if _forked else getattr(_caller, "threads", 0) or _process_threads


def is_forked_child():
    return _forked


def no_pool():
    return "the pure-Python implementation keeps no memory"


def set_pool_limit(bytes):
    """Nothing is kept, whatever the limit."""


def get_pool_limit():
    return 0


def get_pool_idle():
    return 0


def clear_pool():
    """Nothing is kept."""


class Operation:
    """Something an activation does to arrays: every call is general."""

    def __call__(self, *arguments, **keywords):
        return self.general(arguments, keywords)


def inherit_vectorcall(subclass):
    return subclass


class PythonUfunc:
    """What a ufunc does, for a function over NumPy arrays.

    It has the attributes and keywords of `numpy.ufunc` and the same rules for dtypes, broadcasting, `out`, `where` and
    `__array_ufunc__`; the function is called once with float64 arrays, and its results are rounded to the dtype.
    With a `signature` the function works on rows along the last axis and broadcasts over the others; what the signature
    says has one number for each row has a last axis of length 1 for the function.
    """

    identity = None
    __module__ = "pyactx.ufuncs"

    def __init__(self, function, name, inputs, outputs=1, signature=None, doc=None):
        self._function = function
        self.__name__ = self.__qualname__ = name
        self.__doc__ = doc
        self.nin, self.nout, self.nargs, self.ntypes = inputs, outputs, inputs + outputs, 2
        self.signature = signature
        self._numbers = [operand == "" for operand in re.findall(r"\((n?)\)", signature)] if signature else None
        self.types = tuple(f"{c * inputs}->{c * outputs}" for c in "fd")

    def __repr__(self):
        return f"<ufunc {self.__name__!r} in Python>"

    def __reduce__(self):
        return self.__name__  # found in pyactx.ufuncs, as a numpy.ufunc is

    def __call__(self, *arguments, out=None, where=True, axis=-1, casting="same_kind", order="K", dtype=None,
                 subok=True, keepdims=False):
        if not self.nin <= len(arguments) <= self.nargs:
            raise TypeError(f"{self.__name__}() takes from {self.nin} to {self.nargs} positional arguments but "
                            f"{len(arguments)} were given")
        if len(arguments) > self.nin:
            out = arguments[self.nin :] + (None,) * (self.nargs - len(arguments))
        inputs = arguments[: self.nin]
        outs = out if isinstance(out, tuple) else (out,) + (None,) * (self.nout - 1)
        options = {"casting": casting, "order": order, "where": where, "dtype": dtype, "subok": subok, "axis": axis,
                   "keepdims": keepdims}
        for operand in (*inputs, *outs):
            override = getattr(type(operand), "__array_ufunc__", None)
            if override is not None and override is not np.ndarray.__array_ufunc__:
                return self._overridden(inputs, outs, options)
        if any(operand is not None and getattr(type(operand), "__array_ufunc__", 0) is None for operand in inputs):
            raise TypeError(f"{self.__name__}: an operand does not support ufuncs (__array_ufunc__ = None)")
        results = self._compute(inputs, axis, casting, dtype, keepdims)
        finished = tuple(
            self._finish(result, given, where, casting, order, subok, inputs, position)
            for position, (result, given) in enumerate(zip(results, outs))
        )
        return finished if self.nout > 1 else finished[0]

    def _compute(self, inputs, axis, casting, dtype, keepdims):
        computed = dtype_of(inputs) if dtype is None else np.dtype(dtype)
        if computed.char not in "fd":
            raise TypeError(f"No loop matching the specified signature and casting was found for ufunc {self.__name__}")
        arrays = []
        for operand in inputs:
            array = np.asarray(operand)
            if not isinstance(operand, (bool, int, float)) and not np.can_cast(array.dtype, computed, casting):
                raise TypeError(f"Cannot cast ufunc {self.__name__!r} input from {array.dtype!r} to {computed!r} with "
                                f"casting rule {casting!r}")
            arrays.append(array.astype(computed).astype(np.float64))
        if self.signature:  # rows in one piece: NumPy's sums depend on how they lie
            arrays = [array[..., np.newaxis] if number else np.ascontiguousarray(np.moveaxis(array, axis, -1))
                      for array, number in zip(arrays, self._numbers)]
        with np.errstate(all="ignore"):
            results = self._function(*arrays)
            results = results if self.nout > 1 else (results,)
            shape = np.broadcast_shapes(*(array.shape for array in arrays))
            if self.signature and self._numbers[-1]:
                shape = (*shape[:-1], 1)
            results = [np.broadcast_to(np.asarray(result, dtype=computed), shape) for result in results]
        if not self.signature:
            return results
        return [result[..., 0] if self._numbers[-1] and not keepdims else np.moveaxis(result, -1, axis)
                for result in results]

    def _finish(self, result, out, where, casting, order, subok, inputs, position):
        """Let NumPy put the result where it belongs."""
        with np.errstate(all="ignore"):
            finished = np.positive(result, out=out, where=where, casting=casting, order=order)
        wrappers = [x for x in inputs if isinstance(x, np.ndarray) and type(x) is not np.ndarray]
        if out is None and subok and wrappers:
            wrapper = max(wrappers, key=lambda x: x.__array_priority__)
            return wrapper.__array_wrap__(np.asarray(finished), (self, inputs, position), False)
        return finished

    def _overridden(self, inputs, outs, options):
        """NEP 13: the operands' own __array_ufunc__, subclasses before superclasses, else left to right."""
        defaults = {"casting": "same_kind", "order": "K", "where": True, "dtype": None, "subok": True, "axis": -1,
                    "keepdims": False}
        keywords = {key: value for key, value in options.items() if value is not defaults[key]}
        if any(out is not None for out in outs):
            keywords["out"] = outs
        candidates = []
        for operand in (*inputs, *outs):
            kind = type(operand)
            override = getattr(kind, "__array_ufunc__", None)
            if override in (None, np.ndarray.__array_ufunc__) or any(type(c) is kind for c in candidates):
                continue
            place = next((i for i, c in enumerate(candidates) if issubclass(kind, type(c))), len(candidates))
            candidates.insert(place, operand)
        for operand in candidates:
            result = operand.__array_ufunc__(self, "__call__", *inputs, **keywords)
            if result is not NotImplemented:
                return result
        raise TypeError(f"operand type(s) all returned NotImplemented from __array_ufunc__({self!r}, '__call__', ...): "
                        + ", ".join(repr(type(operand).__name__) for operand in inputs))


def dtype_of(inputs):
    """Return float32 or float64: what NumPy chooses among the loops of a ufunc that has these two."""
    strong = [x if hasattr(x, "dtype") else np.asarray(x) for x in inputs if not isinstance(x, (bool, int, float))]
    if not strong:
        return np.dtype(np.float64)
    return np.result_type(np.result_type(*strong), np.dtype(np.float32))
