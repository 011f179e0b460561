"""What an independently trained model recognises in reconstructions: confidence in the true class, and accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from mindveil.tools.attacks.images import check_images, check_labels
from mindveil.tools.attacks.runner import ModelRunner

__all__ = ["Evaluator"]


@dataclass(frozen=True, slots=True)
class Evaluator:
    """A classifier, exported as ONNX, whose training had nothing to do with the attacked models.

    Both numbers measure the class, which a useful model gives away by design; an average image of the class scores
    as high as an exact copy. They say that a reconstruction looks like its class, and nothing about the record.
    """

    logits: ModelRunner

    @classmethod
    def of(cls, model: str | PathLike[str] | ModelProto, output: str | None = None, *, threads: int = 1) -> Evaluator:
        """An evaluator from an exported file; ``output`` are its logits, by default the first output."""
        return cls(ModelRunner.of(model, output, threads=threads))

    def confidence(self, images: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.float64]:
        """The softmax probability of the true class, (N,)."""
        scores, true = self._scores(images, labels)
        scores -= scores.max(1, keepdims=True)
        powers = np.exp(scores)
        result: NDArray[np.float64] = powers[np.arange(len(true)), true] / powers.sum(1)
        return result

    def correct(self, images: NDArray[Any], labels: NDArray[Any]) -> NDArray[np.bool_]:
        """Whether the true class has the largest logit, (N,)."""
        scores, true = self._scores(images, labels)
        result: NDArray[np.bool_] = scores.argmax(1) == true
        return result

    def _scores(self, images: NDArray[Any], labels: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        check_images(images, "images")
        true = check_labels(labels, len(images))
        scores = self.logits(images).astype(np.float64)
        if scores.ndim != 2 or true.min() < 0 or true.max() >= scores.shape[1]:
            raise ValueError(
                f"the evaluator's output is {scores.shape} and labels reach from {true.min()} to {true.max()}; "
                "wanted: (N, classes), and labels among its classes"
            )
        return scores, true
