"""One way of training LeNet5, timed: ``python seed_steps.py WAY``. Prints processor milliseconds a step."""

from __future__ import annotations

import gc
import sys
import time
import warnings

import mindspore as ms
import numpy as np
from micro_batches import MICRO_BATCHES, MicroBatches
from mindspore import Tensor, nn, ops
from mindspore.dataset import NumpySlicesDataset

from mindveil.runtime import PrivateStep
from mindveil.runtime.datasets import embedded_mnist
from mindveil.runtime.diff_privacy import DPModel, NoiseMechanismsFactory
from mindveil.runtime.networks import LeNet5
from mindveil.runtime.sup_privacy import MaskLayerDes, SuppressPrivacyFactory

EVERY = 15  # steps between two operations in the tutorial
ROUND, ROUNDS = 4 * EVERY, 5
LAYERS = {"conv1.weight": 0, "conv2.weight": 1, "fc1.weight": 2, "fc2.weight": 4, "fc3.weight": 6}
LOSS = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")


def ordinary(batch):
    """MindSpore's own step, compiled."""
    network = LeNet5()
    cell = nn.TrainOneStepCell(nn.WithLossCell(network, LOSS), nn.SGD(network.trainable_params(), 0.05)).set_train()
    return lambda k: cell(*batch).asnumpy()


def suppressed(batch):
    """A masked step, and every fifteenth time an update of the masks."""
    network = LeNet5()
    layers = [MaskLayerDes(name, at, False, False, -1) for name, at in LAYERS.items()]
    control = SuppressPrivacyFactory.create(network, layers, batch_num=1875, lr=0.05, sparse_end=0.95)
    step = PrivateStep(network, LOSS, nn.SGD(network.trainable_params(), 0.05), [control.policy])

    def run(k):
        step(*batch).asnumpy()
        if k % EVERY == 0:
            control.update_mask(network, k, min(0.9, 0.001 * k))

    return run


def suppressed_by_gradients(batch):
    """MindArmour's way, which needs PyNative mode: masks multiply gradients, and a term undoes each removed weight."""
    network = LeNet5()
    optimizer = nn.SGD(network.trainable_params(), 0.05)
    gradients = ms.value_and_grad(nn.WithLossCell(network, LOSS), None, optimizer.parameters)
    parameters = list(network.trainable_params())
    masks = [Tensor(np.ones(p.shape, np.float32)) for p in parameters]
    undo = [Tensor(np.zeros(p.shape, np.float32)) for p in parameters]

    def run(k):
        loss, found = gradients(*batch)
        optimizer(tuple(ops.add(ops.mul(g, m), a) for g, m, a in zip(found, masks, undo, strict=True)))
        loss.asnumpy()
        if k % EVERY:
            return
        for at in LAYERS.values():
            weights = parameters[at].asnumpy()
            count = int(weights.size * min(0.9, 0.001 * k))
            smallest = np.argsort(np.abs(weights).ravel())[:count]
            mask = np.ones(weights.size, np.float32)
            mask[smallest] = 0
            masks[at] = Tensor(mask.reshape(weights.shape))
            undo[at] = Tensor(np.where(mask.reshape(weights.shape) == 0, weights / 0.05, 0).astype(np.float32))
        for _ in range(9):
            gc.collect()

    return run


def private(batch, micro_batches):
    """DPModel's step."""
    network = LeNet5()
    model = DPModel(
        micro_batches=micro_batches,
        norm_bound=1.0,
        noise_mech=NoiseMechanismsFactory().create("Gaussian", norm_bound=1.0, initial_noise_multiplier=1.0),
        network=network,
        loss_fn=LOSS,
        optimizer=nn.Momentum(network.trainable_params(), 0.01, 0.9),
    )
    images, labels = (np.repeat(t.asnumpy(), 2, axis=0) for t in batch)
    model.build(NumpySlicesDataset({"image": images, "label": labels}).batch(len(batch[0]), drop_remainder=True))
    return lambda k: model.step(*batch).asnumpy()


def private_by_groups(batch):
    """MindArmour's way, compiled."""
    network = LeNet5()
    optimizer = nn.Momentum(network.trainable_params(), 0.01, 0.9)
    cell = MicroBatches(network, LOSS, optimizer, len(batch[0])).set_train()
    return lambda k: cell(*batch).asnumpy()


WAYS = {
    "ordinary, batch 32": (32, ms.GRAPH_MODE, ordinary),
    "suppressed": (32, ms.GRAPH_MODE, suppressed),
    "suppressed from PyNative mode": (32, ms.PYNATIVE_MODE, suppressed),
    "suppressed as MindArmour does": (32, ms.PYNATIVE_MODE, suppressed_by_gradients),
    "ordinary, batch 256": (256, ms.GRAPH_MODE, ordinary),
    "private, 32 groups": (256, ms.GRAPH_MODE, lambda batch: private(batch, MICRO_BATCHES)),
    "private, each record": (256, ms.GRAPH_MODE, lambda batch: private(batch, 256)),
    "private as MindArmour does, 32 groups": (256, ms.GRAPH_MODE, private_by_groups),
}


def main() -> None:
    """Times rounds of sixty steps; the fastest round counts."""
    warnings.simplefilter("ignore")
    rows, mode, make = WAYS[sys.argv[1]]
    ms.set_context(mode=mode)
    data = embedded_mnist()
    run = make((Tensor(data.train_images[:rows]), Tensor(data.train_labels[:rows].astype(np.int32))))
    best, k = float("inf"), 0
    for _ in range(1 + ROUNDS):  # the first round compiles
        start = time.process_time()
        for _ in range(ROUND):
            k += 1
            run(k)
        best = min(best, 1000 * (time.process_time() - start) / ROUND)
    print(f"RESULT {best}")


if __name__ == "__main__":
    main()
