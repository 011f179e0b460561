"""The whole privacy profile of a run, and the attacks it rules out: trade-off curve, advantage, hit rates."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mindveil.accountant.checks import Relation, between, real, relation, trusted
from mindveil.accountant.events import Event
from mindveil.accountant.gaussian import gaussian_delta, normal_cdf, normal_quantile
from mindveil.accountant.terms import Terms, terms_of

if TYPE_CHECKING:
    from mindveil.accountant.convolve import TailLaw
    from mindveil.accountant.rdp import Curve

__all__ = ["PrivacyProfile", "privacy_profile"]

_DELTAS = (1e-2, 1e-5, 1e-10)
_ACCURACY = 2e-4


@dataclass(frozen=True, slots=True)
class PrivacyProfile:
    """Upper bounds of delta at every epsilon, in both directions, and the attacks that they rule out.

    Made by :func:`privacy_profile`.
    """

    signal: float | None
    """(Sensitivity / noise)**2 if the run is one Gaussian, which has closed forms."""
    laws: "tuple[tuple[TailLaw, ...], ...]"
    """For each direction that differs, laws that are sharp around different epsilons; each bounds delta everywhere."""
    curve: "Curve | None"
    """The Renyi curve where nothing tighter is known."""
    infinite: bool

    def delta(self, epsilon: float) -> float:
        """An upper bound of delta at any real ``epsilon``; the larger of both directions."""
        wanted = real("epsilon", epsilon)
        if self.infinite:
            return 1.0
        if self.signal is not None:
            return trusted("delta", gaussian_delta(math.sqrt(self.signal), wanted))
        by_order = 1.0
        if self.curve is not None and wanted >= 0:
            from mindveil.accountant.rdp import renyi_delta

            by_order = renyi_delta(self.curve, wanted).value
        by_law = max((min(law.delta(wanted, True) for law in way) for way in self.laws), default=1.0)
        return trusted("delta", min(1.0, by_order, by_law))

    def advantage(self) -> float:
        """The most by which any membership attack's true positive rate can exceed its false positive rate."""
        return self.delta(0.0)

    def true_positive_rate(self, false_positive_rate: float) -> float:
        """The highest true positive rate of any membership attack at a false positive rate; the worse direction."""
        rate = between("false_positive_rate", false_positive_rate, 0, 1)
        if self.infinite:
            return 1.0
        if self.signal is not None:
            return min(1.0, normal_cdf(normal_quantile(rate) + math.sqrt(self.signal)) + 1e-12) if rate > 0 else 0.0
        best = self._rate_by_orders(rate)
        if self.laws:
            best = min(best, max(min(law.power(rate) for law in way) for way in self.laws))
        return min(1.0, trusted("the true positive rate", best))

    def trade_off(self, false_positive_rate: float) -> float:
        """The least false negative rate of any test between two neighbours: a lower bound of the run's f-DP curve.

        Source: Dong, Roth and Su 2019: f(alpha) = sup over epsilon of 1 - delta(epsilon) - exp(epsilon) * alpha, over
        all real epsilons, which holds both of the usual branches.
        """
        return max(0.0, 1.0 - self.true_positive_rate(false_positive_rate))

    def _rate_by_orders(self, rate: float) -> float:
        if self.curve is None:
            return 1.0
        from mindveil.accountant.rdp import renyi_delta

        grid = [0.02 * 1.12**k for k in range(80)]
        points = [(epsilon, renyi_delta(self.curve, epsilon).value) for epsilon in [0.0, *grid]]
        forward = min(delta + math.exp(epsilon) * rate for epsilon, delta in points)
        # The other branch of the same curve: beta >= exp(-epsilon) (1 - delta - alpha).
        backward = min(1 - math.exp(-epsilon) * (1 - delta - rate) for epsilon, delta in points)
        return max(0.0, min(1.0, forward, backward))


def privacy_profile(event: Event, *, neighbouring: Relation = "add_or_remove_one") -> PrivacyProfile:
    """The profile of a run, about 2e-4 above the best one where pairs of distributions are known, else by Renyi orders.

    >>> from mindveil.accountant import Composed, Gaussian, PoissonSampled
    >>> profile = privacy_profile(Composed(PoissonSampled(256 / 60_000, Gaussian(1.1)), steps=14_062))
    >>> round(profile.advantage(), 3), round(profile.true_positive_rate(0.01), 4)
    (0.224, 0.0402)
    """
    terms = terms_of(event, relation(neighbouring))
    if terms.infinite:
        return PrivacyProfile(None, (), None, True)
    if not terms.counted:
        return PrivacyProfile(terms.signal, (), None, False)
    from mindveil.accountant.rdp import curve_of  # loads NumPy

    curve = curve_of(terms)
    try:
        return PrivacyProfile(None, _laws(terms, curve), curve, False)
    except ArithmeticError:
        return PrivacyProfile(None, (), curve, False)


def _laws(terms: Terms, curve: "Curve") -> "tuple[tuple[TailLaw, ...], ...]":
    from mindveil.accountant.pld import Question, both_directions, upper_law
    from mindveil.accountant.rdp import renyi_delta, renyi_epsilon

    epsilons = {0.0: 1.0}
    for delta in _DELTAS:
        epsilons[renyi_epsilon(curve, delta).value] = delta
    ways = []
    for swapped in both_directions(terms):
        laws = []
        for epsilon, delta in epsilons.items():
            question = Question(None, epsilon, renyi_delta(curve, epsilon).order, _ACCURACY)
            laws.append(upper_law(terms, swapped, question, 0.1 * delta).law)
        ways.append(tuple(laws))
    return tuple(ways)
