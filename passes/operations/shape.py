"""Operations that move values without changing them: reshapes, permutations, slices, joins, tuples."""

from __future__ import annotations

from typing import Any

from mindveil.passes.graph import Node
from mindveil.passes.operations.table import Operation, Refused, View, many
from mindveil.passes.privacy import Many, PerExample, Privacy, Public, Summed

__all__ = ["SHAPE"]


def _keep(view: View, node: Node) -> Privacy:
    return view.types[node.inputs[0]]


def _reshape_terms(terms: Any, node: Node, parts: list[int]) -> int:
    result: int = terms.build.reshape(parts[0], (terms.batch, *node.shape))
    return result


def _transpose(view: View, node: Node) -> Privacy:
    source = node.inputs[0]
    if isinstance(view.types[source], Summed):
        return Summed()
    place = view.place(source)
    order = view.axes(node.inputs[1], len(view.shape(source)))
    return view.at(node.shape, order.index(place.axis), place.outer)


def _transpose_terms(terms: Any, node: Node, parts: list[int]) -> int:
    order = terms.view.axes(node.inputs[1], len(node.shape))
    result: int = terms.build.transpose(parts[0], [0, *(1 + a for a in order)])
    return result


def _join(stacked: bool) -> Any:
    def rule(view: View, node: Node) -> Privacy:
        group = view.types[node.inputs[0]]
        parts = group.parts if isinstance(group, Many) else (group,)
        if any(isinstance(p, Summed) for p in parts):
            if all(isinstance(p, Summed) for p in parts):
                return Summed()
            raise Refused("it joins sums over examples with something else")
        members = view[node.inputs[0]].inputs
        examples = [i for i, p in zip(members, parts, strict=True) if isinstance(p, PerExample)]
        if len(examples) < len(members) and any(not isinstance(p, PerExample | Public) for p in parts):
            raise Refused("it joins the examples with something that is neither public nor per example")
        if len({view.place(i) for i in examples}) != 1:
            raise Refused("its parts hold the examples in different places")
        example = examples[0]
        place, rank = view.place(example), len(view.shape(example))
        axis = node.attrs["axis"] if stacked else view.value(node.inputs[1])
        axis %= rank + stacked
        if not stacked and axis == place.axis:
            raise Refused("it joins along the examples")
        return view.at(node.shape, place.axis + (stacked and axis <= place.axis), place.outer)

    return rule


def _concat_terms(terms: Any, node: Node, parts: list[int]) -> int:
    axis = terms.view.value(node.inputs[1]) % len(node.shape)
    result: int = terms.concat(parts, 1 + axis)
    return result


def _split(axis_of: Any) -> Any:
    def rule(view: View, node: Node) -> Privacy:
        source = node.inputs[0]
        place, rank = view.place(source), len(view.shape(source))
        axis, dropped = axis_of(view, node)
        axis %= rank
        if axis == place.axis:
            raise Refused("it splits along the examples")
        shift = int(dropped and axis < place.axis)
        return many([view.at(s, place.axis - shift, place.outer) for s in view.outputs(node)])

    return rule


def _slice(view: View, node: Node, backward: bool) -> Privacy:
    """StridedSlice(x, begin, end, strides, 5 masks) and its gradient (dy, shape, begin, end, strides; masks as attributes)."""
    source = node.inputs[0]
    place = view.place(source)
    if backward:
        begin = view.value(node.inputs[2])
        begin_mask, end_mask, shrink = (node.attrs.get(f"{k}_mask", 0) for k in ("begin", "end", "shrink_axis"))
        rank = len(node.shape)
    else:
        begin = view.value(node.inputs[1])
        begin_mask, end_mask, shrink = (view.value(node.inputs[k]) for k in (4, 5, 8))
        rank = len(view.shape(source))
    kept = [d for d in range(rank) if not shrink >> d & 1]
    axis = kept[place.axis] if backward else place.axis
    whole = begin_mask & end_mask & 1 << axis
    if axis < len(begin) and not whole and not _covers(view, node, backward, axis):
        raise Refused("it takes a slice along the examples")
    return view.at(node.shape, axis if backward else kept.index(axis), place.outer)


def _covers(view: View, node: Node, backward: bool, axis: int) -> bool:
    begin, end, stride = (view.value(node.inputs[k + backward]) for k in (1, 2, 3))
    size = node.shape[axis] if backward else view.shape(node.inputs[0])[axis]
    return bool(begin[axis] == 0 and end[axis] >= size and stride[axis] == 1)


def _tuple(view: View, node: Node) -> Privacy:
    return many([view.types[i] for i in node.inputs])


def _item(view: View, node: Node) -> Privacy:
    group = view.types[node.inputs[0]]
    return group.parts[view.value(node.inputs[1])] if isinstance(group, Many) else group


_VIEW = Operation(_keep, linear=_reshape_terms)
_TUPLE = Operation(_tuple)

SHAPE: dict[str, Operation] = {
    "Reshape": _VIEW,
    "Flatten": _VIEW,
    "ExpandDims": _VIEW,
    "Squeeze": _VIEW,
    "Transpose": Operation(_transpose, linear=_transpose_terms),
    "Concat": Operation(_join(stacked=False), linear=_concat_terms),
    "Stack": Operation(_join(stacked=True)),
    "Split": Operation(_split(lambda view, node: (view.value(node.inputs[1]), False))),
    "SplitWithSize": Operation(_split(lambda view, node: (view.value(node.inputs[2]), False))),
    "Unstack": Operation(_split(lambda view, node: (node.attrs["axis"], True))),
    "StridedSlice": Operation(lambda view, node: _slice(view, node, backward=False)),
    "StridedSliceGrad": Operation(lambda view, node: _slice(view, node, backward=True)),
    "MakeTuple": _TUPLE,
    "make_list": _TUPLE,
    "TupleGetItem": Operation(_item),
}
