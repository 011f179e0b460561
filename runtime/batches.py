"""Batches of constant shape for compiled steps: Poisson samples for private training, shuffled ones otherwise."""

from __future__ import annotations

import math
import os
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mindveil.runtime.batch_checks import (
    State,
    checked_arrays,
    checked_position,
    checked_rate,
    checked_seed,
    checked_shard,
    positive,
)
from mindveil.runtime.example_weights import ExampleWeights

__all__ = ["Batch", "Batches", "ExampleWeights", "PoissonBatches", "ShuffledBatches", "State"]

Array = npt.NDArray[Any]
IndexArray = npt.NDArray[np.intp]
WORD = 64  # bits of one random draw


Batch = tuple[Array, Array, ExampleWeights]


class Batches(Protocol):
    """What a training loop needs from its batches; it iterates over physical batches, from the present position on."""

    @property
    def dataset_size(self) -> int:
        """Number of records."""
        ...

    @property
    def sampling_rate(self) -> float | None:
        """Probability with which a step holds a record, None where no sampling may be assumed in the accounting."""
        ...

    @property
    def steps(self) -> int:
        """Number of logical batches in all, so of updates."""
        ...

    def __iter__(self) -> Batches: ...

    def __next__(self) -> Batch: ...

    def state(self) -> State:
        """The position after the last complete logical batch, as values that JSON can hold."""
        ...

    def restore(self, state: State) -> None:
        """Go to a position that `state` gave."""
        ...


class PoissonBatches:
    """Batches that hold each record independently with probability ``sampling_rate``, a new draw at every step.

    Yields ``(images, labels, weights)`` with ``physical_batch`` rows each, so that the compiled step never changes:
    real examples first, then rows of zeros with weight 0. A draw of more than ``physical_batch`` records comes as
    several physical batches, of which only the final one has ``weights.last``; an empty draw comes as one of padding.

    Iterating goes on where it stopped: a loop that is left early misses nothing, a finished one yields no more.

    Args:
        arrays: images ``(N, ...)`` and labels ``(N, ...)``; they are not copied, and must not change meanwhile.
        sampling_rate: in (0, 1]; expected logical batch divided by N.
        physical_batch: rows of each physical batch; a little above ``sampling_rate * N`` wastes least.
        steps: number of logical batches.
        seed: None for private training: draws come from the operating system's cryptographic generator and cannot be
            repeated, which the privacy amplification relies on. A number makes them reproducible, for tests.
        num_shards, shard_id: of several workers with the same arrays, worker ``shard_id`` draws from the records whose
            number leaves this remainder, so that no record is on two workers.

    Guarantee: the probability is exact to 2^-64 and never above ``sampling_rate``; draws of different records and of
    different steps are independent (with a seed: pseudo-random, Philox).

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of its range, or an array is not finite.

    >>> images, labels = np.ones((100, 1, 2, 2), np.float32), np.arange(100)
    >>> for x, y, w in PoissonBatches((images, labels), sampling_rate=0.1, physical_batch=8, steps=2, seed=3):
    ...     x.shape, y.shape, int(w.sum()), w.last
    ((8, 1, 2, 2), (8,), 8, False)
    ((8, 1, 2, 2), (8,), 4, True)
    ((8, 1, 2, 2), (8,), 8, True)
    """

    __slots__ = ("_arrays", "_done", "_physical_batch", "_rate", "_seed", "_shard", "_steps", "_waiting")

    def __init__(
        self,
        arrays: tuple[Array, Array],
        *,
        sampling_rate: float,
        physical_batch: int,
        steps: int,
        seed: int | None = None,
        num_shards: int = 1,
        shard_id: int = 0,
    ) -> None:
        self._arrays = checked_arrays(arrays)
        self._shard = checked_shard(num_shards, shard_id)
        self._rate = checked_rate(sampling_rate)
        self._physical_batch = positive("physical_batch", physical_batch)
        self._steps = positive("steps", steps)
        self._seed = None if seed is None else checked_seed(seed)
        self._done = 0
        self._waiting: list[IndexArray] = []

    @property
    def dataset_size(self) -> int:
        """Number of records N, on all workers together."""
        return len(self._arrays[0])

    @property
    def shard(self) -> tuple[int, int]:
        """Which worker's batches these are, and of how many."""
        return self._shard

    @property
    def sampling_rate(self) -> float:
        """Probability with which each step holds each record."""
        return self._rate

    @property
    def physical_batch(self) -> int:
        """Rows of each batch."""
        return self._physical_batch

    @property
    def steps(self) -> int:
        """Number of logical batches in all."""
        return self._steps

    def __iter__(self) -> PoissonBatches:
        return self

    def __next__(self) -> Batch:
        if not self._waiting:
            if self._done >= self._steps:
                raise StopIteration
            self._waiting = _pieces(self._draw(), self._physical_batch)
        rows = self._waiting.pop(0)
        last = not self._waiting
        batch = _padded(self._arrays, rows, self._physical_batch, last)
        self._done += last
        return batch

    def state(self) -> State:
        """The number of complete steps and what the draws depend on.

        A logical batch of which only a part was taken counts as not begun: its gradient sum is lost with the process.
        """
        return {"done": self._done} | self._identity()

    def restore(self, state: State) -> None:
        """Go on after the step at which `state` was called: bit for bit with a seed, with new draws without one.

        Raises:
            ValueError: the state is of batches with other data, rate, shape or seed, or lies beyond the last step.
        """
        self._done = checked_position(state, self._identity(), self._steps)
        self._waiting = []

    def _identity(self) -> State:
        return {
            "sampling_rate": self._rate,
            "physical_batch": self._physical_batch,
            "dataset_size": self.dataset_size,
            "seed": self._seed,
        }

    def _draw(self) -> IndexArray:
        words = _random_words(self.dataset_size, self._seed, self._done)
        # Whole-number comparison: a float of the unit interval would round, and could round the probability up.
        threshold = int(math.ldexp(self._rate, WORD))
        drawn = np.ones(len(words), bool) if threshold == 1 << WORD else words < np.uint64(threshold)
        rows: IndexArray = np.flatnonzero(drawn)
        shard_id, num_shards = self._shard
        mine: IndexArray = rows[rows % num_shards == shard_id]
        return mine


