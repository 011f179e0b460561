"""Training with suppression: through the compiled step, in both modes, across calls, checkpoints and processes."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
import pytest
from mindspore import dataset as ds
from mindspore import nn
from mindspore.train import Accuracy, CheckpointConfig, LossMonitor, ModelCheckpoint

from mindveil.runtime import PrivateStep, checkpoint
from mindveil.runtime.sup_privacy import (
    MaskLayerDes,
    SuppressCtrl,
    SuppressMasker,
    SuppressModel,
    SuppressPrivacyFactory,
)

LOSS = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
BATCHES = 10


@pytest.fixture(params=[ms.PYNATIVE_MODE, ms.GRAPH_MODE], ids=["pynative", "graph"])
def mode(request: pytest.FixtureRequest) -> Iterator[int]:
    """Both modes of MindSpore; the one that was set before comes back."""
    before = ms.get_context("mode")
    ms.set_context(mode=request.param)
    yield request.param
    ms.set_context(mode=before)


def batches(number: int = BATCHES) -> Any:
    """Two separable classes in batches of four, always in the same order."""
    rng = np.random.default_rng(0)
    labels = np.arange(4 * number, dtype=np.int32) % 2
    data = rng.normal(labels[:, None] * 4 - 2, 1, (4 * number, 6)).astype(np.float32)
    return ds.NumpySlicesDataset((data, labels), ["data", "label"], shuffle=False).batch(4)


def network() -> nn.Cell:
    """Two dense layers, the same weights every time."""
    net = nn.SequentialCell(nn.Dense(6, 8), nn.Dense(8, 2))
    rng = np.random.default_rng(1)
    for p in net.get_parameters():
        p.set_data(ms.Tensor(rng.normal(0, 0.5, p.shape).astype(np.float32)))
    return net


def linked(
    net: nn.Cell, optimizer: nn.Cell | None = None, **more: Any
) -> tuple[SuppressModel, SuppressCtrl, SuppressMasker]:
    """A model of which half of the first layer is suppressed over three epochs, from the second on."""
    layers = [MaskLayerDes("0.weight", 0, False, False, -1)]
    numbers = {"end_epoch": 3, "batch_num": BATCHES, "start_epoch": 2, "mask_times": 2, "lr": 0.1, "sparse_end": 0.5}
    control = SuppressPrivacyFactory.create(net, layers, **(numbers | more))
    optimizer = optimizer or nn.SGD(net.trainable_params(), 0.1)
    model = SuppressModel(net, LOSS, optimizer, metrics={"accuracy": Accuracy()})
    model.link_suppress_ctrl(control)
    return model, control, SuppressMasker(model, control)


def weights(net: nn.Cell) -> Any:
    """A copy of the suppressed layer's weights."""
    return net.trainable_params()[0].asnumpy().copy()


