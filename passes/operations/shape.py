"""Operations that move values without changing them: reshapes, permutations, joins, tuples."""

from __future__ import annotations

from typing import Any

from mindveil.passes.graph import Node
from mindveil.passes.operations.table import APART, Operation, RefusedError, View, many
from mindveil.passes.privacy import Many, PerExample, Privacy, Summed, is_free

__all__ = ["SHAPE"]


def _keep(view: View, node: Node) -> Privacy:
    """In C order nothing moves, so that what stands in front of the examples stays as much."""
    return view.types[node.inputs[0]]


def _reshape_terms(terms: Any, node: Node, parts: list[int], index: int) -> int:
    return int(terms.build.reshape(parts[0], (terms.batch, *node.shape)))


def _transpose(view: View, node: Node) -> Privacy:
    source = node.inputs[0]
    if isinstance(view.types[source], Summed):
        return Summed()
    place = view.place(source)
    order = view.axes(node.inputs[1], len(view.shape(source)))
    return view.at(node.shape, order.index(place.axis), place.outer)


def _transpose_terms(terms: Any, node: Node, parts: list[int], index: int) -> int:
    order = terms.view.axes(node.inputs[1], len(node.shape))
    return int(terms.build.transpose(parts[0], [0, *(1 + a for a in order)]))


def _join(stacked: bool) -> Any:
    def rule(view: View, node: Node) -> Privacy:
        group = view.types[node.inputs[0]]
        parts = group.parts if isinstance(group, Many) else (group,)
        if any(isinstance(p, Summed) for p in parts):
            if all(isinstance(p, Summed) for p in parts):
                return Summed()
            raise RefusedError("it joins sums over examples with something else")
        members = view[node.inputs[0]].inputs
        if not all(isinstance(p, PerExample) or is_free(p) for p in parts):
            raise RefusedError("it joins the examples with something that is neither public nor per example")
        examples = view.examples(members)
        if len({view.place(i) for i in examples}) != 1:
            raise RefusedError(APART)
        example = examples[0]
        place, rank = view.place(example), len(view.shape(example))
        axis = _join_axis(view, node, stacked, rank)
        if not stacked and axis == place.axis:
            raise RefusedError("it joins along the examples")
        return view.at(node.shape, place.axis + (stacked and axis <= place.axis), place.outer)

    return rule


def _join_axis(view: View, node: Node, stacked: bool, rank: int) -> int:
    axis = node.attrs["axis"] if stacked else view.value(node.inputs[1])
    return int(axis) % (rank + stacked)


def _concat_terms(terms: Any, node: Node, parts: list[int], index: int) -> int:
    axis = _join_axis(terms.view, node, False, len(node.shape))
    return int(terms.concat(parts, 1 + axis))


def _stack_terms(terms: Any, node: Node, parts: list[int], index: int) -> int:
    axis = _join_axis(terms.view, node, True, len(node.shape) - 1)
    shape = (terms.batch, *(1 if k == axis else d for k, d in enumerate(node.shape)))
    return int(terms.concat([terms.build.reshape(p, shape) for p in parts], 1 + axis))


def _tuple(view: View, node: Node) -> Privacy:
    return many([view.types[i] for i in node.inputs])


def _item(view: View, node: Node) -> Privacy:
    group = view.types[node.inputs[0]]
    return group.parts[view.value(node.inputs[1])] if isinstance(group, Many) else group


_VIEW = Operation(_keep, linear=_reshape_terms, isometric=True)
_TUPLE = Operation(_tuple, grouped=True)

SHAPE: dict[str, Operation] = {
    "Reshape": _VIEW,
    "Flatten": _VIEW,
    "ExpandDims": _VIEW,
    "Squeeze": _VIEW,
    "Transpose": Operation(_transpose, linear=_transpose_terms, isometric=True),
    "Concat": Operation(_join(stacked=False), linear=_concat_terms, grouped=True),
    "Stack": Operation(_join(stacked=True), linear=_stack_terms, grouped=True),
    "MakeTuple": _TUPLE,
    "make_list": _TUPLE,
    "TupleGetItem": Operation(_item, grouped=True),
}
