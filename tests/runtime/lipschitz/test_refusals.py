"""Networks, losses and settings without a known bound are refused before anything is updated."""

from __future__ import annotations

from collections.abc import Callable

import mindspore as ms
import numpy as np
import pytest
from mindspore import Tensor, nn, ops

from mindveil.passes.privacy import PrivacyError
from mindveil.runtime import LipschitzDP, PrivateStep, lipdp

from .models import SHAPE, batch, model, step_of


class Exchanged(nn.Cell):
    """A convolution by a kernel whose first two dimensions change places, which changes its norm."""

    def __init__(self) -> None:
        super().__init__()
        self.bounded = lipdp.DP_BoundedInput(upper_bound=1.0)
        self.kernel = ms.Parameter(Tensor(np.ones((2, 2, 2, 2), np.float32)), name="kernel")
        self.convolve = ops.Conv2D(out_channel=2, kernel_size=2)
        self.last = nn.Dense(2 * 49, 3)

    def construct(self, x: Tensor) -> Tensor:
        y = self.convolve(self.bounded(x), ops.transpose(self.kernel, (1, 0, 2, 3)))
        return self.last(y.reshape((y.shape[0], -1)))


def test_a_kernel_with_exchanged_dimensions_has_no_known_norm() -> None:
    made = Exchanged()
    loss = lipdp.DP_TauCategoricalCrossentropy(1.0)
    step = PrivateStep(made, loss, nn.SGD(made.trainable_params(), 0.1), [LipschitzDP(1.0, 0.5, 2)])
    with pytest.raises(PrivacyError, match=r"no bound is known for the gradient of last\.weight: Conv2D"):
        step(np.ones((2, *SHAPE), np.float32), np.zeros(2, np.int32))


class Half(nn.Cell):
    """A layer in half precision, whose rounding no bound counts."""

    def __init__(self) -> None:
        super().__init__()
        self.first = lipdp.DP_BoundedInput(upper_bound=1.0)
        self.dense = nn.Dense(4, 3).to_float(ms.float16)

    def construct(self, x: Tensor) -> Tensor:
        return self.dense(self.first(x)).astype(ms.float32)


class Free(nn.Cell):
    """Layers without a bounded input, or without a rule."""

    def __init__(self, bounded: bool) -> None:
        super().__init__()
        self.first = lipdp.DP_BoundedInput(upper_bound=1.0) if bounded else nn.Identity()
        self.dense = nn.Dense(4, 3)
        self.bend = nn.GELU() if bounded else nn.ReLU()

    def construct(self, x: Tensor) -> Tensor:
        return self.bend(self.dense(self.first(x)))


@pytest.mark.parametrize(
    ("network", "loss", "named"),
    [
        (lambda: Free(bounded=False), lipdp.DP_TauCategoricalCrossentropy(1.0), "parameter 'images'"),
        (lambda: Free(bounded=True), lipdp.DP_TauCategoricalCrossentropy(1.0), "GeLUGrad"),
        (Half, lipdp.DP_TauCategoricalCrossentropy(1.0), "Cast"),
        (lambda: model("branches"), nn.SoftmaxCrossEntropyWithLogits(sparse=True), "SoftmaxCrossEntropyWithLogits"),
    ],
    ids=["input", "activation", "half precision", "loss"],
)
def test_what_has_no_bound_is_refused_by_name(network: Callable[[], nn.Cell], loss: nn.Cell, named: str) -> None:
    made = network()
    shape = SHAPE if isinstance(made, lipdp.DP_Model) else (4,)
    policy = LipschitzDP(1.0, 0.5, 2)
    step = PrivateStep(made, loss, nn.SGD(made.trainable_params(), 0.1), [policy])
    before = [p.asnumpy().copy() for p in made.trainable_params()]
    with pytest.raises(PrivacyError, match=f"no bound is known for the gradient of .*: {named}.* has no rule"):
        step(np.ones((2, *shape), np.float32), np.zeros(2, np.int32))
    for a, p in zip(before, made.trainable_params(), strict=True):
        np.testing.assert_array_equal(a, p.asnumpy())


def test_norms_that_are_missing_or_no_norms_are_refused() -> None:
    for norms in ({}, {"layers.2.weight": -1.0}):
        step = step_of(model("dense"), noise=1.0, norms=lambda norms=norms: norms)
        with pytest.raises(ValueError, match="norms must be at least 0 and known for every weight"):
            step(*batch())


@pytest.mark.parametrize(("values", "message"), [((-1.0, 0.5), "noise_multiplier"), ((1.0, 0.0), "sampling_rate")])
def test_wrong_settings_are_refused(values: tuple[float, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LipschitzDP(*values, dataset_size=10)
