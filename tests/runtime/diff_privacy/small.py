"""A small model on small data, for the tests of differential privacy under its known names."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from mindspore import dataset as ds
from mindspore import nn

from mindveil.runtime import diff_privacy as dp

LOSS = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
SHUFFLED = pytest.mark.filterwarnings("ignore:the batches are not drawn by Poisson sampling")
LINE = re.compile(r"epoch: (\d+) step: (\d+), delta is (\S+), eps is (\S+) \((.*)\)")


def arrays(records: int = 40) -> tuple[Any, Any]:
    """Two separable classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(records, dtype=np.int32) % 2
    return rng.normal(labels[:, None] * 4 - 2, 1, (records, 5)).astype(np.float32), labels


def dataset(batch: int = 8, records: int = 40) -> Any:
    """A MindSpore dataset of shuffled batches."""
    return ds.NumpySlicesDataset(arrays(records), ["data", "label"], shuffle=True).batch(batch, drop_remainder=True)


def model_of(trained: nn.Cell, rate: float = 0.1, **more: Any) -> dp.DPModel:
    """A model with constant noise, over an ordinary optimizer, unless told otherwise."""
    given: dict[str, Any] = {"micro_batches": 4, "norm_bound": 1.0, "network": trained, "loss_fn": LOSS} | more
    given.setdefault("noise_mech", dp.NoiseMechanismsFactory.create("Gaussian", 1.0, 1.5))
    given.setdefault("optimizer", nn.SGD(trained.trainable_params(), rate))
    return dp.DPModel(**given)


def monitor(**more: Any) -> dp.RDPMonitor:
    """A monitor that was told of `model_of` on `dataset`."""
    told = {"num_samples": 40, "batch_size": 8, "initial_noise_multiplier": 1.5, "target_delta": 1e-3} | more
    return dp.PrivacyMonitorFactory.create("rdp", noise_decay_mode=None, **told)
