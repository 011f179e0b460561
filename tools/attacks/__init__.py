"""Attacks on exported models under onnxruntime, and what their results are worth."""

from __future__ import annotations

from mindveil.tools.attacks.evaluator import Evaluator
from mindveil.tools.attacks.identification import identified
from mindveil.tools.attacks.image_inversion import ImageInversionAttack, ObjectiveCheck
from mindveil.tools.attacks.objective import Objective, Smoothness, Weights, objective_model
from mindveil.tools.attacks.runner import ModelRunner, feature_names
from mindveil.tools.attacks.score import Score, mean_score, paired_difference, rate_score
from mindveil.tools.attacks.similarity import relative_l2, ssim

__all__ = [
    "Evaluator",
    "ImageInversionAttack",
    "ModelRunner",
    "Objective",
    "ObjectiveCheck",
    "Score",
    "Smoothness",
    "Weights",
    "feature_names",
    "identified",
    "mean_score",
    "objective_model",
    "paired_difference",
    "rate_score",
    "relative_l2",
    "ssim",
]
