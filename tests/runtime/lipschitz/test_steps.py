"""Steps whose gradients a sweep of the graph bounds: the bounds are the layers' rules', and no example exceeds them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from mindspore import Tensor, nn

from mindveil import accountant
from mindveil.accountant import Ledger
from mindveil.runtime import LipschitzDP, PoissonBatches, PrivateModel, PrivateStep, Suppression, checkpoint
from mindveil.runtime.example_weights import ExampleWeights
from mindveil.runtime.lipdp.bounds import example_bounds

from .models import LOSSES, NETWORKS, ONCE, QUIET, ROWS, batch, guaranteed, model, step_of


@QUIET
@pytest.mark.parametrize(
    ("name", "loss"), [*((n, "cross-entropy") for n in NETWORKS), *(("dense", k) for k in LOSSES if k[0] != "c")]
)
def test_the_sweep_of_the_graph_finds_the_bounds_of_the_rules(name: str, loss: str) -> None:
    made = model(name, loss)
    step = step_of(made, norms=lambda: guaranteed(made))
    step.prepare(*batch())
    total = np.sqrt(sum(b**2 for b in example_bounds(made).values()))
    step(*batch())
    swept = step.card().clip_norm
    assert swept is not None
    assert total < swept < total * (1 + 3e-4)  # what float32 adds


@QUIET
@pytest.mark.parametrize("name", NETWORKS)
def test_no_example_moves_the_sum_by_more_than_the_bound_and_sums_are_those_of_one_at_a_time(name: str) -> None:
    made = model(name)
    images, labels = batch()
    moved = []
    parts = [np.eye(ROWS, dtype=np.float32)[k] for k in range(ROWS)]
    start = [p.asnumpy().copy() for p in made.trainable_params()]
    step = step_of(made)
    for weights in [*parts, np.ones(ROWS, np.float32)]:
        for p, value in zip(made.trainable_params(), start, strict=True):
            p.set_data(Tensor(value))
        step(images, labels, weights)
        moved.append(
            np.concatenate([(a - p.asnumpy()).ravel() for a, p in zip(start, made.trainable_params(), strict=True)])
        )
    bound = step.card().clip_norm
    assert bound is not None
    largest = max(np.linalg.norm(m.astype(np.float64)) for m in moved[:-1])
    assert 0.02 * bound < largest <= bound
    np.testing.assert_allclose(moved[-1], sum(moved[:-1]), atol=3e-6 * max(1.0, float(np.abs(start[0]).max()) * 10))


def test_a_step_is_noised_accounted_and_explained_like_a_clipped_one() -> None:
    made = model("dense")
    step = step_of(made, noise=2.0, norms=lambda: guaranteed(made))
    before = made.trainable_params()[0].asnumpy().copy()
    step(*batch(), np.zeros(ROWS, np.float32))  # nobody is in the batch: what moves is noise
    moved = (made.trainable_params()[0].asnumpy() - before).ravel()
    bound = step.card().clip_norm
    assert bound is not None
    assert moved.std() == pytest.approx(2.0 * bound, rel=0.08)  # 1 / sqrt(2 * 2048) is 1.6 %
    once = accountant.PoissonSampled(0.5, accountant.Gaussian(2.0))
    assert step.events == accountant.Sequence([accountant.Composed(once, 1)])
    table = step.explain()
    assert "passes: bound (" in table
    assert "MindveilBound" not in table
    assert step.card(1e-5).passes[:2] == ("bound", "noise")


@QUIET
def test_the_bound_follows_the_weights_from_step_to_step() -> None:
    made = model("dense")
    step = step_of(made, rate=1e-6)
    step(*batch())
    first = step.card().clip_norm
    last = made.trainable_params()[-1]
    last.set_data(Tensor(last.asnumpy() / 4))
    step(*batch())
    second = step.card().clip_norm
    assert first is not None
    assert second is not None
    assert second < 0.9 * first


@QUIET
def test_physical_batches_make_the_update_of_one() -> None:
    images, labels = batch()
    moved = []
    for parts in ([slice(0, ROWS)], [slice(0, 3), slice(3, ROWS)]):
        made = model("convolutions")
        for k, p in enumerate(made.trainable_params()):
            p.set_data(Tensor(np.random.default_rng(k).normal(scale=0.1, size=p.shape).astype(np.float32)))
        before = made.trainable_params()[0].asnumpy().copy()
        step = step_of(made)
        for part in parts:
            weights = ExampleWeights.of(np.ones(len(images[part]), np.float32), last=part == parts[-1])
            step(images[part], labels[part], weights)
        assert step.steps_done == 1
        moved.append(made.trainable_params()[0].asnumpy() - before)
    np.testing.assert_allclose(moved[0], moved[1], atol=1e-5)


def test_ledger_and_checkpoint_are_those_of_any_private_step(tmp_path: Path) -> None:
    ledger = Ledger.create(tmp_path / "l.jsonl", dataset_id="d", dataset_size=2, target_epsilon=8.0, target_delta=1e-5)
    made = model("dense")
    policy = LipschitzDP(3.0, sampling_rate=0.5, dataset_size=2, public=("layers.6.clip_value",))
    step = PrivateStep(made, made.loss, nn.SGD(made.trainable_params(), 1e-3), [policy], ledger=ledger)
    while accountant.epsilon(accountant.Sequence([step.events, ONCE]), 1e-5) <= 8.0:
        step(*batch())
    with pytest.raises(accountant.BudgetExceeded):
        step(*batch())
    assert step.steps_done > 0
    assert step.epsilon(1e-5) <= 8.0
    checkpoint.save(tmp_path / "saved.ckpt", step)
    again = model("dense")
    other = PrivateStep(again, again.loss, nn.SGD(again.trainable_params(), 1e-3), [policy], ledger=ledger)
    checkpoint.restore(tmp_path / "saved.ckpt", other)
    assert other.steps_done == step.steps_done
    for a, b in zip(made.trainable_params(), again.trainable_params(), strict=True):
        np.testing.assert_array_equal(a.asnumpy(), b.asnumpy())


def test_a_model_trains_by_it_with_masks() -> None:
    made = model("dense")
    policy = LipschitzDP(1.0, 0.25, 24, public=("layers.6.clip_value",))
    masks = Suppression(sparsity=0.5, steps=4, every=1)
    trained = PrivateModel(made, made.loss, nn.SGD(made.trainable_params(), 1e-3), policies=[policy, masks])
    images, labels = batch(24)
    trained.train(1, PoissonBatches((images, labels), sampling_rate=0.25, physical_batch=24, steps=4))
    assert trained.step.steps_done == 4
    assert trained.step.sparsity == pytest.approx(0.5, abs=0.01)
    card = trained.step.card(1e-5)
    assert card.mode == "private"
    assert card.masked
    assert (made.trainable_params()[0].asnumpy() == 0).mean() == pytest.approx(0.5, abs=0.01)
