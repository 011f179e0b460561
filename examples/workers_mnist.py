"""LeNet5 trained privately by several workers on one machine: one privacy budget, one noise, one model.

``msrun --worker_num=2 --local_worker_num=2 --join=True examples/workers_mnist.py [epochs]`` runs two. Started by
``python`` it trains alone, to the same guarantee. It reads the 4,000 training images that come with this library.
"""

import os
import sys

import mindspore as ms
import numpy as np
from mindspore import nn
from mindspore.communication import get_group_size, get_rank, init

from mindveil.accountant import Ledger
from mindveil.runtime import DPSGD, PoissonBatches, PrivateModel, checkpoint
from mindveil.runtime.datasets import embedded_mnist
from mindveil.runtime.networks import LeNet5

ms.set_context(mode=ms.GRAPH_MODE)
rank, workers = 0, 1
if "MS_WORKER_NUM" in os.environ:  # msrun started this process
    init()
    rank, workers = get_rank(), get_group_size()

images, epochs = embedded_mnist(), int(sys.argv[1]) if len(sys.argv) > 1 else 20
size, batch_size = len(images.train_images), 256
policy = DPSGD.for_budget(
    epsilon=3.0, delta=1e-5, dataset_size=size, batch_size=batch_size, epochs=epochs, clip_norm=1.0, workers=workers
)
batches = PoissonBatches(
    (images.train_images, images.train_labels.astype(np.int32)),
    sampling_rate=policy.sampling_rate,
    physical_batch=batch_size // workers + 64,
    steps=round(epochs / policy.sampling_rate),
    num_shards=workers,
    shard_id=rank,
)

# The first worker alone keeps the ledger; its budget stops all of them.
ledger = (
    Ledger.create("ledger.jsonl", dataset_id="mnist", dataset_size=size, target_epsilon=3.0, target_delta=1e-5)
    if rank == 0
    else None
)
network = LeNet5()
loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
optimizer = nn.Momentum(network.trainable_params(), 0.1, 0.9)
model = PrivateModel(network, loss, optimizer, policies=[policy], ledger=ledger)
model.train(epochs, batches)

network.set_train(False)
right = network(ms.Tensor(images.test_images)).asnumpy().argmax(1) == images.test_labels
print(f"worker {rank} of {workers}: accuracy {right.mean():.4f}, epsilon {model.step.epsilon(1e-5):.3f} at delta 1e-5")
if rank == 0:
    checkpoint.save("lenet5.ckpt", model.step, batches)
