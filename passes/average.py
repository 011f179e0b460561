"""Divides the released sums by a constant: the expected number of examples, whatever the batch really held."""

from __future__ import annotations

from dataclasses import dataclass

from mindveil.passes.edits import Builder
from mindveil.passes.graph import StepGraph
from mindveil.passes.infer import Typed
from mindveil.passes.marker import Marker, each_gradient

__all__ = ["Average"]


@dataclass(frozen=True, slots=True)
class Average:
    """``g / denominator``. The real number of examples in a Poisson batch is private, so it cannot be that."""

    denominator: float
    name: str = "average"

    def __call__(self, typed: Typed) -> StepGraph:
        def divided(build: Builder, marker: Marker, name: str) -> int:
            return build.binary("Mul", marker.gradients[name], build.scalar(1.0 / self.denominator))

        return each_gradient(typed.graph, divided)
