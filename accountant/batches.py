"""Events for data that is dealt out once an epoch instead of being sampled afresh at every step."""

from dataclasses import dataclass

from mindveil.accountant.checks import count, positive

__all__ = ["BallsInBins", "ShuffledBatches"]


@dataclass(frozen=True, slots=True)
class ShuffledBatches:
    """An epoch of fixed-size batches cut from a shuffled data set, with ``noise_multiplier`` on each batch.

    The guarantee is the one of a record that is used once and hidden by the noise alone. No useful amplification by
    shuffling is proven for fixed batches at the noise of training.

    Source: Chua, Ghazi, Kamath, Kumar, Manurangsi, Sinha and Zhang 2024 (arXiv 2403.17673) for how far Poisson is off.
    """

    noise_multiplier: float
    batches: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise_multiplier", positive("noise_multiplier", self.noise_multiplier))
        object.__setattr__(self, "batches", count("batches", self.batches, 1))


@dataclass(frozen=True, slots=True)
class BallsInBins:
    """An epoch in which each record draws its one batch out of ``batches`` uniformly and independently.

    Batch sizes vary, as they do under Poisson sampling, and every record is used exactly once an epoch.

    Source: Chua, Ghazi, Harrison, Leeman, Kamath, Kumar, Manurangsi, Sinha and Zhang 2024 (arXiv 2412.16802): the
    dominating pair, also for batches whose queries depend on earlier answers.
    """

    noise_multiplier: float
    batches: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "noise_multiplier", positive("noise_multiplier", self.noise_multiplier))
        object.__setattr__(self, "batches", count("batches", self.batches, 1))
