"""Schedules: the decays' formulas, the first and the last step, and merging."""

import math

import pytest

from mindveil.accountant import Composed, Gaussian, PoissonSampled, Sequence, decayed_noise, epsilon, schedule


def noises(decay: str, steps: int = 5) -> list[float]:
    run = decayed_noise(noise_multiplier=2.0, decay=decay, decay_rate=0.1, sampling_rate=0.5, steps=steps)
    found = []
    for part in run.events:
        if not (isinstance(part, Composed) and isinstance(part.event, PoissonSampled)):
            raise TypeError(part)
        inner = part.event.event
        if not isinstance(inner, Gaussian):
            raise TypeError(inner)
        found += [inner.noise_multiplier] * part.steps
    return found


@pytest.mark.parametrize(
    ("decay", "at"),
    [("Time", lambda k: 2 / (1 + 0.1 * k)), ("Step", lambda k: 2 * 0.9**k), ("Exp", lambda k: 2 * math.exp(-0.1 * k))],
)
def test_the_first_step_has_the_first_noise_and_the_last_is_one_before_the_count(decay: str, at) -> None:  # type: ignore[no-untyped-def]
    assert noises(decay) == pytest.approx([at(k) for k in range(5)], rel=1e-15)


def test_no_decay_is_one_composed_event_and_no_steps_none() -> None:
    constant = decayed_noise(noise_multiplier=2.0, decay="Exp", decay_rate=0.0, sampling_rate=0.5, steps=7)
    assert constant == Sequence([Composed(PoissonSampled(0.5, Gaussian(2.0)), 7)])
    assert noises("Time", 0) == []


def test_any_function_of_the_step_will_do() -> None:
    run = schedule(lambda step: Gaussian(3.0) if step % 2 else Gaussian(2.0), 4)
    assert epsilon(run, 1e-5) == pytest.approx(epsilon(Sequence([Gaussian(2.0), Gaussian(3.0)] * 2), 1e-5), rel=1e-9)


def test_decay_costs_more_than_constant_noise() -> None:
    def spent(rate: float) -> float:
        run = decayed_noise(noise_multiplier=1.5, decay="Exp", decay_rate=rate, sampling_rate=256 / 60_000, steps=2340)
        return epsilon(run, 1e-5)

    assert spent(0.0) < spent(1e-4) < spent(6e-4)
    assert spent(6e-4) > 15 * spent(0.0)
