"""``mindspore.train.Model`` with the privacy policies inside its training step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any

from mindspore import nn
from mindspore.train import Model
from mindspore.train.callback import RunContext, _CallbackManager, _InternalCallbackParam

from mindveil.accountant import Ledger
from mindveil.runtime.callbacks import check_callbacks
from mindveil.runtime.kinds import Policy
from mindveil.runtime.losses import LossFn
from mindveil.runtime.sampling import check_sampling
from mindveil.runtime.step import PrivateStep

__all__ = ["PrivateModel"]


class PrivateModel(Model):
    """Trains with `PrivateStep`; evaluates and predicts as MindSpore's own `Model` does.

    Args:
        network, loss_fn, optimizer, metrics: as for ``mindspore.train.Model``.
        policies: see `PrivateStep`.
        ledger, lower: see `PrivateStep`.

    Attributes:
        step: the training step, with its events, masks and card.
    """

    def __init__(
        self,
        network: nn.Cell,
        loss_fn: LossFn,
        optimizer: nn.Cell,
        metrics: Any = None,
        *,
        policies: Sequence[Policy] = (),
        ledger: Ledger | None = None,
        lower: bool = False,
    ) -> None:
        super().__init__(network, loss_fn=loss_fn, metrics=metrics)
        self.step = PrivateStep(network, loss_fn, optimizer, policies, ledger=ledger, lower=lower)

    def train(
        self,
        epoch: int,
        train_dataset: Any,
        callbacks: Any = None,
        dataset_sink_mode: bool = False,
        sink_size: int = -1,
        initial_epoch: int = 0,
    ) -> None:
        """Runs ``epoch`` epochs; ordinary MindSpore callbacks are called as by ``Model.train``.

        Args:
            train_dataset: `PoissonBatches` or `ShuffledBatches`, whose steps are divided into ``epoch`` equal parts, or
                a MindSpore dataset of (data, label).
            dataset_sink_mode: must be off: a sunk step would run many updates between two looks at the budget.

        Raises:
            PrivacyError: a callback of a private run decides by the training loss, which is not released.
            MismatchError: the batches are sampled otherwise than the policy accounts for.
            ValueError: ``dataset_sink_mode`` is on.
        """
        if dataset_sink_mode:
            raise ValueError(
                "dataset_sink_mode=True is not possible: the budget is checked before every step; set False"
            )
        check_sampling(self.step, train_dataset, epoch)
        if self.step.private:
            check_callbacks(callbacks)
        per_epoch = _steps_per_epoch(train_dataset, epoch)
        parameters = self._callback_parameters(epoch, per_epoch, train_dataset)
        context = RunContext(parameters)
        self.step.network.set_train(True)
        batches = _physical_batches(train_dataset, epoch)
        with _CallbackManager(callbacks) as listeners:
            parameters.list_callback = listeners
            listeners.on_train_begin(context)
            for number in range(initial_epoch, epoch):
                parameters.cur_epoch_num = number + 1
                listeners.on_train_epoch_begin(context)
                self._epoch(batches, per_epoch, parameters, context, listeners)
                listeners.on_train_epoch_end(context)
                if context.get_stop_requested():
                    break
            listeners.on_train_end(context)

    def _epoch(self, batches: Iterator[Any], steps: int, parameters: Any, context: Any, listeners: Any) -> None:
        done = 0
        while done < steps:
            batch = next(batches, None)
            if batch is None:
                return
            last = getattr(batch[-1], "last", True)
            if last:
                parameters.cur_step_num += 1
                parameters.train_dataset_element = batch
                listeners.on_train_step_begin(context)
            parameters.net_outputs = self.step(*batch)
            if last:
                listeners.on_train_step_end(context)
                done += 1
            if context.get_stop_requested():
                return

    def _callback_parameters(self, epochs: int, per_epoch: int, dataset: Any) -> Any:
        parameters = _InternalCallbackParam()
        parameters.mode = "train"
        parameters.train_network = self.step
        parameters.network = self.step.network
        parameters.loss_fn = self._loss_fn
        parameters.optimizer = self.step.optimizer
        parameters.epoch_num = epochs
        parameters.batch_num = per_epoch
        parameters.train_dataset = dataset
        parameters.dataset_sink_mode = False
        parameters.cur_step_num = 0
        parameters.cur_epoch_num = 0
        parameters.last_save_ckpt_step = None
        parameters.latest_ckpt_file = None
        parameters.parallel_mode = "stand_alone"
        parameters.device_number = 1
        return parameters


def _steps_per_epoch(dataset: Any, epochs: int) -> int:
    if hasattr(dataset, "steps"):
        return ceil(int(dataset.steps) / epochs)
    return int(dataset.get_dataset_size())


def _physical_batches(dataset: Any, epochs: int) -> Iterator[Any]:
    if hasattr(dataset, "steps"):
        yield from dataset
        return
    iterator = dataset.create_tuple_iterator(num_epochs=epochs)
    for _ in range(epochs):
        for batch in iterator:
            if len(batch) != 2:
                raise ValueError(f"the dataset gives {len(batch)} columns a row, and must give (data, label)")
            yield batch
