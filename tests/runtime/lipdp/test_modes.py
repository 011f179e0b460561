"""Training is the same in graph and in PyNative mode, and in whatever order the optimizer was given its parameters."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn

from mindveil.runtime import lipdp

ROWS = 6


def trained(mode: int, backwards: bool = False) -> list[Any]:
    """Weights after four updates without noise from the same start."""
    ms.set_context(mode=mode)
    ms.set_seed(1)
    model = lipdp.DP_Sequential(
        lipdp.DP_BoundedInput(upper_bound=2.0),
        lipdp.DP_QuickSpectralDense(5),
        lipdp.DP_GroupSort(1),
        lipdp.DP_QuickSpectralDense(5),
        dp_parameters=lipdp.DPParameters("global", 0.0, 1e-5),
        dataset_metadata=lipdp.DatasetMetadata((5,), 5, nb_samples_train=60, batch_size=ROWS),
    )
    for k, parameter in enumerate(model.trainable_params()):
        start = np.linalg.qr(np.random.default_rng(k).normal(size=parameter.shape))[0]
        parameter.set_data(ms.Tensor(start.astype(np.float32)))
    parameters = model.trainable_params()[:: -1 if backwards else 1]
    model.compile(loss=lipdp.DP_TauCategoricalCrossentropy(2.0), optimizer=nn.Momentum(parameters, 0.5, 0.9))
    images = np.random.default_rng(9).normal(size=(ROWS, 5)).astype(np.float32)
    labels = np.arange(ROWS, dtype=np.int32) % 5
    losses = [model.train_step((images, labels))["loss"] for _ in range(4)]
    assert losses == sorted(losses, reverse=True)
    return [p.asnumpy() for p in model.trainable_params()]


@pytest.mark.filterwarnings("ignore:noise_multiplier is 0:mindveil.accountant.PrivacyWarning")
def test_both_modes_and_both_orders_train_alike() -> None:
    graph = trained(ms.GRAPH_MODE)
    for other in (trained(ms.PYNATIVE_MODE), trained(ms.GRAPH_MODE, backwards=True)):
        for a, b in zip(graph, other, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-5)
