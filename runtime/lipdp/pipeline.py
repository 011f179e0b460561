"""Preparing arrays of images: bounds of inputs, colour spaces, several views of each example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindveil.runtime.example_weights import ExampleWeights

__all__ = ["AugmultConfig", "bound_clip_value", "bound_normalize", "default_augmult_config", "get_colorspace_function"]

Array = NDArray[Any]
Both = Callable[[Array, Array], tuple[Array, Array]]

_YIQ = ((0.299, 0.587, 0.114), (0.59590059, -0.27455667, -0.32134392), (0.21153661, -0.52273617, 0.31119955))
_YUV = ((0.299, 0.587, 0.114), (-0.14714119, -0.28886916, 0.43601035), (0.61497538, -0.51496512, -0.10001026))
_GRAY = ((0.2989, 0.5870, 0.1140),)
_MEAN, _DEVIATION = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)


def bound_clip_value(value: float) -> tuple[Both, float]:
    """A function that scales each example of a batch to a norm of ``value`` at most, and the bound."""

    def bound(x: Array, y: Array) -> tuple[Array, Array]:
        return _scaled(x, np.minimum(1.0, value / np.maximum(_norms(x), 1e-30))), y

    return bound, value


def bound_normalize() -> tuple[Both, float]:
    """A function that scales each example of a batch to a norm of 1 (zero stays zero), and the bound."""

    def bound(x: Array, y: Array) -> tuple[Array, Array]:
        return _scaled(x, 1 / np.maximum(_norms(x), 1e-30)), y

    return bound, 1.0


def get_colorspace_function(colorspace: str | None) -> Both:
    """A function of a batch of images ``[B, 3, H, W]`` with values in [0, 1], and labels.

    Args:
        colorspace: ``RGB``, ``RGB_STANDARDIZED``, ``HSV`` (all three in [0, 1]), ``YIQ``, ``YUV``, ``GRAYSCALE``, or
            None.

    Raises:
        ValueError: there is no such colour space here.
    """
    name = "RGB" if colorspace is None else colorspace.upper()
    if name == "HSV":
        return lambda x, y: (_hsv(x), y)
    matrices = {"YIQ": _YIQ, "YUV": _YUV, "GRAYSCALE": _GRAY}
    if name == "RGB":
        return lambda x, y: (x, y)
    if name == "RGB_STANDARDIZED":
        mean, deviation = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (_MEAN, _DEVIATION))
        return lambda x, y: ((x - mean) / deviation, y)
    if name not in matrices:
        raise ValueError(
            f"colorspace is {colorspace!r}, and must be one of RGB, RGB_STANDARDIZED, HSV, {', '.join(matrices)}"
        )
    matrix = np.array(matrices[name], np.float32)
    return lambda x, y: (np.einsum("kc,bchw->bkhw", matrix, x), y)


@dataclass(frozen=True)
class AugmultConfig:
    """Several views of each example in one batch, which share the example's weight.

    The views' gradients are averaged, so that one example moves the sum by no more than its bound, and a step costs
    what it costs without views.

    Attributes:
        augmult: views of each example; 0 for the example itself.
        random_crop, random_flip: shifts by ``pad`` pixels at most, and mirror images.
        pad: zeros around an image before it is cropped.
    """

    augmult: int
    random_crop: bool = True
    random_flip: bool = True
    pad: int = 4

    def apply(self, images: Array, labels: Array, weights: Any = None) -> tuple[Array, Array, Any]:
        """Images ``[B, C, H, W]`` to ``[B augmult, C, H, W]``, with their labels and shares of weights."""
        views = max(self.augmult, 1)
        given = np.ones(len(images), np.float32) if weights is None else np.asarray(weights, np.float32)
        repeated = images.repeat(views, 0)
        if self.augmult > 0:
            repeated = np.stack([self._view(image) for image in repeated])
        shares = ExampleWeights.of(given.repeat(views) / views, last=getattr(weights, "last", True))
        return repeated, labels.repeat(views, 0), shares

    def _view(self, image: Array) -> Array:
        if self.random_crop and self.pad:
            padded = np.pad(image, ((0, 0), (self.pad, self.pad), (self.pad, self.pad)))
            top, left = np.random.randint(0, 2 * self.pad + 1, 2)
            image = padded[:, top : top + image.shape[1], left : left + image.shape[2]]
        return image[:, :, ::-1] if self.random_flip and np.random.random() < 0.5 else image


def default_augmult_config(multiplicity: int) -> AugmultConfig:
    """Crops and mirror images, ``multiplicity`` views of each example."""
    return AugmultConfig(multiplicity)


def _hsv(x: Array) -> Array:
    """Hue, saturation and value, by the hexagon model; the hue of a gray is 0, its saturation too."""
    red, green, blue = x[:, 0], x[:, 1], x[:, 2]
    value = x.max(1)
    spread = value - x.min(1)
    step = np.where(spread > 0, spread, 1)
    sixth = np.select(
        [value == red, value == green],
        [(green - blue) / step, 2 + (blue - red) / step],
        4 + (red - green) / step,
    )
    hue = np.where(spread > 0, sixth / 6 % 1, 0)
    saturation = spread / np.where(value > 0, value, 1)
    return np.asarray(np.stack([hue, saturation, value], 1), np.float32)


def _norms(x: Array) -> NDArray[np.float64]:
    return np.asarray(np.linalg.norm(x.reshape(len(x), -1).astype(np.float64), axis=1))


def _scaled(x: Array, factors: NDArray[np.float64]) -> Array:
    return np.asarray(x * factors.reshape(-1, *(1,) * (x.ndim - 1)), np.float32)
