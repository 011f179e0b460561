"""What a user states of privacy and of the data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil, log10

__all__ = ["STRATEGIES", "DPParameters", "DatasetMetadata", "default_delta_value"]

#: How noise is shared among parameters.
STRATEGIES = ("global", "per-layer", "optimal")


@dataclass
class DPParameters:
    """Parameters of differentially private training.

    Attributes:
        noisify_strategy: ``global``: the same noise on every parameter. ``per-layer``: noise in proportion to each
            parameter's bound. ``optimal``: the least noise energy at global noise's epsilon.
        noise_multiplier: standard deviation of the noise over the sensitivity.
        delta: of the guarantee.

    Raises:
        ValueError: a number is out of range. The strategy is checked by the model.
    """

    noisify_strategy: str
    noise_multiplier: float
    delta: float

    def __post_init__(self) -> None:
        if not 0 <= self.noise_multiplier < float("inf"):
            raise ValueError(f"noise_multiplier is {self.noise_multiplier}, and must be finite and at least 0")
        if not 0 < self.delta < 1:
            raise ValueError(f"delta is {self.delta}, and must be in (0, 1)")


@dataclass
class DatasetMetadata:
    """What the accounting and the layers need to know of the data set; all of it is taken as public.

    Attributes:
        input_shape: of one example, channels first: ``(1, 28, 28)``, or ``(features,)``.
        nb_classes, nb_samples_train, nb_samples_test, class_names: of the data set.
        nb_steps_per_epochs: updates that count as one epoch.
        batch_size: expected records of a Poisson batch; the sum of gradients is divided by it, whatever came.
        max_norm: bound of the examples' norms.

    Raises:
        ValueError: a count is not positive, or the batch exceeds the training set.
    """

    input_shape: tuple[int, ...]
    nb_classes: int
    nb_samples_train: int
    nb_samples_test: int = 0
    class_names: Sequence[str] = field(default_factory=tuple)
    nb_steps_per_epochs: int = 0
    batch_size: int = 1
    max_norm: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.batch_size <= self.nb_samples_train:
            raise ValueError(
                f"batch_size is {self.batch_size} and nb_samples_train {self.nb_samples_train}: it must be in between"
            )
        if self.nb_steps_per_epochs == 0:
            self.nb_steps_per_epochs = ceil(self.nb_samples_train / self.batch_size)
        if self.nb_steps_per_epochs < 0 or self.nb_classes < 1:
            raise ValueError("nb_steps_per_epochs and nb_classes must be positive")

    @property
    def sampling_rate(self) -> float:
        """Probability of each record to be in a step's batch."""
        return self.batch_size / self.nb_samples_train


def default_delta_value(dataset_metadata: DatasetMetadata) -> float:
    """One over the next power of ten at or above the number of training examples.

    >>> default_delta_value(DatasetMetadata((784,), 10, 60_000, batch_size=256))
    1e-05
    """
    return float(f"1e-{ceil(log10(dataset_metadata.nb_samples_train))}")
