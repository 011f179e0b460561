"""Gradients of Conv and ConvTranspose with respect to their data: each is the other, with the same weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mindveil.tools.gradients.call import Call, Rule
from mindveil.tools.gradients.errors import refuse

__all__ = ["RULES", "Window", "window"]


@dataclass(frozen=True, slots=True)
class Window:
    """How a kernel moves over the spatial axes; every tuple has one entry per axis.

    ``extent`` is the kernel's reach, dilation included; ``pads_end`` may be more than the node says where
    ``ceil_mode`` lets the last window hang over.
    """

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    pads_begin: tuple[int, ...]
    pads_end: tuple[int, ...]

    @property
    def extent(self) -> tuple[int, ...]:
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilations, strict=True))


def window(call: Call, kernel: Sequence[int]) -> Window:
    """The window of a Conv or pooling node, with ``auto_pad`` resolved to numbers."""
    axes = len(kernel)
    strides = tuple(int(item) for item in call.attribute("strides", [1] * axes))
    dilations = tuple(int(item) for item in call.attribute("dilations", [1] * axes))
    pads = tuple(int(item) for item in call.attribute("pads", [0] * 2 * axes))
    mode = call.attribute("auto_pad", "NOTSET")
    plain = Window(tuple(int(item) for item in kernel), strides, dilations, pads[:axes], pads[axes:])
    if mode == "NOTSET":
        return plain
    begin, end = _automatic_pads(call, plain, mode)
    return Window(plain.kernel, strides, dilations, begin, end)


def _automatic_pads(call: Call, plain: Window, mode: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    axes = len(plain.kernel)
    if mode == "VALID":
        return (0,) * axes, (0,) * axes
    size = call.static(call.x(), range(2, 2 + axes), f"auto_pad {mode}")
    total = [max(0, (-(-n // s) - 1) * s + e - n) for n, s, e in zip(size, plain.strides, plain.extent, strict=True)]
    small, large = tuple(t // 2 for t in total), tuple(t - t // 2 for t in total)
    return (small, large) if mode == "SAME_UPPER" else (large, small)


def transposed_padding(call: Call, move: Window) -> dict[str, list[int]]:
    """``pads`` and ``output_padding`` with which ConvTranspose gives back exactly the size of the node's input.

    Rows that no window reached come back as output padding; rows of the last window beyond the input are cut.
    """
    axes = len(move.kernel)
    if all(stride == 1 for stride in move.strides) and not call.attribute("ceil_mode", 0):
        return {"pads": [*move.pads_begin, *move.pads_end], "output_padding": [0] * axes}
    before = call.static(call.x(), range(2, 2 + axes), "strides above 1")
    after = call.static(call.y, range(2, 2 + axes), "strides above 1")
    excess = [
        (out - 1) * stride + extent - begin - size
        for out, stride, extent, begin, size in zip(
            after, move.strides, move.extent, move.pads_begin, before, strict=True
        )
    ]
    return {
        "pads": [*move.pads_begin, *(max(0, item) for item in excess)],
        "output_padding": [max(0, -item) for item in excess],
    }


def _refuse_weights(call: Call) -> None:
    if any(call.active[1:]):
        raise refuse(call.node, "its weights or bias are computed from the graph input", "constant weights")


def conv(call: Call) -> list[str | None]:
    """dx of Conv: ConvTranspose with the same weights, which need no flipped copy."""
    _refuse_weights(call)
    kernel = call.static(call.x(1), range(2, call.rank(call.x(1))), "the kernel")
    move = window(call, kernel)
    return [
        call.op(
            "ConvTranspose",
            call.dy,
            call.x(1),
            kernel_shape=list(kernel),
            strides=list(move.strides),
            dilations=list(move.dilations),
            group=call.attribute("group", 1),
            **transposed_padding(call, move),
        )
    ]


def conv_transpose(call: Call) -> list[str | None]:
    """dx of ConvTranspose: Conv with the same weights, whose pads are the node's."""
    _refuse_weights(call)
    kernel = call.static(call.x(1), range(2, call.rank(call.x(1))), "the kernel")
    axes = len(kernel)
    strides = call.attribute("strides", [1] * axes)
    spare = call.attribute("output_padding", [0] * axes)
    if any(item >= stride for item, stride in zip(spare, strides, strict=True)):
        raise refuse(call.node, f"output_padding is {spare} with strides {strides}", "output_padding below the stride")
    return [
        call.op(
            "Conv",
            call.dy,
            call.x(1),
            kernel_shape=list(kernel),
            strides=list(strides),
            dilations=call.attribute("dilations", [1] * axes),
            group=call.attribute("group", 1),
            pads=_transposed_pads(call, kernel),
        )
    ]


def _transposed_pads(call: Call, kernel: Sequence[int]) -> list[int]:
    """The pads of a ConvTranspose node, which ``output_shape`` and ``auto_pad`` may leave to be computed."""
    axes = len(kernel)
    mode, wanted = call.attribute("auto_pad", "NOTSET"), call.attribute("output_shape")
    if wanted is None and mode in ("NOTSET", "VALID"):
        return [int(item) for item in call.attribute("pads", [0] * 2 * axes)]
    strides = call.attribute("strides", [1] * axes)
    dilations = call.attribute("dilations", [1] * axes)
    spare = call.attribute("output_padding", [0] * axes)
    size = call.static(call.x(), range(2, 2 + axes), "output_shape or auto_pad")
    if wanted is None:
        wanted = [n * s for n, s in zip(size, strides, strict=True)]
    total = [
        max(0, (n - 1) * s + o + d * (k - 1) + 1 - w)
        for n, s, o, d, k, w in zip(size, strides, spare, dilations, kernel, list(wanted)[-axes:], strict=True)
    ]
    small, large = [item // 2 for item in total], [item - item // 2 for item in total]
    return [*small, *large] if mode == "SAME_UPPER" else [*large, *small]


RULES: dict[str, Rule] = {"Conv": conv, "ConvTranspose": conv_transpose}
