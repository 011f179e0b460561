"""Training for epochs, with MindSpore's callbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mindspore.train.callback import RunContext, _CallbackManager, _InternalCallbackParam

from mindveil.accountant import MismatchError
from mindveil.runtime.batches import PoissonBatches

if TYPE_CHECKING:
    from mindveil.runtime.lipdp.model import DP_Model

__all__ = ["fit"]


def fit(model: DP_Model, data: Any, epochs: int, validation_data: Any, callbacks: Any) -> dict[str, list[float]]:
    """Trains for ``epochs`` of ``nb_steps_per_epochs`` updates.

    Args:
        data: a pair of arrays (examples, labels), from which Poisson batches with the model's sampling rate are drawn;
            or batches made so already (`PoissonBatches`), without physical ones.
        validation_data: a pair of arrays, evaluated after each epoch.
        callbacks: MindSpore's; ``original_args().network`` is the model.

    Returns:
        Name -> one number an epoch. Training losses are not released.

    Raises:
        MismatchError: batches are drawn at another rate, or from another number of records.
    """
    metadata = model.dataset_metadata
    batches = _batches(model, data, epochs)
    history: dict[str, list[float]] = {}
    parameters = _parameters(model, epochs, batches)
    context = RunContext(parameters)
    stream = iter(batches)
    with _CallbackManager(callbacks) as listeners:
        listeners.on_train_begin(context)
        for epoch in range(epochs):
            parameters.cur_epoch_num = epoch + 1
            listeners.on_train_epoch_begin(context)
            losses = [
                _update(model, next(stream), parameters, context, listeners)
                for _ in range(metadata.nb_steps_per_epochs)
            ]
            history.setdefault("loss", []).append(sum(losses) / len(losses))
            if validation_data is not None:
                for name, value in model.evaluate(validation_data).items():
                    history.setdefault(f"val_{name}", []).append(value)
            listeners.on_train_epoch_end(context)
            if context.get_stop_requested():
                break
        listeners.on_train_end(context)
    return history


def _update(model: DP_Model, batch: Any, parameters: Any, context: Any, listeners: Any) -> float:
    parameters.cur_step_num += 1
    parameters.train_dataset_element = batch
    listeners.on_train_step_begin(context)
    parameters.net_outputs = model.step(*batch)
    listeners.on_train_step_end(context)
    return float(parameters.net_outputs)


def _batches(model: DP_Model, data: Any, epochs: int) -> Any:
    metadata = model.dataset_metadata
    if not isinstance(data, PoissonBatches):
        rows = 2 * metadata.batch_size
        data = PoissonBatches(
            tuple(data),
            sampling_rate=metadata.sampling_rate,
            physical_batch=min(max(rows, 8), metadata.nb_samples_train),
            steps=epochs * metadata.nb_steps_per_epochs,
        )
    if data.sampling_rate != metadata.sampling_rate or data.dataset_size != metadata.nb_samples_train:
        raise MismatchError(
            f"the model accounts for a rate of {metadata.sampling_rate} of {metadata.nb_samples_train} records, but "
            f"the batches draw {data.sampling_rate} of {data.dataset_size}"
        )
    return data


def _parameters(model: DP_Model, epochs: int, batches: Any) -> Any:
    parameters = _InternalCallbackParam()
    parameters.mode = "train"
    parameters.train_network, parameters.network = model.step, model
    parameters.loss_fn, parameters.optimizer = model.loss, model.optimizer
    parameters.epoch_num, parameters.batch_num = epochs, model.dataset_metadata.nb_steps_per_epochs
    parameters.train_dataset, parameters.dataset_sink_mode = batches, False
    parameters.cur_step_num = parameters.cur_epoch_num = 0
    parameters.last_save_ckpt_step = parameters.latest_ckpt_file = None
    parameters.parallel_mode, parameters.device_number = "stand_alone", 1
    return parameters
