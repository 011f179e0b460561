"""Warnings about guarantees that are correct on paper and mean less than they seem, each with the size of the gap."""

import warnings
from dataclasses import dataclass

from mindveil.accountant import events as ev
from mindveil.accountant.checks import Relation, count, delta_value, one_of, relation
from mindveil.accountant.declared import SAMPLINGS
from mindveil.accountant.errors import PrivacyWarning
from mindveil.accountant.guarantees import epsilon
from mindveil.accountant.shuffling import shuffling_gap
from mindveil.accountant.terms import SampledGaussian, terms_of

__all__ = ["Advice", "advice", "warn"]

_MEANINGLESS = 20.0  # above this a single release may multiply the odds of a guess by 5e8


@dataclass(frozen=True, slots=True)
class Advice:
    """One reason for doubt.

    Args:
        topic: ``shuffled``, ``delta`` or ``noise``.
        text: a sentence with the numbers in it.
        gap: how large it is: a factor in epsilon, in delta * records, or an epsilon.
    """

    topic: str
    text: str
    gap: float


def advice(
    event: ev.Event,
    *,
    delta: float,
    dataset_size: int,
    pipeline: str | None = None,
    neighbouring: Relation = "add_or_remove_one",
) -> tuple[Advice, ...]:
    """Everything about a run's guarantee that its reader should know.

    Args:
        pipeline: how the data pipeline makes its batches, one of the names in ``SAMPLINGS``; None if nothing is known.
    """
    wanted, records = delta_value(delta), count("dataset_size", dataset_size, 1)
    if pipeline is not None:
        one_of("pipeline", pipeline, SAMPLINGS)
    found: list[Advice] = []
    if pipeline == "shuffle":
        found.extend(_shuffled(event, wanted))
    if wanted * records >= 1:
        text = (
            f"delta is {wanted:g}, at least 1 / {records} records: publishing {wanted * records:.3g} records in the "
            f"clear would satisfy it; choose delta below {1 / records:.2g}, better {0.1 / records:.1g}"
        )
        found.append(Advice("delta", text, wanted * records))
    spent = epsilon(event, wanted, neighbouring=relation(neighbouring))
    if spent > _MEANINGLESS:
        text = (
            f"epsilon is {spent:.4g}: the odds of any guess about a record may grow by a factor of e^{spent:.0f}, so "
            "the guarantee means nothing; more noise, fewer steps or a smaller sampling rate are needed"
        )
        found.append(Advice("noise", text, spent))
    return tuple(found)


def warn(
    event: ev.Event,
    *,
    delta: float,
    dataset_size: int,
    pipeline: str | None = None,
    neighbouring: Relation = "add_or_remove_one",
) -> None:
    """Issue each piece of :func:`advice` as a :class:`PrivacyWarning`."""
    for item in advice(event, delta=delta, dataset_size=dataset_size, pipeline=pipeline, neighbouring=neighbouring):
        warnings.warn(item.text, PrivacyWarning, stacklevel=2)


def _shuffled(event: ev.Event, delta: float) -> list[Advice]:
    """The gap for each Poisson-sampled Gaussian of the run, as if it were an epoch's worth of shuffled batches."""
    found = []
    for term, steps in terms_of(event).counted.items():
        if not isinstance(term, SampledGaussian) or term.pair != "present":
            continue
        batches = max(1, round(1 / term.rate))
        epochs = max(1, round(steps / batches))
        gap = shuffling_gap(term.noise, batches, epochs, delta=delta)
        text = (
            f"the data is shuffled, but the accounting says Poisson: epsilon {gap.poisson:.4g} for {epochs} epochs of "
            f"{batches} batches, where the truth lies between {gap.at_least:.4g} and {gap.at_most:.4g} at delta "
            f"{delta:g} ({gap.factor:.3g} times as much, or more); use Poisson or balls-in-bins batches, or state "
            f"{gap.at_most:.4g}"
        )
        found.append(Advice("shuffled", text, gap.factor))
    return found
