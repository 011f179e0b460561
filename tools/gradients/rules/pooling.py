"""Gradients of pooling: to the first maximum of each window, or spread evenly over it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper

from mindveil.tools.gradients.call import Call, Rule
from mindveil.tools.gradients.errors import refuse
from mindveil.tools.gradients.rules.convolution import Window, transposed_padding, window
from mindveil.tools.gradients.rules.reduction import extremum_over

__all__ = ["RULES"]

_LONGEST_LINE = 9  # nodes grow with the window's size; beyond a 3 x 3 window indices are as fast


def max_pool(call: Call) -> list[str | None]:
    """The whole cotangent of a window goes to its first maximum in row-major order.

    The forward node's own ``Indices`` say which element that was, so ties fall exactly as in the forward run.
    """
    if call.attribute("storage_order", 0):
        raise refuse(call.node, "storage_order is 1", "row-major indices (storage_order 0)")
    move = window(call, call.attribute("kernel_shape"))
    line = _whole_line(call, move)
    if line is not None:
        return [_first_of_line(call, line, move.kernel[line - 2])]
    indices = call.need_output(1)
    call.forward.types[indices] = TensorProto.INT64
    counts = call.shape(call.y)[2:]
    apart = all(s >= e or n == 1 for s, e, n in zip(move.strides, move.extent, counts, strict=True))
    # onnxruntime has MaxUnpool for float32 alone, and for windows inside the image; windows that overlap may name
    # one element twice, and must add up.
    if apart and call.dtype(call.x()) == np.float32 and not call.attribute("ceil_mode", 0):
        shape = call.op("Shape", call.x())
        strides = list(move.strides)
        return [call.op("MaxUnpool", call.dy, indices, shape, kernel_shape=list(move.kernel), strides=strides)]
    return [_scatter(call, indices)]


def _whole_line(call: Call, move: Window) -> int | None:
    """The axis that one window covers from end to end, where the window has size 1 along all others; else None.

    An exporter that computes a convolution at each position of a pooling window apart takes the maximum so.
    """
    axes = [index + 2 for index, size in enumerate(move.kernel) if size > 1]
    plain = not any((*move.pads_begin, *move.pads_end)) and len(call.node.output) == 1
    if len(axes) != 1 or not plain or move.kernel[axes[0] - 2] > _LONGEST_LINE:
        return None
    whole = call.shape(call.x())[axes[0]] == move.extent[axes[0] - 2] == move.kernel[axes[0] - 2]
    others = [stride for index, stride in enumerate(move.strides) if index + 2 != axes[0]]
    return axes[0] if whole and all(stride == 1 for stride in others) else None


def _first_of_line(call: Call, axis: int, size: int) -> str:
    """The cotangent at the first element along ``axis`` that equals the maximum; a third of the time of indices."""
    parts = call.split(call.x(), axis, size)
    kind = helper.np_dtype_to_tensor_dtype(call.dtype(call.x()))
    gradients = []
    free = ""  # where no earlier element was the maximum
    for part in parts:
        hit = call.op("Equal", part, call.y)
        first = call.op("And", hit, free) if free else hit
        gradients.append(call.op("Mul", call.dy, call.op("Cast", first, to=kind)))
        free = call.op("And", free, call.op("Not", hit)) if free else call.op("Not", hit)
    return call.op("Concat", *gradients, axis=axis)


def _scatter(call: Call, indices: str) -> str:
    flat = call.integers([-1])
    size = call.op("Reshape", call.op("Size", call.x()), flat)
    zeros = call.op("Expand", call.scalar(0.0), size)
    added = call.op(
        "ScatterElements",
        zeros,
        call.op("Reshape", indices, flat),
        call.op("Reshape", call.dy, flat),
        axis=0,
        reduction="add",
    )
    return call.op("Reshape", added, call.shape_of(call.x()))


def average_pool(call: Call) -> list[str | None]:
    """dy / count, spread over the window: a depthwise ConvTranspose with ones."""
    kernel = [int(item) for item in call.attribute("kernel_shape")]
    move = window(call, kernel)
    (channels,) = call.static(call.x(), [1], "the depthwise kernel")
    return [
        call.op(
            "ConvTranspose",
            call.op("Mul", call.dy, _shares(call, move)),
            call.values(np.ones((channels, 1, *kernel))),
            kernel_shape=kernel,
            strides=list(move.strides),
            dilations=list(move.dilations),
            group=channels,
            **transposed_padding(call, move),
        )
    ]


def _shares(call: Call, move: Window) -> str:
    """1 / (number of elements that each window averages), broadcastable to the cotangent."""
    padded = any(move.pads_begin) or any(move.pads_end) or call.attribute("ceil_mode", 0)
    if not padded:
        return call.scalar(1 / math.prod(move.kernel))
    axes = range(2, 2 + len(move.kernel))
    sizes = call.static(call.x(), axes, "padding")
    counts = call.static(call.y, axes, "padding")
    include = bool(call.attribute("count_include_pad", 0))
    total: NDArray[np.float64] = np.ones(())
    for axis, (size, count) in enumerate(zip(sizes, counts, strict=True)):
        total = np.multiply.outer(total, _taps(move, axis, size, count, include))
    return call.values(1 / total[None, None])


def _taps(move: Window, axis: int, size: int, count: int, include: bool) -> NDArray[np.float64]:
    """How many taps of each window fall on the input along one axis, or on its padding too where that counts."""
    starts = np.arange(count)[:, None] * move.strides[axis] - move.pads_begin[axis]
    taps = starts + np.arange(move.kernel[axis])[None] * move.dilations[axis]
    low, high = (-move.pads_begin[axis], size + move.pads_end[axis]) if include else (0, size)
    result: NDArray[np.float64] = ((taps >= low) & (taps < high)).sum(1).astype(np.float64)
    return result


def global_average_pool(call: Call) -> list[str | None]:
    """dy / (number of positions), at every position."""
    axes = range(2, call.rank(call.x()))
    share = call.op("Mul", call.dy, call.scalar(1 / math.prod(call.static(call.x(), axes, "the mean"))))
    return [call.op("Expand", share, call.op("Shape", call.x()))]


def global_max_pool(call: Call) -> list[str | None]:
    """To the first maximum over all positions."""
    return [extremum_over(call, call.dy, call.y, list(range(2, call.rank(call.x()))))]


RULES: dict[str, Rule] = {
    "MaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "GlobalMaxPool": global_max_pool,
}
