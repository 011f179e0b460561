"""Convolutions and transposed convolutions, two- and three-dimensional (NCHW, NCDHW)."""

from __future__ import annotations

from typing import Any

from mindveil.tools.exporting.call import Call, Translation

__all__ = ["TRANSLATIONS"]


def _conv(call: Call) -> str:
    """``Conv2D(x, weight)``; the attribute ``pad_list`` holds the resolved padding of every mode."""
    _demand_channels_first(call)
    return call.emit("Conv", call.tensor(0), call.tensor(1), **_geometry(call), pads=_pads(call))


def _conv_transpose(call: Call) -> str:
    """``Conv2DTranspose(x, weight, output shape)``; the output's size settles what the strides leave open."""
    _demand_channels_first(call)
    geometry, pads = _geometry(call), _pads(call)
    rank = len(geometry["kernel_shape"])
    missing = []
    for axis in range(rank):
        size, wanted = call.type_of(0).shape[2 + axis], call.result().shape[2 + axis]
        if not isinstance(size, int) or not isinstance(wanted, int):
            call.refuse("its image size depends on the batch size")
        reach = geometry["dilations"][axis] * (geometry["kernel_shape"][axis] - 1) + 1
        made = (size - 1) * geometry["strides"][axis] + reach - pads[axis] - pads[rank + axis]
        missing.append(wanted - made)
    if any(extra < 0 for extra in missing):
        # The kernel reaches further than the output asks for: MindSpore cuts the end off.
        pads = (*pads[:rank], *(pad - min(extra, 0) for pad, extra in zip(pads[rank:], missing, strict=True)))
    padding = tuple(max(extra, 0) for extra in missing)
    return call.emit("ConvTranspose", call.tensor(0), call.tensor(1), **geometry, pads=pads, output_padding=padding)


def _geometry(call: Call) -> dict[str, Any]:
    weight = call.type_of(1).shape
    kernel = tuple(size for size in weight[2:] if isinstance(size, int))
    return {
        "kernel_shape": kernel,
        "strides": _last(call, "stride", "strides", len(kernel)),
        "dilations": _last(call, "dilation", "dilations", len(kernel)),
        "group": int(call.attribute("group", call.attribute("groups", 1))),
    }


def _last(call: Call, name: str, other: str, rank: int) -> tuple[int, ...]:
    value = call.attribute(name, call.attribute(other, 1))
    return tuple(value)[-rank:] if isinstance(value, tuple) else (int(value),) * rank


def _pads(call: Call) -> tuple[int, ...]:
    """MindSpore pairs begin and end of each axis; ONNX wants all begins, then all ends."""
    pairs = call.attribute("pad_list")
    if pairs is None:
        call.refuse("it has no resolved padding (pad_list)")
    return (*pairs[0::2], *pairs[1::2])


def _demand_channels_first(call: Call) -> None:
    layout = call.attribute("format", "NCHW")
    if layout not in ("NCHW", "NCDHW"):
        call.refuse(f"its data format is {layout}, and must be NCHW or NCDHW: build the layer with data_format='NCHW'")


TRANSLATIONS: dict[str, Translation] = {
    "Conv2D": _conv,
    "Conv3D": _conv,
    "Conv2DTranspose": _conv_transpose,
    "Conv2DBackpropInput": _conv_transpose,
}
