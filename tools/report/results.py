"""The results of a run as frozen values: what ``metrics.json`` holds and what the report shows."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from mindveil.tools.attacks.run import AttackResult
from mindveil.tools.attacks.score import Score

__all__ = [
    "AttackRecord",
    "Difference",
    "History",
    "ModelResult",
    "RunResults",
    "TargetSummary",
    "attack_record",
    "paired_differences",
]


@dataclass(frozen=True, slots=True)
class AttackRecord:
    """One attack on one model, without the images.

    Attributes:
        scores: by name, each with its interval.
        seconds: wall-clock time, None where it was not taken.
        true_loss, found_loss: the attack's mean objective on the true images and on its reconstructions; None where
            it has no objective.
        groups: the identification rate on targets that were trained on, and on others; empty where unknown.
    """

    scores: Mapping[str, Score]
    seconds: float | None = None
    true_loss: float | None = None
    found_loss: float | None = None
    groups: Mapping[str, Score] = field(default_factory=dict)

    @property
    def prefers_wrong(self) -> bool:
        """Whether the objective is lower on the reconstructions than on the true images."""
        return self.true_loss is not None and self.found_loss is not None and self.found_loss < self.true_loss


def attack_record(result: AttackResult) -> AttackRecord:
    """What is kept of an attack's result."""
    check = result.check
    return AttackRecord(
        scores=dict(result.scores),
        seconds=result.seconds,
        true_loss=None if check is None else float(check.true.mean()),
        found_loss=None if check is None else float(check.found.mean()),
        groups=dict(result.groups),
    )


@dataclass(frozen=True, slots=True)
class History:
    """Curves of a training: one number per entry of ``steps``, or an empty tuple where there is none.

    Attributes:
        steps: updates done so far, increasing.
        epsilon: spent so far, at the model's delta.
        sparsity: share of zero weights among the masked parameters.
        accuracy: on held-out data, in [0, 1].
    """

    steps: tuple[int, ...] = ()
    epsilon: tuple[float, ...] = ()
    sparsity: tuple[float, ...] = ()
    accuracy: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if any(after <= before for before, after in zip(self.steps, self.steps[1:], strict=False)):
            raise ValueError("steps of a history must increase")
        for name, curve in (("epsilon", self.epsilon), ("sparsity", self.sparsity), ("accuracy", self.accuracy)):
            if curve and len(curve) != len(self.steps):
                raise ValueError(
                    f"{name} has {len(curve)} entries for {len(self.steps)} steps; wanted: as many, or none"
                )


@dataclass(frozen=True, slots=True)
class ModelResult:
    """One trained, exported and attacked model.

    Attributes:
        title: how tables and pictures name it.
        mode: ``public``, ``suppressed`` or ``private``.
        accuracy: of the exported file on held-out images, in [0, 1], on ``accuracy_n`` images.
        epsilon: None where no claim is made, infinite where training had no noise; at ``delta``.
        sparsity: share of zero weights.
        onnx_bytes: size of the exported file.
        onnx_max_abs_difference: largest difference between its outputs and MindSpore's on real images.
        sha256: of the exported file, in hexadecimal.
        attacks: by name; the first one is the headline attack.
        history: of the training.
        notes: sentences that the report prints under the tables.
    """

    title: str
    mode: str
    accuracy: float
    accuracy_n: int
    epsilon: float | None
    delta: float | None
    sparsity: float
    onnx_bytes: int
    onnx_max_abs_difference: float
    sha256: str
    attacks: Mapping[str, AttackRecord]
    history: History = field(default_factory=History)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.accuracy <= 1 or not 0 <= self.sparsity <= 1:
            raise ValueError(f"accuracy {self.accuracy} and sparsity {self.sparsity} must be in [0, 1]")
        if self.epsilon is not None and (math.isnan(self.epsilon) or self.epsilon < 0 or self.delta is None):
            raise ValueError(f"epsilon is {self.epsilon} at delta {self.delta}; wanted: at least 0, with a delta")
        if not self.attacks:
            raise ValueError(f"the model {self.title!r} has no attack; a report without one would show no leak")


@dataclass(frozen=True, slots=True)
class TargetSummary:
    """What all models were attacked on.

    Attributes:
        count: number of targets; candidates: images that identification chooses from, the targets included.
        features: the value whose features the attacker sees; feature_size: how many numbers it has.
        sha256, public_sha256: of the target images and of the attacker's public images.
        public_count: images that the attacker may learn from.
        source: where the images come from, in words.
    """

    count: int
    candidates: int
    features: str
    feature_size: int
    sha256: str
    public_count: int
    public_sha256: str
    source: str


@dataclass(frozen=True, slots=True)
class Difference:
    """The score ``name`` of a model minus that of another under one attack, paired target by target."""

    attack: str
    model: str
    baseline: str
    name: str
    score: Score


def paired_differences(results: Mapping[str, Mapping[str, AttackResult]], baseline: str) -> tuple[Difference, ...]:
    """Every other model against ``baseline``, for every attack and score that both have.

    Args:
        results: by model, then by attack; all on the same targets.
    """
    found: list[Difference] = []
    for model, by_attack in results.items():
        for attack, result in by_attack.items():
            other = results[baseline].get(attack)
            if model == baseline or other is None:
                continue
            names = [name for name in result.evaluation.records if name in other.evaluation.records]
            found.extend(
                Difference(attack, model, baseline, name, result.evaluation.compared_with(other.evaluation, name))
                for name in names
            )
    return tuple(found)


@dataclass(frozen=True, slots=True)
class RunResults:
    """Everything that a run measured.

    Attributes:
        name: of the run.
        models: by short name (``plain``, ``suppressed``, ``dp``), in the order of the tables.
        references: scores of stand-ins for reconstructions, by row and score name.
        targets: what was attacked.
        differences: paired comparisons between models.
        versions: of the software that took part.
        seconds: wall-clock time of the whole run; stage_seconds: of its parts.
        command: as it was given.
        evaluator: how the evaluator was made, and its accuracy, in words.
    """

    name: str
    models: Mapping[str, ModelResult]
    references: Mapping[str, Mapping[str, Score]]
    targets: TargetSummary
    versions: Mapping[str, str]
    seconds: float
    command: str
    stage_seconds: Mapping[str, float] = field(default_factory=dict)
    differences: tuple[Difference, ...] = ()
    evaluator: str = ""

    def __post_init__(self) -> None:
        if not self.models:
            raise ValueError("a run without models has nothing to report")

    @property
    def attack_names(self) -> tuple[str, ...]:
        """Every attack that ran on any model, in order of first appearance."""
        return tuple(dict.fromkeys(name for model in self.models.values() for name in model.attacks))
