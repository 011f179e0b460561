"""Compares what a monitor was told of a run with the step's policy, and with the events that ran."""

from __future__ import annotations

from collections.abc import Iterator
from math import isclose

from mindveil import accountant
from mindveil.accountant import Event, MismatchError, PoissonSampled
from mindveil.runtime.diff_privacy.feeding import Feeding
from mindveil.runtime.diff_privacy.formula import Told
from mindveil.runtime.diff_privacy.statement import releases
from mindveil.runtime.policies import DPSGD
from mindveil.runtime.schedules import value_at

__all__ = ["check_ran", "check_told"]

#: Steps at which two noise schedules are compared before a run: decays differ from the second step on.
LOOKED_AT = (0, 1, 2, 10, 100, 1000)
#: The step holds its noise multiplier in float32.
FLOAT32 = 1e-6


def check_told(told: Told, policy: DPSGD, feeding: Feeding) -> None:
    """Compares before the first step.

    Raises:
        MismatchError: with every difference.
    """
    found = [*_batches(told, feeding), *_noise(told, policy)]
    if found:
        raise MismatchError(
            "; ".join(found) + ". Tell the monitor what the model does: epsilon would be of another run"
        )


def check_ran(told: Told, ran: Event, checked: int) -> int:
    """Compares the events that ran, but for the first ``checked``, with what was told; how many are compared now.

    Raises:
        MismatchError: the noise of a step was another.
    """
    number = checked
    for number, release in enumerate(releases(ran), 1):
        if number > checked:
            noise, wanted = _multiplier(release), told.noise.multiplier(number - 1)
            if noise is None or not isclose(noise, wanted, rel_tol=FLOAT32):
                raise MismatchError(f"step {number} ran with noise multiplier {noise}, but {wanted:g} was told")
    return number


def _batches(told: Told, feeding: Feeding) -> Iterator[str]:
    if feeding.poisson:
        if not isclose(told.rate, feeding.rate, rel_tol=1e-9) or told.num_samples != feeding.dataset_size:
            yield (
                f"num_samples={told.num_samples} and batch_size={told.batch_size} were told, but Poisson batches of "
                f"{feeding.rate * feeding.dataset_size:g} of {feeding.dataset_size} records come"
            )
        return
    if told.batch_size != feeding.batch_size:
        yield f"batch_size={told.batch_size} was told, but the batches have {feeding.batch_size} rows"
    elif told.num_samples // told.batch_size != feeding.pass_steps and told.steps_per_epoch != feeding.pass_steps:
        yield f"num_samples={told.num_samples} was told, but the dataset has {feeding.pass_steps} batches"


def _noise(told: Told, policy: DPSGD) -> Iterator[str]:
    for step in LOOKED_AT:
        wanted, noise = told.noise.multiplier(step), value_at(policy.noise_multiplier, step, "noise_multiplier")
        if not isclose(noise, wanted, rel_tol=1e-9):
            what = "initial_noise_multiplier" if step == 0 else "noise_decay_mode"
            mode = told.noise.decay_policy
            yield (
                f"{what}: with {told.noise.initial_noise_multiplier:g} at first and noise_decay_mode={mode!r} "
                f"step {step + 1} has noise multiplier {wanted:.6g}, but the model's noise has {noise:.6g} there"
            )
            return


def _multiplier(release: PoissonSampled) -> float | None:
    inner = release.event
    while isinstance(inner, accountant.Sequence):
        inner = inner.events[0]
    if isinstance(inner, (accountant.Gaussian, accountant.ClippedTogether, accountant.AdaptiveClipping)):
        return inner.noise_multiplier
    return None
