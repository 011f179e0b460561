"""The rows of a batch as a compiled step takes them: one example each, or several that are clipped as one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from mindspore import Tensor, nn, ops
from numpy.typing import NDArray

from mindveil.runtime.losses import LossFn

__all__ = ["Rows"]


@dataclass(frozen=True, slots=True)
class Rows:
    """``together`` consecutive rows make one example of the step; its loss is the mean of theirs.

    The step then sees examples of shape ``[together, ...]``, so that the passes find the norm of a whole group's
    gradient as they find that of any example with several rows, and nothing else has to know of groups.
    """

    together: int = 1

    def network(self, network: nn.Cell) -> nn.Cell:
        """The network over all rows."""
        return network if self.together == 1 else _OverRows(network)

    def losses(self, losses: LossFn) -> LossFn:
        """The loss of each example, from losses of single rows."""
        return losses if self.together == 1 else _MeanOfRows(losses, self.together)

    def batch(self, images: Any, labels: Any, weights: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Images, labels and weights of the examples.

        Raises:
            ValueError: weights are not 0 or one share, or rows do not make whole groups.
        """
        rows, given = len(images), _weights(weights, len(images), shares=self.together == 1)
        if self.together == 1:
            return _tensor(images), _tensor(labels), Tensor(given)
        if rows % self.together != 0:
            raise ValueError(f"the batch has {rows} rows, and they must make groups of {self.together}")
        groups = given.reshape(-1, self.together)
        if (groups != groups[:, :1]).any():
            raise ValueError(
                f"groups of {self.together} rows are clipped together and must be whole: their weights all 1, or all 0"
            )
        return self._split(_tensor(images)), self._split(_tensor(labels)), Tensor(groups[:, 0].copy())

    def _split(self, rows: Tensor) -> Tensor:
        return Tensor(rows.asnumpy().reshape(-1, self.together, *rows.shape[1:]))


class _OverRows(nn.Cell):
    """Calls a network with the rows of all groups one after another."""

    def __init__(self, network: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.network = network

    def construct(self, images: Tensor) -> Any:
        return self.network(ops.reshape(images, (-1, *images.shape[2:])))


class _MeanOfRows(nn.Cell):
    """The mean loss of each group."""

    def __init__(self, losses: LossFn, together: int) -> None:
        super().__init__(auto_prefix=False)
        self.losses = losses
        self.together = together

    def construct(self, outputs: Any, labels: Tensor) -> Tensor:
        losses = self.losses(outputs, ops.reshape(labels, (-1, *labels.shape[2:])))
        return ops.reshape(losses, (-1, self.together)).mean(1)


def _tensor(rows: Any) -> Tensor:
    return rows if isinstance(rows, Tensor) else Tensor(np.ascontiguousarray(rows))


def _weights(weights: Any, rows: int, *, shares: bool) -> NDArray[np.float32]:
    if weights is None:
        return np.ones(rows, np.float32)
    values = np.asarray(weights.asnumpy() if isinstance(weights, Tensor) else weights, np.float32)
    share = (float(values.max(initial=0)) or 1.0) if shares else 1.0
    if values.shape != (rows,) or not 0 < share <= 1 or not ((values == 0) | (values == share)).all():
        raise ValueError(
            f"weights must be 0 or 1 for each of the {rows} rows, or 0 and one share below 1 that is the same for all "
            f"(one over the views of a record); got shape {values.shape}: {values[:8]}"
        )
    return values
