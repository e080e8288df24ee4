"""Names, aliases, registering: what `pyactx.registry` promises apart from plugins (test_entry_points.py)."""

import pickle
import subprocess
import sys
import threading
from collections.abc import Mapping, MutableMapping

import numpy as np
import pytest

import pyactx
from pyactx import DuplicateActivationError, PluginError, UnknownActivationError, registry

BUILTIN = [(name, activation) for name, activation in registry.builtin.items()]
NAMES_AND_ALIASES = [(name, activation) for _, activation in BUILTIN for name in (activation.name, *activation.aliases)]


def halve(x):
    return x / 2


def make(name, **options):
    return pyactx.Activation(name, forward=halve, derivative=lambda x: np.full_like(x, 0.5), **options)


@pytest.fixture(autouse=True)
def isolated(monkeypatch):
    """Without the plugins that happen to be installed, and with everything put back."""
    monkeypatch.setenv("PYACTX_DISABLE_PLUGINS", "1")
    with registry.isolated():
        registry.refresh()
        yield


# ---- Lookup


RESPELLED = (str, str.upper, str.title, lambda name: name.replace("_", "-"), lambda name: name.replace("_", ""),
             lambda name: "-".join(name))


@pytest.mark.parametrize("name, activation", NAMES_AND_ALIASES, ids=[name for name, _ in NAMES_AND_ALIASES])
def test_a_name_is_found_in_any_spelling(name, activation):
    for respell in RESPELLED:
        assert pyactx.get(respell(name)) is registry[respell(name)] is activation
        assert respell(name) in registry


def test_no_two_activations_share_a_name():
    """Of two, one would be hidden without a word."""
    keys = {(name.lower().replace("_", ""), activation.name) for name, activation in NAMES_AND_ALIASES}
    assert len(keys) == len({key for key, _ in keys})


def test_names_of_the_field():
    """What users of other libraries ask for."""
    for name, asked in {
        "silu": "swish SiLU", "gelu": "GELU gelu_python gelu_erf", "gelu_tanh": "gelu_new gelu_pytorch_tanh gelu_fast",
        "quick_gelu": "gelu_quick", "softplus": "soft_relu Softplus", "log_sigmoid": "LogSigmoid logsigmoid log_expit",
        "softsign": "soft_sign", "hard_tanh": "Hardtanh hardtanh clip", "hard_sigmoid": "HardSigmoid hardsigmoid",
        "hard_silu": "hard_swish Hardswish", "relu2": "relu_squared squared_relu", "soft_shrink": "Softshrink",
        "hard_shrink": "Hardshrink", "tanh_shrink": "Tanhshrink", "identity": "linear", "exponential": "exp",
        "clipped_gelu": "gelu_10", "swiglu_oai": "swiglu_clamped", "sigmoid": "expit logistic",
        "leaky_relu": "LeakyReLU",
    }.items():
        for alias in asked.split():
            assert pyactx.get(alias) is registry.builtin[name], alias


def test_builtins_are_attributes_of_the_package():
    assert all(getattr(pyactx, name) is activation for name, activation in BUILTIN)


def test_names_are_canonical_and_sorted():
    assert pyactx.names() == sorted(name for name, _ in BUILTIN)
    pyactx.register(make("half", aliases=["halved"]))
    assert pyactx.names() == sorted([*(name for name, _ in BUILTIN), "half"])


def test_names_of_a_kind():
    kinds = {activation.kind for _, activation in BUILTIN}
    by_kind = [pyactx.names(kind=kind) for kind in kinds]
    assert sorted(name for names in by_kind for name in names) == pyactx.names()
    for kind in kinds:
        assert {registry[name].kind for name in pyactx.names(kind=kind)} == {kind}


def test_the_registry_is_a_read_only_mapping():
    assert isinstance(registry, Mapping) and not isinstance(registry, MutableMapping)
    assert list(registry) == pyactx.names() == list(registry.keys())
    assert len(registry) == len(pyactx.names())
    assert all(registry[name] is activation for name, activation in registry.items())
    assert registry.get("no such name") is None
    with pytest.raises(TypeError):
        registry["half"] = make("half")
    with pytest.raises(TypeError):
        del registry["relu"]
    with pytest.raises(TypeError):
        registry.builtin["half"] = make("half")
    assert str(len(registry)) in repr(registry)


@pytest.mark.parametrize("name", [None, 3, b"relu", pyactx.relu])
def test_a_name_that_is_no_text(name):
    assert name not in registry
    with pytest.raises(TypeError, match=f"name must be a str, got {type(name).__name__}"):
        pyactx.get(name)


