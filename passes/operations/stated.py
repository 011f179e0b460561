"""Statements of bounds, which a training step carries for the pass that reads them; no kernel ever runs one."""

from __future__ import annotations

from mindveil.passes.graph import Node
from mindveil.passes.operations.table import Operation, RefusedError, View
from mindveil.passes.privacy import PerExample, Privacy

__all__ = ["STATED", "STATEMENT"]

STATEMENT = "MindveilBound"


def _stated(view: View, node: Node) -> Privacy:
    """``MindveilBound(y, x[, cap])`` is y; the norms are of rows, so that the examples must lie in axis 0."""
    kind = view.types[node.inputs[0]]
    if not isinstance(kind, PerExample) or kind.before != 1:
        raise RefusedError("it states a bound of values that do not hold the examples in axis 0")
    for cap in node.inputs[2:]:
        view.free(cap, "cap")
    return kind


STATED: dict[str, Operation] = {STATEMENT: Operation(_stated)}
