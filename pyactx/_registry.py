"""Activations by name: built in, registered at run time, or offered by installed packages.

Precedence: `register(override=True)`, built-in, `register()`, entry point.  Installing a package never shadows a
built-in, and "dist:name" always reaches the activation `name` of the distribution `dist`.

Entry points are looked up at the first name that is neither built in nor registered, never at import, and only the one
asked for is loaded.
"""

import re
import threading
import warnings
from collections.abc import Mapping
from contextlib import contextmanager
from importlib import import_module
from types import MappingProxyType

from pyactx import _compositions, _reference  # noqa: F401, they fill the book
from pyactx._definition import BOOK
from pyactx._implementation import disabled_plugins, implementation
from pyactx.activation import Activation
from pyactx.errors import DuplicateActivationError, PluginConflictWarning, PluginError, UnknownActivationError

GROUP = "pyactx.activations"
KINDS = ("elementwise", "axiswise", "gated", "random")


def normalized(name):
    """Return what a name is looked up by: case, ``_`` and ``-`` do not count."""
    return name.lower().replace("_", "").replace("-", "")


def normalized_distribution(name):
    return re.sub(r"[-_.]+", "-", name).lower()


def failed_to_import(error):
    return f"failed to import: {str(error) or type(error).__name__}", error


class Plugin:
    """An activation that an installed distribution offers; loaded when it is asked for."""

    def __init__(self, entry_point):
        self.entry_point = entry_point
        self.name = entry_point.name
        self.distribution = entry_point.dist.name if entry_point.dist else "an unnamed distribution"
        self.version = entry_point.dist.version if entry_point.dist else "?"
        self.qualified_name = f"{normalized_distribution(self.distribution)}:{self.name}"
        self.activation = None
        self.failure = None  # what went wrong, and the exception behind it
        self.lock = threading.RLock()  # a module's __getattr__ may ask for its own activation

    def __str__(self):
        return f"{self.distribution} {self.version}"

    def is_called(self, name):
        """Whether that is its name, plain or as "dist:name"."""
        distribution, colon, short = name.rpartition(":")
        return normalized(short) == normalized(self.name) and (
            not colon or normalized_distribution(distribution) == normalized_distribution(self.distribution))

    def load(self):
        """Return the activation, or raise PluginError; what came of it the first time is kept."""
        if self.activation is None and self.failure is None:
            # Outside the lock, which would wait for that of an import that may in turn be waiting for ours.
            try:
                import_module(self.entry_point.module)
                failure = None
            except Exception as error:  # whatever a plugin does at import
                failure = failed_to_import(error)
            with self.lock:
                if self.activation is None and self.failure is None:
                    if failure:
                        self.failure = failure
                    else:
                        self._load()
        if self.activation is None:
            cause, error = self.failure
            raise PluginError(self.name, self.distribution, self.version, self.entry_point.value, cause) from error
        return self.activation

    def _load(self):
        try:
            found = self.entry_point.load()
        except Exception as error:
            self.failure = failed_to_import(error)
            return
        if not isinstance(found, Activation):
            self.failure = f"is not a pyactx.Activation but a {type(found).__name__}", None
        elif normalized(found.name) != normalized(self.name):
            self.failure = f"is named {found.name!r}; entry point and activation must have one name", None
        else:
            self.activation = found


class State:
    """What is registered at one moment; replaced as a whole and never changed, so that readers need no lock."""

    def __init__(self, registered=(), overriding=(), plugins=None):
        self.registered = MappingProxyType(dict(registered))  # by normalized name and alias
        self.overriding = frozenset(overriding)  # those of them that go before the built-in
        self.plugins = plugins  # tuple of Plugin, sorted; None: not looked up yet


