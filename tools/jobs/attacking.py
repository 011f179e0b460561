"""Attacks exported files, all on the same targets, with an evaluator that took no part in any of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindveil.runtime.datasets import ImageData
from mindveil.tools.attacks import Evaluator, ModelRunner, Targets, feature_names
from mindveil.tools.attacks.run import ATTACKS, AttackResult, AttackSettings, attack, evaluate_references
from mindveil.tools.attacks.score import Score
from mindveil.tools.cli.config import AttackConfig, RunConfig
from mindveil.tools.jobs.progress import Progress

__all__ = ["Attacked", "attack_models", "default_features", "exported_accuracy", "make_targets", "wanted_features"]

#: Seed 002 starts from what follows LeNet5's first dense layer and its ReLU.
LENET_FEATURES = "fc1_relu"


@dataclass(frozen=True, eq=False)
class Attacked:
    """All attacks on all models, and the rows to read them against."""

    targets: Targets
    features: str
    feature_size: int
    results: Mapping[str, Mapping[str, AttackResult]]
    references: Mapping[str, Mapping[str, Score]]
    reference_images: Mapping[str, np.ndarray]  # type: ignore[type-arg]


def make_targets(data: ImageData, count: int) -> Targets:
    """The first training and the first test images, half each; the attacker may learn from the other test images."""
    members = (count + 1) // 2
    held_out = count - members
    if members > len(data.train_images) or held_out >= len(data.test_images):
        raise ValueError(
            f"{count} targets need {members} training and more than {held_out} test images; "
            f"there are {len(data.train_images)} and {len(data.test_images)}"
        )
    images = np.concatenate([data.train_images[:members], data.test_images[:held_out]])
    labels = np.concatenate([data.train_labels[:members], data.test_labels[:held_out]]).astype(np.int64)
    public = data.test_images[held_out:]
    fresh = _not_among(public, images)
    return Targets(
        images,
        labels,
        public[fresh],
        data.test_labels[held_out:][fresh].astype(np.int64),
        members=np.arange(count) < members,
    )


def attack_models(
    files: Mapping[str, Path], evaluator: Path | None, targets: Targets, settings: AttackConfig, progress: Progress
) -> Attacked:
    """Runs every attack of the catalogue on every file.

    Args:
        files: exported models by short name.
        evaluator: an exported model that was trained independently.

    Raises:
        ValueError: a file has no value of the wanted name; the message lists those it has.
    """
    judge = Evaluator.of(evaluator) if evaluator is not None else None
    features = settings.layer or default_features(next(iter(files.values())))
    options = AttackSettings(iterations=settings.iterations, seed=settings.seed)
    progress.begin("attack", len(files) * len(ATTACKS))
    results: dict[str, dict[str, AttackResult]] = {}
    for name, path in files.items():
        results[name] = {}
        for kind in ATTACKS:
            results[name] |= attack(path, targets, features=features, evaluator=judge, attacks=[kind], settings=options)
            found = results[name][kind].scores["identification_rate"]
            progress.advance(f"{name}, {kind}: {found.value:.0%} identified")
    rows = evaluate_references(targets, judge, seed=settings.seed)
    size = int(ModelRunner.of(next(iter(files.values())), features)(targets.images[:1]).size)
    return Attacked(
        targets,
        features,
        size,
        results,
        {name: dict(evaluation.scores) for name, (evaluation, _) in rows.items()},
        {name: images for name, (_, images) in rows.items()},
    )


def wanted_features(config: RunConfig) -> tuple[str, ...]:
    """Values that an export must keep because an attack starts from them; another network's last value stays anyway."""
    if config.attack.layer is not None:
        return (config.attack.layer,)
    return (LENET_FEATURES,) if config.network is None else ()


def default_features(path: Path) -> str:
    """Where an attack starts if nobody says: LeNet5's first dense layer, or the last value before the result.

    The last value is the one that most applications hand on; earlier ones leak more, so that an attacker who sees
    those is not covered by the figures.
    """
    names = feature_names(path)
    if LENET_FEATURES in names:
        return LENET_FEATURES
    if not names:
        raise ValueError(f"{path} computes nothing from its input that an attack could start from")
    return names[max(0, len(names) - 2)]


def exported_accuracy(path: Path, data: ImageData) -> float:
    """Share of test images that an exported file classifies right, under onnxruntime."""
    outputs = ModelRunner.of(path)(data.test_images)
    return float((outputs.argmax(1) == data.test_labels).mean())


def _not_among(images: np.ndarray, others: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    """True for images that are no copy of one of the others: an attacker's public images must not hold a target."""
    known = {row.tobytes() for row in others}
    return np.array([row.tobytes() not in known for row in images])
