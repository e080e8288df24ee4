from collections.abc import Callable, Iterable, Mapping
from inspect import Signature
from types import MappingProxyType
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pyactx._definition import Properties as Properties

__all__ = ["Activation", "Properties"]

class Operation:
    operation: str
    label: str
    kind: str
    inputs: tuple[str, ...]
    outputs: int
    argument_names: tuple[str, ...]
    keywords: tuple[str, ...]
    defaults: dict[str, Any]
    @property
    def reduced(self) -> tuple[tuple[bool, ...], bool]: ...
    @property
    def ufunc(self) -> np.ufunc: ...
    @property
    def ufunc_name(self) -> str: ...
    @property
    def __signature__(self) -> Signature: ...
    # The result is what went in: an ndarray for an array_like, a NumPy scalar for a number, a foreign array for its
    # like, and a tuple of two for value_and_derivative.
    def __call__(
        self,
        *arguments: ArrayLike | int | tuple[int, ...] | None,
        out: NDArray[Any] | tuple[NDArray[Any] | None, ...] | None = None,
        **keywords: Any,
    ) -> Any: ...
    def general(self, arguments: tuple[Any, ...], keywords: dict[str, Any]) -> Any: ...

class Method(Operation):
    activation: Activation
    def __init__(self, activation: Activation, operation: str, capsule: object) -> None: ...

class Activation(Operation):
    name: str
    aliases: tuple[str, ...]
    parameters: MappingProxyType[str, Any]
    properties: Properties | None
    derivative: Method
    backward: Method
    backward_from_output: Method
    value_and_derivative: Method
    jacobian: Callable[[ArrayLike], NDArray[Any]]
    packed: Packed
    def __init__(
        self,
        name: str,
        forward: Callable[..., Any],
        derivative: Callable[..., Any] | None = None,
        *,
        parameters: Mapping[str, Any] | None = None,
        parameter_derivatives: Mapping[str, Callable[..., Any]] | None = None,
        derivative_from_output: Callable[..., Any] | None = None,
        aliases: Iterable[str] = (),
        properties: Properties | None = None,
        doc: str | None = None,
    ) -> None: ...
    @classmethod
    def from_kernel(
        cls,
        name: str,
        kernel: object,
        *,
        reference: Activation | None = None,
        parameters: Mapping[str, Any] | None = None,
        aliases: Iterable[str] = (),
        properties: Properties | None = None,
        doc: str | None = None,
    ) -> Self: ...
    @property
    def reference(self) -> Activation | None: ...
    def operations(self) -> list[Operation]: ...
    def named(self, operation: str) -> Operation: ...
    def parameter_gradients(self, grad: ArrayLike, *arguments: ArrayLike, **keywords: Any) -> dict[str, Any]: ...

class Packed:
    activation: Activation
    label: str
    def __init__(self, activation: Activation) -> None: ...
    def __call__(
        self,
        x: ArrayLike,
        *parameters: ArrayLike,
        axis: int = -1,
        gate: Literal["first", "last"],
        layout: Literal["halves", "interleaved"] = "halves",
        **keywords: Any,
    ) -> Any: ...
    def backward(
        self,
        grad: ArrayLike,
        x: ArrayLike,
        *parameters: ArrayLike,
        axis: int = -1,
        gate: Literal["first", "last"],
        layout: Literal["halves", "interleaved"] = "halves",
        out: NDArray[Any] | None = None,
        **keywords: Any,
    ) -> Any: ...
