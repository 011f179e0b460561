"""Attention, transformers and recurrent layers as MindSpore builds them."""

from __future__ import annotations

from typing import Any

from mindspore import Tensor, nn, ops

from .brute_force import Case
from .dense_cases import Lambda, rows

__all__ = ["CASES"]


def _attend(self: Any, x: Tensor) -> Any:
    return self.a(x, x, x)[0]


def _cross(self: Any, x: Tensor) -> Any:
    return self.a(x[:, :2], x[:, 2:], x[:, 1:3])[0]


def _masked(self: Any, x: Tensor) -> Any:
    size = x.shape[1]
    mask = ops.triu(ops.ones((size, size)), 1).astype(bool)
    return self.a(x, x, x, attn_mask=mask)[0]


def _first(self: Any, x: Tensor) -> Any:
    return self.a(x)[0]


def _last_state(self: Any, x: Tensor) -> Any:
    return self.b(self.a(x)[0][:, -1])


def _time_first(self: Any, x: Tensor) -> Any:
    y = self.a(ops.transpose(x, (1, 0, 2)))[0]
    return ops.transpose(y, (1, 0, 2))


def _lstm_cell(self: Any, x: Tensor) -> Any:
    state = (x[:, 0] * 0.5, x[:, 0] * 0.1)
    for t in range(x.shape[1]):
        state = self.a(x[:, t], state)
    return state[0]


def _plain_cell(self: Any, x: Tensor) -> Any:
    state = x[:, 0] * 0.5
    for t in range(x.shape[1]):
        state = self.a(x[:, t], state)
    return state


def _decoder(self: Any, x: Tensor) -> Any:
    return self.a(x[:, :2], x[:, 2:])


def _encoder() -> nn.Cell:
    return nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)


CASES: dict[str, Case] = {
    "attention": Case(lambda: Lambda(_attend, {"a": nn.MultiheadAttention(4, 2, batch_first=True)}), rows(5, 3, 4)),
    "attention_batch_is_time": Case(
        lambda: Lambda(_attend, {"a": nn.MultiheadAttention(4, 2, batch_first=True)}), rows(3, 3, 4)
    ),
    "attention_cross": Case(
        lambda: Lambda(_cross, {"a": nn.MultiheadAttention(4, 2, batch_first=True)}), rows(5, 4, 4)
    ),
    "attention_masked": Case(
        lambda: Lambda(_masked, {"a": nn.MultiheadAttention(4, 2, batch_first=True)}), rows(5, 3, 4)
    ),
    "encoder_layer": Case(_encoder, rows(5, 3, 4)),
    "encoder": Case(
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, activation="gelu", batch_first=True, norm_first=True), 2
        ),
        rows(4, 3, 4),
    ),
    "decoder_layer": Case(
        lambda: Lambda(_decoder, {"a": nn.TransformerDecoderLayer(4, 2, 6, dropout=0.0, batch_first=True)}),
        rows(5, 4, 4),
    ),
    "rnn": Case(lambda: Lambda(_first, {"a": nn.RNN(3, 4, batch_first=True)}), rows(5, 3, 3)),
    "rnn_time_first": Case(lambda: Lambda(_time_first, {"a": nn.RNN(3, 4)}), rows(4, 4, 3)),
    "gru": Case(lambda: Lambda(_first, {"a": nn.GRU(3, 4, batch_first=True)}), rows(5, 3, 3)),
    "gru_bidirectional": Case(
        lambda: Lambda(
            _last_state, {"a": nn.GRU(3, 2, num_layers=2, batch_first=True, bidirectional=True), "b": nn.Dense(4, 2)}
        ),
        rows(4, 2, 3),
    ),
    "lstm_cell": Case(lambda: Lambda(_lstm_cell, {"a": nn.LSTMCell(4, 4)}), rows(5, 3, 4)),
    "gru_cell": Case(lambda: Lambda(_plain_cell, {"a": nn.GRUCell(4, 4)}), rows(5, 3, 4)),
    "rnn_cell": Case(lambda: Lambda(_plain_cell, {"a": nn.RNNCell(4, 4)}), rows(4, 4, 4)),
}
