"""A measured number with its 95 % interval and sample size, and how the interval is computed."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

__all__ = ["Score", "mean_score", "paired_difference", "rate_score"]

CONFIDENCE = 0.95
RESAMPLES = 2_000


@dataclass(frozen=True, slots=True)
class Score:
    """``value`` measured on ``n`` records, and an interval that covers the true value in 95 % of repetitions.

    The interval covers the choice of records alone. It says nothing about another training of the same model.

    Raises:
        ValueError: the value lies outside its interval, a number is not finite, or there are no records.
    """

    name: str
    value: float
    low: float
    high: float
    n: int

    def __post_init__(self) -> None:
        if not all(math.isfinite(item) for item in (self.value, self.low, self.high)):
            raise ValueError(f"{self.name} is {self.value} in [{self.low}, {self.high}], and must be finite")
        if self.n < 1:
            raise ValueError(f"{self.name} was measured on {self.n} records, and needs at least 1")
        slack = 1e-9 * max(1.0, abs(self.value))
        if not self.low - slack <= self.value <= self.high + slack:
            raise ValueError(f"{self.name} is {self.value}, outside its own interval [{self.low}, {self.high}]")

    def __str__(self) -> str:
        return f"{self.name} {self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n={self.n})"


def mean_score(name: str, values: ArrayLike, *, seed: int = 0) -> Score:
    """The mean of one number per record, with a percentile bootstrap interval of 2,000 resamples.

    Raises:
        ValueError: there are no values, or one is not finite.

    Source: Efron and Tibshirani 1993, chapter 13.

    >>> print(mean_score("l2", [0.4, 0.5, 0.6, 0.5]))
    l2 0.500 [0.425, 0.575] (n=4)
    """
    data = np.asarray(values, np.float64).reshape(-1)
    if not data.size or not np.isfinite(data).all():
        raise ValueError(
            f"{name} has {data.size} values of which {int(np.isfinite(data).sum())} are finite; all must be"
        )
    chosen = np.random.default_rng(seed).integers(0, data.size, (RESAMPLES, data.size))
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(data[chosen].mean(1), [tail, 1 - tail])
    value = float(data.mean())
    return Score(name, value, min(float(low), value), max(float(high), value), int(data.size))


def rate_score(name: str, hits: ArrayLike) -> Score:
    """The share of True among one truth value per record, with the Clopper-Pearson interval.

    Raises:
        ValueError: there are no values.

    Source: Clopper and Pearson 1934; the beta form of its limits.

    >>> print(rate_score("identified", [True] * 30))
    identified 1.000 [0.884, 1.000] (n=30)
    """
    data = np.asarray(hits, np.bool_).reshape(-1)
    if not data.size:
        raise ValueError(f"{name} has no values; at least one record is needed")
    n, k = int(data.size), int(data.sum())
    tail = (1 - CONFIDENCE) / 2
    low = 0.0 if k == 0 else float(special.betaincinv(k, n - k + 1, tail))
    high = 1.0 if k == n else float(special.betaincinv(k + 1, n - k, 1 - tail))
    return Score(name, k / n, low, high, n)


def paired_difference(name: str, first: ArrayLike, second: ArrayLike, *, seed: int = 0) -> Score:
    """The mean of ``first - second``, record by record: the way to compare two models on the same targets.

    Raises:
        ValueError: the two have different lengths, or `mean_score` refuses the differences.
    """
    left, right = (np.asarray(item, np.float64).reshape(-1) for item in (first, second))
    if left.shape != right.shape:
        raise ValueError(f"{name}: {left.size} values against {right.size}; a pair needs one of each per record")
    difference: NDArray[Any] = left - right
    return mean_score(name, difference, seed=seed)
