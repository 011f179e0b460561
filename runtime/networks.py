"""The LeNet5 of the examples, with the names, arguments and initial weights that MindArmour's users know."""

from __future__ import annotations

from typing import Any

from mindspore import nn
from mindspore.common.initializer import TruncatedNormal

__all__ = ["LeNet5", "conv", "fc_with_initialize", "weight_variable"]

WEIGHT_STDDEV = 0.05


class LeNet5(nn.Cell):
    """LeNet5 for images of 32 x 32 pixels: two convolutions without bias, three dense layers with one.

    Takes images ``(B, num_channel, 32, 32)`` float32 and returns logits ``(B, num_class)``. Its parameters are
    ``conv1.weight``, ``conv2.weight`` and ``fc1`` to ``fc3`` ``.weight`` and ``.bias``, in this order.

    >>> import numpy as np, mindspore
    >>> LeNet5()(mindspore.Tensor(np.zeros((2, 1, 32, 32), np.float32))).shape
    (2, 10)
    """

    def __init__(self, num_class: int = 10, num_channel: int = 1) -> None:
        super().__init__()
        self.conv1 = conv(num_channel, 6, 5)
        self.conv2 = conv(6, 16, 5)
        self.fc1 = fc_with_initialize(16 * 5 * 5, 120)
        self.fc2 = fc_with_initialize(120, 84)
        self.fc3 = fc_with_initialize(84, num_class)
        self.relu = nn.ReLU()
        self.max_pool2d = nn.MaxPool2d(kernel_size=2, stride=2)
        self.flatten = nn.Flatten()

    def construct(self, x: Any) -> Any:
        """Logits ``(B, num_class)`` of images ``(B, num_channel, 32, 32)``."""
        x = self.max_pool2d(self.relu(self.conv1(x)))
        x = self.max_pool2d(self.relu(self.conv2(x)))
        x = self.flatten(x)
        x = self.relu(self.fc1(x))
        x = self.relu(self.fc2(x))
        return self.fc3(x)


def conv(in_channels: int, out_channels: int, kernel_size: int, stride: int = 1, padding: int = 0) -> Any:
    """A convolution without bias; only places covered by the kernel count unless ``padding`` adds zeros around."""
    return nn.Conv2d(
        in_channels,
        out_channels,
        kernel_size=kernel_size,
        stride=stride,
        padding=padding,
        pad_mode="pad" if padding else "valid",
        weight_init=weight_variable(),
        has_bias=False,
    )


def fc_with_initialize(input_channels: int, out_channels: int) -> Any:
    """A dense layer whose weight and bias both start from `weight_variable`."""
    return nn.Dense(input_channels, out_channels, weight_init=weight_variable(), bias_init=weight_variable())


def weight_variable() -> Any:
    """The initial distribution of every parameter: normal of stddev 0.05.

    MindSpore 2.10 reads the cut-off points of its truncated normal as values, not as multiples of the stddev, so that
    the default of -2 and 2 cuts nothing off here.
    """
    return TruncatedNormal(WEIGHT_STDDEV)
