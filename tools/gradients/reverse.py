"""Reverse-mode differentiation of a prepared graph: walks it backwards and asks each operator's rule."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from onnx import NodeProto, TensorProto

from mindveil.tools.gradients.builder import Builder
from mindveil.tools.gradients.call import Call
from mindveil.tools.gradients.errors import unknown_operator
from mindveil.tools.gradients.forward import Forward
from mindveil.tools.gradients.rules import RULES, ZERO_GRADIENT

__all__ = ["active_values", "pull_back"]

_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16})


def active_values(forward: Forward, wrt: str) -> set[str]:
    """The values that depend on ``wrt`` through real numbers, so that a gradient can pass."""
    active = {wrt}
    for node in forward.nodes:
        if node.op_type in ZERO_GRADIENT or not any(name in active for name in node.input):
            continue
        active.update(name for name in node.output if name and forward.types.get(name, TensorProto.FLOAT) in _FLOATS)
    return active


def pull_back(forward: Forward, builder: Builder, cotangents: Mapping[str, str], wrt: str) -> str | None:
    """Write the gradient of sum_k <cotangent_k, value_k> with respect to ``wrt``, and return its name.

    Returns None where no gradient reaches ``wrt`` (every path ends in a step function or an integer).

    Raises:
        UnsupportedNodeError: a node on the way has no rule, or uses an option that its rule lacks.
    """
    active = active_values(forward, wrt)
    arrived: dict[str, list[str]] = {name: [cotangent] for name, cotangent in cotangents.items()}
    for node in reversed(forward.nodes):
        if not any(name in arrived for name in node.output) or not any(name in active for name in node.output):
            continue
        incoming = tuple(_total(builder, arrived.get(name, ())) for name in node.output)
        _spread(forward, builder, node, incoming, active, arrived)
    return _total(builder, arrived.get(wrt, ()))


def _spread(
    forward: Forward,
    builder: Builder,
    node: NodeProto,
    incoming: tuple[str | None, ...],
    active: set[str],
    arrived: dict[str, list[str]],
) -> None:
    """Hand one node's cotangents on to its inputs."""
    if node.domain not in ("", "ai.onnx") or node.op_type not in RULES:
        raise unknown_operator(node, RULES)
    flags = tuple(name in active for name in node.input)
    call = Call(forward, builder, node, incoming, flags)
    # A rule's answer may be short: what comes after the data (axes, shapes, weights) takes no gradient.
    for name, wanted, gradient in zip(node.input, flags, RULES[node.op_type](call), strict=False):
        if wanted and gradient is not None:
            arrived.setdefault(name, []).append(gradient)


def _total(builder: Builder, parts: Iterable[str]) -> str | None:
    """The sum of the contributions that arrived at a value."""
    names = list(parts)
    if len(names) < 2:
        return names[0] if names else None
    return builder.op("Add", *names) if len(names) == 2 else builder.op("Sum", *names)
