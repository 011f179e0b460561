"""A small run with every kind of result, for tests of the report."""

from __future__ import annotations

import math

import numpy as np

from mindveil.tools.attacks import Score
from mindveil.tools.report import (
    AttackRecord,
    Difference,
    History,
    LossCurve,
    ModelResult,
    PictureData,
    RunResults,
    TargetSummary,
)

IMAGES = np.random.default_rng(0).random((12, 1, 16, 16), dtype=np.float32)


GROUPS = {
    "trained on": Score("trained on", 0.55, 0.5, 0.6, 6),
    "never trained on": Score("never trained on", 0.45, 0.4, 0.5, 6),
}


def scores(identified: float, l2: float) -> dict[str, Score]:
    return {
        "l2": Score("l2", l2, l2 - 0.05, l2 + 0.05, 12),
        "ssim": Score("ssim", 0.4, 0.3, 0.5, 12),
        "identification_rate": Score("identification_rate", identified, 0.0, 1.0, 12),
        "evaluator_confidence": Score("evaluator_confidence", 0.9, 0.8, 0.95, 12),
        "evaluator_accuracy": Score("evaluator_accuracy", 1.0, 0.7, 1.0, 12),
    }


def model(title: str, mode: str, *, epsilon: float | None = None, seed_l2: float = 0.8) -> ModelResult:
    return ModelResult(
        title=title,
        mode=mode,
        accuracy=0.951,
        accuracy_n=1000,
        epsilon=epsilon,
        delta=None if epsilon is None else 1e-5,
        sparsity=0.95 if mode == "suppressed" else 0.0,
        onnx_bytes=247_600,
        onnx_max_abs_difference=3.25e-6,
        sha256="ab" * 32,
        attacks={
            "seed": AttackRecord(scores(0.25, seed_l2), 1.5, true_loss=0.6, found_loss=0.25),
            "ridge": AttackRecord(scores(0.75, 0.45), 0.2, groups=GROUPS),
        },
        history=History(
            steps=(10, 20, 30),
            epsilon=(1.0, 2.0, 3.0) if epsilon is not None else (),
            sparsity=(0.3, 0.8, 0.95) if mode == "suppressed" else (),
        ),
    )


def run() -> RunResults:
    return RunResults(
        name="small <run>",
        models={
            "plain": model("Ordinary", "public"),
            "suppressed": model("Suppressed", "suppressed", seed_l2=0.6),
            "dp": model("DP-SGD", "private", epsilon=7.98),
            "silent": model("No noise", "private", epsilon=math.inf),
        },
        references={"black": scores(0.0, 1.0), "class_mean": scores(0.0, 0.7)},
        targets=TargetSummary(12, 200, "fc1", 120, "cd" * 32, 500, "ef" * 32, "twelve random squares"),
        versions={"mindveil": "0.1.0", "onnxruntime": "1.32.0"},
        seconds=12.5,
        command="mindveil demo --name 'small <run>'",
        stage_seconds={"train": 10.0, "attack": 2.5},
        differences=(Difference("ridge", "suppressed", "plain", "l2", Score("l2 difference", -0.1, -0.2, -0.05, 12)),),
        evaluator="LeNet5, another seed, 97 % accurate",
    )


def pictures() -> PictureData:
    return PictureData(
        originals=IMAGES,
        reconstructions={name: {"plain": 0.5 * IMAGES, "dp": 1 - IMAGES} for name in ("seed", "ridge")},
        references={"Class mean": np.full_like(IMAGES, 0.5)},
        loss_curves={"plain": LossCurve(np.linspace(1, 0.2, 20, dtype=np.float32), 0.6)},
    )
