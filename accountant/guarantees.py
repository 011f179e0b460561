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
    if one_of("method", method, METHODS) == "rdp":
        return _renyi(terms, wanted)
    exact = _closed_form(terms, wanted)
    if exact is not None:
        return exact
    from mindveil.accountant.pld import tight_epsilon  # loads SciPy, which the Renyi bound does without

    return trusted("epsilon", tight_epsilon(terms, wanted))


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
    if method == "rdp":
        return renyi_delta(curve_of(terms), wanted).value
    if not terms.counted:
        return trusted("delta", gaussian_delta(math.sqrt(terms.signal), wanted))
    from mindveil.accountant.pld import tight_delta  # loads SciPy, which the Renyi bound does without

    return trusted("delta", tight_delta(terms, wanted))


def epsilon_bounds(event: Event, delta: float, *, neighbouring: Relation = "add_or_remove_one") -> tuple[float, float]:
    """A proven (lower, upper) pair around the best epsilon that can be stated for ``event`` at ``delta``.

    The lower bound is what some pair of neighbouring data sets costs; where none is known it is 0.

    Source: connect-the-dots of Doroshenko et al. 2022 from above; merged outcomes, hence post-processing, from below.
    """
    wanted = delta_value(delta)
    terms = terms_of(event, relation(neighbouring))
    exact = _closed_form(terms, wanted)
    if exact is not None and terms.loose == 0:
        return exact * (1 - 2e-12), exact
    from mindveil.accountant.pld import tight_bounds

    lower, upper = tight_bounds(terms, wanted)
    return trusted("epsilon", lower), trusted("epsilon", upper if exact is None else exact)


def _renyi(terms: Terms, delta: float) -> float:
    if terms.infinite:
        return math.inf
    if terms.empty:
        return 0.0
    return renyi_epsilon(curve_of(terms), delta).value


def _closed_form(terms: Terms, delta: float) -> float | None:
    """The exact epsilon if nothing but unsampled Gaussians was released."""
    if terms.infinite:
        return math.inf
    return None if terms.counted else gaussian_epsilon(math.sqrt(terms.signal), delta)
