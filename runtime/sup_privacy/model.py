"""A MindSpore model whose compiled training step keeps suppressed weights at zero."""

from __future__ import annotations

from typing import Any

from mindspore import nn
from mindspore.train import Model

from mindveil.runtime.model import PrivateModel
from mindveil.runtime.model_options import model_options
from mindveil.runtime.step import PrivateStep
from mindveil.runtime.sup_privacy.control import SuppressCtrl

__all__ = ["SuppressModel"]


class SuppressModel(PrivateModel):
    """``mindspore.train.Model`` for suppress privacy; trains once `link_suppress_ctrl` has given it a controller.

    Args:
        network: the network to train.
        loss_fn: any loss Cell, or a function of (outputs, labels) that returns one loss for each example.
        optimizer: any optimizer, with any learning rate.
        metrics, eval_network, eval_indexes: keywords, as for ``mindspore.train.Model``.

    Raises:
        TypeError: network or optimizer is no Cell, or a keyword is unknown.
        ValueError: a keyword asks for mixed precision, boosting or loss scaling.
    """

    def __init__(self, network: nn.Cell, loss_fn: Any, optimizer: nn.Cell, **kwargs: Any) -> None:
        for name, value in (("network", network), ("optimizer", optimizer)):
            if not isinstance(value, nn.Cell):
                raise TypeError(f"{name} is {value!r}, and must be a Cell")
        options = model_options("SuppressModel", kwargs)
        super().__init__(network, loss_fn, optimizer)
        Model.__init__(self, network, loss_fn=loss_fn, **options)
        self._train_network = self.step
        self.suppress_ctrl: SuppressCtrl | None = None

    def link_suppress_ctrl(self, suppress_pri_ctrl: SuppressCtrl) -> None:
        """Makes the step read the controller's masks; another controller takes the place of an earlier one.

        Raises:
            TypeError: it is no SuppressCtrl.
            ValueError: it was made for another network, or masks parameters that the optimizer does not train.
        """
        if not isinstance(suppress_pri_ctrl, SuppressCtrl):
            raise TypeError(f"suppress_pri_ctrl is {type(suppress_pri_ctrl).__name__}, and must be a SuppressCtrl")
        own = {id(p) for p in self.step.network.get_parameters()}
        strange = [layer.name for layer in suppress_pri_ctrl.layers if id(layer.parameter) not in own]
        if strange:
            raise ValueError(f"the controller was made for another network: {', '.join(strange)} is not the model's")
        policies = [suppress_pri_ctrl.policy] if suppress_pri_ctrl.layers else []
        self.step = PrivateStep(self.step.network, self._loss_fn, self.step.optimizer, policies)
        self._train_network = self.step
        self.suppress_ctrl = suppress_pri_ctrl

    def train(
        self,
        epoch: int,
        train_dataset: Any,
        callbacks: Any = None,
        dataset_sink_mode: bool = False,
        sink_size: int = -1,
        initial_epoch: int = 0,
    ) -> None:
        """As `PrivateModel.train`; the callbacks must hold the `SuppressMasker` of this model.

        Raises:
            ValueError: no controller is linked, no masker is among the callbacks, or ``dataset_sink_mode`` is on.
        """
        if self.suppress_ctrl is None:
            raise ValueError("no controller is linked, so nothing would be suppressed; call link_suppress_ctrl first")
        listeners = callbacks if isinstance(callbacks, (list, tuple)) else [callbacks]
        if not any(getattr(c, "suppress_ctrl", None) is self.suppress_ctrl for c in listeners):
            raise ValueError("no SuppressMasker of this controller is among the callbacks: nothing would be suppressed")
        super().train(epoch, train_dataset, callbacks, dataset_sink_mode, sink_size, initial_epoch)
