"""Every operation that export translates computes what MindSpore computes, at batch 1, 7 and 64."""

from __future__ import annotations

import mindspore
import pytest

from .comparison import differences, inputs, translated
from .function_cases import FUNCTIONS, Case
from .layer_cases import LAYERS

CASES = {**LAYERS, **FUNCTIONS}


@pytest.mark.parametrize("case", [pytest.param(case, id=name) for name, case in CASES.items()])
def test_operation_follows_mindspore_at_every_batch_size(case: Case) -> None:
    mindspore.set_seed(1)
    network, x = case.make(), inputs(case)
    graph = translated(network, x)
    assert set(differences(network, graph, x)) == {1, 7, 64}
    assert all(str(value.shape[0]).endswith("batch") for value in (*graph.inputs, *graph.outputs))


@pytest.mark.parametrize("opset", [21, 22])
@pytest.mark.parametrize("name", ["conv_pad", "group_norm", "average_pool_same", "attention", "gelu_exact", "lstm"])
def test_later_opsets_compute_the_same(name: str, opset: int) -> None:
    mindspore.set_seed(1)
    network, x = CASES[name].make(), inputs(CASES[name])
    graph = translated(network, x, opset)
    assert graph.opset == opset
    assert set(differences(network, graph, x)) == {1, 7, 64}
