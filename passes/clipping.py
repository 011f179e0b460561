"""Ways to bound an example's gradient: by one norm, by one for each parameter, or by normalising it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite, sqrt

__all__ = ["Automatic", "Clipping", "Flat", "PerLayer"]


@dataclass(frozen=True, slots=True)
class Flat:
    """``g min(1, C / |g|)`` with the norm over all parameters together.

    Source: Abadi et al. 2016.
    """

    def shares(self, names: list[str]) -> list[tuple[list[str], float]]:
        """Groups of parameters that are clipped together, each with its share of C; the squares of shares sum to 1."""
        return [(names, 1.0)]


@dataclass(frozen=True, slots=True)
class PerLayer:
    """Each parameter's gradient is clipped by itself; all together stay within C, the root of the sum of squares.

    Attributes:
        norms: relative bounds by parameter name, or None for equal ones.

    Source: McMahan, Ramage, Talwar and Zhang 2018, section 3.
    """

    norms: Mapping[str, float] | None = None

    def __post_init__(self) -> None:
        for name, norm in (self.norms or {}).items():
            if not isfinite(norm) or norm <= 0:
                raise ValueError(f"the bound of {name} is {norm}, and must be finite and positive")

    def shares(self, names: list[str]) -> list[tuple[list[str], float]]:
        """See `Flat.shares`.

        Raises:
            ValueError: a trained parameter has no bound, or a bound has no parameter.
        """
        norms = dict(self.norms) if self.norms is not None else dict.fromkeys(names, 1.0)
        if norms.keys() != set(names):
            wrong = sorted(norms.keys() ^ set(names))
            raise ValueError(
                f"bounds are needed for exactly the trained parameters; these do not match: {', '.join(wrong)}"
            )
        total = sqrt(sum(n * n for n in norms.values()))
        # A hair below, so that rounding never lets the squares sum to more than 1.
        return [([name], norms[name] / total * (1 - 1e-7)) for name in names]


@dataclass(frozen=True, slots=True)
class Automatic:
    """``g C / (|g| + stability)``: every example has nearly the same weight, and C is no longer to be tuned.

    Source: Bu, Wang, Zha and Karypis 2022, "Automatic clipping", AUTO-S.
    """

    stability: float = 0.01

    def __post_init__(self) -> None:
        if not isfinite(self.stability) or self.stability <= 0:
            raise ValueError(f"stability is {self.stability}, and must be finite and positive")

    def shares(self, names: list[str]) -> list[tuple[list[str], float]]:
        """See `Flat.shares`."""
        return [(names, 1.0)]


Clipping = Flat | PerLayer | Automatic
