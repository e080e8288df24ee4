"""The command line."""

import json
import subprocess
import sys

import numpy as np
import pytest

import pyactx
from pyactx import cli


def run(capsys, *arguments):
    code = cli.main(list(arguments))
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_list(capsys):
    code, out, _ = run(capsys, "list")
    assert code == 0 and [line.split()[0] for line in out.splitlines()] == pyactx.names()
    assert [row["name"] for row in json.loads(run(capsys, "list", "--json")[1])] == pyactx.names()


def strict(text):
    """Read JSON, in which there is no infinity and no NaN."""
    def refuse(constant):
        raise ValueError(f"{constant} is no JSON")

    return json.loads(text, parse_constant=refuse)


@pytest.mark.parametrize("name", pyactx.names())
def test_show(capsys, name):
    code, out, _ = run(capsys, "show", name)
    assert code == 0 and out.startswith(pyactx.get(name).__doc__)
    about = strict(run(capsys, "show", name, "--json")[1])
    assert about["name"] == name and about["kind"] == pyactx.get(name).kind and about["properties"]["introduced"]
    assert list(about["parameters"]) == list(pyactx.get(name).parameters)


def test_info(capsys):
    assert json.loads(run(capsys, "info", "--json")[1])["version"] == pyactx.__version__
    assert "implementation" in run(capsys, "info")[1]


def test_verify(capsys):
    code, out, err = run(capsys, "verify")
    assert code == 0 and not err and [line.split()[0] for line in out.splitlines()] == pyactx.names()
    code, out, _ = run(capsys, "verify", "Linear", "softmax", "--json")
    assert code == 0 and list(json.loads(out)) == ["identity", "softmax"]


def test_verify_finds_a_wrong_derivative(capsys):
    with pyactx.registry.isolated():
        pyactx.register(pyactx.Activation("wrong", forward=np.square, derivative=lambda x: 2 * x + (x > 3) * 1e-3))
        code, out, err = run(capsys, "verify", "relu", "wrong")
        assert code == 1 and "relu" in out
        assert err.startswith("pyactx verify: wrong.derivative: differs from numerical differentiation: at x = ")


def test_verify_finds_a_wrong_kernel(capsys, compiled):
    """The kernel of one activation under the name and reference of another."""
    capsule = pyactx.tanh._capsule
    with pyactx.registry.isolated():
        pyactx.register(pyactx.Activation.from_kernel("wrong", capsule, reference=pyactx.sigmoid.reference))
        code, _, err = run(capsys, "verify", "wrong")
        assert code == 1 and "compiled and Python differ in float32" in err


@pytest.mark.parametrize("arguments", [("verify", "rleu"), ("show", "rleu")])
def test_unknown_name(capsys, arguments):
    code, out, err = run(capsys, *arguments)
    assert code == 2 and not out and err.startswith(f"pyactx {arguments[0]}: no activation named 'rleu'; did you mean ")
    assert "'relu'" in err and err.endswith(f"? pyactx.names() lists all {len(pyactx.names())}\n")


def test_bad_command():
    finished = subprocess.run([sys.executable, "-m", "pyactx", "dance"], capture_output=True, text=True, check=False)
    assert finished.returncode == 2 and "invalid choice: 'dance'" in finished.stderr
