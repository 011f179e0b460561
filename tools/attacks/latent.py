"""The strongest attack here: gradient descent on coordinates in the space that public images span."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from mindveil.tools.attacks.images import check_images
from mindveil.tools.attacks.latent_model import LATENT, LOSSES, PRIOR, TARGETS, latent_model
from mindveil.tools.attacks.ridge import RidgeInverse
from mindveil.tools.attacks.runner import ModelRunner, only_input, session
from mindveil.tools.attacks.similarity import relative_l2
from mindveil.tools.attacks.subspace import PrincipalSubspace
from mindveil.tools.gradients import gradient_name
from mindveil.tools.gradients.forward import load_model

__all__ = ["LatentInversionAttack", "most_components"]

PRIORS = (1e-3, 1e-2, 1e-1, 1.0)
TUNING_IMAGES = 20


def most_components(public_images: NDArray[Any]) -> int:
    """The largest dimension of a subspace that these images can span, those for tuning left out."""
    fitting = len(public_images) - _tuning_count(public_images)
    return min(math.prod(public_images.shape[1:]), fitting - 1)


def _tuning_count(public_images: NDArray[Any]) -> int:
    """How many public images choose the prior instead of fitting the subspace."""
    return min(TUNING_IMAGES, len(public_images) // 5)


class LatentInversionAttack:
    """Reconstruct images as points of the principal subspace of public images whose features match.

    Adam on the coordinates, started from the ridge inverse, with a cosine schedule. Features are divided by their
    spread on public images and dead units are dropped, so that clipping, masks and small weights hide nothing. The
    weight of the prior is chosen on public images, never on targets.

    Args:
        model: the exported file or model, with a symbolic batch axis.
        features: the value that the attacker sees.
        public_images: (M, C, H, W), disjoint from the targets; a few thousand serve well.
        components: dimension of the subspace; `most_components` is the largest.
        input_bound: least and largest pixel.
        threads: for onnxruntime.

    Raises:
        ValueError: too few public images, or an argument that does not fit the model.
        UnsupportedNodeError: an operator on the way to the features has no gradient rule.
    """

    def __init__(
        self,
        model: str | PathLike[str] | ModelProto,
        *,
        features: str,
        public_images: NDArray[Any],
        components: int = 100,
        input_bound: tuple[float, float] = (0.0, 1.0),
        threads: int = 1,
    ) -> None:
        check_images(public_images, "public images")
        most = most_components(public_images)
        if not 1 <= components <= most:
            raise ValueError(
                f"components is {components}; with {len(public_images)} public images of "
                f"{math.prod(public_images.shape[1:])} values it must be from 1 to {most}"
            )
        loaded = load_model(model)
        self._features = ModelRunner.of(loaded, features, threads=threads)
        count = _tuning_count(public_images)
        tuning, fitting = public_images[:count], public_images[count:]
        self.ridge = RidgeInverse.fit(self._features, fitting, bound=input_bound)
        self.subspace = PrincipalSubspace.fit(fitting, components)
        basis = self.subspace.mean, self.subspace.scaled
        channels, height, width = public_images.shape[1:]
        shape = channels, height, width
        graph = latent_model(loaded, features, basis, self.ridge.whitening, shape, input_bound)
        self._image = only_input(loaded).name
        self._session: onnxruntime.InferenceSession = session(graph, threads)
        self.prior = self._tune(tuning, PRIORS) if count else PRIORS[len(PRIORS) // 2]

    def generate(self, target_features: NDArray[Any], iterations: int = 100) -> NDArray[np.float32]:
        """Images (N, C, H, W) for features (N, ...); nothing in it is random."""
        return self._search(target_features, iterations, self.prior)[0]

    def _tune(self, images: NDArray[Any], priors: Sequence[float]) -> float:
        """The prior under which public images, which were not fitted, come back closest."""
        features = self._features(images)
        errors = [float(relative_l2(images, self._search(features, 60, prior)[0]).mean()) for prior in priors]
        return priors[int(np.argmin(errors))]

    def _search(
        self, target_features: NDArray[Any], iterations: int, prior: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        whitening = self.ridge.whitening
        targets = whitening(target_features)[:, whitening.alive].astype(np.float32)
        z = self.subspace.coordinates(self.ridge.generate(target_features)).astype(np.float32)
        feed = {TARGETS: targets, PRIOR: np.array(prior, np.float32)}
        slope, size = np.zeros_like(z), np.zeros_like(z)
        losses = np.empty((iterations, len(z)), np.float32)
        for step in range(iterations):
            losses[step], gradient = self._session.run([LOSSES, gradient_name(LATENT)], {LATENT: z, **feed})
            slope = 0.9 * slope + 0.1 * gradient
            size = 0.999 * size + 0.001 * gradient**2
            rate = 0.1 * 0.5 * (1 + math.cos(math.pi * step / iterations))
            corrected = slope / (1 - 0.9 ** (step + 1)), size / (1 - 0.999 ** (step + 1))
            z -= (rate * corrected[0] / (np.sqrt(corrected[1]) + 1e-8)).astype(np.float32)
        (images,) = self._session.run([self._image], {LATENT: z, **feed})
        return images, losses
