"""The (epsilon, delta) guarantee of a run: which method answers, and the gate that every answer passes."""

import math
from typing import Literal, get_args

from mindveil.accountant.checks import Relation, delta_value, epsilon_value, one_of, relation, trusted
from mindveil.accountant.events import Event
from mindveil.accountant.gaussian import gaussian_delta, gaussian_epsilon
from mindveil.accountant.rdp import curve_of, renyi_delta, renyi_epsilon
from mindveil.accountant.terms import Terms, terms_of

__all__ = ["Method", "delta", "epsilon", "epsilon_bounds"]

Method = Literal["rdp", "pld"]
METHODS: tuple[str, ...] = get_args(Method)


def epsilon(
    event: Event, delta: float, *, neighbouring: Relation = "add_or_remove_one", method: Method = "rdp"
) -> float:
    """An upper bound of the epsilon of ``event`` at ``delta``, in nats.

    Args:
        delta: strictly between 0 and 1.
        neighbouring: what differs between two data sets that must look alike.
        method: ``"rdp"``, fast and within some percent; ``"pld"``, tight.

    Raises:
        TypeError, ValueError: an argument is no event or out of range.
        ArithmeticError: digits were lost; no number is given.

    >>> from mindveil.accountant import Composed, Gaussian, PoissonSampled
    >>> round(epsilon(Composed(PoissonSampled(256 / 60_000, Gaussian(1.1)), steps=14_062), delta=1e-5), 4)
    2.5965
    """
    wanted = delta_value(delta)
    terms = terms_of(event, relation(neighbouring))
    if one_of("method", method, METHODS) == "pld":
        return epsilon_bounds(event, wanted, neighbouring=neighbouring)[1]
    return _renyi(terms, wanted)


def delta(
    event: Event, epsilon: float, *, neighbouring: Relation = "add_or_remove_one", method: Method = "rdp"
) -> float:
    """An upper bound of the delta of ``event`` at an ``epsilon`` of at least 0; otherwise as :func:`epsilon`."""
    wanted = epsilon_value(epsilon)
    terms = terms_of(event, relation(neighbouring))
    one_of("method", method, METHODS)
    if terms.infinite:
        return 1.0
    if terms.empty:
        return 0.0
    if method == "pld" and not terms.counted:
        return trusted("delta", gaussian_delta(math.sqrt(terms.signal), wanted))
    return renyi_delta(curve_of(terms), wanted).value


def epsilon_bounds(event: Event, delta: float, *, neighbouring: Relation = "add_or_remove_one") -> tuple[float, float]:
    """A proven (lower, upper) pair around the best epsilon of ``event`` at ``delta``."""
    wanted = delta_value(delta)
    terms = terms_of(event, relation(neighbouring))
    if not terms.counted and not terms.infinite:
        exact = gaussian_epsilon(math.sqrt(terms.signal), wanted)
        return exact, exact
    return 0.0, _renyi(terms, wanted)


def _renyi(terms: Terms, delta: float) -> float:
    if terms.infinite:
        return math.inf
    if terms.empty:
        return 0.0
    return renyi_epsilon(curve_of(terms), delta).value
