"""Activations as objects."""

import math
import sys
import threading
from pickle import PicklingError
from types import MappingProxyType

import numpy as np

from pyactx import _arguments, _documentation, _numpy_math
from pyactx._driver_py import PythonUfunc
from pyactx._implementation import implementation
from pyactx._reference import REQUIRED, Definition, Properties

__all__ = ["Activation", "Properties"]

INPUTS = {"forward": ("x",), "derivative": ("x",), "value_and_derivative": ("x",),
          "backward": ("grad", "x"), "backward_from_output": ("grad", "y")}
GRADIENT_INPUTS = ("grad", "x")

_lock = threading.Lock()


class Operation(implementation.driver.Operation):
    """Something an activation does to arrays: a ufunc with a shorter way for plain arrays.

    Attributes
    ----------
    operation : str
        ``"forward"``, ``"derivative"``, ``"backward"`` ...
    label : str
        What error messages call it.
    inputs : tuple of str
        The names of the arrays it takes.
    outputs : int
        The number of arrays it returns.
    argument_names : tuple of str
        All positional arguments in order: inputs, parameters, axis.
    defaults : dict
        Of the arguments that have one.
    """

    def _set_up(self, definition, operation, capsule):
        """Prepare an operation; `capsule` holds its kernel, or is None for the Python formulas."""
        parameters = tuple(definition.parameters)
        defaults = dict(definition.parameters)
        if definition.kind == "axiswise":
            defaults["axis"] = -1
        elif parameters:
            defaults["axis"] = None
        inputs = INPUTS.get(operation, GRADIENT_INPUTS)
        self.__dict__.update(
            _definition=definition, _capsule=capsule, _ufunc=None,
            operation=operation,
            kind=definition.kind,
            label=definition.name if operation == "forward" else f"{definition.name}.{operation}",
            inputs=inputs,
            outputs=2 if operation == "value_and_derivative" else 1,
            argument_names=(*inputs, *defaults),
            defaults={name: value for name, value in defaults.items() if value is not REQUIRED},
        )
        if capsule is not None:
            numbers = tuple(math.nan if value is REQUIRED else value for value in definition.parameters.values())
            self.attach(capsule, *self._kernel_operation(), parameters, numbers)

    def _kernel_operation(self):
        """Return the driver's name of the operation and the number of the parameter it is about."""
        if self.operation in INPUTS:
            return self.operation, 0
        return "parameter_gradient", list(self._definition.parameters).index(self.operation.removesuffix("_gradient"))

    @property
    def ufunc(self):
        """The `numpy.ufunc` that does the same; without a compiled kernel a Python object that acts like one."""
        if self._ufunc is None:
            with _lock:
                if self._ufunc is None:
                    self.__dict__["_ufunc"] = self._make_ufunc()
        return self._ufunc

    @property
    def ufunc_name(self):
        name = self._definition.name
        return name if self.operation == "forward" else f"{name}_{self.operation}"

    def _make_ufunc(self):
        definition, name = self._definition, self.ufunc_name
        doc = _documentation.docstring(self, definition)
        if self._capsule is not None:
            return implementation.driver.make_ufunc(self._capsule, *self._kernel_operation(), name, doc)
        signature = ",".join(["(n)"] * len(self.inputs)) + "->(n)" if self.kind == "axiswise" else None
        function = definition.operations(_numpy_math)[self.operation]
        return PythonUfunc(function, name, len(self.inputs) + len(definition.parameters), self.outputs, signature, doc)

    def general(self, arguments, keywords):
        """Compute whatever is not plain."""
        return _arguments.call(self, arguments, keywords)

    @property
    def __signature__(self):
        return _arguments.signature(self)

    def __setattr__(self, name, value):
        raise AttributeError(f"{self.label}: activations cannot be changed, {name} was to be set")

    def __delattr__(self, name):
        raise AttributeError(f"{self.label}: activations cannot be changed, {name} was to be deleted")

    def __copy__(self):
        return self

    def __deepcopy__(self, memo):
        return self


@implementation.driver.inherit_vectorcall
class Method(Operation):
    """An operation of an activation beyond its value."""

    def __init__(self, activation, operation, capsule):
        self._set_up(activation._definition, operation, capsule)
        self.__dict__.update(activation=activation, __doc__=_documentation.docstring(self, activation._definition))

    def __repr__(self):
        return f"<{self.operation} of {self.activation!r}>"

    def __reduce__(self):
        return getattr, (self.activation, self.operation)


