"""Functions that move and pick elements, added to the table of functions that export translates."""

from __future__ import annotations

from typing import Any

import mindspore
from mindspore import ops

from .function_cases import FUNCTIONS, IMAGE, applied

__all__ = ["FUNCTIONS"]


@applied(3, 4)
def reshape_minus_one(x: Any) -> Any:
    return x.reshape(-1, 6)


@applied(*IMAGE)
def view(x: Any) -> Any:
    return x.view(x.shape[0], -1)


@applied(*IMAGE)
def transpose(x: Any) -> Any:
    return x.transpose(0, 2, 3, 1)


@applied(*IMAGE)
def swapaxes(x: Any) -> Any:
    return x.swapaxes(1, 2)


@applied(6)
def expand_squeeze(x: Any) -> Any:
    return ops.squeeze(ops.expand_dims(x, 1) * 2, 1)


@applied(6)
def concat(x: Any) -> Any:
    return ops.concat((x, x * 2), 1)


@applied(6)
def stack(x: Any) -> Any:
    return ops.stack((x, x * 2), 1)


@applied(3, 4)
def unstack(x: Any) -> Any:
    return ops.unstack(x, 1)[1]


@applied(6)
def chunk(x: Any) -> Any:
    return ops.chunk(x, 3, 1)[2]


@applied(6)
def slice(x: Any) -> Any:
    return x[:, 1:3]


@applied(5, 6)
def slice_steps(x: Any) -> Any:
    return x[:, ::2, 1:-1]


@applied(5, 6)
def slice_pick(x: Any) -> Any:
    return x[:, -1] + x[:, 0]


@applied(5, 6)
def slice_ellipsis(x: Any) -> Any:
    return x[..., 2:]


@applied(6)
def slice_none(x: Any) -> Any:
    return x[:, None] * 2


@applied(6)
def flip(x: Any) -> Any:
    return ops.flip(x, (1,))


@applied(*IMAGE)
def pad_zeros(x: Any) -> Any:
    return ops.pad(x, (1, 2, 0, 1))


@applied(6)
def pad_value(x: Any) -> Any:
    return ops.pad(x, (1, 2), value=3.0)


@applied(*IMAGE)
def pad_reflect(x: Any) -> Any:
    return ops.pad(x, (1, 2, 2, 1), mode="reflect")


@applied(*IMAGE)
def pad_replicate(x: Any) -> Any:
    return ops.pad(x, (1, 2, 2, 1), mode="replicate")


@applied(6)
def tile(x: Any) -> Any:
    return ops.tile(x, (1, 3))


@applied(6)
def repeat(x: Any) -> Any:
    return ops.repeat_interleave(x, 2, 1)


@applied(6)
def meshed_zeros(x: Any) -> Any:
    return x + ops.zeros(x.shape, mindspore.float32)


@applied(6)
def gather(x: Any) -> Any:
    return ops.gather(x, mindspore.Tensor([0, 2, 1], mindspore.int32), 1)


@applied(6)
def gather_elements(x: Any) -> Any:
    return ops.gather_elements(x, 1, ops.argmax(x, 1).expand_dims(1))


@applied(5, ids=11)
def one_hot(x: Any) -> Any:
    return ops.one_hot(x, 11, 1.0, 0.0)


@applied(6)
def top_k(x: Any) -> Any:
    return ops.topk(x, 3)[0]


@applied(*IMAGE)
def upsample(x: Any) -> Any:
    return ops.interpolate(x, size=(18, 16), mode="nearest")


@applied(6)
def softplus(x: Any) -> Any:
    return ops.softplus(x)


@applied(6)
def square(x: Any) -> Any:
    return ops.square(x)


@applied(3, 6)
def max_value(x: Any) -> Any:
    return ops.max(x, 1)[0]


@applied(4)
def split(x: Any) -> Any:
    one, two = ops.split(x, 2, 1)
    return one * two


@applied(*IMAGE)
def resize_bilinear(x: Any) -> Any:
    return ops.interpolate(x, size=(18, 16), mode="bilinear", align_corners=False)


@applied(*IMAGE)
def resize_bilinear_corners(x: Any) -> Any:
    return ops.interpolate(x, size=(5, 4), mode="bilinear", align_corners=True)


@applied(*IMAGE)
def pixel_shuffle(x: Any) -> Any:
    return ops.pixel_shuffle(x, 2)


@applied(3, 6)
def log_sum_exp(x: Any) -> Any:
    return ops.logsumexp(x, 1)


@applied(3, 6)
def cosine_similarity(x: Any) -> Any:
    return ops.cosine_similarity(x, x * 2 + 1, 1)


@applied(3, 6)
def standard_deviation(x: Any) -> Any:
    return x.std(1) + ops.std(x, 1, keepdims=False)


@applied(6)
def threshold(x: Any) -> Any:
    return ops.threshold(x, 0.1, 20.0)


@applied(*IMAGE)
def triangle(x: Any) -> Any:
    return ops.tril(x) + ops.triu(x, 1)


@applied(6)
def sort(x: Any) -> Any:
    return ops.sort(x, 1)[0]


@applied(*IMAGE)
def channel_shuffle(x: Any) -> Any:
    return ops.channel_shuffle(x, 2)
