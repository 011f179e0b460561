"""Gradients of reductions over axes, and of the soft maximum, which is a reduction and a quotient."""

from __future__ import annotations

import math
from collections.abc import Sequence

from mindveil.tools.gradients.call import Call, Rule

__all__ = ["RULES", "extremum_over"]


def _axes(call: Call) -> list[int]:
    """The axes that the node reduces, as numbers from 0; all of them where it names none."""
    rank = call.rank(call.x())
    named = call.attribute("axes")
    if named is None and call.x(1):
        named = [int(item) for item in call.required_constant(1, "axes").reshape(-1)]
    if not named:
        return [] if call.attribute("noop_with_empty_axes", 0) else list(range(rank))
    return sorted(int(axis) % rank for axis in named)


def _kept(call: Call, value: str, axes: Sequence[int]) -> str:
    """A value of the result's shape with the reduced axes put back as size 1."""
    if call.attribute("keepdims", 1) or not axes:
        return value
    return call.op("Unsqueeze", value, call.integers(axes))


def _spread(call: Call, value: str) -> str:
    return call.op("Expand", value, call.op("Shape", call.x()))


def reduce_sum(call: Call) -> list[str | None]:
    """The cotangent, at every element of the sum."""
    return [_spread(call, _kept(call, call.dy, _axes(call)))]


def reduce_mean(call: Call) -> list[str | None]:
    """The cotangent over the number of elements; that number is read at run time where an axis is symbolic."""
    axes = _axes(call)
    dims = [call.shape(call.x())[axis] for axis in axes]
    if all(isinstance(dim, int) for dim in dims):
        share = call.op("Mul", call.dy, call.scalar(1 / math.prod(dim for dim in dims if isinstance(dim, int))))
    else:
        sizes = call.op("Gather", call.op("Shape", call.x()), call.integers(axes))
        count = call.op("CastLike", call.op("ReduceProd", sizes, keepdims=0), call.x())
        share = call.op("Div", call.dy, count)
    return [_spread(call, _kept(call, share, axes))]


def reduce_sum_square(call: Call) -> list[str | None]:
    """2 x dy."""
    double = call.op("Mul", _kept(call, call.dy, _axes(call)), call.scalar(2.0))
    return [call.op("Mul", double, call.x())]


def reduce_l1(call: Call) -> list[str | None]:
    """sign(x) dy."""
    return [call.op("Mul", _kept(call, call.dy, _axes(call)), call.op("Sign", call.x()))]


def reduce_l2(call: Call) -> list[str | None]:
    """x dy / y; infinite or not a number at the origin, where the norm has no gradient."""
    axes = _axes(call)
    ratio = call.op("Div", _kept(call, call.dy, axes), _kept(call, call.y, axes))
    return [call.op("Mul", ratio, call.x())]


def reduce_product(call: Call) -> list[str | None]:
    """dy times the product of the other elements; exact at zeros too, where y / x does not exist."""
    axes = _axes(call)
    over = call.integers(axes)
    zero, one = call.scalar(0.0), call.scalar(1.0)
    empty = call.op("Equal", call.x(), zero)
    filled = call.op("Where", empty, one, call.x())
    others = call.op("ReduceProd", filled, over, keepdims=1)
    zeros = call.op("ReduceSum", call.op("Where", empty, one, zero), over, keepdims=1)
    without = call.op("Where", call.op("Equal", zeros, zero), call.op("Div", others, filled), zero)
    at_zero = call.op("Where", call.op("Equal", zeros, one), others, zero)
    share = call.op("Where", empty, at_zero, without)
    return [call.op("Mul", _kept(call, call.dy, axes), share)]


def reduce_log_sum_exp(call: Call) -> list[str | None]:
    """dy exp(x - y), which never overflows because y is at least the largest x."""
    axes = _axes(call)
    share = call.op("Exp", call.op("Sub", call.x(), _kept(call, call.y, axes)))
    return [call.op("Mul", _kept(call, call.dy, axes), share)]


def reduce_extremum(call: Call) -> list[str | None]:
    """ReduceMax and ReduceMin: to the first extreme element in row-major order."""
    axes = _axes(call)
    return [extremum_over(call, _kept(call, call.dy, axes), _kept(call, call.y, axes), axes)]


def extremum_over(call: Call, cotangent: str, value: str, axes: list[int]) -> str:
    """``cotangent`` at the first element, in row-major order over ``axes``, that equals ``value``; 0 elsewhere.

    Both have size 1 at ``axes``. "First" is found by counting hits: exact, whatever the number of ties.
    """
    hits = call.op("Cast", call.op("Equal", call.x(), value), to=7)
    if len(axes) == 1:
        count = call.op("CumSum", hits, call.builder.constant(axes[0], "int64"))
    else:
        count = _count_over(call, hits, axes)
    first = call.op("Equal", call.op("Mul", hits, count), call.builder.constant(1, "int64"))
    return call.op("Where", first, cotangent, call.scalar(0.0))


def _count_over(call: Call, hits: str, axes: list[int]) -> str:
    """The running count of ``hits`` over several axes in row-major order."""
    rank = call.rank(call.x())
    order = [axis for axis in range(rank) if axis not in axes] + axes
    moved = call.op("Transpose", hits, perm=order)
    shape = call.op("Shape", moved)
    kept = call.op("Slice", shape, call.integers([0]), call.integers([rank - len(axes)]))
    flat = call.op("Reshape", moved, call.op("Concat", kept, call.integers([-1]), axis=0))
    count = call.op("CumSum", flat, call.builder.constant(rank - len(axes), "int64"))
    back = [order.index(axis) for axis in range(rank)]
    return call.op("Transpose", call.op("Reshape", count, shape), perm=back)


def softmax(call: Call) -> list[str | None]:
    """y (dy - sum(y dy))."""
    axis = call.integers([call.attribute("axis", -1)])
    product = call.op("Mul", call.dy, call.y)
    total = call.op("ReduceSum", product, axis, keepdims=1)
    return [call.op("Sub", product, call.op("Mul", call.y, total))]


def log_softmax(call: Call) -> list[str | None]:
    """dy - exp(y) sum(dy)."""
    axis = call.integers([call.attribute("axis", -1)])
    total = call.op("ReduceSum", call.dy, axis, keepdims=1)
    return [call.op("Sub", call.dy, call.op("Mul", call.op("Exp", call.y), total))]


RULES: dict[str, Rule] = {
    "ReduceSum": reduce_sum,
    "ReduceMean": reduce_mean,
    "ReduceSumSquare": reduce_sum_square,
    "ReduceL1": reduce_l1,
    "ReduceL2": reduce_l2,
    "ReduceProd": reduce_product,
    "ReduceLogSumExp": reduce_log_sum_exp,
    "ReduceMax": reduce_extremum,
    "ReduceMin": reduce_extremum,
    "Softmax": softmax,
    "LogSoftmax": log_softmax,
}
