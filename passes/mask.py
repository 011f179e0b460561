"""Keeps suppressed weights at zero: masks their gradients, and masks the weights after the optimizer's update."""

from __future__ import annotations

from dataclasses import dataclass

from mindveil.passes.edits import Builder
from mindveil.passes.graph import Constant, Node, StepGraph
from mindveil.passes.infer import Typed
from mindveil.passes.marker import read_marker, with_gradients
from mindveil.passes.privacy import PrivacyError, is_free

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
    """After the last update of the step, in its order of side effects: read the weight, mask it, write it back."""
    last = _last_state(graph)
    parameters = {graph[p].name: graph[p] for p in graph.parameters}
    first = state = last.inputs[1]
    for name, mask in masks.items():
        weight = parameters[name]
        read = build.unique("Load", [weight.id, state], mask, weight.type, {})
        masked = build.binary("Mul", read, mask)
        effect = {"side_effect_mem": Constant("bool", True)}
        written = build.unique("Assign", [weight.id, masked, state], weight.id, weight.type, effect)
        state = build.unique("UpdateState", [state, written], first, graph[first].type, {})
    build.rewire(last.id, 1, state)


def _last_state(graph: StepGraph) -> Node:
    """The node that ties the step's side effects to its result: ``Depend(loss, state)``."""
    node = graph[graph[graph.output].inputs[0]]
    if node.op != "Depend" or graph[node.inputs[1]].op != "UpdateState":
        raise PrivacyError(f"the step must end in Depend(loss, state), but ends in {node.describe()}")
    return node
