"""MindArmour's DPModel written out from its documents: what the tutorial's settings reach without this library.

``headline.py`` puts it in place of `mindveil.runtime.diff_privacy.DPModel` in the tutorial's script. Its noise has the
standard deviation of the mechanism's own bound while the clip norm moves, and it accounts for nothing.
"""

from __future__ import annotations

import mindspore
from mindspore import Parameter, Tensor, nn, ops
from mindspore.train import Model

mindspore.set_recursion_limit(10_000)  # the loops over groups and parameters are unrolled


class WrittenOut(nn.Cell):
    """One step: each group's gradient is clipped, their sum is noised and divided, and the clip norm moves."""

    def __init__(self, network, loss_fn, optimizer, groups, norm_bound, noise, clip):
        super().__init__(auto_prefix=False)
        self.network = nn.WithLossCell(network, loss_fn)
        self.optimizer = optimizer
        self.weights = optimizer.parameters
        self.gradient = ops.GradOperation(get_by_list=True)
        self.groups = groups
        self.normal = ops.StandardNormal()
        self.stddev = noise.noise.norm_bound * noise.noise.initial_noise_multiplier
        self.bound = Parameter(Tensor(norm_bound), name="norm_bound", requires_grad=False)
        self.clip = clip

    def construct(self, x, y):
        loss = self.network(x, y)
        rows = x.shape[0] // self.groups
        total, unclipped = (), 0.0
        for k in range(self.groups):
            part = slice(k * rows, (k + 1) * rows)
            found = self.gradient(self.network, self.weights)(x[part], y[part])
            squares = 0.0
            for g in found:
                squares += ops.square(g).sum()
            norm = ops.sqrt(squares)
            factor = ops.minimum(self.bound / norm, 1.0)
            unclipped += ops.cast(norm < self.bound, squares.dtype)
            summed = ()
            for at, g in enumerate(found):
                summed += (g * factor if k == 0 else total[at] + g * factor,)
            total = summed
        noisy = ()
        for g in total:
            noisy += ((g + self.stddev * self.normal(g.shape)) / self.groups,)
        done = self.optimizer(noisy)
        following = self.clip(unclipped / self.groups, self.bound)
        return ops.depend(loss, (done, ops.assign(self.bound, following)))


class DPModel(Model):
    """With the arguments that the tutorial gives."""

    def __init__(self, micro_batches, norm_bound, noise_mech, clip_mech, network, loss_fn, optimizer, metrics):
        super().__init__(network, loss_fn=loss_fn, optimizer=optimizer, metrics=metrics)
        step = WrittenOut(network, loss_fn, optimizer, micro_batches, norm_bound, noise_mech, clip_mech)
        self._train_network = step.set_train()
