"""When suppress operations happen and how sparse each of them makes the layers, as functions of a position."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

from mindveil.runtime.schedules import cubic_sparsity

__all__ = ["ADVISED", "Plan", "Progress"]

#: Steps between two suppress operations that the tutorial advises.
ADVISED = (10, 20)
#: The closing operation comes so long before the end of the last epoch that a checkpoint of its last step holds it,
#: also where the checkpoint callback is called before the masker.
CLOSING = 2
LAST_EPOCH = 100


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run's suppression has got.

    Attributes:
        start_step: step at which it began, 0 before that.
        last_step: step of the last operation, 0 before the first.
        sparsity: share of zeros that the last operation aimed at.
        due: whether an operation belongs at the end of the present step.
    """

    start_step: int = 0
    last_step: int = 0
    sparsity: float = 0.0
    due: bool = False

    @property
    def started(self) -> bool:
        """Whether suppression has begun."""
        return self.start_step > 0


@dataclass(frozen=True, slots=True)
class Plan:
    """The suppress operations of a run: regular ones from ``start_epoch`` on, and a closing one in ``end_epoch``.

    Attributes:
        end_epoch, start_epoch: the last and the first epoch with operations, counted from 1.
        batch_num: steps in an epoch.
        mask_times: number of operations. Where it does not divide the steps the distance is rounded up, so that there
            are fewer.
        sparse_end, sparse_start: share of zeros at the end and at the beginning.
        schedule: share of zeros as a function of the steps since the beginning, in place of the cubic one.
    """

    end_epoch: int
    batch_num: int
    start_epoch: int
    mask_times: int
    sparse_end: float
    sparse_start: float
    schedule: Callable[[int], float] | None = None

    def __post_init__(self) -> None:
        for name in ("end_epoch", "batch_num", "start_epoch", "mask_times"):
            _positive(name, getattr(self, name))
        if self.start_epoch > self.end_epoch:
            raise ValueError(f"start_epoch is {self.start_epoch}, and must be at most end_epoch, {self.end_epoch}")
        if self.end_epoch > LAST_EPOCH:
            raise ValueError(f"end_epoch is {self.end_epoch}, and must be at most {LAST_EPOCH}")
        for name in ("sparse_end", "sparse_start"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise TypeError(f"{name} is {value!r}, and must be a number")
        if not 0.0 <= self.sparse_start < self.sparse_end < 1.0:
            raise ValueError(
                f"sparse_start is {self.sparse_start} and sparse_end is {self.sparse_end}, and must satisfy "
                "0.0 <= sparse_start < sparse_end < 1.0"
            )

    @property
    def steps(self) -> int:
        """Steps from the beginning of the first epoch with operations to the end of the last."""
        return (self.end_epoch - self.start_epoch + 1) * self.batch_num

    @property
    def interval(self) -> float:
        """Steps between two operations, before rounding up."""
        return self.steps / self.mask_times

    def sparsity(self, since: int) -> float:
        """The share of zeros ``since`` steps after the beginning.

        Raises:
            ValueError: the schedule gave something that is no share.
        """
        rising = self.schedule or cubic_sparsity(self.sparse_end, self.steps, float(self.sparse_start))
        value = float(rising(since))
        if not isfinite(value):
            raise ValueError(f"the schedule gave {value} after {since} steps, and must give a share of zeros")
        return min(max(value, self.sparse_start), self.sparse_end)

    def after(self, progress: Progress, epoch: int, step: int, step_in_epoch: int) -> Progress:
        """The progress at the end of a step; all three positions count from 1."""
        if not self.start_epoch <= epoch <= self.end_epoch:
            return Progress(progress.start_step, progress.last_step, progress.sparsity)
        start = progress.start_step or step
        closing = epoch == self.end_epoch and step_in_epoch == max(self.batch_num - CLOSING, 1)
        if not closing and step < progress.last_step + self.interval:
            return Progress(start, progress.last_step, progress.sparsity)
        # Exactly the final sparsity: a step or two before the end the cubic is a hair below, one weight short a layer.
        target = self.sparse_end if closing and self.schedule is None else self.sparsity(step - start)
        return Progress(start, step, max(progress.sparsity, target), due=True)


def _positive(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}, and must be a whole number")
    if value <= 0:
        raise ValueError(f"{name} is {value}, and must be above 0")