class Registry(Mapping):
    """All activations by name: a read-only mapping.

    Looking up a name that is not there raises `UnknownActivationError`, a KeyError.

    Thread-safety
        All methods may be called from any thread.  Lookups of names that are built in or registered take no lock.
        Plugins are imported outside the lock of the registry, so that one may itself call `register`.
    """

    def __init__(self, builtin):
        self.builtin = MappingProxyType({activation.name: activation for activation in builtin})
        self._builtin = {}
        for activation in builtin:
            for name in (activation.name, *activation.aliases):
                self._builtin[normalized(name)] = activation
        self._state = State()
        self._lock = threading.RLock()

    # ---- Lookup

    def __getitem__(self, name):
        if not isinstance(name, str):
            raise TypeError(f"pyactx.get: name must be a str, got {type(name).__name__}")
        activation = self._in_process(name)
        if activation is not None:
            return activation
        plugin = self._plugin(name)
        if plugin is not None:
            return plugin.load()
        raise self._unknown(name)

    def _in_process(self, name):
        """Return the registered or built-in activation of that name, or None."""
        key, state = normalized(name), self._state
        if key in state.overriding:
            return state.registered[key]
        return self._builtin.get(key) or state.registered.get(key)

    def _plugin(self, name):
        """Return the first plugin of that name, plain or as "dist:name", or None."""
        return next((plugin for plugin in self._plugins() if plugin.is_called(name)), None)

    def _plugins(self):
        """Return the plugins, looked up once; sorted by distribution, so that the first of a name wins everywhere."""
        if self._state.plugins is None:
            with self._lock:
                if self._state.plugins is not None:
                    return self._state.plugins
                self._replace(plugins=self._scan())
            self._warn_of_conflicts()
        return self._state.plugins

    @staticmethod
    def _scan():
        disabled = disabled_plugins()
        if disabled is True:
            return ()
        from importlib.metadata import entry_points

        plugins = [Plugin(entry_point) for entry_point in entry_points(group=GROUP)]
        plugins = [p for p in plugins if not any(p.is_called(name) for name in disabled)]
        return tuple(sorted(plugins, key=lambda p: (normalized_distribution(p.distribution), p.name)))

    def _warn_of_conflicts(self):
        by_name = {}
        plugins = self._state.plugins
        for plugin in plugins:
            by_name.setdefault(normalized(plugin.name), []).append(plugin)
        for key, offered in by_name.items():
            if key in self._builtin:
                others = ", ".join(f"{p} is at {p.qualified_name!r}" for p in offered)
                self._warn(f"{offered[0].name!r} is built in; that of {others}")
            elif len(offered) > 1:
                others = ", ".join(f"{p} (at {p.qualified_name!r})" for p in offered[1:])
                self._warn(f"{offered[0].name!r} is offered by {offered[0]}, which is taken, and by {others}")

    @staticmethod
    def _warn(text):
        warnings.warn(f"pyactx: {text}", PluginConflictWarning, stacklevel=5)

    def _unknown(self, name):
        from difflib import get_close_matches

        names = list(self)
        by_key = {key: activation.name for key, activation in self._builtin.items()}
        by_key.update({key: activation.name for key, activation in self._state.registered.items()})
        by_key.update({normalized(known): known for known in names})
        close = get_close_matches(normalized(name), by_key, n=3, cutoff=0.6)
        return UnknownActivationError(name, dict.fromkeys(by_key[key] for key in close), len(names))

    def __contains__(self, name):
        """Whether `self[name]` would find something; imports no plugin."""
        return isinstance(name, str) and (self._in_process(name) is not None or self._plugin(name) is not None)

    def __iter__(self):
        return iter(self.names())

    def __len__(self):
        return len(self.names())

    def __repr__(self):
        return f"<pyactx registry of {len(self)} activations>"

    def names(self, kind=None):
        """Return all canonical names, sorted; imports no plugin.

        Parameters
        ----------
        kind : {"elementwise", "axiswise", "gated", "random"}, optional
            Only those.  The kind of a plugin is known once it has been loaded.

        Raises
        ------
        ValueError
            If `kind` is another.
        """
        if kind is not None and kind not in KINDS:
            raise ValueError(f"names: kind must be one of {', '.join(KINDS)}, got {kind!r}")
        known = {}
        for activation in (*self._builtin.values(), *self._state.registered.values()):
            if self._in_process(activation.name) is activation:
                known[activation.name] = activation
        for plugin in self._plugins():
            if self._in_process(plugin.name) is None:
                known.setdefault(plugin.name, plugin.activation)
        return sorted(name for name, a in known.items() if kind is None or (a is not None and a.kind == kind))

    def origin(self, name):
        """Return where the activation of that name comes from; loads no plugin.

        Returns
        -------
        str
            ``"built-in"``, ``"registered"`` or ``"entry point of DISTRIBUTION VERSION (MODULE:OBJECT)"``.
        """
        activation = self._in_process(name)
        if activation is not None:
            return "built-in" if activation in self._builtin.values() else "registered"
        plugin = self._plugin(name)
        if plugin is None:
            raise self._unknown(name)
        return f"entry point of {plugin} ({plugin.entry_point.value})"

    def plugins(self):
        """Return what installed packages offer, as dicts: name, distribution, version, object and state.

        The state is "not loaded", "loaded", or what is wrong with it.  Imports no plugin.
        """
        return [
            {"name": p.name, "distribution": p.distribution, "version": p.version, "object": p.entry_point.value,
             "state": "loaded" if p.activation else f"broken: {p.failure[0]}" if p.failure else "not loaded"}
            for p in self._plugins()
        ]

    def name_of(self, activation):
        """Return a name under which this very object is found, or None."""
        for key, registered in self._state.registered.items():
            if registered is activation and self._in_process(key) is activation:
                return activation.name
        for plugin in self._state.plugins or ():
            if plugin.activation is activation:
                return plugin.qualified_name
        return None

    # ---- Change

    def _replace(self, **changes):
        state = self._state
        self._state = State(**{"registered": state.registered, "overriding": state.overriding,
                               "plugins": state.plugins, **changes})

    def register(self, activation, override=False):
        """Add an activation under its name and aliases.

        Parameters
        ----------
        activation : Activation
        override : bool
            Replace what has one of the names now, even a built-in.

        Returns
        -------
        Activation
            The same, so that this can decorate or wrap.

        Raises
        ------
        DuplicateActivationError
            If a name or alias is taken by another activation and `override` is false.
        TypeError
            If it is not an Activation.
        """
        if not isinstance(activation, Activation):
            raise TypeError(f"pyactx.register: needs a pyactx.Activation, got {type(activation).__name__}; make one "
                            f"with pyactx.Activation(name, forward=..., derivative=...)")
        names = (activation.name, *activation.aliases)
        with self._lock:
            if not override:
                for name in names:
                    taken = self._in_process(name)
                    if taken is not None and taken is not activation:
                        raise DuplicateActivationError(name, self.origin(name))
            keys = [normalized(name) for name in names]
            if all(self._in_process(name) is activation for name in names):
                return activation
            registered = {**self._state.registered, **dict.fromkeys(keys, activation)}
            overriding = self._state.overriding | set(keys) if override else self._state.overriding
            self._replace(registered=registered, overriding=overriding)
        return activation

    def unregister(self, name):
        """Remove a registered activation with all its names, and return it.

        A built-in that it had replaced is there again.

        Raises
        ------
        UnknownActivationError
            If there is no such name.
        ValueError
            If the name belongs to a built-in or a plugin.
        """
        with self._lock:
            activation = self._in_process(name)
            registered = self._state.registered
            if activation is None or activation not in registered.values():
                raise ValueError(f"{name!r} cannot be unregistered: it is {self.origin(name)}")
            kept = {key: value for key, value in registered.items() if value is not activation}
            self._replace(registered=kept, overriding=self._state.overriding & set(kept))
        return activation

    def refresh(self):
        """Look up the installed entry points again, at the next name that needs them."""
        with self._lock:
            self._replace(plugins=None)
        import importlib

        importlib.invalidate_caches()

    @contextmanager
    def isolated(self):
        """Put everything back at the end of the block: for tests."""
        with self._lock:
            state = self._state
        try:
            yield self
        finally:
            with self._lock:
                self._state = state


def _load_builtin():
    """Make the built-in activations; where a book lacks what the other has, tests/test_parity.py fails."""
    library = {}
    for name, definition in BOOK.items():
        library[name] = Activation._from_definition(definition, implementation.kernels.get(name), library=library)
    return list(library.values())


registry = Registry(_load_builtin())


def get(name):
    """Return the activation of that name, loading a plugin if need be.

    Parameters
    ----------
    name : str
        A name or alias; case, ``_`` and ``-`` do not count.  ``"dist:name"`` is that of the distribution `dist`.

    Returns
    -------
    Activation

    Raises
    ------
    UnknownActivationError
        If there is none; the message suggests the nearest names.
    PluginError
        If the plugin that offers it cannot be loaded.

    Examples
    --------
    >>> import pyactx
    >>> pyactx.get("Linear") is pyactx.identity
    True
    """
    return registry[name]


names = registry.names
register = registry.register
unregister = registry.unregister
