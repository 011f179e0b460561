"""Exact rewrites of the forward nodes that make the gradient cheaper and change no value that anyone reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from onnx import NodeProto

__all__ = ["pool_before_relu"]


def pool_before_relu(nodes: Sequence[NodeProto], wanted: Collection[str]) -> tuple[NodeProto, ...]:
    """MaxPool(Relu(x)) as Relu(MaxPool(x)), where nothing else reads the Relu.

    Relu is increasing, so both are equal, and so are their gradients: a window whose maximum is positive has the
    same first maximum, and one whose maximum is not gets no gradient either way. Relu, its mask and its product then
    run on the pooled value, which is smaller by the area of the window.
    """
    readers = Counter(name for node in nodes for name in node.input)
    makers = {node.output[0]: node for node in nodes}
    moved: set[str] = set()
    result: list[NodeProto] = []
    for node in nodes:
        before = makers.get(node.input[0]) if node.input else None
        if (
            node.op_type == "MaxPool"
            and len(node.output) == 1
            and before is not None
            and before.op_type == "Relu"
            and readers[before.output[0]] == 1
            and before.output[0] not in wanted
        ):
            moved.add(before.output[0])
            result.extend(_exchanged(before, node))
        else:
            result.append(node)
    return tuple(node for node in result if node.output[0] not in moved)


def _exchanged(relu: NodeProto, pool: NodeProto) -> tuple[NodeProto, NodeProto]:
    """The two nodes in the other order; the pooled value gets a name of its own."""
    first, second = NodeProto(), NodeProto()
    first.CopyFrom(pool)
    second.CopyFrom(relu)
    between = f"{pool.output[0]}/before_relu"
    first.input[0], first.output[0] = relu.input[0], between
    second.input[0], second.output[0] = between, pool.output[0]
    return first, second
