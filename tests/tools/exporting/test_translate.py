"""What export refuses, and how it names values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import mindspore
import numpy as np
import pytest
from mindspore import nn, ops

from mindveil.runtime.networks import LeNet5
from mindveil.tools.exporting.naming import layer_of, value_name
from mindveil.tools.exporting.source import UnsupportedModelError

from .comparison import translated
from .layer_cases import Masked, Residual, Shapes, SharedLayer


def rows(*shape: int) -> np.ndarray[Any, Any]:
    return np.zeros((4, *shape), np.float32)


def values(network: Any, *shape: int) -> list[str]:
    return [name for node in translated(network, rows(*shape)).nodes for name in node.outputs if "/" not in name]


def test_lenet_values_are_named_after_their_layers() -> None:
    assert values(LeNet5(), 1, 32, 32) == [
        *("conv1", "conv1_relu", "conv1_relu_maxpool", "conv2", "conv2_relu", "conv2_relu_maxpool"),
        *("conv2_relu_maxpool_flatten", "fc1", "fc1_relu", "fc2", "fc2_relu", "logits"),
    ]


def test_parameters_keep_their_names_and_numbers() -> None:
    network = LeNet5()
    graph = translated(network, rows(1, 32, 32))
    trained = {name: value.asnumpy() for name, value in network.parameters_dict().items()}
    assert set(trained) == set(graph.weights)
    for name, array in trained.items():
        np.testing.assert_array_equal(graph.weights[name], array)


def test_a_value_of_two_values_is_named_after_its_cell() -> None:
    assert values(Residual(), 4, 9, 8) == ["conv1", "conv1_relu", "conv2", "norm", "add", "logits"]


def test_a_layer_used_twice_numbers_its_second_value() -> None:
    assert values(SharedLayer(), 6) == ["fc", "fc_relu", "logits"]
    assert values(nn.SequentialCell(SharedLayer(), nn.Tanh()), 6) == ["0.fc", "0.fc_relu", "0.fc_2", "logits"]


def test_exact_gelu_and_leaky_relu_are_one_named_node() -> None:
    network = nn.SequentialCell(nn.Dense(6, 5), nn.GELU(False), nn.Dense(5, 4), nn.LeakyReLU(0.2), nn.Dense(4, 3))
    graph = translated(network, rows(6))
    assert [node.op for node in graph.nodes] == ["Gemm", "Gelu", "Gemm", "LeakyRelu", "Gemm"]
    assert values(network, 6) == ["0", "0_gelu", "2", "2_leakyrelu", "logits"]


def test_names_follow_from_operation_scope_and_sources() -> None:
    assert layer_of("block.fc1.weight") == "block.fc1"
    assert layer_of("weight") == ""
    assert value_name("ReLU", "Default/relu-ReLU/ReLU-op0", ["fc1"], []) == "fc1_relu"
    assert value_name("Add", "Default/layer1-SequentialCell/0-Block/Add-op0", ["a", "b"], []) == "layer1.0_add"
    assert value_name("Conv2D", "Default/conv1-Conv2d/Conv2D-op0", ["x"], ["conv1"]) == "conv1"


def test_equal_cells_are_told_apart() -> None:
    network = nn.SequentialCell(*(Residual() for _ in range(3)))
    added = [name for name in values(network, 4, 9, 8) if name.endswith("add")]
    assert added == ["0_add", "1_add", "2_add"]


def test_batch_is_symbolic_through_reshapes() -> None:
    graph = translated(Shapes(), rows(6, 4))
    assert graph.outputs[0].shape == ("batch", 24)


class Unknown(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.weight = mindspore.Parameter(mindspore.Tensor(np.eye(4, dtype=np.float32)), name="square.weight")

    def construct(self, x: Any) -> Any:
        return ops.matmul(x, ops.inverse(self.weight)) + ops.erfinv(x)


def test_unknown_operations_are_all_listed_with_scope_and_parameter() -> None:
    with pytest.raises(UnsupportedModelError, match=r"2 operations have no translation") as caught:
        translated(Unknown(), rows(4))
    assert "MatrixInverse" in str(caught.value)
    assert "(parameter square.weight)" in str(caught.value)
    assert "Erfinv at Default/" in str(caught.value)


class Branch(nn.Cell):
    def construct(self, x: Any) -> Any:
        if x.sum() > 0:
            return x + 1
        return x - 1


def test_a_branch_on_data_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="one straight path"):
        translated(Branch(), rows(4))


def test_a_refused_network_leaves_the_compiler_as_it_was() -> None:
    before = mindspore.get_context("jit_syntax_level")
    with pytest.raises(UnsupportedModelError, match="MindSpore cannot compile Wrong for inputs"):
        translated(Wrong(), rows(4))
    assert mindspore.get_context("jit_syntax_level") == before


def test_a_refused_network_leaves_no_dump_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnsupportedModelError, match="MindSpore cannot compile Wrong"):
        translated(Wrong(), rows(4))
    assert list(tmp_path.iterdir()) == []


class Wrong(nn.Cell):
    def construct(self, x: Any) -> Any:
        return ops.matmul(x, ops.zeros((7, 7), mindspore.float32))


class OverRows(nn.Cell):
    def construct(self, x: Any) -> Any:
        total = x[0]
        for row in range(1, x.shape[0]):
            total = total + x[row]
        return total


def test_a_loop_over_rows_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="same operations at every batch size"):
        translated(OverRows(), rows(4))


class OneMoreThanRows(nn.Cell):
    def construct(self, x: Any) -> Any:
        return ops.concat((x, ops.zeros((1, 4), mindspore.float32)), 0)


def test_a_size_that_is_no_multiple_of_the_batch_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="no multiple of the batch size"):
        translated(OneMoreThanRows(), rows(4))


class RowNumbers(nn.Cell):
    def construct(self, x: Any) -> Any:
        return x + ops.arange(x.shape[0]).reshape(-1, 1)


def test_a_constant_that_differs_from_row_to_row_is_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="more than its number of equal rows"):
        translated(RowNumbers(), rows(4))


class Training(nn.Cell):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4, use_batch_statistics=True)

    def construct(self, x: Any) -> Any:
        return self.norm(x)


def test_statistics_of_the_batch_are_refused() -> None:
    with pytest.raises(UnsupportedModelError, match="rows would influence each other"):
        translated(Training(), rows(4))


def test_a_mask_is_folded_into_the_weight_and_gone() -> None:
    from mindveil.tools.onnx_passes.pipeline import optimise

    network = Masked()
    graph, _ = optimise(translated(network, rows(6)), "none")
    assert [node.op for node in graph.nodes] == ["MatMul", "Add"]
    expected = network.fc.weight.asnumpy() * network.mask.asnumpy()
    np.testing.assert_array_equal(graph.weights["fc.weight"], expected.T)
    assert set(graph.weights) == {"fc.weight", "fc.bias"}
