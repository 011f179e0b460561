"""Reads the marker that a training step carries between its gradients and its optimizer, and replaces it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mindveil.passes.edits import Builder
from mindveil.passes.graph import Node, StepGraph
from mindveil.passes.privacy import PrivacyError

__all__ = [
    "Marker",
    "each_gradient",
    "read_marker",
    "remove_marker",
    "with_count",
    "with_gradients",
    "with_not_finite",
]

#: Where the marker carries the count of unclipped examples, if there is one.
COUNT = 5


@dataclass(frozen=True, slots=True)
class Marker:
    """The step's marker, spelled out.

    Attributes:
        gradients: node of each gradient, by parameter name.
        weights: node of the example weights, ``[B]``, 1 for a real example and 0 for padding.
        controls: nodes of the settings that change at run time (``clip_norm``, ``noise_multiplier``, ...), by name.
        masks: nodes of the masks, by name of the parameter they belong to.
        count: node of the count of unclipped examples, once a pass has added it.
        accumulators: nodes of the Parameters that add up the physical batches of a logical one, by parameter name.
    """

    node: Node
    gradients: dict[str, int]
    weights: int
    controls: dict[str, int]
    masks: dict[str, int]
    accumulators: dict[str, int]
    count: int | None


def read_marker(graph: StepGraph) -> Marker:
    """The marker of a step.

    Raises:
        PrivacyError: there is none, or more than one.
    """
    found = graph.find("MindveilStep")
    if len(found) != 1:
        raise PrivacyError(f"a training step needs exactly one marker, but this graph has {len(found)}")
    node = found[0]
    gradients, weights, controls, masks, accumulators = node.inputs[:5]
    names = node.attrs["parameters"]
    return Marker(
        node,
        dict(zip(names, graph[gradients].inputs, strict=True)),
        weights,
        _named(graph, controls, node.attrs["controls"]),
        _named(graph, masks, node.attrs["masked"]),
        _named(graph, accumulators, names if graph[accumulators].inputs else []),
        node.inputs[COUNT] if len(node.inputs) > COUNT else None,
    )


def _named(graph: StepGraph, group: int, names: list[str]) -> dict[str, int]:
    return dict(zip(names, graph[group].inputs, strict=True)) if names else {}


def with_gradients(build: Builder, marker: Marker, gradients: dict[str, int]) -> StepGraph:
    """The graph in which the marker hands on these gradients instead."""
    group = marker.node.inputs[0]
    for position, name in enumerate(marker.gradients):
        build.rewire(group, position, gradients[name])
    return build.graph


def each_gradient(graph: StepGraph, change: Callable[[Builder, Marker, str], int]) -> StepGraph:
    """The graph in which ``change`` says, by the name of its parameter, what stands for each gradient."""
    marker, build = read_marker(graph), Builder(graph)
    return with_gradients(build, marker, {name: change(build, marker, name) for name in marker.gradients})


def with_count(build: Builder, marker: Marker, count: int) -> StepGraph:
    """The graph in which the marker carries this count, for the pass that releases it or reads what was released."""
    if marker.count is None:
        build.extend(marker.node.id, count)
    else:
        build.rewire(marker.node.id, COUNT, count)
    return build.graph


def with_not_finite(build: Builder, marker: Marker, count: int) -> StepGraph:
    """The graph in which this is what the step returns as the number of examples without a finite gradient."""
    for item in _items(build.graph, marker):
        if _index(build.graph, item) == len(marker.gradients):
            _instead(build, item, count)
    return build.graph


def remove_marker(graph: StepGraph) -> StepGraph:
    """The graph in which every user of the marker reads the gradient itself.

    Raises:
        PrivacyError: something else than an optimizer's read of one gradient uses the marker.
    """
    marker = read_marker(graph)
    gradients = list(marker.gradients.values())
    build = Builder(graph)
    for item in _items(graph, marker):
        index = _index(graph, item)
        _instead(build, item, gradients[index] if index < len(gradients) else build.scalar(0.0))
    return build.graph


def _items(graph: StepGraph, marker: Marker) -> list[Node]:
    items = [graph[user] for user, _ in graph.users(marker.node.id)]
    for item in items:
        if item.op != "TupleGetItem":
            raise PrivacyError(f"the released gradients are used as a whole by {item.describe()}; use them one by one")
    return items


def _index(graph: StepGraph, item: Node) -> int:
    return int(graph[item.inputs[1]].value)


def _instead(build: Builder, item: Node, source: int) -> None:
    for reader, position in build.graph.users(item.id):
        build.rewire(reader, position, source)
