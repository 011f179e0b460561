"""The normal form of an event: what remains to be added up once neighbours, sampling and composition are resolved."""

from dataclasses import dataclass, field
from typing import Literal

from mindveil.accountant import events as ev
from mindveil.accountant.batches import BallsInBins, ShuffledBatches
from mindveil.accountant.checks import Relation, relation
from mindveil.accountant.correlated import BandedMatrix, MatrixMechanism, TreeAggregation

__all__ = [
    "Allocated",
    "Concentrated",
    "Pair",
    "Pure",
    "SampledGaussian",
    "SampledLaplace",
    "Term",
    "Terms",
    "terms_of",
]

Pair = Literal["present", "replaced", "symmetrised"]
"""Which two distributions a sampled Gaussian step has to keep apart.

present:     the record is in the batch with probability q, or it is in no batch; both directions count.
replaced:    with probability q the batch holds the record (+1) or its replacement (-1).
symmetrised: the worst of both directions of ``present`` at each epsilon, for batches of fixed size.
"""


@dataclass(frozen=True, slots=True)
class SampledGaussian:
    """A Gaussian of multiplier ``noise`` inside a sampler of rate strictly between 0 and 1."""

    pair: Pair
    rate: float
    noise: float


@dataclass(frozen=True, slots=True)
class SampledLaplace:
    """Laplace noise of scale ``noise`` at L1 sensitivity 1, sampled at ``rate`` (1: not sampled)."""

    rate: float
    noise: float


@dataclass(frozen=True, slots=True)
class Pure:
    """An (epsilon, 0) guarantee."""

    epsilon: float


@dataclass(frozen=True, slots=True)
class Concentrated:
    """A Renyi guarantee of ``offset + rho * order``."""

    rho: float
    offset: float


@dataclass(frozen=True, slots=True)
class Allocated:
    """An epoch of ``batches`` Gaussians of multiplier ``noise``, the record in one of them at random."""

    noise: float
    batches: int


Term = SampledGaussian | SampledLaplace | Pure | Concentrated | Allocated


@dataclass(slots=True)
class Terms:
    """Everything a run costs: one unsampled Gaussian, counted other terms, and whether anything was not private."""

    signal: float = 0.0
    """Sum of (sensitivity / noise)**2 over all unsampled Gaussians: they compose exactly into one."""
    counted: dict[Term, int] = field(default_factory=dict)
    infinite: bool = False
    loose: float = 0.0
    """The part of ``signal`` that is an upper bound only: what it stands for may cost less."""

    def add(self, term: Term, times: int) -> None:
        """Count ``term`` another ``times``."""
        self.counted[term] = self.counted.get(term, 0) + times

    @property
    def empty(self) -> bool:
        """Whether nothing was spent."""
        return not self.infinite and self.signal == 0 and not self.counted


def terms_of(event: "ev.Event", neighbouring: Relation = "add_or_remove_one") -> Terms:
    """The normal form of ``event`` under a neighbouring relation.

    Raises:
        TypeError: not an event.
        ValueError: a combination for which no sound bound is known, such as a tree inside a sampler.
    """
    terms = Terms()
    _collect(event, relation(neighbouring), 1, terms)
    return terms


def _collect(event: "ev.Event", rel: Relation, times: int, terms: Terms) -> None:
    if times == 0:
        return
    match event:
        case ev.PoissonSampled() | ev.SampledWithoutReplacement():
            _collect_sampled(event, rel, times, terms)
        case ev.Composed():
            _collect(event.event, rel, times * event.steps, terms)
        case ev.Sequence():
            for part in event.events:
                _collect(part, rel, times, terms)
        case ev.NoOp():
            pass
        case ev.NonPrivate():
            terms.infinite = True
        case ev.Laplace():
            terms.add(SampledLaplace(1.0, event.noise_multiplier / (2 if rel == "replace_one" else 1)), times)
        case ev.PureLoss():
            if event.epsilon > 0:
                terms.add(Pure(event.epsilon), times)
        case ev.ZeroConcentrated():
            if event.rho > 0 or event.offset > 0:
                terms.add(Concentrated(event.rho, event.offset), times)
        case BallsInBins() if rel != "replace_one" and event.batches > 1:
            terms.add(Allocated(event.noise_multiplier, event.batches), times)
        case BandedMatrix():
            sampled = ev.PoissonSampled(event.group_rate, ev.Gaussian(event.noise_multiplier))
            _collect(sampled, rel, times * event.rounds, terms)
        case _:
            signal = times * _signal(event, rel)
            terms.signal += signal
            if isinstance(event, (ShuffledBatches, BallsInBins, MatrixMechanism)):
                terms.loose += signal