@pytest.mark.parametrize("asked, meant", [("rellu", "relu"), ("Sigmoids", "sigmoid"), ("soft-maxx", "softmax")])
def test_an_unknown_name_suggests_near_ones(asked, meant):
    with pytest.raises(UnknownActivationError) as caught:
        pyactx.get(asked)
    error = caught.value
    assert isinstance(error, KeyError)
    assert error.name == asked and meant in error.suggestions
    assert str(error).startswith(f"no activation named {asked!r}; did you mean ")
    assert repr(meant) in str(error)
    assert str(error).endswith(f"pyactx.names() lists all {len(pyactx.names())}")


def test_suggestions_include_what_is_registered():
    pyactx.register(make("wavelet", aliases=["ricker_wave"]))
    for asked in ("wavelets", "rickerwaves"):
        with pytest.raises(UnknownActivationError) as caught:
            pyactx.get(asked)
        assert caught.value.suggestions == ("wavelet",)


def test_an_unknown_name_that_is_near_to_nothing():
    with pytest.raises(UnknownActivationError) as caught:
        pyactx.get("qqqqqqqq")
    assert caught.value.suggestions == ()
    assert str(caught.value) == f"no activation named 'qqqqqqqq'; pyactx.names() lists all {len(pyactx.names())}"


# ---- Registering


def test_register_returns_the_activation_and_makes_it_known():
    half = make("half", aliases=["half_of", "Halved"])
    assert pyactx.register(half) is half
    for name in ("half", "HALF", "half-of", "halved"):
        assert pyactx.get(name) is half
    assert registry.origin("halfof") == "registered"
    assert pickle.loads(pickle.dumps(half)) is half  # by name: its derivative cannot be pickled


def test_origin_of_a_builtin():
    assert {registry.origin(name) for name, _ in NAMES_AND_ALIASES} == {"built-in"}


@pytest.mark.parametrize("thing", [halve, "relu", None, pyactx.relu.derivative, pyactx.Activation])
def test_only_activations_can_be_registered(thing):
    with pytest.raises(TypeError, match=r"needs a pyactx\.Activation, got "):
        pyactx.register(thing)


@pytest.mark.parametrize("name, aliases, taken, origin", [
    ("relu", [], "relu", "built-in"),
    ("Re-LU", [], "Re-LU", "built-in"),
    ("other", ["free", "linear"], "linear", "built-in"),
    ("half", [], "half", "registered"),
    ("halved", [], "halved", "registered"),
    ("other", ["free", "HALVED"], "HALVED", "registered"),
])
def test_a_taken_name_or_alias_raises_and_changes_nothing(name, aliases, taken, origin):
    half = pyactx.register(make("half", aliases=["halved"]))
    names = pyactx.names()
    with pytest.raises(DuplicateActivationError) as caught:
        pyactx.register(make(name, aliases=aliases))
    assert isinstance(caught.value, ValueError)
    assert (caught.value.name, caught.value.origin) == (taken, origin)
    assert str(caught.value) == f"{taken!r} is already registered ({origin}); pass override=True to replace it"
    assert pyactx.names() == names
    assert pyactx.get("half") is pyactx.get("halved") is half
    assert "free" not in registry and pyactx.get("linear") is pyactx.identity


@pytest.mark.parametrize("override", [False, True])
def test_the_identical_object_again_changes_nothing(override):
    half = pyactx.register(make("half", aliases=["halved"]), override=override)
    names = pyactx.names()
    assert pyactx.register(half) is half
    assert pyactx.names() == names and pyactx.get("halved") is half
    pyactx.unregister("half")
    assert "half" not in registry and "halved" not in registry


def test_a_builtin_again_changes_nothing():
    assert pyactx.register(pyactx.relu) is pyactx.relu
    assert registry.origin("relu") == "built-in"
    with pytest.raises(ValueError, match="built-in"):
        pyactx.unregister("relu")


@pytest.mark.parametrize("name, aliases", [("relu", []), ("half", ["relu"]), ("Relu", ["halved"])])
def test_override_replaces_a_builtin_and_unregister_restores_it(name, aliases):
    mine = make(name, aliases=aliases)
    assert pyactx.register(mine, override=True) is mine
    assert pyactx.get("relu") is pyactx.get("RELU") is registry["relu"] is mine
    assert registry.origin("relu") == "registered"
    assert pyactx.get("rectifier") is pyactx.relu  # another name of the built-in
    assert pyactx.unregister("relu") is mine
    assert pyactx.get("relu") is pyactx.relu and registry.origin("relu") == "built-in"
    assert pyactx.names() == sorted(name for name, _ in BUILTIN)


def test_names_of_an_unknown_kind():
    with pytest.raises(ValueError, match="names: kind must be one of elementwise, axiswise, gated, random, got 'soft'"):
        pyactx.names(kind="soft")


def test_an_override_in_another_spelling_is_listed_once():
    pyactx.register(make("LeakyRelu"), override=True)
    assert [name for name in registry if registry[name].name == "LeakyRelu"] == ["LeakyRelu"]
    assert len(registry) == len(BUILTIN)


