"""Pooling: maximum and average, fixed windows and adaptive ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from mindveil.tools.exporting.call import Call, Translation
from mindveil.tools.exporting.emitter import vector
from mindveil.tools.onnx_passes.graph import Array

__all__ = ["TRANSLATIONS"]

SAME = (1, "same", "SAME")
VALID = (2, "valid", "VALID")


def _max_pool(call: Call) -> str:
    """``MaxPool(x)`` with attributes ``kernel_size``, ``strides`` and ``pad_mode``; padding never wins."""
    kernel, strides = _window(call.attribute("kernel_size")), _window(call.attribute("strides"))
    pads = _pads(call, kernel, strides, call.attribute("pad_mode"))
    return call.emit("MaxPool", call.tensor(0), kernel_shape=kernel, strides=strides, pads=pads)


def _average_pool(call: Call) -> str:
    """``AvgPool(x, kernel, strides, pad mode, format)``; padding is not counted."""
    kernel, strides = _window(call.constant(1)), _window(call.constant(2))
    pads = _pads(call, kernel, strides, call.constant(3))
    return call.emit("AveragePool", call.tensor(0), kernel_shape=kernel, strides=strides, pads=pads)


def _max_pool_padded(call: Call) -> list[str]:
    """``MaxPool3DWithArgmax``, which MindSpore also runs for padded two-dimensional pools; the indices are not kept."""
    if call.attribute("format", "NCDHW") != "NCDHW":
        call.refuse("its data format is not NCDHW")
    pads = call.attribute("pads")
    value = call.emit(
        "MaxPool",
        call.tensor(0),
        kernel_shape=call.attribute("ksize"),
        strides=call.attribute("strides"),
        dilations=call.attribute("dilation"),
        pads=(*pads, *pads),
        ceil_mode=int(call.attribute("ceil_mode")),
    )
    return [value]


def _average_pool_3d(call: Call) -> str:
    """``AvgPool3D``, which MindSpore also runs for padded two-dimensional pools."""
    if call.attribute("divisor_override", 0):
        call.refuse("it divides by a number of its own (divisor_override)")
    return call.emit(
        "AveragePool", call.tensor(0), **_volume(call), count_include_pad=int(bool(call.attribute("count_include_pad")))
    )


def _max_pool_3d(call: Call) -> str:
    return call.emit("MaxPool", call.tensor(0), **_volume(call))


def _volume(call: Call) -> dict[str, Any]:
    pairs = call.attribute("pad_list")
    return {
        "kernel_shape": tuple(call.attribute("kernel_size"))[-3:],
        "strides": tuple(call.attribute("strides"))[-3:],
        "pads": (*pairs[0::2], *pairs[1::2]),
        "ceil_mode": int(bool(call.attribute("ceil_mode", False))),
    }


def _adaptive_average(call: Call) -> str:
    """Windows that follow from the output's size; where they differ, the mean is a product with two matrices."""
    sizes, wanted = _image(call)
    if wanted == (1, 1):
        return call.emit("ReduceMean", call.tensor(0), _image_axes(call), keepdims=1)
    if all(size % want == 0 for size, want in zip(sizes, wanted, strict=True)):
        kernel = tuple(size // want for size, want in zip(sizes, wanted, strict=True))
        return call.emit("AveragePool", call.tensor(0), kernel_shape=kernel, strides=kernel)
    kind = call.result().dtype
    rows, columns = (_window_means(size, want).astype(kind) for size, want in zip(sizes, wanted, strict=True))
    across = call.emit("MatMul", call.tensor(0), call.array(np.ascontiguousarray(columns.T), "columns"))
    return call.emit("MatMul", call.array(rows, "rows"), across)


def _adaptive_max(call: Call) -> list[str]:
    """The place of each maximum, MindSpore's second result, is not kept."""
    sizes, wanted = _image(call)
    if wanted == (1, 1):
        return [call.emit("ReduceMax", call.tensor(0), _image_axes(call), keepdims=1)]
    if any(size % want for size, want in zip(sizes, wanted, strict=True)):
        call.refuse(f"an image of {sizes} does not divide into {wanted} equal windows")
    kernel = tuple(size // want for size, want in zip(sizes, wanted, strict=True))
    return [call.emit("MaxPool", call.tensor(0), kernel_shape=kernel, strides=kernel)]


def _image(call: Call) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Height and width before and after."""
    before, after = call.type_of(0).shape[-2:], call.result().shape[-2:]
    sizes = tuple(size for size in before if isinstance(size, int))
    wanted = tuple(size for size in after if isinstance(size, int))
    if len(sizes) < 2 or len(wanted) < 2:
        call.refuse("its image size depends on the batch size")
    return sizes, wanted


def _image_axes(call: Call) -> str:
    rank = len(call.type_of(0).shape)
    return call.array(vector([rank - 2, rank - 1]), "axes")


def _window_means(size: int, wanted: int) -> Array:
    """A matrix (wanted, size) whose row k averages positions floor(k*size/wanted) to ceil((k+1)*size/wanted)."""
    matrix = np.zeros((wanted, size))
    for row in range(wanted):
        start, stop = row * size // wanted, -(-(row + 1) * size // wanted)
        matrix[row, start:stop] = 1 / (stop - start)
    return matrix


def _window(value: int | tuple[int, ...]) -> tuple[int, int]:
    """Height and width, from a number, (h, w) or (1, 1, h, w)."""
    if isinstance(value, int):
        return (value, value)
    if len(value) == 1:
        return (value[0], value[0])
    return (value[-2], value[-1])


def _pads(call: Call, kernel: tuple[int, int], strides: tuple[int, int], mode: int | str) -> tuple[int, ...]:
    if mode in VALID:
        return (0, 0, 0, 0)
    if mode not in SAME:
        call.refuse(f"its pad_mode is {mode!r}, and must be same or valid")
    begins, ends = [], []
    for axis in (0, 1):
        size = call.type_of(0).shape[2 + axis]
        if not isinstance(size, int):
            call.refuse("its image size depends on the batch size")
        total = max((-(-size // strides[axis]) - 1) * strides[axis] + kernel[axis] - size, 0)
        begins.append(total // 2)
        ends.append(total - total // 2)
    return (*begins, *ends)


TRANSLATIONS: dict[str, Translation] = {
    "MaxPool": _max_pool,
    "AvgPool": _average_pool,
    "MaxPool3D": _max_pool_3d,
    "AvgPool3D": _average_pool_3d,
    "MaxPool3DWithArgmax": _max_pool_padded,
    "AdaptiveAvgPool2D": _adaptive_average,
    "AdaptiveMaxPool2D": _adaptive_max,
}
