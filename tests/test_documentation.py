"""Every example in the docstrings, the README and the docs runs."""

import doctest
import importlib
import re
import textwrap
from pathlib import Path

import numpy as np
import pytest

import pyactx

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
