"""Gradients of matrix products: Gemm and MatMul, with respect to either factor."""

from __future__ import annotations

from mindveil.tools.gradients.broadcast import sum_to
from mindveil.tools.gradients.call import Call, Rule

__all__ = ["RULES"]


def gemm(call: Call) -> list[str | None]:
    """Y = alpha A'B' + beta C: each factor's gradient is a Gemm that reads the stored matrix, without a copy."""
    left, right = call.x(0), call.x(1)
    turn_left, turn_right = int(call.attribute("transA", 0)), int(call.attribute("transB", 0))
    alpha = float(call.attribute("alpha", 1.0))
    gradients: list[str | None] = [None, None, None]
    if call.active[0]:
        if turn_left:
            gradients[0] = call.op("Gemm", right, call.dy, alpha=alpha, transA=turn_right, transB=1)
        else:
            gradients[0] = call.op("Gemm", call.dy, right, alpha=alpha, transB=1 - turn_right)
    if call.active[1]:
        if turn_right:
            gradients[1] = call.op("Gemm", call.dy, left, alpha=alpha, transA=1, transB=turn_left)
        else:
            gradients[1] = call.op("Gemm", left, call.dy, alpha=alpha, transA=1 - turn_left)
    if len(call.active) > 2 and call.active[2]:
        beta = call.scalar(float(call.attribute("beta", 1.0)))
        gradients[2] = call.op("Mul", sum_to(call, call.dy, call.x(2), call.y), beta)
    return gradients[: len(call.node.input)]


def matmul(call: Call) -> list[str | None]:
    """Batched product with NumPy's broadcasting; a vector is a matrix of one row or one column."""
    left, right = call.x(0), call.x(1)
    row, column = call.rank(left) == 1, call.rank(right) == 1
    cotangent = call.dy
    if row:
        cotangent = call.op("Unsqueeze", cotangent, call.integers([-1] if column else [-2]))
    if column:
        cotangent = call.op("Unsqueeze", cotangent, call.integers([-1]))
    return [
        _left(call, cotangent, right, row, column) if call.active[0] else None,
        _right(call, cotangent, left, row, column) if call.active[1] else None,
    ]


def _left(call: Call, cotangent: str, right: str, row: bool, column: bool) -> str:
    turned = call.op("Unsqueeze", right, call.integers([0])) if column else _swap(call, right)
    full = call.op("MatMul", cotangent, turned)
    if row:
        return _sum_leading(call, call.op("Squeeze", full, call.integers([-2])), call.x(0), call.rank(right) - 2)
    return _sum_leading(call, full, call.x(0), max(call.rank(right), 2) - call.rank(call.x(0)))


def _right(call: Call, cotangent: str, left: str, row: bool, column: bool) -> str:
    turned = call.op("Unsqueeze", left, call.integers([1])) if row else _swap(call, left)
    full = call.op("MatMul", turned, cotangent)
    if column:
        return _sum_leading(call, call.op("Squeeze", full, call.integers([-1])), call.x(1), call.rank(left) - 2)
    return _sum_leading(call, full, call.x(1), max(call.rank(left), 2) - call.rank(call.x(1)))


def _swap(call: Call, value: str) -> str:
    """The value with its last two axes exchanged; a constant is transposed once, at build time."""
    order = list(range(call.rank(value)))
    order[-1], order[-2] = order[-2], order[-1]
    stored = call.forward.constants.get(value)
    if stored is not None:
        return call.builder.constant(stored.transpose(order), stored.dtype)
    return call.op("Transpose", value, perm=order)


def _sum_leading(call: Call, gradient: str, value: str, lead: int) -> str:
    """``gradient`` summed over ``lead`` extra leading axes, and over batch axes where ``value`` has size 1."""
    lead = max(lead, 0)
    dims = call.shape(value)
    batch = range(max(len(dims) - 2, 0))
    other = call.shape(call.x(1) if value == call.x(0) else call.x(0))
    offset = len(other) - len(dims)
    repeated = [
        lead + axis
        for axis in batch
        if dims[axis] == 1 and 0 <= axis + offset < len(other) - 2 and other[axis + offset] != 1
    ]
    if not lead and not repeated:
        return gradient
    summed = call.op("ReduceSum", gradient, call.integers([*range(lead), *repeated]), keepdims=1)
    return call.op("Squeeze", summed, call.integers(range(lead))) if lead else summed


RULES: dict[str, Rule] = {"Gemm": gemm, "MatMul": matmul}
