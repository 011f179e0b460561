"""Operations that move numbers about: reshape, transpose, join, cut, pad, repeat."""

from __future__ import annotations

from typing import Any

import numpy as np

from mindveil.tools.exporting.call import Call, Translation
from mindveil.tools.exporting.emitter import vector
from mindveil.tools.exporting.source import Batch, Dim

__all__ = ["TRANSLATIONS"]


def _reshape(call: Call) -> str:
    """To the shape of the trace's result, with the batch size left open."""
    return call.emit("Reshape", call.tensor(0), _target(call, call.type_of(0).shape, call.result().shape))


def _target(call: Call, before: tuple[Dim, ...], after: tuple[Dim, ...]) -> str:
    """The shape operand: 0 (copied) or -1 (worked out) stands for a batch-sized dimension where that is enough."""
    wanted: list[Dim] = [
        0 if isinstance(size, Batch) and axis < len(before) and before[axis] == size else size
        for axis, size in enumerate(after)
    ]
    open_axes = [axis for axis, size in enumerate(wanted) if isinstance(size, Batch)]
    if len(open_axes) == 1 and all(size != 0 or isinstance(after[axis], Batch) for axis, size in enumerate(wanted)):
        wanted[open_axes[0]] = -1
    elif len(open_axes) > 1:
        wanted = list(after)
    return call.sizes(wanted)


def _flatten(call: Call) -> str:
    return call.emit("Flatten", call.tensor(0), axis=1)


def _transpose(call: Call) -> str:
    rank = len(call.type_of(0).shape)
    return call.emit("Transpose", call.tensor(0), perm=tuple(axis % rank for axis in call.constant(1)))


def _expand_dims(call: Call) -> str:
    axis = call.constant(1)
    return call.emit("Unsqueeze", call.tensor(0), call.array(vector([axis]), "axes"))


def _squeeze(call: Call) -> str:
    axes = call.constant(1) if call.has_constant(1) else call.attribute("axis", ())
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    axes = axes or tuple(axis for axis, size in enumerate(call.type_of(0).shape) if size == 1)
    return call.emit("Squeeze", call.tensor(0), call.array(vector(axes), "axes"))


def _concat(call: Call) -> str:
    return call.emit("Concat", *call.tensors(0), axis=int(call.constant(1)))


def _stack(call: Call) -> str:
    axis = int(call.attribute("axis", 0))
    axes = call.array(vector([axis]), "axes")
    return call.emit("Concat", *(call.emit("Unsqueeze", value, axes) for value in call.tensors(0)), axis=axis)


def _unstack(call: Call) -> list[str]:
    axis, count = int(call.attribute("axis", 0)), len(call.operation.results)
    parts = call.emit_many("Split", [call.tensor(0)], count, {"axis": axis, "num_outputs": count})
    axes = call.array(vector([axis]), "axes")
    return [call.emit("Squeeze", part, axes) for part in parts]


def _split(call: Call) -> list[str]:
    """``Split(x, axis, parts)`` and ``SplitWithSize(x, sizes, axis)``: the parts' sizes are read off the results."""
    axis = _split_axis(call)
    sizes = [result.shape[axis] for result in call.operation.results]
    return call.emit_many("Split", [call.tensor(0), call.sizes(sizes, "sizes")], len(sizes), {"axis": axis})


def _split_axis(call: Call) -> int:
    rank = len(call.type_of(0).shape)
    index = 1 if call.operation.op == "Split" else 2
    axis = call.constant(index) if call.has_constant(index) else call.attribute("axis", 0)
    return int(axis) % rank


def _strided_slice(call: Call) -> str:
    """``StridedSlice(x, begin, end, strides, begin mask, end mask, ellipsis mask, new-axis mask, shrink mask)``."""
    begins, ends, strides = call.constant(1), call.constant(2), call.constant(3)
    begin_mask, end_mask, ellipsis, new_axis, shrink = (int(call.constant(index)) for index in range(4, 9))
    if ellipsis or new_axis:
        call.refuse("it uses `...` or None together with a slice in one index; split the index in two")
    cut: list[tuple[int, Any, Any, int]] = []
    for axis, stride in enumerate(strides):
        bit = 1 << axis
        if shrink & bit:
            cut.append((axis, begins[axis], begins[axis] + 1 if begins[axis] != -1 else None, 1))
            continue
        start = None if begin_mask & bit else begins[axis]
        stop = None if end_mask & bit else ends[axis]
        if not (_is_whole(call, axis, start, stop) and stride == 1):
            cut.append((axis, start, stop, stride))
    value = _slice(call, cut) if cut else call.tensor(0)
    squeezed = [axis for axis in range(len(strides)) if shrink & (1 << axis)]
    if squeezed:
        return call.emit("Squeeze", value, call.array(vector(squeezed), "axes"))
    return value if cut else call.emit("Identity", value)


