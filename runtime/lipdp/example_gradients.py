"""Sums of gradients of a model as they are, without noise: for looking at, never to be released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindveil.runtime.rows import Rows

if TYPE_CHECKING:
    from mindveil.runtime.lipdp.model import DP_Model

__all__ = ["Sums"]


class Sums:
    """The sums of the examples' gradients, in the order of the model's layers; compiled for each shape of batch."""

    def __init__(self, model: DP_Model) -> None:
        self._model = model
        self._gradients = _Gradients(model, model.loss, model.layer_parameters())

    def __call__(self, images: Any, labels: Any, weights: Any = None) -> tuple[Tensor, ...]:
        """
        Args:
            weights: ``[B]``: 0, or one share in (0, 1] that is the same for all; None for 1.

        Raises:
            ValueError: weights of another kind.
        """
        x, y, given = Rows().batch(images, labels, weights)
        shares = given.asnumpy()
        self._model.set_train(True)
        # A share within would be clipped at the full clip value; outside it scales what one view adds.
        gradients = self._gradients.compile_and_run(x, y, Tensor((shares > 0).astype(np.float32)))
        return tuple(g * float(shares.max(initial=0)) for g in gradients)


class _Gradients(nn.Cell):
    """A Cell, because a bare function of ``grad`` goes on with the old values where weights are set."""

    def __init__(self, network: nn.Cell, loss: nn.Cell, parameters: list[Any]) -> None:
        super().__init__(auto_prefix=False)
        self.network, self.loss = network, loss
        self.gradients = ms.grad(self.forward, None, ms.ParameterTuple(parameters))

    def construct(self, images: Tensor, labels: Tensor, weights: Tensor) -> Any:
        return self.gradients(images, labels, weights)

    def forward(self, images: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
        """What is differentiated."""
        return (self.loss(self.network(images), labels) * weights).sum()
