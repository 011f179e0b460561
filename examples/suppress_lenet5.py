"""Suppress privacy on LeNet5: the tutorial's script, with other import lines, data path and device.

Write the images that come with this library into ./MNIST_unzip first: ``python examples/write_mnist.py``. They are
4,000 images, not the tutorial's 60,000; the plan follows the data set, and says so.
"""

import mindspore as ms
import mindspore.dataset as ds
import mindspore.dataset.transforms as transforms
import mindspore.dataset.vision as vision
import mindspore.nn as nn
from easydict import EasyDict as edict  # noqa: N813  the tutorial calls it so
from mindspore.dataset.vision import Inter
from mindspore.train import Accuracy, CheckpointConfig, LossMonitor, ModelCheckpoint

from mindveil.runtime.log import LogUtil
from mindveil.runtime.networks import LeNet5
from mindveil.runtime.sup_privacy import MaskLayerDes, SuppressMasker, SuppressModel, SuppressPrivacyFactory

LOGGER = LogUtil.get_instance()
LOGGER.set_level("INFO")
TAG = "Lenet5_Suppress_train"

cfg = edict(
    {
        "num_classes": 10,  # the number of classes of model's output
        "batch_size": 32,  # batch size for training
        "image_height": 32,  # the height of training samples
        "image_width": 32,  # the width of training samples
        "keep_checkpoint_max": 10,  # the maximum number of checkpoint files would be saved
        "device_target": "CPU",  # device used
    }
)

ms.set_context(mode=ms.PYNATIVE_MODE, device_target=cfg.device_target)


def generate_mnist_dataset(data_path, batch_size=32, repeat_size=1, num_parallel_workers=1, sparse=True):
    """create dataset for training or testing"""
    # define dataset
    ds1 = ds.MnistDataset(data_path)

    # define operation parameters
    resize_height, resize_width = 32, 32
    rescale = 1.0 / 255.0
    shift = 0.0

    # define map operations
    resize_op = vision.Resize((resize_height, resize_width), interpolation=Inter.LINEAR)
    rescale_op = vision.Rescale(rescale, shift)
    hwc2chw_op = vision.HWC2CHW()
    type_cast_op = transforms.TypeCast(ms.int32)

    # apply map operations on images
    if not sparse:
        one_hot_enco = transforms.OneHot(10)
        ds1 = ds1.map(operations=one_hot_enco, input_columns="label", num_parallel_workers=num_parallel_workers)
        type_cast_op = transforms.TypeCast(ms.float32)
    ds1 = ds1.map(operations=type_cast_op, input_columns="label", num_parallel_workers=num_parallel_workers)
    ds1 = ds1.map(operations=resize_op, input_columns="image", num_parallel_workers=num_parallel_workers)
    ds1 = ds1.map(operations=rescale_op, input_columns="image", num_parallel_workers=num_parallel_workers)
    ds1 = ds1.map(operations=hwc2chw_op, input_columns="image", num_parallel_workers=num_parallel_workers)

    # apply DatasetOps
    buffer_size = 10000
    ds1 = ds1.shuffle(buffer_size=buffer_size)
    ds1 = ds1.batch(batch_size, drop_remainder=True)
    ds1 = ds1.repeat(repeat_size)

    return ds1


networks_l5 = LeNet5()
config_ck = CheckpointConfig(save_checkpoint_steps=10, keep_checkpoint_max=cfg.keep_checkpoint_max)
ckpoint_cb = ModelCheckpoint(prefix="checkpoint_lenet", directory="./trained_ckpt_file/", config=config_ck)

# get training dataset
ds_train = generate_mnist_dataset("MNIST_unzip/train", cfg.batch_size)

masklayers_lenet5 = []  # determine which layer should be masked
masklayers_lenet5.append(MaskLayerDes("conv1.weight", 0, True, True, 10))
masklayers_lenet5.append(MaskLayerDes("conv2.weight", 1, True, True, 50))
masklayers_lenet5.append(MaskLayerDes("fc1.weight", 2, True, False, -1))
masklayers_lenet5.append(MaskLayerDes("fc2.weight", 4, True, False, -1))
masklayers_lenet5.append(MaskLayerDes("fc3.weight", 6, True, False, 50))

suppress_ctrl_instance = SuppressPrivacyFactory().create(
    networks_l5,
    masklayers_lenet5,
    policy="local_train",
    end_epoch=10,
    batch_num=1875,
    start_epoch=3,
    mask_times=1000,
    lr=0.05,
    sparse_end=0.95,
    sparse_start=0.0,
)
net_loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
net_opt = nn.SGD(networks_l5.trainable_params(), 0.05)

# Create the suppress model for training.
model_instance = SuppressModel(
    network=networks_l5, loss_fn=net_loss, optimizer=net_opt, metrics={"Accuracy": Accuracy()}
)
model_instance.link_suppress_ctrl(suppress_ctrl_instance)
suppress_masker = SuppressMasker(model=model_instance, suppress_ctrl=suppress_ctrl_instance)

LOGGER.info(TAG, "============== Starting SUPP Training ==============")
model_instance.train(10, ds_train, callbacks=[ckpoint_cb, LossMonitor(), suppress_masker], dataset_sink_mode=False)

LOGGER.info(TAG, "============== Starting SUPP Testing ==============")
ds_eval = generate_mnist_dataset("MNIST_unzip/test", batch_size=cfg.batch_size)
acc = model_instance.eval(ds_eval, dataset_sink_mode=False)
LOGGER.info(TAG, "============== SUPP Accuracy: %s  ==============", acc)
