"""Losses with a Lipschitz constant in the logits, which their way back enforces example by example."""

from __future__ import annotations

from math import sqrt

import mindspore as ms
from mindspore import Tensor, nn, ops

from mindveil.runtime.bound_marker import MindveilBound
from mindveil.runtime.lipdp.balls import into_ball

__all__ = [
    "DP_KCosineSimilarity",
    "DP_Loss",
    "DP_MeanAbsoluteError",
    "DP_TauBCE",
    "DP_TauCategoricalCrossentropy",
]

_MEAN = "sum_over_batch_size"


class DP_Loss(nn.Cell):
    """The loss of each example, from logits ``[B, outputs]`` and labels: classes ``[B]``, or rows ``[B, outputs]``.

    The training step divides the sum of the losses by the expected batch, as the mean that the original demands. The
    gradient of each example in the logits is put into the ball of radius ``get_L(outputs)`` on the way back: with
    labels that are what the loss expects it is there already, and with any others the bound still holds.
    """

    def __init__(self, reduction: str = _MEAN, name: str | None = None) -> None:
        super().__init__()
        if reduction not in (_MEAN, "mean", "none"):
            raise ValueError(f"reduction is {reduction!r}; the training step reduces, by a mean: leave it as it is")
        self.reduction = "none"  # what is returned: the step reduces
        self.states_bounds = False
        self.stated = MindveilBound(1.0, 0.0)

    def get_L(self, outputs: int | None = None) -> float:  # noqa: N802  the original's name
        """The largest norm of one example's gradient in its logits; without ``outputs``, for any number of them."""
        raise TypeError(f"{type(self).__name__} states no constant; use one of the losses of this module")

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The losses ``[B]``."""
        raise TypeError(f"{type(self).__name__} states no loss; use one of the losses of this module")

    def slope(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Their gradient ``[B, outputs]``."""
        raise TypeError(f"{type(self).__name__} states no loss; use one of the losses of this module")

    def targets(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Labels as rows of the logits' shape."""
        if labels.ndim < logits.ndim:
            if logits.shape[-1] > 1:
                return ops.one_hot(
                    ops.cast(labels, ms.int32), logits.shape[-1], Tensor(1.0, ms.float32), Tensor(0.0, ms.float32)
                )
            return ops.cast(ops.reshape(labels, logits.shape), logits.dtype)
        return ops.cast(labels, logits.dtype)

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        """``[B]``."""
        return self.value(logits, self.targets(logits, labels))

    def bprop(self, logits: Tensor, labels: Tensor, out: Tensor, dy: Tensor) -> tuple[Tensor, Tensor]:
        """The gradient of each example within the ball, times the example's weight ``dy``."""
        cap = Tensor(self.get_L(logits.shape[-1]), ms.float32)
        slope = into_ball(self.slope(logits, self.targets(logits, labels)), cap)
        weights = ops.reshape(dy, (-1, 1))
        gradient = slope * weights
        if self.states_bounds:  # at most L times the weight, whatever the weights are
            gradient = self.stated(gradient, weights * cap)
        return gradient, ops.zeros_like(labels)


class DP_TauCategoricalCrossentropy(DP_Loss):
    """``cross_entropy(softmax(tau z)) / tau``, whose gradient is ``softmax(tau z) - y``."""

    def __init__(self, tau: float, reduction: str = _MEAN, name: str | None = None) -> None:
        super().__init__(reduction)
        self.tau = positive("tau", tau)

    def get_L(self, outputs: int | None = None) -> float:  # noqa: N802
        """``sqrt(2)``: the diameter of the simplex."""
        return sqrt(2)

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """``[B]``."""
        return -ops.sum(targets * ops.log_softmax(logits * self.tau, -1), -1) / self.tau

    def slope(self, logits: Tensor, targets: Tensor) -> Tensor:
        """``softmax(tau z) - y``."""
        return ops.softmax(logits * self.tau, -1) - targets


class DP_TauBCE(DP_Loss):
    """``binary_cross_entropy(sigmoid(tau z)) / tau``, the mean over outputs."""

    def __init__(self, tau: float, reduction: str = _MEAN, name: str | None = None) -> None:
        super().__init__(reduction)
        self.tau = positive("tau", tau)

    def get_L(self, outputs: int | None = None) -> float:  # noqa: N802
        """``1 / sqrt(outputs)``."""
        return 1 / sqrt(outputs or 1)

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """``[B]``."""
        scaled = logits * self.tau
        losses = ops.relu(scaled) - scaled * targets + ops.log(1 + ops.exp(-ops.abs(scaled)))
        return ops.mean(losses, -1) / self.tau

    def slope(self, logits: Tensor, targets: Tensor) -> Tensor:
        """``(sigmoid(tau z) - y) / outputs``."""
        return (ops.sigmoid(logits * self.tau) - targets) / logits.shape[-1]


class DP_KCosineSimilarity(DP_Loss):
    """Minus the cosine of logits and targets, with norms of ``K`` at least; the original states ``1 / K^2``."""

    def __init__(self, K: float = 1.0, axis: int = -1, reduction: str = _MEAN, name: str | None = None) -> None:  # noqa: N803
        super().__init__(reduction)
        if axis not in (-1, 1):
            raise ValueError(f"axis is {axis}, and must be the last one, -1")
        self.K = positive("K", K)

    def get_L(self, outputs: int | None = None) -> float:  # noqa: N802
        """``1 / K``: the slope of ``z / max(||z||, K)``."""
        return 1 / self.K

    def unit(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Rows over their norms, and the norms, of ``K`` at least."""
        norms = ops.maximum(ops.sqrt(ops.sum(ops.square(rows), -1, keepdim=True)), Tensor(self.K, rows.dtype))
        return rows / norms, norms

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """``[B]``."""
        return -ops.sum(self.unit(logits)[0] * self.unit(targets)[0], -1)

    def slope(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Across the logits' direction where they are longer than ``K``, the target's direction where shorter."""
        direction, norms = self.unit(logits)
        target = self.unit(targets)[0]
        across = target - direction * ops.sum(direction * target, -1, keepdim=True)
        longer = ops.broadcast_to(norms > self.K, logits.shape)
        return -ops.select(longer, across, target) / norms


class DP_MeanAbsoluteError(DP_Loss):
    """The mean over outputs of ``|z - y|``."""

    def get_L(self, outputs: int | None = None) -> float:  # noqa: N802
        """``1 / sqrt(outputs)``."""
        return 1 / sqrt(outputs or 1)

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """``[B]``."""
        return ops.mean(ops.abs(logits - targets), -1)

    def slope(self, logits: Tensor, targets: Tensor) -> Tensor:
        """``sign(z - y) / outputs``."""
        return ops.sign(logits - targets) / logits.shape[-1]


def positive(name: str, value: float) -> float:
    """
    Raises:
        ValueError: the value is not finite and positive.
    """
    if not 0 < value < float("inf"):
        raise ValueError(f"{name} is {value}, and must be finite and positive")
    return float(value)
