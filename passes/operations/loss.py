"""Losses that are operations of their own: one value an example, or a refusal."""

from __future__ import annotations

from mindveil.passes.graph import Node
from mindveil.passes.operations.pointwise import broadcast
from mindveil.passes.operations.table import Operation, RefusedError, View, many
from mindveil.passes.privacy import PerExample, Privacy

__all__ = ["LOSS"]


def _rows(view: View, node: Node) -> Privacy:
    """A loss of logits ``[B, k]`` and labels: one value a row, and the gradient by logits."""
    outer = view.rows(node.inputs[:2]).outer
    if node.type.elements is not None:
        return many([PerExample(outer) for _ in node.type.elements])
    return PerExample(outer)


def _sparse(view: View, node: Node) -> Privacy:
    if node.attrs.get("is_grad", False):
        raise RefusedError("this loss divides by the number of rows inside its kernel; use reduction='none'")
    raise RefusedError("this loss takes its mean inside its kernel; use reduction='none'")


def _reduced(position: int) -> Operation:
    """A loss of each element whose reduction is input number ``position``; 2 means none."""

    def rule(view: View, node: Node) -> Privacy:
        if view.value(node.inputs[position]) not in (2, "none"):
            raise RefusedError("this loss reduces over the examples inside its kernel; use reduction='none'")
        return broadcast(view, node)

    return Operation(rule)


LOSS: dict[str, Operation] = {
    "SoftmaxCrossEntropyWithLogits": Operation(_rows),
    "SparseSoftmaxCrossEntropyWithLogits": Operation(_sparse),
    "BCEWithLogitsLoss": _reduced(4),
    "BinaryCrossEntropy": _reduced(3),
    "BinaryCrossEntropyGrad": _reduced(4),
    "BinaryCrossEntropyWithLogitsBackward": _reduced(5),
}
