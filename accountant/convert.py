"""From one Renyi order to (epsilon, delta) and back.

``cumulant`` is K(a) = (a - 1) * (Renyi divergence of order a), in nats; every order a > 1 gives a valid bound.
"""

import math

__all__ = ["delta_from_order", "epsilon_from_order", "indistinguishable"]


def epsilon_from_order(order: float, cumulant: float, log_delta: float) -> float:
    """Epsilon at exp(``log_delta``) that one order proves; may be below 0, which then means 0.

    >>> round(epsilon_from_order(8.0, 7 * 0.5, math.log(1e-5)), 6)
    1.714109

    Source: Canonne, Kamath and Steinke 2020, proposition 12.
    """
    slack = (order - 1) * math.log1p(-1 / order) - math.log(order)
    return (cumulant + slack - log_delta) / (order - 1)


def delta_from_order(order: float, cumulant: float, epsilon: float) -> float:
    """The log of the delta that one order proves at ``epsilon``, at most 0.

    Source: Canonne, Kamath and Steinke 2020, proposition 12, solved for delta.
    """
    slack = (order - 1) * math.log1p(-1 / order) - math.log(order)
    return min(0.0, cumulant + slack - (order - 1) * epsilon)


def indistinguishable(order: float, cumulant: float, delta: float) -> bool:
    """Whether the total variation distance alone is at most ``delta``, so that epsilon is 0.

    Source: Bretagnolle and Huber 1979: TV <= sqrt(1 - exp(-KL)), and KL is at most the divergence of any order above 1.
    """
    return -math.expm1(-cumulant / (order - 1)) <= delta * delta
