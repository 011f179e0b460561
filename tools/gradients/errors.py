"""What a gradient graph cannot be built for, said with the node's name and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable

from onnx import NodeProto

__all__ = ["UnsupportedNodeError", "describe", "refuse", "unknown_operator"]


class UnsupportedNodeError(ValueError):
    """A node on the way from the input to the output has no gradient rule, or uses an option that its rule lacks."""


def describe(node: NodeProto) -> str:
    """The node as an error message names it: operator, name, first output."""
    domain = f"{node.domain}." if node.domain else ""
    return f"{domain}{node.op_type} (node {node.name or '<unnamed>'!r}, output {node.output[0]!r})"


def refuse(node: NodeProto, got: str, wanted: str) -> UnsupportedNodeError:
    """The error for an option of a known operator: what the node has, and what its rule can do."""
    return UnsupportedNodeError(f"{describe(node)}: {got}; the gradient rule needs {wanted}")


def unknown_operator(node: NodeProto, known: Iterable[str]) -> UnsupportedNodeError:
    """The error for an operator that is not in the table; the list comes from the table itself."""
    return UnsupportedNodeError(
        f"{describe(node)} has no gradient rule. Operators with a rule: {', '.join(sorted(known))}. "
        "Cut the model at a value before this node, or rewrite the node with operators of the list."
    )
