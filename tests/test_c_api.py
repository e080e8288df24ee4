"""The public C interface: what an installation offers to compiled plugins, and what it refuses.

Kernels are made here without a compiler: copies of built-in ones, through ctypes, with parts left out.
"""

import ctypes
import datetime
import importlib
import inspect
import os
import pickle
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import pyactx
from pyactx._implementation import implementation
from pyactx.testing import check_activation, compare_with_reference

NAME = b"pyactx.kernel.v1"
MODULES = [m.name for m in pkgutil.iter_modules(pyactx.__path__) if m.name.startswith("_kernels_")]
FIELDS = ("forward", "derivative", "backward", "backward_from_output", "value_and_derivative", "parameter_gradients")


class Operations(ctypes.Structure):
    """pyactx_operations_f32 and pyactx_operations_f64."""

    _fields_ = [(field, ctypes.c_void_p) for field in FIELDS]


class Gated(ctypes.Structure):
    """pyactx_gated_f32 and pyactx_gated_f64."""

    _fields_ = [(field, ctypes.c_void_p) for field in ("forward", "backward", "parameter_gradients")]


class Rows(ctypes.Structure):
    """pyactx_row_operations_f32 and pyactx_row_operations_f64."""

    _fields_ = [(field, ctypes.c_void_p)
                for field in ("forward", "backward", "backward_from_output", "parameter_gradients")]


class Kernel(ctypes.Structure):
    """pyactx_kernel."""

    _fields_ = [
        *((field, ctypes.c_uint32) for field in ("struct_size", "kind", "cost", "n_params")),
        ("name", ctypes.c_char_p),
        ("parameter_names", ctypes.POINTER(ctypes.c_char_p)),
        ("parameter_defaults", ctypes.POINTER(ctypes.c_double)),
        *((field, Operations) for field in ("f32", "f64", "each_f32", "each_f64")),
        *((field, Gated) for field in ("gated_f32", "gated_f64", "each_gated_f32", "each_gated_f64")),
        *((field, Rows) for field in ("rows_f32", "rows_f64")),
    ]


KINDS = ("elementwise", "axiswise", "axiswise", "gated")  # PYACTX_ELEMENTWISE and so on
REDUCTION = 2


new_capsule = ctypes.pythonapi.PyCapsule_New
new_capsule.argtypes, new_capsule.restype = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p], ctypes.py_object
capsule_pointer = ctypes.pythonapi.PyCapsule_GetPointer
capsule_pointer.argtypes, capsule_pointer.restype = [ctypes.py_object, ctypes.c_char_p], ctypes.c_void_p
capsule_name = ctypes.pythonapi.PyCapsule_GetName
capsule_name.argtypes, capsule_name.restype = [ctypes.py_object], ctypes.c_char_p

kept = []  # a kernel has static lifetime


def kernel_in(capsule):
    return Kernel.from_address(capsule_pointer(capsule, NAME))


def copy_of(activation):
    """Return a copy of the kernel of a built-in activation."""
    kernel = Kernel.from_buffer_copy(kernel_in(implementation.kernels[activation.name]))
    kept.append(kernel)
    return kernel


def capsule_of(kernel, name=NAME):
    return new_capsule(ctypes.addressof(kernel), name, None)


def leave_out(kernel, *fields, tables=("f32", "f64", "each_f32", "each_f64")):
    for table in tables:
        for field in fields:
            setattr(getattr(kernel, table), field, None)


@pytest.fixture(autouse=True)
def isolated():
    with pyactx.registry.isolated():
        yield


# ---- What is installed


def test_the_header_is_installed():
    header = Path(pyactx.get_include(), "pyactx.h")
    assert '#define PYACTX_KERNEL_CAPSULE "pyactx.kernel.v1"' in header.read_text(encoding="utf-8")
    assert header.is_relative_to(Path(pyactx.__file__).parent)


def test_the_declarations_for_cython_are_installed():
    declarations = Path(pyactx.__file__).with_name("__init__.pxd").read_text(encoding="utf-8")
    header = Path(pyactx.get_include(), "pyactx.h").read_text(encoding="utf-8")
    assert 'cdef extern from "pyactx.h"' in declarations
    for name in (*FIELDS, *(field for field, _ in Kernel._fields_), "PYACTX_ELEMENTWISE", "PYACTX_AXISWISE",
                 "PYACTX_REDUCTION", "PYACTX_GATED", "PYACTX_ROWS", "PYACTX_REQUIRED"):
        assert f" {name}" in declarations.replace("*", "") and name in header


