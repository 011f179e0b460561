"""Sums, means and extrema, and the repetitions that are their gradients."""

from __future__ import annotations

from math import prod
from typing import Any

from mindveil.passes.graph import Node, TensorType
from mindveil.passes.operations.table import Operation, RefusedError, View, many, words
from mindveil.passes.privacy import Privacy, Summed

__all__ = ["REDUCTION"]


def _axes(view: View, node: Node) -> list[int]:
    """The dimensions that a sum or mean runs over; an empty list of axes means all of them, unless it means none."""
    rank = len(view.shape(node.inputs[0]))
    axes = view.axes(node.inputs[1], rank)
    skips = node.op == "ReduceSum" and len(node.inputs) > 3 and view.value(node.inputs[3])
    return axes if axes or skips else list(range(rank))


def _sum(view: View, node: Node) -> Privacy:
    source, axes = node.inputs[0], _axes(view, node)
    if isinstance(view.types[source], Summed):
        return Summed()
    place = view.place(source)
    if place.axis in axes:
        return Summed()
    keep = bool(view.value(node.inputs[2]))
    return view.at(node.shape, place.axis - (0 if keep else sum(a < place.axis for a in axes)), place.outer)


def _sum_terms(terms: Any, node: Node, index: int) -> int:
    source = node.inputs[0]
    front = terms.front(source, terms.view.place(source))
    total = terms.build.total(front, [1 + a for a in _axes(terms.view, node)])
    return int(terms.build.reshape(total, (terms.batch, *node.shape)))


def _sum_linear(terms: Any, node: Node, parts: list[int], index: int) -> int:
    total = terms.build.total(parts[0], [1 + a for a in _axes(terms.view, node)])
    return int(terms.build.reshape(total, (terms.batch, *node.shape)))


def _mean(view: View, node: Node) -> Privacy:
    """Means and extrema: over the examples' own dimensions only (a mean over examples has another denominator)."""
    kind = _sum(view, node)
    if isinstance(kind, Summed):
        raise RefusedError("it reduces over the examples")
    return kind


def _extremum(view: View, node: Node) -> Privacy:
    """Values and indices of an extremum along one dimension: ArgMaxWithValue(x, axis, keep)."""
    place, rank = view.place(node.inputs[0]), len(view.shape(node.inputs[0]))
    axis = int(_setting(view, node, "axis", 1)) % rank
    if axis == place.axis:
        raise RefusedError("it reduces over the examples")
    shapes = view.outputs(node)
    shift = int(len(shapes[0]) < rank and axis < place.axis)
    return many([view.at(shape, place.axis - shift, place.outer) for shape in shapes])


def _argument(view: View, node: Node) -> Privacy:
    """The index of an extremum along one dimension: Argmax and its like."""
    place, rank = view.place(node.inputs[0]), len(view.shape(node.inputs[0]))
    axis = _setting(view, node, "axis", 1)
    if axis is None or axis % rank == place.axis:
        raise RefusedError("it reduces over the examples")
    shift = int(len(node.shape) < rank and axis % rank < place.axis)
    return view.at(node.shape, place.axis - shift, place.outer)


def _setting(view: View, node: Node, name: str, position: int) -> Any:
    """What some primitives keep in an attribute, and others in an input."""
    return node.attrs[name] if name in node.attrs else view.value(node.inputs[position])


def _repeat(view: View, node: Node) -> Privacy:
    """Tile and BroadcastTo: refused where the examples themselves are repeated."""
    source = node.inputs[0]
    if isinstance(view.types[source], Summed):
        return Summed()
    place = view.place(source)
    shift = len(node.shape) - len(view.shape(source))
    if node.shape[place.axis + shift] != view.shape(source)[place.axis]:
        raise RefusedError("it repeats the examples")
    return view.at(node.shape, place.axis + shift, place.outer)


def _repeat_linear(terms: Any, node: Node, parts: list[int], index: int) -> int:
    """The terms with as many dimensions as the result has, then the same repetition of each."""
    build, shape = terms.build, terms.build[parts[0]].shape
    lead = len(node.shape) - (len(shape) - 1)
    wide = build.reshape(parts[0], (terms.batch, *(1,) * lead, *shape[1:]))
    times = [n // o for n, o in zip((terms.batch, *node.shape), build[wide].shape, strict=True)]
    if prod(times) == 1:
        return int(wide)
    type_ = TensorType((terms.batch, *node.shape), build[wide].type.dtype)
    return int(build.op("Tile", [wide, build.ints(times)], type_))


_SUM = Operation(_sum, terms=_sum_terms, scaled=lambda view, node: 0, linear=_sum_linear)
_REPEAT = Operation(_repeat, linear=_repeat_linear)

REDUCTION: dict[str, Operation] = {
    "SumExt": _SUM,
    "ReduceSum": _SUM,
    **{
        name: Operation(_mean)
        for name in words("ReduceMean MeanExt ReduceMax ReduceMin ReduceAll ReduceAny ReduceProd")
    },
    **{name: Operation(_extremum) for name in words("ArgMaxWithValue ArgMinWithValue")},
    **{name: Operation(_argument) for name in words("Argmax Argmin ArgMaxExt")},
    "Tile": _REPEAT,
    "BroadcastTo": _REPEAT,
}
