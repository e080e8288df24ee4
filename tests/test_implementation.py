"""The choice of implementation: each test starts a Python of its own, because the choice is made at import."""

import os
import subprocess
import sys

import pytest
from conftest import chosen

PRINT = "import pyactx; c = pyactx.show_config(mode='dicts'); print(c['implementation'], c['instruction_set'])"


def python(script, **environment):
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PYACTX_")}
    return subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=False,
                          env={**kept, **environment})


def last_line(finished):
    return finished.stderr.strip().splitlines()[-1]


def test_python_is_chosen_by_name():
    finished = python(PRINT, PYACTX_IMPLEMENTATION="python")
    assert "'name': 'python', 'reason': 'PYACTX_IMPLEMENTATION=python'" in finished.stdout
    assert python("import pyactx, sys; print([m for m in sys.modules if m.startswith('pyactx._kernels')], "
                  "'pyactx._driver' in sys.modules)", PYACTX_IMPLEMENTATION="python").stdout == "[] False\n"


@pytest.mark.parametrize("value", ["", "auto", "compiled"])
def test_compiled(compiled, value):
    assert "'name': 'compiled'" in python(PRINT, PYACTX_IMPLEMENTATION=value).stdout


def test_instruction_set_is_an_upper_bound(compiled):
    for name in chosen.driver and list(chosen.available):
        assert f"'used': '{name}'" in python(PRINT, PYACTX_SIMD=name).stdout
    assert f"'used': '{chosen.available[-1]}'" in python(PRINT).stdout


@pytest.mark.parametrize("variable, value, text", [
    ("PYACTX_IMPLEMENTATION", "pyhton", "ValueError: PYACTX_IMPLEMENTATION='pyhton' is not one of auto, compiled, "
                                        "python"),
    ("PYACTX_SIMD", "avx51", "ValueError: PYACTX_SIMD='avx51' is not one of baseline, avx2, avx512, neon"),
    ("PYACTX_NUM_THREADS", "many", "ValueError: PYACTX_NUM_THREADS='many' is not a number of threads; give 1 or more"),
    ("PYACTX_NUM_THREADS", "0", "ValueError: PYACTX_NUM_THREADS='0' is not a number of threads; give 1 or more"),
])
def test_unknown_values_raise(variable, value, text):
    finished = python(PRINT, **{variable: value})
    assert finished.returncode == 1 and last_line(finished) == text
    if variable == "PYACTX_SIMD":
        assert last_line(python(PRINT, PYACTX_SIMD=value, PYACTX_IMPLEMENTATION="python")) == text


def test_an_instruction_set_of_another_processor_raises(compiled):
    other = "neon" if "baseline" in chosen.available else "avx2"
    assert (f"ValueError: PYACTX_SIMD={other!r} is not supported here; this processor and installation have "
            f"{', '.join(chosen.available)}") == last_line(python(PRINT, PYACTX_SIMD=other))


HIDE = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in {hidden}:
            raise ImportError("no compiler was there")
sys.meta_path.insert(0, Hidden())
"""


def test_auto_falls_back_and_says_why():
    script = HIDE.format(hidden=["pyactx._driver"]) + PRINT
    finished = python(script)
    assert ("{'name': 'python', 'reason': 'nothing compiled can be imported: no compiler was there'}"
            in finished.stdout)
    finished = python(script, PYACTX_IMPLEMENTATION="compiled")
    assert finished.returncode == 1
    assert last_line(finished) == ("ImportError: PYACTX_IMPLEMENTATION=compiled, but nothing compiled can be imported: "
                                   "no compiler was there")


def test_implementations_agree_in_separate_processes():
    """The bits of every built-in, through the public names, are the same for avx2 and avx512."""
    script = """
import hashlib, numpy as np, pyactx
from pyactx import testing
digest = hashlib.sha256()
for name in pyactx.names():
    activation = pyactx.get(name)
    for operation in activation.operations():
        for dtype in testing.DTYPES:
            values = testing.values_of(activation, None)
            inputs = testing.inputs_of(activation, operation, dtype, values)
            for result in testing.as_tuple(operation(*inputs, **values)):
                digest.update(np.where(np.isnan(result), np.float32(np.nan), result).tobytes())
print(digest.hexdigest())
"""
    digests = {name: python(script, PYACTX_SIMD=name).stdout for name in chosen.available if name != "baseline"}
    assert len(set(digests.values())) <= 1, digests
    assert all(len(digest) == 65 for digest in digests.values())
