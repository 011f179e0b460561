"""Sums of gradients of a model as they are, without noise: for looking at, never to be released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

if TYPE_CHECKING:
    from mindveil.runtime.lipdp.model import DP_Model

__all__ = ["Sums"]


class Sums:
    """The sums of the examples' gradients, in the order of the model's layers; compiled for each shape of batch."""

    def __init__(self, model: DP_Model) -> None:
        self._model = model
        parameters = [layer.parameter() for layer in model.layers_forward_order() if layer.has_parameters()]
        self._gradients = _Gradients(model, model.loss, parameters)

    def __call__(self, images: Any, labels: Any, weights: Any = None) -> tuple[Tensor, ...]:
        """
        Args:
            weights: ``[B]``: 0, or one share in (0, 1] that is the same for all; None for 1.

        Raises:
            ValueError: weights of another kind.
        """
        x, y = _tensor(images), _tensor(labels)
        self._model.set_train(True)
        given = np.ones(len(x), np.float32) if weights is None else np.asarray(_array(weights), np.float32)
        share = float(given.max(initial=0)) or 1.0
        if given.shape != (len(x),) or not np.isin(given, (0, share)).all() or not 0 < share <= 1:
            raise ValueError("weights must hold 0, or one share in (0, 1] that is the same for all, for each example")
        # A share within would be clipped at the full clip value; outside it scales what one view adds.
        gradients = self._gradients.compile_and_run(x, y, Tensor((given > 0).astype(np.float32)))
        return tuple(g * share for g in gradients)


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


def _array(values: Any) -> Any:
    return values.asnumpy() if isinstance(values, Tensor) else np.asarray(values)


def _tensor(values: Any) -> Tensor:
    return values if isinstance(values, Tensor) else Tensor(np.asarray(values))
