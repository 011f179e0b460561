"""The main job: three models trained, accounted for, exported, attacked, and reported side by side."""

from __future__ import annotations

import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from mindveil import __version__
from mindveil.runtime.card import Mode
from mindveil.runtime.datasets import ImageData, embedded_mnist, load
from mindveil.tools.attacks.run import AttackResult
from mindveil.tools.cli.config import DataConfig, RunConfig
from mindveil.tools.cli.run_folder import RunFolder
from mindveil.tools.exporting.report import ExportReport
from mindveil.tools.jobs.attacking import LENET_FEATURES, Attacked, attack_models, exported_accuracy, make_targets
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

__all__ = ["MODELS", "load_data", "run_demo"]

#: Short name, mode and title of each model of the demo.
MODELS: tuple[tuple[str, Mode, str], ...] = (
    ("plain", "public", "Ordinary"),
    ("suppressed", "suppressed", "Suppressed"),
    ("dp", "private", "DP-SGD"),
)
#: The evaluator starts from other weights than any model that is attacked.
EVALUATOR_SEED = 1_000
LEDGER = "ledger.jsonl"


def load_data(config: DataConfig) -> ImageData:
    """The embedded images, or the user's own.

    Raises:
        ValueError, OSError: the folder or file is missing or malformed.
    """
    if config.source is None:
        return embedded_mnist(config.seed, config.size or 32)
    return load(config.source, size=config.size)


def run_demo(config: RunConfig, folder: RunFolder, progress: Progress, command: str) -> RunResults:
    """Runs all stages and writes their files into ``folder``.

    Args:
        command: as it was typed, for the report.
    """
    started, stages = time.perf_counter(), {}
    data = load_data(config.data)
    trained: dict[str, Trained] = {}
    for name, mode, _ in MODELS:
        ledger = folder.path / LEDGER if mode == "private" else None
        trained[name] = train_model(config, mode, data, progress, ledger_path=ledger)
        stages[f"train {name}"] = trained[name].seconds
    judge = train_model(config, "public", data, progress, seed=config.seed + EVALUATOR_SEED)
    stages["train evaluator"] = judge.seconds
    features = config.attack.layer or LENET_FEATURES
    clock = time.perf_counter()
    reports = export_models({**trained, "evaluator": judge}, data, folder, progress, keep=[features])
    stages["export"] = time.perf_counter() - clock
    clock = time.perf_counter()
    files = {name: folder.path / f"{name}.onnx" for name in trained}
    targets = make_targets(data, config.attack.images)
    attacked = attack_models(files, folder.path / "evaluator.onnx", targets, config.attack, progress)
    stages["attack"] = time.perf_counter() - clock
    progress.begin("report", 1)
    judged = exported_accuracy(folder.path / "evaluator.onnx", data)
    models = {
        name: _model(title, trained[name], reports[name], files[name], attacked.results[name], data)
        for name, _, title in MODELS
    }
    results = RunResults(
        name=config.name,
        models=models,
        references=attacked.references,
        targets=_summary(attacked, data),
        versions=_versions(),
        seconds=time.perf_counter() - started,
        command=command,
        stage_seconds=stages,
        differences=paired_differences(attacked.results, MODELS[0][0]),
        evaluator=f"LeNet5 from other initial weights, {judged:.1%} right on held-out images",
    )
    write_report(folder.path, results, _pictures(attacked))
    progress.advance()
    return results


def _model(
    title: str, trained: Trained, report: ExportReport, path: Path, attacks: Mapping[str, AttackResult], data: ImageData
) -> ModelResult:
    card, points = trained.card, [p for p in trained.history.points if p.accuracy is not None]
    return ModelResult(
        title=title,
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
            sparsity=tuple(p.sparsity for p in points) if card.mode == "suppressed" else (),
            accuracy=tuple(p.accuracy for p in points if p.accuracy is not None),
        ),
        notes=card.warnings,
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
