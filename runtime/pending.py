"""The sums of a logical batch that comes as several physical ones."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from mindspore import Parameter, Tensor

__all__ = ["Pending"]


class Pending:
    """Clipped sums and losses of the physical batches so far; nothing of it is released or saved."""

    def __init__(self, parameters: Iterable[Parameter]) -> None:
        self._parameters = list(parameters)
        self.made: tuple[Parameter, ...] = ()
        self.batches = 0
        self._loss = 0.0
        self._rows = 0.0

    def sums(self) -> tuple[Parameter, ...]:
        """One Parameter of the shape of each gradient, zeros at first; made when first needed."""
        if not self.made:
            self.made = tuple(
                Parameter(Tensor(np.zeros(p.shape, np.float32)), name=f"mindveil.sum.{p.name}", requires_grad=False)
                for p in self._parameters
            )
        return self.made

    def mean(self, loss: Tensor, weights: Tensor, last: bool) -> Tensor:
        """Adds one physical batch; the mean loss so far. After the last one everything is zero again."""
        self.batches += 1
        self._loss += float(loss.asnumpy())
        self._rows += float(weights.asnumpy().sum())
        mean = Tensor(np.float32(self._loss / max(self._rows, 1.0)))
        if last:
            self.clear()
        return mean

    def clear(self) -> None:
        """Forgets what has been added up."""
        self.batches, self._loss, self._rows = 0, 0.0, 0.0
        for total in self.made:
            total.set_data(Tensor(np.zeros(total.shape, np.float32)))
