"""Bias of a channel: added to axis 1, its gradient sums over all others."""

from __future__ import annotations

from typing import Any

from mindveil.passes.graph import Node
from mindveil.passes.operations.table import Operation, RefusedError, View
from mindveil.passes.privacy import Privacy, Summed

__all__ = ["BIAS"]

#: MindSpore's numbers for NCHW and NCDHW; the gradient of a Conv3d's bias says NCHW too.
_CHANNEL_SECOND = (0, 14, "NCHW", "NCDHW", None)


def _add(view: View, node: Node) -> Privacy:
    """The bias follows the channel, not the last dimension, so that it must be public."""
    view.free(node.inputs[1], "bias")
    return view.types[node.inputs[0]]


def _gradient(view: View, node: Node) -> Privacy:
    if view.value(node.inputs[1]) not in _CHANNEL_SECOND:
        raise RefusedError("it keeps another axis than 1: only channels in axis 1 (NCHW) are known")
    if view.place(node.inputs[0]).axis == 1:
        raise RefusedError("it keeps the axis that holds the examples")
    return Summed()


def _terms(terms: Any, node: Node, index: int) -> int:
    source = node.inputs[0]
    front = terms.front(source, terms.view.place(source))
    rank = len(terms.build[front].shape)
    total = terms.build.total(front, [k for k in range(1, rank) if k != 2])
    result: int = terms.build.reshape(total, (terms.batch, *node.shape))
    return result


BIAS: dict[str, Operation] = {
    "BiasAdd": Operation(_add),
    "BiasAddGrad": Operation(_gradient, terms=_terms),
}
