"""The batches: shapes and padding, the statistics of the draws, resuming, and refused arguments."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from mindveil.runtime import batches as batches_module
from mindveil.runtime.batches import Batch, Batches, PoissonBatches, ShuffledBatches

Array = npt.NDArray[Any]

RECORDS = 1500
RATE = 0.3
STEPS = 400
# A correct sampler fails a check of this level once in a thousand million runs; drawn without a seed, that matters.
LEVEL = 1e-9


def numbered(count: int) -> tuple[Array, Array]:
    """Images and labels from which a row's record can be read back; record 0 differs from padding, too."""
    labels = np.arange(1, count + 1, dtype=np.int32)
    return np.repeat(labels, 4).astype(np.float32).reshape(count, 1, 2, 2), labels


def poisson(
    count: int = 50, *, rate: float = 0.3, batch: int = 8, steps: int = 5, seed: int | None = 3
) -> PoissonBatches:
    return PoissonBatches(numbered(count), sampling_rate=rate, physical_batch=batch, steps=steps, seed=seed)


def shuffled(count: int = 10, *, batch: int = 4, epochs: int = 3, seed: int = 3) -> ShuffledBatches:
    return ShuffledBatches(numbered(count), batch_size=batch, epochs=epochs, seed=seed)


def logical(batches: Iterable[Batch]) -> list[list[int]]:
    """The record numbers of each logical batch."""
    steps: list[list[int]] = [[]]
    for _, labels, weights in batches:
        steps[-1] += labels[weights == 1].tolist()
        if weights.last:
            steps.append([])
    return steps[:-1]


def inclusion(seed: int | None) -> Array:
    """Matrix (steps, records), True = drawn."""
    drawn = np.zeros((STEPS, RECORDS), bool)
    for step, records in enumerate(logical(poisson(RECORDS, rate=RATE, batch=600, steps=STEPS, seed=seed))):
        drawn[step, np.array(records) - 1] = True
    return drawn


@pytest.fixture(scope="module", params=[None, 7], ids=["system", "seeded"])
def drawn(request: pytest.FixtureRequest) -> Array:
    return inclusion(request.param)


def two_sided(z: float) -> float:
    return float(2 * stats.norm.sf(abs(z)))


def test_records_are_drawn_at_the_sampling_rate(drawn: Array) -> None:
    assert stats.binomtest(int(drawn.sum()), drawn.size, RATE).pvalue > LEVEL


def test_every_record_is_drawn_at_the_sampling_rate_and_no_more_evenly(drawn: Array) -> None:
    counts = drawn.sum(axis=0)
    spread = ((counts - STEPS * RATE) ** 2).sum() / (STEPS * RATE * (1 - RATE))
    assert LEVEL < stats.chi2.cdf(spread, RECORDS) < 1 - LEVEL


def test_batch_sizes_vary_as_those_of_independent_records_do(drawn: Array) -> None:
    sizes = drawn.sum(axis=1)
    spread = ((sizes - RECORDS * RATE) ** 2).sum() / (RECORDS * RATE * (1 - RATE))
    assert LEVEL < stats.chi2.cdf(spread, STEPS) < 1 - LEVEL


@pytest.mark.parametrize("lag", [1, 2, 3, 17])
def test_draws_of_different_steps_are_independent(drawn: Array, lag: int) -> None:
    centred = drawn - RATE
    products = centred[lag:] * centred[:-lag]
    z = products.sum() / (RATE * (1 - RATE) * np.sqrt(products.size))
    assert two_sided(z) > LEVEL


@pytest.mark.parametrize("lag", [1, 2, 3, 17])
def test_draws_of_different_records_are_independent(drawn: Array, lag: int) -> None:
    centred = drawn - RATE
    products = centred[:, lag:] * centred[:, :-lag]
    z = products.sum() / (RATE * (1 - RATE) * np.sqrt(products.size))
    assert two_sided(z) > LEVEL


