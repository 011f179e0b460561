"""A data set as arrays, prepared for training, with what the layers and the accounting need to know of it."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, prod, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindveil.runtime.datasets import embedded_mnist, load
from mindveil.runtime.lipdp.parameters import DatasetMetadata
from mindveil.runtime.lipdp.pipeline import get_colorspace_function

__all__ = ["load_and_prepare_data"]

Arrays = tuple[NDArray[np.float32], NDArray[np.int32]]
Bound = tuple[Callable[[Any, Any], tuple[Any, Any]], float]


def load_and_prepare_data(
    dataset_name: str | Path = "mnist",
    batch_size: int = 256,
    colorspace: str | None = "RGB",
    drop_remainder: bool = True,
    bound_fct: Bound | None = None,
) -> tuple[Arrays, Arrays, DatasetMetadata]:
    """Training arrays, test arrays, and their metadata.

    The original gives shuffled batches; these are arrays, from which `DP_Model.fit` draws Poisson batches, as the
    guarantee needs. Labels are classes; the losses take them as they are. Augmentation belongs to batches: see
    `AugmultConfig`.

    Args:
        dataset_name: ``mnist`` for the 5,000 images that come with this library, 28 x 28; otherwise a folder with
            MNIST's files or an ``.npz`` file (see `mindveil.runtime.datasets.load`).
        batch_size: expected number of records of a batch.
        colorspace: see `get_colorspace_function`; one that mixes colours needs images of three.
        drop_remainder: whether an epoch is the whole batches of the training set, or one more for what is left.
        bound_fct: `bound_clip_value(c)` or `bound_normalize()`. None: images stay as they are, and ``max_norm`` is the
            root of the number of their values, the most that values in [0, 1] can reach.

    Raises:
        ValueError: the colour space does not fit the images, or values outside [0, 1] have no bound.
    """
    found = embedded_mnist(size=28) if dataset_name == "mnist" else load(dataset_name)
    size, shape = len(found.train_images), found.train_images.shape[1:]
    colours = get_colorspace_function(colorspace)
    if colorspace not in (None, "RGB") and shape[0] != 3:
        raise ValueError(f"colorspace={colorspace!r} needs images of three colours, and these have {shape[0]}")
    bound, norm = bound_fct or (None, sqrt(prod(shape)))
    if bound is None and not 0 <= float(found.train_images.min()) <= float(found.train_images.max()) <= 1:
        raise ValueError("the images have values outside [0, 1], so that their norm has no bound: give a bound_fct")
    train, test = (
        _prepared(images, labels, colours, bound)
        for images, labels in (
            (found.train_images, found.train_labels),
            (found.test_images, found.test_labels),
        )
    )
    metadata = DatasetMetadata(
        input_shape=tuple(train[0].shape[1:]),
        nb_classes=found.classes,
        nb_samples_train=size,
        nb_samples_test=len(found.test_images),
        class_names=tuple(str(k) for k in range(found.classes)),
        nb_steps_per_epochs=max(1, size // batch_size) if drop_remainder else ceil(size / batch_size),
        batch_size=batch_size,
        max_norm=norm,
    )
    return train, test, metadata


def _prepared(images: Any, labels: Any, colours: Any, bound: Any) -> Arrays:
    x, y = colours(images, labels)
    x, y = (x, y) if bound is None else bound(x, y)
    return np.asarray(x, np.float32), np.asarray(y, np.int32)
