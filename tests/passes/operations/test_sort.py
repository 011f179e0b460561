"""A sort keeps examples apart along every axis but theirs."""

from __future__ import annotations

import pytest

from mindveil.passes.graph import Node, StepGraph, TensorType
from mindveil.passes.operations import OPERATIONS
from mindveil.passes.operations.table import RefusedError, View
from mindveil.passes.privacy import Many, PerExample, Privacy


def typed(axis: int) -> Privacy:
    rows = TensorType((4, 3), "Float32")
    data = Node(0, "parameter", rows, name="x")
    node = Node(1, "op", TensorType(elements=(rows, rows)), "Sort", (0,), {"axis": axis, "descending": False})
    return OPERATIONS["Sort"].privacy(View(StepGraph({0: data, 1: node}, (0,), 1), {0: PerExample(1)}, 4), node)


@pytest.mark.parametrize("axis", [1, -1])
def test_values_and_order_stay_with_their_example(axis: int) -> None:
    assert typed(axis) == Many((PerExample(1), PerExample(1)))


@pytest.mark.parametrize("axis", [0, -2])
def test_along_the_examples_it_is_refused(axis: int) -> None:
    with pytest.raises(RefusedError, match="sorts along the examples"):
        typed(axis)
