"""Which weights of one layer an operation suppresses, and what becomes of the others; arrays in, arrays out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mindveil.runtime.sup_privacy.describe import MaskLayerDes

__all__ = ["LARGE_LAYER", "Rules", "count", "smallest", "smallest_groups"]

Weights = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]

#: Above so many weights a layer is masked and nothing else.
LARGE_LAYER = 10_000
LOWER = 0.005
NOISY = 0.5
NOISE = 0.1
LEAST_BOUND = 0.10


def count(size: int, sparsity: float, min_num: int) -> int:
    """How many of ``size`` weights a sparsity suppresses when ``min_num`` have to stay.

    The product is rounded down, but not for the last binary digit of a sparsity like 0.95.

    >>> count(2400, 0.95, 50), count(150, 0.95, 10), count(840, 0.95, -1)
    (2280, 140, 798)
    """
    return min(int(size * sparsity * (1 + 1e-12)), size - min(max(min_num, 0), size))


def smallest(weights: Weights, kept: Mask, wanted: int, threshold: float = np.inf) -> Mask:
    """``kept`` less further weights of small magnitude, so that ``wanted`` are suppressed in all.

    What was suppressed stays so. Of equal magnitudes the first in the layer go first.

    Args:
        weights, kept: of one layer, flat; True = kept.
        threshold: larger magnitudes stay, even if fewer than ``wanted`` are suppressed then.
    """
    missing = wanted - int((~kept).sum())
    if missing <= 0:
        return kept.copy()
    magnitudes = np.where(kept, np.abs(weights), np.inf)
    candidates = np.flatnonzero(magnitudes <= min(threshold, rank(magnitudes, missing)))
    first = candidates[np.argsort(magnitudes[candidates], kind="stable")[:missing]]
    after = kept.copy()
    after[first] = False
    return after


def smallest_groups(weights: Weights, kept: Mask, wanted: int) -> Mask:
    """As `smallest`, for whole rows of a layer (filters, neurons); ``wanted`` weights, rounded down to whole rows.

    Args:
        weights, kept: ``(rows, weights of a row)``.
    """
    norms = np.linalg.norm(weights.astype(np.float64), axis=1)
    rows = smallest(norms, kept.any(axis=1), wanted // weights.shape[1])
    return np.broadcast_to(rows[:, None], weights.shape).copy()


def rank(values: Weights, position: int) -> float:
    """The ``position``-th smallest value, counted from 1; the largest if there are fewer."""
    k = min(position, values.size) - 1
    return float(np.partition(values, k)[k])


@dataclass(frozen=True, slots=True)
class Rules:
    """What an operation does to the weights that it keeps, as the layer's description asks.

    Attributes:
        lower: whether small weights are moved out to the lower bound.
        noisy: whether noise is taken off large ones.
        bound: largest magnitude.
    """

    lower: bool
    noisy: bool
    bound: float

    @classmethod
    def of(cls, layer: MaskLayerDes) -> Rules:
        """The rules of a described layer."""
        return cls(layer.is_lower_clip, layer.is_add_noise, max(LEAST_BOUND, float(layer.upper_bound)))

    def apply(self, weights: Weights, kept: Mask, threshold: float, rng: np.random.Generator) -> Weights:
        """The weights after an operation: 0 where not kept, otherwise what the first rule that fits makes of them.

        Args:
            weights, kept: of one layer, flat.
            threshold: magnitude up to which the operation suppressed. A kept weight that is no larger was spared for
                the minimum, or for being as large as the last one that went.
        """
        magnitude, sign = np.abs(weights), np.sign(weights)
        outward = np.where(weights > 0, 1.0, -1.0)
        noise = rng.uniform(-NOISE, NOISE, weights.shape)
        conditions = [
            ~kept,
            magnitude <= threshold,
            (magnitude <= LOWER) & (self.lower and threshold > LOWER / 2),
            magnitude > self.bound,
            (magnitude > NOISY) & self.noisy,
        ]
        results = [
            np.zeros_like(weights),
            sign * min(LOWER, threshold),
            outward * LOWER,
            sign * self.bound,
            weights - noise,
        ]
        return np.select(conditions, results, weights).astype(weights.dtype)
