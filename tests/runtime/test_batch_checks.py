"""Arguments of batches that are refused, with the reason."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mindveil.runtime.batches import PoissonBatches, ShuffledBatches


def numbered(count: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    return np.ones((count, 1, 2, 2), np.float32), np.arange(count, dtype=np.int32)


@pytest.mark.parametrize("rate", [0, 0.0, -0.1, 1.0001, float("nan"), float("inf")])
def test_a_rate_out_of_range_is_refused(rate: float) -> None:
    with pytest.raises(ValueError, match=r"sampling_rate is .*, and must be in \(0, 1\]; it is batch / records"):
        PoissonBatches(numbered(4), sampling_rate=rate, physical_batch=4, steps=1)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sampling_rate": True}, r"sampling_rate is True, and must be a number"),
        ({"sampling_rate": "0.1"}, r"sampling_rate is '0.1', and must be a number"),
        ({"physical_batch": True}, r"physical_batch is True, and must be a whole number"),
        ({"physical_batch": 2.0}, r"physical_batch is 2.0, and must be a whole number"),
        ({"steps": False}, r"steps is False, and must be a whole number"),
        ({"seed": 1.5}, r"seed is 1.5, and must be a whole number"),
        ({"seed": True}, r"seed is True, and must be a whole number"),
        ({"arrays": np.zeros((4, 2))}, r"arrays is a ndarray, and must be the pair \(images, labels\)"),
        ({"arrays": (np.zeros(4),)}, r"arrays is a tuple of 1, and must be the pair"),
        ({"arrays": (np.zeros(4), np.array(list("abcd")))}, r"labels is <U1 \(4,\), and must be an array of numbers"),
        ({"arrays": (np.float32(1), np.zeros(4))}, r"images is float32 \(\), and must be an array of numbers"),
    ],
)
def test_arguments_of_the_wrong_type_are_refused(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {
        "arrays": numbered(4),
        "sampling_rate": 0.5,
        "physical_batch": 4,
        "steps": 1,
        "seed": 0,
    } | changes
    with pytest.raises(TypeError, match=message):
        PoissonBatches(arguments.pop("arrays"), **arguments)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"batch_size": 0}, r"batch_size is 0, and must be at least 1"),
        ({"epochs": -1}, r"epochs is -1, and must be at least 1"),
        ({"seed": -1}, r"seed is -1, and must be at least 0"),
        ({"arrays": (np.zeros((4, 1)), np.zeros(3))}, r"there are 4 images and 3 labels"),
        ({"arrays": (np.zeros((0, 1)), np.zeros(0))}, r"there are 0 images and 0 labels, .* at least one"),
        ({"arrays": (np.array([1, np.nan]), np.zeros(2))}, r"images holds 1 values that are not finite"),
        ({"arrays": (np.zeros(2), np.array([np.inf, -np.inf]))}, r"labels holds 2 values that are not finite"),
    ],
)
def test_arguments_out_of_range_are_refused(changes: dict[str, Any], message: str) -> None:
    arguments: dict[str, Any] = {"arrays": numbered(4), "batch_size": 4, "epochs": 1, "seed": 0} | changes
    with pytest.raises(ValueError, match=message):
        ShuffledBatches(arguments.pop("arrays"), **arguments)
