"""Noise that parameters share unevenly: every deviation is the formula's, at one price, and gradients stay theirs."""

from __future__ import annotations

from math import isclose, sqrt
from typing import Any

import numpy as np
import pytest
from mindspore import nn

from mindveil import accountant
from mindveil.runtime import lipdp
from mindveil.runtime.allocation import Allocation, ByBound, Even, LeastEnergy
from mindveil.runtime.example_weights import ExampleWeights

from .models import QUIET, ROWS, batch, guaranteed, model, step_of

NOISE = 2.0
#: The first layer of "dense" has 2,048 numbers, its bias 16, the last layer 160.
NAMES = ["layers.2.weight", "layers.3.bias", "layers.5.weight"]
ALLOCATIONS: list[Allocation] = [Even(), ByBound(), ByBound({NAMES[0]: 0.25, NAMES[2]: 3.0}), LeastEnergy()]


def updates(allocation: Allocation, weights: Any, noise: float, times: int = 1) -> tuple[dict[str, Any], Any]:
    """What moves by name, over several updates at fixed norms, with a learning rate of 1."""
    np.random.seed(0)
    made = model("dense")
    step = step_of(made, noise=noise, allocation=allocation, norms=lambda: guaranteed(made))
    moved: dict[str, list[Any]] = {p.name: [] for p in made.trainable_params()}
    for _ in range(times):
        before = {p.name: p.asnumpy().copy() for p in made.trainable_params()}
        for part in weights:
            step(*batch(), part)
        for p in made.trainable_params():
            moved[p.name].append(before[p.name] - p.asnumpy())
    return {name: np.array(values) for name, values in moved.items()}, step


@pytest.mark.parametrize("allocation", ALLOCATIONS)
def test_each_parameter_gets_the_noise_of_the_formula_and_all_together_cost_one_gaussian(
    allocation: Allocation,
) -> None:
    moved, step = updates(allocation, [np.zeros(ROWS, np.float32)], NOISE, times=40)
    bounds = step.swept.bounds
    assert list(bounds) == NAMES
    if isinstance(allocation, ByBound):
        raw = {name: allocation.coefficients.get(name, 1.0) * bounds[name] for name in NAMES}
    else:
        sizes = {name: moved[name][0].size for name in NAMES}
        raw = {n: 1.0 if isinstance(allocation, Even) else sqrt(bounds[n]) / sizes[n] ** 0.25 for n in NAMES}
    scale = NOISE * sqrt(sum((bounds[n] / raw[n]) ** 2 for n in NAMES))
    for name in NAMES:
        deviation = float(np.std(moved[name]))
        assert deviation == pytest.approx(scale * raw[name], rel=5 / sqrt(2 * moved[name].size))
    assert isclose(sum((bounds[n] / (scale * raw[n])) ** 2 for n in NAMES), NOISE**-2)
    once = accountant.PoissonSampled(0.5, accountant.Gaussian(NOISE))
    assert step.events == accountant.Sequence([accountant.Composed(once, 40)])
    assert ("share" in step.card().passes) == (not isinstance(allocation, Even))


@QUIET
@pytest.mark.parametrize("allocation", ALLOCATIONS[1:])
def test_without_noise_shares_change_nothing(allocation: Allocation) -> None:
    plain, _ = updates(Even(), [np.ones(ROWS, np.float32)], 0.0)
    parts = [
        ExampleWeights.of(np.arange(ROWS) < 2, last=False),
        ExampleWeights.of(np.arange(ROWS) >= 2),
    ]
    for weights in ([np.ones(ROWS, np.float32)], parts):
        shared, _ = updates(allocation, weights, 0.0)
        for name, values in plain.items():
            np.testing.assert_allclose(shared[name], values, rtol=1e-4, atol=1e-6)


def test_least_energy_has_less_of_it_than_the_other_ways() -> None:
    def energy(allocation: Allocation) -> float:
        moved, _ = updates(allocation, [np.zeros(ROWS, np.float32)], NOISE, times=5)
        return float(sum((values**2).sum() for values in moved.values()))

    assert energy(LeastEnergy()) < 0.97 * min(energy(Even()), energy(ByBound()))


@pytest.mark.parametrize("coefficient", [0.0, -1.0, float("nan")])
def test_a_coefficient_that_is_no_share_is_refused(coefficient: float) -> None:
    with pytest.raises(ValueError, match="must be finite and positive"):
        ByBound({"w": coefficient})


@pytest.mark.parametrize(("strategy", "cost"), [("global", 1.0), ("per-layer", sqrt(1 + 0.5**-2)), ("optimal", 1.0)])
def test_a_models_strategy_is_an_allocation_at_its_price(strategy: str, cost: float) -> None:
    layers = [
        lipdp.DP_BoundedInput(upper_bound=1.0),
        lipdp.DP_Flatten(),
        lipdp.DP_QuickSpectralDense(64),
        lipdp.DP_QuickSpectralDense(10, nm_coef=0.5),
    ]
    made = lipdp.DP_Model(
        layers,
        dp_parameters=lipdp.DPParameters(strategy, NOISE, 1e-5),
        dataset_metadata=lipdp.DatasetMetadata((2, 8, 8), 10, 100, batch_size=10),
    )
    made.compile(loss=lipdp.DP_TauCategoricalCrossentropy(1.0), optimizer=nn.SGD(made.trainable_params(), 0.1))
    made.train_step((*batch(), np.zeros(ROWS, np.float32)))
    spent = made.step.events.events[0].event.event.noise_multiplier  # type: ignore[union-attr]
    assert spent == pytest.approx(NOISE / cost, rel=1e-6)
    assert made.step.card().noise_multiplier == pytest.approx(spent)
