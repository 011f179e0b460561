"""Hinge and Kantorovich-Rubinstein losses over classes, with class priors that are public constants."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

from mindspore import Tensor, ops

from mindveil.runtime.lipdp.losses import DP_Loss, positive

__all__ = ["DP_MulticlassHKR", "DP_MulticlassHinge", "DP_MulticlassKR"]

_MEAN = "sum_over_batch_size"


class DP_MulticlassHinge(DP_Loss):
    """The mean over C classes of ``max(0, min_margin / 2 - s z)``; s = 1 for the true one, which counts C - 1 times."""

    def __init__(self, min_margin: float = 1.0, reduction: str = _MEAN, name: str | None = None) -> None:
        super().__init__(reduction)
        self.min_margin = positive("min_margin", min_margin)

    def get_L(self, outputs: int | None = None) -> float:  # noqa: N802
        """``sqrt((C - 1) / C)``: all hinges open."""
        return sqrt((outputs - 1) / outputs) if outputs else 1.0

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """``[B]``."""
        sign, factor = _signs(logits, targets)
        return ops.mean(factor * ops.relu(self.min_margin / 2 - sign * logits), -1)

    def slope(self, logits: Tensor, targets: Tensor) -> Tensor:
        """``-s`` times the class's factor where the hinge is open."""
        sign, factor = _signs(logits, targets)
        opened = ops.cast(self.min_margin / 2 - sign * logits > 0, logits.dtype)
        return -sign * factor * opened / logits.shape[-1]


class DP_MulticlassHKR(DP_Loss):
    """``alpha`` times the hinge, minus the mean over classes of ``E[z_c | c] - E[z_c | not c]``.

    The expectations use ``class_priors`` in place of the batch's own counts, by which the original divides: with these
    the gradient of an example has no bound, and depends on the others.

    Args:
        alpha: weight of the hinge; 0 leaves the Kantorovich-Rubinstein term alone.
        min_margin: of the hinge.
        class_priors: share of each class, public constants in (0, 1) that sum to 1.

    Raises:
        ValueError: there are no priors, or they are not shares.
    """

    def __init__(
        self,
        alpha: float = 10.0,
        min_margin: float = 1.0,
        reduction: str = _MEAN,
        name: str | None = None,
        *,
        class_priors: Sequence[float] | None = None,
    ) -> None:
        super().__init__(reduction)
        if class_priors is None:
            raise ValueError(
                "class_priors is None: counts of a batch have no bounded gradient; give public shares of the classes"
            )
        priors = [float(p) for p in class_priors]
        if len(priors) < 2 or not all(0 < p < 1 for p in priors) or abs(sum(priors) - 1) > 1e-6:
            raise ValueError(f"class_priors is {priors}, and must be shares in (0, 1) that sum to 1")
        if not 0 <= alpha < float("inf"):
            raise ValueError(f"alpha is {alpha}, and must be finite and at least 0")
        self.alpha, self.min_margin = float(alpha), positive("min_margin", min_margin)
        self.priors = tuple(priors)
        self.inside = Tensor([1 / p for p in priors]).astype("float32")
        self.outside = Tensor([1 / (1 - p) for p in priors]).astype("float32")

    def get_L(self, outputs: int | None = None) -> float:  # noqa: N802
        """The largest over true classes: all slopes of an example have the sign of its hinge's, so that they add up."""
        classes, squares = len(self.priors), [(1 / (1 - p) + self.alpha) ** 2 for p in self.priors]
        own = [(1 / p + self.alpha * (classes - 1)) ** 2 for p in self.priors]
        return max(sqrt(own[k] + sum(squares) - squares[k]) for k in range(classes)) / classes

    def value(self, logits: Tensor, targets: Tensor) -> Tensor:
        """``[B]``."""
        sign, factor = _signs(logits, targets)
        hinge = ops.mean(factor * ops.relu(self.min_margin / 2 - sign * logits), -1)
        return self.alpha * hinge - ops.mean(sign * self.shares(targets) * logits, -1)

    def slope(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The hinge's and the Kantorovich-Rubinstein term's together."""
        sign, factor = _signs(logits, targets)
        opened = ops.cast(self.min_margin / 2 - sign * logits > 0, logits.dtype)
        return -sign * (self.alpha * factor * opened + self.shares(targets)) / logits.shape[-1]

    def shares(self, targets: Tensor) -> Tensor:
        """``1 / p`` of the true class, ``1 / (1 - p)`` of the others."""
        true = targets > 0
        return ops.select(
            true, ops.broadcast_to(self.inside, targets.shape), ops.broadcast_to(self.outside, targets.shape)
        )


class DP_MulticlassKR(DP_MulticlassHKR):
    """The Kantorovich-Rubinstein term alone, with class priors as public constants."""

    def __init__(
        self, reduction: str = _MEAN, name: str | None = None, *, class_priors: Sequence[float] | None = None
    ) -> None:
        super().__init__(0.0, reduction=reduction, class_priors=class_priors)


def _signs(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """1 for the true class, -1 for others; and C - 1 for the true class, 1 for others."""
    true = ops.cast(targets > 0, logits.dtype)
    return 2 * true - 1, 1 + (logits.shape[-1] - 2) * true
