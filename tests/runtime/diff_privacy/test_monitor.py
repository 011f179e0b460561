"""What the monitors print and compare, and what is said of the way in which records are sampled."""

from __future__ import annotations

import warnings

import mindspore as ms
import numpy as np
import pytest
from mindspore import nn
from mindspore.train import LossMonitor

from mindveil import accountant
from mindveil.accountant import (
    ClippedTogether,
    Composed,
    Gaussian,
    MismatchError,
    PoissonSampled,
    PrivacyWarning,
    Sequence,
    shuffling_gap,
)
from mindveil.runtime import PoissonBatches
from mindveil.runtime import diff_privacy as dp

from .small import LINE, LOSS, SHUFFLED, arrays, dataset, model_of, monitor


@SHUFFLED
def test_a_monitor_prints_the_sound_epsilon_and_the_formula_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    model = model_of(nn.Dense(5, 2))
    model.train(2, dataset(), callbacks=[monitor(per_print_times=4), LossMonitor(100)])
    lines = [m.groups() for m in map(LINE.fullmatch, capsys.readouterr().out.splitlines()) if m]
    assert [(epoch, step) for epoch, step, *_ in lines] == [("1", "4"), ("2", "3"), ("2", "5")]
    for (_, _, delta, epsilon, beside), passes in zip(lines, (1, 2, 2), strict=True):
        wanted = accountant.epsilon(
            Composed(ClippedTogether(1.5, 2), passes), 1e-3, neighbouring="replace_one", method="pld"
        )
        assert float(delta) == 1e-3
        assert float(epsilon) == pytest.approx(wanted, rel=1e-6)
        assert "C for the sensitivity of 2 rows that are clipped as one, and it is 2C" in beside
        assert "shuffled batches for Poisson samples" in beside
    formula = float(lines[-1][4].split()[4].rstrip(";"))
    assert formula < float(lines[-1][3])
    assert accountant.epsilon(Composed(PoissonSampled(0.2, Gaussian(1.5)), 10), 1e-3) < formula


def test_poisson_batches_of_single_records_get_the_amplified_epsilon(capsys: pytest.CaptureFixture[str]) -> None:
    model = model_of(nn.Dense(5, 2), micro_batches=12)
    batches = PoissonBatches(arrays(), sampling_rate=0.2, physical_batch=12, steps=10)
    model.train(2, batches, callbacks=[monitor(per_print_times=100)])
    ((epoch, step, _, epsilon, beside),) = [
        m.groups() for m in map(LINE.fullmatch, capsys.readouterr().out.splitlines()) if m
    ]
    assert (epoch, step) == ("2", "5")
    event = Composed(PoissonSampled(0.2, Gaussian(1.5)), 10)
    assert float(epsilon) == pytest.approx(accountant.epsilon(event, 1e-3), rel=1e-5)
    assert "; it" not in beside  # nothing is left out
    card = model.card(1e-3)
    assert (card.sampling, card.neighbouring) == ("Poisson, rate 0.2", "add_or_remove_one")
    assert card.epsilon == pytest.approx(float(epsilon))


def test_poisson_batches_with_groups_are_refused() -> None:
    model = model_of(nn.Dense(5, 2), micro_batches=4)
    batches = PoissonBatches(arrays(), sampling_rate=0.2, physical_batch=8, steps=10)
    with pytest.raises(MismatchError, match=r"rows_together=2 .* in Poisson batches all later records move up"):
        model.train(2, batches)
    assert model.step.steps_done == 0


def test_shuffled_batches_warn_with_the_size_of_the_gap() -> None:
    model = model_of(nn.Dense(5, 2))
    gap = shuffling_gap(0.75, 40, 2, delta=1e-5)  # noise of 1.5 C over a sensitivity of 2C
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.train(2, dataset(records=320))
    texts = [str(w.message) for w in caught if issubclass(w.category, PrivacyWarning)]
    found = next(t for t in texts if t.startswith("the batches are not drawn by Poisson sampling"))
    assert f"For 2 epochs of 40 batches Poisson accounting says epsilon {gap.poisson:.4g} at delta 1e-05" in found
    assert f"where the truth lies between {gap.at_least:.4g} and {gap.at_most:.4g}" in found
    card = model.card(1e-5)
    assert card.sampling == "none: shuffled batches, 40 to a pass over the records"
    assert card.neighbouring == "replace_one"
    assert card.epsilon == pytest.approx(gap.at_most, rel=1e-6)
    assert (card.epsilon or 0) > model.step.epsilon(1e-5)


@SHUFFLED
@pytest.mark.parametrize("policy", ["rdp", "zcdp"])
def test_a_monitor_with_the_default_decay_raises_before_the_first_step(policy: str) -> None:
    network = nn.Dense(5, 2)
    before = network.weight.asnumpy().copy()
    watch = dp.PrivacyMonitorFactory.create(policy=policy, num_samples=40, batch_size=8, target_delta=1e-3)
    model = model_of(network)
    with pytest.raises(MismatchError, match="noise_decay_mode='Time' step 2 has noise multiplier"):
        model.train(1, dataset(), callbacks=[watch])
    np.testing.assert_array_equal(network.weight.asnumpy(), before)
    assert model.step.steps_done == 0


@SHUFFLED
def test_a_monitor_goes_along_with_noise_that_decays(capsys: pytest.CaptureFixture[str]) -> None:
    noise = dp.MechanismsFactory.create("AdaGaussian", 1.0, 1.5, 0.0, 0.05, "Time")
    watch = dp.PrivacyMonitorFactory.create(
        "rdp", 40, 8, 1.5, target_delta=None, target_eps=9.0, noise_decay_rate=0.05, dataset_sink_mode=True
    )
    zcdp = dp.PrivacyMonitorFactory.create("zcdp", 40, 8, 1.5, target_delta=1e-3, noise_decay_rate=0.05)
    model_of(nn.Dense(5, 2), noise_mech=noise, micro_batches=8).train(2, dataset(), callbacks=[watch, zcdp])
    lines = [m.groups() for m in map(LINE.fullmatch, capsys.readouterr().out.splitlines()) if m]
    assert [line[:2] for line in lines] == [("1", "5"), ("2", "5"), ("2", "5")]
    least = [1.5 / (1 + 0.05 * 4), 1.5 / (1 + 0.05 * 9)]
    for (_, _, delta, epsilon, beside), passes in zip(lines[:2], (1, 2), strict=True):
        event = Sequence([Gaussian(z) for z in least[:passes]])
        wanted = accountant.delta(event, 9.0, neighbouring="replace_one", method="pld")
        assert float(epsilon) == 9.0
        assert float(delta) == pytest.approx(wanted, rel=1e-4)
        assert beside.startswith("MindArmour's formula: delta is ")
    rho = sum(4 / (2 * z * z) for z in least)
    assert rho < float(lines[2][3]) <= rho + 2 * np.sqrt(rho * np.log(1e3))


def test_a_monitor_of_an_ordinary_model_says_that_it_has_nothing_to_read() -> None:
    network = nn.Dense(5, 2)
    plain = ms.train.Model(network, LOSS, nn.SGD(network.trainable_params(), 0.1))
    with pytest.raises(MismatchError, match=r"hand it to DPModel\.train"):
        plain.train(1, dataset(), callbacks=[monitor()], dataset_sink_mode=False)
