"""Compares how batches are made with what the accounting assumes."""

from __future__ import annotations

import warnings
from typing import Any

from mindveil.accountant import MismatchError, PrivacyWarning, shuffling_gap
from mindveil.runtime.kinds import PrivatePolicy
from mindveil.runtime.schedules import value_at
from mindveil.runtime.step import PrivateStep

__all__ = ["check_sampling"]

#: For the size of the gap in a warning; the guarantee itself is stated at the delta that the user chooses.
DELTA = 1e-5
#: Below this noise an epsilon, and so a gap between two, means nothing.
LEAST_NOISE = 0.2


def check_sampling(step: PrivateStep, batches: Any, epochs: int | None = None) -> None:
    """Compares how the batches are made with what the step accounts for.

    Args:
        epochs: passes over the data that are about to be made; None for what the batches themselves say.

    Raises:
        MismatchError: they are sampled at another rate, or over another number of records.
    """
    policy = step.dpsgd
    if policy is None:
        return
    rate, size = getattr(batches, "sampling_rate", None), getattr(batches, "dataset_size", None)
    here, shard = (step.workers.rank, step.workers.size), getattr(batches, "shard", (0, 1))
    if shard != here:
        raise MismatchError(
            f"worker {here[0]} of {here[1]} got the batches of shard {shard[0]} of {shard[1]}; a record on two workers "
            "would count twice: give PoissonBatches num_shards and shard_id"
        )
    if rate is None:
        steps = getattr(batches, "steps", None)
        passes = epochs or max(1, round((steps or 0) * policy.sampling_rate))
        warnings.warn(_shuffled(policy, passes), PrivacyWarning, stacklevel=3)
    elif policy.rows_together > 1:
        raise MismatchError(
            f"rows_together={policy.rows_together} needs groups that keep their other records when one comes or goes, "
            "and in Poisson batches all later records move up; clip each record by itself (rows_together=1)"
        )
    elif rate != policy.sampling_rate or size != policy.dataset_size:
        raise MismatchError(
            f"the policy accounts for sampling_rate={policy.sampling_rate} of {policy.dataset_size} records, but the "
            f"batches draw {rate} of {size}; give both the same numbers"
        )


def _shuffled(policy: PrivatePolicy, epochs: int) -> str:
    """What it means that batches are not Poisson samples, with the size of the gap where the noise hides anything."""
    text = (
        "the batches are not drawn by Poisson sampling, but the accounting assumes it: the guarantee does not cover "
        "this run as it is; use PoissonBatches"
    )
    noise = value_at(policy.noise_multiplier, 0, "noise_multiplier")
    noise = noise / 2 if policy.rows_together > 1 else noise  # one record moves its group by twice the clip norm
    if noise < LEAST_NOISE:
        return text
    batches = max(1, round(1 / policy.sampling_rate))
    gap = shuffling_gap(noise, batches, epochs, delta=DELTA)
    return (
        f"{text}. For {epochs} epochs of {batches} batches Poisson accounting says epsilon {gap.poisson:.4g} at delta "
        f"{DELTA:g}, where the truth lies between {gap.at_least:.4g} and {gap.at_most:.4g}"
    )
