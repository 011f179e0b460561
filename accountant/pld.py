"""Tight privacy: the law of the total privacy loss, bounded from both sides on a grid chosen for the accuracy."""

import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

from mindveil.accountant.buckets import bucketed
from mindveil.accountant.convolve import TailLaw, best_tilt, convolve
from mindveil.accountant.discretise import GridLoss, aligned_step, merged, spread
from mindveil.accountant.loss_cells import Discretisable, directions
from mindveil.accountant.rdp import curve_of, renyi_delta, renyi_epsilon
from mindveil.accountant.terms import Pure, SampledGaussian, SampledLaplace, Term, Terms

__all__ = ["ACCURACY", "both_directions", "tight_bounds", "tight_delta", "tight_epsilon", "upper_law"]

ACCURACY = 1e-4
"""Relative accuracy in epsilon that the grid is chosen for."""

_REFINEMENTS = 8
_RESOLUTION = 400  # grid points up to the epsilon that comes out, at least: delta bends on that scale
_SETTLED = 0.8  # a grid more than this much too coarse is made anew
_LARGEST_EPSILON = 600.0
_HASTE = (
    20.0  # loss of accuracy at which the second direction is tried first: mostly it is cheaper by a percent or more
)
_TRUNCATED = 1e-5  # share of delta that may be spent on losses cut off as infinite


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a law: the epsilon at ``delta``, or, without a delta, the delta at ``epsilon``.

    Args:
        delta: what epsilon is wanted for, if any.
        epsilon: the one that delta is wanted for, or a first guess.
        order: a Renyi order to start the search for a tilt from.
        accuracy: relative, in epsilon.
    """

    delta: float | None
    epsilon: float
    order: float
    accuracy: float = ACCURACY

    @property
    def truncated(self) -> float:
        """Mass that may be cut off as infinite loss."""
        return _TRUNCATED * min(1e-3 if self.delta is None else self.delta, 1e-3)


@dataclass(frozen=True, slots=True)
class Direction:
    """An upper law in one direction, how it was made, and the epsilon that its moments alone prove."""

    swapped: bool
    step: float
    theta: float
    law: TailLaw
    expected: float


def tight_epsilon(terms: Terms, delta: float, accuracy: float = ACCURACY) -> float:
    """A proven upper bound of the best epsilon at ``delta``, about ``accuracy`` above it; else the Renyi bound."""
    return math.inf if terms.infinite else _from_above(terms, delta, accuracy)[0]


def tight_bounds(terms: Terms, delta: float, accuracy: float = ACCURACY) -> tuple[float, float]:
    """A proven (lower, upper) pair around the best epsilon at ``delta``.

    Where no tight bound can be computed the upper one is the Renyi bound, and the lower one is 0.
    """
    if terms.infinite:
        return math.inf, math.inf
    upper, made = _from_above(terms, delta, accuracy)
    below = _from_below(terms)
    top = upper
    if below is not terms:
        top, made = _from_above(below, delta, accuracy)
    lower = 0.0
    for way in made if top > 0 else ():
        with suppress(ArithmeticError):
            parts = _discretised(merged, below, way.step, _TRUNCATED * min(delta, 1e-3), way.swapped)
            lower = max(lower, convolve(parts, way.step, way.theta, top).epsilon(delta, False))
    if lower > upper:
        raise ArithmeticError(f"the bounds {lower} and {upper} crossed, so digits were lost; none is given")
    return lower, upper


def tight_delta(terms: Terms, epsilon: float) -> float:
    """A proven upper bound of the best delta at ``epsilon``; else the Renyi bound."""
    if terms.infinite:
        return 1.0
    found = renyi_delta(curve_of(terms), epsilon)
    worst = 0.0
    try:
        for swapped in both_directions(terms):
            # What is cut off as infinite counts against delta, so it must be far smaller than the delta expected.
            question = Question(None, epsilon, found.order)
            worst = max(worst, upper_law(terms, swapped, question, found.value).law.delta(epsilon, True))
    except ArithmeticError:
        return found.value
    return min(found.value, worst)


def both_directions(terms: Terms) -> tuple[bool, ...]:
    """Which directions differ: (False,) if exchanging the two data sets changes nothing, else (False, True)."""
    return (False, True) if any(directions(term) == 2 for term, _ in _parts(terms, True)) else (False,)


def upper_law(terms: Terms, swapped: bool, question: Question, expected_delta: float = 1.0) -> Direction:
    """A law that dominates the run's in one direction, made for one question and valid for all."""
    made = _upper_law(terms, swapped, question, _TRUNCATED * min(expected_delta, question.delta or 1.0, 1e-3), -1.0)
    if made is None:
        raise ArithmeticError("the search for a tilt ended without a law; no tight bound is given")
    return made


def _from_above(terms: Terms, delta: float, accuracy: float) -> tuple[float, tuple[Direction, ...]]:
    found = renyi_epsilon(curve_of(terms), delta)
    if found.value == 0 or terms.empty:
        return 0.0, ()
    worst = 0.0
    made: list[Direction] = []
    try:
        if found.value > _LARGEST_EPSILON:
            raise ArithmeticError("the loss is too large for floating point, and for any meaning")
        question = Question(delta, found.value, found.order, accuracy)
        for swapped in both_directions(terms):
            if made and _settled(terms, made[0], delta, question, worst):
                continue
            way = _upper_law(terms, swapped, question, question.truncated, worst)
            if way is not None:
                worst = max(worst, way.law.epsilon(delta, True))
                made.append(way)
    except ArithmeticError:
        return found.value, ()
    return min(found.value, worst), tuple(made)


