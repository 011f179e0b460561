"""Reads the idx files in which MNIST is distributed, compressed or not, and says what is wrong with a bad one."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

__all__ = ["IdxPair", "find_idx_pair", "read_idx", "read_idx_pair"]

ByteArray = npt.NDArray[np.uint8]
Part = Literal["train", "test"]

PREFIXES: dict[Part, str] = {"train": "train", "test": "t10k"}
GZIP_MAGIC = b"\x1f\x8b"
UNSIGNED_BYTE = 0x08
DIMENSIONS = (1, 3)  # labels (N,) and images (N, H, W)


@dataclass(frozen=True, slots=True)
class IdxPair:
    """The two files that hold the images and the labels of one part of a data set."""

    images: Path
    labels: Path


def read_idx(path: str | Path) -> ByteArray:
    """The unsigned bytes of one idx file: labels ``(N,)`` or images ``(N, height, width)``.

    Whether the file is compressed is read off its content, so its name does not matter.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an idx file of unsigned bytes, or is shorter or longer than its header says.
    """
    path = Path(path)
    content = _read_bytes(path)
    shape, start = _read_header(path, content)
    wanted, got = math.prod(shape), len(content) - start
    if got != wanted:
        problem = "truncated; download it again" if got < wanted else "followed by bytes that do not belong to it"
        raise ValueError(f"{path}: {got} bytes of data, but its header promises {wanted} ({_times(shape)}): {problem}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def find_idx_pair(folder: str | Path, part: Part) -> IdxPair | None:
    """The image and label files of ``part`` in ``folder`` or in its sub-folder of that name; None if there are none.

    Raises:
        FileNotFoundError: one of the two files is there and the other one is not.
    """
    folder, prefix = Path(folder), PREFIXES[part]
    for place in (folder, folder / part):
        images = _first_file(place, f"{prefix}-images", "idx3-ubyte")
        labels = _first_file(place, f"{prefix}-labels", "idx1-ubyte")
        if images and labels:
            return IdxPair(images, labels)
        if images or labels:
            kind, ending = ("labels", "idx1-ubyte") if images else ("images", "idx3-ubyte")
            raise FileNotFoundError(
                f"{place} holds {(images or labels)}, but not {prefix}-{kind}-{ending} (or the same with .gz); add it"
            )
    return None


def read_idx_pair(pair: IdxPair) -> tuple[ByteArray, ByteArray]:
    """Images ``(N, height, width)`` and labels ``(N,)`` of a pair of files.

    Raises:
        ValueError: either file is malformed or of the other kind, or they do not hold equally many records.
    """
    images, labels = read_idx(pair.images), read_idx(pair.labels)
    if images.ndim != 3:
        raise ValueError(f"{pair.images} holds labels, and must hold images; were the two files swapped?")
    if labels.ndim != 1:
        raise ValueError(f"{pair.labels} holds images, and must hold labels; were the two files swapped?")
    if len(images) != len(labels):
        raise ValueError(
            f"{pair.images} holds {len(images)} images, but {pair.labels} {len(labels)} labels; "
            "use two files of the same data set"
        )
    return images, labels


def _read_bytes(path: Path) -> bytes:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; give the path of an idx file")
    content = path.read_bytes()
    if not content.startswith(GZIP_MAGIC):
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, zlib.error, gzip.BadGzipFile, struct.error) as error:
        raise ValueError(f"{path} is a damaged gzip file ({error}); download it again") from error


def _read_header(path: Path, content: bytes) -> tuple[tuple[int, ...], int]:
    """Shape of the array and position of its first byte."""
    if len(content) < 4:
        raise ValueError(f"{path} has {len(content)} bytes, too few for an idx header; download it again")
    zeros, kind, dimensions = content[:2], content[2], content[3]
    if zeros != b"\0\0" or kind != UNSIGNED_BYTE or dimensions not in DIMENSIONS:
        wanted = " or ".join(f"0x{UNSIGNED_BYTE << 8 | n:08x}" for n in DIMENSIONS)
        raise ValueError(f"{path} starts with 0x{content[:4].hex()}, and must start with {wanted}: not an idx file")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise ValueError(f"{path} ends within its header, at byte {len(content)} of {start}; download it again")
    return struct.unpack(f">{dimensions}I", content[4:start]), start


def _first_file(folder: Path, stem: str, ending: str) -> Path | None:
    names = [f"{stem}{dot}{ending}{compressed}" for compressed in ("", ".gz") for dot in ("-", ".")]
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
