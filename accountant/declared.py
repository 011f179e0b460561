"""What the user declared against what ran: batch, data set, noise and sampling, from the executed graph's events."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from mindveil.accountant import events as ev
from mindveil.accountant.batches import BallsInBins, ShuffledBatches
from mindveil.accountant.checks import count, one_of, positive
from mindveil.accountant.errors import MismatchError

__all__ = ["SAMPLINGS", "Declared", "check_declared"]

SAMPLINGS = ("poisson", "without_replacement", "shuffle", "balls_in_bins", "all_records")
"""How a data pipeline makes its batches."""

_ROUNDING = 1e-12


@dataclass(frozen=True, slots=True)
class Declared:
    """A training run as its user describes it.

    Args:
        dataset_size: records.
        batch_size: records in a batch, expected ones under Poisson sampling.
        noise_multiplier: noise over clip norm; None if a schedule sets it.
        sampling: how batches are made.
        steps: updates; None if not fixed.
    """

    dataset_size: int
    batch_size: float
    noise_multiplier: float | None
    sampling: str
    steps: int | None = None

    def __post_init__(self) -> None:
        count("dataset_size", self.dataset_size, 1)
        if positive("batch_size", self.batch_size) > self.dataset_size:
            raise ValueError(f"batch_size is {self.batch_size}, and must be at most dataset_size, {self.dataset_size}")
        if self.noise_multiplier is not None:
            positive("noise_multiplier", self.noise_multiplier)
        one_of("sampling", self.sampling, SAMPLINGS)
        if self.steps is not None:
            count("steps", self.steps)


def check_declared(declared: Declared, ran: ev.Event, *, pipeline: str | None = None) -> None:
    """Compare a declaration with the events of the graph that ran, and with the sampler's own word.

    Args:
        ran: what the executed graph released.
        pipeline: one of :data:`SAMPLINGS`, as the sampler that fed the run names itself; None if it said nothing.

    Raises:
        MismatchError: with every difference, not only the first.
    """
    found: list[str] = []
    if pipeline is not None and one_of("pipeline", pipeline, SAMPLINGS) != declared.sampling:
        found.append(f"sampling: declared {declared.sampling}, but the data pipeline does {pipeline}")
    steps = 0
    for leaf, times in _leaves(ran, 1):
        steps += times * (leaf.batches if isinstance(leaf, (ShuffledBatches, BallsInBins)) else 1)
        found.extend(_differences(declared, leaf))
    if declared.steps is not None and steps != declared.steps:
        found.append(f"steps: declared {declared.steps}, but {steps} ran")
    if found:
        unique = "; ".join(dict.fromkeys(found))
        raise MismatchError(f"{unique}. Correct the declaration or the run: the guarantee would be about another run")


def _differences(declared: Declared, leaf: ev.Event) -> Iterator[str]:
    sampling, rate, inner = _sampling(leaf)
    if sampling != declared.sampling:
        yield f"sampling: declared {declared.sampling}, but the graph ran {type(leaf).__name__} ({sampling})"
    wanted = declared.batch_size / declared.dataset_size
    if rate is not None and not math.isclose(rate, wanted, rel_tol=_ROUNDING):
        yield f"sampling rate: declared {declared.batch_size:g}/{declared.dataset_size} = {wanted:g}, but {rate:g} ran"
    if isinstance(leaf, ev.SampledWithoutReplacement) and leaf.dataset_size != declared.dataset_size:
        yield f"dataset_size: declared {declared.dataset_size}, but {leaf.dataset_size} ran"
    noise = _noise(inner)
    if noise is None:
        yield f"noise: declared {declared.noise_multiplier}, but {type(inner).__name__} ran, which has no such noise"
    elif declared.noise_multiplier is not None and not math.isclose(
        noise, declared.noise_multiplier, rel_tol=_ROUNDING
    ):
        yield f"noise_multiplier: declared {declared.noise_multiplier:g}, but {noise:g} ran"


def _sampling(leaf: ev.Event) -> tuple[str, float | None, ev.Event]:
    match leaf:
        case ev.PoissonSampled():
            return "poisson", leaf.rate, leaf.event
        case ev.SampledWithoutReplacement():
            return "without_replacement", leaf.batch_size / leaf.dataset_size, leaf.event
        case ShuffledBatches():
            return "shuffle", None, leaf
        case BallsInBins():
            return "balls_in_bins", 1 / leaf.batches, leaf
        case _:
            return "all_records", None, leaf


def _noise(event: ev.Event) -> float | None:
    match event:
        case ev.Gaussian() | ev.AdaptiveClipping() | ev.ClippedTogether() | ev.Laplace():
            return event.noise_multiplier
        case ShuffledBatches() | BallsInBins():
            return event.noise_multiplier
        case ev.PerLayer():
            return float(sum(noise**-2 for noise in event.noise_multipliers) ** -0.5)
        case _:
            return None


def _leaves(event: ev.Event, times: int) -> Iterator[tuple[ev.Event, int]]:
    match event:
        case ev.Composed():
            if times * event.steps:
                yield from _leaves(event.event, times * event.steps)
        case ev.Sequence():
            for part in event.events:
                yield from _leaves(part, times)
        case ev.NoOp():
            return
        case _:
            yield event, times
