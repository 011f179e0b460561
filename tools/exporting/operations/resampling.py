"""Images at another resolution, and channels in another order."""

from __future__ import annotations

import numpy as np

from mindveil.tools.exporting.call import Call, Translation
from mindveil.tools.exporting.emitter import vector
from mindveil.tools.exporting.source import Dim

__all__ = ["TRANSLATIONS"]


def _resize(mode: str) -> Translation:
    """``Resize*(x, (height, width), align corners, half-pixel centres)``."""

    def translate(call: Call) -> str:
        align, half = (bool(call.constant(index)) for index in (2, 3))
        where = "align_corners" if align else "half_pixel" if half else "asymmetric"
        sizes = call.array(vector([int(size) for size in call.constant(1)]), "sizes")
        attributes = {"mode": mode, "coordinate_transformation_mode": where, "axes": (2, 3)}
        if mode == "nearest":
            attributes["nearest_mode"] = "round_prefer_ceil" if align else "floor"
        return call.emit("Resize", call.tensor(0), "", "", sizes, **attributes)

    return translate


def _channel_shuffle(call: Call) -> str:
    """Channels dealt out to ``group`` piles, and the piles interleaved."""
    groups, shape = int(call.attribute("group")), call.type_of(0).shape
    channels, image = shape[1], shape[2:]
    if not isinstance(channels, int):
        call.refuse("its number of channels depends on the batch size")
    piles: list[Dim] = [0, groups, channels // groups, *image]
    value = call.emit("Reshape", call.tensor(0), call.sizes(piles))
    order = (0, 2, 1, *range(3, len(piles)))
    back: list[Dim] = [0, channels, *image]
    return call.emit("Reshape", call.emit("Transpose", value, perm=order), call.sizes(back))


def _local_response(call: Call) -> str:
    """``x / (bias + alpha * sum of squares of near channels) ^ beta``; ONNX divides alpha by their number."""
    width = 2 * int(call.attribute("depth_radius")) + 1
    return call.emit(
        "LRN",
        call.tensor(0),
        size=width,
        alpha=float(call.attribute("alpha")) * width,
        beta=float(call.attribute("beta")),
        bias=float(call.attribute("bias")),
    )


def _triangle(upper: int) -> Translation:
    def translate(call: Call) -> str:
        diagonal = call.constant(1) if call.has_constant(1) else call.attribute("diagonal", 0)
        place = call.array(np.array(int(diagonal), np.int64), "diagonal")
        return call.emit("Trilu", call.tensor(0), place, upper=upper)

    return translate


TRANSLATIONS: dict[str, Translation] = {
    "ResizeNearestNeighborV2": _resize("nearest"),
    "ResizeBilinearV2": _resize("linear"),
    "ChannelShuffle": _channel_shuffle,
    "LRN": _local_response,
    "Tril": _triangle(0),
    "Triu": _triangle(1),
}
