"""One layer or small network for each kind that export translates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mindspore
import numpy as np
from mindspore import nn, ops

from .function_cases import IMAGE, Case

__all__ = ["LAYERS"]


def layer(make: Callable[[], Any], *shape: int, ids: int = 0) -> Case:
    return Case(make, shape, ids)


class Residual(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(4, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.conv2 = nn.Conv2d(4, 4, 3)
        self.relu = nn.ReLU()

    def construct(self, x: Any) -> Any:
        return self.relu(self.norm(self.conv2(self.relu(self.conv1(x)))) + x)


class Transformer(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.place = mindspore.Parameter(mindspore.Tensor(np.linspace(-1, 1, 40).reshape(5, 8).astype(np.float32)))
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.1, batch_first=True)
        self.head = nn.Dense(8, 3)

    def construct(self, x: Any) -> Any:
        return self.head(self.block(self.embed(x) + self.place).mean(1))


class Masked(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Dense(6, 5)
        mask = (np.arange(30).reshape(5, 6) % 3 == 0).astype(np.float32)
        self.mask = mindspore.Parameter(mindspore.Tensor(mask), name="mask", requires_grad=False)

    def construct(self, x: Any) -> Any:
        return ops.matmul(x, (self.fc.weight * self.mask).T) + self.fc.bias


class Shapes(nn.Cell):
    """Shapes spelt out with the batch size in several places."""

    def construct(self, x: Any) -> Any:
        rows = x.shape[0]
        y = x.reshape(rows * 2, 3, 4).transpose(1, 0, 2).reshape(3, rows, 8)
        return y.transpose(1, 0, 2).reshape(rows, -1) + ops.zeros((rows, 1), mindspore.float32)


class ClassToken(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.token = mindspore.Parameter(mindspore.Tensor(np.ones((1, 1, 4), np.float32)), name="token")

    def construct(self, x: Any) -> Any:
        return ops.concat((ops.broadcast_to(self.token, (x.shape[0], 1, 4)), x), 1)


class SharedLayer(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.fc = nn.Dense(6, 6)

    def construct(self, x: Any) -> Any:
        return self.fc(ops.relu(self.fc(x)))


class Recurrent(nn.Cell):
    def __init__(self, cell: Any) -> None:
        super().__init__()
        self.cell = cell

    def construct(self, x: Any) -> Any:
        return self.cell(x)[0]


LAYERS: dict[str, Case] = {
    # dense and products
    "dense": layer(lambda: nn.Dense(6, 5), 6),
    "dense_no_bias": layer(lambda: nn.Dense(6, 5, has_bias=False), 6),
    "dense_3d": layer(lambda: nn.Dense(6, 5), 3, 6),
    "dense_activation": layer(lambda: nn.Dense(6, 5, activation="relu"), 6),
    "masked_dense": layer(Masked, 6),
    "attention": layer(Transformer, 5, ids=11),
    # convolutions
    "conv_valid": layer(lambda: nn.Conv2d(4, 6, 3, pad_mode="valid"), *IMAGE),
    "conv_same": layer(lambda: nn.Conv2d(4, 6, 3, 2, pad_mode="same", has_bias=True), *IMAGE),
    "conv_pad": layer(lambda: nn.Conv2d(4, 6, (3, 5), (2, 1), "pad", (1, 2, 0, 3), has_bias=True), *IMAGE),
    "conv_dilated": layer(lambda: nn.Conv2d(4, 6, 3, pad_mode="same", dilation=2), *IMAGE),
    "conv_grouped": layer(lambda: nn.Conv2d(4, 6, 3, group=2, has_bias=True), *IMAGE),
    "conv_depthwise": layer(lambda: nn.Conv2d(4, 4, 3, group=4, has_bias=True), *IMAGE),
    "conv1d": layer(lambda: nn.Conv1d(4, 5, 3, 2, has_bias=True), 4, 9),
    "conv1d_valid": layer(lambda: nn.Conv1d(4, 5, 3, pad_mode="valid"), 4, 9),
    "conv_transpose_same": layer(lambda: nn.Conv2dTranspose(4, 5, 3, 2, has_bias=True), *IMAGE),
    "conv_transpose_valid": layer(lambda: nn.Conv2dTranspose(4, 5, 3, 2, pad_mode="valid"), *IMAGE),
    "conv_transpose_pad": layer(lambda: nn.Conv2dTranspose(4, 5, 3, 2, pad_mode="pad", padding=1), *IMAGE),
    "conv_transpose_stride_over_kernel": layer(lambda: nn.Conv2dTranspose(4, 5, 2, 3), *IMAGE),
    "conv1d_transpose": layer(lambda: nn.Conv1dTranspose(4, 5, 3, 2), 4, 9),
    # normalisation
    "batch_norm_2d": layer(lambda: nn.BatchNorm2d(4), *IMAGE),
    "batch_norm_1d": layer(lambda: nn.BatchNorm1d(6), 6),
    "group_norm": layer(lambda: nn.GroupNorm(2, 4), *IMAGE),
    "layer_norm": layer(lambda: nn.LayerNorm((6,)), 3, 6),
    "layer_norm_2_axes": layer(lambda: nn.LayerNorm((3, 6), begin_norm_axis=1, begin_params_axis=1), 3, 6),
    # pooling
    "max_pool_valid": layer(lambda: nn.MaxPool2d(2, 2), *IMAGE),
    "max_pool_same": layer(lambda: nn.MaxPool2d(3, 2, "same"), *IMAGE),
    "max_pool_pad": layer(lambda: nn.MaxPool2d(3, 2, "pad", 1), *IMAGE),
    "average_pool_valid": layer(lambda: nn.AvgPool2d(2, 2), *IMAGE),
    "average_pool_same": layer(lambda: nn.AvgPool2d(3, 2, "same"), *IMAGE),
    "average_pool_pad": layer(lambda: nn.AvgPool2d(3, 2, "pad", 1), *IMAGE),
    "max_pool_1d": layer(lambda: nn.MaxPool1d(2, 2), 4, 8),
    "average_pool_1d": layer(lambda: nn.AvgPool1d(2, 2), 4, 8),
    "adaptive_average_pool_1": layer(lambda: nn.AdaptiveAvgPool2d(1), *IMAGE),
    "adaptive_average_pool_3": layer(lambda: nn.AdaptiveAvgPool2d((3, 4)), *IMAGE),
    "adaptive_average_pool_uneven": layer(lambda: nn.AdaptiveAvgPool2d((2, 3)), *IMAGE),
    "adaptive_max_pool": layer(lambda: nn.AdaptiveMaxPool2d(1), *IMAGE),
    "conv_3d": layer(lambda: nn.Conv3d(4, 5, 3, has_bias=True), 4, 4, 6, 5),
    "max_pool_3d": layer(lambda: nn.MaxPool3d(2, 2), 4, 4, 6, 5),
    "local_response": layer(lambda: nn.LRN(2), *IMAGE),
    "average_pool_pad_not_counted": layer(lambda: nn.AvgPool2d(3, 2, "pad", 1, count_include_pad=False), *IMAGE),
    # activations
    "relu": layer(nn.ReLU, 6),
    "relu6": layer(nn.ReLU6, 6),
    "leaky_relu": layer(lambda: nn.LeakyReLU(0.2), 6),
    "leaky_relu_above_one": layer(lambda: nn.LeakyReLU(2.0), 6),
    "elu": layer(nn.ELU, 6),
    "selu": layer(nn.SeLU, 6),
    "gelu_exact": layer(lambda: nn.GELU(False), 6),
    "gelu_tanh": layer(lambda: nn.GELU(True), 6),
    "fast_gelu": layer(nn.FastGelu, 6),
    "sigmoid": layer(nn.Sigmoid, 6),
    "tanh": layer(nn.Tanh, 6),
    "silu": layer(nn.SiLU, 6),
    "hswish": layer(nn.HSwish, 6),
    "hsigmoid": layer(nn.HSigmoid, 6),
    "mish": layer(nn.Mish, 6),
    "softmax": layer(nn.Softmax, 6),
    "log_softmax": layer(lambda: nn.LogSoftmax(1), 6),
    "log_sigmoid": layer(nn.LogSigmoid, 6),
    "softsign": layer(nn.Softsign, 6),
    "softshrink": layer(nn.SoftShrink, 6),
    "hardshrink": layer(nn.HShrink, 6),
    "hardtanh": layer(nn.Hardtanh, 6),
    "celu": layer(nn.CELU, 6),
    "prelu_channels": layer(lambda: nn.PReLU(4), *IMAGE),
    "prelu_one": layer(lambda: nn.PReLU(1), *IMAGE),
    "prelu_rows": layer(lambda: nn.PReLU(6), 6),
    "glu": layer(nn.GLU, 6),
    "dropout": layer(lambda: nn.SequentialCell(nn.Dense(6, 6), nn.Dropout(p=0.5)), 6),
    # arithmetic
    # reductions
    # shape
    "flatten": layer(nn.Flatten, *IMAGE),
    "reshape_batch": layer(Shapes, 6, 4),
    "pad_layer": layer(lambda: nn.ZeroPad2d((1, 2, 0, 1)), *IMAGE),
    "broadcast_to": layer(ClassToken, 3, 4),
    # indexing
    "embedding": layer(lambda: nn.Embedding(11, 4), 5, ids=11),
    "embedding_one_hot": layer(lambda: nn.Embedding(11, 4, use_one_hot=True), 5, ids=11),
    # networks
    "residual": layer(Residual, *IMAGE),
    "shared_layer": layer(SharedLayer, 6),
    "gru": Case(lambda: Recurrent(nn.GRU(4, 5, batch_first=True)), (2, 4)),
    "lstm": layer(lambda: Recurrent(nn.LSTM(4, 5, bidirectional=True, batch_first=True)), 2, 4),
    "lstm_no_bias": layer(lambda: Recurrent(nn.LSTM(4, 4, has_bias=False, batch_first=True)), 2, 4),
    "rnn": Case(lambda: Recurrent(nn.RNN(4, 5, batch_first=True)), (2, 4)),
}
