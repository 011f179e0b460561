"""`PrivateModel`: MindSpore's training loop, callbacks and metrics around the private step."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mindspore import dataset as ds
from mindspore import nn
from mindspore.train import Accuracy, Callback, EarlyStopping, ReduceLROnPlateau

from mindveil.accountant import MismatchError, PrivacyWarning
from mindveil.passes.privacy import PrivacyError
from mindveil.runtime import DPSGD, PoissonBatches, PrivateModel, ShuffledBatches, Suppression

LOSS = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
RECORDS = 40


def arrays() -> tuple[Any, Any]:
    """Two separable classes."""
    rng = np.random.default_rng(0)
    labels = np.arange(RECORDS, dtype=np.int32) % 2
    return rng.normal(labels[:, None] * 4 - 2, 1, (RECORDS, 5)).astype(np.float32), labels


class Listener(Callback):
    """Writes down when it is called."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, int]] = []

    def on_train_step_end(self, run_context: Any) -> None:
        parameters = run_context.original_args()
        assert np.isfinite(float(parameters.net_outputs.asnumpy()))
        self.seen.append(("step", parameters.cur_step_num))

    def on_train_epoch_end(self, run_context: Any) -> None:
        self.seen.append(("epoch", run_context.original_args().cur_epoch_num))


def test_a_private_model_trains_evaluates_and_predicts() -> None:
    network = nn.Dense(5, 2)
    policy = DPSGD(1.0, 0.8, sampling_rate=0.5, dataset_size=RECORDS)
    optimizer = nn.SGD(network.trainable_params(), 0.5)
    model = PrivateModel(network, LOSS, optimizer, metrics={"accuracy": Accuracy()}, policies=[policy])
    batches = PoissonBatches(arrays(), sampling_rate=0.5, physical_batch=8, steps=30)  # several physical batches a step
    listener = Listener()
    model.train(3, batches, callbacks=[listener])
    assert [n for kind, n in listener.seen if kind == "step"] == list(range(1, 31))
    assert [n for kind, n in listener.seen if kind == "epoch"] == [1, 2, 3]
    assert model.step.steps_done == 30
    test = ds.NumpySlicesDataset(arrays(), ["data", "label"], shuffle=False).batch(10)
    assert model.eval(test, dataset_sink_mode=False)["accuracy"] > 0.9
    assert model.predict(model.step.network.weight.new_ones((3, 5))).shape == (3, 2)


def test_batches_that_are_sampled_otherwise_than_accounted_are_refused() -> None:
    network = nn.Dense(5, 2)
    policy = DPSGD(1.0, 0.8, sampling_rate=0.25, dataset_size=RECORDS)
    model = PrivateModel(network, LOSS, nn.SGD(network.trainable_params(), 0.5), policies=[policy])
    batches = PoissonBatches(arrays(), sampling_rate=0.5, physical_batch=30, steps=3)
    with pytest.raises(MismatchError, match=r"sampling_rate=0\.25 of 40 records"):
        model.train(1, batches)
    assert model.step.steps_done == 0


def test_shuffled_batches_under_a_private_policy_warn() -> None:
    network = nn.Dense(5, 2)
    policy = DPSGD(1.0, 0.8, sampling_rate=0.25, dataset_size=RECORDS)
    model = PrivateModel(network, LOSS, nn.SGD(network.trainable_params(), 0.5), policies=[policy])
    with pytest.warns(PrivacyWarning, match=r"not drawn by Poisson sampling.*truth lies between"):
        model.train(1, ShuffledBatches(arrays(), batch_size=10, epochs=1, seed=0))


def test_a_suppressed_model_trains_on_a_mindspore_dataset() -> None:
    network = nn.Dense(5, 2)
    policy = Suppression(sparsity=0.5, steps=6, every=2)
    model = PrivateModel(network, LOSS, nn.Momentum(network.trainable_params(), 0.1, 0.9), policies=[policy])
    data = ds.NumpySlicesDataset(arrays(), ["data", "label"], shuffle=True).batch(10)
    model.train(2, data)
    assert model.step.steps_done == 8
    assert (network.weight.asnumpy() == 0).mean() == 0.5


def test_sink_mode_is_refused() -> None:
    network = nn.Dense(5, 2)
    model = PrivateModel(network, LOSS, nn.SGD(network.trainable_params(), 0.1))
    with pytest.raises(ValueError, match="the budget is checked before every step"):
        model.train(1, ShuffledBatches(arrays(), batch_size=10, epochs=1, seed=0), dataset_sink_mode=True)


@pytest.mark.parametrize("callback", [ReduceLROnPlateau(monitor="loss"), EarlyStopping(monitor="train_loss")])
def test_callbacks_that_decide_by_the_training_loss_are_refused(callback: Callback) -> None:
    network = nn.Dense(5, 2)
    policy = DPSGD(1.0, 0.8, sampling_rate=0.5, dataset_size=RECORDS)
    model = PrivateModel(network, LOSS, nn.SGD(network.trainable_params(), 0.5), policies=[policy])
    batches = PoissonBatches(arrays(), sampling_rate=0.5, physical_batch=40, steps=2)
    with pytest.raises(PrivacyError, match=r"watches '(train_)?loss', which"):
        model.train(1, batches, callbacks=[callback])
    assert model.step.steps_done == 0
    model.train(1, batches, callbacks=EarlyStopping(monitor="eval_loss"))
    assert model.step.steps_done == 2
