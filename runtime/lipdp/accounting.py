"""What training costs: the events of one update, epsilon for epochs to come, epochs within a budget."""

from __future__ import annotations

from math import log, sqrt
from typing import TYPE_CHECKING, Literal

import numpy as np

from mindveil import accountant
from mindveil.accountant import Composed, Event, Gaussian, NonPrivate, PoissonSampled, Sequence
from mindveil.accountant.convert import epsilon_from_order
from mindveil.accountant.rdp import cumulants, curve_of
from mindveil.accountant.terms import terms_of
from mindveil.runtime.lipdp.balls import DP_ClipGradient

if TYPE_CHECKING:
    from mindveil.runtime.lipdp.model import DP_Model

__all__ = ["effective_multiplier", "get_eps_delta", "get_max_epochs", "get_noise_multiplier_coefs"]

Method = Literal["rdp", "pld"]
_ORDERS = (*range(2, 64), *range(64, 129, 8), 256, 512)


def get_noise_multiplier_coefs(model: DP_Model) -> dict[str, float]:
    """Parameter name -> its layer's ``nm_coef``, in forward order."""
    return model.coefficients()


def effective_multiplier(model: DP_Model) -> float:
    """The noise multiplier of one Gaussian release that costs what one update costs.

    ``per-layer``: ``(sum_l (sigma c_l)^-2)^(-1/2)``, as all parameters see the same example; otherwise sigma.
    """
    sigma = float(model.dp_parameters.noise_multiplier)
    if model.dp_parameters.noisify_strategy != "per-layer" or sigma == 0:
        return sigma
    return sigma / sqrt(sum(c**-2 for c in model.coefficients().values()))


def get_eps_delta(model: DP_Model, epochs: int, *, method: Method = "rdp") -> tuple[float, float]:
    """``(epsilon, delta)`` after ``epochs`` epochs, for adding or removing one record.

    Args:
        epochs: of ``nb_steps_per_epochs`` Poisson batches each; 0 costs nothing.
        method: ``rdp``: whole Renyi orders, as the original accounts; ``pld``: tighter, by some percent. Training
            itself reports the best real order, which lies below ``rdp``.

    Raises:
        ValueError: ``epochs`` is negative.
    """
    if epochs < 0:
        raise ValueError(f"epochs is {epochs}, and must be at least 0")
    delta = model.dp_parameters.delta
    if epochs == 0:
        return 0.0, delta
    sigma, metadata = effective_multiplier(model), model.dataset_metadata
    update: Event = PoissonSampled(metadata.sampling_rate, Gaussian(sigma)) if sigma > 0 else NonPrivate()
    events: list[Event] = [Composed(update, epochs * metadata.nb_steps_per_epochs), *_adaptive(model, epochs)]
    if method == "pld" or sigma == 0:
        return float(accountant.epsilon(Sequence(events), delta, method=method)), delta
    return _whole_orders(Sequence(events), delta), delta


def get_max_epochs(
    epsilon_max: float, model: DP_Model, epochs_max: int | None = 1024, safe: bool = True, atol: float = 1e-2
) -> int:
    """The largest number of epochs with epsilon at most ``epsilon_max``, by bisection; it may be 0.

    Args:
        epochs_max: no more than these; None searches for a bound.
        safe: False returns the smallest number that reaches ``epsilon_max``.
        atol: unused: epsilon here never falls with more epochs; kept for the original's signature.

    Raises:
        ValueError: ``epsilon_max`` is not a number above 0, or no number of epochs reaches it.
    """
    if not 0 < epsilon_max < float("inf"):
        raise ValueError(f"epsilon_max is {epsilon_max}, and must be finite and positive")
    low, high = 0, 1
    limit = 2**20 if epochs_max is None else epochs_max
    while high < limit and get_eps_delta(model, high)[0] <= epsilon_max:
        low, high = high, min(2 * high, limit)
    if high == limit and get_eps_delta(model, high)[0] <= epsilon_max:
        if epochs_max is None:
            raise ValueError(f"even {limit} epochs cost less than epsilon {epsilon_max}; give epochs_max")
        return high
    while high - low > 1:
        middle = (low + high) // 2
        if get_eps_delta(model, middle)[0] <= epsilon_max:
            low = middle
        else:
            high = middle
    return low if safe else high


def _whole_orders(event: Event, delta: float) -> float:
    curve = curve_of(terms_of(event, "add_or_remove_one"))
    values = zip(_ORDERS, cumulants(curve, np.array(_ORDERS, np.float64)), strict=True)
    return max(0.0, min(epsilon_from_order(order, float(value), log(delta)) for order, value in values))


def _adaptive(model: DP_Model, epochs: int) -> list[Event]:
    """What an adaptive clip will release: once after the first epoch, and then every ``patience`` epochs."""
    last = model.layers_backward_order()[0]
    if not isinstance(last, DP_ClipGradient) or last.adaptation is None:
        return []
    event, patience = last.adaptation
    return [Composed(event, -(-epochs // patience))]
