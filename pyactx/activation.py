"""Activations as objects."""

import math
import sys
import threading
from collections.abc import Mapping
from pickle import PicklingError
from types import MappingProxyType

import numpy as np

from pyactx import _arguments, _documentation, _numpy_math, _rows
from pyactx._definition import INPUTS, REQUIRED, Definition, Properties
from pyactx._driver_py import PythonUfunc
from pyactx._implementation import implementation

__all__ = ["Activation", "Properties"]

METHODS = ("derivative", "value_and_derivative", "backward", "backward_from_output")

_lock = threading.Lock()


class Docstring:
    """The docstring of a class, and of each operation its own, assembled when it is read and not at import."""

    def __init__(self, text):
        self.text = text

    def __get__(self, operation, owner=None):
        if operation is None or "_definition" not in operation.__dict__:
            return self.text
        return _documentation.docstring(operation, operation._definition)


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

    __doc__ = Docstring(__doc__)

    def _set_up(self, definition, operation, capsule, library):
        """Prepare an operation.

        `capsule` holds its kernel, or is None for the Python formulas; `library` has the other activations by name.
        """
        parameters = tuple(definition.parameters)
        kinds = INPUTS["elementwise" if definition.composed else definition.kind]
        inputs = kinds.get(operation, kinds["gradient"])
        self.__dict__.update(
            _definition=definition, _capsule=capsule, _library=library, _ufunc=None,
            operation=operation,
            kind=definition.kind,
            label=definition.name if operation == "forward" else f"{definition.name}.{operation}",
            inputs=inputs,
            outputs=2 if operation == "value_and_derivative" or (
                operation == "backward" and definition.kind == "gated" and not definition.composed) else 1,
            argument_names=(*inputs, *definition.order),
            defaults={name: value for name, value in definition.defaults.items() if value is not REQUIRED},
            keywords=_arguments.keywords_of(definition),
        )
        if capsule is not None:
            numbers = tuple(math.nan if value is REQUIRED else value for value in definition.parameters.values())
            self.attach(capsule, *self._kernel_operation(), parameters, numbers)

    @property
    def reduced(self):
        """For each input, and for the result, whether it has one number for each row."""
        definition = self._definition
        if definition.kind != "axiswise":
            return (False,) * len(self.inputs), False
        gradient = self.operation not in INPUTS["axiswise"]
        return (tuple(definition.reduces and name == "grad" for name in self.inputs),
                gradient or (definition.reduces and self.operation == "forward"))

    def _kernel_operation(self):
        """Return the driver's name of the operation and the number of the parameter it is about."""
        if self.operation in INPUTS["elementwise"]:
            return self.operation, 0
        return "parameter_gradient", list(self._definition.parameters).index(self.operation.removesuffix("_gradient"))

    def _signature(self):
        """Return the signature of the gufunc of an operation on rows, else None."""
        if self.kind != "axiswise":
            return None
        inputs, result = self.reduced
        operands = [*inputs, *[True] * len(self._definition.parameters)]
        return ",".join("()" if number else "(n)" for number in operands) + ("->()" if result else "->(n)")

    @property
    def ufunc(self):
        """The `numpy.ufunc` that does the same; without a compiled kernel a Python object that acts like one.

        None for an activation that is made of others.
        """
        if self._ufunc is None and not self._definition.composed:
            with _lock:
                if self._ufunc is None:
                    self.__dict__["_ufunc"] = self._make_ufunc()
        return self._ufunc

    @property
    def ufunc_name(self):
        name = self._definition.name
        return name if self.operation == "forward" else f"{name}_{self.operation}"

    def _make_ufunc(self):
        definition, name, signature = self._definition, self.ufunc_name, self._signature()
        doc = _documentation.docstring(self, definition)
        if self._capsule is not None:
            return implementation.driver.make_ufunc(self._capsule, *self._kernel_operation(), name, doc, signature)
        function = definition.operations(_numpy_math)[self.operation]
        return PythonUfunc(function, name, len(self.inputs) + len(definition.parameters), self.outputs, signature, doc)

    def general(self, arguments, keywords):
        """Compute whatever is not plain."""
        bound, options = _arguments.bind(self, arguments, keywords)
        definition = self._definition
        if definition.composed:
            return self._composed(bound, options)
        for argument, names in definition.variants.items():
            chosen = _arguments.chosen(self.label, argument, bound.pop(argument), names)
            if chosen != definition.name:
                return self._library[chosen].named(self.operation).general((), {**bound, **options})
        call = _rows.call if self.kind == "axiswise" else _arguments.call
        return call(self, bound, options)

    def _composed(self, bound, options):
        """Compute what is made of other activations; what they say of an error is said in the name of this one."""
        try:
            return self._definition.formulas[self.operation](self._library, *bound.values(), **options)
        except (TypeError, ValueError) as error:
            who, colon, what = str(error).partition(": ")
            if colon and who != self.label:
                raise type(error)(f"{self.label}: {what}") from error
            raise

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

    __doc__ = Docstring(__doc__)

    def __init__(self, activation, operation, capsule):
        self._set_up(activation._definition, operation, capsule, activation._library)
        self.__dict__["activation"] = activation

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
    kind : {"elementwise", "axiswise", "gated", "random"}
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

    __doc__ = Docstring(__doc__)

    def __init__(self, name, forward, derivative=None, *, parameters=None, parameter_derivatives=None,
                 derivative_from_output=None, aliases=(), properties=None, doc=None):
        parts = {"forward": forward, "derivative": derivative, "parameters": dict(parameters or {}),
                 "parameter_derivatives": dict(parameter_derivatives or {}),
                 "derivative_from_output": derivative_from_output, "aliases": tuple(aliases),
                 "properties": properties, "doc": doc}
        self._assemble(_definition_of_callables(name, **parts), None, None, {})
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
            formulas, kind, reduces = {}, described["kind"], described["reduces"]
            known = {key: REQUIRED if math.isnan(value) else value for key, value in described["parameters"].items()}
        elif reference is not None:
            kernel, formulas, kind = None, reference._definition.formulas, reference.kind
            reduces = reference._definition.reduces
            known = dict(reference.parameters)
        else:
            raise ImportError(f"{name}: a compiled kernel needs the compiled implementation, and it has no reference; "
                              f"pyactx.show_config() tells why it is not there")
        chosen = _checked_parameters(name, known if parameters is None else parameters)
        if len(chosen) != len(known):
            raise ValueError(f"{name}: the kernel has {len(known)} parameters, parameters has {len(chosen)}")
        definition = Definition(
            name, formulas, kind=kind, parameters=chosen, aliases=aliases, properties=properties, reduces=reduces,
            summary=doc or (reference and reference._definition.summary))
        self = cls._from_definition(definition, kernel, sys._getframe(1).f_globals.get("__name__", __name__))
        self.__dict__["_reference"] = reference
        return self

    @classmethod
    def _from_definition(cls, definition, capsule=None, module="pyactx", library=MappingProxyType({})):
        """Make a built-in activation; `capsule` holds its kernel, or is None for the pure-Python implementation."""
        self = cls.__new__(cls)
        self._assemble(definition, capsule, capsule and implementation.driver.describe(capsule)["operations"], library)
        self.__dict__["__module__"] = module
        return self

    def _assemble(self, definition, capsule, kernel_operations, library):
        self._set_up(definition, "forward", capsule, library)
        self.__dict__.update(
            name=definition.name, aliases=definition.aliases, properties=definition.properties,
            parameters=MappingProxyType({name: value for name, value in definition.defaults.items()
                                         if name in definition.parameters or name in definition.variants}),
            _reference=None,
            __name__=definition.name, __qualname__=definition.name,
        )
        if definition.composed:
            available = set(definition.formulas)
        elif capsule is None:
            available = set(definition.operations(_numpy_math))
        else:
            available = set(kernel_operations)
        gradients = {}
        for operation in METHODS:
            if operation in available:
                self.__dict__[operation] = Method(self, operation, capsule)
        for parameter in definition.parameters:
            if f"{parameter}_gradient" in available or "parameter_gradient" in available:
                gradients[parameter] = Method(self, f"{parameter}_gradient", capsule)
        self.__dict__["_gradients"] = gradients
        if definition.kind == "axiswise" and not definition.reduces and not definition.composed:
            self.__dict__["jacobian"] = self._jacobian
        if definition.kind == "gated" and not definition.composed:
            self.__dict__["packed"] = Packed(self)

    @property
    def reference(self):
        """The same activation in pure Python, or None for a compiled plugin that offers none."""
        if self._capsule is None and not (self._definition.composed and implementation.compiled):
            return self
        if self._reference is None and self._definition.formulas:
            with _lock:
                if self._reference is None:
                    reference = Activation._from_definition(self._definition, library=References(self._library))
                    reference.__dict__.update(_reference_of=self, _reference=reference)
                    self.__dict__["_reference"] = reference
        return self._reference

    def named(self, operation):
        """Return an operation by its name."""
        if operation == "forward":
            return self
        return self._gradients.get(operation.removesuffix("_gradient")) or getattr(self, operation)

    def operations(self):
        """Return all operations of this activation: itself, and those that are its attributes."""
        return [self, *(self.__dict__[name] for name in METHODS if name in self.__dict__), *self._gradients.values()]

    def parameter_gradients(self, grad, *arguments, **keywords):
        """Return the gradient of every parameter, summed over the elements that share its value.

        Parameters
        ----------
        grad : array_like
            The incoming gradient.
        *arguments, **keywords
            The input, for a gated activation gate and up, and the parameters, as in the call.

        Returns
        -------
        dict of str to ndarray or NumPy scalar
            Each of the shape of the parameter, of the dtype of x.  The sum is taken in float64 and in an order that
            depends on the shape alone.

        Raises
        ------
        TypeError
            If the parameters have no derivatives.
        """
        if not self._gradients:
            if self._definition.parameters:
                raise TypeError(f"{self.name}: has no derivatives with respect to its parameters")
            return {}
        gradients = {}
        for parameter, operation in self._gradients.items():
            bound, options = _arguments.bind(operation, (grad, *arguments), keywords)
            shape = np.shape(bound[parameter])
            values = operation.general((), {**bound, **options, "order": "C"})
            aligned = shape
            if self.kind == "axiswise":
                values = _rows.as_column(operation, values, bound)
            elif bound["axis"] is not None and len(shape) == 1:
                ndim = np.ndim(bound[operation.inputs[-1]])
                aligned = tuple(shape[0] if k == bound["axis"] % ndim else 1 for k in range(ndim))
            with np.errstate(all="ignore"):
                gradients[parameter] = np.reshape(_arguments.reduced_to(aligned, np.asarray(values)), shape)[()]
        return gradients

    def __getattr__(self, name):
        # Reached only for what an instance does not have.
        if name in (*METHODS, "jacobian", "packed") and "label" in self.__dict__:
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
        arguments = [name if self.parameters[name] is REQUIRED else f"{name}={self.parameters[name]!r}"
                     for name in self._definition.order if name in self.parameters]
        return f"<pyactx activation {self.name}({', '.join([*self.inputs, *arguments])}), {self.kind}>"

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


