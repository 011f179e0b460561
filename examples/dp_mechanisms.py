"""Differential privacy by an optimizer that brings its noise, and by a model that is given it: the older tutorials.

Both scripts stand here as their documents have them, with other import lines and without what MindSpore has removed
(``is_grad`` and ``set_dataset_size``). The second one's network had batch normalisation, which mixes the examples of a
batch and is refused; it has group normalisation instead, and takes images of 32 x 32.
"""

import mindspore.dataset as ds
import mindspore.nn as nn
import numpy as np
from mindspore.nn import Momentum

from mindveil.runtime.diff_privacy import DPModel, DPOptimizerClassFactory, MechanismsFactory
from mindveil.runtime.networks import LeNet5


def dataset_generator(batch_size, batches, channels=1):
    """Batches of random images of ten classes."""
    rng = np.random.default_rng(0)
    data = rng.random((batches * batch_size, channels, 32, 32), np.float32)
    label = rng.integers(0, 10, batches * batch_size).astype(np.int32)
    for i in range(batches):
        yield data[i * batch_size : (i + 1) * batch_size], label[i * batch_size : (i + 1) * batch_size]


norm_clip = 1.0
initial_noise_multiplier = 0.01
network = LeNet5()
batch_size = 32
batches = 128
epochs = 1
micro_batches = 2
loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True)
factory_opt = DPOptimizerClassFactory(micro_batches=micro_batches)
factory_opt.set_mechanisms("Gaussian", norm_bound=norm_clip, initial_noise_multiplier=initial_noise_multiplier)
net_opt = factory_opt.create("Momentum")(network.trainable_params(), learning_rate=0.1, momentum=0.9)
model = DPModel(
    micro_batches=micro_batches,
    norm_clip=norm_clip,
    mech=None,
    network=network,
    loss_fn=loss,
    optimizer=net_opt,
    metrics=None,
)
ms_ds = ds.GeneratorDataset(dataset_generator(batch_size, batches), ["data", "label"])
model.train(epochs, ms_ds, dataset_sink_mode=False)
print("noise of the optimizer:", model.step.events)


class Net(nn.Cell):
    """A convolution, a normalisation and a dense layer."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 64, 3, has_bias=False, weight_init="normal")
        self.bn = nn.GroupNorm(8, 64)
        self.relu = nn.ReLU()
        self.flatten = nn.Flatten()
        self.fc = nn.Dense(64 * 32 * 32, 12)  # padding=0

    def construct(self, x):
        """Logits."""
        x = self.conv(x)
        x = self.bn(x)
        x = self.relu(x)
        x = self.flatten(x)
        out = self.fc(x)
        return out


norm_clip = 1.0
initial_noise_multiplier = 1.5
net = Net()
loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True)
net_opt = Momentum(params=net.trainable_params(), learning_rate=0.01, momentum=0.9)
mech = MechanismsFactory().create("Gaussian", norm_bound=norm_clip, initial_noise_multiplier=initial_noise_multiplier)
model = DPModel(micro_batches=2, norm_clip=1.0, mech=mech, network=net, loss_fn=loss, optimizer=net_opt, metrics=None)
dataset = ds.GeneratorDataset(lambda: dataset_generator(8, 4, channels=3), ["data", "label"])
model.train(2, dataset)
print("noise of the model:", model.step.events)
