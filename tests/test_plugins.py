"""The example plugins, built and installed beside an installed pyactx, as their authors would.

pyactx is put into an environment of its own: from the wheel that `--wheel` names, else as it is installed here, else
from a wheel built of the source tree.  The build tools come from the environment of the tests.
"""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest

import pyactx

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
PLUGINS = {"softcap": "plugin_numpy", "swoosh": "plugin_cython"}


def variables(**changes):
    """Return the environment variables without those that change what Python, pip and pyactx do."""
    return {**{k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "PIP_", "PYACTX_"))}, **changes}


class Environment:
    """A virtual environment that sees the packages of this one behind its own."""

    def __init__(self, folder):
        venv.create(folder, with_pip=importlib.util.find_spec("pip") is None)
        paths = {"base": str(folder), "platbase": str(folder)}
        self.packages = Path(sysconfig.get_path("purelib", "venv", paths))
        self.python = Path(sysconfig.get_path("scripts", "venv", paths), "python")
        (self.packages / "outer.pth").write_text("\n".join(p for p in sys.path if p.endswith("-packages")))

    def run(self, *arguments, cwd, implementation="auto"):
        return subprocess.run([self.python, *arguments], cwd=cwd, capture_output=True, text=True,
                              env=variables(PYACTX_IMPLEMENTATION=implementation))

    def install(self, *things):
        options = ["--no-build-isolation", "--no-deps", "--no-index", "--ignore-installed"]
        run = self.run("-m", "pip", "install", *options, *map(str, things), cwd=self.packages)
        assert run.returncode == 0, run.stdout + run.stderr


def installed_files():
    """Return {path: file} of pyactx as it is installed here, or nothing where it runs from a source tree."""
    try:
        installed = distribution("pyactx")
        files = installed.files if installed.read_text("RECORD") else []
    except PackageNotFoundError:
        files = []
    here = {str(file): file.locate() for file in files if ".." not in file.parts and "__pycache__" not in file.parts}
    package = Path(pyactx.__file__)
    return here if any(Path(file) == package for file in here.values()) else {}


def build_wheel(folder):
    """Build in a copy: the source tree is left as it is."""
    if not (ROOT / "setup.py").is_file():
        pytest.skip("pyactx is neither installed nor here as a source tree")
    source = folder / "source"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns("build", ".*", "*.so", "*.pyd", "tests", "*.egg-info"))
    run = subprocess.run([sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--no-index",
                          "-w", folder, source], capture_output=True, text=True, env=variables())
    assert run.returncode == 0, run.stdout + run.stderr
    return next(folder.glob("pyactx-*.whl"))


@pytest.fixture(scope="module")
def environment(request, tmp_path_factory):
    """An environment with pyactx and the two plugins."""
    if not EXAMPLES.is_dir():
        pytest.skip(f"the examples are not here: {EXAMPLES}")
    compiler = (sysconfig.get_config_var("CC") or "cl").split()[0]
    if not shutil.which(compiler):
        pytest.skip(f"a compiled plugin needs a compiler, and there is no {compiler}")
    folder = tmp_path_factory.mktemp("plugins")
    environment = Environment(folder / "environment")
    wheel = request.config.getoption("wheel", None)
    files = installed_files()
    if wheel:
        environment.install(Path(wheel).resolve())
    elif files:
        for path, file in files.items():
            target = environment.packages / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
    else:
        environment.install(build_wheel(folder))
    for example in PLUGINS.values():
        shutil.copytree(EXAMPLES / example, folder / example, ignore=shutil.ignore_patterns("build", "*.egg-info"))
    environment.folder = folder
    environment.install(*(folder / example for example in PLUGINS.values()))
    return environment


@pytest.fixture(params=["compiled", "python"])
def run(request, environment):
    """A function that runs Python in the environment, on each implementation, and returns what it prints."""
    implementation = pyactx.show_config(mode="dicts")["implementation"]
    if request.param == "compiled" and implementation["name"] != "compiled":
        pytest.skip(f"needs compiled kernels: {implementation['reason']}")

    def run(*arguments, cwd=environment.folder):
        run = environment.run(*arguments, cwd=cwd, implementation=request.param)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    run.implementation = request.param
    return run


