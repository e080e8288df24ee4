"""Activations of installed packages.  The packages are those of the folder plugins/, put on the path."""

import os
import pickle
import subprocess
import sys
import threading
import warnings
from importlib.metadata import entry_points
from pathlib import Path

import numpy as np
import pytest

import pyactx
from pyactx import PluginConflictWarning, PluginError, UnknownActivationError, registry

PLUGINS = Path(__file__).parent / "plugins"


@pytest.fixture
def install(monkeypatch):
    """A function that makes packages look installed."""
    monkeypatch.delenv("PYACTX_DISABLE_PLUGINS", raising=False)

    def install(*packages):
        for package in packages:
            monkeypatch.syspath_prepend(PLUGINS / package)
        registry.refresh()

    with registry.isolated():
        yield install
    for module in loaded_modules():
        del sys.modules[module]


def loaded_modules():
    return {name for name in sys.modules if name.startswith("actx_")}


def conflicts():
    """Return the texts of the warnings that looking up entry points gives."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        registry.names()
    return [str(warning.message) for warning in caught if warning.category is PluginConflictWarning]


def in_threads(function, count=8):
    """Return what a function returns or raises, called from several threads at once."""
    start = threading.Barrier(count)
    results = []

    def call():
        start.wait()
        try:
            results.append(function())
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=call) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def in_a_new_process(script, **variables):
    """Return what a script prints where actx-good is installed."""
    path = os.pathsep.join([str(PLUGINS / "good"), *filter(None, [os.environ.get("PYTHONPATH")])])
    run = subprocess.run([sys.executable, "-c", f"import pyactx; {script}"], capture_output=True, text=True, check=True,
                         timeout=120, env={**os.environ, "PYTHONPATH": path, "PYACTX_DISABLE_PLUGINS": "", **variables})
    return run.stdout.strip()


# ---- What works


def test_an_installed_activation_is_found_by_name(install):
    assert "wave" not in registry
    install("good")
    assert conflicts() == []
    wave = pyactx.get("wave")
    assert isinstance(wave, pyactx.Activation) and wave.derivative(0.0) == 1
    for name in ("WAVE", "-wave-", "actx-good:wave", "ACTX_Good:Wave", "actx.good:wave"):
        assert pyactx.get(name) is registry[name] is wave
    assert pyactx.get("slowwave").name == "slow_wave"


def test_origin_says_where_an_activation_comes_from(install):
    install("good")
    assert registry.origin("wave") == "entry point of actx-good 1.0 (actx_good.wave:wave)"
    assert registry.origin("actx_good:RAMP") == "entry point of actx-good 1.0 (actx_good.ramp:steps.ramp)"
    assert not loaded_modules()


def test_nothing_but_the_activation_asked_for_is_imported(install):
    install("good", "bad")
    assert {"wave", "ramp", "Slow_Wave", "exits", "needs_missing"} <= set(pyactx.names())
    assert "wave" in registry and "actx-good:wave" in registry and "exits" in registry and "raises" in registry
    assert "nothing" not in registry and "actx-good:raises" not in registry and "actx-nobody:wave" not in registry
    with pytest.raises(UnknownActivationError, match="did you mean 'wave'"):
        pyactx.get("waves")
    assert len(registry) == len(list(registry)) and repr(registry)
    registry.plugins(), pyactx.show_config(mode="dicts")
    assert not loaded_modules()
    pyactx.get("ramp")
    assert loaded_modules() == {"actx_good", "actx_good.ramp"}


def test_the_kind_of_a_plugin_is_known_once_it_is_loaded(install):
    install("good")
    assert "wave" not in pyactx.names(kind="elementwise")
    pyactx.get("wave")
    assert "wave" in pyactx.names(kind="elementwise") and "wave" not in pyactx.names(kind="axiswise")


def test_an_activation_of_a_plugin_can_be_pickled(install):
    install("good")
    for name in ("wave", "ramp"):  # of a module, and found by the registry only
        assert pickle.loads(pickle.dumps(pyactx.get(name))) is pyactx.get(name)


def test_installed_later(install):
    assert "wave" not in registry
    install("good")
    assert "wave" in registry


def test_isolated_forgets_what_was_installed(install):
    assert "wave" not in registry
    with registry.isolated():
        install("good")
        pyactx.get("wave")
    assert "wave" not in registry


# ---- What is broken

BROKEN = {
    "needs_missing": ("actx_bad.needs_missing:activation", ModuleNotFoundError,
                      "failed to import: No module named 'a_module_that_nobody_has'"),
    "raises": ("actx_bad.raises:activation", OSError, "failed to import: no room left"),
    "raises_silently": ("actx_bad.raises_silently:activation", AssertionError, "failed to import: AssertionError"),
    "no_such_module": ("actx_bad.no_such_module:activation", ModuleNotFoundError,
                       "failed to import: No module named 'actx_bad.no_such_module'"),
    "no_such_object": ("actx_bad.things:no_such_object", AttributeError,
                       "failed to import: module 'actx_bad.things' has no attribute 'no_such_object'"),
    "a_function": ("actx_bad.things:a_function", type(None), "is not a pyactx.Activation but a function"),
    "a_class": ("actx_bad.things:a_class", type(None), "is not a pyactx.Activation but a type"),
    "misnamed": ("actx_bad.things:misnamed", type(None),
                 "is named 'another_name'; entry point and activation must have one name"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_says_whose_it_is_and_why(install, name):
    reference, cause_type, cause = BROKEN[name]
    install("good", "bad")
    for asked in (name, f"actx-bad:{name}"):
        with pytest.raises(PluginError) as caught:
            pyactx.get(asked)
        error = caught.value
        assert str(error) == f"{name!r} comes from actx-bad 2.3 ({reference}), which {cause}"
        facts = (error.name, error.distribution, error.version, error.object_reference, error.cause)
        assert facts == (name, "actx-bad", "2.3", reference, cause)
        assert isinstance(error, ImportError) and isinstance(error.__cause__, cause_type)
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert name in registry and registry.origin(name) == f"entry point of actx-bad 2.3 ({reference})"


def test_a_broken_plugin_affects_no_other_name(install):
    install("good", "bad")
    for name in BROKEN:
        with pytest.raises(PluginError):
            pyactx.get(name)
    assert pyactx.get("wave").name == "wave" and pyactx.get("relu") is pyactx.relu
    assert set(BROKEN) <= set(pyactx.names())
    with pytest.raises(UnknownActivationError):
        pyactx.get("another_name")
    states = {p["name"]: p["state"] for p in pyactx.show_config(mode="dicts")["plugins"]}
    assert {name: states[name] for name in BROKEN} == {name: f"broken: {cause}" for name, (_, _, cause)
                                                       in BROKEN.items()}
    assert (states["wave"], states["ramp"]) == ("loaded", "not loaded")


def test_an_error_is_kept_until_refresh(install):
    install("bad")
    causes, depths = [], []
    for _ in range(3):
        with pytest.raises(PluginError) as caught:
            pyactx.get("slow_failure")
        causes.append(caught.value.__cause__)
        depths.append(len(caught.traceback))
    assert causes[0] is causes[1] is causes[2]
    assert len(set(depths)) == 1, "the traceback grows with every time the error is raised"
    loads = sys.modules["actx_bad.slow_failure"].loads
    assert loads == ["activation"]
    registry.refresh()
    with pytest.raises(PluginError):
        pyactx.get("slow_failure")
    assert loads == ["activation"] * 2


def test_a_module_that_fails_is_imported_once(install):
    install("bad")
    for _ in range(2):
        with pytest.raises(PluginError):
            pyactx.get("raises")
    assert sys.modules["actx_bad"].imports == ["actx_bad.raises"]


def test_what_is_no_exception_passes_and_is_not_kept(install):
    install("good", "bad")
    for _ in range(2):
        with pytest.raises(SystemExit, match="enough"):
            pyactx.get("exits")
    assert {p["name"]: p["state"] for p in registry.plugins()}["exits"] == "not loaded"
    assert pyactx.get("wave").name == "wave"


# ---- Conflicts


@pytest.mark.parametrize("order", [("good", "rival"), ("rival", "good")])
def test_of_two_plugins_with_one_name_the_first_distribution_wins(install, order):
    install(*order)
    (warning,) = conflicts()
    assert warning == ("pyactx: 'wave' is offered by actx-good 1.0, which is taken, "
                       "and by Actx.Rival 0.9 (at 'actx-rival:wave')")
    assert pyactx.get("wave") is pyactx.get("actx-good:wave")
    assert registry.origin("wave").startswith("entry point of actx-good 1.0 ")
    assert pyactx.names().count("wave") == 1
    other = pyactx.get("actx-rival:wave")
    assert other is pyactx.get("Actx.Rival:wave") is not pyactx.get("wave")
    assert other(0.0) == 1 and registry.origin("Actx_Rival:Wave").startswith("entry point of Actx.Rival 0.9 ")
    for activation in (other, pyactx.get("wave")):
        assert pickle.loads(pickle.dumps(activation)) is activation
    assert pyactx.get("rival_only").name == "rival_only"


@pytest.mark.parametrize("name, builtin", [("ReLU", pyactx.relu), ("linear", pyactx.identity)])
def test_a_plugin_never_shadows_a_builtin(install, name, builtin):
    install("shadow")
    assert f"pyactx: {name!r} is built in; that of actx-shadow 3.1 is at 'actx-shadow:{name}'" in conflicts()
    assert pyactx.get(name) is pyactx.get(name.lower()) is builtin
    assert registry.origin(name) == "built-in"
    assert name not in pyactx.names() and builtin.name in pyactx.names()
    theirs = pyactx.get(f"actx-shadow:{name}")
    assert theirs(1.0) == -1 and registry.origin(f"ACTX_shadow:{name}").startswith("entry point of actx-shadow 3.1 ")
    assert pickle.loads(pickle.dumps(theirs)) is theirs


def test_conflicts_are_told_once(install):
    install("good", "rival", "shadow")
    assert len(conflicts()) == 3  # relu, linear, wave
    assert conflicts() == []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pyactx.get("wave"), pyactx.get("actx-rival:wave"), "no such name" in registry, registry.names()


def test_a_warning_made_an_error_is_raised_once(install):
    install("good", "rival")
    with warnings.catch_warnings():
        warnings.simplefilter("error", PluginConflictWarning)
        with pytest.raises(PluginConflictWarning):
            pyactx.get("wave")
        assert pyactx.get("wave").name == "wave"


def test_what_is_registered_goes_before_a_plugin(install):
    install("good")
    mine = pyactx.register(pyactx.Activation("wave", forward=np.tan))
    assert pyactx.get("wave") is mine is not pyactx.get("actx-good:wave")
    assert registry.origin("wave") == "registered" and pyactx.names().count("wave") == 1
    pyactx.unregister("wave")
    assert pyactx.get("wave") is pyactx.get("actx-good:wave")
    with pytest.raises(ValueError, match=r"'wave' cannot be unregistered: it is entry point of actx-good 1\.0"):
        pyactx.unregister("wave")


# ---- Turned off


@pytest.mark.parametrize("value, off, on", [
    ("1", ["wave", "ramp", "actx-good:wave", "actx-rival:wave"], []),
    ("wave", ["wave", "actx-good:wave", "actx-rival:wave"], ["ramp", "rival_only"]),
    (" WAVE , slow-wave ", ["wave", "slow_wave", "actx-rival:wave"], ["ramp", "rival_only"]),
    ("actx-good:wave", ["actx-good:wave"], ["wave", "actx-rival:wave", "ramp"]),
    ("Actx.Rival:wave", ["actx-rival:wave"], ["wave", "actx-good:wave", "rival_only"]),
    ("relu", [], ["relu", "wave", "ramp"]),
    ("0", [], ["wave", "ramp"]),
    ("", [], ["wave", "ramp"]),
])
def test_plugins_can_be_turned_off(install, monkeypatch, value, off, on):
    monkeypatch.setenv("PYACTX_DISABLE_PLUGINS", value)
    install("good", "rival")
    conflicts()
    for name in off:
        assert name not in registry and name not in pyactx.names()
        with pytest.raises(UnknownActivationError):
            pyactx.get(name)
    for name in on:
        assert name in registry and pyactx.get(name)
    if value == "actx-good:wave":
        assert registry.origin("wave").startswith("entry point of Actx.Rival")


def test_plugins_turned_off_cause_no_conflict(install, monkeypatch):
    monkeypatch.setenv("PYACTX_DISABLE_PLUGINS", "actx-rival:wave,actx-shadow:relu,linear")
    install("good", "rival", "shadow")
    assert conflicts() == []


@pytest.mark.parametrize("value, found", [("1", "False"), ("", "True")])
def test_plugins_in_a_new_process(value, found):
    assert in_a_new_process("print('wave' in pyactx.registry)", PYACTX_DISABLE_PLUGINS=value) == found


# ---- Threads


def test_threads_that_ask_at_once_get_one_activation(install):
    install("good")
    found = in_threads(lambda: pyactx.get("slow_wave"))
    assert len({id(activation) for activation in found}) == 1 and found[0].name == "slow_wave"
    assert sys.modules["actx_good.slow"].loads == ["slow_wave"]


def test_threads_that_ask_at_once_see_one_failure(install):
    install("bad")
    errors = in_threads(lambda: pyactx.get("slow_failure"))
    assert {type(error) for error in errors} == {PluginError}
    assert len({id(error.__cause__) for error in errors}) == 1
    assert sys.modules["actx_bad.slow_failure"].loads == ["activation"]


def test_threads_that_ask_at_once_look_up_entry_points_once(install, monkeypatch):
    install("good")
    calls = []

    def counted(**selection):
        calls.append(selection)
        return entry_points(**selection)

    monkeypatch.setattr("importlib.metadata.entry_points", counted)
    registry.refresh()
    found = in_threads(lambda: pyactx.get("wave"))
    assert len({id(activation) for activation in found}) == 1
    assert calls == [{"group": "pyactx.activations"}]


def test_a_module_that_asks_for_its_own_activation_does_not_hang():
    assert in_a_new_process("print(pyactx.get('second').name)") == "second"
