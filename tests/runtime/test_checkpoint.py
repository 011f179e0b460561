"""Checkpoints: a resumed run is the run, a private one never replays noise, and what was spent stays spent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mindspore import nn

from mindveil.accountant import Composed, Gaussian, Ledger, PoissonSampled, epsilon
from mindveil.runtime import DPSGD, PoissonBatches, PrivateStep, ShuffledBatches, Suppression
from mindveil.runtime.checkpoint import CheckpointError, restore, save
from mindveil.runtime.kinds import Policy

LOSS = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
RECORDS = 40


def arrays() -> tuple[Any, Any]:
    """Some records."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(RECORDS, 6)).astype(np.float32), np.arange(RECORDS, dtype=np.int32) % 3


def make(policies: list[Policy], ledger: Ledger | None = None) -> PrivateStep:
    """A step over a fresh network with momentum."""
    network = nn.SequentialCell(nn.Dense(6, 8), nn.ReLU(), nn.Dense(8, 3))
    return PrivateStep(network, LOSS, nn.Momentum(network.trainable_params(), 0.1, 0.9), policies, ledger=ledger)


def weights_of(step: PrivateStep) -> list[Any]:
    """Copies of the trained parameters."""
    return [p.asnumpy().copy() for p in step.network.get_parameters()]


def shuffled() -> ShuffledBatches:
    """Eight batches."""
    return ShuffledBatches(arrays(), batch_size=10, epochs=2, seed=3)


@pytest.mark.parametrize("policies", [[], [Suppression(sparsity=0.6, steps=6, every=1)]], ids=["public", "suppressed"])
def test_a_resumed_run_equals_the_uninterrupted_one_bit_for_bit(tmp_path: Path, policies: list[Policy]) -> None:
    whole, batches, where = make(policies), shuffled(), tmp_path / "half.ckpt"
    for k, batch in enumerate(batches):
        if k == 3:
            save(where, whole, batches)
        whole(*batch)
    again, rest = make(policies), shuffled()
    next(rest)
    position = shuffled()
    restore(where, again, position)
    assert again.steps_done == 3
    # The checkpoint was taken after batch 4 had been drawn: that one is lost with the process, as after a crash.
    for batch in position:
        again(*batch)
    assert again.steps_done == 3 + 4
    repeat = make(policies)
    other = shuffled()
    restore(where, repeat, other)
    for batch in other:
        repeat(*batch)
    for a, b in zip(weights_of(again), weights_of(repeat), strict=True):
        np.testing.assert_array_equal(a, b)
    for name, mask in again.masks.items():
        np.testing.assert_array_equal(mask, repeat.masks[name])


def test_saving_between_batches_loses_none(tmp_path: Path) -> None:
    whole, batches, where = make([Suppression(sparsity=0.6, steps=6, every=1)]), shuffled(), tmp_path / "half.ckpt"
    for _ in range(4):
        whole(*next(batches))
    save(where, whole, batches)
    for batch in batches:
        whole(*batch)
    again, rest = make([Suppression(sparsity=0.6, steps=6, every=1)]), shuffled()
    restore(where, again, rest)
    for batch in rest:
        again(*batch)
    assert again.steps_done == whole.steps_done == 8
    for a, b in zip(weights_of(whole), weights_of(again), strict=True):
        np.testing.assert_array_equal(a, b)


def test_parameters_keep_the_names_of_the_users_network(tmp_path: Path) -> None:
    import mindspore as ms

    step = make([Suppression(sparsity=0.5, steps=4)])
    save(tmp_path / "a.ckpt", step)
    names = set(ms.load_checkpoint(str(tmp_path / "a.ckpt")))
    assert {"0.weight", "0.bias", "2.weight", "2.bias", "mask.0.weight", "mask.2.weight"} <= names


def test_a_resumed_private_run_draws_new_noise_and_keeps_what_was_spent(tmp_path: Path) -> None:
    policy = DPSGD(1.0, 1.0, sampling_rate=0.25, dataset_size=RECORDS)
    step = make([policy])
    batches = PoissonBatches(arrays(), sampling_rate=0.25, physical_batch=40, steps=6)
    for _ in range(3):
        step(*next(batches))
    save(tmp_path / "p.ckpt", step, batches)
    runs = []
    for _ in range(2):
        again = make([policy])
        restore(tmp_path / "p.ckpt", again)
        assert again.card().steps == 3  # before anything is compiled in this process
        again(*_fixed_batch())
        runs.append(np.concatenate([w.ravel() for w in weights_of(again)]))
        wanted = epsilon(Composed(PoissonSampled(0.25, Gaussian(1.0)), 4), 1e-5)
        assert again.epsilon(1e-5) == pytest.approx(wanted, rel=1e-6)
        assert again.card().steps == 4
    assert not np.isclose(runs[0], runs[1]).any()
    content = (tmp_path / "p.ckpt").read_bytes()
    assert b"noise_key" not in content


def test_an_older_checkpoint_never_rewinds_the_ledger(tmp_path: Path) -> None:
    policy = DPSGD(1.0, 1.0, sampling_rate=0.25, dataset_size=RECORDS)
    with Ledger.create(tmp_path / "ledger.jsonl", dataset_id="d", dataset_size=RECORDS) as ledger:
        step = make([policy], ledger)
        step(*_fixed_batch())
        save(tmp_path / "one.ckpt", step)
        step(*_fixed_batch())
        step(*_fixed_batch())
        spent = ledger.epsilon(1e-5)
    with Ledger.open(tmp_path / "ledger.jsonl") as ledger:
        again = make([policy], ledger)
        restore(tmp_path / "one.ckpt", again)
        assert again.epsilon(1e-5) == pytest.approx(spent)
        again(*_fixed_batch())
        assert again.epsilon(1e-5) > spent
    with Ledger.create(tmp_path / "other.jsonl", dataset_id="d", dataset_size=RECORDS) as other:
        foreign = make([policy], other)
        with pytest.raises(CheckpointError, match="names a ledger that is not this step's"):
            restore(tmp_path / "one.ckpt", foreign)
    with pytest.raises(CheckpointError, match="names a ledger"):
        restore(tmp_path / "one.ckpt", make([policy]))


def test_what_does_not_fit_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    save(tmp_path / "public.ckpt", make([]))
    step = make([Suppression(sparsity=0.5, steps=4)])
    before = weights_of(step)
    with pytest.raises(CheckpointError, match="is of a public run"):
        restore(tmp_path / "public.ckpt", step)
    (tmp_path / "broken.ckpt").write_bytes(b"\x00\x01garbage")
    with pytest.raises(CheckpointError, match=r"no readable checkpoint|not written by"):
        restore(tmp_path / "broken.ckpt", step)
    with pytest.raises(FileNotFoundError, match="no checkpoint"):
        restore(tmp_path / "missing.ckpt", step)
    for a, b in zip(before, weights_of(step), strict=True):
        np.testing.assert_array_equal(a, b)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["broken.ckpt", "public.ckpt"]


def _fixed_batch() -> tuple[Any, Any]:
    images, labels = arrays()
    return images[:10], labels[:10]
