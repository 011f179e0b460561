"""Differential privacy on LeNet5: the tutorial's script, with other import lines, data path and device.

Write the images that come with this library into ./MNIST_unzip first: ``python examples/write_mnist.py``. They are
4,000 images, not the tutorial's 60,000; ``num_samples`` and the checkpoint's steps are of theirs. The tutorial's noise
of 0.05 protects nobody: the monitor prints what it costs.
"""

import os

import mindspore.common.dtype as mstype
import mindspore.dataset as ds
import mindspore.dataset.transforms as C
import mindspore.dataset.vision as CV
import mindspore.nn as nn
from easydict import EasyDict as edict  # noqa: N813  the tutorial calls it so
from mindspore import context, load_checkpoint, load_param_into_net
from mindspore.dataset.vision import Inter
from mindspore.train import Accuracy, CheckpointConfig, LossMonitor, ModelCheckpoint

from mindveil.runtime.diff_privacy import ClipMechanismsFactory, DPModel, NoiseMechanismsFactory, PrivacyMonitorFactory
from mindveil.runtime.log import LogUtil
from mindveil.runtime.networks import LeNet5

LOGGER = LogUtil.get_instance()
LOGGER.set_level("INFO")
TAG = "Lenet5_train"

cfg = edict(
    {
        "num_classes": 10,  # the number of classes of model's output
        "lr": 0.01,  # the learning rate of model's optimizer
        "momentum": 0.9,  # the momentum value of model's optimizer
        "epoch_size": 10,  # training epochs
        "batch_size": 256,  # batch size for training
        "image_height": 32,  # the height of training samples
        "image_width": 32,  # the width of training samples
        "num_samples": 4000,  # the number of training samples
        "save_checkpoint_steps": 15,  # the interval steps for saving checkpoint file of the model
        "keep_checkpoint_max": 10,  # the maximum number of checkpoint files would be saved
        "device_target": "CPU",  # device used
        "data_path": "MNIST_unzip",  # the path of training and testing data set
        "dataset_sink_mode": False,  # whether deliver all training data to device one time
        "micro_batches": 32,  # the number of small batches split from an original batch
        "norm_bound": 1.0,  # the clip bound of the gradients of model's training parameters
        "initial_noise_multiplier": 0.05,  # the initial multiplication coefficient of the noise added to training
        # parameters' gradients
        "noise_mechanisms": "Gaussian",  # the method of adding noise in gradients while training
        "clip_mechanisms": "Gaussian",  # the method of adaptive clipping gradients while training
        "clip_decay_policy": "Linear",  # Decay policy of adaptive clipping, must be in ['Linear', 'Geometric'].
        "clip_learning_rate": 0.001,  # Learning rate of update norm clip.
        "target_unclipped_quantile": 0.9,  # Target quantile of norm clip.
        "fraction_stddev": 0.01,  # The stddev of Gaussian normal which used in empirical_fraction.
        "optimizer": "Momentum",  # the base optimizer used for Differential privacy training
    }
)

context.set_context(mode=context.GRAPH_MODE, device_target=cfg.device_target)


def generate_mnist_dataset(data_path, batch_size=32, repeat_size=1, num_parallel_workers=1, sparse=True):
    """create dataset for training or testing"""
    # define dataset
    ds1 = ds.MnistDataset(data_path)

    # define operation parameters
    resize_height, resize_width = 32, 32
    rescale = 1.0 / 255.0
    shift = 0.0

    # define map operations
    resize_op = CV.Resize((resize_height, resize_width), interpolation=Inter.LINEAR)
    rescale_op = CV.Rescale(rescale, shift)
    hwc2chw_op = CV.HWC2CHW()
    type_cast_op = C.TypeCast(mstype.int32)

    # apply map operations on images
    if not sparse:
        one_hot_enco = C.OneHot(10)
        ds1 = ds1.map(operations=one_hot_enco, input_columns="label", num_parallel_workers=num_parallel_workers)
        type_cast_op = C.TypeCast(mstype.float32)
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


