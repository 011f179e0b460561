"""Reading idx files: the right ones, and every way in which one can be wrong."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from mindveil.runtime.idx import IdxPair, find_idx_pair, read_idx, read_idx_pair

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
LABELS = np.array([7, 0], np.uint8)


def idx_bytes(array: np.ndarray) -> bytes:  # type: ignore[type-arg]
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("array", [IMAGES, LABELS], ids=["images", "labels"])
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_an_idx_file_is_read_compressed_or_not(tmp_path: Path, array: np.ndarray, compress: type[bytes]) -> None:  # type: ignore[type-arg]
    path = tmp_path / "file"
    path.write_bytes(compress(idx_bytes(array)))
    np.testing.assert_array_equal(read_idx(path), array)


def test_an_empty_idx_file_gives_an_empty_array(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(idx_bytes(IMAGES[:0]))
    assert read_idx(path).shape == (0, 3, 4)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"gone is not a file; give the path of an idx file"):
        read_idx(tmp_path / "gone")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (idx_bytes(IMAGES)[:-1], r"23 bytes of data, but its header promises 24 \(2 x 3 x 4\): truncated; download"),
        (idx_bytes(IMAGES) + b"\0", r"25 bytes of data, but its header promises 24 .* do not belong to it"),
        (idx_bytes(IMAGES)[:9], r"ends within its header, at byte 9 of 16"),
        (b"\0\0\x08", r"has 3 bytes, too few for an idx header"),
        (b"", r"has 0 bytes, too few"),
        (b"PNG!" + bytes(20), r"starts with 0x504e4721, and must start with 0x00000801 or 0x00000803"),
        (b"\0\0\x0d\x03" + bytes(12), r"starts with 0x00000d03, and must"),
        (b"\0\0\x08\x02" + bytes(8), r"starts with 0x00000802, and must"),
        (gzip.compress(idx_bytes(IMAGES))[:-9], r"is a damaged gzip file .* download it again"),
        (gzip.compress(idx_bytes(IMAGES))[:14] + b"\xff" * 20, r"is a damaged gzip file"),
        (gzip.compress(idx_bytes(IMAGES)) + b"tail", r"is a damaged gzip file"),
        (gzip.compress(idx_bytes(IMAGES)[:-4]), r"20 bytes of data, but its header promises 24"),
    ],
    # Not by content: a gzip file holds its time, and every process that runs the tests must find the same names.
    ids=lambda value: f"{len(value)} bytes" if isinstance(value, bytes) else None,
)
def test_a_malformed_file_is_refused_with_its_fault(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "bad"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"bad.*{message}"):
        read_idx(path)


def test_a_header_that_promises_more_than_memory_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    path = tmp_path / "bad"
    path.write_bytes(b"\0\0\x08\x03" + b"\xff" * 12)
    with pytest.raises(ValueError, match=r"0 bytes of data, but its header promises 79228162458924105385300197375"):
        read_idx(path)


def test_images_and_labels_of_different_length_are_refused(tmp_path: Path) -> None:
    pair = IdxPair(tmp_path / "images", tmp_path / "labels")
    pair.images.write_bytes(idx_bytes(IMAGES))
    pair.labels.write_bytes(idx_bytes(LABELS[:1]))
    with pytest.raises(ValueError, match=r"images holds 2 images, but .*labels 1 labels; use two files of the same"):
        read_idx_pair(pair)


def test_swapped_images_and_labels_are_refused(tmp_path: Path) -> None:
    pair = IdxPair(tmp_path / "images", tmp_path / "labels")
    pair.images.write_bytes(idx_bytes(IMAGES))
    pair.labels.write_bytes(idx_bytes(LABELS))
    with pytest.raises(ValueError, match=r"labels holds labels, and must hold images; were the two files swapped"):
        read_idx_pair(IdxPair(pair.labels, pair.images))
    with pytest.raises(ValueError, match=r"images holds images, and must hold labels; were the two files swapped"):
        read_idx_pair(IdxPair(pair.images, pair.images))


@pytest.mark.parametrize("place", ["", "test"], ids=["folder", "sub-folder"])
@pytest.mark.parametrize("ending", ["-idx{}-ubyte", ".idx{}-ubyte", "-idx{}-ubyte.gz"])
def test_files_are_found_under_their_usual_names(tmp_path: Path, place: str, ending: str) -> None:
    folder = tmp_path / place
    folder.mkdir(exist_ok=True)
    pair = IdxPair(folder / f"t10k-images{ending.format(3)}", folder / f"t10k-labels{ending.format(1)}")
    pair.images.touch()
    pair.labels.touch()
    assert find_idx_pair(tmp_path, "test") == pair
    assert find_idx_pair(tmp_path, "train") is None


@pytest.mark.parametrize(
    ("present", "missing"),
    [("train-images-idx3-ubyte", "train-labels-idx1-ubyte"), ("train-labels-idx1-ubyte", "train-images-idx3-ubyte")],
)
def test_half_a_pair_is_refused_and_the_other_half_named(tmp_path: Path, present: str, missing: str) -> None:
    (tmp_path / present).touch()
    with pytest.raises(FileNotFoundError, match=f"holds .*{present}, but not {missing} .*; add it"):
        find_idx_pair(tmp_path, "train")
