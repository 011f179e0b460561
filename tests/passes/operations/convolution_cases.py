"""Convolutions of one, two and three dimensions, forward and transposed, and pooling."""

from __future__ import annotations

from typing import Any

from mindspore import Tensor, nn, ops

from .brute_force import Case
from .dense_cases import Lambda, rows

__all__ = ["CASES"]


def _chain(*layers: nn.Cell) -> nn.Cell:
    return nn.SequentialCell(*layers)


def _pools(self: Any, x: Tensor) -> Any:
    y = self.a(x)
    pooled = (self.most(y), self.mean(y), self.adaptive(y))
    flat = [ops.reshape(p, (p.shape[0], -1)) for p in pooled]
    return ops.cat((*flat, y.mean((2, 3)), ops.amax(y, (2, 3))), 1)


def _frames(self: Any, x: Tensor) -> Any:
    y = ops.reshape(x, (-1, *x.shape[2:]))
    return ops.reshape(self.a(y), (x.shape[0], -1))


def _frames_time_first(self: Any, x: Tensor) -> Any:
    y = ops.transpose(x, (1, 0, 2, 3, 4))
    y = ops.relu(self.a(ops.reshape(y, (-1, *x.shape[2:]))))
    y = self.pool(y)
    y = ops.reshape(y, (x.shape[1], x.shape[0], -1))
    return ops.transpose(y, (1, 0, 2))


def _residual(self: Any, x: Tensor) -> Any:
    y = ops.relu(self.a(x))
    return ops.relu(self.b(y) + self.c(x))


