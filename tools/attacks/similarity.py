"""How close reconstructed images are to their originals: relative L2 distance and structural similarity."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mindveil.tools.attacks.images import check_pair

__all__ = ["SSIM_WINDOW", "SsimVariant", "relative_l2", "ssim"]

Floats = NDArray[np.float64]
SsimVariant = Literal["standard", "range2"]
SSIM_WINDOW = 7
_DATA_RANGE: dict[str, float] = {"standard": 1.0, "range2": 2.0}


def relative_l2(originals: NDArray[Any], reconstructions: NDArray[Any]) -> Floats:
    """``||x - y|| / (||x|| + 1e-14)`` of each pair, shape (N,); 0 is exact, and a black image has 1 always.

    Args:
        originals, reconstructions: (N, C, H, W), same scale.

    >>> image = np.full((1, 1, 8, 8), 0.5)
    >>> [round(relative_l2(image, factor * image).item(), 6) for factor in (1, 0, 0.5)]
    [0.0, 1.0, 0.5]
    """
    check_pair(originals, reconstructions)
    x = originals.reshape(len(originals), -1).astype(np.float64)
    y = reconstructions.reshape(len(x), -1).astype(np.float64)
    result: Floats = np.linalg.norm(x - y, axis=1) / (np.linalg.norm(x, axis=1) + 1e-14)
    return result


def ssim(originals: NDArray[Any], reconstructions: NDArray[Any], *, variant: SsimVariant = "standard") -> Floats:
    """Structural similarity of each pair, shape (N,); 1 is exact.

    A uniform 7x7 window, sample covariance (division by 48), K1 = 0.01, K2 = 0.03, the mean over every position
    where the window lies inside the image, and over channels. ``"standard"`` has the data range 1 of images in
    [0, 1]; ``"range2"`` has the range 2 with which older figures were computed, and which flatters: never compare
    one with the other.

    Args:
        originals, reconstructions: (N, C, H, W) in [0, 1], sides of at least 7.

    Raises:
        ValueError: shapes differ, or a side is below 7, or the variant is unknown.

    Source: Wang, Bovik, Sheikh and Simoncelli 2004, equation 13.

    >>> image = np.random.default_rng(0).random((1, 1, 8, 8))
    >>> round(ssim(image, image).item(), 6), round(ssim(image, 1 - image).item(), 2)
    (1.0, -0.99)
    """
    check_pair(originals, reconstructions)
    if variant not in _DATA_RANGE:
        raise ValueError(f"variant is {variant!r}, and must be one of {', '.join(_DATA_RANGE)}")
    if min(originals.shape[2:]) < SSIM_WINDOW:
        raise ValueError(f"images are {originals.shape[2:]}, and must be at least {SSIM_WINDOW} on each side")
    x, y = originals.astype(np.float64), reconstructions.astype(np.float64)
    mean_x, mean_y = _window_mean(x), _window_mean(y)
    sample = SSIM_WINDOW**2 / (SSIM_WINDOW**2 - 1)
    var_x = sample * (_window_mean(x * x) - mean_x**2)
    var_y = sample * (_window_mean(y * y) - mean_y**2)
    covariance = sample * (_window_mean(x * y) - mean_x * mean_y)
    c1, c2 = (0.01 * _DATA_RANGE[variant]) ** 2, (0.03 * _DATA_RANGE[variant]) ** 2
    above = (2 * mean_x * mean_y + c1) * (2 * covariance + c2)
    below = (mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2)
    result: Floats = (above / below).mean(axis=(1, 2, 3))
    return result


def _window_mean(images: Floats) -> Floats:
    """Means of all windows that lie inside the images, from running sums."""
    sums = np.pad(images, ((0, 0), (0, 0), (1, 0), (1, 0))).cumsum(2).cumsum(3)
    k = SSIM_WINDOW
    total: Floats = sums[:, :, k:, k:] - sums[:, :, :-k, k:] - sums[:, :, k:, :-k] + sums[:, :, :-k, :-k]
    return total / k**2
