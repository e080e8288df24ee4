"""The two books hold the same activations, and every implementation shows the same face."""

import importlib
import inspect
import math
import re
from pathlib import Path

import pytest
from conftest import IMPLEMENTATIONS, INSTRUCTION_SETS, MISSING, builtin, every_implementation

import pyactx
from pyactx._definition import BOOK, REQUIRED
from pyactx._implementation import implementation as chosen

BUILT = [i for i, missing in MISSING.items() if i.compiled and not missing]


def described(name):
    kernels = importlib.import_module(f"pyactx._kernels_{name}").kernels
    return {name: chosen.driver.describe(capsule) for name, capsule in kernels.items()}


@pytest.fixture(params=BUILT or [None], ids=str)
def table(request):
    if request.param is None:
        pytest.skip(f"needs compiled kernels: {chosen.reason}")
    return described(request.param.name)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS, ids=str)
def test_runs_here(implementation):
    """What cannot run on this machine is skipped here, and nowhere else."""
    if MISSING[implementation]:
        pytest.skip(MISSING[implementation])


def test_same_names(table):
    assert set(table) == set(builtin(composed=False))


def test_same_parameters_and_defaults(table):
    for name in builtin(composed=False):
        definition = BOOK[name]
        parameters = {k: REQUIRED if math.isnan(v) else v for k, v in table[name]["parameters"].items()}
        assert list(parameters.items()) == list(definition.parameters.items()), name


def test_same_kind(table):
    assert ({n: (d["kind"], d["reduces"]) for n, d in table.items()}
            == {n: (BOOK[n].kind, BOOK[n].reduces) for n in builtin(composed=False)})


@every_implementation
def test_same_operations(activation):
    assert ([o.operation for o in activation.operations()]
            == [o.operation for o in activation.reference.operations()])


@every_implementation
def test_same_texts_and_signatures(activation):
    for ours, theirs in zip(activation.operations(), activation.reference.operations(), strict=True):
        assert ours.__doc__ == theirs.__doc__
        assert inspect.signature(ours) == inspect.signature(theirs)
        assert ours.label == theirs.label
        assert (ours.ufunc is None) == (theirs.ufunc is None) == activation._definition.composed
        if ours.ufunc is None:
            continue
        assert ours.ufunc.nin == theirs.ufunc.nin and ours.ufunc.nout == theirs.ufunc.nout
        assert ours.ufunc.__name__ == theirs.ufunc.__name__
        assert ours.ufunc.signature == theirs.ufunc.signature


def test_definition_is_complete(activation):
    definition = activation._definition
    assert definition.summary and definition.formula and definition.references and definition.properties
    for section in ("Parameters", "Returns", "Raises", "Notes", "References"):
        assert f"\n{section}\n---" in activation.__doc__


def test_instruction_sets_are_built(compiled):
    """Where a compiler was there, no instruction set of this architecture may be missing unseen."""
    names = INSTRUCTION_SETS if chosen.driver.cpu() else INSTRUCTION_SETS[:1]
    for name in names[: chosen.driver.cpu() + 1]:
        assert importlib.import_module(f"pyactx._kernels_{name}").isa == name


def test_public_names_are_there():
    for name in pyactx.__all__:
        assert hasattr(pyactx, name)
    assert set(BOOK) <= set(pyactx.__all__)


def test_stub_names_every_activation():
    """Type checkers see what `import pyactx` gives."""
    stub = (Path(pyactx.__file__).parent / "__init__.pyi").read_text()
    assert set(re.findall(r"^(\w+): Activation$", stub, re.MULTILINE)) == set(BOOK)
