"""The main job: models trained, accounted for, exported, attacked, and reported side by side."""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from mindveil import __version__
from mindveil.runtime.card import Mode
from mindveil.runtime.datasets import ImageData, embedded_mnist, load
from mindveil.tools.attacks.run import AttackResult
from mindveil.tools.cli.config import DataConfig, RunConfig
from mindveil.tools.cli.run_folder import RunFolder
from mindveil.tools.exporting.report import ExportReport
from mindveil.tools.jobs.attacking import Attacked, attack_models, exported_accuracy, make_targets, wanted_features
from mindveil.tools.jobs.exporting import export_models, sha256_of
from mindveil.tools.jobs.progress import Progress
from mindveil.tools.jobs.training import Trained, train_model
from mindveil.tools.report import (
    History,
    LossCurve,
    ModelResult,
    PictureData,
    RunResults,
    TargetSummary,
    attack_record,
    paired_differences,
    write_report,
)

__all__ = ["MODELS", "ModelSpec", "load_data", "run_job"]


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model of the job: its short name in files and ``metrics.json``, how it is trained, its title in tables.

    Attributes:
        choice: what ``mindveil train --mode`` calls it.
        suppressed: weights are set to zero, in a private run too.
        ledger: the file that a private run writes what it spends into.
    """

    name: str
    mode: Mode
    title: str
    choice: str
    suppressed: bool = False
    ledger: str | None = None


MODELS: tuple[ModelSpec, ...] = (
    ModelSpec("plain", "public", "Ordinary", "public"),
    ModelSpec("suppressed", "suppressed", "Suppressed", "suppressed", suppressed=True),
    ModelSpec("dp", "private", "DP-SGD", "private", ledger="ledger.jsonl"),
    ModelSpec(
        "suppressed_dp",
        "private",
        "Suppressed, DP-SGD",
        "suppressed-private",
        suppressed=True,
        ledger="ledger_suppressed_dp.jsonl",
    ),
)
#: The evaluator starts from other weights than any model that is attacked.
EVALUATOR_SEED = 1_000
EVALUATOR = "evaluator"
#: Said of every private model where a job trains several on the same records.
ADDS_UP = (
    "Another model of this run was trained privately on the same records: for somebody who sees both files, their "
    "epsilons add up."
)


def load_data(config: DataConfig) -> ImageData:
    """The embedded images, or the user's own.

    Raises:
        ValueError, OSError: the folder or file is missing or malformed.
    """
    if config.source is None:
        return embedded_mnist(config.seed, config.size or 32)
    return load(config.source, size=config.size)


def run_job(
    config: RunConfig, folder: RunFolder, progress: Progress, command: str, models: Sequence[ModelSpec] = MODELS
) -> RunResults:
    """Runs all stages for some models, and writes their files into ``folder``.

    Args:
        command: as it was typed, for the report.
        models: which models, in the order of the report.
    """
    started = time.perf_counter()
    data = load_data(config.data)
    targets = make_targets(data, config.attack.images)
    trained = {m.name: _train(config, m, data, folder, progress) for m in models}
    judge = train_model(config, "public", data, progress, seed=config.seed + EVALUATOR_SEED)
    trained_all = {**trained, EVALUATOR: judge}
    stages = {f"train {name}": t.seconds for name, t in trained_all.items()}
    with _timed(stages, "export"):
        reports = export_models(trained_all, data, folder, progress, keep=wanted_features(config))
    files = {name: folder.path / f"{name}.onnx" for name in trained_all}
    attacked_files = {m.name: files[m.name] for m in models}
    with _timed(stages, "attack"):
        attacked = attack_models(attacked_files, files[EVALUATOR], targets, config.attack, progress)
    progress.begin("report", 1)
    judged = exported_accuracy(files[EVALUATOR], data)
    results = RunResults(
        name=config.name,
        models={
            m.name: _model(m, trained[m.name], reports[m.name], files[m.name], attacked.results[m.name], data, models)
            for m in models
        },
        references=attacked.references,
        targets=_summary(attacked, data),
        versions=_versions(),
        seconds=time.perf_counter() - started,
        command=command,
        stage_seconds=stages,
        differences=paired_differences(attacked.results, models[0].name),
        evaluator=f"the same network from other initial weights, {judged:.1%} right on held-out images",
    )
    write_report(folder.path, results, _pictures(attacked))
    progress.advance()
    return results


def _train(config: RunConfig, model: ModelSpec, data: ImageData, folder: RunFolder, progress: Progress) -> Trained:
    ledger = folder.path / model.ledger if model.ledger is not None else None
    return train_model(config, model.mode, data, progress, suppressed=model.suppressed, ledger_path=ledger)


@contextmanager
def _timed(stages: dict[str, float], name: str) -> Iterator[None]:
    started = time.perf_counter()
    yield
    stages[name] = time.perf_counter() - started


def _model(
    spec: ModelSpec,
    trained: Trained,
    report: ExportReport,
    path: Path,
    attacks: Mapping[str, AttackResult],
    data: ImageData,
    models: Sequence[ModelSpec],
) -> ModelResult:
    several = spec.mode == "private" and len([m for m in models if m.mode == "private"]) > 1
    card, points = trained.card, [p for p in trained.history.points if p.accuracy is not None]
    return ModelResult(
        title=spec.title,
        mode=card.mode,
        accuracy=exported_accuracy(path, data),
        accuracy_n=len(data.test_images),
        epsilon=card.epsilon,
        delta=card.delta,
        sparsity=card.sparsity,
        onnx_bytes=path.stat().st_size,
        onnx_max_abs_difference=report.max_difference,
        sha256=sha256_of(path),
        attacks={name: attack_record(result) for name, result in attacks.items()},
        history=History(
            steps=tuple(p.step for p in points),
            epsilon=tuple(p.epsilon for p in points if p.epsilon is not None),
            sparsity=tuple(p.sparsity for p in points) if spec.suppressed else (),
            accuracy=tuple(p.accuracy for p in points if p.accuracy is not None),
        ),
        notes=card.warnings + ((ADDS_UP,) if several else ()),
    )


def _summary(attacked: Attacked, data: ImageData) -> TargetSummary:
    targets = attacked.targets
    return TargetSummary(
        count=len(targets.images),
        candidates=targets.candidates,
        features=attacked.features,
        feature_size=attacked.feature_size,
        sha256=targets.digest,
        public_count=len(targets.public_images),
        public_sha256=targets.public_digest,
        source=f"{data.name}; half of the targets from the training set, half held out",
    )


def _pictures(attacked: Attacked) -> PictureData:
    """The arrays of the report: the first targets are members of the training set, none is chosen."""
    kinds = list(next(iter(attacked.results.values())))
    return PictureData(
        originals=attacked.targets.images,
        reconstructions={
            k: {name: found[k].reconstructions for name, found in attacked.results.items()} for k in kinds
        },
        references={"Class mean": attacked.reference_images["class_mean"]},
        loss_curves={
            name: LossCurve(result.loss_curve.mean(1), float(result.check.true.mean()))
            for name, found in attacked.results.items()
            for result in found.values()
            if result.loss_curve is not None and result.check is not None
        },
    )


def _versions() -> dict[str, str]:
    packages = ("mindspore", "numpy", "onnx", "onnxruntime")
    return {"mindveil": __version__, "python": platform.python_version(), **{p: version(p) for p in packages}}
