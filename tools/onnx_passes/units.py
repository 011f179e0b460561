"""Units: the channels and features of values, and which of them stand or fall together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["IntArray", "Lanes", "Units"]

IntArray: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Lanes:
    """Along ``axis`` of a value, position ``i`` belongs to unit ``units[i]``."""

    axis: int
    units: IntArray


class Units:
    """A union-find over units: united units are kept or removed together; a pinned one is always kept."""

    def __init__(self) -> None:
        self._parent: list[int] = []
        self._pinned: set[int] = set()

    def make(self, count: int) -> IntArray:
        """New units, each on its own."""
        start = len(self._parent)
        self._parent.extend(range(start, start + count))
        return np.arange(start, start + count, dtype=np.int64)

    def unite(self, one: IntArray, two: IntArray) -> None:
        """Ties units of two values together, position by position."""
        for left, right in zip(one.tolist(), two.tolist(), strict=True):
            first, second = self.root(left), self.root(right)
            if first != second:
                self._parent[second] = first

    def pin(self, units: Iterable[int] | IntArray) -> None:
        """Marks units that must stay."""
        self._pinned.update(int(unit) for unit in units)

    def root(self, unit: int) -> int:
        """The unit that stands for all that are united with this one."""
        while self._parent[unit] != unit:
            self._parent[unit] = self._parent[self._parent[unit]]
            unit = self._parent[unit]
        return unit

    def roots(self, units: IntArray) -> IntArray:
        """The representatives of several units."""
        return np.array([self.root(unit) for unit in units.tolist()], np.int64)

    def pinned(self) -> set[int]:
        """Representatives of the units that must stay."""
        return {self.root(unit) for unit in self._pinned}
