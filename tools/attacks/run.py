"""Runs the attacks of the catalogue on one exported model and scores them all on the same targets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from mindveil.tools.attacks.evaluation import Evaluation, evaluate, identification_by_membership, reference_rows
from mindveil.tools.attacks.evaluator import Evaluator
from mindveil.tools.attacks.image_inversion import ImageInversionAttack, ObjectiveCheck
from mindveil.tools.attacks.latent import LatentInversionAttack, most_components
from mindveil.tools.attacks.objective import Smoothness
from mindveil.tools.attacks.ridge import RidgeInverse
from mindveil.tools.attacks.runner import ModelRunner
from mindveil.tools.attacks.score import Score
from mindveil.tools.attacks.targets import Targets
from mindveil.tools.gradients.forward import load_model

__all__ = ["ATTACKS", "AttackResult", "AttackSettings", "attack", "evaluate_references"]


@dataclass(frozen=True, slots=True)
class AttackSettings:
    """What the attacks are run with; the same for every model of a comparison.

    Attributes:
        iterations: steps of the two gradient attacks.
        loss_weights, smoothness: of the seed attack, see `ImageInversionAttack`.
        components: dimension of the latent attack's subspace; lowered where there are too few public images.
        seed: of every random choice.
        threads: for onnxruntime.
    """

    iterations: int = 100
    loss_weights: tuple[float, float, float] = (1.0, 0.1, 5.0)
    smoothness: Smoothness = "cpu"
    components: int = 100
    seed: int = 0
    threads: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class AttackResult:
    """One attack on one model.

    Attributes:
        name: as in the catalogue.
        evaluation: the scores, and the numbers of each target.
        reconstructions: (N, C, H, W), in the targets' order.
        seconds: wall-clock time, preparation included.
        loss_curve: (iterations + 1, N), None for attacks without a loss.
        check: losses of true images beside those of reconstructions, None for attacks without an objective.
        groups: the identification rate on targets that were trained on, and on others; empty where unknown.
    """

    name: str
    evaluation: Evaluation
    reconstructions: NDArray[np.float32]
    seconds: float
    loss_curve: NDArray[np.float32] | None = None
    check: ObjectiveCheck | None = None
    groups: Mapping[str, Score] = field(default_factory=dict)

    @property
    def scores(self) -> dict[str, Score]:
        """The scores by name."""
        return dict(self.evaluation.scores)


Found = tuple[NDArray[np.float32], NDArray[np.float32] | None, ObjectiveCheck | None]


def _seed(model: ModelProto, features: str, targets: Targets, settings: AttackSettings) -> Found:
    attacker = ImageInversionAttack(
        model,
        features=features,
        input_shape=targets.input_shape,
        input_bound=targets.bound,
        loss_weights=settings.loss_weights,
        smoothness=settings.smoothness,
        threads=settings.threads,
    )
    seen = attacker.features(targets.images)
    found = attacker.generate(seen, settings.iterations, seed=settings.seed)
    return found, attacker.loss_curve, attacker.check_objective(targets.images, found, seen)


def _ridge(model: ModelProto, features: str, targets: Targets, settings: AttackSettings) -> Found:
    runner = ModelRunner.of(model, features, threads=settings.threads)
    inverse = RidgeInverse.fit(runner, targets.public_images, bound=targets.bound)
    return inverse.generate(runner(targets.images)), None, None


def _latent(model: ModelProto, features: str, targets: Targets, settings: AttackSettings) -> Found:
    runner = ModelRunner.of(model, features, threads=settings.threads)
    attacker = LatentInversionAttack(
        model,
        features=features,
        public_images=targets.public_images,
        components=min(settings.components, most_components(targets.public_images)),
        input_bound=targets.bound,
        threads=settings.threads,
    )
    return attacker.generate(runner(targets.images), settings.iterations), None, None


ATTACKS: dict[str, Callable[[ModelProto, str, Targets, AttackSettings], Found]] = {
    "seed": _seed,
    "ridge": _ridge,
    "latent": _latent,
}


def attack(
    model: str | PathLike[str] | ModelProto,
    targets: Targets,
    *,
    features: str,
    evaluator: Evaluator | None = None,
    attacks: Sequence[str] = tuple(ATTACKS),
    settings: AttackSettings | None = None,
) -> dict[str, AttackResult]:
    """Run ``attacks`` on the features of the targets, and score every one.

    Raises:
        ValueError: an attack is unknown, or its arguments do not fit the model.
        UnsupportedNodeError: an operator on the way to the features has no gradient rule; the attack ``ridge`` needs
            none.
    """
    unknown = [name for name in attacks if name not in ATTACKS]
    if unknown or not attacks:
        raise ValueError(f"attacks are {list(attacks)}; choose at least one of {', '.join(ATTACKS)}")
    loaded = load_model(model)
    results: dict[str, AttackResult] = {}
    for name in attacks:
        started = time.perf_counter()
        found, curve, check = ATTACKS[name](loaded, features, targets, settings or AttackSettings())
        seconds = time.perf_counter() - started
        evaluation = evaluate(targets, found, evaluator)
        groups = identification_by_membership(targets, evaluation)
        results[name] = AttackResult(name, evaluation, found, seconds, curve, check, groups)
    return results


def evaluate_references(
    targets: Targets, evaluator: Evaluator | None = None, *, seed: int = 0
) -> dict[str, tuple[Evaluation, NDArray[Any]]]:
    """Scores and images of the reference rows, by name (`reference_rows` says what they are)."""
    rows = reference_rows(targets, seed=seed)
    return {name: (evaluate(targets, images, evaluator), images) for name, images in rows.items()}
