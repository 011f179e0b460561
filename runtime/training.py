"""The training loop: runs a step over batches, and keeps the curves that a report shows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from mindspore import Tensor, nn
from numpy.typing import NDArray

from mindveil.runtime.sampling import check_sampling
from mindveil.runtime.step import PrivateStep

__all__ = ["History", "Point", "accuracy", "train"]

EVALUATION_BATCH = 500


@dataclass(frozen=True, slots=True)
class Point:
    """The state after an update.

    Attributes:
        step: updates done.
        loss: mean loss of the batch; not released, for the console only.
        epsilon: spent so far, in nats; None for a run without privacy.
        accuracy: on held-out records, where it was measured.
    """

    step: int
    loss: float
    sparsity: float
    epsilon: float | None
    accuracy: float | None = None


@dataclass(frozen=True, slots=True)
class History:
    """The curves of a run: a point for each update."""

    points: list[Point] = field(default_factory=list)

    def curve(self, name: str) -> tuple[list[int], list[float]]:
        """(steps, values) of the points that have a value of that name."""
        found = [(p.step, getattr(p, name)) for p in self.points if getattr(p, name) is not None]
        return [s for s, _ in found], [float(v) for _, v in found]


def train(
    step: PrivateStep,
    batches: Iterable[tuple[Any, Any, Any]],
    *,
    delta: float = 1e-5,
    evaluate: Callable[[], float] | None = None,
    evaluate_every: int = 0,
    on_point: Callable[[Point], None] | None = None,
) -> History:
    """Runs the step over all batches.

    Args:
        batches: (images, labels, weights) of constant shape, as `PoissonBatches` and `ShuffledBatches` yield them.
        evaluate: accuracy on held-out records; asked every ``evaluate_every`` updates and after the last.
        on_point: called after each update, for a progress bar.
    """
    check_sampling(step, batches)
    history = History()
    for images, labels, weights in batches:
        loss = step(images, labels, weights)
        if not getattr(weights, "last", True):
            continue
        measured = evaluate_every > 0 and step.steps_done % evaluate_every == 0
        point = Point(
            step.steps_done,
            float(loss.asnumpy()),
            step.sparsity,
            step.epsilon(delta) if step.private else None,
            evaluate() if evaluate is not None and measured else None,
        )
        history.points.append(point)
        if on_point is not None:
            on_point(point)
    return history


def accuracy(network: nn.Cell, images: NDArray[Any], labels: NDArray[Any]) -> float:
    """Share of records whose largest output is their label; the network is evaluated and put back into its mode."""
    training = network.training
    network.set_train(False)
    try:
        right = 0
        for start in range(0, len(images), EVALUATION_BATCH):
            part = slice(start, start + EVALUATION_BATCH)
            outputs = network(Tensor(images[part])).asnumpy()
            right += int((outputs.argmax(1) == labels[part]).sum())
    finally:
        network.set_train(training)
    return right / len(images)
