"""The exceptions that pyactx raises beyond TypeError and ValueError."""

from collections.abc import Iterable


class UnknownActivationError(KeyError):
    """No activation has this name.

    Attributes
    ----------
    name : str
        The name asked for.
    suggestions : tuple of str
        Known names that are close to it.
    """

    def __init__(self, name: str, suggestions: Iterable[str] = (), known: int = 0) -> None:
        self.name, self.suggestions, self.known = name, tuple(suggestions), known
        hint = f"; did you mean {' or '.join(map(repr, suggestions))}?" if suggestions else ";"
        super().__init__(f"no activation named {name!r}{hint} pyactx.names() lists all {known}")

    def __str__(self) -> str:  # KeyError shows the repr of its argument
        return self.args[0]

    def __reduce__(self):
        return type(self), (self.name, self.suggestions, self.known)


class DuplicateActivationError(ValueError):
    """A name or alias is taken.

    Attributes
    ----------
    name : str
        The name that is taken.
    origin : str
        Who has it, as `pyactx.registry.origin` says it.
    """

    def __init__(self, name: str, origin: str) -> None:
        self.name, self.origin = name, origin
        super().__init__(f"{name!r} is already registered ({origin}); pass override=True to replace it")

    def __reduce__(self):
        return type(self), (self.name, self.origin)


class PluginError(ImportError):
    """An installed plugin cannot give the activation it promises.

    Attributes
    ----------
    name : str
        The name of the activation.
    distribution, version : str
        The installed distribution that offers it.
    object_reference : str
        What the entry point names, as ``"module:attribute"``.
    cause : str
        What went wrong; `__cause__` holds the exception, where there was one.
    """

    def __init__(self, name: str, distribution: str, version: str, object_reference: str, cause: str) -> None:
        self.distribution, self.version = distribution, version
        self.object_reference, self.cause = object_reference, cause
        super().__init__(f"{name!r} comes from {distribution} {version} ({object_reference}), which {cause}", name=name)

    def __reduce__(self):
        return type(self), (self.name, self.distribution, self.version, self.object_reference, self.cause)


class PluginConflictWarning(UserWarning):
    """Two installed plugins offer one name, or a plugin offers a name that is taken."""
