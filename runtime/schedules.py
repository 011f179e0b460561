"""Schedules: functions from the step to a value, for noise, clip norm and sparsity."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite

__all__ = ["Schedule", "cubic_sparsity", "value_at"]

#: A constant, or a function of the step (0 for the first). It must not depend on the data: see the class that uses it.
Schedule = float | Callable[[int], float]


def value_at(schedule: Schedule, step: int, name: str) -> float:
    """The schedule's value at a step.

    Raises:
        ValueError: the value is negative or not finite.
    """
    value = float(schedule(step) if callable(schedule) else schedule)
    if not isfinite(value) or value < 0:
        raise ValueError(f"{name} is {value} at step {step}, and must be finite and not negative")
    return value


def cubic_sparsity(final: float, steps: int, initial: float = 0.0) -> Callable[[int], float]:
    """Sparsity that rises steeply at first and ends at ``final`` after ``steps`` steps.

    Source: Zhu and Gupta 2017, "To prune, or not to prune", equation 1; the tutorials of suppress privacy use it.

    >>> rising = cubic_sparsity(0.95, steps=100)
    >>> [round(rising(t), 3) for t in (0, 25, 50, 100, 200)]
    [0.0, 0.549, 0.831, 0.95, 0.95]
    """

    def sparsity(step: int) -> float:
        left = max(0.0, 1.0 - step / steps)
        return final + (initial - final) * left**3

    return sparsity