class References(Mapping):
    """The pure-Python twins of a library of activations."""

    def __init__(self, library):
        self._activations = library

    def __getitem__(self, name):
        return self._activations[name].reference

    def __iter__(self):
        return iter(self._activations)

    def __len__(self):
        return len(self._activations)


class Packed:
    """A gated activation of one array, which holds the gate and the values it lets up.

    Which half is the gate differs from library to library, so that it has to be said.

    Parameters
    ----------
    x : array_like
        Even in length along `axis`.
    *parameters, **keywords
        As for the activation.
    axis : int, default -1
        The axis along which gate and values lie.
    gate : {"first", "last"}
        Which of the two comes first.
    layout : {"halves", "interleaved"}
        One behind the other, or in turns.

    Returns
    -------
    ndarray
        Half as long as x along `axis`.

    Raises
    ------
    TypeError
        If `gate` is not given.
    ValueError
        If the length is odd, or `gate` or `layout` is none of these values.

    Attributes
    ----------
    backward : callable
        ``backward(grad, x, *parameters, ...)``, the gradient with respect to x, in one pass.
    """

    def __init__(self, activation):
        self.activation = activation
        self.label = f"{activation.name}.packed"

    def __call__(self, x, *parameters, axis=-1, gate=REQUIRED, layout="halves", out=None, **keywords):
        x = _arguments.array_like(self.label, "x", x)
        parts = _arguments.unpacked(self.label, x, axis, gate, layout)
        if isinstance(out, np.ndarray):
            dtype = _arguments.result_dtype(self.label, [x], keywords)
            _arguments.check_out(self.label, out, np.shape(parts[0]), "the result", dtype,
                                 keywords.get("casting", "same_kind"))
        return self.activation(*parts, *parameters, out=out, **keywords)

    def backward(self, grad, x, *parameters, axis=-1, gate=REQUIRED, layout="halves", out=None, **keywords):
        """Return the gradient with respect to x, of its shape."""
        label = f"{self.label}.backward"
        grad, x = _arguments.array_like(label, "grad", grad), _arguments.array_like(label, "x", x)
        parts = _arguments.unpacked(label, x, axis, gate, layout)
        dtype = _arguments.result_dtype(label, [grad, x], keywords)
        if out is None:
            out = np.empty(np.shape(x), dtype)
        else:
            _arguments.check_out(label, out, np.shape(x), "x", dtype, keywords.get("casting", "same_kind"))
        halves = _arguments.unpacked(label, out, axis, gate, layout)
        self.activation.backward(grad, *parts, *parameters, out=halves, **keywords)
        return out

    def __repr__(self):
        return f"<packed form of {self.activation!r}>"

    def __reduce__(self):
        return getattr, (self.activation, "packed")


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
        if not isinstance(key, str) or not key.isidentifier() or key in ("x", "y", "gate", "up", "grad", "axis", "out"):
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
