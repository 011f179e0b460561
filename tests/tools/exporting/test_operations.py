"""Every operation that export translates computes what MindSpore computes, at batch 1, 7 and 64."""

from __future__ import annotations

from typing import Any

import mindspore
import pytest

from mindveil.tools.exporting.verify import VerificationError

from .comparison import differences, inputs, translated
from .function_cases import ApplyEach, Case
from .layer_cases import LAYERS
from .shape_function_cases import FUNCTIONS

SHAPES = [pytest.param(key, id="x".join(map(str, key[0])) + "_ids" * bool(key[1])) for key in FUNCTIONS]


@pytest.mark.parametrize("name", LAYERS)
def test_layer_follows_mindspore_at_every_batch_size(name: str) -> None:
    mindspore.set_seed(1)
    case = LAYERS[name]
    network, x = case.make(), inputs(case)
    graph = translated(network, x)
    assert set(differences(network, graph, x)) == {1, 7, 64}
    assert all(str(value.shape[0]).endswith("batch") for value in (*graph.inputs, *graph.outputs))


@pytest.mark.parametrize("key", SHAPES)
def test_functions_follow_mindspore_at_every_batch_size(key: Any) -> None:
    functions = FUNCTIONS[key]
    case = Case(lambda: ApplyEach(functions), *key)
    network, x = case.make(), inputs(case)
    graph = translated(network, x)
    try:
        found = differences(network, graph, x)
    except VerificationError as error:
        raise AssertionError(f"{error}; results are {list(enumerate(item.__name__ for item in functions))}") from error
    assert set(found) == {1, 7, 64}
    assert len(graph.outputs) == len(functions)
    assert all(str(value.shape[0]).endswith("batch") for value in graph.outputs)


@pytest.mark.parametrize("opset", [21, 22])
@pytest.mark.parametrize("name", ["conv_pad", "group_norm", "average_pool_same", "gelu_exact"])
def test_later_opsets_compute_the_same(name: str, opset: int) -> None:
    network, x = LAYERS[name].make(), inputs(LAYERS[name])
    graph = translated(network, x, opset)
    assert graph.opset == opset
    assert set(differences(network, graph, x)) == {1, 7, 64}
