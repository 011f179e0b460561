"""The Cell that MindSpore compiles: forward, backward, the marker, and what is done with the gradients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import mindspore as ms
from mindspore import Parameter, Tensor, nn, ops

from mindveil.runtime.losses import LossFn

__all__ = ["Kind", "Parts", "StepCell"]

# Primitives: for functions and methods of tensors the compiler parses all of its own library, which takes 10 MB.
_SUM, _MAXIMUM, _ADD = ops.ReduceSum(), ops.Maximum(), ops.AssignAdd()
#: ``update``: one whole step. ``add``: one physical batch of several, into the sums. ``finish``: the last of them.
Kind = Literal["update", "add", "finish"]


@dataclass(frozen=True)
class Parts:
    """What the cells of one training step share.

    Attributes:
        loss_scale: what the loss is multiplied by before it is differentiated, and the optimizer divides by.
    """

    network: nn.Cell
    losses: LossFn
    optimizer: nn.Cell
    controls: tuple[Parameter, ...]
    masks: tuple[Parameter, ...]
    sums: tuple[Parameter, ...]
    private: bool
    loss_scale: float = 1.0


class StepCell(nn.Cell):
    """One kind of step over a batch of one shape; ``marker`` is None for ordinary training without any policy."""

    def __init__(self, parts: Parts, kind: Kind, marker: Any) -> None:
        super().__init__(auto_prefix=False)
        self.network = parts.network
        self.losses = parts.losses
        self.optimizer = parts.optimizer
        self.private = parts.private
        self.scale = Tensor(parts.loss_scale, ms.float32) if parts.loss_scale != 1 else None
        self.kind = kind
        self.marker = marker
        self.controls = _tuple(parts.controls)
        self.masks = _tuple(parts.masks)
        self.sums = _tuple(parts.sums if kind != "update" else ())
        self.gradients = ms.value_and_grad(self.forward, None, parts.optimizer.parameters, has_aux=True)

    def forward(self, images: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """What is differentiated, and the loss of each example."""
        losses = self.losses(self.network(images), labels)
        total = _SUM(losses)  # the weights belong to the clip factors: a gradient must be a plain sum over examples
        if not self.private:
            total = _SUM(losses * weights) / _MAXIMUM(_SUM(weights), 1.0)
        if self.scale is not None:
            total = total * self.scale
        return total, losses

    def construct(self, images: Tensor, labels: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of the real examples (its sum where more batches follow), and how many had no finite gradient."""
        (_, losses), gradients = self.gradients(images, labels, weights)
        not_finite = Tensor(0.0, ms.float32)
        if self.marker is not None:
            sums = self.sums if self.kind == "finish" else ()
            marked = self.marker(gradients, weights, self.controls, self.masks, sums)
            gradients, not_finite = marked[:-1], marked[-1]
        if self.kind == "add":
            for total, gradient in zip(self.sums, gradients):  # noqa: B905  the compiler knows no strict
                _ADD(total, gradient)
        else:
            self.optimizer(gradients)
        total_loss = _SUM(losses * weights)
        if self.kind == "update":
            return total_loss / _MAXIMUM(_SUM(weights), 1.0), not_finite
        return total_loss, not_finite


def _tuple(parameters: Sequence[Parameter]) -> Any:
    return ms.ParameterTuple(parameters) if parameters else ()
