"""Ordinary training of LeNet5, which the inversion attack of the suppress privacy tutorial compares with.

Write the images that come with this library into ./MNIST_unzip first: ``python examples/write_mnist.py``. The tutorial
trains twice: once into ``trained_ckpt_file``, and once into ``new_trained_ckpt_file`` for the network that judges the
attack: ``python examples/train_lenet5.py new_trained_ckpt_file``.
"""

import sys

import mindspore as ms
import mindspore.nn as nn
from mindspore.train import Accuracy, CheckpointConfig, LossMonitor, Model, ModelCheckpoint

from mindveil.runtime.datasets import generate_mnist_dataset
from mindveil.runtime.log import LogUtil
from mindveil.runtime.networks import LeNet5

LOGGER = LogUtil.get_instance()
LOGGER.set_level("INFO")
TAG = "Lenet5_train"

ms.set_context(mode=ms.GRAPH_MODE, device_target="CPU")

batch_size = 32
folder = sys.argv[1] if len(sys.argv) > 1 else "trained_ckpt_file"
ds_train = generate_mnist_dataset("MNIST_unzip/train", batch_size=batch_size, repeat_size=1)

network = LeNet5()
net_loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
net_opt = nn.Momentum(network.trainable_params(), 0.01, 0.9)
config_ck = CheckpointConfig(save_checkpoint_steps=ds_train.get_dataset_size(), keep_checkpoint_max=10)
ckpoint_cb = ModelCheckpoint(prefix="checkpoint_lenet", directory=f"./{folder}/", config=config_ck)

LOGGER.info(TAG, "============== Starting Training ==============")
model = Model(network, net_loss, net_opt, metrics={"Accuracy": Accuracy()})
model.train(10, ds_train, callbacks=[ckpoint_cb, LossMonitor()], dataset_sink_mode=False)

LOGGER.info(TAG, "============== Starting Testing ==============")
ds_eval = generate_mnist_dataset("MNIST_unzip/test", batch_size=batch_size, repeat_size=1)
acc = model.eval(ds_eval, dataset_sink_mode=False)
LOGGER.info(TAG, "============== Accuracy: %s ==============", acc)
