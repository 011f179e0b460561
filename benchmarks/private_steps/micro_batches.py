"""MindArmour's way of private training, on MindSpore."""

from __future__ import annotations

from mindspore import nn, ops
from sizes import CLIP_NORM, NOISE_MULTIPLIER

MICRO_BATCHES = 32


class MicroBatches(nn.Cell):
    """MindArmour's scheme: the gradient of each micro-batch is clipped, and noise is added to the sum.

    It clips groups, not examples, so that it promises something else; it is here for its time only.
    """

    def __init__(self, net, loss_fn, optimizer, batch):
        super().__init__(auto_prefix=False)
        self.network = nn.WithLossCell(net, loss_fn)
        self.optimizer = optimizer
        self.weights = optimizer.parameters
        self.gradient = ops.GradOperation(get_by_list=True)
        self.rows = batch // MICRO_BATCHES
        self.normal = ops.StandardNormal()
        self.scale = NOISE_MULTIPLIER * CLIP_NORM

    def construct(self, x, y):
        loss = self.network(x, y)
        total = ()
        for k in range(MICRO_BATCHES):
            part = slice(k * self.rows, (k + 1) * self.rows)
            clipped = ops.clip_by_global_norm(self.gradient(self.network, self.weights)(x[part], y[part]), CLIP_NORM)
            if k == 0:
                total = clipped
            else:
                summed = ()
                for a, b in zip(total, clipped):  # noqa: B905  the compiler knows no strict
                    summed += (a + b,)
                total = summed
        noisy = ()
        for g in total:
            noisy += ((g + self.scale * self.normal(g.shape)) / MICRO_BATCHES,)
        return ops.depend(loss, self.optimizer(noisy))
