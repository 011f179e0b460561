"""Gradients of operators that move elements and compute nothing: the cotangent moves back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mindveil.tools.gradients.broadcast import sum_to
from mindveil.tools.gradients.call import Call, Rule
from mindveil.tools.gradients.errors import refuse

__all__ = ["RULES"]

_PAD_MODES: dict[str, Literal["reflect", "edge", "wrap"]] = {"reflect": "reflect", "edge": "edge", "wrap": "wrap"}


def identity(call: Call) -> list[str | None]:
    """Identity, and Dropout outside training."""
    return [call.dy]


def dropout(call: Call) -> list[str | None]:
    """As Identity; training mode is refused because the mask would be drawn twice."""
    mode = call.constant(2)
    if call.x(2) and (mode is None or bool(mode.item())):
        raise refuse(call.node, "training_mode is on or not constant", "inference mode")
    return identity(call)


def cast(call: Call) -> list[str | None]:
    """Cast and CastLike: the cotangent in the input's type."""
    return [call.op("CastLike", call.dy, call.x())]


def reshape(call: Call) -> list[str | None]:
    """Reshape, Flatten, Squeeze, Unsqueeze: the same elements in the input's shape."""
    return [call.op("Reshape", call.dy, call.shape_of(call.x()))]


def transpose(call: Call) -> list[str | None]:
    """The inverse permutation."""
    rank = call.rank(call.x())
    order = [int(axis) for axis in call.attribute("perm", list(range(rank))[::-1])]
    return [call.op("Transpose", call.dy, perm=[order.index(axis) for axis in range(rank)])]


def expand(call: Call) -> list[str | None]:
    """The sum over the repeated axes."""
    return [sum_to(call, call.dy, call.x(), call.y)]


def concat(call: Call) -> list[str | None]:
    """Each input's own part of the cotangent."""
    axis = int(call.attribute("axis"))
    gradients: list[str | None] = []
    start = 0
    for name, wanted in zip(call.node.input, call.active, strict=True):
        (size,) = call.static(name, [axis], "Concat")
        cut = [call.integers([item]) for item in (start, start + size, axis)]
        gradients.append(call.op("Slice", call.dy, *cut) if wanted else None)
        start += size
    return gradients


def split(call: Call) -> list[str | None]:
    """The parts' cotangents side by side, with zeros where a part is not used further on."""
    axis = int(call.attribute("axis", 0))
    parts = [
        call.op("Mul", output, call.scalar(0.0)) if cotangent is None else cotangent
        for output, cotangent in zip(call.node.output, call.cotangents, strict=True)
    ]
    return [call.op("Concat", *parts, axis=axis)]


def slice_(call: Call) -> list[str | None]:
    """Zeros around the cotangent; with steps other than 1, its elements set into zeros one index at a time."""
    dims = call.shape(call.x())
    gradient = call.dy
    sizes = list(dims)
    before, after = [0] * len(dims), [0] * len(dims)
    for axis, start, end, step in _cuts(call):
        (size,) = call.static(call.x(), [axis], "Slice")
        taken = range(size)[slice(start, None if end < -size and step < 0 else end, step)]
        if step == 1:
            before[axis], after[axis] = taken.start, size - taken.start - len(taken)
        else:
            gradient = _place(call, gradient, axis, np.arange(size)[taken.start :: step][: len(taken)], size)
        sizes[axis] = size
    if any(before) or any(after):
        gradient = call.op("Pad", gradient, call.integers([*before, *after]))
    return [gradient]


def _cuts(call: Call) -> list[tuple[int, int, int, int]]:
    """(axis, start, end, step) of every axis that the node cuts."""
    starts = call.required_constant(1, "starts").reshape(-1)
    ends = call.required_constant(2, "ends").reshape(-1)
    axes = call.required_constant(3, "axes").reshape(-1) if call.x(3) else np.arange(len(starts))
    steps = call.required_constant(4, "steps").reshape(-1) if call.x(4) else np.ones(len(starts), np.int64)
    rank = call.rank(call.x())
    return [
        (int(axis) % rank, int(start), int(end), int(step))
        for axis, start, end, step in zip(axes, starts, ends, steps, strict=True)
    ]


def _place(call: Call, gradient: str, axis: int, indices: NDArray[np.int64], size: int) -> str:
    """``gradient`` added into zeros of ``size`` along ``axis``; entry i goes to ``indices[i]``, repeats add up."""
    selection = np.zeros((size, indices.size))
    selection[indices.reshape(-1), np.arange(indices.size)] = 1.0
    rank = call.rank(call.x())
    order = [item for item in range(rank) if item != axis] + [axis]
    moved = call.op("Transpose", gradient, perm=order)
    placed = call.op("MatMul", moved, call.values(selection.T))  # a product with 0 and 1 is exact for finite values
    return call.op("Transpose", placed, perm=[order.index(item) for item in range(rank)])


