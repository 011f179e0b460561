"""Networks that mix examples, or could, are refused before they run, with the reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mindspore as ms
import pytest
from mindspore import Tensor, nn, ops

from mindveil.passes.privacy import PrivacyError

from .brute_force import Case, private_step
from .dense_cases import rows

APART = "examples in different places"


class Between(nn.Cell):
    """A function of what a trained layer gives, so that whatever it does reaches the layer's gradient."""

    def __init__(self, function: Callable[..., Any], first: nn.Cell | None = None, **layers: nn.Cell) -> None:
        super().__init__()
        self.first = first or nn.Dense(4, 4)
        self.function = function
        for name, layer in layers.items():
            setattr(self, name, layer)

    def construct(self, x: Tensor) -> Any:
        return self.function(self, self.first(x))


class MeanLoss(nn.Cell):
    """A loss whose kernel takes the mean over the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.loss = ops.SparseSoftmaxCrossEntropyWithLogits()

    def construct(self, y: Tensor, labels: Tensor) -> Tensor:
        return self.loss(y, labels)


def refusal(build: Callable[[], nn.Cell], x: Any, loss: Any = None, labels: Any = None) -> str:
    """The message of the step's refusal; nothing was updated."""
    ms.set_seed(1)
    network = build()
    case = Case(build, x, labels) if loss is None else Case(build, x, labels, loss)
    before = [p.asnumpy().copy() for p in network.trainable_params()]
    step = private_step(case, network)
    with pytest.raises(PrivacyError) as caught:
        step(case.rows, case.targets)
    assert all((b == p.asnumpy()).all() for b, p in zip(before, network.trainable_params(), strict=True))
    return str(caught.value)


def _softmax_over_batch(self: Any, y: Tensor) -> Any:
    return ops.softmax(y, 0)


def _similarity(self: Any, y: Tensor) -> Any:
    return ops.matmul(y, y.T)


def _flip(self: Any, y: Tensor) -> Any:
    return ops.flip(y, (0,)) * y


def _reversed_slice(self: Any, y: Tensor) -> Any:
    return ops.strided_slice(y, (3, 0), (-5, 4), (-1, 1)) * y


def _cumsum(self: Any, y: Tensor) -> Any:
    return ops.cumsum(y, 0)


def _half_of_batch(self: Any, y: Tensor) -> Any:
    return ops.cat((y[2:], y[:2]), 0) * y


def _first_example(self: Any, y: Tensor) -> Any:
    return y * y[0]


def _every_second(self: Any, y: Tensor) -> Any:
    z = ops.reshape(y, (-1, 2))
    return z[::2].sum(1, keepdims=True) * y


def _outer_sum(self: Any, y: Tensor) -> Any:
    scores = y.sum(1)
    return scores + ops.reshape(scores, (4, 1))


def _transposed_sum(self: Any, y: Tensor) -> Any:
    return y + y.T


def _maximum(self: Any, y: Tensor) -> Any:
    return y - ops.amax(y, 0)


def _place_of_maximum(self: Any, y: Tensor) -> Any:
    return y * ops.argmax(y, 0).astype(ms.float32)


def _maximum_with_place(self: Any, y: Tensor) -> Any:
    return y - ops.max(y, 0, keepdims=True)[0]


def _mean_loss(self: Any, y: Tensor) -> Any:
    return y * self.loss(y, ops.zeros((4,), ms.int32))


def _mean(self: Any, y: Tensor) -> Any:
    return y - y.mean(0, keep_dims=True)


def _sum(self: Any, y: Tensor) -> Any:
    return y * y.sum(0, keepdims=True)


def _mask_of_batch(self: Any, y: Tensor) -> Any:
    return ops.where(y.sum() > 0, y, y * 2)


def _tile(self: Any, y: Tensor) -> Any:
    return ops.reshape(ops.tile(y, (2, 1)), (4, 8)) * 1.5


def _broadcast_rows(self: Any, y: Tensor) -> Any:
    return ops.broadcast_to(ops.reshape(y.sum(1), (1, 4)), (4, 4)) * y


def _gather_elements(self: Any, y: Tensor) -> Any:
    index = (y > 0).astype(ms.int32)
    return ops.gather_elements(y, 0, index)


def _gather_elements_apart(self: Any, y: Tensor) -> Any:
    index = ops.transpose((y > 0).astype(ms.int32), (1, 0))
    return ops.gather_elements(y, 1, index)


def _gather_rows(self: Any, y: Tensor) -> Any:
    index = (y[:, 0] > 0).astype(ms.int32)
    return ops.gather(y, index, 0)


def _gather_columns(self: Any, y: Tensor) -> Any:
    index = (y[:, 0] > 0).astype(ms.int32)
    return ops.gather(y, index, 1)


def _normalise_batch(self: Any, y: Tensor) -> Any:
    return self.norm(ops.transpose(y, (1, 0)))


def _pool_over_batch(self: Any, y: Tensor) -> Any:
    return ops.reshape(self.pool(ops.reshape(y, (1, 4, 2, 2))), (4, 4)) * y


def _convolve_over_batch(self: Any, y: Tensor) -> Any:
    return ops.reshape(self.conv(ops.reshape(y, (1, 4, 2, 2))), (4, 4))


def _groups_of_channels(self: Any, y: Tensor) -> Any:
    return ops.reshape(self.norm(ops.reshape(y, (1, 4, 2, 2))), (4, 4))


