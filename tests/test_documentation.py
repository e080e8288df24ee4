"""Every example in the docstrings, the README and the docs runs."""

import doctest
import importlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import numpy as np
import pytest

import pyactx
from pyactx._definition import BOOK

ROOT = Path(__file__).parent.parent
PAGES = [page for page in (ROOT / "README.md", ROOT / "docs" / "plugins.md") if page.exists()]


@pytest.mark.parametrize("module", ["pyactx", "pyactx.activation", "pyactx._registry", "pyactx._threads",
                                    "pyactx.testing"])
def test_docstrings(module):
    failed, run = doctest.testmod(importlib.import_module(module))
    assert run and not failed


@pytest.mark.skipif(not PAGES, reason="the pages are not beside the tests")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages(page):
    names = {"pyactx": pyactx, "np": np}
    with pyactx.registry.isolated():
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
            code = "\n".join(line for line in block.splitlines() if "_kernels." not in line)  # the reader's own
            exec(compile(textwrap.dedent(code), str(page), "exec"), names)
    assert len(names) > 2


PERFORMANCE = ROOT / "docs" / "performance.md"


@pytest.mark.skipif(not PERFORMANCE.exists(), reason="the pages are not beside the tests")
def test_table_of_accuracy_is_what_the_definitions_state():
    told = {}
    rows = re.findall(r"^\| (`.*`) \| ([\d.]+) \| ([\d.]+) \|$", PERFORMANCE.read_text(), re.MULTILINE)
    for names, single, double in rows:
        for name in re.findall(r"`(\w+)`", names):
            told[name] = {"float32": float(single), "float64": float(double)}
    assert told == {name: definition.max_ulp for name, definition in BOOK.items()}


COMPILER = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
CONTRIBUTING = ROOT / "CONTRIBUTING.md"


@pytest.mark.skipif(not CONTRIBUTING.exists() or COMPILER is None, reason="needs the sources and a C compiler")
def test_adding_an_activation_takes_two_edits(compiled, tmp_path):
    """The diff in CONTRIBUTING.md, applied to a copy of the package: compiled, Python and differences agree."""
    added = {name: re.sub(r"^\+", "", lines, flags=re.MULTILINE) for name, lines in re.findall(
        r"```diff\n--- a/\S+\n\+\+\+ b/(\S+)\n(.*?)```", CONTRIBUTING.read_text(), re.DOTALL)}
    assert set(added) == {"src/activations.def", "pyactx/_reference.py"}
    package = tmp_path / "pyactx"
    shutil.copytree(Path(pyactx.__file__).parent, package, ignore=shutil.ignore_patterns("_kernels_*", "__pycache__"))
    shutil.copytree(ROOT / "src", tmp_path / "src")
    for file, lines in added.items():
        with open(tmp_path / file, "a") as book:
            book.write("\n\n" + lines)
    module = package / f"_kernels_baseline{sysconfig.get_config_var('EXT_SUFFIX')}"
    subprocess.run([COMPILER, "-shared", "-fPIC", "-std=c11", "-O1", "-fno-math-errno", "-ffp-contract=off", "-Isrc",
                    "-Ipyactx/include", f"-I{sysconfig.get_path('include')}", "src/kernels_baseline.c", "-o", module],
                   cwd=tmp_path, check=True)
    for wish, expected in (("compiled", "compiled and Python within"), ("python", "no reference to compare with")):
        environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYACTX_IMPLEMENTATION": wish}
        told = subprocess.run([sys.executable, "-m", "pyactx", "verify", "softcap"], cwd=tmp_path, env=environment,
                              capture_output=True, text=True)
        assert told.returncode == 0 and expected in told.stdout, told.stderr