def gather(call: Call) -> list[str | None]:
    """Each row of the cotangent, added to the row that it was read from."""
    if call.active[1]:
        raise refuse(call.node, "its indices take a gradient", "integer indices")
    axis = int(call.attribute("axis", 0)) % call.rank(call.x())
    indices = call.required_constant(1, "indices")
    (size,) = call.static(call.x(), [axis], "Gather")
    gradient = call.dy
    if indices.ndim == 0:
        gradient = call.op("Unsqueeze", gradient, call.integers([axis]))
    elif indices.ndim > 1:
        gradient = _merge_axes(call, gradient, axis, indices.ndim)
    return [_place(call, gradient, axis, indices.reshape(-1) % size, size)]


def _merge_axes(call: Call, value: str, axis: int, count: int) -> str:
    """``value`` with ``count`` axes from ``axis`` on made into one."""
    shape = call.op("Shape", value)
    head = call.op("Slice", shape, call.integers([0]), call.integers([axis]))
    tail = call.op("Slice", shape, call.integers([axis + count]), call.integers([np.iinfo(np.int64).max]))
    return call.op("Reshape", value, call.op("Concat", head, call.integers([-1]), tail, axis=0))


def pad(call: Call) -> list[str | None]:
    """The part of the cotangent that the padding surrounds; copies of elements add to the element copied."""
    mode = call.attribute("mode", "constant")
    gradient = call.dy
    zeros = [0] * (2 * call.rank(call.x()))
    for axis, before, after in _pads(call):
        if mode != "constant":
            (size,) = call.static(call.x(), [axis], f"padding of mode {mode}")
            sources = np.pad(np.arange(size), (max(before, 0), max(after, 0)), mode=_PAD_MODES[mode])
            sources = sources[max(-before, 0) : len(sources) - max(-after, 0)]
            gradient = _place(call, gradient, axis, sources, size)
            continue
        if before > 0 or after > 0:
            bounds = (max(before, 0), -after if after > 0 else np.iinfo(np.int64).max, axis)
            gradient = call.op("Slice", gradient, *(call.integers([item]) for item in bounds))
        zeros[axis], zeros[len(zeros) // 2 + axis] = max(-before, 0), max(-after, 0)
    return [call.op("Pad", gradient, call.integers(zeros)) if any(zeros) else gradient]


def _pads(call: Call) -> list[tuple[int, int, int]]:
    """(axis, before, after) of every axis that the node pads, or cuts where a number is negative."""
    rank = call.rank(call.x())
    pads = [int(item) for item in call.required_constant(1, "pads").reshape(-1)]
    axes = list(range(rank))
    if call.x(3):
        axes = [int(item) % rank for item in call.required_constant(3, "axes").reshape(-1)]
    found = [(axis, pads[place], pads[len(axes) + place]) for place, axis in enumerate(axes)]
    return [item for item in found if item[1] or item[2]]


def tile(call: Call) -> list[str | None]:
    """The sum over the copies."""
    repeats = [int(item) for item in call.required_constant(1, "repeats").reshape(-1)]
    gradient = call.dy
    for axis, count in enumerate(repeats):
        if count == 1:
            continue
        (size,) = call.static(call.x(), [axis], "Tile")
        gradient = _sum_copies(call, gradient, axis, count, size)
    return [gradient]


def _sum_copies(call: Call, value: str, axis: int, count: int, size: int) -> str:
    parts = [
        call.op("Slice", value, *(call.integers([item]) for item in (copy * size, (copy + 1) * size, axis)))
        for copy in range(count)
    ]
    return call.op("Sum", *parts)


def _inverse(operator: str) -> Rule:
    def rule(call: Call) -> Sequence[str | None]:
        if call.attribute("mode", "DCR") != "DCR":
            raise refuse(call.node, f"mode is {call.attribute('mode')!r}", "mode 'DCR'")
        return [call.op(operator, call.dy, blocksize=call.attribute("blocksize"))]

    return rule


RULES: dict[str, Rule] = {
    "Identity": identity,
    "Dropout": dropout,
    "Cast": cast,
    "CastLike": cast,
    "Reshape": reshape,
    "Flatten": reshape,
    "Squeeze": reshape,
    "Unsqueeze": reshape,
    "Transpose": transpose,
    "Expand": expand,
    "Concat": concat,
    "Split": split,
    "Slice": slice_,
    "Gather": gather,
    "Pad": pad,
    "Tile": tile,
    "DepthToSpace": _inverse("SpaceToDepth"),
    "SpaceToDepth": _inverse("DepthToSpace"),
}