def test_override_replaces_what_is_registered():
    pyactx.register(make("half"))
    second = pyactx.register(make("half"), override=True)
    assert pyactx.get("half") is second
    assert pyactx.unregister("half") is second
    assert "half" not in registry


def test_an_overridden_builtin_can_still_be_pickled():
    pyactx.register(make("relu"), override=True)
    assert pickle.loads(pickle.dumps(pyactx.relu)) is pyactx.relu


def test_unregister_by_an_alias_removes_all_names():
    half = pyactx.register(make("half", aliases=["halved"]))
    assert pyactx.unregister("HALVED") is half
    assert "half" not in registry and "halved" not in registry
    pyactx.register(make("half"))  # the name is free


def test_unregister_what_is_not_registered():
    with pytest.raises(UnknownActivationError):
        pyactx.unregister("half")
    with pytest.raises(ValueError, match="'linear' cannot be unregistered: it is built-in"):
        pyactx.unregister("linear")
    assert pyactx.get("linear") is pyactx.identity


def test_isolated_restores_everything_also_after_an_error():
    before = pyactx.register(make("before"))
    with pytest.raises(ZeroDivisionError), registry.isolated() as inner:
        assert inner is registry
        assert pyactx.get("before") is before
        pyactx.unregister("before")
        pyactx.register(make("during"))
        pyactx.register(make("relu"), override=True)
        with registry.isolated():
            pyactx.unregister("during")
        assert "during" in registry
        raise ZeroDivisionError
    assert pyactx.get("before") is before
    assert "during" not in registry and pyactx.get("relu") is pyactx.relu


# ---- Errors


@pytest.mark.parametrize("error", [
    UnknownActivationError("gleu", ["gelu", "glu"], 31),
    UnknownActivationError("zzz"),
    DuplicateActivationError("relu", "built-in"),
    PluginError("snake", "actx-extras", "1.2", "actx_extras:snake", "failed to import: No module named 'torch'"),
], ids=lambda error: type(error).__name__)
def test_errors_can_be_pickled(error):
    twin = pickle.loads(pickle.dumps(error))
    assert type(twin) is type(error)
    assert str(twin) == str(error) and vars(twin) == vars(error)


def test_texts_of_errors():
    assert str(UnknownActivationError("gleu", ["gelu", "glu"], 31)) == (
        "no activation named 'gleu'; did you mean 'gelu' or 'glu'? pyactx.names() lists all 31")
    error = PluginError("snake", "actx-extras", "1.2", "actx_extras:snake", "failed to import: No module named 'torch'")
    assert isinstance(error, ImportError)
    assert str(error) == ("'snake' comes from actx-extras 1.2 (actx_extras:snake), which failed to import: "
                          "No module named 'torch'")
    assert issubclass(pyactx.PluginConflictWarning, UserWarning)


# ---- Import and threads


def test_import_and_builtin_names_look_up_no_entry_points():
    script = """
import sys, numpy
before = "importlib.metadata" in sys.modules
import pyactx
pyactx.get("Rectifier"), "linear" in pyactx.registry, pyactx.registry.origin("relu")
print(before, "importlib.metadata" in sys.modules, pyactx.registry._state.plugins)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    before, after, plugins = run.stdout.split()
    assert before == after and plugins == "None"


@pytest.fixture
def eager_threads():
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


def test_threads_register_and_look_up_at_once(eager_threads):
    workers, rounds = 8, 40
    errors = []
    start = threading.Barrier(workers + 2)
    done = threading.Event()

    def change(worker):
        start.wait()
        for turn in range(rounds):
            name = f"worker_{worker}_{turn}"
            mine = pyactx.register(make(name, aliases=[f"alias_{worker}_{turn}"]))
            assert pyactx.get(name.upper()) is pyactx.get(f"alias_{worker}_{turn}") is mine
            if turn % 2:
                assert pyactx.unregister(name) is mine
                assert name not in registry

    def look():
        start.wait()
        while not done.is_set():
            assert pyactx.get("relu") is pyactx.relu and "no_such_name" not in registry
            names = pyactx.names()
            assert names == sorted(set(names)) and "relu" in names

    def reporting(function, *arguments):
        try:
            function(*arguments)
        except Exception as error:
            errors.append(error)

    changers = [threading.Thread(target=reporting, args=(change, worker)) for worker in range(workers)]
    lookers = [threading.Thread(target=reporting, args=(look,)) for _ in range(2)]
    for thread in [*changers, *lookers]:
        thread.start()
    for thread in changers:
        thread.join()
    done.set()
    for thread in lookers:
        thread.join()
    assert not errors
    kept = {f"worker_{worker}_{turn}" for worker in range(workers) for turn in range(0, rounds, 2)}
    assert kept == {name for name in pyactx.names() if name.startswith("worker_")}