CASES: dict[str, Case] = {
    "conv2d": Case(
        lambda: _chain(
            nn.Conv2d(2, 4, 3, has_bias=True),
            nn.ReLU(),
            nn.Conv2d(4, 3, 3, stride=2, pad_mode="valid"),
            nn.Tanh(),
            nn.Conv2d(3, 2, 2, stride=2, pad_mode="same"),
        ),
        rows(5, 2, 8, 7),
    ),
    "conv2d_pad_and_dilation": Case(
        lambda: _chain(
            nn.Conv2d(2, 3, 3, pad_mode="pad", padding=(1, 0, 2, 1), stride=2),
            nn.Tanh(),
            nn.Conv2d(3, 2, 3, pad_mode="pad", padding=2, dilation=2, has_bias=True),
        ),
        rows(5, 2, 8, 9),
    ),
    "conv2d_same_with_stride": Case(lambda: nn.Conv2d(4, 3, 3, stride=2), rows(4, 4, 6, 5)),
    "conv2d_groups": Case(
        lambda: _chain(
            nn.Conv2d(4, 6, 3, group=2),
            nn.Tanh(),
            nn.Conv2d(6, 6, 3, group=6, has_bias=True),
            nn.Conv2d(6, 12, 3, group=6),
        ),
        rows(5, 4, 6, 6),
    ),
    "conv2d_pointwise": Case(
        lambda: _chain(nn.Conv2d(4, 3, 1), nn.Tanh(), nn.Conv2d(3, 2, 1, stride=2)), rows(5, 4, 6, 6)
    ),
    "conv2d_ghost": Case(lambda: nn.Conv2d(8, 16, 3, pad_mode="valid"), rows(5, 8, 4, 4)),
    "conv2d_ghost_groups": Case(lambda: nn.Conv2d(16, 32, 3, pad_mode="valid", group=2), rows(5, 16, 4, 4)),
    "conv2d_batch_is_channels": Case(
        lambda: _chain(nn.Conv2d(3, 3, 3, has_bias=True), nn.ReLU(), nn.Conv2d(3, 3, 3)), rows(3, 3, 3, 3)
    ),
    "conv2d_frames": Case(lambda: Lambda(_frames, {"a": nn.Conv2d(2, 3, 3, has_bias=True)}), rows(5, 3, 2, 4, 4)),
    "conv2d_frames_time_first": Case(
        lambda: Lambda(_frames_time_first, {"a": nn.Conv2d(2, 3, 3, has_bias=True), "pool": nn.MaxPool2d(2, 2)}),
        rows(5, 3, 2, 4, 4),
    ),
    "conv2d_residual": Case(
        lambda: Lambda(_residual, {"a": nn.Conv2d(2, 3, 3), "b": nn.Conv2d(3, 4, 3), "c": nn.Conv2d(2, 4, 1)}),
        rows(5, 2, 5, 5),
    ),
    "conv1d": Case(
        lambda: _chain(
            nn.Conv1d(4, 6, 3, has_bias=True), nn.Tanh(), nn.Conv1d(6, 3, 3, stride=2, dilation=1, pad_mode="valid")
        ),
        rows(5, 4, 8),
    ),
    "conv1d_groups": Case(lambda: nn.Conv1d(4, 8, 3, pad_mode="pad", padding=2, dilation=2, group=4), rows(5, 4, 8)),
    "conv3d": Case(
        lambda: _chain(nn.Conv3d(2, 3, 3, has_bias=True), nn.Tanh(), nn.Conv3d(3, 2, 2, stride=2, pad_mode="valid")),
        rows(5, 2, 3, 5, 4),
    ),
    "conv3d_pad": Case(
        lambda: nn.Conv3d(2, 3, 3, pad_mode="pad", padding=(1, 1, 0, 2, 1, 1), stride=2), rows(5, 2, 4, 5, 4)
    ),
    "conv3d_same_with_stride": Case(lambda: nn.Conv3d(2, 3, 3, stride=2), rows(5, 2, 3, 6, 4)),
    "conv2d_transpose": Case(
        lambda: _chain(nn.Conv2dTranspose(2, 3, 3, has_bias=True), nn.Tanh(), nn.Conv2dTranspose(3, 2, 3, stride=2)),
        rows(5, 2, 4, 5),
    ),
    "conv2d_transpose_pad": Case(
        lambda: nn.Conv2dTranspose(2, 4, 3, stride=2, pad_mode="pad", padding=1, group=2), rows(5, 2, 4, 5)
    ),
    "conv1d_transpose": Case(lambda: nn.Conv1dTranspose(4, 3, 3, stride=2, has_bias=True), rows(5, 4, 6)),
    "conv3d_transpose": Case(
        lambda: _chain(nn.Conv3dTranspose(2, 3, 3, has_bias=True), nn.Tanh(), nn.Conv3dTranspose(3, 2, 2, stride=2)),
        rows(5, 2, 3, 4, 3),
    ),
    "pools": Case(
        lambda: Lambda(
            _pools,
            {
                "a": nn.Conv2d(2, 3, 3),
                "most": nn.MaxPool2d(2, 2),
                "mean": nn.AvgPool2d(3, 2, pad_mode="same"),
                "adaptive": nn.AdaptiveAvgPool2d(2),
            },
        ),
        rows(5, 2, 6, 6),
    ),
    "max_pool_with_padding": Case(
        lambda: _chain(nn.Conv2d(2, 3, 3), nn.MaxPool2d(3, 2, pad_mode="pad", padding=1)), rows(5, 2, 6, 6)
    ),
    "adaptive_max_pool": Case(lambda: _chain(nn.Conv2d(2, 3, 3), nn.AdaptiveMaxPool2d(2)), rows(5, 2, 6, 6)),
    "pools_1d": Case(lambda: _chain(nn.Conv1d(2, 3, 3), nn.MaxPool1d(2, 2), nn.AvgPool1d(2, 1)), rows(5, 2, 8)),
    "pools_3d": Case(lambda: _chain(nn.Conv3d(2, 3, 2), nn.MaxPool3d(2, 1), nn.AvgPool3d(2, 1)), rows(5, 2, 4, 4, 4)),
}
