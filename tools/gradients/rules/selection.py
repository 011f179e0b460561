"""Gradients of operators that pick or accumulate elements along an axis."""

from __future__ import annotations

from mindveil.tools.gradients.call import Call, Rule
from mindveil.tools.gradients.errors import refuse

__all__ = ["RULES"]


def _zeros(call: Call) -> str:
    """Zeros of the input's shape, which may be symbolic."""
    return call.op("Expand", call.scalar(0.0), call.op("Shape", call.x()))


def gather_elements(call: Call) -> list[str | None]:
    """Each element of the cotangent, added to the element that it was read from."""
    axis = int(call.attribute("axis", 0))
    return [call.op("ScatterElements", _zeros(call), call.x(1), call.dy, axis=axis, reduction="add")]


def gather_nd(call: Call) -> list[str | None]:
    """As `gather_elements`, for whole slices."""
    if call.attribute("batch_dims", 0):
        raise refuse(call.node, f"batch_dims is {call.attribute('batch_dims')}", "batch_dims 0")
    return [call.op("ScatterND", _zeros(call), call.x(1), call.dy, reduction="add")]


def top_k(call: Call) -> list[str | None]:
    """The cotangents of the values, at the places that the node's own indices name."""
    axis = int(call.attribute("axis", -1))
    return [call.op("ScatterElements", _zeros(call), call.need_output(1), call.dy, axis=axis)]


def cumulative_sum(call: Call) -> list[str | None]:
    """The running sum of the cotangent from the other end."""
    backwards = 1 - int(call.attribute("reverse", 0))
    return [call.op("CumSum", call.dy, call.x(1), exclusive=int(call.attribute("exclusive", 0)), reverse=backwards)]


def triangle(call: Call) -> list[str | None]:
    """Trilu of the cotangent."""
    others = [name for name in (call.x(1),) if name]
    return [call.op("Trilu", call.dy, *others, upper=int(call.attribute("upper", 1)))]


RULES: dict[str, Rule] = {
    "CumSum": cumulative_sum,
    "GatherElements": gather_elements,
    "GatherND": gather_nd,
    "TopK": top_k,
    "Trilu": triangle,
}
