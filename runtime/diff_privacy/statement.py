"""The guarantee that can be stated for a run: of the events that ran, for the way in which it was fed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import Literal

from mindveil import accountant
from mindveil.accountant import Composed, Event, PoissonSampled, Sequence
from mindveil.accountant.checks import Relation
from mindveil.runtime.diff_privacy.feeding import Feeding

__all__ = ["Statement", "releases", "statement_of"]

Policy = Literal["rdp", "zcdp"]


@dataclass(frozen=True, slots=True)
class Statement:
    """What a run has released, and the relation under which its price is stated."""

    event: Event
    neighbouring: Relation
    poisson: bool

    def epsilon(self, delta: float, policy: Policy) -> float:
        """In nats, at ``delta``."""
        return accountant.epsilon(self.event, delta, neighbouring=self.neighbouring, method=self._method(policy))

    def delta(self, epsilon: float, policy: Policy) -> float:
        """At ``epsilon``."""
        return accountant.delta(self.event, epsilon, neighbouring=self.neighbouring, method=self._method(policy))

    def _method(self, policy: Policy) -> Literal["rdp", "pld", "zcdp"]:
        # Without sampling all of it is one Gaussian, whose price has a closed form below any Renyi bound.
        return policy if self.poisson or policy == "zcdp" else "pld"


def statement_of(event: Event, feeding: Feeding) -> Statement:
    """The statement about what a step released.

    Poisson sampling: one record added or removed, with amplification by sampling. Shuffled batches of fixed size: one
    record replaced by another, which comes once in each pass over the data and is hidden by the noise alone. No useful
    amplification by shuffling is proven, and a record that is added would move all others to other batches.

    Source: Chua et al. 2024 (arXiv 2403.17673) for how far Poisson accounting is off for shuffled batches.
    """
    if feeding.poisson:
        return Statement(event, "add_or_remove_one", True)
    ran = [release.event for release in releases(event)]
    starts = sorted({0, *(s for s in feeding.starts if s < len(ran)), len(ran)})
    worst = [
        max(ran[a : min(a + feeding.pass_steps, end)], key=_price)
        for start, end in pairwise(starts)
        for a in range(start, end, feeding.pass_steps)
    ]
    return Statement(Sequence([Composed(e, len(list(same))) for e, same in groupby(worst)]), "replace_one", False)


def releases(event: Event) -> Iterator[PoissonSampled]:
    """The releases of a training step one by one, in their order.

    Raises:
        ValueError: something else than a training step was released.
    """
    match event:
        case Composed():
            for _ in range(event.steps):
                yield from releases(event.event)
        case Sequence():
            for part in event.events:
                yield from releases(part)
        case PoissonSampled():
            yield event
        case accountant.NonPrivate():
            yield PoissonSampled(1.0, event)
        case _:
            raise ValueError(f"{event!r} is no release of a training step; account for it with mindveil.accountant")


def _price(event: Event) -> float:
    if isinstance(event, accountant.NonPrivate):
        return float("inf")
    return accountant.zcdp(event, neighbouring="replace_one")
