"""Checks of image arrays, the same for every attack and metric."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_images", "check_labels", "check_pair"]


def check_images(images: NDArray[Any], what: str) -> None:
    """Accept a non-empty finite array (N, C, H, W).

    Raises:
        ValueError: the array is something else.
    """
    if not isinstance(images, np.ndarray) or images.ndim != 4 or not len(images):
        got = images.shape if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"{what} is {got}, and must be an array (N, C, H, W) with N at least 1")
    if not np.isfinite(images).all():
        raise ValueError(f"{what} holds values that are not finite; check the model or the attack that made them")


def check_pair(originals: NDArray[Any], reconstructions: NDArray[Any]) -> None:
    """Accept two image arrays of one shape.

    Raises:
        ValueError: one is no image array, or the shapes differ.
    """
    check_images(originals, "originals")
    check_images(reconstructions, "reconstructions")
    if originals.shape != reconstructions.shape:
        raise ValueError(f"originals are {originals.shape} and reconstructions {reconstructions.shape}; wanted: equal")


def check_labels(labels: NDArray[Any], count: int) -> NDArray[np.int64]:
    """The labels as int64, one per image.

    Raises:
        ValueError: they are not whole numbers, or not ``count`` of them.
    """
    array = np.asarray(labels).reshape(-1)
    if array.size != count:
        raise ValueError(f"there are {array.size} labels for {count} images; wanted: one each")
    whole = array.astype(np.int64)
    if not np.array_equal(whole, array):
        raise ValueError("labels must be whole numbers, the index of each image's class")
    return whole
