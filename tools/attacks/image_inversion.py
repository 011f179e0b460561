"""The image inversion attack of an exported model: images from the features that they cause."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from mindveil.tools.attacks.cells import model_of
from mindveil.tools.attacks.descent import Inversion, sign_descent
from mindveil.tools.attacks.evaluator import Evaluator
from mindveil.tools.attacks.images import check_images
from mindveil.tools.attacks.objective import Objective, Smoothness, Weights
from mindveil.tools.attacks.runner import ModelRunner
from mindveil.tools.attacks.similarity import relative_l2, ssim

__all__ = ["ImageInversionAttack", "ObjectiveCheck"]

START = 0.05  # the start is uniform in [0, START), whatever the bound
STEP = 0.01


@dataclass(frozen=True, slots=True)
class ObjectiveCheck:
    """Losses of the true images and of the reconstructions, (N,) each.

    Where the true image has the larger loss, the objective prefers a wrong image, and no number of iterations helps:
    the attack's failure then says nothing about the model.
    """

    true: NDArray[np.float32]
    found: NDArray[np.float32]

    @property
    def sound(self) -> bool:
        """Whether the true image has the smaller mean loss."""
        return bool(self.true.mean() <= self.found.mean())

    @property
    def share_preferring_wrong(self) -> float:
        """The share of targets whose true image has a larger loss than its reconstruction."""
        return float((self.true > self.found).mean())


class ImageInversionAttack:
    """Reconstruct images from their features at one value of an exported model, with full access to the model.

    Signed gradient descent on a distance of features, a smoothness term and a norm term (`Objective` has the
    formula). Losses and gradients are computed inside onnxruntime, for all images as one batch with a loss each.

    This is the recipe that suppression is usually judged by, and it is weak: with its usual weights the true image
    has a larger loss than the attack's result (`check_objective` measures that). A model that it fails on is not
    shown to be safe; run the ridge and latent attacks as well.

    Args:
        model: the exported file or model, with a symbolic batch axis; or a Cell, which is exported first.
        features: the value that the attacker sees, by default the model's first output; `feature_names` lists the
            candidates.
        input_shape: (C, H, W) of one image.
        input_bound: least and largest pixel.
        loss_weights: of the feature distance, the smoothness and the norm.
        smoothness: ``"cpu"`` or ``"device"``, see `Objective`.
        threads: for onnxruntime.

    Raises:
        ValueError: an argument is out of range or does not fit the model.
        UnsupportedNodeError: an operator on the way to the features has no gradient rule.

    Source: Mahendran and Vedaldi 2015, section 3, with signed steps.

    Example:
        A model that shows twice the image, attacked without the two terms that prefer smooth and dark images.

        >>> from onnx import helper, numpy_helper
        >>> node = helper.make_node("Mul", ["image", "two"], ["seen"])
        >>> image, seen = (helper.make_tensor_value_info(name, 1, ["n", 1, 8, 8]) for name in ("image", "seen"))
        >>> two = numpy_helper.from_array(np.float32([2.0]), "two")
        >>> graph = helper.make_graph([node], "leak", [image], [seen], [two])
        >>> model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
        >>> attack = ImageInversionAttack(model, features="seen", input_shape=(1, 8, 8), loss_weights=(1, 0, 0))
        >>> secret = np.random.default_rng(0).random((5, 1, 8, 8), dtype=np.float32)
        >>> found = attack.generate(attack.features(secret), iters=100, seed=1)
        >>> bool(np.abs(found - secret).max() < 0.02)
        True
    """

    def __init__(
        self,
        model: str | PathLike[str] | ModelProto | Any,
        input_shape: tuple[int, int, int],
        input_bound: tuple[float, float] = (0.0, 1.0),
        loss_weights: Sequence[float] = (1.0, 0.1, 5.0),
        *,
        features: str | None = None,
        smoothness: Smoothness = "cpu",
        threads: int = 1,
    ) -> None:
        if len(input_bound) != 2 or not input_bound[0] < input_bound[1]:
            raise ValueError(f"input_bound is {input_bound}, and must be (low, high) with low below high")
        if len(loss_weights) != 3:
            raise ValueError(f"loss_weights has {len(loss_weights)} numbers; wanted 3: features, smoothness, norm")
        if len(input_shape) != 3 or any(int(size) != size or size < 1 for size in input_shape):
            raise ValueError(f"input_shape is {input_shape}, and must be (channels, height, width)")
        loaded = model_of(model, tuple(input_shape))
        features = loaded.graph.output[0].name if features is None else features
        self.input_shape = input_shape
        self.input_bound = (float(input_bound[0]), float(input_bound[1]))
        weights = Weights(*(float(item) for item in loss_weights))
        self.objective = Objective.of(loaded, features, input_shape, weights, smoothness=smoothness, threads=threads)
        self._features = ModelRunner.of(loaded, features, threads=threads)
        self._last: Inversion | None = None

    def features(self, images: NDArray[Any]) -> NDArray[np.float32]:
        """The features of images (N, C, H, W): what the attacker sees of them."""
        self._check(images, "images")
        return self._features(images)

    def generate(
        self, target_features: NDArray[Any], iters: int = 100, *, seed: int | None = None
    ) -> NDArray[np.float32]:
        """Images (N, C, H, W) whose features are close to ``target_features`` (N, ...).

        The start is ``0.05 * U(0, 1)`` and the step 0.01, so 100 iterations move a pixel by at most 1. The loss
        curve is kept in `loss_curve`.

        Args:
            target_features: one row an image; a zero row is compared by the mean of squares.
            iters: steps, at least 1.
            seed: of the start; None draws one from the operating system.

        Raises:
            ValueError: the features have another shape than the model's, or are not finite.
        """
        targets = self._check_targets(target_features)
        if iters < 1 or int(iters) != iters:
            raise ValueError(f"iters is {iters}, and must be a whole number of at least 1")
        generator = np.random.default_rng(seed)
        start = (START * generator.random((len(targets), *self.input_shape))).astype(np.float32)
        self._last = sign_descent(
            self.objective, targets, start, iterations=int(iters), step=STEP, bound=self.input_bound
        )
        return self._last.images

    @property
    def loss_curve(self) -> NDArray[np.float32]:
        """(iterations + 1, N) losses of the last `generate`.

        Raises:
            ValueError: `generate` has not run.
        """
        if self._last is None:
            raise ValueError("there is no loss curve yet; call generate first")
        return self._last.losses

    def check_objective(
        self, originals: NDArray[Any], reconstructions: NDArray[Any], target_features: NDArray[Any] | None = None
    ) -> ObjectiveCheck:
        """The loss of the true images beside that of the reconstructions, (N, C, H, W) each."""
        self._check(originals, "originals")
        self._check(reconstructions, "reconstructions")
        targets = self._check_targets(self.features(originals) if target_features is None else target_features)
        return ObjectiveCheck(
            self.objective.losses(originals, targets), self.objective.losses(reconstructions, targets)
        )

    def evaluate(
        self,
        original_images: NDArray[Any],
        inversion_images: NDArray[Any],
        labels: NDArray[Any] | None = None,
        new_network: str | PathLike[str] | ModelProto | Any = None,
    ) -> tuple[float, float, float | None]:
        """Mean relative L2 distance, mean structural similarity, and mean confidence of another model in the labels.

        The first two are `relative_l2` and `ssim` with the data range 1 of images in [0, 1]; MindArmour computes the
        latter with a range of 2, which flatters. They hardly rank attacks: a black image has (1, 0.3). See `evaluate`
        of this package for scores with intervals and reference rows.

        Args:
            original_images, inversion_images: (N, C, H, W).
            labels: (N,) true classes; needed for the confidence.
            new_network: a classifier whose training had nothing to do with the attacked one, exported or a Cell.

        Returns:
            (distance, similarity, confidence), the last None unless labels and a network are given.

        Raises:
            ValueError: shapes or labels do not fit.
            TypeError: ``new_network`` is no model.
        """
        distance = float(relative_l2(original_images, inversion_images).mean())
        similarity = float(ssim(original_images, inversion_images).mean())
        if labels is None or new_network is None:
            return distance, similarity, None
        judge = Evaluator.of(model_of(new_network, inversion_images.shape[1:]))
        return distance, similarity, float(judge.confidence(inversion_images, labels).mean())

    def _check(self, images: NDArray[Any], what: str) -> None:
        check_images(images, what)
        if images.shape[1:] != self.input_shape:
            raise ValueError(f"{what} are {images.shape[1:]} each; the attack was made for {self.input_shape}")

    def _check_targets(self, target_features: NDArray[Any]) -> NDArray[np.float32]:
        targets = np.ascontiguousarray(target_features, np.float32)
        if targets.shape[1:] != self.objective.feature_shape or not len(targets):
            raise ValueError(
                f"target_features is {targets.shape}; wanted (N, {', '.join(map(str, self.objective.feature_shape))})"
            )
        if not np.isfinite(targets).all():
            raise ValueError("target_features holds values that are not finite; check the model that made them")
        return targets
