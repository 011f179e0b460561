"""Keeps suppressed weights at zero: masks their gradients, and masks the weights after the optimizer's update."""

from __future__ import annotations

from dataclasses import dataclass

from mindveil.passes.edits import Builder
from mindveil.passes.graph import StepGraph
from mindveil.passes.infer import Typed
from mindveil.passes.marker import read_marker, with_gradients
from mindveil.passes.privacy import PrivacyError, is_free
from mindveil.passes.state import Writer

__all__ = ["Mask"]


@dataclass(frozen=True, slots=True)
class Mask:
    """``g * mask`` for every masked parameter, and ``w = w * mask`` after all updates of the step.

    The second half is what keeps a weight at zero whatever the optimizer does: momentum gathered before the weight was
    suppressed and weight decay would move it again. Masks are Parameters, so that changing one recompiles nothing.
    """

    name: str = "mask"

    def __call__(self, typed: Typed) -> StepGraph:
        graph, types = typed.graph, typed.types
        marker = read_marker(graph)
        for name, mask in marker.masks.items():
            if not is_free(types[mask]):
                raise PrivacyError(f"the mask of {name} is {types[mask]}; it must come from public or released values")
        build = Builder(graph)
        gradients = dict(marker.gradients)
        for name, mask in marker.masks.items():
            gradients[name] = build.binary("Mul", gradients[name], mask)
        with_gradients(build, marker, gradients)
        _mask_weights(graph, build, marker.masks)
        return build.graph


def _mask_weights(graph: StepGraph, build: Builder, masks: dict[str, int]) -> None:
    """After the last update of the step: read the weight, mask it, write it back."""
    writer = Writer(graph, build)
    for name, mask in masks.items():
        writer.write(name, build.binary("Mul", writer.read(name, like=mask), mask))
    writer.finish()
