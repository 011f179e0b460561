"""Writes the privacy card of a training step, from what it ran and released."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import mindspore as ms
import numpy as np

from mindveil import accountant
from mindveil.passes.pipeline import Trace
from mindveil.runtime.card import PrivacyCard
from mindveil.runtime.controls import Controls
from mindveil.runtime.kinds import generator_of

if TYPE_CHECKING:
    from mindveil.runtime.readings import Readings

__all__ = ["card_of"]


def card_of(step: Readings, delta: float, controls: Controls | None, trace: Sequence[Trace]) -> PrivacyCard:
    """The card of a step: private with its epsilon, suppressed with its sparsity, or public."""
    public = PrivacyCard(
        mode="suppressed" if step.masks else "public",
        steps=step.steps_done,
        sparsity=step.sparsity,
        masked=tuple(step.masks),
        passes=tuple(t.name for t in trace),
        versions={"mindspore": ms.__version__, "numpy": np.__version__},
    )
    policy = step.dpsgd
    if policy is None or controls is None:
        return public
    return replace(
        public,
        mode="private",
        epsilon=step.epsilon(delta),
        delta=delta,
        neighbouring="add_or_remove_one",
        sampling=f"Poisson, rate {policy.sampling_rate:.6g}",
        event=accountant.event_to_json(step.events),
        clip_norm=controls.bound,
        noise_multiplier=controls.value("mindveil.noise_multiplier"),
        sampling_rate=policy.sampling_rate,
        dataset_size=policy.dataset_size,
        ledger_head=step.ledger.head if step.ledger is not None else None,
        noise_reproducible=policy.noise_seed is not None,
        noise_generator=generator_of(policy),
        workers=policy.workers,
        warnings=_doubts(step, delta, policy.dataset_size),
    )


def _doubts(step: Readings, delta: float, dataset_size: int) -> tuple[str, ...]:
    """What the reader of the guarantee should know: a delta too large, noise too small to mean anything."""
    return tuple(item.text for item in accountant.advice(step.events, delta=delta, dataset_size=dataset_size))
