"""What a set of reconstructions is worth: the five scores, with the reference rows that any attack must beat."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindveil.tools.attacks.evaluator import Evaluator
from mindveil.tools.attacks.identification import identified
from mindveil.tools.attacks.score import Score, mean_score, paired_difference, rate_score
from mindveil.tools.attacks.similarity import relative_l2, ssim
from mindveil.tools.attacks.targets import Targets

__all__ = ["REFERENCE_ROWS", "SCORES", "Evaluation", "evaluate", "identification_by_membership", "reference_rows"]

# name -> whether it is a rate over records (else a mean)
SCORES: dict[str, bool] = {
    "l2": False,
    "ssim": False,
    "identification_rate": True,
    "evaluator_confidence": False,
    "evaluator_accuracy": True,
}
REFERENCE_ROWS = ("original", "black", "class_mean", "random_same_class")


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The scores of reconstructions, and the number of each record that they were computed from.

    Attributes:
        scores: by name, in the order of ``SCORES``; without an evaluator its two scores are missing.
        records: by name, one number per target.
    """

    scores: Mapping[str, Score]
    records: Mapping[str, NDArray[Any]]

    def compared_with(self, other: Evaluation, name: str) -> Score:
        """The mean difference of one score, record by record, with its interval: self minus other."""
        return paired_difference(f"{name} difference", self.records[name], other.records[name])


def identification_by_membership(targets: Targets, evaluation: Evaluation) -> dict[str, Score]:
    """The identification rate on targets that were trained on and on those that were not; empty where unknown.

    Equal rates say that the attack reads the features, not the model's memory.
    """
    if targets.members is None:
        return {}
    hits = evaluation.records["identification_rate"]
    groups = {"trained on": targets.members, "never trained on": ~targets.members}
    return {name: rate_score(name, hits[rows]) for name, rows in groups.items() if rows.any()}


def evaluate(targets: Targets, reconstructions: NDArray[Any], evaluator: Evaluator | None = None) -> Evaluation:
    """Score reconstructions (N, C, H, W) of the targets.

    - ``l2``: relative L2 distance; 0 is exact, a black image has 1.
    - ``ssim``: structural similarity, data range 1, uniform 7x7 window.
    - ``identification_rate``: the share whose own original correlates best, among `Targets.candidates`.
    - ``evaluator_confidence``, ``evaluator_accuracy``: what an independent classifier sees in them.
    """
    records: dict[str, NDArray[Any]] = {
        "l2": relative_l2(targets.images, reconstructions),
        "ssim": ssim(targets.images, reconstructions),
        "identification_rate": identified(targets.images, reconstructions, targets.others),
    }
    if evaluator is not None:
        records["evaluator_confidence"] = evaluator.confidence(reconstructions, targets.labels)
        records["evaluator_accuracy"] = evaluator.correct(reconstructions, targets.labels)
    scores = {
        name: rate_score(name, values) if SCORES[name] else mean_score(name, values) for name, values in records.items()
    }
    return Evaluation(scores, records)


def reference_rows(targets: Targets, *, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Stand-ins for reconstructions that use nothing of the record, as (N, C, H, W) each.

    - ``original``: the images themselves: the ceiling of every score.
    - ``black``: the least pixel everywhere.
    - ``class_mean``: the mean public image of the target's class, that is, the label and nothing else.
    - ``random_same_class``: another public image of the class.

    Raises:
        ValueError: a target's class has no public image.
    """
    generator = np.random.default_rng(seed)
    means, others = np.empty_like(targets.images), np.empty_like(targets.images)
    for label in np.unique(targets.labels):
        public = targets.public_images[targets.public_labels == label]
        if not len(public):
            raise ValueError(f"class {label} has targets and no public image; give public images of every class")
        rows = targets.labels == label
        means[rows] = public.mean(0)
        others[rows] = public[generator.integers(0, len(public), int(rows.sum()))]
    return {
        "original": targets.images,
        "black": np.full_like(targets.images, targets.bound[0]),
        "class_mean": means,
        "random_same_class": others,
    }