class ShuffledBatches:
    """Every record once an epoch, in a new random order each time; for training without a privacy claim.

    Yields the same triples as `PoissonBatches`; each batch is a step of its own, and the final one of an epoch is
    filled up with rows of zeros of weight 0. The order depends on ``seed`` and the epoch only.

    Raises:
        TypeError, ValueError: an argument is of the wrong type or out of its range, or an array is not finite.

    >>> batches = ShuffledBatches((np.ones((5, 2)), np.arange(5)), batch_size=4, epochs=2, seed=0)
    >>> [int(weights.sum()) for _, _, weights in batches]
    [4, 1, 4, 1]
    """

    __slots__ = ("_arrays", "_batch_size", "_done", "_epochs", "_order", "_seed")

    def __init__(self, arrays: tuple[Array, Array], *, batch_size: int, epochs: int, seed: int) -> None:
        self._arrays = checked_arrays(arrays)
        self._batch_size = positive("batch_size", batch_size)
        self._epochs = positive("epochs", epochs)
        self._seed = checked_seed(seed)
        self._done = 0
        self._order: tuple[int, IndexArray] = (-1, np.arange(0))

    @property
    def dataset_size(self) -> int:
        """Number of records N."""
        return len(self._arrays[0])

    @property
    def sampling_rate(self) -> None:
        """None: amplification by sampling must not be claimed for shuffled batches."""
        return None

    @property
    def physical_batch(self) -> int:
        """Rows of each batch."""
        return self._batch_size

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches that hold every record once."""
        return -(-self.dataset_size // self._batch_size)

    @property
    def steps(self) -> int:
        """Number of batches in all."""
        return self._epochs * self.steps_per_epoch

    def __iter__(self) -> ShuffledBatches:
        return self

    def __next__(self) -> Batch:
        if self._done >= self.steps:
            raise StopIteration
        epoch, position = divmod(self._done, self.steps_per_epoch)
        if self._order[0] != epoch:
            self._order = epoch, _generator(self._seed, epoch).permutation(self.dataset_size)
        rows = self._order[1][position * self._batch_size :][: self._batch_size]
        self._done += 1
        return _padded(self._arrays, rows, self._batch_size, True)

    def state(self) -> State:
        """The number of batches taken and what their order depends on."""
        return {"done": self._done} | self._identity()

    def restore(self, state: State) -> None:
        """Go on, bit for bit, after the batch at which `state` was called.

        Raises:
            ValueError: the state is of batches with other data, batch size or seed, or lies beyond the last one.
        """
        self._done = checked_position(state, self._identity(), self.steps)

    def _identity(self) -> State:
        return {"batch_size": self._batch_size, "dataset_size": self.dataset_size, "seed": self._seed}


def _pieces(rows: IndexArray, size: int) -> list[IndexArray]:
    """Consecutive parts of at most ``size`` rows; one empty part if there are no rows."""
    return [rows[start : start + size] for start in range(0, max(len(rows), 1), size)]


def _padded(arrays: tuple[Array, Array], rows: IndexArray, size: int, last: bool) -> Batch:
    images, labels = (np.zeros((size, *array.shape[1:]), array.dtype) for array in arrays)
    images[: len(rows)], labels[: len(rows)] = arrays[0][rows], arrays[1][rows]
    return images, labels, ExampleWeights.of(np.arange(size) < len(rows), last=last)


def _random_words(count: int, seed: int | None, step: int) -> npt.NDArray[np.uint64]:
    if seed is None:
        return np.frombuffer(os.urandom(count * WORD // 8), np.uint64)
    return _generator(seed, step).integers(0, 1 << WORD, count, np.uint64)


def _generator(seed: int, step: int) -> np.random.Generator:
    """The generator of one step, so that a position in the stream is a number and resuming needs no hidden state."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence(seed, spawn_key=(step,))))
