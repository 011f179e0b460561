"""An adaptive clip value follows the data's slopes, pays for each look, and views of an example share its weight."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mindspore import nn

from mindveil import accountant
from mindveil.runtime import lipdp

RECORDS, BATCH = 200, 50
Adaptive = lipdp.AdaptiveQuantileClipping | lipdp.LaplaceAdaptiveLossGradientClipping


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(RECORDS, 4)).astype(np.float32), rng.integers(0, 2, RECORDS).astype(np.int32)


def model(mode: str = "dynamic") -> lipdp.DP_Sequential:
    made = lipdp.DP_Sequential(
        lipdp.DP_BoundedInput(upper_bound=1.0),
        lipdp.DP_QuickSpectralDense(2),
        lipdp.DP_ClipGradient(None if mode == "dynamic" else 1.0, mode),
        dp_parameters=lipdp.DPParameters("global", 2.0, 1e-5),
        dataset_metadata=lipdp.DatasetMetadata((4,), 2, RECORDS, batch_size=BATCH, nb_steps_per_epochs=1),
    )
    made.compile(
        loss=lipdp.DP_TauCategoricalCrossentropy(1.0), optimizer=nn.SGD(made.trainable_params(), learning_rate=0.01)
    )
    return made


def quantile() -> Adaptive:
    return lipdp.AdaptiveQuantileClipping(data(), patience=2, noise_multiplier=3.0, quantile=0.5, learning_rate=0.5)


def laplace() -> Adaptive:
    return lipdp.LaplaceAdaptiveLossGradientClipping(data(), patience=2, epsilon=0.5)


@pytest.mark.parametrize(
    ("make", "look"),
    [
        (quantile, accountant.PoissonSampled(BATCH / RECORDS, accountant.Gaussian(3.0))),
        (laplace, accountant.PureLoss(0.5)),
    ],
)
def test_looks_are_paid_for_as_often_as_they_are_made(make: Any, look: Any) -> None:
    made = model()
    made.fit(data(), epochs=3, callbacks=[make()])
    update = accountant.PoissonSampled(BATCH / RECORDS, accountant.Gaussian(2.0))
    one, two = (accountant.Composed(update, n) for n in (1, 2))
    paid = accountant.Composed(look, 1)
    assert made.step.events == accountant.Sequence([one, paid, two, paid])  # after epochs 1 and 3
    assert made.step.released.epsilon(1e-5) == pytest.approx(lipdp.get_eps_delta(made, 3)[0], rel=0.03)
    assert 0 <= float(made.layers_backward_order()[0].clip_value.asnumpy()) <= 2**0.5


def test_the_value_moves_towards_the_quantile_of_the_slopes() -> None:
    norms = np.linspace(0, 1, BATCH)
    callback, value = quantile(), 2**0.5
    for _ in range(60):
        value = callback.adapted(value, norms, BATCH, 2**0.5)
    assert 0.3 < value < 0.7


def test_a_fixed_clip_value_is_not_adapted() -> None:
    with pytest.raises(TypeError, match="mode='dynamic'"):
        model("fixed").fit(data(), callbacks=[quantile()])


def test_views_of_an_example_share_its_weight() -> None:
    images, labels = np.ones((3, 1, 6, 6), np.float32), np.arange(3)
    views, repeated, weights = lipdp.default_augmult_config(4).apply(images, labels, np.array([1, 1, 0]))
    assert views.shape == (12, 1, 6, 6)
    assert repeated.tolist() == np.arange(3).repeat(4).tolist()
    np.testing.assert_allclose(np.asarray(weights).reshape(3, 4).sum(1), [1, 1, 0])
    assert lipdp.AugmultConfig(0).apply(images, labels)[0].shape == images.shape


@pytest.mark.parametrize("views", [1, 4])
def test_views_of_one_example_stay_within_the_bound_of_one(views: int) -> None:
    made = model("fixed")
    made.layers_backward_order()[0].update_clipping_value(0.1)
    images, labels = np.ones((views, 4), np.float32), np.zeros(views, np.int32)
    sums = made.step.sums(images, labels, np.full(views, 1 / views))
    bound = BATCH * next(iter(lipdp.compute_gradient_bounds(made).values()))
    assert 0.99 * bound <= np.linalg.norm(sums[0].asnumpy()) <= bound * (1 + 1e-5)
    with pytest.raises(ValueError, match="the same for all"):
        made.step.sums(images.repeat(2, 0), labels.repeat(2), np.linspace(0.1, 1, 2 * views))
