"""Attacks on exported models under onnxruntime, and what their results are worth."""

from __future__ import annotations

from mindveil.tools.attacks.catalogue import CATALOGUE, AttackEntry, not_tested
from mindveil.tools.attacks.evaluation import REFERENCE_ROWS, SCORES, Evaluation, evaluate, reference_rows
from mindveil.tools.attacks.evaluator import Evaluator
from mindveil.tools.attacks.identification import identified
from mindveil.tools.attacks.image_inversion import ImageInversionAttack, ObjectiveCheck
from mindveil.tools.attacks.latent import LatentInversionAttack
from mindveil.tools.attacks.objective import Objective, Smoothness, Weights, objective_model
from mindveil.tools.attacks.ridge import RidgeInverse
from mindveil.tools.attacks.run import ATTACKS, AttackResult, AttackSettings, attack, evaluate_references
from mindveil.tools.attacks.runner import ModelRunner, feature_names
from mindveil.tools.attacks.score import Score, mean_score, paired_difference, rate_score
from mindveil.tools.attacks.similarity import relative_l2, ssim
from mindveil.tools.attacks.targets import Targets

__all__ = [
    "ATTACKS",
    "CATALOGUE",
    "REFERENCE_ROWS",
    "SCORES",
    "AttackEntry",
    "AttackResult",
    "AttackSettings",
    "Evaluation",
    "Evaluator",
    "ImageInversionAttack",
    "LatentInversionAttack",
    "ModelRunner",
    "Objective",
    "ObjectiveCheck",
    "RidgeInverse",
    "Score",
    "Smoothness",
    "Targets",
    "Weights",
    "attack",
    "evaluate",
    "evaluate_references",
    "feature_names",
    "identified",
    "mean_score",
    "not_tested",
    "objective_model",
    "paired_difference",
    "rate_score",
    "reference_rows",
    "relative_l2",
    "ssim",
]
