"""Pooling: maximum and average, fixed windows and adaptive ones."""

from __future__ import annotations

from mindveil.tools.exporting.call import Call, Translation
from mindveil.tools.exporting.emitter import vector

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


def _adaptive(call: Call, pool: str, reduce: str) -> str:
    """A pool whose windows follow from the output size; ONNX has it where the windows are all equal."""
    sizes, wanted = call.type_of(0).shape[-2:], call.result().shape[-2:]
    rank = len(call.type_of(0).shape)
    if wanted == (1, 1):
        axes = call.array(vector([rank - 2, rank - 1]), "axes")
        return call.emit(reduce, call.tensor(0), axes, keepdims=1)
    if any(not isinstance(size, int) or not isinstance(want, int) for size, want in zip(sizes, wanted, strict=True)):
        call.refuse("its image size depends on the batch size")
    steps = [(int(str(size)), int(str(want))) for size, want in zip(sizes, wanted, strict=True)]
    if any(size % want for size, want in steps):
        call.refuse(f"image {steps[0][0]}x{steps[1][0]} does not divide into {steps[0][1]}x{steps[1][1]} equal windows")
    kernel = tuple(size // want for size, want in steps)
    return call.emit(pool, call.tensor(0), kernel_shape=kernel, strides=kernel)


def _adaptive_average(call: Call) -> str:
    return _adaptive(call, "AveragePool", "ReduceMean")


def _adaptive_max(call: Call) -> list[str]:
    return [_adaptive(call, "MaxPool", "ReduceMax")]


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
    "MaxPool3DWithArgmax": _max_pool_padded,
    "AdaptiveAvgPool2D": _adaptive_average,
    "AdaptiveMaxPool2D": _adaptive_max,
}
