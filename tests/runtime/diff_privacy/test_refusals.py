"""Models that are refused, by arguments, by batches, or by their network."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from mindspore import dataset as ds
from mindspore import nn

from mindveil.passes.privacy import PrivacyError
from mindveil.runtime import PoissonBatches
from mindveil.runtime import diff_privacy as dp

from .small import SHUFFLED, arrays, dataset, model_of


@SHUFFLED
def test_batch_normalisation_is_refused_and_group_normalisation_is_not() -> None:
    class Normalised(nn.Cell):
        def __init__(self, norm: nn.Cell) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 4, 3, has_bias=False, weight_init="normal")
            self.norm = norm
            self.flatten = nn.Flatten()
            self.fc = nn.Dense(4 * 8 * 8, 2)

        def construct(self, x: Any) -> Any:
            return self.fc(self.flatten(nn.ReLU()(self.norm(self.conv(x)))))

    rows = np.random.default_rng(0).normal(size=(8, 1, 8, 8)).astype(np.float32), np.arange(8, dtype=np.int32) % 2
    data = ds.NumpySlicesDataset(rows, ["data", "label"]).batch(8)
    with pytest.raises(PrivacyError, match=r"(?i)batch"):
        model_of(Normalised(nn.BatchNorm2d(4))).train(1, data)
    model = model_of(Normalised(nn.GroupNorm(2, 4)))
    model.train(1, data)
    assert model.step.steps_done == 1


def make(**more: Any) -> Callable[[], dp.DPModel]:
    """Makes a model of a small network with other arguments."""
    return lambda: model_of(nn.Dense(5, 2), **more)


def brought(micro_batches: int = 4) -> Any:
    """An optimizer that brings its noise along."""
    factory = dp.DPOptimizerClassFactory(micro_batches)
    factory.set_mechanisms("Gaussian")
    return factory.create("SGD")(nn.Dense(5, 2).trainable_params())


@pytest.mark.parametrize(
    ("wrong", "error", "message"),
    [
        (make(noise_mech=None), ValueError, "neither the optimizer nor the model has a noise mechanism"),
        (make(optimizer=brought()), ValueError, "both the optimizer and the model has a noise mechanism"),
        (make(optimizer=brought(2), noise_mech=None), ValueError, "is 4 for the model and 2 for its optimizer"),
        (make(noise_mech="Gaussian"), TypeError, "noise_mech is 'Gaussian', and must be made by"),
        (make(noise_mech=dp.GaussianRandom(1.0, 1.5, 0.5)), ValueError, r"the noise has mean 0\.5"),
        (make(clip_mech="Gaussian"), TypeError, "clip_mech is 'Gaussian', and must be made by ClipMechanismsFactory"),
        (
            make(clip_mech=dp.AdaClippingWithGaussianRandom(), noise_mech=dp.AdaGaussianRandom()),
            ValueError,
            "clip_mech needs noise that does not decay",
        ),
        (make(micro_batches=None), TypeError, "micro_batches is None"),
        (make(micro_batches=0), ValueError, "micro_batches is 0"),
        (make(norm_bound=-1.0), ValueError, r"norm_bound is -1\.0, and must be above 0"),
        (make(norm_bound=2.0, norm_clip=1.0), TypeError, "norm_clip and norm_bound are two names of one argument"),
        (make(mech=dp.GaussianRandom()), TypeError, "mech and noise_mech are two names of one argument"),
        (make(network=None), TypeError, "network is None"),
        (make(optimizer=None), TypeError, "optimizer is None"),
        (make(norm=1.0), TypeError, "DPModel got the unknown keyword norm; it knows"),
        (make(amp_level="O2"), ValueError, "amp_level is 'O2'"),
    ],
)
def test_wrong_arguments_are_named(wrong: Callable[[], dp.DPModel], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        wrong()


def test_batches_that_cannot_be_divided_and_sinking_are_refused() -> None:
    with pytest.raises(ValueError, match="micro_batches is 4, and must divide the 10 rows of a batch"):
        model_of(nn.Dense(5, 2)).train(1, dataset(batch=10))
    with pytest.raises(ValueError, match="the budget is checked before every step"):
        model_of(nn.Dense(5, 2)).train(
            1, PoissonBatches(arrays(), sampling_rate=0.2, physical_batch=4, steps=1), None, True
        )
    with pytest.raises(ValueError, match="has not been trained"):
        model_of(nn.Dense(5, 2)).card(1e-5)