SCRIPT = """
import json, pathlib, pickle, subprocess, sys
import numpy as np, pyactx

def told(name, package, module):
    lazy = name in pyactx.registry and name in pyactx.names() and module not in sys.modules
    activation = pyactx.get(name)
    x = np.linspace(-3, 3, 7, dtype=np.float32)
    expected = activation.backward(x, x, 0.5).tolist()
    child = "import pickle, sys; f, x = pickle.load(sys.stdin.buffer); print(f(x, x, 0.5).tolist())"
    again = subprocess.run([sys.executable, "-c", child], input=pickle.dumps((activation.backward, x)),
                           capture_output=True, check=True)
    return {
        "lazy": lazy,
        "one object": activation is pyactx.get(f"{package}:{name}") is getattr(sys.modules[module], name),
        "origin": pyactx.registry.origin(name),
        "pickled": again.stdout.decode().strip() == str(expected),
        "doc": activation.__doc__.splitlines()[0],
        "parameters": dict(activation.parameters),
        "compiled": activation.reference is not activation,
        "gradients": list(activation.parameter_gradients(x, x)),
        "ufunc": isinstance(activation.ufunc, np.ufunc),
    }

print(json.dumps({
    "pyactx": str(pathlib.Path(pyactx.__file__).parent),
    "implementation": pyactx.show_config(mode="dicts")["implementation"]["name"],
    "softcap": told("softcap", "pyactx-softcap", "pyactx_softcap"),
    "swoosh": told("swoosh", "pyactx-swoosh", "pyactx_swoosh"),
}))
"""


def test_the_plugins_are_found_and_are_activations_like_the_built_in_ones(run, environment):
    told = json.loads(run("-c", SCRIPT))
    assert Path(told["pyactx"]) == environment.packages / "pyactx"
    assert told["implementation"] == run.implementation
    compiled = run.implementation == "compiled"
    common = {"lazy": True, "one object": True, "pickled": True}
    assert told["softcap"] == {
        **common, "origin": "entry point of pyactx-softcap 1.0 (pyactx_softcap:softcap)", "parameters": {"cap": 30.0},
        "doc": "Soft cap: the identity, bent to stay within the cap.", "compiled": False, "gradients": ["cap"],
        "ufunc": False}
    assert told["swoosh"] == {
        **common, "origin": "entry point of pyactx-swoosh 1.0 (pyactx_swoosh:swoosh)", "parameters": {"shift": 4.0},
        "doc": "Swoosh: softplus with a negative slope on the left.", "compiled": compiled, "gradients": ["shift"],
        "ufunc": compiled}


@pytest.mark.parametrize("example", PLUGINS.values())
def test_the_tests_of_the_examples_pass(run, environment, example):
    told = run("-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir=.", cwd=environment.folder / example)
    assert " passed" in told and "skipped" not in told


def test_verify_compares_the_plugins(run):
    told = json.loads(run("-m", "pyactx", "verify", *PLUGINS, "--json"))
    assert {name: result["agrees"] for name, result in told.items()} == {"softcap": True, "swoosh": True}
    assert (told["swoosh"]["reference"] is not None) == (run.implementation == "compiled")


def test_verify_finds_a_kernel_that_computes_something_else(run):
    """The comparison can fail: the kernel of swoosh under a reference with another constant."""
    script = """
import pyactx, pyactx_swoosh, pyactx.testing
wrong = pyactx.Activation("swoosh", forward=lambda x, shift: pyactx_swoosh.forward(x, shift) + 1e-3,
                          derivative=pyactx_swoosh.derivative, parameters={"shift": 4.0})
broken = pyactx.Activation.from_kernel("swoosh", pyactx_swoosh.swoosh_kernel, reference=wrong)
try:
    pyactx.testing.compare_with_reference(broken)
except AssertionError as error:
    print(error)
"""
    told = run("-c", script)
    assert ("swoosh: compiled and Python differ" in told) == (run.implementation == "compiled")


def test_the_plugins_can_be_turned_off(run):
    script = ("import os; os.environ['PYACTX_DISABLE_PLUGINS'] = 'softcap'; import pyactx;"
              "print('softcap' in pyactx.registry, 'swoosh' in pyactx.registry)")
    assert run("-c", script).split() == ["False", "True"]
