"""A Lipschitz network on MNIST, trained privately without clipping: deel-lipdp's quick start with other import lines.

It reads the 4,000 training images that come with this library. Batches are Poisson samples, and the price is that of
the updates that were made. ``python examples/lipdp_mnist.py [epochs]``.
"""

import logging
import sys

import mindspore as ms
import numpy as np
from mindspore import nn

from mindveil.runtime.datasets import embedded_mnist
from mindveil.runtime.lipdp import (
    DatasetMetadata,
    DP_Accountant,
    DP_BoundedInput,
    DP_ClipGradient,
    DP_Flatten,
    DP_GroupSort,
    DP_QuickSpectralDense,
    DP_Sequential,
    DP_TauCategoricalCrossentropy,
    DPParameters,
    get_max_epochs,
)

logging.basicConfig(level=logging.INFO, format="%(message)s")
ms.set_context(mode=ms.GRAPH_MODE)
ms.set_seed(1)

epsilon_max = 8.0
images = embedded_mnist()
dp_parameters = DPParameters(noisify_strategy="global", noise_multiplier=2.0, delta=1e-5)
dataset_metadata = DatasetMetadata(
    input_shape=images.train_images.shape[1:],
    nb_classes=10,
    nb_samples_train=len(images.train_images),
    nb_samples_test=len(images.test_images),
    batch_size=400,
    max_norm=8.0,
)

model = DP_Sequential(
    layers=[
        DP_BoundedInput(input_shape=dataset_metadata.input_shape, upper_bound=dataset_metadata.max_norm),
        DP_Flatten(),
        DP_QuickSpectralDense(128),
        DP_GroupSort(2),
        DP_QuickSpectralDense(dataset_metadata.nb_classes),
        DP_ClipGradient(0.3),  # lowers the noise with the bound
    ],
    dp_parameters=dp_parameters,
    dataset_metadata=dataset_metadata,
)
model.compile(
    loss=DP_TauCategoricalCrossentropy(18.0),
    optimizer=nn.Momentum(model.trainable_params(), learning_rate=0.03, momentum=0.9),
)

epochs = int(sys.argv[1]) if len(sys.argv) > 1 else 20
most = get_max_epochs(epsilon_max, model)
print(f"epsilon {epsilon_max} buys {most} epochs; {min(epochs, most)} are run")
train = images.train_images, images.train_labels.astype(np.int32)
test = images.test_images, images.test_labels.astype(np.int32)
history = model.fit(train, epochs=min(epochs, most), validation_data=test, callbacks=[DP_Accountant(log_fn="logging")])
print(f"accuracy {history['val_accuracy'][-1]:.4f}")
