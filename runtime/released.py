"""Keeps what a training step has released, in memory and in its ledger."""

from __future__ import annotations

from mindveil import accountant
from mindveil.accountant import (
    AdaptiveClipping,
    ClippedTogether,
    Composed,
    Event,
    Gaussian,
    Ledger,
    NonPrivate,
    PoissonSampled,
    Sequence,
)

__all__ = ["Released"]


class Released:
    """The events of a run, equal neighbours counted together."""

    def __init__(self, ledger: Ledger | None) -> None:
        self._ledger = ledger
        self._runs: list[tuple[Event, int]] = []

    def append(
        self, sampling_rate: float, noise_multiplier: float, count_noise: float | None = None, rows_together: int = 1
    ) -> None:
        """One noisy sum over a Poisson batch; on disk before this returns, if there is a ledger.

        Args:
            count_noise: standard deviation of the noise on the count of unclipped records (or groups of records), where
                one is released.
            rows_together: records that were clipped as one.

        Raises:
            BudgetExceeded: the ledger's budget does not cover it.
        """
        self.append_event(_event(sampling_rate, noise_multiplier, count_noise, rows_together))

    def append_event(self, event: Event) -> None:
        """One release of any kind; on disk before this returns, if there is a ledger.

        Raises:
            BudgetExceeded: the ledger's budget does not cover it.
        """
        if self._ledger is not None:
            self._ledger.append(event)
        if self._runs and self._runs[-1][0] == event:
            self._runs[-1] = (event, self._runs[-1][1] + 1)
        else:
            self._runs.append((event, 1))

    @property
    def unprotected(self) -> bool:
        """Whether something was released without noise."""
        return any(isinstance(event, NonPrivate) for event, _ in self._runs)

    @property
    def event(self) -> Event:
        """All of it as one event; of the ledger, which also knows of earlier runs, where there is one."""
        if self._ledger is not None:
            return self._ledger.spent
        return Sequence([Composed(event, count) for event, count in self._runs])

    def resume(self, event: Event) -> None:
        """Counts what a checkpoint says was released before; without effect where this run knows of more already."""
        if self._ledger is None and not self._runs:
            self._runs.append((event, 1))

    def epsilon(self, delta: float) -> float:
        """What it costs; from the ledger, which also knows of earlier runs, where there is one."""
        if self._ledger is not None:
            return self._ledger.epsilon(delta)
        return accountant.epsilon(self.event, delta)


def _event(sampling_rate: float, noise_multiplier: float, count_noise: float | None, rows_together: int) -> Event:
    if noise_multiplier == 0:
        return NonPrivate()
    if rows_together > 1:
        return PoissonSampled(sampling_rate, _of_groups(noise_multiplier, count_noise, rows_together))
    if count_noise is None:
        return PoissonSampled(sampling_rate, Gaussian(noise_multiplier))
    return PoissonSampled(sampling_rate, AdaptiveClipping(noise_multiplier, count_noise))


def _of_groups(noise_multiplier: float, count_noise: float | None, rows_together: int) -> Event:
    clipped = ClippedTogether(noise_multiplier, rows_together)
    if count_noise is None:
        return clipped
    # A record can push its whole group over the bound: the count then moves from +1/2 to -1/2, by 1 and not by 1/2.
    return Sequence([clipped, Gaussian(count_noise)])