def _is_whole(call: Call, axis: int, start: Any, stop: Any) -> bool:
    size = call.type_of(0).shape[axis]
    if start not in (None, 0):
        return False
    return stop is None or stop == size or (isinstance(stop, int) and isinstance(size, int) and stop >= size)


def _slice(call: Call, cut: list[tuple[int, Any, Any, int]]) -> str:
    far = np.iinfo(np.int64).max
    starts = [(0 if step > 0 else far) if start is None else start for _, start, _, step in cut]
    stops = [(far if step > 0 else -far) if stop is None else stop for _, _, stop, step in cut]
    return call.emit(
        "Slice",
        call.tensor(0),
        call.sizes(starts, "starts"),
        call.sizes(stops, "ends"),
        call.array(vector([axis for axis, *_ in cut]), "axes"),
        call.array(vector([step for *_, step in cut]), "steps"),
    )


def _slice_by_size(call: Call) -> str:
    """``Slice(x, begin, size)``."""
    begins, sizes = call.constant(1), call.result().shape
    cut: list[tuple[int, Any, Any, int]] = []
    for axis, (begin, size) in enumerate(zip(begins, sizes, strict=True)):
        if _is_whole(call, axis, begin, size):
            continue
        if not isinstance(begin, int) or not isinstance(size, int):
            call.refuse("it cuts rows out of the batch")
        cut.append((axis, begin, begin + size, 1))
    return _slice(call, cut) if cut else call.emit("Identity", call.tensor(0))


def _pad_v3(call: Call) -> str:
    """``PadV3(x, paddings, value)``; paddings name the last axis first, begin and end side by side."""
    mode = call.attribute("mode", "constant")
    modes = {"constant": "constant", "reflect": "reflect", "edge": "edge", "circular": "wrap"}
    if mode not in modes or not call.attribute("paddings_contiguous", True):
        call.refuse(f"its mode is {mode!r}; export knows {', '.join(modes)}")
    flat = [int(size) for size in np.asarray(call.constant(1)).reshape(-1)]
    pairs = list(zip(flat[0::2], flat[1::2], strict=True))
    rank = len(call.type_of(0).shape)
    pairs = [(0, 0)] * (rank - len(pairs)) + pairs[::-1]
    inputs = [call.tensor(0), call.array(vector([a for a, _ in pairs] + [b for _, b in pairs]), "pads")]
    if modes[mode] == "constant" and len(call.operands) > 2:
        fill = call.constant(2)
        inputs.append(call.floats(0.0 if fill is None else float(fill), call.result().dtype))
    return call.emit("Pad", *inputs, mode=modes[mode])


def _pad(call: Call) -> str:
    """``Pad(x, ((begin, end), ...))`` with zeros."""
    pairs = call.constant(1) if call.has_constant(1) else call.attribute("paddings")
    pads = [int(begin) for begin, _ in pairs] + [int(end) for _, end in pairs]
    return call.emit("Pad", call.tensor(0), call.array(vector(pads), "pads"))


def _tile(call: Call) -> str:
    repeats = tuple(call.constant(1))
    rank = len(call.type_of(0).shape)
    value = call.tensor(0)
    if len(repeats) > rank:
        value = call.emit("Reshape", value, call.sizes([1] * (len(repeats) - rank) + list(call.type_of(0).shape)))
    return call.emit("Tile", value, call.sizes([1] * (rank - len(repeats)) + list(repeats), "repeats"))


def _broadcast_to(call: Call) -> str:
    return call.emit("Expand", call.tensor(0), call.sizes(call.result().shape))


def _fill(call: Call) -> str:
    """``FillV2(shape, value)``."""
    value = call.tensor(1, call.result().dtype)
    return call.emit("Expand", value, call.sizes(call.result().shape))


def _reverse(call: Call) -> str:
    axes = call.constant(1) if call.has_constant(1) else call.attribute("axis", ())
    rank = len(call.type_of(0).shape)
    return _slice(call, [(int(axis) % rank, None, None, -1) for axis in axes])


def _identity(call: Call) -> str:
    return call.emit("Identity", call.tensor(0))


TRANSLATIONS: dict[str, Translation] = {
    "Reshape": _reshape,
    "View": _reshape,
    "Flatten": _flatten,
    "FlattenExt": _reshape,
    "Transpose": _transpose,
    "ExpandDims": _expand_dims,
    "Squeeze": _squeeze,
    "Concat": _concat,
    "Stack": _stack,
    "Unstack": _unstack,
    "Split": _split,
    "SplitWithSize": _split,
    "StridedSlice": _strided_slice,
    "Slice": _slice_by_size,
    "PadV3": _pad_v3,
    "Pad": _pad,
    "Tile": _tile,
    "BroadcastTo": _broadcast_to,
    "FillV2": _fill,
    "ReverseV2": _reverse,
    "Identity": _identity,
    "StopGradient": _identity,
}
