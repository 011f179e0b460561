"""What suppression costs on LeNet5 with batches of 32: a step with masks next to one without, and one mask update.

``python benchmarks/suppress_privacy.py``. The two steps take turns, so that both see the same load of the machine.
"""

import time

import mindspore as ms
import numpy as np
from mindspore import Tensor, nn

from mindveil.runtime import PrivateStep
from mindveil.runtime.datasets import embedded_mnist
from mindveil.runtime.networks import LeNet5
from mindveil.runtime.sup_privacy import MaskLayerDes, SuppressPrivacyFactory

ROUNDS = 300
EVERY = 15  # steps between two operations in the tutorial
LAYERS = [
    MaskLayerDes("conv1.weight", 0, True, True, 10),
    MaskLayerDes("conv2.weight", 1, True, True, 50),
    MaskLayerDes("fc1.weight", 2, True, False, -1),
    MaskLayerDes("fc2.weight", 4, True, False, -1),
    MaskLayerDes("fc3.weight", 6, True, False, 50),
]


def timed(act, *arguments):
    """Milliseconds of one call."""
    start = time.perf_counter()
    result = act(*arguments)
    if isinstance(result, Tensor):
        result.asnumpy()
    return 1000 * (time.perf_counter() - start)


def main():
    """Prints medians, and the ratio that matters: suppressed with its updates over ordinary."""
    data = embedded_mnist()
    batch = Tensor(data.train_images[:32]), Tensor(data.train_labels[:32])
    loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
    plain, suppressed = LeNet5(), LeNet5()
    control = SuppressPrivacyFactory.create(suppressed, LAYERS, batch_num=1875, lr=0.05, sparse_end=0.95)
    ordinary = PrivateStep(plain, loss, nn.SGD(plain.trainable_params(), 0.05))
    masked = PrivateStep(suppressed, loss, nn.SGD(suppressed.trainable_params(), 0.05), [control.policy])
    for step in (ordinary, masked):
        for _ in range(5):
            step(*batch)
    times = {"ordinary step": [], "suppressed step": [], "mask update": []}
    for k in range(ROUNDS):
        times["ordinary step"].append(timed(ordinary, *batch))
        times["suppressed step"].append(timed(masked, *batch))
        if k % EVERY == 0:
            sparsity = 0.95 * (k + 1) / ROUNDS
            times["mask update"].append(timed(control.update_mask, suppressed, k, sparsity))
    medians = {name: float(np.median(values)) for name, values in times.items()}
    for name, value in medians.items():
        print(f"{name:16} {value:8.3f} ms, median of {len(times[name])}")
    whole = medians["suppressed step"] + medians["mask update"] / EVERY
    print(f"suppressed, an update every {EVERY} steps included: {whole / medians['ordinary step']:.3f} of ordinary")
    print(f"MindSpore {ms.__version__}, NumPy {np.__version__}")


main()
