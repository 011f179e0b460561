"""Layers, losses and parameters that cannot be followed are refused with what to use in their place."""

from __future__ import annotations

from typing import Any

import mindspore as ms
from mindspore import Tensor, nn, ops

from .dense_cases import Lambda, rows
from .normalisation_cases import ids
from .test_refused import APART, refusal


def test_batch_norm_in_training_mode_names_its_layer_and_the_replacement() -> None:
    network = nn.SequentialCell(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU())
    message = refusal(lambda: network, rows(4, 2, 4, 4))
    assert "1: BatchNorm in training mode takes the mean and variance of the whole batch" in message
    assert "nn.GroupNorm or nn.LayerNorm" in message


def test_the_fused_lstm_points_to_the_layers_that_can_be_followed() -> None:
    message = refusal(lambda: Lambda(_first_output, {"a": nn.LSTM(3, 4, batch_first=True)}), rows(4, 3, 3))
    assert "nn.LSTMCell in a loop over the time steps" in message


def _first_output(self: Any, x: Tensor) -> Any:
    return self.a(x)[0]


def _weight_for_each_row(self: Any, x: Tensor) -> Any:
    return ops.bmm(x, self.w)


def test_a_parameter_with_a_row_for_each_example_is_refused() -> None:
    message = refusal(lambda: Lambda(_weight_for_each_row, w=(4, 3, 2)), rows(4, 2, 3))
    assert "is per example, not a sum over examples" in message


def _penalised(outputs: Tensor, labels: Tensor) -> Tensor:
    return (outputs * outputs).sum(1) / (outputs * outputs).sum()


def test_a_loss_that_divides_by_the_batchs_own_sum_is_refused() -> None:
    message = refusal(lambda: nn.Dense(4, 3), rows(4, 4), _penalised)
    assert "sum over examples" in message


def _contrastive(outputs: Tensor, labels: Tensor) -> Tensor:
    return ops.cross_entropy(ops.matmul(outputs, outputs.T), ops.arange(0, outputs.shape[0], 1), reduction="none")


def test_a_contrastive_loss_is_refused() -> None:
    assert APART in refusal(lambda: nn.Dense(4, 4), rows(4, 4), _contrastive)


def test_a_penalty_on_weights_in_the_loss_points_to_weight_decay() -> None:
    network = nn.SequentialCell(nn.Dense(4, 3))
    weight = network[0].weight

    def penalised(outputs: Tensor, labels: Tensor) -> Tensor:
        return (outputs * outputs).sum(1) + (weight * weight).sum()

    assert "weight_decay" in refusal(lambda: network, rows(4, 4), penalised)


def _looked_up_data(self: Any, x: Tensor) -> Any:
    return ops.matmul(ops.gather(self.data, x, 0), self.w)


def test_data_in_a_parameter_that_is_not_trained_is_refused() -> None:
    def build() -> nn.Cell:
        network = Lambda(_looked_up_data, w=(4, 2), data=(9, 4))
        network.data.requires_grad = False
        return network

    assert "Parameter data is not trained, so that it could hold data" in refusal(build, ids(4, below=9))


def _half_weights(self: Any, x: Tensor) -> Any:
    return ops.matmul(x.astype(ms.float16), self.w).astype(ms.float32)


def test_half_precision_parameters_are_refused() -> None:
    def build() -> nn.Cell:
        network = Lambda(_half_weights, w=(4, 2))
        network.w.set_dtype(ms.float16)
        return network

    assert "keep the parameters in float32" in refusal(build, rows(4, 4))
