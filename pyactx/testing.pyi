from collections.abc import Mapping

from numpy.typing import NDArray

from pyactx.activation import Activation

__all__ = ["check_activation", "compare_with_differences", "compare_with_reference", "ulp"]

def check_activation(activation: Activation, parameters: Mapping[str, float] | None = None) -> None: ...
def compare_with_differences(activation: Activation, parameters: Mapping[str, float] | None = None) -> float: ...
def compare_with_reference(
    activation: Activation, parameters: Mapping[str, float] | None = None
) -> dict[str, float]: ...
def ulp(x: NDArray) -> NDArray: ...
