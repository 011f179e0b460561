"""How the noise of one release is shared among parameters whose gradients are bounded one by one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite, sqrt

__all__ = ["Allocation", "ByBound", "Even", "LeastEnergy"]


@dataclass(frozen=True, slots=True)
class Even:
    """The same standard deviation on every parameter."""

    def shares(self, bounds: Mapping[str, float], sizes: Mapping[str, int]) -> dict[str, float]:
        """By parameter name, what its noise is proportional to.

        Args:
            bounds: of one example's gradient. sizes: how many numbers each parameter has.
        """
        return dict.fromkeys(bounds, 1.0)


@dataclass(frozen=True, slots=True)
class ByBound:
    """Noise in proportion to each parameter's bound, times a coefficient.

    Attributes:
        coefficients: by parameter name, positive; 1 where not named.
    """

    coefficients: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, value in self.coefficients.items():
            if not isfinite(value) or value <= 0:
                raise ValueError(f"the coefficient of {name} is {value}, and must be finite and positive")

    def shares(self, bounds: Mapping[str, float], sizes: Mapping[str, int]) -> dict[str, float]:
        """See `Even.shares`."""
        return {name: self.coefficients.get(name, 1.0) * bound for name, bound in bounds.items()}


@dataclass(frozen=True, slots=True)
class LeastEnergy:
    """The least noise energy ``sum d_l s_l^2`` for ``d_l`` numbers, at the privacy of `Even`.

    Under ``sum (D_l / s_l)^2 = const`` the minimum is at s_l in proportion to ``sqrt(D_l / sqrt(d_l))``.
    """

    def shares(self, bounds: Mapping[str, float], sizes: Mapping[str, int]) -> dict[str, float]:
        """See `Even.shares`."""
        return {name: sqrt(bound / sqrt(sizes[name])) for name, bound in bounds.items()}


Allocation = Even | ByBound | LeastEnergy
