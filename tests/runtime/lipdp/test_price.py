"""What training without clipping costs: epsilon of epochs to come, epochs of a budget, and how noise is shared."""

from __future__ import annotations

import numpy as np
import pytest

from mindveil.runtime import lipdp
from mindveil.runtime.allocation import Allocation, ByBound, Even, LeastEnergy
from mindveil.runtime.lipdp.noise import secure_laplace, secure_normal


def readme(strategy: str = "global", noise: float = 2.0) -> lipdp.DP_Sequential:
    return lipdp.DP_Sequential(
        lipdp.DP_BoundedInput(upper_bound=1.0),
        lipdp.DP_QuickSpectralDense(4),
        lipdp.DP_QuickSpectralDense(4),
        lipdp.DP_AddBias(1.0),
        lipdp.DP_QuickSpectralDense(2),
        dp_parameters=lipdp.DPParameters(strategy, noise, 1e-5),
        dataset_metadata=lipdp.DatasetMetadata((4,), 2, 60_000, batch_size=1000, nb_steps_per_epochs=60),
    )


@pytest.mark.parametrize(("epochs", "epsilon"), [(0, 0.0), (1, 0.322733), (10, 0.915274), (91, 2.987618)])
def test_epsilon_is_the_originals_renyi_figure(epochs: int, epsilon: float) -> None:
    found, delta = lipdp.get_eps_delta(readme(), epochs)
    assert (found, delta) == (pytest.approx(epsilon, abs=1e-5), 1e-5)  # type: ignore[comparison-overlap]


def test_per_layer_noise_on_m_parameters_costs_what_global_noise_over_the_root_of_m_costs() -> None:
    local, same = readme("per-layer", 2.0), readme("global", 1.0)
    assert list(lipdp.get_noise_multiplier_coefs(local).values()) == [1.0] * 4
    assert lipdp.get_eps_delta(local, 3)[0] == pytest.approx(lipdp.get_eps_delta(same, 3)[0], rel=1e-12)
    assert lipdp.get_eps_delta(local, 3, method="pld")[0] < lipdp.get_eps_delta(local, 3)[0]


def test_the_most_epochs_are_the_last_within_the_budget() -> None:
    made = readme()
    most = lipdp.get_max_epochs(1.0, made)
    assert lipdp.get_eps_delta(made, most)[0] <= 1.0 < lipdp.get_eps_delta(made, most + 1)[0]
    assert lipdp.get_max_epochs(1.0, made, safe=False) == most + 1
    assert lipdp.get_max_epochs(1.0, made, epochs_max=3) == 3
    assert lipdp.get_max_epochs(1.0, made, epochs_max=None) == most
    assert lipdp.get_max_epochs(0.01, made) == 0
    with pytest.raises(ValueError, match="finite and positive"):
        lipdp.get_max_epochs(0.0, made)


def test_optimal_noise_has_the_least_energy_at_the_epsilon_of_global_noise() -> None:
    bounds, sizes = {"a": 1.0, "b": 0.1}, {"a": 10, "b": 4000}

    def energy(allocation: Allocation) -> float:
        """At a noise multiplier of 1: each deviation is C times the share."""
        shares = allocation.shares(bounds, sizes)
        together = sum((bounds[n] / shares[n]) ** 2 for n in bounds)
        return sum(sizes[n] * together * shares[n] ** 2 for n in bounds)

    least = sum(bounds[n] * sizes[n] ** 0.5 for n in bounds) ** 2  # by Cauchy and Schwarz
    assert energy(LeastEnergy()) == pytest.approx(least)
    assert least < energy(Even())
    assert least < energy(ByBound())


def test_noise_from_the_operating_system_has_the_right_moments() -> None:
    normal = secure_normal((501, 401))
    assert normal.shape == (501, 401)
    assert normal.std() == pytest.approx(1, rel=0.01)
    assert (normal**4).mean() == pytest.approx(3, rel=0.05)
    laplace = secure_laplace(2.0, 200_000)
    assert np.abs(laplace).mean() == pytest.approx(2.0, rel=0.02)


def test_the_default_delta_is_one_over_the_next_power_of_ten() -> None:
    assert lipdp.default_delta_value(lipdp.DatasetMetadata((4,), 2, 1000)) == 1e-3
    assert lipdp.default_delta_value(lipdp.DatasetMetadata((4,), 2, 1001)) == 1e-4
