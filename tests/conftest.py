"""Every test runs on every implementation that this machine can run: python, baseline, avx2, avx512."""

import importlib
import sys
import types
from dataclasses import dataclass

import pytest

import pyactx
from pyactx._implementation import implementation as chosen
from pyactx._reference import BOOK
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
        vars(module).update({name: Activation._from_definition(definition, kernels.get(name), module.__name__)
                             for name, definition in BOOK.items()})
        return {name: getattr(module, name) for name in BOOK}


IMPLEMENTATIONS = [Implementation(name) for name in ("python", *INSTRUCTION_SETS)]
MISSING = {implementation: implementation.missing() for implementation in IMPLEMENTATIONS}
ACTIVATIONS = {i: i.activations() for i in IMPLEMENTATIONS if not MISSING[i]}


def builtin(kind=None):
    return [name for name, definition in BOOK.items() if kind in (None, definition.kind)]


@pytest.fixture(params=IMPLEMENTATIONS, ids=str, scope="session")
def implementation(request):
    if MISSING[request.param]:
        pytest.skip(MISSING[request.param])
    return request.param


@pytest.fixture(scope="session")
def activations(implementation):
    """All built-in activations by name."""
    return ACTIVATIONS[implementation]


@pytest.fixture(params=builtin())
def activation(request, activations):
    return activations[request.param]


@pytest.fixture(params=builtin("elementwise"))
def elementwise(request, activations):
    return activations[request.param]


@pytest.fixture(params=builtin("axiswise"))
def axiswise(request, activations):
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
            f"{', '.join(map(str, ACTIVATIONS))}{'; ' if missing else ''}{'; '.join(missing)}"]
