"""Compares how batches are made with what the accounting assumes."""

from __future__ import annotations

import warnings
from typing import Any

from mindveil.accountant import MismatchError, PrivacyWarning, shuffling_gap
from mindveil.runtime.policies import DPSGD
from mindveil.runtime.schedules import value_at
from mindveil.runtime.step import PrivateStep

__all__ = ["check_sampling"]

#: For the size of the gap in a warning; the guarantee itself is stated at the delta that the user chooses.
DELTA = 1e-5


def check_sampling(step: PrivateStep, batches: Any) -> None:
    """Compares how the batches are made with what the step accounts for.

    Raises:
        MismatchError: they are sampled at another rate, or over another number of records.
    """
    policy = step.dpsgd
    if policy is None:
        return
    rate, size = getattr(batches, "sampling_rate", None), getattr(batches, "dataset_size", None)
    if rate is None:
        warnings.warn(_shuffled(policy, getattr(batches, "steps", None)), PrivacyWarning, stacklevel=3)
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


def _shuffled(policy: DPSGD, steps: int | None) -> str:
    """What it means that batches are not Poisson samples, with the size of the gap where the noise is known."""
    text = (
        "the batches are not drawn by Poisson sampling, but the accounting assumes it: the guarantee does not cover "
        "this run as it is; use PoissonBatches"
    )
    noise = value_at(policy.noise_multiplier, 0, "noise_multiplier")
    if noise == 0:
        return text
    batches = max(1, round(1 / policy.sampling_rate))
    epochs = max(1, round((steps or batches) / batches))
    gap = shuffling_gap(noise, batches, epochs, delta=DELTA)
    return (
        f"{text}. For {epochs} epochs of {batches} batches Poisson accounting says epsilon {gap.poisson:.4g} at delta "
        f"{DELTA:g}, where the truth lies between {gap.at_least:.4g} and {gap.at_most:.4g}"
    )
