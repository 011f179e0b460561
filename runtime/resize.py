"""Bilinear resizing of image batches, with the geometry that MindSpore's and OpenCV's ``Resize`` have."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["resize_bilinear"]

FloatArray = npt.NDArray[np.float32]
CHUNK = 1024  # images at a time, so that the temporary arrays of a large data set stay small


def resize_bilinear(images: npt.NDArray[Any], height: int, width: int) -> FloatArray:
    """Images ``(..., h, w)`` resized to ``(..., height, width)`` float32, in the units of the input.

    The centres of the pixels of both images are aligned (half-pixel centres), the border is repeated, and shrinking
    does not blur. For float input this is what ``mindspore.dataset.vision.Resize(size, Inter.LINEAR)`` computes; for
    bytes MindSpore rounds each pixel down to a whole byte, here nothing is rounded.

    >>> resize_bilinear(np.array([[0.0, 4.0]]), 1, 4)
    array([[0., 1., 3., 4.]], dtype=float32)

    Raises:
        ValueError: a size is not positive, or the images have no pixels.
    """
    if height <= 0 or width <= 0:
        raise ValueError(f"the size is {height} x {width}, and must be positive")
    if images.ndim < 2 or 0 in images.shape[-2:]:
        raise ValueError(f"the images have shape {images.shape}, and must end in a height and a width above 0")
    old_height, old_width = images.shape[-2:]
    if (old_height, old_width) == (height, width):
        return images.astype(np.float32)
    rows, columns = _weights(old_height, height), _weights(old_width, width).T
    flat = images.reshape(-1, old_height, old_width)
    resized = np.empty((len(flat), height, width), np.float32)
    for start in range(0, len(flat), CHUNK):
        # float64, so that whole-numbered pixels give the same bits on every machine whatever the order of summation.
        resized[start : start + CHUNK] = rows @ flat[start : start + CHUNK].astype(np.float64) @ columns
    return resized.reshape(*images.shape[:-2], height, width)


def _weights(old: int, new: int) -> npt.NDArray[np.float64]:
    """Matrix ``(new, old)`` whose row says how much of each old pixel goes into a new one."""
    centres = np.clip((np.arange(new) + 0.5) * old / new - 0.5, 0, old - 1)
    left = np.minimum(centres.astype(np.intp), max(old - 2, 0))
    right = np.minimum(left + 1, old - 1)
    weights = np.zeros((new, old))
    weights[np.arange(new), left] = 1 - (centres - left)
    weights[np.arange(new), right] += centres - left
    return weights