@pytest.mark.parametrize("compiler, language, standard", [("cc", "c", "c11"), ("c++", "c++", "c++17")])
def test_the_header_stands_alone(tmp_path, compiler, language, standard):
    if not shutil.which(compiler):
        pytest.skip(f"there is no compiler {compiler}")
    source = tmp_path / "source"
    source.write_text('#include "pyactx.h"\npyactx_kernel kernel = {sizeof(pyactx_kernel)};\n'
                      "int kind = PYACTX_AXISWISE;\ndouble required = PYACTX_REQUIRED;\n")
    run = subprocess.run([compiler, "-x", language, f"-std={standard}", "-Wall", "-pedantic", "-Werror",
                          f"-I{pyactx.get_include()}", "-c", str(source), "-o", str(tmp_path / "object")],
                         capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.parametrize("module", MODULES)
def test_built_in_kernels_come_through_the_same_capsule(compiled, module):
    from conftest import MISSING

    reason = {f"_kernels_{i}": reason for i, reason in MISSING.items()}.get(module)
    if reason:
        pytest.skip(reason)
    kernels = importlib.import_module(f"pyactx.{module}").kernels
    assert set(kernels) == {name for name, a in pyactx.registry.builtin.items() if not a._definition.composed}
    for name, capsule in kernels.items():
        assert capsule_name(capsule) == NAME
        kernel, described = kernel_in(capsule), implementation.driver.describe(capsule)
        builtin = pyactx.registry.builtin[name]
        assert kernel.struct_size == ctypes.sizeof(Kernel)
        assert kernel.name.decode() == described["name"] == name
        assert described["kind"] == builtin.kind == KINDS[kernel.kind]
        assert described["reduces"] == builtin._definition.reduces == (kernel.kind == REDUCTION)
        parameters = builtin._definition.parameters  # without the arguments that choose a variant
        defaults = [np.nan if value is inspect.Parameter.empty else value for value in parameters.values()]
        assert list(described["parameters"]) == list(parameters)
        np.testing.assert_array_equal(list(described["parameters"].values()), defaults)


# ---- What is refused


@pytest.mark.parametrize("thing", [
    None, 3, "relu", object(), pyactx.relu, new_capsule(1, b"another.kernel.v1", None), datetime.datetime_CAPI,
], ids=lambda thing: type(thing).__name__)
def test_what_is_no_kernel_is_refused(compiled, thing):
    with pytest.raises(TypeError, match=r"^mine: kernel must be a PyCapsule named 'pyactx\.kernel\.v1'"):
        pyactx.Activation.from_kernel("mine", thing)
    with pytest.raises((TypeError, ValueError)):
        implementation.driver.describe(thing)


def spoil(field, value):
    return lambda kernel: setattr(kernel, field, value)


SPOILED = {
    "a struct of an older version": (spoil("struct_size", ctypes.sizeof(Kernel) - 8), "struct_size"),
    "no struct_size": (spoil("struct_size", 0), "struct_size"),
    "too many parameters": (spoil("n_params", 9), "at most 8"),
    "an unknown kind": (spoil("kind", len(KINDS)), "kind"),
    "of two arrays, without functions of them": (spoil("kind", KINDS.index("gated")), "forward"),
    "no name": (spoil("name", None), "name"),
    "no forward": (lambda kernel: leave_out(kernel, "forward"), "forward"),
    "no forward for float32": (lambda kernel: leave_out(kernel, "forward", tables=["f32", "each_f32"]), "forward"),
    "no forward for float64": (lambda kernel: leave_out(kernel, "forward", tables=["f64", "each_f64"]), "forward"),
    "no names of parameters": (spoil("parameter_names", None), "parameter"),
    "no defaults of parameters": (spoil("parameter_defaults", None), "parameter"),
}


def refuse(what):
    """Run in a process of its own, which a NULL pointer may end."""
    kernel = copy_of(pyactx.prelu)
    SPOILED[what][0](kernel)
    try:
        pyactx.Activation.from_kernel("mine", capsule_of(kernel), parameters={"weight": 0.25})
    except ValueError as error:
        print(error)


@pytest.mark.parametrize("what", SPOILED)
def test_a_kernel_that_could_not_run_is_refused(compiled, what):
    script = f"import test_c_api; test_c_api.refuse({what!r})"
    run = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert run.returncode == 0, f"it ended with {run.returncode}: {run.stderr}"
    assert run.stdout.startswith("mine: ") and SPOILED[what][1] in run.stdout


def test_a_struct_of_a_newer_version_is_accepted(compiled):
    kernel = copy_of(pyactx.relu)
    kernel.struct_size += 64
    assert pyactx.Activation.from_kernel("mine", capsule_of(kernel))(np.float32([-1, 2])).tolist() == [0, 2]


@pytest.mark.parametrize("parameters", [{}, {"a": 1.0, "b": 2.0}])
def test_as_many_parameters_as_the_kernel_has(compiled, parameters):
    with pytest.raises(ValueError, match=f"the kernel has 1 parameters, parameters has {len(parameters)}"):
        pyactx.Activation.from_kernel("mine", capsule_of(copy_of(pyactx.prelu)), parameters=parameters)


# ---- What a kernel gives


def registered(builtin, kernel, **options):
    """Return an activation of a kernel, registered so that it can be pickled."""
    return pyactx.register(pyactx.Activation.from_kernel("mine", capsule_of(kernel), **options))


def same(expected, got):
    np.testing.assert_array_equal(got, expected, strict=True)


@pytest.mark.parametrize("builtin", [pyactx.sigmoid, pyactx.tanh, pyactx.leaky_relu], ids=lambda a: a.name)
def test_value_and_derivative_are_enough(compiled, builtin):
    """backward and value_and_derivative are composed; in float64 they have the bits of the built-in ones."""
    kernel = copy_of(builtin)
    leave_out(kernel, "backward", "backward_from_output", "value_and_derivative", "parameter_gradients")
    mine = registered(builtin, kernel, reference=builtin.reference)
    assert [operation.operation for operation in mine.operations()] == [
        "forward", "derivative", "value_and_derivative", "backward"]
    check_activation(mine)
    x = np.linspace(-9, 9, 20_011)  # over several blocks and buffers
    grad = np.cos(x)
    same(builtin(x), mine(x))
    same(builtin.backward(grad, x), mine.backward(grad, x))
    for expected, got in zip(builtin.value_and_derivative(x), mine.value_and_derivative(x), strict=True):
        same(expected, got)
    for expected, got in zip(builtin.value_and_derivative(x), mine.value_and_derivative(x, out=(x, grad))):
        same(expected, got)


def test_only_a_value(compiled):
    kernel = copy_of(pyactx.sigmoid)
    leave_out(kernel, *FIELDS[1:])
    mine = registered(pyactx.sigmoid, kernel)
    assert [operation.operation for operation in mine.operations()] == ["forward"] and mine.reference is None
    check_activation(mine)
    with pytest.raises(AttributeError, match="mine has no backward"):
        mine.backward  # noqa: B018


def test_operations_for_one_dtype_only_are_not_offered(compiled):
    kernel = copy_of(pyactx.sigmoid)
    leave_out(kernel, "derivative", "backward", "value_and_derivative", tables=["f64"])
    mine = registered(pyactx.sigmoid, kernel)
    assert not hasattr(mine, "derivative") and not hasattr(mine, "backward")


def array_parameters(activation, dtype):
    """Call every operation with parameters that are arrays, in several layouts."""
    generator = np.random.default_rng(5)
    x, grad, weight = generator.normal(size=(3, 40, 50)).astype(dtype)
    layouts = [(x, grad, weight), (x, grad, weight[0]), (x[:, :1], grad[:, :1], weight[:, :1]),
               (x[::-2, ::3], grad[::-2, ::3], weight[::2, ::3]), (x[0], grad[0], weight), (x, grad, weight[:, :1])]
    for x, grad, weight in layouts:
        for operation in activation.operations():
            arrays = (grad, x)[-len(operation.inputs):]
            result = operation(*arrays, weight)
            yield from result if isinstance(result, tuple) else [result]


EACH = {
    "all": FIELDS,
    "forward": ["forward"],
    "derivative": ["derivative", "backward", "value_and_derivative"],
    "gradients": ["parameter_gradients"],
    "all but forward": FIELDS[1:],
}


def compare_array_parameters(missing, dtype):
    """Run in a process of its own, which a NULL pointer may end."""
    kernel = copy_of(pyactx.prelu)
    for table, each in ((kernel.f32, kernel.each_f32), (kernel.f64, kernel.each_f64)):
        table.parameter_gradients = each.parameter_gradients  # which does not depend on the parameter
    leave_out(kernel, *EACH[missing], tables=["each_f32", "each_f64"])
    mine = registered(pyactx.prelu, kernel, reference=pyactx.prelu.reference)
    for expected, got in zip(array_parameters(pyactx.prelu, dtype), array_parameters(mine, dtype), strict=True):
        same(expected, got)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("missing", EACH)
def test_parameters_that_are_arrays_need_no_functions_of_their_own(compiled, missing, dtype):
    script = f"import test_c_api; test_c_api.compare_array_parameters({missing!r}, {dtype!r})"
    run = subprocess.run([sys.executable, "-c", script], cwd=Path(__file__).parent, capture_output=True, text=True)
    assert run.returncode == 0, f"it ended with {run.returncode}: {run.stderr}"


def test_parameters_can_be_renamed_and_given_other_defaults(compiled):
    mine = registered(pyactx.prelu, copy_of(pyactx.prelu), parameters={"slope": 0.5}, aliases=["mine_too"], doc="Mine.")
    assert dict(mine.parameters) == {"slope": 0.5} and mine.__doc__.startswith("Mine.")
    assert mine(np.float32([-2])) == -1 and mine(np.float32([-2]), slope=1.0) == -2
    assert pyactx.get("MINE-too") is mine
    check_activation(mine)


def test_a_required_parameter_is_one_whose_default_is_nan(compiled):
    mine = registered(pyactx.prelu, copy_of(pyactx.prelu))
    assert mine.parameters["weight"] is inspect.Parameter.empty
    with pytest.raises(TypeError, match="mine: weight is missing"):
        mine(np.float32([1]))


@pytest.mark.parametrize("builtin", [pyactx.softmax, pyactx.log_softmax, pyactx.logsumexp, pyactx.sparsemax],
                         ids=lambda a: a.name)
def test_a_kernel_for_rows(compiled, builtin):
    mine = registered(builtin, copy_of(builtin), reference=builtin.reference)
    assert mine.kind == "axiswise" and mine._definition.reduces == builtin._definition.reduces
    check_activation(mine)


@pytest.mark.parametrize("builtin", [pyactx.swiglu, pyactx.bilinear_glu, pyactx.swiglu_oai], ids=lambda a: a.name)
def test_a_kernel_of_two_arrays(compiled, builtin):
    mine = registered(builtin, copy_of(builtin), reference=builtin.reference)
    assert mine.kind == "gated" and mine.inputs == ("gate", "up")
    check_activation(mine)
    x = np.linspace(-4, 4, 22)
    same(builtin.packed(x, gate="first"), mine.packed(x, gate="first"))


def test_a_kernel_of_several_parameters(compiled):
    """As arrays too, where it has no functions for them."""
    kernel = copy_of(pyactx.xielu)
    leave_out(kernel, *FIELDS, tables=["each_f32", "each_f64"])
    mine = registered(pyactx.xielu, kernel, reference=pyactx.xielu.reference)
    check_activation(mine)
    x, *parameters = np.random.default_rng(31).uniform(-2, 2, (1 + len(mine.parameters), 1000))
    for operation in mine.operations():
        builtin = pyactx.xielu.named(operation.operation)
        arrays = (x,) * len(operation.inputs)
        same(np.asarray(builtin(*arrays, *parameters)), np.asarray(operation(*arrays, *parameters)))


def test_a_wrong_reference_is_noticed(compiled):
    mine = registered(pyactx.sigmoid, copy_of(pyactx.sigmoid), reference=pyactx.tanh.reference)
    with pytest.raises(AssertionError, match="mine: compiled and Python differ"):
        compare_with_reference(mine)


def test_it_is_pickled_by_its_registered_name_or_not_at_all(compiled):
    mine = pyactx.Activation.from_kernel("mine", capsule_of(copy_of(pyactx.relu)))
    with pytest.raises(pickle.PicklingError, match=r"mine: cannot be pickled; .* register it"):
        pickle.dumps(mine)
    pyactx.register(mine)
    assert pickle.loads(pickle.dumps(mine)) is mine
    assert pickle.loads(pickle.dumps(mine.derivative)) is mine.derivative


def test_without_compiled_pyactx_the_reference_is_used():
    script = """
import pyactx
wave = pyactx.Activation("wave", forward=lambda x: x)
assert pyactx.Activation.from_kernel("wave", None, reference=wave)(2.0) == 2.0
try:
    pyactx.Activation.from_kernel("wave", None)
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
                         env={**os.environ, "PYACTX_IMPLEMENTATION": "python"})
    assert run.stdout.startswith("wave: a compiled kernel needs the compiled implementation, and it has no reference")


def test_names_are_the_same_where_nothing_is_compiled():
    """from_kernel gives what it was asked for: in pure Python with the formulas of the reference."""
    script = """
import numpy as np, pyactx
reference = pyactx.Activation("another_name", forward=np.sin, derivative=np.cos)
mine = pyactx.Activation.from_kernel("mine", None, reference=reference, aliases=["ours"], doc="Mine.")
print(mine.name, mine.aliases, mine.__doc__.splitlines()[0], mine.derivative(0.0), mine.reference is mine)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True,
                         env={**os.environ, "PYACTX_IMPLEMENTATION": "python"})
    assert run.stdout == "mine ('ours',) Mine. 1.0 True\n"
