"""Writes to Parameters after all updates of a step, in the order of its side effects."""

from __future__ import annotations

from mindveil.passes.edits import Builder
from mindveil.passes.graph import Constant, Node, StepGraph
from mindveil.passes.privacy import PrivacyError

__all__ = ["Writer"]


class Writer:
    """Appends reads and writes behind the last update of a step; `finish` ties them to its result."""

    def __init__(self, graph: StepGraph, build: Builder) -> None:
        self._build = build
        self._last = _last_state(graph)
        self._state = self._first = self._last.inputs[1]
        self._type = graph[self._first].type
        self._parameters = {graph[p].name: graph[p] for p in graph.parameters}

    def read(self, name: str, like: int) -> int:
        """The Parameter's value after everything so far; ``like`` is a node of the same type."""
        parameter = self._parameters[name]
        return self._build.unique("Load", [parameter.id, self._state], like, parameter.type, {})

    def write(self, name: str, value: int) -> None:
        """Assigns to a Parameter."""
        parameter = self._parameters[name]
        effect = {"side_effect_mem": Constant("bool", True)}
        written = self._build.unique("Assign", [parameter.id, value, self._state], parameter.id, parameter.type, effect)
        self._state = self._build.unique("UpdateState", [self._state, written], self._first, self._type, {})

    def finish(self) -> None:
        """Makes the step's result wait for the writes."""
        self._build.rewire(self._last.id, 1, self._state)


def _last_state(graph: StepGraph) -> Node:
    """The node that ties the step's side effects to its result: ``Depend(loss, state)``."""
    node = graph[graph[graph.output].inputs[0]]
    if node.op != "Depend" or graph[node.inputs[1]].op != "UpdateState":
        raise PrivacyError(f"the step must end in Depend(loss, state), but ends in {node.describe()}")
    return node
