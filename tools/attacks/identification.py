"""Whether a reconstruction says which image it came from: the rate of correct picks among candidates."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindveil.tools.attacks.images import check_images, check_pair

__all__ = ["identified"]

Floats = NDArray[np.float64]


def identified(
    originals: NDArray[Any], reconstructions: NDArray[Any], others: NDArray[Any] | None = None
) -> NDArray[np.bool_]:
    """For each reconstruction, whether its own original is the nearest of all candidates, shape (N,).

    Nearest means the highest Pearson correlation over all pixels, because an attack may get brightness and contrast
    wrong and still give the image away. The candidates are all originals and ``others``: with G different
    candidates, a reconstruction that knows nothing is right with probability 1 / G. A tie with a different image
    counts as wrong, so a constant reconstruction, which correlates with nothing, is never right. Candidates that
    equal the original pixel by pixel are the original.

    Args:
        originals, reconstructions: (N, C, H, W).
        others: (M, C, H, W), further images that it might have been.

    Raises:
        ValueError: shapes differ.

    >>> images = np.random.default_rng(0).random((3, 1, 8, 8))
    >>> identified(images, images[[0, 2, 2]] * 0.5 + 0.1).tolist()
    [True, False, True]
    """
    check_pair(originals, reconstructions)
    candidates = originals
    if others is not None and len(others):
        check_images(others, "others")
        if others.shape[1:] != originals.shape[1:]:
            raise ValueError(f"others are {others.shape[1:]} each and originals {originals.shape[1:]}; wanted: equal")
        candidates = np.concatenate([originals, others])
    gallery = candidates.reshape(len(candidates), -1).astype(np.float64)
    scores = _standardised(reconstructions) @ _standardised(candidates).T
    own = np.einsum("ii->i", scores[:, : len(originals)])
    rivals = scores >= own[:, None] - 1e-9
    return np.array([_only_copies(gallery, index, np.flatnonzero(row)) for index, row in enumerate(rivals)], np.bool_)


def _only_copies(gallery: Floats, index: int, nearest: NDArray[np.int64]) -> bool:
    """Whether everything among the nearest is the original itself or an exact copy of it."""
    return all(other == index or np.array_equal(gallery[other], gallery[index]) for other in nearest)


def _standardised(images: NDArray[Any]) -> Floats:
    """Each image with mean 0 and length 1; a constant image becomes 0, which correlates with nothing."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    flat = flat - flat.mean(1, keepdims=True)
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    result: Floats = np.where(length > 1e-12, flat / np.maximum(length, 1e-12), 0.0)
    return result
