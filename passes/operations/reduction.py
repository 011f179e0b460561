"""Sums, means, extrema and losses."""

from __future__ import annotations

from math import prod
from typing import Any

from mindveil.passes.graph import Node
from mindveil.passes.operations.table import Operation, Refused, View, many
from mindveil.passes.privacy import PerExample, Privacy, Summed

__all__ = ["REDUCTION"]


def _sum(view: View, node: Node) -> Privacy:
    source = node.inputs[0]
    if isinstance(view.types[source], Summed):
        raise Refused("it reduces a sum over examples")
    place, rank = view.place(source), len(view.shape(source))
    axes = view.axes(node.inputs[1], rank) or list(range(rank))
    if place.axis in axes:
        return Summed()
    keep = bool(view.value(node.inputs[2]))
    return view.at(node.shape, place.axis - (0 if keep else sum(a < place.axis for a in axes)), place.outer)


def _sum_terms(terms: Any, node: Node, index: int) -> int:
    source = node.inputs[0]
    front = terms.front(source, terms.view.place(source))
    axes = terms.view.axes(node.inputs[1], len(terms.view.shape(source)))
    axes = axes or list(range(len(terms.view.shape(source))))
    total = terms.build.total(front, [1 + a for a in axes])
    result: int = terms.build.reshape(total, (terms.batch, *node.shape))
    return result


def _mean(view: View, node: Node) -> Privacy:
    """ReduceMean and extrema: over the examples' own dimensions only (a mean over examples has another denominator)."""
    kind = _sum(view, node)
    if isinstance(kind, Summed):
        raise Refused("it reduces over the examples")
    return kind


def _first_axis_loss(view: View, node: Node) -> Privacy:
    """A loss of logits ``[B, k]`` and labels: one value an example, and the gradient by logits."""
    for i in node.inputs[:2]:
        if isinstance(view.types[i], PerExample) and view.place(i).axis != 0:
            raise Refused("it does not hold the examples in axis 0")
    if node.type.elements is not None:
        return many([PerExample(1) for _ in node.type.elements])
    return PerExample(1)


def _sparse_loss(view: View, node: Node) -> Privacy:
    if node.attrs.get("is_grad", False):
        raise Refused("this loss divides by the number of rows inside its kernel; use reduction='none'")
    raise Refused("this loss takes its mean inside its kernel; use reduction='none'")


def _reduced_loss(view: View, node: Node) -> Privacy:
    """BCE and its like: the reduction is an argument, 2 means none."""
    reduction = view.value(node.inputs[-1])
    if reduction not in (2, "none"):
        raise Refused("this loss reduces over the examples inside its kernel; use reduction='none'")
    example = view.first_example(node)
    place = view.place(example)
    return view.at(node.shape, place.axis + len(node.shape) - len(view.shape(example)), place.outer)


def _one_hot(view: View, node: Node) -> Privacy:
    """Labels ``[..]`` become ``[.., depth]``; the axis argument must be the last."""
    if view.value(node.inputs[-1]) not in (-1, len(node.shape) - 1):
        raise Refused("it puts the classes before the examples")
    return view.types[node.inputs[0]]


def _gather_d(view: View, node: Node) -> Privacy:
    """Picks, for each row, along a dimension that must not be the examples'."""
    example = node.inputs[0]
    place = view.place(example)
    if view.value(node.inputs[1]) % len(view.shape(example)) == place.axis:
        raise Refused("it picks along the examples")
    return view.at(node.shape, place.axis, place.outer)


def _tile(view: View, node: Node) -> Privacy:
    """Tile and BroadcastTo: refused where the examples themselves are repeated."""
    source = node.inputs[0]
    place = view.place(source)
    shift = len(node.shape) - len(view.shape(source))
    if node.shape[place.axis + shift] != view.shape(source)[place.axis]:
        raise Refused("it repeats the examples")
    if prod(node.shape[: place.axis + shift]) != prod(view.shape(source)[: place.axis]) and place.outer > 1:
        raise Refused("it repeats dimensions in front of the examples")
    return view.at(node.shape, place.axis + shift, place.outer)


_SUM = Operation(_sum, terms=_sum_terms, scaled=lambda view, node: 0)
_MEAN = Operation(_mean)

REDUCTION: dict[str, Operation] = {
    "SumExt": _SUM,
    "ReduceSum": _SUM,
    "ReduceMean": _MEAN,
    "MeanExt": _MEAN,
    "ReduceMax": _MEAN,
    "ReduceMin": _MEAN,
    "Tile": Operation(_tile),
    "BroadcastTo": Operation(_tile),
    "OneHot": Operation(_one_hot),
    "GatherD": Operation(_gather_d),
    "SoftmaxCrossEntropyWithLogits": Operation(_first_axis_loss),
    "SparseSoftmaxCrossEntropyWithLogits": Operation(_sparse_loss),
    "BCEWithLogitsLoss": Operation(_reduced_loss),
    "BinaryCrossEntropy": Operation(_reduced_loss),
    "BinaryCrossEntropyGrad": Operation(_reduced_loss),
}
