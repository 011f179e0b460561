"""Lipschitz models are saved, resumed and exported like any other network, with the card of their own step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from mindspore import Tensor, nn

from mindveil.runtime import checkpoint, lipdp
from mindveil.tools import export, inspect

SHAPE, CLASSES, ROWS = (2, 8, 8), 5, 6


def convolutional() -> list[lipdp.DPLayer]:
    return [
        lipdp.DP_BoundedInput(upper_bound=3.0),
        lipdp.DP_QuickSpectralConv2D(4, 3, padding="same"),
        lipdp.DP_AddBias(0.3),
        lipdp.DP_GroupSort(2),
        lipdp.DP_ScaledL2NormPooling2D(2),
        lipdp.DP_Flatten(),
        lipdp.DP_LayerCentering(),
        *lipdp.make_residuals("1-lip-add", [lipdp.DP_QuickSpectralDense(64), lipdp.DP_ReLU()]),
        lipdp.DP_QuickSpectralDense(CLASSES),
        lipdp.DP_ClipGradient(0.5),
    ]


def mixer() -> list[lipdp.DPLayer]:
    config = lipdp.MixerConfig(hidden_size=8, mlp_seq_dim=8, mlp_channel_dim=8, skip_connections=True)
    return lipdp.mlp_mixer(SHAPE, CLASSES, 3.0, config)


def model(layers: list[lipdp.DPLayer]) -> lipdp.DP_Model:
    made = lipdp.DP_Model(
        layers,
        dp_parameters=lipdp.DPParameters("per-layer", 2.0, 1e-5),
        dataset_metadata=lipdp.DatasetMetadata(SHAPE, CLASSES, 100, batch_size=10),
    )
    loss = lipdp.DP_TauCategoricalCrossentropy(4.0)
    made.compile(loss=loss, optimizer=nn.Momentum(made.trainable_params(), 0.5, 0.9))
    return made


@pytest.mark.parametrize("layers", [convolutional, mixer])
def test_a_trained_model_is_saved_resumed_and_exported_with_its_card(
    layers: Callable[[], list[lipdp.DPLayer]], tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    images = rng.normal(size=(ROWS, *SHAPE)).astype(np.float32)
    trained = model(layers())
    trained.train_step((images, rng.integers(0, CLASSES, ROWS).astype(np.int32)))
    checkpoint.save(tmp_path / "run.ckpt", trained.step)
    resumed = model(layers())
    checkpoint.restore(tmp_path / "run.ckpt", resumed.step)
    for before, after in zip(trained.get_parameters(), resumed.get_parameters(), strict=True):
        np.testing.assert_array_equal(before.asnumpy(), after.asnumpy())
    assert resumed.step.epsilon(1e-5) == trained.step.epsilon(1e-5)
    export(resumed.set_train(False), tmp_path / "model.onnx", inputs=(ROWS, *SHAPE), card=trained.step.card(1e-5))
    session = ort.InferenceSession(tmp_path / "model.onnx")
    (logits,) = session.run(None, {session.get_inputs()[0].name: images})
    np.testing.assert_allclose(logits, trained.set_train(False)(Tensor(images)).asnumpy(), atol=1e-6)
    card = inspect(tmp_path / "model.onnx").card
    assert card.mode == "private"
    assert card.epsilon == pytest.approx(trained.step.epsilon(1e-5))
    assert card.passes[:2] == ("bound", "noise")