@implementation.driver.inherit_vectorcall
class Activation(Operation):
    """An activation function, its derivative, and what is known of them.

    Calling it gives the value.  Activations are immutable, hashable, picklable and safe to use from many threads.

    Parameters
    ----------
    name : str
        The name under which it is registered: lower case, words joined by ``_``.
    forward : callable
        The value, ``forward(x, *parameters)`` over NumPy arrays of float64, or over Python floats.
    derivative : callable, optional
        The derivative with respect to x, called in the same way.  Without it there is no `derivative`, `backward` and
        `value_and_derivative`.
    parameters : mapping of str to float, optional
        The parameters in order, with their defaults; ``inspect.Parameter.empty`` makes one required.
    parameter_derivatives : mapping of str to callable, optional
        The derivative of the value with respect to a parameter, called as `forward`; for `parameter_gradients`.
    derivative_from_output : callable, optional
        The derivative in terms of y, called with y in place of x; for `backward_from_output`.
    aliases : iterable of str, optional
        Other names to find it by.
    properties : Properties, optional
        Facts about it.
    doc : str, optional
        The first line of its docstring; by default that of `forward`.

    Attributes
    ----------
    name : str
    aliases : tuple of str
    kind : {"elementwise", "axiswise"}
    parameters : mapping of str to float
        The parameters in order, with their defaults; ``inspect.Parameter.empty`` for a required one.
    properties : Properties or None
    derivative, backward, value_and_derivative, backward_from_output : Operation
        ``derivative(x)``, ``backward(grad, x)``, ``value_and_derivative(x)``, ``backward_from_output(grad, y)``;
        parameters, out and the keywords of ufuncs as for the value.  Those that an activation does not have raise
        AttributeError.
    jacobian : callable
        ``jacobian(x)``, the matrix of all derivatives along the last axis; axis-wise activations only.
    reference : Activation
        The same in pure Python.
    ufunc : numpy.ufunc

    Raises
    ------
    TypeError, ValueError
        If a name is not a str, a callable cannot be called, or a parameter default is not a number.

    Examples
    --------
    >>> import numpy as np, pyactx
    >>> bent = pyactx.Activation(
    ...     "bent_identity",
    ...     forward=lambda x: (np.sqrt(x * x + 1) - 1) / 2 + x,
    ...     derivative=lambda x: x / (2 * np.sqrt(x * x + 1)) + 1,
    ... )
    >>> bent.backward(np.float32([1, 2]), np.float32([0, 0]))
    array([1., 2.], dtype=float32)
    """

    def __init__(self, name, forward, derivative=None, *, parameters=None, parameter_derivatives=None,
                 derivative_from_output=None, aliases=(), properties=None, doc=None):
        parts = {"forward": forward, "derivative": derivative, "parameters": dict(parameters or {}),
                 "parameter_derivatives": dict(parameter_derivatives or {}),
                 "derivative_from_output": derivative_from_output, "aliases": tuple(aliases),
                 "properties": properties, "doc": doc}
        self._assemble(_definition_of_callables(name, **parts), None, None)
        self.__dict__.update(_parts={"name": name, **parts},
                             __module__=getattr(forward, "__module__", None) or __name__)

    @classmethod
    def from_kernel(cls, name, kernel, *, reference=None, parameters=None, aliases=(), properties=None, doc=None):
        """Make an activation of a compiled kernel.

        Parameters
        ----------
        name : str
        kernel : PyCapsule
            Named ``"pyactx.kernel.v1"``, holding a ``pyactx_kernel`` (``pyactx/include/pyactx.h``).
        reference : Activation, optional
            The same in Python: what `pyactx verify` compares the kernel with, and what is used where pyactx itself is
            not compiled.
        parameters : mapping of str to float, optional
            Other names and defaults than those in the kernel.
        aliases, properties, doc
            As for `Activation`.

        Returns
        -------
        Activation

        Raises
        ------
        TypeError
            If `kernel` is no such capsule.
        ValueError
            If it was compiled for another pyactx, or `parameters` has another length than the kernel's.
        ImportError
            If pyactx is not compiled and there is no `reference`.
        """
        _check_names(name, aliases)
        if implementation.compiled:
            try:
                described = implementation.driver.describe(kernel)
            except (TypeError, ValueError) as error:
                raise type(error)(f"{name}: {error}") from None
            formulas, kind = {}, described["kind"]
            known = {key: REQUIRED if math.isnan(value) else value for key, value in described["parameters"].items()}
        elif reference is not None:
            kernel, formulas, kind = None, reference._definition.formulas, reference.kind
            known = dict(reference.parameters)
        else:
            raise ImportError(f"{name}: a compiled kernel needs the compiled implementation, and it has no reference; "
                              f"pyactx.show_config() tells why it is not there")
        chosen = _checked_parameters(name, known if parameters is None else parameters)
        if len(chosen) != len(known):
            raise ValueError(f"{name}: the kernel has {len(known)} parameters, parameters has {len(chosen)}")
        definition = Definition(
            name, formulas, kind=kind, parameters=chosen, aliases=aliases, properties=properties,
            summary=doc or (reference and reference._definition.summary))
        self = cls._from_definition(definition, kernel, sys._getframe(1).f_globals.get("__name__", __name__))
        self.__dict__["_reference"] = reference
        return self

    @classmethod
    def _from_definition(cls, definition, capsule=None, module="pyactx"):
        """Make a built-in activation; `capsule` holds its kernel, or is None for the pure-Python implementation."""
        self = cls.__new__(cls)
        self._assemble(definition, capsule, capsule and implementation.driver.describe(capsule)["operations"])
        self.__dict__["__module__"] = module
        return self

    def _assemble(self, definition, capsule, kernel_operations):
        self._set_up(definition, "forward", capsule)
        parameters = MappingProxyType(definition.parameters)
        self.__dict__.update(
            name=definition.name, aliases=definition.aliases, parameters=parameters, properties=definition.properties,
            _reference=None,
            __name__=definition.name, __qualname__=definition.name,
            __doc__=_documentation.docstring(self, definition),
        )
        if capsule is None:
            available = set(definition.operations(_numpy_math))
        else:
            available = set(kernel_operations)
            if "parameter_gradient" in available:
                available.update(f"{parameter}_gradient" for parameter in parameters)
        gradients = {}
        for operation in INPUTS:
            if operation != "forward" and operation in available:
                self.__dict__[operation] = Method(self, operation, capsule)
        for parameter in parameters:
            if f"{parameter}_gradient" in available:
                gradients[parameter] = Method(self, f"{parameter}_gradient", capsule)
        self.__dict__["_gradients"] = gradients
        if definition.kind == "axiswise":
            self.__dict__["jacobian"] = self._jacobian

    @property
    def reference(self):
        """The same activation in pure Python, or None for a compiled plugin that offers none."""
        if self._capsule is None:
            return self
        if self._reference is None and self._definition.formulas:
            with _lock:
                if self._reference is None:
                    reference = Activation._from_definition(self._definition)
                    reference.__dict__["_reference_of"] = self
                    self.__dict__["_reference"] = reference
        return self._reference

    def operations(self):
        """Return all operations of this activation: itself, and those that are its attributes."""
        return [self, *(self.__dict__[name] for name in INPUTS if name in self.__dict__), *self._gradients.values()]

    def parameter_gradients(self, grad, x, *parameters, axis=None, **keywords):
        """Return the gradient of every parameter, summed over the elements that share its value.

        Parameters
        ----------
        grad, x : array_like
            The incoming gradient and the input.
        *parameters, **keywords
            The parameters, as in the call.
        axis : int, optional
            As in the call: the axis of x along which 1-D parameters lie.

        Returns
        -------
        dict of str to ndarray or NumPy scalar
            Each of the shape of the parameter, of the dtype of x.  The sum is taken in float64 and in an order that
            depends on the shape alone.
        """
        if not self._gradients:
            if self.parameters:
                raise TypeError(f"{self.name}: has no derivatives with respect to its parameters")
            return {}
        if axis is not None:
            keywords["axis"] = axis
        gradients = {}
        for parameter, operation in self._gradients.items():
            bound, options = _arguments.bind(operation, (grad, x, *parameters), keywords)
            shape = np.shape(bound[parameter])
            values = operation.general((), {**bound, **options, "order": "C"})
            aligned = shape
            if bound["axis"] is not None and len(shape) == 1:
                ndim = np.ndim(x)
                aligned = tuple(shape[0] if k == bound["axis"] % ndim else 1 for k in range(ndim))
            gradients[parameter] = np.reshape(_arguments.reduced_to(aligned, np.asarray(values)), shape)[()]
        return gradients

    def __getattr__(self, name):
        # Reached only for what an instance does not have.
        if name in (*INPUTS, "jacobian") and "label" in self.__dict__:
            raise AttributeError(f"{self.label} has no {name}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def _jacobian(self, x):
        """Return the matrix of all derivatives along the last axis.

        Parameters
        ----------
        x : array_like, shape (..., n)

        Returns
        -------
        ndarray, shape (..., n, n)
            ``J[..., i, j]`` is the derivative of element i of the output with respect to element j of x.
        """
        x = _arguments.array_like(self.label + ".jacobian", "x", x)
        if np.ndim(x) == 0:
            raise ValueError(f"{self.label}.jacobian: x must have at least one axis, it has shape ()")
        n = np.shape(x)[-1]
        unit_vectors = np.eye(n, dtype=_arguments.result_dtype(self.label, [x], {}))
        rows = np.broadcast_to(np.asarray(x)[..., np.newaxis, :], (*np.shape(x)[:-1], n, n))
        return self.backward(np.broadcast_to(unit_vectors, rows.shape), rows)

    def __repr__(self):
        arguments = ", ".join(
            name if value is REQUIRED else f"{name}={value!r}" for name, value in self.parameters.items())
        return f"<pyactx activation {self.name}({'x, ' + arguments if arguments else 'x'}), {self.kind}>"

    def __reduce__(self):
        # By reference wherever that finds this very object again: as an attribute of its module, or in the registry.
        if getattr(sys.modules.get(self.__module__), self.name, None) is self:
            return self.name
        if "_reference_of" in self.__dict__:
            return getattr, (self._reference_of, "reference")
        from pyactx import _registry

        name = _registry.registry.name_of(self)
        if name is not None:
            return _registry.get, (name,)
        if "_parts" in self.__dict__:
            return _from_parts, (self._parts,)
        raise PicklingError(f"{self.name}: cannot be pickled; make it an attribute {self.name!r} of its module "
                            f"{self.__module__!r}, or register it")


def _from_parts(parts):
    return Activation(**parts)


def _definition_of_callables(name, forward, derivative, parameters, parameter_derivatives, derivative_from_output,
                             aliases, properties, doc):
    _check_names(name, aliases)
    parameters = _checked_parameters(name, parameters)
    unknown = set(parameter_derivatives) - set(parameters)
    if unknown:
        raise ValueError(f"{name}: parameter_derivatives has {', '.join(sorted(unknown))}, which parameters has not")
    formulas = {"forward": forward, "derivative": derivative, "from_output": derivative_from_output}
    formulas.update({("gradient", key): value for key, value in parameter_derivatives.items()})
    for key, formula in formulas.items():
        if not callable(formula) and (formula is not None or key == "forward"):
            raise TypeError(f"{name}: {key if isinstance(key, str) else key[1]} must be callable, got {formula!r}")
    return Definition(
        name, {key: _over_arrays(formula, parameters) for key, formula in formulas.items() if formula is not None},
        parameters=parameters, aliases=aliases, properties=properties,
        summary=(doc or getattr(forward, "__doc__", None) or "").strip().split("\n")[0],
    )


def _check_names(name, aliases):
    for text in (name, *aliases):
        if not isinstance(text, str) or not text.strip("_- ") or ":" in text:
            raise TypeError(f"Activation: name and aliases must be texts without ':', got {text!r}")


def _checked_parameters(name, parameters):
    for key, value in parameters.items():
        if not isinstance(key, str) or not key.isidentifier() or key in ("x", "y", "grad", "axis", "out"):
            raise ValueError(f"{name}: {key!r} cannot be the name of a parameter")
        if value is not REQUIRED and not isinstance(value, (int, float, np.number)):
            raise TypeError(f"{name}: the default of {key} must be a number, got {value!r}")
    return {key: value if value is REQUIRED else float(value) for key, value in parameters.items()}


def _over_arrays(function, parameters):
    """Return a formula over arrays: the function as it is, or, if it takes numbers only, element by element."""
    probe = [np.array([-0.5, 0.5])] + [np.float64(1.0 if v is REQUIRED else v) for v in parameters.values()]
    with np.errstate(all="ignore"):
        try:
            function(*probe)
            scalar_only = False
        except (TypeError, ValueError):
            scalar_only = True
    each = np.frompyfunc(function, len(probe), 1) if scalar_only else function

    def formula(x, *values, m):
        return each(x, *values)

    return formula