def _signal(event: "ev.Event", rel: Relation) -> float:
    """(Sensitivity / noise)**2 of an event that costs what one unsampled Gaussian costs."""
    double = 4.0 if rel == "replace_one" else 1.0
    match event:
        case ev.Gaussian():
            return double * event.noise_multiplier**-2
        case ev.PerLayer():
            return double * sum(noise**-2 for noise in event.noise_multipliers)
        case ev.ClippedTogether():
            # A group's clipped gradient moves by up to 2C when a record comes, goes or changes: never by 4C.
            return (4.0 if event.group_size > 1 else double) * event.noise_multiplier**-2
        case ev.AdaptiveClipping():
            # Replacing a record moves the count by 1, shifted or not; adding one moves it by 1/2 only if shifted.
            halved = event.shifted and rel != "replace_one"
            return double * event.noise_multiplier**-2 + (0.25 if halved else 1.0) * event.count_noise**-2
        case BallsInBins():
            return double * event.noise_multiplier**-2
        case ShuffledBatches():
            return _SHUFFLED_SENSITIVITY[rel] * event.noise_multiplier**-2
        case TreeAggregation():
            return double * event.depth * event.epochs * event.noise_multiplier**-2
        case MatrixMechanism():
            return double * (event.participations * event.max_column_norm / event.noise_multiplier) ** 2
        case _:
            raise TypeError(f"event is {event!r} ({type(event).__name__}), and must be an event of mindveil.accountant")


# A record that is inserted takes another one's place (2C), which moves to the last batch (C): 2**2 + 1**2.
_SHUFFLED_SENSITIVITY: dict[str, float] = {"zero_out": 1.0, "replace_one": 4.0, "add_or_remove_one": 5.0}


def _collect_sampled(
    event: "ev.PoissonSampled | ev.SampledWithoutReplacement", rel: Relation, times: int, terms: Terms
) -> None:
    inner = event.event
    poisson = isinstance(event, ev.PoissonSampled)
    rate = event.rate if isinstance(event, ev.PoissonSampled) else event.batch_size / event.dataset_size
    while poisson and isinstance(inner, ev.PoissonSampled):
        # A record that must survive two independent draws is drawn with the product of the rates.
        rate, inner = rate * inner.rate, inner.event
    if isinstance(inner, ev.Laplace) and poisson:
        _collect_sampled_laplace(inner, rate, rel, times, terms)
        return
    resized = not poisson and rel != "zero_out"  # a batch of fixed size: the record takes the place of another one
    signal = _signal_inside(inner, "replace_one" if resized else "zero_out")
    if rate == 0 or signal == 0:
        return
    if signal == float("inf"):
        terms.infinite = True
        return
    if rate == 1 and not resized:
        _collect(inner, rel, times, terms)
        return
    if rate == 1:
        terms.signal += times * signal
        return
    pair: Pair = "present"
    if rel == "replace_one":
        pair = "replaced" if poisson else "symmetrised"
    terms.add(SampledGaussian(pair, rate, signal**-0.5), times)


def _collect_sampled_laplace(event: "ev.Laplace", rate: float, rel: Relation, times: int, terms: Terms) -> None:
    from math import exp, expm1, log1p

    if rate == 0:
        return
    if rel != "replace_one" or rate == 1:
        terms.add(SampledLaplace(rate, event.noise_multiplier / (2 if rel == "replace_one" else 1)), times)
        return
    # Batches without the record stay within 1/b of both outcomes, which lie within 2/b of each other.
    near, far = 1 / event.noise_multiplier, 2 / event.noise_multiplier
    grown = rate * expm1(far) / ((1 - rate) * exp(-near) + rate) if far < 700 else float("inf")
    terms.add(Pure(min(far, log1p(grown))), times)


def _signal_inside(event: "ev.Event", rel: Relation) -> float:
    """The (sensitivity / noise)**2 of all that one batch releases; composition comes before sampling."""
    match event:
        case ev.NoOp():
            return 0.0
        case ev.NonPrivate():
            return float("inf")
        case ev.Composed():
            return event.steps * _signal_inside(event.event, rel) if event.steps else 0.0
        case ev.Sequence():
            return sum(_signal_inside(part, rel) for part in event.events)
        case ev.Gaussian() | ev.PerLayer() | ev.ClippedTogether() | ev.AdaptiveClipping():
            return _signal(event, rel)
        case _:
            raise ValueError(
                f"a sampler holds {type(event).__name__}, for which no amplification by sampling is proven; "
                "put only Gaussian releases on one batch inside it, and compose the rest outside"
            )
