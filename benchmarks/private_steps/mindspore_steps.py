"""One variant of a MindSpore step, timed: ``python mindspore_steps.py VARIANT NETWORK BATCH``."""

from __future__ import annotations

import sys
import warnings

import mindspore as ms
import numpy as np
from measure import report
from micro_batches import MicroBatches
from mindspore import Tensor, nn
from mindspore_networks import network
from sizes import CLASSES, CLIP_NORM, INPUTS, LEARNING_RATE, MOMENTUM, NOISE_MULTIPLIER, VOCABULARY

from mindveil.runtime import DPSGD, PrivateStep


def make(variant: str, name: str, batch: int):
    """The step as a callable of images and labels."""
    net = network(name)
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    optimizer = nn.Momentum(net.trainable_params(), LEARNING_RATE, MOMENTUM)
    if variant == "stock":
        return nn.TrainOneStepCell(nn.WithLossCell(net, loss), optimizer).set_train()
    if variant == "micro-batches":
        return MicroBatches(net, loss, optimizer, batch).set_train()
    if variant == "lowered":
        return PrivateStep(net, loss, optimizer, lower=True)
    policy = DPSGD(CLIP_NORM, NOISE_MULTIPLIER, sampling_rate=batch / 60_000, dataset_size=60_000)
    return PrivateStep(net, loss, optimizer, [policy])


def main() -> None:
    """Prints what `measure.report` says."""
    variant, name, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
    warnings.simplefilter("ignore")
    ms.set_context(mode=ms.GRAPH_MODE)
    ms.set_seed(1)
    generator = np.random.default_rng(1)
    shape = (batch, *INPUTS[name].shape)
    if INPUTS[name].tokens:
        x = Tensor(generator.integers(0, VOCABULARY, shape).astype(np.int32))
    else:
        x = Tensor(generator.random(shape, np.float32))
    y = Tensor(generator.integers(0, CLASSES, batch).astype(np.int32))
    step = make(variant, name, batch)
    report(lambda: step(x, y).asnumpy())


if __name__ == "__main__":
    main()
