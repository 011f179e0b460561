"""What a user wants done to training, as frozen values: private gradients, suppressed weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import ceil, isfinite
from typing import Any, get_args

from mindveil.passes.adapt import Rule
from mindveil.passes.clipping import Clipping, Flat, PerLayer
from mindveil.passes.noise import Generator
from mindveil.runtime.schedules import Schedule, cubic_sparsity

__all__ = ["DPSGD", "AdaptiveClipNorm", "GivenMasks", "MaskPolicy", "Suppression", "check_sampled_noise"]


@dataclass(frozen=True, slots=True)
class AdaptiveClipNorm:
    """Moves the clip norm so that a given share of the gradients stays unclipped; `DPSGD.clip_norm` is where it begins.

    The share is measured by a noisy count on the same records, which the accounting includes.

    Attributes:
        target_quantile: the share of examples that should stay unclipped.
        learning_rate: of the rule, a step of ``learning_rate * (share - target_quantile)``.
        count_noise: standard deviation of the noise on the count, in records; a twentieth of the expected batch is
            usual and costs little.
        rule: ``geometric`` multiplies, ``linear`` adds; linear may reach 0, which ends training.

    Source: Andrew, Thakkar, McMahan and Ramaswamy 2021, "Differentially private learning with adaptive clipping".
    """

    target_quantile: float = 0.5
    learning_rate: float = 0.2
    count_noise: float = 10.0
    rule: Rule = "geometric"

    def __post_init__(self) -> None:
        if not 0 <= self.target_quantile <= 1:
            raise ValueError(f"target_quantile is {self.target_quantile}, and must be in [0, 1]")
        for name, value in (("learning_rate", self.learning_rate), ("count_noise", self.count_noise)):
            if not isfinite(value) or value <= 0:
                raise ValueError(f"{name} is {value}, and must be finite and positive")
        if self.rule not in get_args(Rule):
            raise ValueError(f"rule is {self.rule!r}, and must be one of {', '.join(get_args(Rule))}")


@dataclass(frozen=True, slots=True)
class DPSGD:
    """Differentially private gradients: clipped example by example, summed, noised, divided by a constant.

    One update is
    ``(sum_i w_i clip(g_i, clip_norm) + N(0, (noise_multiplier clip_norm)^2)) / (sampling_rate dataset_size)``.

    Guarantee: each step is a Gaussian mechanism with ``noise_multiplier``, sampled by Poisson sampling with
    ``sampling_rate``, for adding or removing one record. It holds if every record is in a step's batch independently
    with that probability (`PoissonBatches`), and if schedules depend on nothing but the step.

    Attributes:
        clip_norm: L2 bound of one record's gradient over all parameters; a constant or a function of the step.
        noise_multiplier: standard deviation of the noise over ``clip_norm``; 0 clips without any privacy.
        sampling_rate: probability of each record to be in a step's batch.
        dataset_size: records in the training set, taken as public.
        public: names of untrained Parameters (frozen layers, tables) that hold no private data; ``*`` for constants.
        clipping: `Flat` (one norm over all parameters), `PerLayer` or `Automatic`.
        adaptive: moves the clip norm during training.
        noise_seed: makes the noise reproducible, and so removable by whoever knows the seed: for tests only.
        rows_together: so many consecutive rows of a batch are clipped as one (micro-batches): the gradient of their
            mean loss, and the sum is divided by the number of such groups. One record can turn its whole group around,
            so that a step costs twice the sensitivity; and that only if the other records of a group stay in it when
            the record comes or goes, which Poisson batches do not give.
        workers: processes that train together, each on its own records; the sampling rate and the data set are those
            of all of them. Their clipped sums are added up before the one noise: see ``docs/ascend.md``.
        noise_generator: ``kernel`` (keyed by the operating system, on a grid that floating point cannot betray; CPU),
            ``device`` (MindSpore's own, elsewhere); None: the kernel where it runs. The card names it.

    Source: Abadi et al. 2016, "Deep learning with differential privacy", algorithm 1.
    """

    clip_norm: Schedule
    noise_multiplier: Schedule
    sampling_rate: float
    dataset_size: int
    public: tuple[str, ...] = ()
    noise_seed: int | None = None
    clipping: Clipping = Flat()  # noqa: RUF009  a frozen value
    adaptive: AdaptiveClipNorm | None = None
    rows_together: int = 1
    workers: int = 1
    noise_generator: Generator | None = None

    def __post_init__(self) -> None:
        _whole("rows_together", self.rows_together)
        if not callable(self.clip_norm) and not (isfinite(self.clip_norm) and self.clip_norm > 0):
            raise ValueError(f"clip_norm is {self.clip_norm}, and must be finite and positive")
        check_sampled_noise(self.noise_multiplier, self.sampling_rate, self.dataset_size, self.workers)
        if self.adaptive is not None and (callable(self.clip_norm) or isinstance(self.clipping, PerLayer)):
            raise ValueError("an adaptive clip norm needs a number to begin with, and one norm for all parameters")

    @property
    def expected_batch(self) -> float:
        """The constant that the noisy sum is divided by: expected records of a batch, or groups of them."""
        return self.sampling_rate * self.dataset_size / self.rows_together

    @classmethod
    def for_budget(
        cls,
        *,
        epsilon: float,
        delta: float,
        dataset_size: int,
        batch_size: int,
        epochs: float,
        clip_norm: Schedule,
        adaptive: AdaptiveClipNorm | None = None,
        workers: int = 1,
    ) -> DPSGD:
        """The policy with the least noise that keeps ``epochs`` epochs within (epsilon, delta).

        Args:
            batch_size: expected number of records in a batch, of all workers together.
            epochs: passes over the data; rounded up to whole steps.
            adaptive: its noisy count is paid from the same budget.

        Raises:
            ValueError: the noisy count alone would overspend.

        >>> DPSGD.for_budget(epsilon=3.0, delta=1e-5, dataset_size=60_000, batch_size=256, epochs=60,
        ...                  clip_norm=1.0).noise_multiplier < 1.02
        True
        """
        from mindveil.accountant import noise_multiplier

        _whole("dataset_size", dataset_size)
        _whole("batch_size", batch_size)
        rate = batch_size / dataset_size
        noise = noise_multiplier(target_epsilon=epsilon, delta=delta, sampling_rate=rate, steps=ceil(epochs / rate))
        if adaptive is not None:
            # The two releases act as one with z_eff^-2 = z^-2 + (2 count_noise)^-2 (Andrew et al. 2021, theorem 1).
            left = noise**-2 - (2 * adaptive.count_noise) ** -2
            if left <= 0:
                raise ValueError(
                    f"count_noise is {adaptive.count_noise}, and must be above {noise / 2:.4g} for this budget"
                )
            noise = left**-0.5 * (1 + 1e-9)
        return cls(clip_norm, noise, rate, dataset_size, adaptive=adaptive, workers=workers)


@dataclass(frozen=True, slots=True)
class Suppression:
    """Sets the smallest weights to zero, more and more of them, and keeps them at zero.

    Makes a model sparse. It carries no privacy guarantee: no epsilon follows from it.

    Attributes:
        sparsity: share of zeros among the weights of ``layers`` at the end; of each layer by itself.
        steps: step at which ``sparsity`` is reached; it rises from 0 by `cubic_sparsity`.
        layers: parameter names, or None for every trained parameter with two dimensions or more.
        start: first step at which weights are suppressed.
        every: steps between two suppress operations.
        minimum: least number of weights that stay, by parameter name; 0 where not named.
        schedule: sparsity as a function of the steps since ``start``, in place of the cubic one.

    Source: the seed tutorial of suppress privacy; magnitude pruning with a gradual schedule, Zhu and Gupta 2017.
    """

    sparsity: float
    steps: int
    layers: tuple[str, ...] | None = None
    start: int = 0
    every: int = 10
    minimum: Mapping[str, int] = field(default_factory=dict)
    schedule: Callable[[int], float] | None = None

    def __post_init__(self) -> None:
        if isinstance(self.sparsity, bool) or not 0 <= self.sparsity < 1:
            raise ValueError(f"sparsity is {self.sparsity}, and must be in [0, 1); it is the share of zeros")
        _whole("steps", self.steps)
        _whole("every", self.every)
        if self.start < 0 or self.start >= self.steps:
            raise ValueError(f"start is {self.start}, and must be at least 0 and before steps, {self.steps}")

    def target(self, step: int) -> float:
        """The sparsity wanted after ``step``."""
        if step < self.start:
            return 0.0
        rising = self.schedule or cubic_sparsity(self.sparsity, self.steps - self.start)
        return min(max(rising(step - self.start), 0.0), self.sparsity)

    def due(self, step: int) -> bool:
        """Whether a suppress operation belongs after ``step``: regularly, and when the final sparsity is reached."""
        since = step - self.start
        return since >= 0 and step <= self.steps and (since % self.every == 0 or step == self.steps)


@dataclass(frozen=True, slots=True)
class GivenMasks:
    """Keeps at zero what masks say that somebody else makes and updates between steps.

    A mask must be chosen from public or released values: the weights themselves, never gradients or records.

    Attributes:
        masks: by name of a parameter, an untrained Parameter of its shape that holds zeros and ones, 1 = kept.
        saved: further Parameters of whoever updates the masks, which travel with them in a checkpoint.
    """

    masks: Mapping[str, Any]
    saved: tuple[Any, ...] = ()


MaskPolicy = Suppression | GivenMasks


def check_sampled_noise(noise_multiplier: Schedule, sampling_rate: float, dataset_size: int, workers: int) -> None:
    """What every policy that adds noise to a Poisson batch demands of its settings.

    Raises:
        TypeError, ValueError: one is of the wrong type or out of range.
    """
    if not callable(noise_multiplier) and not (isfinite(noise_multiplier) and noise_multiplier >= 0):
        raise ValueError(f"noise_multiplier is {noise_multiplier}, and must be finite and at least 0")
    if isinstance(sampling_rate, bool) or not 0 < sampling_rate <= 1:
        raise ValueError(f"sampling_rate is {sampling_rate}, and must be in (0, 1]; it is batch / records")
    _whole("dataset_size", dataset_size)
    _whole("workers", workers)


def _whole(name: str, value: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name} is {value!r}, and must be a whole number")
    if value <= 0:
        raise ValueError(f"{name} is {value}, and must be positive")
