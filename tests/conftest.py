"""The implementations that this machine can run: python, baseline, avx2, avx512.

Tests run on Python and on the best compiled one.  What depends on how the kernels were compiled runs on
`every_implementation`; that the instruction sets give the same bits is shown in test_accuracy.py.
"""

import importlib
import sys
import types
from dataclasses import dataclass

import pytest

import pyactx
from pyactx._definition import BOOK
from pyactx._implementation import implementation as chosen
from pyactx.activation import Activation

INSTRUCTION_SETS = ("baseline", "avx2", "avx512")


@dataclass(frozen=True)
class Implementation:
    """The built-in activations of one implementation."""

    name: str

    def __str__(self):
        return self.name

    @property
    def compiled(self):
        return self.name != "python"

    def missing(self):
        """Return why it cannot run here, or None."""
        if not self.compiled:
            return None
        if not chosen.compiled:
            return f"{self.name}: {chosen.reason}"
        if INSTRUCTION_SETS.index(self.name) > chosen.driver.cpu():
            return f"{self.name} is not supported by this processor"
        try:
            importlib.import_module(f"pyactx._kernels_{self.name}")
        except ImportError as error:
            return f"{self.name} is not installed: {error}"
        return None

    def activations(self):
        kernels = importlib.import_module(f"pyactx._kernels_{self.name}").kernels if self.compiled else {}
        module = sys.modules[f"built_in_{self.name}"] = types.ModuleType(f"built_in_{self.name}")  # for pickling
        library = vars(module)  # a composition finds there what it is made of
        for name, definition in BOOK.items():
            library[name] = Activation._from_definition(definition, kernels.get(name), module.__name__, library)
        return {name: library[name] for name in BOOK}


IMPLEMENTATIONS = [Implementation(name) for name in ("python", *INSTRUCTION_SETS)]
MISSING = {implementation: implementation.missing() for implementation in IMPLEMENTATIONS}
ACTIVATIONS = {i: i.activations() for i in IMPLEMENTATIONS if not MISSING[i]}
AVAILABLE = list(ACTIVATIONS)
PRINCIPAL = AVAILABLE[:1] + AVAILABLE[1:][-1:]

every_implementation = pytest.mark.parametrize("implementation", AVAILABLE, indirect=True, ids=str)
every_compiled = pytest.mark.parametrize("implementation", AVAILABLE[1:], indirect=True, ids=str)
best_compiled = pytest.mark.parametrize("implementation", AVAILABLE[1:][-1:], indirect=True, ids=str)


def builtin(kind=None, *, composed=None):
    return [name for name, definition in BOOK.items()
            if kind in (None, definition.kind) and composed in (None, definition.composed)]


@pytest.fixture(params=PRINCIPAL, ids=str, scope="session")
def implementation(request):
    return request.param


@pytest.fixture(scope="session")
def activations(implementation):
    """All built-in activations by name."""
    return ACTIVATIONS[implementation]


@pytest.fixture(params=builtin())
def activation(request, activations):
    """Any activation."""
    return activations[request.param]


@pytest.fixture(params=builtin(composed=False))
def with_ufuncs(request, activations):
    """Any activation that is not made of others: each of its operations has a ufunc."""
    return activations[request.param]


@pytest.fixture(params=builtin("elementwise"))
def elementwise(request, activations):
    return activations[request.param]


@pytest.fixture(params=builtin("gated", composed=False))
def gated(request, activations):
    """A gated activation of two arrays."""
    return activations[request.param]


@pytest.fixture(params=builtin("axiswise", composed=False))
def axiswise(request, activations):
    """An axis-wise activation that is not made of others: rows to rows, or rows to numbers."""
    return activations[request.param]


@pytest.fixture(params=["float32", "float64"])
def dtype(request):
    return request.param


@pytest.fixture
def compiled():
    """Skip where nothing compiled is in use."""
    if not chosen.compiled:
        pytest.skip(f"needs compiled kernels: {chosen.reason}")


def pytest_addoption(parser):
    parser.addoption("--wheel", help="the wheel of pyactx that test_plugins.py installs")


def pytest_report_header():
    missing = [reason for reason in MISSING.values() if reason]
    return [f"pyactx {pyactx.__version__} from {pyactx.__path__[0]}, implementations: "
            f"{', '.join(map(str, AVAILABLE))}{'; ' if missing else ''}{'; '.join(missing)}"]
