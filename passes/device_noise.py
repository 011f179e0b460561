"""Noise by the device's own generator, for devices without the keyed kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mindveil.passes.edits import Builder
from mindveil.passes.graph import Constant, Node, StepGraph
from mindveil.passes.privacy import PrivacyError, Released

__all__ = ["found", "is_source", "noisy"]

_SOURCE = "StandardNormal"


def noisy(build: Builder, value: int, sigma: int, about: Mapping[str, Constant], released: Released) -> int:
    """``value + sigma * N(0, 1)``, stamped.

    Both seeds are 0, which asks for numbers that no run repeats, whatever ``set_seed`` says. The attributes of each
    node differ, so that equal ones cannot be merged.
    """
    attrs = {
        **about,
        "seed": Constant("int", 0),
        "seed2": Constant("int", 0),
        "mindveil_node": Constant("int", value),
    }
    shape = build.ints(build[value].shape)
    normal = build.unique(_SOURCE, [shape], None, build[value].type, attrs)
    added = build.unique("Add", [value, build.binary("Mul", normal, sigma)], None, build[value].type, {})
    return build.stamp(added, released)


def is_source(node: Node) -> bool:
    """Whether a node draws noise that is released; networks have random operations of their own."""
    return node.op == _SOURCE and "released" in node.attrs


def found(graph: StepGraph) -> Iterator[tuple[Node, int, list[int]]]:
    """(source, node of the standard deviation, node of the value) of each place where such noise is added.

    Raises:
        PrivacyError: drawn noise is used otherwise than once, or seeded.
    """
    live = {n.id: n for n in graph.operations}
    for source in live.values():
        if is_source(source):
            scaled = _only_user(graph, live, source, "Mul")
            added = _only_user(graph, live, scaled, "Add")
            seeds = [source.attrs[name].value for name in ("seed", "seed2")]
            if seeds != [0, 0] or not isinstance(added.stamp, Released):
                raise PrivacyError(f"{source.describe()} is not noise as a pass adds it")
            yield source, scaled.inputs[1], [added.inputs[0]]


def _only_user(graph: StepGraph, live: Mapping[int, Node], node: Node, op: str) -> Node:
    users = [live[user] for user, _ in graph.users(node.id) if user in live]
    if len(users) != 1 or users[0].op != op:
        raise PrivacyError(f"{node.describe()} must be used by one {op}, but is by {[u.op for u in users]}")
    return users[0]
