"""What a run released, as frozen values that carry all that is needed to account for it.

A noise multiplier is the standard deviation of the noise divided by the L2 norm that one record's contribution is
clipped to. It does not change with the neighbouring relation: under ``replace_one`` the accountant doubles the
sensitivity itself.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Union

from mindveil.accountant.checks import between, count, positive

if TYPE_CHECKING:
    from mindveil.accountant.batches import BallsInBins, ShuffledBatches
    from mindveil.accountant.correlated import BandedMatrix, MatrixMechanism, TreeAggregation

__all__ = [
    "AdaptiveClipping",
    "ClippedTogether",
    "Composed",
    "Event",
    "Gaussian",
    "Laplace",
    "NoOp",
    "NonPrivate",
    "PerLayer",
    "PoissonSampled",
    "PureLoss",
    "SampledWithoutReplacement",
    "Sequence",
    "ZeroConcentrated",
]

Event = Union[
    "Gaussian",
    "AdaptiveClipping",
    "PerLayer",
    "ClippedTogether",
    "Laplace",
    "PureLoss",
    "ZeroConcentrated",
    "PoissonSampled",
    "SampledWithoutReplacement",
    "ShuffledBatches",
    "BallsInBins",
    "TreeAggregation",
    "BandedMatrix",
    "MatrixMechanism",
    "Composed",
    "Sequence",
    "NonPrivate",
    "NoOp",
]

_NO_NOISE = "use NonPrivate() for a release without noise"


@dataclass(frozen=True, slots=True)
class NoOp:
    """Nothing was released."""


@dataclass(frozen=True, slots=True)
class NonPrivate:
    """Something was released without protection: epsilon is infinite, also after sampling."""


@dataclass(frozen=True, slots=True)
class Gaussian:
    """A sum of clipped contributions plus Gaussian noise of ``noise_multiplier`` times the clip norm."""

    noise_multiplier: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise_multiplier", positive("noise_multiplier", self.noise_multiplier, _NO_NOISE))


@dataclass(frozen=True, slots=True)
class AdaptiveClipping:
    """A noisy sum and, on the same records, the noisy count of unclipped records that steers the clip norm.

    Args:
        noise_multiplier: of the sum.
        count_noise: standard deviation of the noise on the count, in records.
        shifted: whether each indicator has 1/2 subtracted, which halves the count's sensitivity.

    Source: Andrew, Thakkar, McMahan and Ramaswamy 2021, theorem 1.
    """

    noise_multiplier: float
    count_noise: float
    shifted: bool = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise_multiplier", positive("noise_multiplier", self.noise_multiplier, _NO_NOISE))
        object.__setattr__(self, "count_noise", positive("count_noise", self.count_noise, _NO_NOISE))
        if not isinstance(self.shifted, bool):
            raise TypeError(f"shifted is {self.shifted!r}, and must be True or False")


@dataclass(frozen=True, slots=True)
class PerLayer:
    """One release for each layer on the same records: noise standard deviation over sensitivity, layer by layer.

    The layers are composed before any sampling: they see the same batch, which hides a record once, not once a layer.
    """

    noise_multipliers: tuple[float, ...]

    def __post_init__(self) -> None:
        if isinstance(self.noise_multipliers, (str, bytes)) or not isinstance(self.noise_multipliers, Iterable):
            raise TypeError(f"noise_multipliers is {self.noise_multipliers!r}, and must hold one number a layer")
        values = tuple(positive("noise_multipliers", value, _NO_NOISE) for value in self.noise_multipliers)
        if not values:
            raise ValueError("noise_multipliers is empty, and must hold one number a layer")
        object.__setattr__(self, "noise_multipliers", values)


@dataclass(frozen=True, slots=True)
class ClippedTogether:
    """A noisy sum of groups of records, each group's gradient clipped as one (micro-batches).

    One record can turn its group's clipped gradient around, so the sensitivity is twice the clip norm as soon as a
    group may hold more than one record. The bound needs groups whose other members do not move when the record comes
    or goes.
    """

    noise_multiplier: float
    group_size: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise_multiplier", positive("noise_multiplier", self.noise_multiplier, _NO_NOISE))
        object.__setattr__(self, "group_size", count("group_size", self.group_size, 1))


@dataclass(frozen=True, slots=True)
class Laplace:
    """A release of L1 sensitivity 1 (one record present or absent) plus Laplace noise of scale ``noise_multiplier``."""

    noise_multiplier: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise_multiplier", positive("noise_multiplier", self.noise_multiplier, _NO_NOISE))


@dataclass(frozen=True, slots=True)
class PureLoss:
    """Anything that is (``epsilon``, 0)-private under the relation that the question names."""

    epsilon: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "epsilon", between("epsilon", self.epsilon, 0, math.inf))


@dataclass(frozen=True, slots=True)
class ZeroConcentrated:
    """Anything whose Renyi divergence of every order a > 1 is at most ``offset + rho * a``."""

    rho: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "rho", between("rho", self.rho, 0, math.inf))
        object.__setattr__(self, "offset", between("offset", self.offset, 0, math.inf))


@dataclass(frozen=True, slots=True)
class PoissonSampled:
    """``event`` on a batch that holds each record independently with probability ``rate``."""

    rate: float
    event: "Event"

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", between("rate", self.rate, 0, 1, "it is batch / records"))
        _check_event(self.event)


@dataclass(frozen=True, slots=True)
class SampledWithoutReplacement:
    """``event`` on ``batch_size`` records drawn afresh for each step, all different, out of ``dataset_size``."""

    dataset_size: int
    batch_size: int
    event: "Event"

    def __post_init__(self) -> None:
        object.__setattr__(self, "dataset_size", count("dataset_size", self.dataset_size, 1))
        object.__setattr__(self, "batch_size", count("batch_size", self.batch_size))
        if self.batch_size > self.dataset_size:
            raise ValueError(f"batch_size is {self.batch_size}, and must be at most dataset_size, {self.dataset_size}")
        _check_event(self.event)


@dataclass(frozen=True, slots=True)
class Composed:
    """``event``, ``steps`` times one after another, each with fresh noise and a fresh sample."""

    event: "Event"
    steps: int

    def __post_init__(self) -> None:
        _check_event(self.event)
        object.__setattr__(self, "steps", count("steps", self.steps))


@dataclass(frozen=True, slots=True)
class Sequence:
    """Different events, one after another, each with fresh noise and a fresh sample.

    >>> Sequence([Gaussian(1.0), Gaussian(2.0)])
    Sequence(events=(Gaussian(noise_multiplier=1.0), Gaussian(noise_multiplier=2.0)))
    """

    events: tuple["Event", ...]

    def __init__(self, events: Iterable["Event"]) -> None:
        if isinstance(events, (str, bytes)) or not isinstance(events, Iterable):
            raise TypeError(f"events is {events!r}, and must be a list or tuple of events")
        held = tuple(events)
        for event in held:
            _check_event(event)
        object.__setattr__(self, "events", held)


def _check_event(event: object) -> None:
    if not hasattr(type(event), "__dataclass_fields__") or not type(event).__module__.startswith("mindveil.accountant"):
        raise TypeError(f"event is {event!r} ({type(event).__name__}), and must be an event of mindveil.accountant")