def test_training_reaches_the_sparsity_and_keeps_it_without_compiling_again(
    mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[str] = []
    rewrite = PrivateStep._rewrite

    def counted(step: PrivateStep, graph: Any, kind: Any) -> Any:
        compiled.append(kind)
        return rewrite(step, graph, kind)

    monkeypatch.setattr(PrivateStep, "_rewrite", counted)
    net = network()
    model, control, masker = linked(net, nn.Momentum(net.trainable_params(), 0.1, 0.9))
    seen: list[int] = []

    class Counter(ms.train.Callback):
        def on_train_step_end(self, run_context: Any) -> None:
            seen.append(int((weights(net) == 0).sum()))

    model.train(3, batches(), callbacks=[masker, Counter(), LossMonitor()])
    assert seen == sorted(seen)
    assert seen[10] == 0  # the first operation is at sparsity 0
    assert 0 < seen[20] < 24
    assert seen[27] == seen[-1] == 24  # the closing operation, two steps before the end; momentum brings nothing back
    assert compiled == ["update"]
    assert [p.name for p in net.get_parameters()] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert model.step.sparsity == control.cur_sparse == 0.5
    assert model.step.mode == "suppressed"
    assert model.step.card().epsilon is None
    assert model.eval(batches(), dataset_sink_mode=False)["accuracy"] > 0.9


def test_a_second_call_of_train_goes_on_in_the_schedule() -> None:
    whole, parts = network(), network()
    model, _, masker = linked(whole)
    model.train(3, batches(), callbacks=[masker])
    model, control, masker = linked(parts)
    with pytest.warns(UserWarning, match="end_epoch is 3, but 1 epochs are trained; the final sparsity is not reached"):
        model.train(1, batches(), callbacks=[masker])
    assert not control.mask_started
    model.train(2, batches(), callbacks=[masker])
    np.testing.assert_array_equal(weights(parts), weights(whole))
    assert (weights(parts) == 0).sum() == 24


@pytest.mark.filterwarnings("ignore:end_epoch is 3", "ignore:4 suppress operations")
def test_a_checkpoint_resumes_in_mid_schedule_bit_for_bit(tmp_path: Path) -> None:
    whole = network()
    model, _, masker = linked(whole, mask_times=4)
    model.train(3, batches(), callbacks=[masker])
    first = network()
    model, control, masker = linked(first, mask_times=4)
    model.train(2, batches(), callbacks=[masker])
    checkpoint.save(tmp_path / "run.ckpt", model.step)
    assert 0 < (weights(first) == 0).sum() < 24
    second = network()
    model, again, masker = linked(second, mask_times=4)
    checkpoint.restore(tmp_path / "run.ckpt", model.step)
    assert again.progress == control.progress
    assert again.steps_seen == 20
    np.testing.assert_array_equal(again.layers[0].kept(), control.layers[0].kept())
    model.train(1, batches(), callbacks=[masker])
    np.testing.assert_array_equal(weights(second), weights(whole))


@pytest.mark.filterwarnings("ignore:end_epoch is 3", "ignore:4 suppress operations")
def test_mindspores_own_checkpoints_hold_the_masks_under_the_networks_names(tmp_path: Path) -> None:
    config = CheckpointConfig(save_checkpoint_steps=BATCHES, keep_checkpoint_max=5)
    net = network()
    model, control, masker = linked(net, mask_times=4)
    saver = ModelCheckpoint(prefix="net", directory=str(tmp_path), config=config)
    model.train(2, batches(), callbacks=[masker, saver])
    loaded = ms.load_checkpoint(str(tmp_path / "net-2_10.ckpt"))
    assert {"0.weight", "0.bias", "mask.0.weight", "suppress.progress"} <= loaded.keys()
    plain = network()
    assert ms.load_param_into_net(plain, loaded)[0] == []
    assert 0 < (weights(plain) == 0).sum() < 24
    np.testing.assert_array_equal(weights(plain), weights(net))
    other = network()
    resumed, again, masker = linked(other, mask_times=4)
    ms.load_param_into_net(resumed.train_network, loaded)
    assert again.progress == control.progress
    resumed.train(1, batches(), callbacks=[masker])
    assert (weights(other) == 0).sum() == 24


def test_what_does_not_fit_the_run_warns_and_the_plan_follows_the_dataset() -> None:
    net = network()
    model, control, masker = linked(net, nn.SGD(net.trainable_params(), 0.2), batch_num=20, mask_times=4)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model.train(4, batches(), callbacks=masker)
    texts = "\n".join(str(w.message) for w in caught)
    assert "batch_num is 20, but the data set has 10 batches; the plan follows it" in texts
    assert "end_epoch is 3, but 4 epochs are trained; the masks then stay" in texts
    assert "lr is 0.1, but the optimizer's learning rate is 0.2" in texts
    assert "4 suppress operations in 20 steps fall 5 steps apart" in texts
    assert control.plan.batch_num == 10
    assert (weights(net) == 0).sum() == 24


def test_a_learning_rate_that_changes_warns_and_removes_all_the_same() -> None:
    net = network()
    rates = nn.piecewise_constant_lr([15, 30], [0.1, 0.01])
    model, _, masker = linked(net, nn.SGD(net.trainable_params(), rates))
    with pytest.warns(UserWarning, match="lr is 0.1, but the optimizer's learning rate changes"):
        model.train(3, batches(), callbacks=[masker])
    assert (weights(net) == 0).sum() == 24


def test_a_schedule_of_ones_own_and_whole_neurons() -> None:
    net = network()
    control = SuppressPrivacyFactory.create(
        net,
        [MaskLayerDes("0.weight", 0, False, False, -1, structure="neuron")],
        end_epoch=2, batch_num=BATCHES, start_epoch=1, mask_times=2, lr=0.1, sparse_end=0.8,
        schedule=lambda step: 0.25 if step < 5 else 0.8,
    )  # fmt: skip
    model = SuppressModel(net, LOSS, nn.Adam(net.trainable_params(), 0.1))
    model.link_suppress_ctrl(control)
    model.train(2, batches(), callbacks=[SuppressMasker(model, control)])
    gone = (weights(net) == 0).all(axis=1)
    assert gone.sum() == 6
    assert (weights(net)[~gone] != 0).all()


def test_what_would_suppress_nothing_is_refused() -> None:
    net = network()
    model, control, masker = linked(net)
    with pytest.raises(ValueError, match="no SuppressMasker of this controller is among the callbacks"):
        model.train(3, batches(), callbacks=[LossMonitor()])
    other = SuppressModel(net, LOSS, nn.SGD(net.trainable_params(), 0.1))
    with pytest.raises(ValueError, match="call link_suppress_ctrl first"):
        other.train(3, batches(), callbacks=[masker])
    _, stranger, _ = linked(network())
    with pytest.raises(ValueError, match=r"made for another network: 0\.weight"):
        model.link_suppress_ctrl(stranger)
    with pytest.raises(TypeError, match="suppress_pri_ctrl is NoneType"):
        model.link_suppress_ctrl(None)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the budget is checked before every step"):
        model.train(3, batches(), callbacks=[masker], dataset_sink_mode=True)
    assert control.steps_seen == 0


def test_a_masker_of_an_unlinked_controller_says_so() -> None:
    model, _, _ = linked(network())
    _, stranger, _ = linked(network())
    masker = SuppressMasker(model, stranger)
    with pytest.raises(ValueError, match="not linked to this controller"):
        masker.step_end(ms.train.RunContext({}))
    with pytest.raises(TypeError, match="model is Dense"):
        SuppressMasker(nn.Dense(2, 2), stranger)
    with pytest.raises(TypeError, match="suppress_ctrl is NoneType"):
        SuppressMasker(model, None)  # type: ignore[arg-type]


def test_no_layers_to_mask_train_as_usual() -> None:
    net = network()
    control = SuppressPrivacyFactory.create(
        net, [], end_epoch=1, batch_num=BATCHES, start_epoch=1, mask_times=1, lr=0.1
    )
    model = SuppressModel(net, LOSS, nn.SGD(net.trainable_params(), 0.1))
    model.link_suppress_ctrl(control)
    before = weights(net)
    model.train(1, batches(), callbacks=[SuppressMasker(model, control)])
    assert not np.array_equal(weights(net), before)
    assert (weights(net) != 0).all()


def test_keywords_are_checked() -> None:
    net = network()
    optimizer = nn.SGD(net.trainable_params(), 0.1)
    with pytest.raises(TypeError, match="SuppressModel got the unknown keyword metric; it knows"):
        SuppressModel(net, LOSS, optimizer, metric=None)
    with pytest.raises(ValueError, match="amp_level is 'O2', and must be 'O0' or left out"):
        SuppressModel(net, LOSS, optimizer, amp_level="O2")
    with pytest.raises(ValueError, match="loss_scale_manager is"):
        SuppressModel(net, LOSS, optimizer, loss_scale_manager=ms.amp.FixedLossScaleManager())
    with pytest.raises(TypeError, match="network is None"):
        SuppressModel(None, LOSS, optimizer)
    with pytest.raises(TypeError, match="optimizer is 'sgd'"):
        SuppressModel(net, LOSS, "sgd")
    assert SuppressModel(net, LOSS, optimizer, amp_level="O0", metrics={"loss"}).suppress_ctrl is None
