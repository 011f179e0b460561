"""The frozen list of records that every model is attacked on, and the public images that an attacker has."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindveil.tools.attacks.images import check_images, check_labels

__all__ = ["Targets"]


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """Images to reconstruct, with their labels, and images of the same kind that are no targets.

    All models of a comparison are attacked on one object of this class; `digest` goes into the report, so that two
    reports can be compared only if they used the same one.

    Attributes:
        images: (N, C, H, W), the originals.
        labels: (N,), their classes.
        public_images: (M, C, H, W), what the attacker may learn from; disjoint from the targets.
        public_labels: (M,).
        gallery: how many candidates identification chooses from: the targets and the first public images.
        bound: least and largest pixel.
        members: (N,), True for targets that the attacked models were trained on, where that is known; attacks are
            then scored on both groups, which tells a leak at inference from a leak of training data.
    """

    images: NDArray[np.float32]
    labels: NDArray[np.int64]
    public_images: NDArray[np.float32]
    public_labels: NDArray[np.int64]
    gallery: int = 1_000
    bound: tuple[float, float] = (0.0, 1.0)
    members: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        check_images(self.images, "target images")
        check_images(self.public_images, "public images")
        check_labels(self.labels, len(self.images))
        check_labels(self.public_labels, len(self.public_images))
        if self.images.shape[1:] != self.public_images.shape[1:]:
            raise ValueError(f"targets are {self.images.shape[1:]} each, public images {self.public_images.shape[1:]}")
        if len({row.tobytes() for row in self.public_images} & {row.tobytes() for row in self.images}):
            raise ValueError("a target is among the public images; the attacker would know it. Split them first")
        if self.members is not None and self.members.shape != (len(self.images),):
            raise ValueError(f"members is {self.members.shape}; wanted: one truth value for {len(self.images)} targets")
        if self.gallery < len(self.images):
            raise ValueError(f"gallery is {self.gallery}, and must be at least the {len(self.images)} targets")

    @property
    def input_shape(self) -> tuple[int, int, int]:
        """(C, H, W) of one image."""
        channels, height, width = self.images.shape[1:]
        return channels, height, width

    @property
    def others(self) -> NDArray[np.float32]:
        """The candidates beside the targets; fewer than asked for where there are fewer public images."""
        return self.public_images[: self.gallery - len(self.images)]

    @property
    def candidates(self) -> int:
        """The number of candidates that identification really has; chance is 1 over it."""
        return len(self.images) + len(self.others)

    @property
    def digest(self) -> str:
        """SHA-256 of the target images and labels, in hexadecimal."""
        return array_digest(self.images, self.labels)

    @property
    def public_digest(self) -> str:
        """SHA-256 of the public images and labels, in hexadecimal."""
        return array_digest(self.public_images, self.public_labels)


def array_digest(*arrays: NDArray[Any]) -> str:
    """SHA-256 over type, shape and elements of arrays, in hexadecimal."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
