"""Compares how batches are made with what the accounting assumes."""

from __future__ import annotations

import warnings
from typing import Any

from mindveil.accountant import MismatchError, PrivacyWarning
from mindveil.runtime.step import PrivateStep

__all__ = ["check_sampling"]


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
        warnings.warn(
            "the batches are not drawn by Poisson sampling, but the accounting assumes it: the guarantee does not "
            "cover this run as it is. Use PoissonBatches; mindveil.accountant.shuffling_gap has the size of the gap",
            PrivacyWarning,
            stacklevel=3,
        )
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
