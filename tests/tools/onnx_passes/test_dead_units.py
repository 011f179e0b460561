"""Which units go, which stay, and that nothing else changes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mindveil.tools.onnx_passes.batch_norm import fold_batch_norm
from mindveil.tools.onnx_passes.check import same_numbers
from mindveil.tools.onnx_passes.dead_units import remove_dead_units
from mindveil.tools.onnx_passes.graph import Graph, producers

from .models import graph, lenet, node, randn, residual


def shapes(result: Graph) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in result.weights.items()}


def two_layers(first: Any, bias: Any, second: Any, *, activation: str = "Relu") -> Graph:
    nodes = [
        node("Gemm", "x a.weight a.bias", "a", transB=1),
        node(activation, "a", "a_act"),
        node("Gemm", "a_act b.weight b.bias", "logits", transB=1),
    ]
    weights = {"a.weight": first, "a.bias": bias, "b.weight": second, "b.bias": randn(9, len(second))}
    return graph(nodes, weights, (first.shape[1],), (len(second),))


def test_a_unit_that_nothing_reads_goes() -> None:
    second = randn(3, 4, 6)
    second[:, [1, 5]] = 0
    before = two_layers(randn(1, 6, 5), randn(2, 6), second)
    after = remove_dead_units(before)
    assert shapes(after)["a.weight"] == (4, 5)
    assert shapes(after)["b.weight"] == (4, 4)
    np.testing.assert_array_equal(after.weights["a.bias"], before.weights["a.bias"][[0, 2, 3, 4]])


@pytest.mark.parametrize("activation", ["Relu", "Sigmoid", "Tanh", "Gelu", "Elu", "HardSwish", "Softplus"])
def test_a_constant_unit_moves_into_the_next_bias(activation: str) -> None:
    first, bias = randn(1, 6, 5), np.abs(randn(2, 6)) + 1
    first[[0, 3]] = 0
    before = two_layers(first, bias, randn(3, 4, 6), activation=activation)
    after = remove_dead_units(before)
    assert shapes(after)["a.weight"] == (4, 5)
    assert same_numbers(before, after) < 1e-6
    assert not np.allclose(after.weights["b.bias"], before.weights["b.bias"])


def test_a_chain_of_constants_goes_in_one_run() -> None:
    nodes = [
        node("Gemm", "x a a0", "u", transB=1),
        node("Relu", "u", "u_relu"),
        node("Gemm", "u_relu b b0", "v", transB=1),
        node("Relu", "v", "v_relu"),
        node("Gemm", "v_relu c", "logits", transB=1),
    ]
    a, b = randn(1, 6, 5), randn(2, 7, 6)
    a[2] = 0  # unit 2 of u is relu(a0[2])
    b[4, [0, 1, 3, 4, 5]] = 0  # unit 4 of v reads unit 2 of u alone
    before = graph(nodes, {"a": a, "a0": randn(3, 6), "b": b, "b0": randn(4, 7), "c": randn(5, 3, 7)}, (5,), (3,))
    after = remove_dead_units(before)
    assert shapes(after)["b"] == (6, 5)
    assert shapes(after)["c"] == (3, 6)
    assert same_numbers(before, after) < 1e-6


def test_a_chain_of_unread_units_goes_in_one_run() -> None:
    before = lenet(density=1.0)
    before.weights["fc3.weight"][:, 7] = 0
    before.weights["fc2.weight"][np.arange(84) != 7, 11] = 0
    after = remove_dead_units(before)
    assert shapes(after)["fc2.weight"] == (83, 119)
    assert shapes(after)["fc1.weight"] == (119, 400)


def test_a_channel_goes_with_its_block_behind_flatten() -> None:
    before = lenet(density=1.0)
    before.weights["fc1.weight"][:, 25:50] = 0
    after = remove_dead_units(before)
    assert shapes(after)["conv2.weight"] == (15, 6, 5, 5)
    assert shapes(after)["fc1.weight"] == (120, 375)


def test_part_of_a_channel_block_keeps_the_channel() -> None:
    before = lenet(density=1.0)
    before.weights["fc1.weight"][:, 25:49] = 0
    assert shapes(remove_dead_units(before)) == shapes(before)


def test_residual_channels_stand_or_fall_together() -> None:
    assert shapes(remove_dead_units(residual((1, 4), (1, 4))))["conv3.weight"] == (3, 4, 3, 3)
    assert shapes(remove_dead_units(residual((1, 4), ())))["conv3.weight"] == (3, 6, 3, 3)
    assert shapes(remove_dead_units(residual((), (1, 4))))["conv3.weight"] == (3, 6, 3, 3)


def test_residual_after_folding_normalisation() -> None:
    before = residual((0, 5), (0, 5))
    after = remove_dead_units(fold_batch_norm(before))
    assert shapes(after)["conv2.weight"] == (4, 4, 3, 3)
    assert same_numbers(before, after) < 1e-6


def padded(pads: tuple[int, ...], bias: float) -> Graph:
    nodes = [
        node("Conv", "x a a0", "u", kernel_shape=(3, 3)),
        node("Relu", "u", "u_relu"),
        node("Conv", "u_relu b", "logits", kernel_shape=(3, 3), pads=pads),
    ]
    a, a0 = randn(1, 4, 2, 3, 3), randn(2, 4)
    a[2], a0[2] = 0, bias
    size = 6 + 2 * pads[0] - 2
    return graph(nodes, {"a": a, "a0": a0, "b": randn(3, 3, 4, 3, 3)}, (2, 8, 8), (3, size, size))


@pytest.mark.parametrize(
    ("pads", "bias", "channels"),
    [((0, 0, 0, 0), 0.7, 3), ((1, 1, 1, 1), -0.7, 3), ((1, 1, 1, 1), 0.0, 3), ((1, 1, 1, 1), 0.7, 4)],
)
def test_a_constant_folds_through_padding_only_if_it_is_zero(pads: Any, bias: float, channels: int) -> None:
    before = padded(pads, bias)
    after = remove_dead_units(before)
    assert len(after.weights["a"]) == channels
    assert same_numbers(before, after) < 1e-6


def test_outputs_keep_their_width_even_if_constant() -> None:
    before = two_layers(randn(1, 6, 5), randn(2, 6), np.zeros((4, 6), np.float32))
    after = remove_dead_units(before)
    assert shapes(after)["b.weight"] == (4, 1)
    assert same_numbers(before, after) == 0


def test_one_unit_stays_where_all_are_dead() -> None:
    before = two_layers(np.zeros((6, 5), np.float32), randn(2, 6), randn(3, 4, 6))
    after = remove_dead_units(before)
    assert shapes(after)["a.weight"] == (1, 5)
    assert same_numbers(before, after) < 1e-6


def test_a_softmax_over_units_keeps_them_all() -> None:
    second = randn(3, 4, 6)
    second[:, 1] = 0
    before = two_layers(randn(1, 6, 5), randn(2, 6), second, activation="Softmax")
    assert shapes(remove_dead_units(before)) == shapes(before)


def test_a_shared_weight_is_left_whole() -> None:
    nodes = [
        node("Gemm", "x w", "a", transB=1),
        node("Relu", "a", "a_relu"),
        node("Gemm", "a_relu w", "logits", transB=1),
    ]
    weight = randn(1, 5, 5)
    weight[:, 2] = 0
    before = graph(nodes, {"w": weight}, (5,), (5,))
    assert shapes(remove_dead_units(before)) == {"w": (5, 5)}


def test_a_shared_bias_is_copied_before_it_is_cut() -> None:
    nodes = [
        node("Gemm", "x a bias", "u", transB=1),
        node("Relu", "u", "u_relu"),
        node("Gemm", "u_relu b bias", "logits", transB=1),
    ]
    b = randn(2, 6, 6)
    b[:, [0, 4]] = 0
    before = graph(nodes, {"a": randn(1, 6, 5), "b": b, "bias": randn(3, 6)}, (5,), (6,))
    after = remove_dead_units(before)
    assert shapes(after)["a"] == (4, 5)
    assert same_numbers(before, after) < 1e-6


def test_concatenated_channels_go_one_by_one() -> None:
    nodes = [
        node("Conv", "x a", "u", kernel_shape=(1, 1)),
        node("Conv", "x b", "v", kernel_shape=(1, 1)),
        node("Concat", "u v", "both", axis=1),
        node("Conv", "both c", "logits", kernel_shape=(1, 1)),
    ]
    c = randn(3, 2, 7, 1, 1)
    c[:, [1, 5]] = 0
    before = graph(nodes, {"a": randn(1, 3, 2, 1, 1), "b": randn(2, 4, 2, 1, 1), "c": c}, (2, 4, 4), (2, 4, 4))
    after = remove_dead_units(before)
    assert shapes(after) == {"a": (2, 2, 1, 1), "b": (3, 2, 1, 1), "c": (2, 5, 1, 1)}
    assert same_numbers(before, after) < 1e-6


@pytest.mark.parametrize("pads", [(0, 0, 0, 0), (1, 1, 1, 1)])
def test_depthwise_channels_go_with_their_groups(pads: tuple[int, ...]) -> None:
    nodes = [
        node("Conv", "x a", "u", kernel_shape=(1, 1)),
        node("Conv", "u d d0", "v", kernel_shape=(3, 3), group=5, pads=pads),
        node("Relu", "v", "v_relu"),
        node("Conv", "v_relu c", "logits", kernel_shape=(1, 1)),
    ]
    a, c = randn(1, 5, 2, 1, 1), randn(4, 3, 5, 1, 1)
    a[3] = 0
    c[:, 1] = 0
    weights = {"a": a, "d": randn(2, 5, 1, 3, 3), "d0": randn(3, 5), "c": c}
    size = 6 + 2 * pads[0]
    before = graph(nodes, weights, (2, 8, 8), (3, size, size))
    after = remove_dead_units(before)
    assert shapes(after)["d"] == (3, 1, 3, 3)
    assert producers(after)["v"].attribute("group", 1) == 3
    assert same_numbers(before, after) < 1e-6


def test_reshape_that_spells_out_the_width_is_adapted() -> None:
    nodes = [
        node("Conv", "x a", "u", kernel_shape=(3, 3)),
        node("Reshape", "u shape", "flat"),
        node("Gemm", "flat b", "logits", transB=1),
    ]
    b = randn(2, 3, 64)
    b[:, 16:32] = 0
    before = graph(nodes, {"a": randn(1, 4, 2, 3, 3), "shape": np.array([-1, 64]), "b": b}, (2, 6, 6), (3,))
    after = remove_dead_units(before)
    assert shapes(after)["b"] == (3, 48)
    assert after.weights["shape"].tolist() == [-1, 48]
    assert same_numbers(before, after) < 1e-6


@pytest.mark.parametrize(("multiple", "channels"), [(1, 5), (2, 6), (4, 8), (16, 9)])
def test_convolutions_keep_a_multiple_of_channels(multiple: int, channels: int) -> None:
    nodes = [
        node("Conv", "x a", "u", kernel_shape=(3, 3)),
        node("Relu", "u", "u_relu"),
        node("Conv", "u_relu b", "logits", kernel_shape=(1, 1)),
    ]
    b = randn(2, 3, 9, 1, 1)
    b[:, :4] = 0
    before = graph(nodes, {"a": randn(1, 9, 2, 3, 3), "b": b}, (2, 6, 6), (3, 4, 4))
    after = remove_dead_units(before, multiple=multiple)
    assert len(after.weights["a"]) == channels
    assert same_numbers(before, after) < 1e-6


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), density=st.sampled_from([0.01, 0.03, 0.1, 0.3]))
def test_random_sparse_networks_keep_their_function(seed: int, density: float) -> None:
    before = lenet(density, seed)
    after = remove_dead_units(before)
    assert same_numbers(before, after) < 1e-6
    sizes = [sum(array.size for array in item.weights.values()) for item in (before, after)]
    assert sizes[1] < sizes[0] if density < 0.1 else sizes[1] <= sizes[0]
