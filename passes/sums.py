"""Adds the clipped sums of earlier physical batches to that of the last, before the noise."""

from __future__ import annotations

from dataclasses import dataclass

from mindveil.passes.edits import Builder
from mindveil.passes.graph import StepGraph
from mindveil.passes.infer import Typed
from mindveil.passes.marker import Marker, each_gradient
from mindveil.passes.privacy import Bounded

__all__ = ["AddSums"]


@dataclass(frozen=True, slots=True)
class AddSums:
    """``g + sum``. Each record is in at most one physical batch of a step: the whole moves by one clip norm still."""

    name: str = "sums"

    def __call__(self, typed: Typed) -> StepGraph:
        def added(build: Builder, marker: Marker, name: str) -> int:
            g = marker.gradients[name]
            bound = typed.types[g]
            if not isinstance(bound, Bounded):
                return g
            return build.stamp(build.binary("Add", g, marker.accumulators[name]), bound)

        return each_gradient(typed.graph, added)
