"""The weights remember whether their logical batch ends, whatever is done to them."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import mindspore
import numpy as np
import pytest

from mindveil.runtime.example_weights import ExampleWeights

DEEDS: dict[str, Callable[[ExampleWeights], Any]] = {
    "slice": lambda weights: weights[:2],
    "copy": lambda weights: weights.copy(),
    "deepcopy": copy.deepcopy,
    "product": lambda weights: weights * 2,
    "reshape": lambda weights: weights.reshape(-1),
    "pickle": lambda weights: pickle.loads(pickle.dumps(weights)),
}


@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("deed", DEEDS)
def test_last_survives(deed: str, last: bool) -> None:
    changed = DEEDS[deed](ExampleWeights.of([1, 0, 1], last=last))
    assert isinstance(changed, ExampleWeights)
    assert changed.last is last


def test_weights_are_float32_and_independent_of_their_source() -> None:
    source = np.array([1, 0], np.float32)
    weights = ExampleWeights.of(source)
    source[0] = 5
    assert weights.dtype == np.float32
    assert weights.tolist() == [1, 0]
    assert weights.last


def test_a_plain_array_viewed_as_weights_ends_its_batch() -> None:
    assert np.ones(3, np.float32).view(ExampleWeights).last


def test_mindspore_takes_them_as_an_ordinary_array() -> None:
    np.testing.assert_array_equal(mindspore.Tensor(ExampleWeights.of([1, 0, 1])).asnumpy(), [1, 0, 1])
