"""The conditions on what batches are made of, and on the positions that they are restored to."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["State", "checked_arrays", "checked_position", "checked_rate", "checked_seed", "checked_shard", "positive"]

Array = npt.NDArray[Any]
State = dict[str, int | float | None]


def checked_arrays(arrays: tuple[Array, Array]) -> tuple[Array, Array]:
    """Read-only views of images and labels of one length above 0, all finite numbers.

    Raises:
        TypeError: there are not two arrays, or they do not hold numbers.
        ValueError: they are empty, of different length, or not finite.
    """
    if not isinstance(arrays, (tuple, list)) or len(arrays) != 2:
        got = (
            f"{type(arrays).__name__} of {len(arrays)}" if isinstance(arrays, (tuple, list)) else type(arrays).__name__
        )
        raise TypeError(f"arrays is a {got}, and must be the pair (images, labels)")
    images, labels = _numbers("images", arrays[0]), _numbers("labels", arrays[1])
    if len(images) != len(labels) or len(images) == 0:
        raise ValueError(
            f"there are {len(images)} images and {len(labels)} labels, and there must be equally many, at least one"
        )
    return images, labels


def checked_rate(rate: float) -> float:
    """The sampling rate as a float in (0, 1].

    Raises:
        TypeError: it is not a number.
        ValueError: it is out of range.
    """
    if isinstance(rate, (bool, np.bool_)) or not isinstance(rate, (int, float, np.integer, np.floating)):
        raise TypeError(f"sampling_rate is {rate!r}, and must be a number in (0, 1]; it is batch / records")
    if not 0 < rate <= 1:
        raise ValueError(f"sampling_rate is {rate}, and must be in (0, 1]; it is batch / records")
    return float(rate)


def checked_shard(num_shards: int, shard_id: int) -> tuple[int, int]:
    """``(shard_id, num_shards)``, the first below the second.

    Raises:
        TypeError: one is not a whole number.
        ValueError: one is out of range.
    """
    shards, number = positive("num_shards", num_shards), _whole("shard_id", shard_id)
    if not 0 <= number < shards:
        raise ValueError(f"shard_id is {number}, and must be at least 0 and below num_shards, {shards}")
    return number, shards


def positive(name: str, value: int) -> int:
    """``value`` as an int of at least 1.

    Raises:
        TypeError: it is not a whole number (a bool is none either).
        ValueError: it is below 1.
    """
    number = _whole(name, value)
    if number < 1:
        raise ValueError(f"{name} is {number}, and must be at least 1")
    return number


def checked_seed(seed: int) -> int:
    """``seed`` as an int of at least 0.

    Raises:
        TypeError: it is not a whole number.
        ValueError: it is negative.
    """
    number = _whole("seed", seed)
    if number < 0:
        raise ValueError(f"seed is {number}, and must be at least 0")
    return number


def checked_position(state: Mapping[str, int | float | None], identity: State, steps: int) -> int:
    """The number of complete steps in a saved state that belongs to batches of this identity.

    Raises:
        ValueError: it belongs to other ones, or lies beyond the last step.
    """
    wrong = [f"{name} is {state.get(name)!r}, here {own!r}" for name, own in identity.items() if state.get(name) != own]
    if wrong:
        raise ValueError(f"the saved state is of other batches: {'; '.join(wrong)}; resume with the same arguments")
    done = _whole("done", state.get("done"))
    if not 0 <= done <= steps:
        raise ValueError(f"the saved state has {done} complete steps, and there are {steps} here; raise their number")
    return done


def _numbers(name: str, array: Array) -> Array:
    view = np.asarray(array).view()
    if view.ndim == 0 or not (np.issubdtype(view.dtype, np.number) or view.dtype == np.bool_):
        raise TypeError(f"{name} is {view.dtype} {view.shape}, and must be an array of numbers with an axis of records")
    if not np.isfinite(view).all():
        raise ValueError(f"{name} holds {np.count_nonzero(~np.isfinite(view))} values that are not finite; clean them")
    view.flags.writeable = False
    return view


def _whole(name: str, value: Any) -> int:
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(f"{name} is {value!r}, and must be a whole number")
    try:
        return operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}, and must be a whole number") from None
