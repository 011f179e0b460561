"""Computes at export what does not depend on the input: masked, reshaped and compactly stored weights."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from mindveil.tools.onnx_passes.graph import Array, Graph, Node
from mindveil.tools.onnx_passes.session import run

__all__ = ["drop_unused", "fold_constants"]

RANDOM = frozenset(
    ("RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial", "Dropout")
)


def fold_constants(graph: Graph) -> Graph:
    """Replaces every value that follows from weights alone by a weight.

    A folded value takes over the name of the parameter it came from, if nothing else reads that parameter: a masked
    ``fc1.weight`` is still called ``fc1.weight``. Weights stored compactly become plain again.
    """
    constant, nodes, waiting = set(graph.weights), [], []
    for node in graph.nodes:
        if node.op not in RANDOM and all(name in constant for name in node.inputs if name):
            waiting.append(node)
            constant.update(node.outputs)
        else:
            nodes.append(node)
    needed = _needed(nodes, waiting, graph)
    if not waiting:
        return drop_unused(graph)
    values = _computed(graph, waiting, needed)
    names = _inherited_names(graph, nodes, waiting, values)
    weights = {**graph.weights, **{names.get(name, name): values[name] for name in needed}}
    kept = [replace(node, inputs=tuple(names.get(name, name) for name in node.inputs)) for node in nodes]
    return drop_unused(graph.with_nodes(kept, weights))


def drop_unused(graph: Graph) -> Graph:
    """Without nodes and weights that no output depends on, and without Identity nodes in between."""
    alias: dict[str, str] = {}
    outputs = {item.name for item in graph.outputs}
    nodes = []
    for node in graph.nodes:
        inputs = tuple(alias.get(name, name) for name in node.inputs)
        if node.op in ("Identity", "Dropout") and node.outputs[0] not in outputs and len(node.outputs) == 1:
            alias[node.outputs[0]] = inputs[0]
        else:
            nodes.append(node if inputs == node.inputs else replace(node, inputs=inputs))
    needed, kept = set(outputs), []
    for node in reversed(nodes):
        if any(name in needed for name in node.outputs):
            kept.append(node)
            needed.update(node.inputs)
    weights = {name: array for name, array in graph.weights.items() if name in needed}
    return graph.with_nodes(reversed(kept), weights)


def _needed(nodes: list[Node], waiting: list[Node], graph: Graph) -> list[str]:
    """Constant values that a remaining node or an output reads."""
    read = {name for node in nodes for name in node.inputs} | {item.name for item in graph.outputs}
    return [name for node in waiting for name in node.outputs if name in read]


def _computed(graph: Graph, waiting: list[Node], needed: list[str]) -> Mapping[str, Array]:
    if not needed:
        return {}
    alone = replace(graph, nodes=tuple(waiting), inputs=(), shapes={})
    return run(alone, {}, outputs=needed)


def _inherited_names(
    graph: Graph, nodes: list[Node], waiting: list[Node], values: Mapping[str, Array]
) -> dict[str, str]:
    """For each folded value the name of the weight behind it that is most like it and that nothing else uses."""
    origins: dict[str, set[str]] = {name: {name} for name in graph.weights}
    for node in waiting:
        found = set().union(*(origins[name] for name in node.inputs if name))
        origins.update(dict.fromkeys(node.outputs, found))
    outputs = {item.name for item in graph.outputs}
    taken = {name for node in nodes for name in node.inputs} | outputs
    names: dict[str, str] = {}
    for name in values:
        if name in outputs:
            continue
        # A slash marks weights that passes and translations made themselves; only parameters lend their names.
        free = [origin for origin in sorted(origins[name]) if origin not in taken and "/" not in origin]
        if free:
            names[name] = max(free, key=lambda origin: _likeness(graph.weights[origin], values[name]))
            taken.add(names[name])
    return names


def _likeness(weight: Array, value: Array) -> tuple[bool, bool, int, bool, int]:
    """Ranks weights by how much a folded value is theirs: a masked weight agrees with it wherever it is kept."""
    same = weight.shape == value.shape
    agreeing = int(np.count_nonzero((weight == value) & (value != 0))) if same else 0
    is_mask = bool(np.isin(weight, (0, 1)).all())
    return same, weight.size == value.size, agreeing, not is_mask, weight.size
