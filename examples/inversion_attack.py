"""Image inversion on LeNet5: the suppress privacy tutorial's script, with other import lines and data paths.

It needs the two checkpoints that ``train_lenet5.py`` writes. To attack the suppressed network, put the checkpoint that
``suppress_lenet5.py`` writes in the place of the first. The networks are exported, and attacked under onnxruntime.
"""

import matplotlib.pyplot as plt
import mindspore as ms
import numpy as np
from mindspore import nn

from mindveil.runtime.datasets import generate_mnist_dataset
from mindveil.runtime.log import LogUtil
from mindveil.runtime.networks import LeNet5, conv, fc_with_initialize
from mindveil.tools.attacks import ImageInversionAttack

LOGGER = LogUtil.get_instance()
LOGGER.set_level("INFO")
TAG = "InversionAttack"


class LeNet5_part(nn.Cell):  # noqa: N801  the tutorial's name
    """
    Part of LeNet5 network.
    """

    def __init__(self):
        super(LeNet5_part, self).__init__()  # noqa: UP008
        self.conv1 = conv(1, 6, 5)
        self.conv2 = conv(6, 16, 5)
        self.fc1 = fc_with_initialize(16 * 5 * 5, 120)
        self.fc2 = fc_with_initialize(120, 84)
        self.fc3 = fc_with_initialize(84, 10)
        self.relu = nn.ReLU()
        self.max_pool2d = nn.MaxPool2d(kernel_size=2, stride=2)
        self.flatten = nn.Flatten()

    def construct(self, x):
        x = self.conv1(x)
        x = self.relu(x)
        x = self.max_pool2d(x)
        x = self.conv2(x)
        x = self.relu(x)
        x = self.max_pool2d(x)
        x = self.flatten(x)
        x = self.fc1(x)
        x = self.relu(x)
        return x


Checkpoint_path = "trained_ckpt_file/checkpoint_lenet-10_125.ckpt"
load_dict = ms.load_checkpoint(Checkpoint_path)
net = LeNet5_part()
ms.load_param_into_net(net, load_dict)

# get original data
data_list = "MNIST_unzip/train"
batch_size = 32
ds = generate_mnist_dataset(data_list, batch_size)
i = 0
batch_num = 1
sample_num = 30
for data in ds.create_tuple_iterator(output_numpy=True):
    i += 1  # noqa: SIM113
    images = data[0].astype(np.float32)
    true_labels = data[1][:sample_num]
    target_features = net(ms.Tensor(images)).asnumpy()[:sample_num]
    original_images = images[:sample_num]
    if i >= batch_num:
        break

inversion_attack = ImageInversionAttack(net, input_shape=(1, 32, 32), input_bound=(0, 1), loss_weights=[1, 0.1, 5])
inversion_images = inversion_attack.generate(target_features, iters=100)

plot_num = min(sample_num, 10)
for n in range(1, plot_num + 1):
    plt.subplot(2, plot_num, n)
    if n == 1:
        plt.title("Original images", fontsize=12, loc="left")
    plt.gray()
    plt.imshow(images[n - 1].reshape(32, 32))
    plt.subplot(2, plot_num, n + plot_num)
    if n == 1:
        plt.title("Inverted images based on ordinary trained model", fontsize=12, loc="left")
    plt.gray()
    plt.imshow(inversion_images[n - 1].reshape(32, 32))
plt.show()

net2 = LeNet5()
new_ckpt_path = "new_trained_ckpt_file/checkpoint_lenet-10_125.ckpt"
new_load_dict = ms.load_checkpoint(new_ckpt_path)
ms.load_param_into_net(net2, new_load_dict)
pred_labels = np.argmax(net2(ms.Tensor(inversion_images).astype(np.float32)).asnumpy(), axis=1)
avg_l2_dis, avg_ssim, avg_confi = inversion_attack.evaluate(original_images, inversion_images, true_labels, net2)
LOGGER.info(TAG, "The average L2 distance between original images and inverted images is: {}".format(avg_l2_dis))  # noqa: UP032
LOGGER.info(TAG, "The average ssim value between original images and inverted images is: {}".format(avg_ssim))  # noqa: UP032
LOGGER.info(TAG, "The average prediction confidence on true labels of inverted images is: {}".format(avg_confi))  # noqa: UP032
LOGGER.info(TAG, "True labels of original images are:      %s" % true_labels)  # noqa: UP031
LOGGER.info(TAG, "Predicted labels of inverted images are: %s" % pred_labels)  # noqa: UP031