def test_without_a_seed_the_bits_come_from_the_operating_system(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "urandom", lambda size: np.arange(size // 8, dtype=np.uint64).tobytes())
    monkeypatch.setattr(np.random, "Philox", None)
    # 64-bit words 0, 1, 2, ... are all far below 0.3 * 2^64, so that every record is drawn.
    assert logical(poisson(20, steps=2, seed=None)) == [list(range(1, 21))] * 2


@pytest.mark.parametrize("rate", [0.3, 0.5, 1e-3, 256 / 60_000, 1 - 2**-53])
def test_the_probability_is_never_above_the_rate_and_exact_to_64_bits(
    monkeypatch: pytest.MonkeyPatch, rate: float
) -> None:
    from fractions import Fraction

    limit = int(Fraction(rate) * 2**64)
    words = np.array([limit - 1, limit, 0, 2**64 - 1], np.uint64)
    monkeypatch.setattr(batches_module, "_random_words", lambda *_: words)
    assert logical(poisson(4, rate=rate, steps=1)) == [[1, 3]]


def test_a_rate_of_one_draws_every_record_at_every_step() -> None:
    assert logical(poisson(20, rate=1.0, steps=3, seed=None)) == [list(range(1, 21))] * 3
    assert logical(poisson(20, rate=1, steps=3)) == [list(range(1, 21))] * 3


def test_every_physical_batch_has_the_same_shapes_and_types() -> None:
    for images, labels, weights in [*poisson(), *shuffled(batch=8)]:
        assert (images.shape, images.dtype) == ((8, 1, 2, 2), np.float32)
        assert (labels.shape, labels.dtype) == ((8,), np.int32)
        assert (weights.shape, weights.dtype) == ((8,), np.float32)


def test_rows_belong_together_and_padding_is_zero_at_the_end() -> None:
    for images, labels, weights in [*poisson(batch=16), *shuffled()]:
        np.testing.assert_array_equal(images, np.broadcast_to(labels[:, None, None, None], images.shape))
        np.testing.assert_array_equal(weights, labels > 0)
        assert (np.diff(weights) <= 0).all()


def test_a_large_logical_batch_comes_in_parts_of_which_only_the_final_one_is_last() -> None:
    parts = list(poisson(20, rate=1.0, batch=8, steps=2))
    assert [weights.last for _, _, weights in parts] == [False, False, True] * 2
    assert [int(weights.sum()) for _, _, weights in parts] == [8, 8, 4] * 2


def test_a_logical_batch_that_fills_its_parts_exactly_gets_no_empty_one() -> None:
    parts = list(poisson(16, rate=1.0, batch=8, steps=1))
    assert [(weights.last, int(weights.sum())) for _, _, weights in parts] == [(False, 8), (True, 8)]


def test_an_empty_draw_gives_one_batch_of_padding_and_counts_as_a_step() -> None:
    batches = poisson(3, rate=1e-12, steps=4)
    parts = list(batches)
    assert len(parts) == 4
    assert all(weights.last and not weights.any() and not images.any() for images, _, weights in parts)
    assert batches.state()["done"] == 4


def test_the_draw_does_not_depend_on_the_physical_batch() -> None:
    assert logical(poisson(batch=3)) == logical(poisson(batch=50))


def shard(number: int, shards: int = 3, seed: int | None = 3) -> PoissonBatches:
    given = {"sampling_rate": 0.5, "physical_batch": 8, "steps": 6, "seed": seed}
    return PoissonBatches(numbered(50), num_shards=shards, shard_id=number, **given)  # type: ignore[arg-type]


def test_shards_part_the_draws_of_one_worker_and_keep_to_their_own_records() -> None:
    alone = PoissonBatches(numbered(50), sampling_rate=0.5, physical_batch=8, steps=6, seed=3)
    parts = [logical(shard(k)) for k in range(3)]
    together = [sorted(record for part in step for record in part) for step in zip(*parts, strict=True)]
    assert together == logical(alone)
    assert all((record - 1) % 3 == k for k, part in enumerate(parts) for records in part for record in records)
    assert logical(shard(0, seed=None)) != logical(shard(0, seed=None))
    assert (shard(2).shard, shard(2).dataset_size, alone.shard) == ((2, 3), 50, (0, 1))


@pytest.mark.parametrize(("shards", "number"), [(0, 0), (3, 3), (3, -1)])
def test_a_shard_that_does_not_exist_is_refused(shards: int, number: int) -> None:
    with pytest.raises(ValueError, match=r"num_shards|shard_id"):
        shard(number, shards)


def test_a_seed_repeats_the_draws_and_another_one_does_not() -> None:
    assert logical(poisson(seed=3)) == logical(poisson(seed=3))
    assert logical(poisson(seed=3)) != logical(poisson(seed=4))
    assert logical(poisson(seed=None)) != logical(poisson(seed=None))


def test_the_properties_say_what_was_asked_for() -> None:
    batches = poisson(50, rate=0.3, batch=8, steps=5)
    assert (batches.dataset_size, batches.sampling_rate, batches.physical_batch, batches.steps) == (50, 0.3, 8, 5)
    other = shuffled(10, batch=4, epochs=3)
    assert (other.dataset_size, other.sampling_rate, other.physical_batch, other.steps) == (10, None, 4, 9)
    assert other.steps_per_epoch == 3


def test_iterating_goes_on_where_it_stopped_and_ends() -> None:
    batches = poisson()
    parts = [next(batches), *batches]
    assert logical(parts) == logical(poisson())
    assert list(batches) == []


@pytest.mark.parametrize("make", [poisson, shuffled])
@pytest.mark.parametrize("steps", [0, 1, 2, 4])
def test_a_resumed_run_gives_the_same_bits(make: Any, steps: int) -> None:
    whole, first = make(), make()
    taken = 0
    while taken < steps:
        taken += next(first)[2].last
    second: Batches = make()
    second.restore(json.loads(json.dumps(first.state())))
    for got, wanted in zip(second, list(whole)[-len(list(first)) :], strict=True):
        for one, other in zip(got, wanted, strict=True):
            np.testing.assert_array_equal(one, other)
        assert got[2].last == wanted[2].last


def test_a_state_taken_within_a_logical_batch_repeats_the_whole_of_it() -> None:
    first, second = poisson(20, rate=1.0), poisson(20, rate=1.0)
    next(first)
    second.restore(first.state())
    assert logical(second) == logical(poisson(20, rate=1.0))


def test_restoring_drops_what_was_left_of_a_logical_batch() -> None:
    batches = poisson(20, rate=1.0)
    start = batches.state()
    next(batches)
    batches.restore(start)
    assert logical(batches) == logical(poisson(20, rate=1.0))


def test_a_resumed_private_run_draws_anew_and_its_state_holds_no_secret() -> None:
    first, second = poisson(steps=8, seed=None), poisson(steps=8, seed=None)
    logical(first)
    state = first.state() | {"done": 2}
    assert set(state) == {"done", "sampling_rate", "physical_batch", "dataset_size", "seed"}
    second.restore(state)
    assert len(logical(second)) == 6


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (poisson(seed=4), r"seed is 4, here 3; resume with the same arguments"),
        (poisson(51), r"dataset_size is 51, here 50"),
        (poisson(rate=0.2), r"sampling_rate is 0.2, here 0.3"),
        (poisson(batch=9), r"physical_batch is 9, here 8"),
        (shuffled(50), r"sampling_rate is None, here 0.3"),
    ],
)
def test_a_state_of_other_batches_is_refused(other: Batches, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        poisson().restore(other.state())


@pytest.mark.parametrize("done", [-1, 6])
def test_a_position_outside_the_run_is_refused(done: int) -> None:
    with pytest.raises(ValueError, match=rf"has {done} complete steps, and there are 5 here"):
        poisson().restore(poisson().state() | {"done": done})


def test_an_epoch_holds_every_record_once_in_an_order_of_its_own() -> None:
    order = [record for step in logical(shuffled(10, batch=4, epochs=3)) for record in step]
    epochs = [order[:10], order[10:20], order[20:]]
    assert [sorted(epoch) for epoch in epochs] == [list(range(1, 11))] * 3
    assert len({tuple(epoch) for epoch in epochs}) == 3
    assert list(range(1, 11)) not in epochs


def test_the_order_of_an_epoch_is_uniform() -> None:
    order = logical(shuffled(3, batch=3, epochs=6000))
    _, counts = np.unique(order, axis=0, return_counts=True)
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > LEVEL


def test_shuffled_batches_are_logical_batches_each_and_the_final_one_of_an_epoch_is_padded() -> None:
    parts = list(shuffled(10, batch=4, epochs=2))
    assert [(int(weights.sum()), weights.last) for _, _, weights in parts] == [(4, True), (4, True), (2, True)] * 2


def test_the_callers_arrays_are_neither_copied_nor_locked() -> None:
    images, labels = numbered(4)
    batches = PoissonBatches((images, labels), sampling_rate=1.0, physical_batch=4, steps=1)
    images[0] = labels[0] = 9
    assert logical(batches) == [[9, 2, 3, 4]]
