"""Adapts the clip value of the loss's cotangent from noisy looks at the data, each of them accounted for."""

from __future__ import annotations

from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn
from mindspore.train.callback import Callback
from numpy.typing import NDArray

from mindveil.accountant import Event, Gaussian, PoissonSampled, PureLoss
from mindveil.runtime.batches import PoissonBatches
from mindveil.runtime.lipdp.balls import DP_ClipGradient
from mindveil.runtime.lipdp.noise import secure_laplace, secure_normal

__all__ = ["AdaptiveQuantileClipping", "LaplaceAdaptiveLossGradientClipping", "LossGradientClipping"]

_POINTS = 1000
Arrays = tuple[Any, Any]


class LossGradientClipping(Callback):
    """After the first epoch, and then every ``patience`` ones, one look at a fresh Poisson batch moves the clip value.

    The value begins at the loss's Lipschitz constant. Each look is written down before it happens, and counts in
    `get_eps_delta` as often as it is made: ``ceil(epochs / patience)`` times.

    Args:
        ds_train: the training arrays (examples, labels).
        patience: epochs between two looks.
    """

    def __init__(self, ds_train: Arrays, patience: int) -> None:
        super().__init__()
        if patience < 1:
            raise ValueError(f"patience is {patience}, and must be at least 1")
        self.arrays, self.patience = (np.asarray(ds_train[0]), np.asarray(ds_train[1])), patience

    def event(self, rate: float) -> Event:
        """What one look releases."""
        raise TypeError("use AdaptiveQuantileClipping or LaplaceAdaptiveLossGradientClipping")

    def adapted(self, clip_value: float, norms: NDArray[np.float64], expected: float, largest: float) -> float:
        """The new value from the norms of a batch of ``expected`` records; no norm is above ``largest``."""
        raise TypeError("use AdaptiveQuantileClipping or LaplaceAdaptiveLossGradientClipping")

    def on_train_begin(self, run_context: Any) -> None:
        """
        Raises:
            TypeError: the model does not end with a dynamic `DP_ClipGradient`.
        """
        model = run_context.original_args().train_network.model
        last = _last(model)
        last.adaptation = (self.event(model.dataset_metadata.sampling_rate), self.patience)
        last.update_clipping_value(model.lipschitz_constant())

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Looks, where it is time to."""
        arguments = run_context.original_args()
        if (arguments.cur_epoch_num - 1) % self.patience != 0:
            return
        step = arguments.train_network
        model, metadata = step.model, step.model.dataset_metadata
        step.released.append_event(self.event(metadata.sampling_rate))
        last = _last(model)
        norms = _slopes(model, self.arrays)
        value = self.adapted(
            float(last.clip_value.asnumpy()), norms, float(metadata.batch_size), model.lipschitz_constant()
        )
        last.update_clipping_value(value)


class AdaptiveQuantileClipping(LossGradientClipping):
    """Moves the value so that a share ``quantile`` of the slopes stays below it, by a noisy count.

    Args:
        noise_multiplier: standard deviation of the noise on the count, in records, which one record changes by 1.
        quantile, learning_rate: of the rule ``C <- C exp(-learning_rate (share - quantile))``.

    Source: Andrew, Thakkar, McMahan and Ramaswamy 2021, "Differentially private learning with adaptive clipping".
    """

    def __init__(
        self, ds_train: Arrays, *, patience: int, noise_multiplier: float, quantile: float, learning_rate: float
    ) -> None:
        super().__init__(ds_train, patience)
        if not (noise_multiplier > 0 and 0 <= quantile <= 1 and learning_rate > 0):
            raise ValueError("noise_multiplier and learning_rate must be positive, and quantile in [0, 1]")
        self.noise_multiplier, self.quantile, self.learning_rate = noise_multiplier, quantile, learning_rate

    def event(self, rate: float) -> Event:
        """A Gaussian on a Poisson batch."""
        return PoissonSampled(rate, Gaussian(self.noise_multiplier))

    def adapted(self, clip_value: float, norms: NDArray[np.float64], expected: float, largest: float) -> float:
        """One step of the rule, at most ``largest``."""
        noisy = float((norms <= clip_value).sum()) + self.noise_multiplier * float(secure_normal((1,))[0])
        step = self.learning_rate * (noisy / expected - self.quantile)
        return min(largest, clip_value * float(np.exp(np.clip(-step, -50, 50))))


class LaplaceAdaptiveLossGradientClipping(LossGradientClipping):
    """The first of 1,000 values from which on raising it changes the sum of clipped slopes by a noisy nothing.

    The sparse vector technique: one record changes each difference of neighbouring clipped sums by one spacing.

    Args:
        epsilon: of one look, without amplification by sampling.

    Source: Dwork and Roth 2014, theorem 3.23.
    """

    def __init__(self, ds_train: Arrays, *, patience: int, epsilon: float) -> None:
        super().__init__(ds_train, patience)
        if not epsilon > 0:
            raise ValueError(f"epsilon is {epsilon}, and must be positive")
        self.epsilon = epsilon

    def event(self, rate: float) -> Event:
        """Pure differential privacy."""
        return PureLoss(self.epsilon)

    def adapted(self, clip_value: float, norms: NDArray[np.float64], expected: float, largest: float) -> float:
        """The value found, or ``largest``."""
        spacing = largest / (_POINTS - 1)
        points = np.arange(_POINTS) * spacing
        sums = np.minimum(norms[None, :], np.append(points, points[-1] + spacing)[:, None]).sum(1)
        differences = sums[:-1] - sums[1:]
        threshold = float(secure_laplace(2 * spacing / self.epsilon, 1)[0])
        above = differences + secure_laplace(4 * spacing / self.epsilon, _POINTS) >= threshold
        return float(points[int(np.argmax(above))]) if above.any() else largest


class _Slopes(nn.Cell):
    """The gradient of each example's loss in its logits."""

    def __init__(self, loss: nn.Cell) -> None:
        super().__init__(auto_prefix=False)
        self.loss = loss
        self.gradient = ms.grad(self.forward, 0)

    def construct(self, logits: Tensor, labels: Tensor) -> Tensor:
        return self.gradient(logits, labels)

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The sum of the losses."""
        return self.loss(logits, labels).sum()


def _slopes(model: Any, arrays: Arrays) -> NDArray[np.float64]:
    """Norms of the slopes of a fresh Poisson batch; not to be released."""
    metadata = model.dataset_metadata
    size = min(2 * metadata.batch_size, metadata.nb_samples_train)
    cell, found = _Slopes(model.loss), [np.zeros(0)]
    for images, labels, weights in PoissonBatches(
        arrays, sampling_rate=metadata.sampling_rate, physical_batch=size, steps=1
    ):
        slopes = cell(model(Tensor(images)), Tensor(labels)).asnumpy().astype(np.float64)
        found.append(np.linalg.norm(slopes, axis=1)[np.asarray(weights) > 0])
    return np.concatenate(found)


def _last(model: Any) -> DP_ClipGradient:
    last = model.layers_backward_order()[0]
    if not isinstance(last, DP_ClipGradient) or last.mode != "dynamic":
        raise TypeError("an adaptive clip value needs DP_ClipGradient(None, mode='dynamic') as the model's last layer")
    return last
