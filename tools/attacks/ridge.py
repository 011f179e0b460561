"""Inversion without gradients: a linear map from features back to images, fitted on public images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindveil.tools.attacks.images import check_images
from mindveil.tools.attacks.runner import ModelRunner

__all__ = ["RidgeInverse", "Whitening"]

Floats = NDArray[np.float64]
DEAD = 1e-6  # a unit that varies by less than this share of the largest feature shows rounding, not the image


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """Features centred and divided by their standard deviation on public images; dead units are left out."""

    mean: Floats
    scale: Floats

    @classmethod
    def of(cls, features: NDArray[Any]) -> Whitening:
        """From features (M, ...) of public images."""
        flat = features.reshape(len(features), -1).astype(np.float64)
        spread = flat.std(0)
        alive = spread > DEAD * max(float(np.abs(flat).max()), 1e-30)
        return cls(flat.mean(0), np.where(alive, 1 / np.where(alive, spread, 1.0), 0.0))

    @property
    def alive(self) -> NDArray[np.int64]:
        """The units that vary; the first one, whose scale is 0, where none does, so that there is something to run."""
        units = np.flatnonzero(self.scale)
        return units if units.size else np.zeros(1, np.int64)

    def __call__(self, features: NDArray[Any]) -> Floats:
        """(N, ...) to (N, F)."""
        result: Floats = (features.reshape(len(features), -1).astype(np.float64) - self.mean) * self.scale
        return result


@dataclass(frozen=True, slots=True, eq=False)
class RidgeInverse:
    """The linear inverse of one value of a model.

    The attacker needs public images and their features, that is, queries; neither gradients nor the weights. A
    defence that only hides gradients does nothing against it, so it checks the attacks that use them.

    Source: ridge regression, Hoerl and Kennard 1970; as a check for masked gradients, Athalye, Carlini and Wagner
    2018, section 3.
    """

    whitening: Whitening
    weights: Floats
    mean: Floats
    shape: tuple[int, ...]
    bound: tuple[float, float]

    @classmethod
    def fit(
        cls,
        runner: ModelRunner,
        public_images: NDArray[Any],
        *,
        penalty: float = 1e-3,
        bound: tuple[float, float] = (0.0, 1.0),
    ) -> RidgeInverse:
        """Fit on public images (M, C, H, W).

        Args:
            penalty: of the squared weights, for each public image.

        Raises:
            ValueError: there are fewer than two public images, or the penalty is not above 0.
        """
        check_images(public_images, "public images")
        if len(public_images) < 2 or penalty <= 0:
            raise ValueError(f"{len(public_images)} public images, penalty {penalty}; wanted: at least 2, above 0")
        features = runner(public_images)
        whitening = Whitening.of(features)
        inputs = whitening(features)
        outputs = public_images.reshape(len(public_images), -1).astype(np.float64)
        mean = outputs.mean(0)
        normal = inputs.T @ inputs + penalty * len(inputs) * np.eye(inputs.shape[1])
        weights = np.linalg.solve(normal, inputs.T @ (outputs - mean))
        return cls(whitening, weights, mean, public_images.shape[1:], bound)

    def generate(self, target_features: NDArray[Any]) -> NDArray[np.float32]:
        """Images (N, C, H, W) for features (N, ...)."""
        flat = self.mean + self.whitening(target_features) @ self.weights
        return np.clip(flat, *self.bound).astype(np.float32).reshape(-1, *self.shape)