def _bias_of_examples(self: Any, y: Tensor) -> Any:
    picture = ops.ones((2, 4, 3, 4), ms.float32)
    scores = ops.bias_add(picture, y.sum(1))
    return ops.transpose(scores, (3, 0, 1, 2)).reshape((4, -1)) * y.sum(1, keepdims=True)


def _sort(self: Any, y: Tensor) -> Any:
    return ops.sort(y, 0)[0]


def _roll(self: Any, y: Tensor) -> Any:
    return ops.cat((y[-1:], y[:-1]), 0)


def _time_and_batch_exchanged(self: Any, y: Tensor) -> Any:
    z = ops.reshape(y, (4, 2, 2))
    rows_ = ops.reshape(z, (8, 2))
    others = ops.reshape(ops.transpose(z, (1, 0, 2)), (8, 2))
    return ops.matmul(rows_.T, others).sum() * y


def _interleaved(self: Any, y: Tensor) -> Any:
    z = ops.reshape(y, (4, 2, 2))
    others = ops.reshape(ops.transpose(z, (1, 0, 2)), (4, 2, 2))
    return z * others


def _vector_on_the_left(self: Any, y: Tensor) -> Any:
    return ops.matmul(y, ops.reshape(y[:, 0], (4,)))


def _pool_of_sum(self: Any, y: Tensor) -> Any:
    square = ops.matmul(y.T, y)
    return ops.reshape(self.pool(ops.reshape(square, (4, 1, 2, 2))), (4, 1)) * y


def _shuffle(self: Any, y: Tensor) -> Any:
    return ops.shuffle(y)


def _stack_of_batch(self: Any, y: Tensor) -> Any:
    a, b, c, d = ops.unbind(y, 0)
    return ops.stack((b, a, d, c), 0)


def _loop(self: Any, y: Tensor) -> Any:
    while y.sum() > 100:
        y = y * 0.5
    return y


SQUARE = rows(4, 4)
MIXING: dict[str, tuple[Callable[..., Any], str, dict[str, nn.Cell]]] = {
    "softmax": (_softmax_over_batch, "acts along the examples", {}),
    "similarity": (_similarity, APART, {}),
    "flip": (_flip, "acts along the examples", {}),
    "reversed_slice": (_reversed_slice, "slice along the examples", {}),
    "cumsum": (_cumsum, "acts along the examples", {}),
    "half": (_half_of_batch, "slice along the examples", {}),
    "first": (_first_example, "slice along the examples", {}),
    "every_second": (_every_second, "slice along the examples", {}),
    "outer_sum": (_outer_sum, APART, {}),
    "transposed_sum": (_transposed_sum, APART, {}),
    "maximum": (_maximum, "reduces over the examples", {}),
    "place_of_maximum": (_place_of_maximum, "reduces over the examples", {}),
    "maximum_with_place": (_maximum_with_place, "reduces over the examples", {}),
    "mean_loss": (_mean_loss, "inside its kernel", {"loss": MeanLoss()}),
    "mean": (_mean, "reduces over the examples", {}),
    "sum": (_sum, "sum over examples", {}),
    "mask": (_mask_of_batch, "not linear in a sum over examples", {}),
    "tile": (_tile, "repeats the examples", {}),
    "broadcast": (_broadcast_rows, APART, {}),
    "gather_elements": (_gather_elements, "picks along the examples", {}),
    "gather_elements_apart": (_gather_elements_apart, APART, {}),
    "gather_rows": (_gather_rows, "table is computed from the examples", {}),
    "gather_columns": (_gather_columns, "table is computed from the examples", {}),
    "layer_norm": (_normalise_batch, "normalises over the examples", {"norm": nn.LayerNorm((4,))}),
    "pool": (_pool_over_batch, "does not hold the examples in axis 0", {"pool": nn.AvgPool2d(2, 1, pad_mode="same")}),
    "conv": (_convolve_over_batch, "does not hold the examples in axis 0", {"conv": nn.Conv2d(4, 4, 1)}),
    "group_norm": (_groups_of_channels, "does not hold the examples in axis 0", {"norm": nn.GroupNorm(1, 4)}),
    "bias": (_bias_of_examples, "bias is computed from the examples", {}),
    "sort": (_sort, "no rule for this operation", {}),
    "roll": (_roll, "slice along the examples", {}),
    "exchanged": (_time_and_batch_exchanged, APART, {}),
    "interleaved": (_interleaved, "do not lie inside one dimension", {}),
    "vector": (_vector_on_the_left, APART, {}),
    "pool_of_sum": (_pool_of_sum, "not linear in a sum over examples", {"pool": nn.AvgPool2d(2, 1)}),
    "shuffle": (_shuffle, "no rule for this operation", {}),
    "unbind": (_stack_of_batch, "splits along the examples", {}),
    "loop": (_loop, "", {}),
}


@pytest.mark.parametrize(("function", "reason", "layers"), MIXING.values(), ids=MIXING)
def test_what_mixes_examples_is_refused(function: Callable[..., Any], reason: str, layers: dict[str, nn.Cell]) -> None:
    # Batch 4 equals every other dimension, so that no shape tells the examples from anything else.
    message = refusal(lambda: Between(function, **layers), SQUARE)
    assert reason in message