network = LeNet5()
net_loss = nn.SoftmaxCrossEntropyWithLogits(sparse=True, reduction="mean")
config_ck = CheckpointConfig(
    save_checkpoint_steps=cfg.save_checkpoint_steps, keep_checkpoint_max=cfg.keep_checkpoint_max
)
ckpoint_cb = ModelCheckpoint(prefix="checkpoint_lenet", directory="./trained_ckpt_file/", config=config_ck)

# get training dataset
ds_train = generate_mnist_dataset(os.path.join(cfg.data_path, "train"), cfg.batch_size)

if cfg.micro_batches and cfg.batch_size % cfg.micro_batches != 0:
    raise ValueError("Number of micro_batches should divide evenly batch_size")
# Create a factory class of DP noise mechanisms, this method is adding noise
# in gradients while training. Initial_noise_multiplier is suggested to be
# greater than 1.0, otherwise the privacy budget would be huge, which means
# that the privacy protection effect is weak. Mechanisms can be 'Gaussian'
# or 'AdaGaussian', in which noise would be decayed with 'AdaGaussian'
# mechanism while be constant with 'Gaussian' mechanism.
noise_mech = NoiseMechanismsFactory().create(
    cfg.noise_mechanisms,
    norm_bound=cfg.norm_bound,
    initial_noise_multiplier=cfg.initial_noise_multiplier,
    decay_policy=None,
)
# Create a factory class of clip mechanisms, this method is to adaptive clip
# gradients while training, decay_policy support 'Linear' and 'Geometric',
# learning_rate is the learning rate to update clip_norm,
# target_unclipped_quantile is the target quantile of norm clip,
# fraction_stddev is the stddev of Gaussian normal which used in
# empirical_fraction, the formula is
# $empirical_fraction + N(0, fraction_stddev)$.
clip_mech = ClipMechanismsFactory().create(
    cfg.clip_mechanisms,
    decay_policy=cfg.clip_decay_policy,
    learning_rate=cfg.clip_learning_rate,
    target_unclipped_quantile=cfg.target_unclipped_quantile,
    fraction_stddev=cfg.fraction_stddev,
)
net_opt = nn.Momentum(params=network.trainable_params(), learning_rate=cfg.lr, momentum=cfg.momentum)
# Create a monitor for DP training. The function of the monitor is to
# compute and print the privacy budget(eps and delta) while training.
rdp_monitor = PrivacyMonitorFactory.create(
    "rdp",
    num_samples=cfg.num_samples,
    batch_size=cfg.batch_size,
    initial_noise_multiplier=cfg.initial_noise_multiplier,
    per_print_times=234,
    noise_decay_mode=None,
)

# Create the DP model for training.
model = DPModel(
    micro_batches=cfg.micro_batches,
    norm_bound=cfg.norm_bound,
    noise_mech=noise_mech,
    clip_mech=clip_mech,
    network=network,
    loss_fn=net_loss,
    optimizer=net_opt,
    metrics={"Accuracy": Accuracy()},
)

LOGGER.info(TAG, "============== Starting Training ==============")
model.train(
    cfg["epoch_size"],
    ds_train,
    callbacks=[ckpoint_cb, LossMonitor(), rdp_monitor],
    dataset_sink_mode=cfg.dataset_sink_mode,
)

LOGGER.info(TAG, "============== Starting Testing ==============")
ckpt_file_name = "trained_ckpt_file/checkpoint_lenet-10_15.ckpt"
param_dict = load_checkpoint(ckpt_file_name)
load_param_into_net(network, param_dict)
ds_eval = generate_mnist_dataset(os.path.join(cfg.data_path, "test"), batch_size=cfg.batch_size)
acc = model.eval(ds_eval, dataset_sink_mode=False)
LOGGER.info(TAG, "============== Accuracy: %s  ==============", acc)
