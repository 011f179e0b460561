"""Parts of tensors, and the zeros around them that are their gradients: refused along the examples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mindveil.passes.graph import Node, Shape, TensorType
from mindveil.passes.operations.table import Operation, RefusedError, View, many
from mindveil.passes.privacy import Privacy, Summed

__all__ = ["SLICES"]


@dataclass(frozen=True, slots=True)
class _Cut:
    """A strided slice of a tensor of shape ``whole``, with the masks resolved.

    Attributes:
        kept: the dimensions of ``whole`` that the result still has, in order.
    """

    whole: Shape
    begin: list[int]
    end: list[int]
    stride: list[int]
    kept: list[int]

    def is_whole(self, axis: int) -> bool:
        """Whether this dimension comes out as it was."""
        same = self.begin[axis] == 0 and self.end[axis] >= self.whole[axis] and self.stride[axis] == 1
        return same and axis in self.kept


def _cut(view: View, node: Node) -> _Cut:
    """StridedSlice(x, begin, end, strides, 5 masks), and its gradient (dY, shape, begin, end, strides; attributes)."""
    if node.op in ("Slice", "SliceGrad"):
        return _plain_cut(view, node)
    names = ("begin", "end", "ellipsis", "new_axis", "shrink_axis")
    if node.op == "StridedSlice":
        whole, first = view.shape(node.inputs[0]), 1
        masks = [view.value(i) for i in node.inputs[4:9]]
    else:
        whole, first = node.shape, 2
        masks = [node.attrs.get(f"{k}_mask", 0) for k in names]
    begin, end, stride = (list(view.value(i)) for i in node.inputs[first : first + 3])
    if masks[2] or masks[3]:
        raise RefusedError("it slices with an ellipsis or a new axis; write the slices out")
    for axis, size in enumerate(whole):
        if axis >= len(begin):
            begin, end, stride = [*begin, 0], [*end, size], [*stride, 1]
            continue
        one = bool(masks[4] >> axis & 1)
        backwards = stride[axis] < 0
        begin[axis] = _resolve(begin[axis], size, size - 1 if backwards else 0, bool(masks[0] >> axis & 1) and not one)
        end[axis] = (
            begin[axis] + 1 if one else _resolve(end[axis], size, -1 if backwards else size, bool(masks[1] >> axis & 1))
        )
    kept = [axis for axis in range(len(whole)) if not masks[4] >> axis & 1]
    return _Cut(whole, begin, end, stride, kept)


def _plain_cut(view: View, node: Node) -> _Cut:
    """Slice(x, begin, size) and SliceGrad(dY, x, begin, size); a size of -1 is all that is left."""
    first = 1 if node.op == "Slice" else 2
    whole = view.shape(node.inputs[first - 1])
    begin, sizes = (list(view.value(i)) for i in node.inputs[first : first + 2])
    end = [all_ if size == -1 else b + size for all_, b, size in zip(whole, begin, sizes, strict=True)]
    return _Cut(whole, begin, end, [1] * len(whole), list(range(len(whole))))


def _resolve(at: int, size: int, default: int, masked: bool) -> int:
    return default if masked else max(at + size, 0) if at < 0 else min(at, size)


def _slice(view: View, node: Node) -> Privacy:
    source, cut = node.inputs[0], _cut(view, node)
    if isinstance(view.types[source], Summed):
        return Summed()
    place, backward = view.place(source), node.op.endswith("Grad")
    axis = cut.kept[place.axis] if backward else place.axis
    if not cut.is_whole(axis):
        raise RefusedError("it takes a slice along the examples")
    return view.at(node.shape, axis if backward else cut.kept.index(axis), place.outer)


def _slice_linear(terms: Any, node: Node, parts: list[int], index: int) -> int:
    """The same slice of every term."""
    cut, build = _cut(terms.view, node), terms.build
    begin, end, stride = [0, *cut.begin], [terms.batch, *cut.end], [1, *cut.stride]
    sizes = tuple(len(range(b, e, s)) for b, e, s in zip(begin, end, stride, strict=True))
    none = build.constant("int", 0)
    bounds = [build.ints(begin), build.ints(end), build.ints(stride)]
    type_ = TensorType(sizes, build[parts[0]].type.dtype)
    part = build.op("StridedSlice", [parts[0], *bounds, *[none] * 5], type_)
    return int(build.reshape(part, (terms.batch, *node.shape)))


def _slice_grad_linear(terms: Any, node: Node, parts: list[int], index: int) -> int:
    """Every term with zeros around it."""
    cut, build = _cut(terms.view, node), terms.build
    if any(s != 1 for s in cut.stride):
        raise RefusedError("the terms of a strided slice of a parameter are not built; slice it without a stride")
    sizes = [e - b for b, e in zip(cut.begin, cut.end, strict=True)]
    inner = build.reshape(parts[0], (terms.batch, *sizes))
    pads = [(b, size - e) for b, e, size in zip(cut.begin, cut.end, cut.whole, strict=True)]
    return int(terms.pad(inner, [(0, 0), *pads]))


def _split(axis_of: Any, dropped: bool = False) -> Any:
    def rule(view: View, node: Node) -> Privacy:
        source = node.inputs[0]
        if isinstance(view.types[source], Summed):
            return many([Summed() for _ in view.outputs(node)])
        place, rank = view.place(source), len(view.shape(source))
        axis = axis_of(view, node) % rank
        if axis == place.axis:
            raise RefusedError("it splits along the examples")
        shift = int(dropped and axis < place.axis)
        return many([view.at(s, place.axis - shift, place.outer) for s in view.outputs(node)])

    return rule


def _split_linear(axis_of: Any) -> Any:
    """The slice of every term that output ``index`` is."""

    def rule(terms: Any, node: Node, parts: list[int], index: int) -> int:
        build, shape = terms.build, terms.build[parts[0]].shape
        outputs = terms.view.outputs(node)
        axis = axis_of(terms.view, node) % (len(shape) - 1)
        begin, end = [0] * len(shape), list(shape)
        widths = [s[axis] if len(s) == len(shape) - 1 else 1 for s in outputs]
        begin[1 + axis], end[1 + axis] = sum(widths[:index]), sum(widths[: index + 1])
        sizes = tuple(e - b for b, e in zip(begin, end, strict=True))
        none = build.constant("int", 0)
        bounds = [build.ints(begin), build.ints(end), build.ints([1] * len(shape))]
        type_ = TensorType(sizes, build[parts[0]].type.dtype)
        part = build.op("StridedSlice", [parts[0], *bounds, *[none] * 5], type_)
        return int(build.reshape(part, (terms.batch, *outputs[index])))

    return rule


def _at_input(position: int) -> Any:
    return lambda view, node: view.value(node.inputs[position])


def _by_attribute(view: View, node: Node) -> int:
    return int(node.attrs["axis"])


SLICES: dict[str, Operation] = {
    "StridedSlice": Operation(_slice, linear=_slice_linear),
    "StridedSliceGrad": Operation(_slice, linear=_slice_grad_linear, isometric=True),
    "Slice": Operation(_slice, linear=_slice_linear),
    "SliceGrad": Operation(_slice, linear=_slice_grad_linear, isometric=True),
    "Split": Operation(_split(_at_input(1)), linear=_split_linear(_at_input(1))),
    "SplitWithSize": Operation(_split(_at_input(2)), linear=_split_linear(_at_input(2))),
    "Unstack": Operation(_split(_by_attribute, dropped=True), linear=_split_linear(_by_attribute)),
}
