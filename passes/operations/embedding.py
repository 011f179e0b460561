"""Look-ups in a table, and the sums of gradients that they are trained by."""

from __future__ import annotations

from math import prod
from typing import Any

from mindveil.passes.graph import Node, TensorType
from mindveil.passes.operations.cost import ghost_pays_for_rows
from mindveil.passes.operations.table import APART, Operation, Place, RefusedError, View, refuse
from mindveil.passes.privacy import PerExample, Privacy, Summed

__all__ = ["EMBEDDING"]


def _gather(view: View, node: Node) -> Privacy:
    """Gather(table, ids, axis, batch dimensions): the result is ``[before axis, *ids, behind axis]``."""
    table, ids, axis_at, batch_at = node.inputs[:4]
    if view.value(batch_at):
        raise RefusedError(
            "it looks up with batch dimensions; use ops.gather_elements along another axis than the examples'"
        )
    axis = view.axes(axis_at, len(view.shape(table)))[0]
    if isinstance(view.types[ids], PerExample):
        view.free(table, "table")
        place = view.place(ids)
        return view.at(node.shape, axis + place.axis, place.outer)
    view.free(ids, "index")
    place = view.place(table)
    if place.axis == axis:
        raise RefusedError("it picks along the examples")
    return view.at(node.shape, place.axis + (len(view.shape(ids)) - 1 if place.axis > axis else 0), place.outer)


def _segments(view: View, node: Node) -> Privacy:
    """UnsortedSegmentSum(dY ``[*ids, width]``, ids, rows of the table)."""
    dy, ids = node.inputs[:2]
    if isinstance(view.types[dy], Summed):
        view.free(ids, "index")
        return Summed()
    place, rank = view.place(dy), len(view.shape(ids))
    if isinstance(view.types[ids], PerExample) and view.place(ids) != place:
        raise RefusedError(APART)
    if not isinstance(view.types[ids], PerExample):
        view.free(ids, "index")
    if place.axis < rank:
        return Summed()
    return view.at(node.shape, place.axis - rank + 1, place.outer)


def _rows(terms: Any, node: Node) -> tuple[int, int, int, int]:
    """dY as ``[B, T, width]``, ids as ``[B, T]``, and T and width."""
    dy, ids = node.inputs[:2]
    view, build = terms.view, terms.build
    place = view.place(dy)
    width = prod(view.shape(dy)[len(view.shape(ids)) :])
    rows = prod(view.shape(ids)) // terms.batch
    values = build.reshape(terms.front(dy, place), (terms.batch, rows, width))
    index = build.reshape(terms.front(ids, Place(place.axis, place.outer, place.inner)), (terms.batch, rows))
    return values, index, rows, width


def _terms(terms: Any, node: Node, index: int) -> int:
    """One table for each example, as a product with the indicator of its ids; a negative id indicates nothing."""
    build = terms.build
    values, ids, rows, _ = _rows(terms, node)
    size = node.shape[0]
    bounds = [build.constant("int", size), build.scalar(1.0), build.scalar(0.0), build.constant("int", -1)]
    indicator = build.op("OneHot", [ids, *bounds], TensorType((terms.batch, rows, size), "Float32"))
    return int(build.reshape(build.matmul(indicator, values, True, False), (terms.batch, *node.shape)))


def _zero(build: Any, like: int) -> int:
    return int(build.cast(build.constant("tensor", 0, "int64"), build[like].type.dtype))


def _segment_sum(build: Any, rows: int, ids: int, size: int) -> int:
    type_ = TensorType((size, *build[rows].shape[len(build[ids].shape) :]), build[rows].type.dtype)
    return int(build.op("UnsortedSegmentSum", [rows, ids, build.constant("int", size)], type_))


def _norm(terms: Any, node: Node) -> int | None:
    """Ghost norm: the sum of ``dY_t . dY_s`` over all pairs of rows with equal ids, so that equal ids are merged.

    Source: Li, Tramer, Liang and Hashimoto 2021, appendix on embedding layers.
    """
    build = terms.build
    rows = prod(terms.view.shape(node.inputs[1])) // terms.batch
    if not ghost_pays_for_rows(rows, node.shape[0], prod(node.shape[1:]), terms.batch):
        return None
    values, ids, rows, _ = _rows(terms, node)
    if rows == 1:
        known = build.op("GreaterEqual", [ids, _zero(build, ids)], TensorType(build[ids].shape, "Bool"))
        return int(build.binary("Mul", terms.squares(values), build.cast(known)))
    column, row = (build.reshape(ids, (terms.batch, *shape)) for shape in ((rows, 1), (1, rows)))
    equal = build.op("Equal", [column, row], TensorType((terms.batch, rows, rows), "Bool"))
    known = build.op("GreaterEqual", [column, _zero(build, ids)], TensorType((terms.batch, rows, 1), "Bool"))
    mask = build.binary("Mul", build.cast(equal), build.cast(known))
    return int(terms.gram_norm(values, None, rows_first=(True, True), mask=mask))


def _linear(terms: Any, node: Node, parts: list[int], index: int) -> int:
    """A table that was looked up once for all examples (positions): each term's rows go by the same public ids."""
    build, ids = terms.build, node.inputs[1]
    shape, rank = build[parts[0]].shape, len(terms.view.shape(ids))
    moved = build.transpose(parts[0], [*range(1, 1 + rank), 0, *range(1 + rank, len(shape))])
    summed = _segment_sum(build, moved, ids, node.shape[0])
    return int(build.transpose(summed, [1, 0, *range(2, len(build[summed].shape))]))


def _picked(view: View, node: Node) -> Privacy:
    """GatherD(x, dim, ids) and GatherDGradV2(x, dim, ids, dY): the dimension must not be that of the examples."""
    source, dim, *others = node.inputs
    tensors = [source, *others]
    place = view.common(tensors)
    if view.axes(dim, len(view.shape(source)))[0] == place.axis:
        raise RefusedError("it picks along the examples")
    if len({view.shape(i)[place.axis] for i in tensors}) != 1:
        raise RefusedError("it leaves some of the examples out")
    return view.at(node.shape, place.axis, place.outer)


def _one_hot(view: View, node: Node) -> Privacy:
    """Labels ``[..]`` become ``[.., depth]``; the axis argument must be the last."""
    if view.value(node.inputs[-1]) not in (-1, len(node.shape) - 1):
        raise RefusedError("it puts the classes before the examples")
    for i in node.inputs[1:]:
        view.free(i, "depth or value")
    return view.types[node.inputs[0]]


_IN_PLACE = "the gradient of x.max(axis) and x.min(axis) writes in place; use ops.amax or ops.amin"

EMBEDDING: dict[str, Operation] = {
    "Gather": Operation(_gather),
    "UnsortedSegmentSum": Operation(_segments, terms=_terms, norm=_norm, scaled=lambda view, node: 0, linear=_linear),
    "GatherD": Operation(_picked),
    "GatherDGradV2": Operation(_picked),
    "InplaceScatterSrc": Operation(refuse(_IN_PLACE)),
    "OneHot": Operation(_one_hot),
}
