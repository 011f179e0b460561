"""The policy for networks whose gradients are bounded before the data is read: noise without clipping."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import hypot
from typing import Any

import numpy as np

from mindveil.passes.noise import Generator
from mindveil.passes.norms import Norm
from mindveil.runtime.allocation import Allocation, Even
from mindveil.runtime.policies import check_sampled_noise
from mindveil.runtime.schedules import Schedule
from mindveil.runtime.spectral import spectral_bound

__all__ = ["LipschitzDP", "Sensitivity", "certified_norms", "sensitivity", "shared"]

#: The bound is handed to the graph as float32.
FLOAT32 = 1 + 1e-6
#: A share of the noise is at least this part of the largest one, so that a gradient can be divided by it.
LEAST_SHARE = 1e-6


@dataclass(frozen=True, slots=True)
class LipschitzDP:
    """Differentially private gradients without clipping: a sweep of the step's graph bounds them, and noise is added.

    One update is ``(sum_i w_i g_i + N(0, (noise_multiplier C)^2)) / (sampling_rate dataset_size)``, where C bounds the
    norm of one example's gradient over all parameters. Before each step C is computed from the sweep's expressions and
    the norms of the weights as they are then, which are public after each noisy update.

    The network's inputs need a bound and its loss a Lipschitz constant, and both must be stated in the graph:
    `mindveil.runtime.lipdp` has such layers and losses. A step without a known bound is refused.

    Guarantee: as for `DPSGD`.

    Attributes:
        noise_multiplier, sampling_rate, dataset_size, public, noise_seed, workers, noise_generator: as for
            `DPSGD`.
        norms: gives, by parameter name, an upper bound of the spectral norm of each weight reshaped to ``[rows, -1]``
            (the Euclidean norm of a vector) as it is when called; by default `certified_norms`, which proves them from
            the weights. Where a projection holds them, its constants are cheaper.
        allocation: how the noise is shared among parameters, at the same price: `Even`, `ByBound` or `LeastEnergy`.
            Each gradient is divided by its share before the noise and multiplied by it afterwards; C bounds what is
            in between.

    Source: Béthune et al. 2024, "DP-SGD without clipping: the Lipschitz neural network way".
    """

    noise_multiplier: Schedule
    sampling_rate: float
    dataset_size: int
    public: tuple[str, ...] = ()
    noise_seed: int | None = None
    norms: Callable[[], Mapping[str, float]] | None = None
    allocation: Allocation = Even()  # noqa: RUF009  a frozen value
    workers: int = 1
    noise_generator: Generator | None = None

    def __post_init__(self) -> None:
        check_sampled_noise(self.noise_multiplier, self.sampling_rate, self.dataset_size, self.workers)

    @property
    def expected_batch(self) -> float:
        """The constant that the noisy sum is divided by: expected records of a batch."""
        return self.sampling_rate * self.dataset_size

    @property
    def adaptive(self) -> None:
        """No clip norm adapts."""
        return

    @property
    def rows_together(self) -> int:
        """Every record is bounded by itself."""
        return 1


def shared(policy: object) -> bool:
    """Whether parameters have shares of the noise that differ."""
    return isinstance(policy, LipschitzDP) and not isinstance(policy.allocation, Even)


def certified_norms(parameters: Sequence[Any], names: frozenset[str]) -> dict[str, float]:
    """Upper bounds of the norms of the named weights as they are now, rounding included.

    Raises:
        ArithmeticError: a weight is not finite.
    """
    found = {}
    for p in parameters:
        if p.name in names:
            values = p.asnumpy()
            found[p.name] = spectral_bound(values.reshape(len(values), -1) if values.ndim > 1 else values[:, None])
    return found


@dataclass(frozen=True, slots=True)
class Sensitivity:
    """What one example moves the sum of gradients by, once each gradient is divided by its share of the noise.

    Attributes:
        norm: over all parameters together.
        shares: by parameter name, as float32 holds them.
        bounds: by parameter name, of one example's gradient as it is.
    """

    norm: float
    shares: Mapping[str, float]
    bounds: Mapping[str, float]


def sensitivity(policy: LipschitzDP, bounds: Mapping[str, Norm], parameters: Sequence[Any]) -> Sensitivity:
    """The bound of one example's gradient over all parameters, for the weights as they are.

    Args:
        bounds: by parameter name, from the sweep.
        parameters: of the network, trained or not.

    Raises:
        ValueError: a norm is missing, or the bound is not a positive number.
    """
    wanted = frozenset[str]().union(*(b.names("weight") for b in bounds.values()))
    scalars = frozenset[str]().union(*(b.names("value") for b in bounds.values()))
    weights = certified_norms(parameters, wanted) if policy.norms is None else dict(policy.norms())
    values = {p.name: float(p.asnumpy()) for p in parameters if p.name in scalars}
    missing = sorted((wanted - set(weights)) | (scalars - set(values)))
    least = min([*weights.values(), *values.values()], default=0.0)
    if missing or not least >= 0:
        raise ValueError(f"norms must be at least 0 and known for every weight; missing: {missing}, least: {least}")
    each = {name: bound.at(weights, values) for name, bound in bounds.items()}
    sizes = {p.name: p.size for p in parameters}
    shares = _usable(policy.allocation.shares(each, sizes))
    together = hypot(*(bound / shares[name] for name, bound in each.items())) * FLOAT32
    if not 0 < together < float(np.finfo(np.float32).max):
        raise ValueError(f"the bound of a gradient is {together}, and must be positive and finite to scale noise by")
    return Sensitivity(together, shares, each)


def _usable(shares: Mapping[str, float]) -> dict[str, float]:
    """None so small that dividing by it overflows: that parameter gets more noise than it asked for, never less."""
    least = LEAST_SHARE * max(shares.values())
    return {name: float(np.float32(max(share, least))) for name, share in shares.items()}
