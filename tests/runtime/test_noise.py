"""The noise as the executed graph adds it: its scale, its shape, its independence, and that it is never repeated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mindspore import Tensor, nn
from numpy.typing import NDArray
from scipy import special

from mindveil.accountant import PrivacyWarning
from mindveil.runtime import DPSGD, PrivateStep

LOSS = nn.MSELoss()
ROWS, WIDTH = 4, 700  # 981,400 numbers a draw
SIGMAS = 7  # the noise is new in every run: a correct program must not fail one run in a thousand million


class Wide(nn.Cell):
    """Two layers of one shape, so that equal streams of noise would show."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Dense(WIDTH, WIDTH)
        self.second = nn.Dense(WIDTH, WIDTH)

    def construct(self, x: Tensor) -> Tensor:
        return self.second(self.first(x))


def noise_step(multiplier: float, clip_norm: float = 1.0, seed: int | None = None) -> tuple[nn.Cell, PrivateStep]:
    """A step whose update is minus the noise: no row is real, the learning rate and the denominator are 1."""
    network = Wide()
    policy = DPSGD(clip_norm, multiplier, sampling_rate=0.001, dataset_size=1000, noise_seed=seed)
    return network, PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 1.0), [policy])


def draw(network: nn.Cell, step: PrivateStep) -> dict[str, NDArray[np.float64]]:
    """What one run of the step adds to each parameter."""
    for parameter in network.trainable_params():
        parameter.set_data(Tensor(np.zeros(parameter.shape, np.float32)))
    rows = np.zeros((ROWS, WIDTH), np.float32)
    step(rows, rows, np.zeros(ROWS, np.float32))
    return {p.name: -p.asnumpy().astype(np.float64) for p in network.trainable_params()}


@pytest.fixture(scope="module")
def draws() -> list[dict[str, NDArray[np.float64]]]:
    """Two runs of one step with noise_multiplier 3 and clip norm 0.5: the standard deviation wanted is 1.5."""
    network, step = noise_step(3.0, clip_norm=0.5)
    return [draw(network, step) for _ in range(2)]


def everything(drawn: dict[str, NDArray[np.float64]]) -> NDArray[np.float64]:
    """All numbers of a draw in one array."""
    return np.concatenate([v.ravel() for v in drawn.values()])


def test_the_standard_deviation_is_multiplier_times_clip_norm(draws: Any) -> None:
    for drawn in draws:
        values = everything(drawn)
        # The margin for rounding enlarges the noise by up to z sqrt(n) / 2^20 = 0.28 %, and never makes it smaller.
        error = SIGMAS / np.sqrt(2 * values.size)
        assert 1.5 * (1 - error) < values.std() < 1.5 * (1.0035 + error)
        assert abs(values.mean()) < SIGMAS * 1.5 / np.sqrt(values.size)
        for name, part in drawn.items():
            assert part.std() == pytest.approx(1.5, rel=SIGMAS / np.sqrt(2 * part.size) + 0.0035), name


def test_the_distribution_is_gaussian(draws: Any) -> None:
    values = np.sort(everything(draws[0]) / everything(draws[0]).std())
    steps = np.arange(1, values.size + 1) / values.size
    distance = np.abs(special.ndtr(values) - steps).max()
    assert distance * np.sqrt(values.size) < 3.4  # Kolmogorov and Smirnov: 2 exp(-2 * 3.4^2) = 2e-10
    assert 4.2 < np.abs(values).max() < 8
    standard = (values - values.mean()) / values.std()
    assert (standard**4).mean() == pytest.approx(3, abs=SIGMAS * np.sqrt(96 / values.size))


def test_no_two_parameters_and_no_two_steps_share_noise(draws: Any) -> None:
    first, second = draws
    pairs = [
        (first["first.weight"], first["second.weight"]),
        (first["first.bias"], first["second.bias"]),
        (first["first.weight"], second["first.weight"]),
        (first["second.weight"], second["second.weight"]),
        (first["first.weight"][1:], first["first.weight"][:-1]),
        (first["first.weight"][:, 1:], first["first.weight"][:, :-1]),
    ]
    for a, b in pairs:
        correlation = np.corrcoef(a.ravel(), b.ravel())[0, 1]
        assert abs(correlation) < SIGMAS / np.sqrt(a.size)
        assert not np.isin(a.ravel()[:1000], b.ravel()[:1000]).all()


def test_a_second_run_of_the_same_training_draws_other_noise(draws: Any) -> None:
    network, step = noise_step(3.0, clip_norm=0.5)
    again = draw(network, step)
    assert abs(np.corrcoef(everything(again), everything(draws[0]))[0, 1]) < SIGMAS / np.sqrt(everything(again).size)


def test_the_noise_is_whole_cells_of_one_grid(draws: Any) -> None:
    """What the low bits of floats would say of the gradient they do not: Mironov 2012."""
    values = everything(draws[0])
    share = np.sqrt(values.size) / 2**20
    sigma = 1.5 * (1 + 1e-5 + ROWS * 2.0**-23) / (1 - 3 * share)
    cells = values[np.abs(values) < 0.05] / (sigma / 2**20)
    assert np.abs(cells - np.round(cells)).max() < 0.02
    odd = np.round(cells).astype(int) % 2
    assert odd.mean() == pytest.approx(0.5, abs=SIGMAS * 0.5 / np.sqrt(cells.size))


def test_a_seed_repeats_the_noise_warns_and_is_on_the_card() -> None:
    with pytest.warns(PrivacyWarning, match="whoever knows the seed can subtract it"):
        network, step = noise_step(1.0, seed=7)
    with pytest.warns(PrivacyWarning):
        other_network, other = noise_step(1.0, seed=7)
    with pytest.warns(PrivacyWarning):
        third_network, third = noise_step(1.0, seed=8)
    first, same, different = draw(network, step), draw(other_network, other), draw(third_network, third)
    np.testing.assert_array_equal(everything(first), everything(same))
    assert abs(np.corrcoef(everything(first), everything(different))[0, 1]) < 0.01
    assert step.card().noise_reproducible
    second = draw(network, step)
    assert abs(np.corrcoef(everything(first), everything(second))[0, 1]) < 0.01


def test_a_noise_that_no_grid_can_carry_is_refused() -> None:
    network, step = noise_step(2000.0)  # rounding 980,000 values to the grid would eat up the whole guarantee
    with pytest.raises(RuntimeError):
        draw(network, step)
    for parameter in network.trainable_params():
        assert not parameter.asnumpy().any()
