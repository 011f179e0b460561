"""The principal subspace of public images: the prior of the latent attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["PrincipalSubspace"]

Floats = NDArray[np.float64]
EXACT_UP_TO = 1_500  # an eigenvalue problem of this size takes about a second; above it, subspace iteration
_OVERSAMPLING, _ROUNDS = 20, 6


@dataclass(frozen=True, slots=True, eq=False)
class PrincipalSubspace:
    """Images as ``mean + z @ scaled``, with z of unit variance on the images it was fitted to.

    Attributes:
        mean: (D,), D the number of values of an image.
        directions: (K, D), orthonormal, in falling order of variance.
        spread: (K,), the standard deviation along each.
    """

    mean: Floats
    directions: Floats
    spread: Floats

    @classmethod
    def fit(cls, images: NDArray[Any], components: int) -> PrincipalSubspace:
        """From images (M, C, H, W); ``components`` must be below M and at most C * H * W.

        Source: for large images, subspace iteration after Halko, Martinsson and Tropp 2011, algorithm 4.4, with a
        fixed seed.
        """
        flat = images.reshape(len(images), -1).astype(np.float64)
        mean = flat.mean(0)
        centred = flat - mean
        if min(centred.shape) <= EXACT_UP_TO:
            values, vectors = _exact(centred, components)
        else:
            values, vectors = _iterated(centred, components)
        spread = np.sqrt(np.maximum(values / (len(flat) - 1), 1e-12))
        return cls(mean, np.ascontiguousarray(vectors), spread)

    @property
    def scaled(self) -> Floats:
        """(K, D): the directions, each as long as its standard deviation."""
        return self.directions * self.spread[:, None]

    def coordinates(self, images: NDArray[Any]) -> Floats:
        """(N, K) coordinates of images (N, C, H, W), the point of the subspace nearest to each."""
        result: Floats = (images.reshape(len(images), -1) - self.mean) @ self.directions.T / self.spread
        return result


def _exact(centred: Floats, components: int) -> tuple[Floats, Floats]:
    """The largest eigenvalues and vectors of the scatter matrix, from the smaller of the two Gram matrices."""
    rows, columns = centred.shape
    values, vectors = np.linalg.eigh(centred.T @ centred if columns <= rows else centred @ centred.T)
    largest = np.argsort(values)[::-1][:components]
    found = np.asarray(vectors[:, largest].T, np.float64)
    if columns > rows:
        found = np.asarray(found @ centred, np.float64)
        found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-30)
    return np.asarray(values[largest], np.float64), found


def _iterated(centred: Floats, components: int) -> tuple[Floats, Floats]:
    """The same from a random start of a few more vectors, multiplied by the scatter matrix again and again."""
    width = min(components + _OVERSAMPLING, *centred.shape)
    basis = np.random.default_rng(0).normal(size=(centred.shape[1], width))
    for _ in range(_ROUNDS):
        basis, _ = np.linalg.qr(centred.T @ (centred @ basis))
    _, singular, right = np.linalg.svd(centred @ basis, full_matrices=False)
    vectors = np.asarray(right @ basis.T, np.float64)
    return np.asarray(singular[:components] ** 2, np.float64), vectors[:components]
