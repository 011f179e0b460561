"""The (epsilon, delta) guarantee of a run: which method answers, and the gate that every answer passes."""

import math
from typing import Literal, get_args

from mindveil.accountant.checks import Relation, delta_value, epsilon_value, one_of, relation, trusted
from mindveil.accountant.events import Event, ZeroConcentrated
from mindveil.accountant.gaussian import gaussian_delta, gaussian_epsilon
from mindveil.accountant.terms import Allocated, Concentrated, Pure, SampledGaussian, Terms, terms_of

__all__ = ["METHODS", "Method", "delta", "epsilon", "epsilon_bounds", "zcdp"]

Method = Literal["rdp", "pld", "zcdp"]
METHODS: tuple[str, ...] = get_args(Method)


def epsilon(
    event: Event, delta: float, *, neighbouring: Relation = "add_or_remove_one", method: Method = "rdp"
) -> float:
    """An upper bound of the epsilon of ``event`` at ``delta``, in nats.

    Args:
        delta: strictly between 0 and 1.
        neighbouring: what differs between two data sets that must look alike.
        method: ``"rdp"``, fast and within some percent; ``"pld"``, tight; ``"zcdp"``, without amplification by
            sampling.

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
    if method == "zcdp":
        return _renyi(terms_of(ZeroConcentrated(zcdp(event, neighbouring=neighbouring))), wanted)
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
    if one_of("method", method, METHODS) == "zcdp":
        terms = terms_of(ZeroConcentrated(zcdp(event, neighbouring=neighbouring)))
    if terms.infinite:
        return 1.0
    if terms.empty:
        return 0.0
    if method in ("rdp", "zcdp"):
        from mindveil.accountant.rdp import curve_of, renyi_delta  # loads NumPy, which takes most of an import's time

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


def zcdp(event: Event, *, neighbouring: Relation = "add_or_remove_one") -> float:
    """The rho of ``event`` in zero-concentrated differential privacy, counting every sampled step as unsampled.

    The sampled Gaussian is not rho-zCDP for any rho that sampling made smaller, so no amplification is claimed.

    >>> from mindveil.accountant import Composed, Gaussian, PoissonSampled
    >>> zcdp(Composed(PoissonSampled(0.01, Gaussian(2.0)), 8))
    1.0

    Raises:
        ValueError: something other than Gaussian noise or a zCDP guarantee without offset was released.

    Source: Bun and Steinke 2016, proposition 1.6.
    """
    terms = terms_of(event, relation(neighbouring))
    if terms.infinite:
        raise ValueError("the event holds a release without noise, which has no rho")
    rho = terms.signal / 2
    for term, times in terms.counted.items():
        if isinstance(term, SampledGaussian):
            # A record that is replaced inside the batch moves the sum by twice the distance of present from absent.
            rho += times * (4 if term.pair == "replaced" else 1) / (2 * term.noise**2)
        elif isinstance(term, Allocated):
            rho += times / (2 * term.noise**2)
        elif isinstance(term, Concentrated) and term.offset == 0:
            rho += times * term.rho
        elif isinstance(term, Pure):
            rho += times * term.epsilon**2 / 2
        else:
            raise ValueError(f"{term} has no known rho; use method='rdp'")
    return trusted("rho", rho)


def _renyi(terms: Terms, delta: float) -> float:
    if terms.infinite:
        return math.inf
    if terms.empty:
        return 0.0
    from mindveil.accountant.rdp import curve_of, renyi_epsilon  # loads NumPy, which takes most of an import's time

    return renyi_epsilon(curve_of(terms), delta).value


def _closed_form(terms: Terms, delta: float) -> float | None:
    """The exact epsilon if nothing but unsampled Gaussians was released."""
    if terms.infinite:
        return math.inf
    return None if terms.counted else gaussian_epsilon(math.sqrt(terms.signal), delta)
