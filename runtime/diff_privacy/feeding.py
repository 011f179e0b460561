"""How a run is fed: the size of its batches, how often a record comes, and by which kind of sampling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

__all__ = ["Feeding", "feeding_of"]


@dataclass(frozen=True, slots=True)
class Feeding:
    """What the data pipeline does with the records.

    Attributes:
        batch_size: rows of a batch.
        dataset_size: records, as far as whole batches hold them.
        rate: share of the records in a batch; the probability of each under Poisson sampling.
        poisson: every record is drawn independently at every step; otherwise batches are cut from shuffled records.
        pass_steps: steps in which every record comes at most once; 0 under Poisson sampling.
        starts: numbers of steps done at which a call of ``train`` began, so that a new shuffle did.
    """

    batch_size: int
    dataset_size: int
    rate: float
    poisson: bool
    pass_steps: int
    starts: tuple[int, ...] = ()

    def begun(self, steps_done: int) -> Feeding:
        """The same with one call of ``train`` more."""
        return replace(self, starts=(*self.starts, steps_done))


def feeding_of(batches: Any) -> Feeding:
    """How these batches feed a run.

    Args:
        batches: `PoissonBatches`, `ShuffledBatches`, or a MindSpore dataset of (data, label).

    Raises:
        ValueError: the dataset holds no whole batch.
    """
    if getattr(batches, "sampling_rate", None) is not None:
        return Feeding(batches.physical_batch, batches.dataset_size, batches.sampling_rate, True, 0)
    if hasattr(batches, "steps_per_epoch"):
        size, steps = batches.physical_batch, batches.steps_per_epoch
        return Feeding(size, size * steps, 1 / steps, False, steps)
    steps, repeats = int(batches.get_dataset_size()), int(batches.get_repeat_count())
    if steps < 1 or steps % repeats != 0:
        raise ValueError(f"the dataset gives {steps} batches in {repeats} rounds, and must give at least one in each")
    shapes = batches.output_shapes()  # of whole batches, also where a generator makes them: get_batch_size is 1 then
    size, once = int(shapes[0][0]), steps // repeats
    return Feeding(size, size * once, 1 / once, False, once)
