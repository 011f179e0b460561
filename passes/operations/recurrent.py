"""Recurrent layers that MindSpore runs in one fused kernel, which keeps what a per-example gradient needs to itself."""

from __future__ import annotations

from mindveil.passes.operations.table import Operation, refuse, words

__all__ = ["RECURRENT"]

_FUSED = (
    "the fused kernel of nn.LSTM gives no gradient of its gates, so that its examples cannot be told apart; use "
    "nn.GRU, nn.RNN, or nn.LSTMCell in a loop over the time steps"
)

RECURRENT: dict[str, Operation] = {
    name: Operation(refuse(_FUSED)) for name in words("LSTM LSTMGrad LSTMV2 DynamicRNN DynamicGRUV2")
}