def _settled(terms: Terms, first: Direction, delta: float, question: Question, enough: float) -> bool:
    """Whether a much coarser law, a bound all the same, proves the other direction to cost at most ``enough``."""
    steps = sum(terms.counted.values()) + (terms.signal > 0)
    coarse = replace(question, accuracy=_HASTE * question.accuracy)
    swapped = not first.swapped
    step = _aligned(terms, _grid_step(coarse, first.expected, first.theta, steps), swapped)
    with suppress(ArithmeticError):
        parts = _discretised(spread, terms, step, question.truncated, swapped)
        theta, expected = best_tilt(parts, step, first.theta, delta=delta - 2 * question.truncated)
        if expected <= enough:
            return True
        return (
            expected < first.expected and convolve(parts, step, theta, expected, delta).epsilon(delta, True) <= enough
        )
    return False


def _upper_law(terms: Terms, swapped: bool, question: Question, truncated: float, enough: float) -> Direction | None:
    """The law on a grid that is refined until it fits; None if moments alone prove an epsilon of at most ``enough``."""
    expected, theta = question.epsilon, question.order - 1
    steps = sum(terms.counted.values()) + (terms.signal > 0)
    step, parts = math.inf, []
    for _ in range(_REFINEMENTS):
        finer = _aligned(terms, _grid_step(question, expected, theta, steps), swapped)
        if finer > _SETTLED * step:
            break
        try:
            parts = _discretised(spread, terms, finer, truncated, swapped)
        except ArithmeticError:
            if parts:
                break
            question = replace(question, accuracy=question.accuracy * 100)  # ten times coarser, still a bound
            continue
        step = finer
        known = None if question.delta is None else question.delta - 2 * truncated
        theta, expected = best_tilt(parts, step, theta, delta=known, epsilon=question.epsilon)
        if question.delta is not None and expected <= enough:
            return None
    if not parts:
        raise ArithmeticError("no grid is both fine enough and small enough; no tight bound is given")
    if question.delta is None:
        return Direction(swapped, step, theta, convolve(parts, step, theta, expected), expected)
    made = Direction(swapped, step, theta, _narrow(parts, step, theta, expected, question.delta), expected)
    return _resolved(terms, made, question.delta, truncated)


def _narrow(parts: list[tuple[GridLoss, int]], step: float, theta: float, expected: float, delta: float) -> TailLaw:
    """A law for an upper bound at ``delta``, with a wide window only where epsilon lies below a small one."""
    law = convolve(parts, step, theta, expected, delta)
    lowest = float(law.losses[0])
    return law if lowest <= 0 or law.epsilon(delta, True) > lowest else convolve(parts, step, theta, expected)


def _resolved(terms: Terms, made: Direction, delta: float, truncated: float) -> Direction:
    """The same law on a grid that is fine against the epsilon that came out, maybe far below the moments' one."""
    for _ in range(2):
        value = made.law.epsilon(delta, True)
        finer = value / _RESOLUTION
        if not 1e-9 < finer < _SETTLED * made.step:
            break
        finer = _aligned(terms, finer, made.swapped)
        try:
            parts = _discretised(spread, terms, finer, truncated, made.swapped)
            made = Direction(made.swapped, finer, made.theta, _narrow(parts, finer, made.theta, value, delta), value)
        except ArithmeticError:
            break
    return made


def _grid_step(question: Question, epsilon: float, theta: float, steps: int) -> float:
    """Spreading over a cell adds about h**2 / 6 to each step's variance, hence order * steps * h**2 / 12 to epsilon.

    The log of delta moves by theta times as much, and is asked for to ten times the accuracy's value.
    """
    order = 1 + theta
    change = question.accuracy * epsilon if question.delta is not None else 10 * question.accuracy / theta
    return math.sqrt(12 * max(change, 1e-15) / (order * steps))


def _discretised(
    make: Callable[[Discretisable, float, float, bool], GridLoss],
    terms: Terms,
    step: float,
    truncated: float,
    swapped: bool,
) -> list[tuple[GridLoss, int]]:
    parts = _parts(terms, make is spread)
    tail = truncated / sum(count for _, count in parts)
    return [(make(term, step, tail, swapped), count) for term, count in parts]


def _aligned(terms: Terms, step: float, swapped: bool) -> float:
    for term in terms.counted:
        step = aligned_step(term, step, swapped) if isinstance(term, (SampledLaplace, Pure)) else step
    return step


def _from_below(terms: Terms) -> Terms:
    """What the run costs at least: terms without a pair of distributions are left out.

    A batch of fixed size costs at least what its record costs when all other records stay as they are.
    """
    kept: dict[Term, int] = {}
    for term, count in terms.counted.items():
        if isinstance(term, SampledGaussian) and term.pair == "symmetrised":
            term = replace(term, pair="present")
        if isinstance(term, (SampledGaussian, SampledLaplace, Pure)):
            kept[term] = kept.get(term, 0) + count
    if kept == terms.counted and terms.loose == 0:
        return terms
    return Terms(max(0.0, terms.signal - terms.loose), kept, terms.infinite)


def _parts(terms: Terms, upper: bool) -> list[tuple[Discretisable, int]]:
    parts: list[tuple[Discretisable, int]] = []
    gaussians: list[tuple[SampledGaussian, int]] = []
    if terms.signal > 0:
        parts.append((SampledGaussian("present", 1.0, terms.signal**-0.5), 1))
    for term, count in terms.counted.items():
        if isinstance(term, SampledGaussian):
            gaussians.append((term, count))
        elif isinstance(term, (SampledLaplace, Pure)):
            parts.append((term, count))
        else:
            raise ArithmeticError(f"no pair of distributions is known for {term}, so there is no tight bound")
    return parts + list(bucketed(gaussians, upper))
