"""Lipschitz networks of every kind of layer, and steps that train them without clipping."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mindspore import nn

from mindveil import accountant
from mindveil.runtime import LipschitzDP, PrivateStep, lipdp

SHAPE, CLASSES, ROWS = (2, 8, 8), 10, 6
#: What one update of the ledger's test releases.
ONCE = accountant.PoissonSampled(0.5, accountant.Gaussian(3.0))
QUIET = pytest.mark.filterwarnings("ignore:noise_multiplier is 0:mindveil.accountant.PrivacyWarning")
MIXER = lipdp.MixerConfig(
    hidden_size=8, mlp_seq_dim=8, mlp_channel_dim=8, add_biases=True, skip_connections=True, clip_loss_gradient=0.5
)
NETWORKS: dict[str, Callable[[], list[Any]]] = {
    "dense": lambda: [
        lipdp.DP_Flatten(),
        lipdp.DP_QuickSpectralDense(16),
        lipdp.DP_AddBias(),
        lipdp.DP_GroupSort(2),
        lipdp.DP_QuickSpectralDense(CLASSES),
        lipdp.DP_ClipGradient(0.5),
    ],
    "convolutions": lambda: [
        lipdp.DP_QuickSpectralConv2D(4, 3, padding="same"),
        lipdp.DP_AddBias(0.3),
        lipdp.DP_GroupSort(4),
        lipdp.DP_ScaledL2NormPooling2D(2),
        lipdp.DP_SpectralConv2D(4, 3, strides=2),
        lipdp.DP_ReLU(),
        lipdp.DP_Flatten(),
        lipdp.DP_LayerCentering(),
        lipdp.DP_QuickSpectralDense(CLASSES),
    ],
    "branches": lambda: [
        lipdp.DP_Flatten(),
        *lipdp.make_residuals("1-lip-add", [lipdp.DP_QuickSpectralDense(128), lipdp.DP_GroupSort(2)]),
        *lipdp.make_residuals("add", [lipdp.DP_QuickSpectralDense(128), lipdp.DP_AddBias(0.5)]),
        lipdp.DP_QuickSpectralDense(CLASSES),
    ],
    "mixer": lambda: lipdp.mlp_mixer(SHAPE, CLASSES, 3.0, MIXER)[1:],
    "maxima": lambda: [lipdp.DP_QuickSpectralConv2D(CLASSES, 3), lipdp.DP_MaxPool2D(6), lipdp.DP_Flatten()],
    "means": lambda: [lipdp.DP_QuickSpectralConv2D(CLASSES, 3), lipdp.DP_AveragePooling2D(6), lipdp.DP_Flatten()],
    "norms": lambda: [lipdp.DP_QuickSpectralConv2D(CLASSES, 3), lipdp.DP_ScaledGlobalL2NormPooling2D()],
}
LOSSES: dict[str, Callable[[], Any]] = {
    "cross-entropy": lambda: lipdp.DP_TauCategoricalCrossentropy(8.0),
    "binary": lambda: lipdp.DP_TauBCE(2.0),
    "cosine": lambda: lipdp.DP_KCosineSimilarity(0.1),
    "hinge": lambda: lipdp.DP_MulticlassHinge(1.0),
    "absolute": lambda: lipdp.DP_MeanAbsoluteError(),
}


def model(name: str, loss: str = "cross-entropy") -> lipdp.DP_Model:
    made = lipdp.DP_Model(
        [lipdp.DP_BoundedInput(upper_bound=3.0), *NETWORKS[name]()],
        dp_parameters=lipdp.DPParameters("global", 1.0, 1e-5),
        dataset_metadata=lipdp.DatasetMetadata(SHAPE, CLASSES, 100, batch_size=10),
    )
    made.compile(loss=LOSSES[loss](), optimizer=nn.SGD(made.trainable_params(), 0.1))
    return made


def guaranteed(made: nn.Cell) -> dict[str, float]:
    found: dict[str, float] = {}
    for _, cell in made.cells_and_names():
        found |= cell.guaranteed() if isinstance(cell, lipdp.DPLayer) else {}
    return found


def step_of(made: Any, noise: float = 0.0, rate: float = 1.0, **settings: Any) -> PrivateStep:
    public = tuple(p.name for p in made.get_parameters() if not p.requires_grad)
    policy = LipschitzDP(noise, sampling_rate=0.5, dataset_size=2, public=public, **settings)
    return PrivateStep(made, made.loss, nn.SGD(made.trainable_params(), rate), [policy])


def batch(rows: int = ROWS) -> tuple[Any, Any]:
    """Images far beyond the input's bound, constant ones, and small ones."""
    rng = np.random.default_rng(0)
    images = rng.normal(size=(rows, *SHAPE)).astype(np.float32)
    images[0], images[1] = 100.0, images[1] / 1000
    return images, rng.integers(0, CLASSES, rows).astype(np.int32)
