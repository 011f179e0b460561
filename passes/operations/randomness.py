"""Random operations: never merged, moved or dropped, and our own noise."""

from __future__ import annotations

from mindveil.passes.operations.table import Operation, refuse

__all__ = ["RANDOMNESS"]

_NAMES = [
    "StandardNormal",
    "UniformReal",
    "StandardLaplace",
    "UniformInt",
    "TruncatedNormal",
    "Normal",
    "RandomNormal",
    "Multinomial",
    "NormalFloatFloat",
    "Bernoulli",
    "Gamma",
    "Poisson",
    "RandpermV2",
]

RANDOMNESS: dict[str, Operation] = {
    name: Operation(refuse("random numbers whose parameters come from the examples"), effect="random")
    for name in _NAMES
}
