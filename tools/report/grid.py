"""The picture of reconstructions: originals on top, one row below for every model, the first targets, none chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindveil.tools.report.style import INK, figure, to_png

__all__ = ["reconstruction_grid"]


def reconstruction_grid(
    originals: NDArray[Any], rows: Mapping[str, NDArray[Any]], *, title: str, columns: int = 10
) -> bytes:
    """PNG bytes of the first ``columns`` targets.

    Args:
        originals: (N, C, H, W) in [0, 1], C 1 or 3.
        rows: label to images (N, C, H, W), in the order of the rows; values outside [0, 1] are cut.

    Raises:
        ValueError: a row has another shape than the originals.
    """
    for label, images in rows.items():
        if images.shape != originals.shape:
            raise ValueError(f"row {label!r} is {images.shape}, originals are {originals.shape}; wanted: equal")
    count = min(columns, len(originals))
    everything = {"Original": originals, **rows}
    mosaic, centres = _mosaic([images[:count] for images in everything.values()])
    with figure(1.5 + 0.78 * count, 0.45 + 0.78 * len(everything)) as drawn:
        axes = drawn.subplots()
        axes.imshow(mosaic, interpolation="nearest")
        axes.set_title(title, pad=8)
        axes.set_xticks([])
        axes.set_yticks(centres, list(everything), fontsize=10, color=INK)
        axes.tick_params(length=0, pad=6)
        axes.spines[:].set_visible(False)
        return to_png(drawn)


def _mosaic(rows: Sequence[NDArray[Any]]) -> tuple[NDArray[np.float64], list[float]]:
    """All images on one white sheet (height, width, 3), and the height of each row's middle.

    One sheet instead of one panel an image: a hundred panels take matplotlib seconds.
    """
    count, height, width = len(rows[0]), *rows[0].shape[2:]
    gap = max(2, height // 12)
    sheet = np.ones((len(rows) * (height + gap) - gap, count * (width + gap) - gap, 3))
    centres = []
    for row, images in enumerate(rows):
        top = row * (height + gap)
        centres.append(top + (height - 1) / 2)
        for column, image in enumerate(images):
            left = column * (width + gap)
            sheet[top : top + height, left : left + width] = _pixels(image)
    return sheet, centres


def _pixels(image: NDArray[Any]) -> NDArray[np.float64]:
    """(C, H, W) as (H, W, 3), or (H, W, 1) for grey; values outside [0, 1] are cut."""
    clipped = np.clip(np.asarray(image, np.float64), 0, 1)
    return np.moveaxis(clipped[:3] if len(clipped) >= 3 else clipped[:1], 0, -1)
