"""Signed gradient descent on images: the optimiser of the seed attack, for a whole batch at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindveil.tools.attacks.objective import Objective

__all__ = ["Inversion", "sign_descent"]

Images = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Inversion:
    """Reconstructed images, and how the objective fell.

    Attributes:
        images: (N, C, H, W), the last iterate.
        losses: (iterations + 1, N): before each step, and at the end.
    """

    images: Images
    losses: NDArray[np.float32]


def sign_descent(
    objective: Objective,
    targets: NDArray[np.float32],
    start: Images,
    *,
    iterations: int,
    step: float,
    bound: tuple[float, float],
) -> Inversion:
    """``x <- clip(x - step * sign(gradient), bound)``, ``iterations`` times from ``start``.

    No pixel can move further than ``step * iterations``.
    """
    images = np.array(start, np.float32)
    losses = np.empty((iterations + 1, len(images)), np.float32)
    stride = np.float32(step)
    for index in range(iterations):
        losses[index], gradient = objective(images, targets)
        np.sign(gradient, out=gradient)
        gradient *= stride
        images -= gradient
        np.clip(images, *bound, out=images)
    losses[iterations], _ = objective(images, targets)
    return Inversion(images, losses)
