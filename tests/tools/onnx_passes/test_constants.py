"""What follows from weights alone becomes a weight with a good name."""

from __future__ import annotations

import numpy as np

from mindveil.tools.onnx_passes.constants import drop_unused, fold_constants

from .models import graph, masked_mlp, node, randn


def test_a_masked_weight_keeps_the_parameters_name_and_the_mask_is_gone() -> None:
    before = masked_mlp()
    after = fold_constants(before)
    assert set(after.weights) == {"fc1.weight", "fc1.bias", "fc2.weight"}
    expected = before.weights["fc1.weight"] * before.weights["fc1.mask"]
    np.testing.assert_array_equal(after.weights["fc1.weight"], expected)
    assert [item.op for item in after.nodes] == ["Gemm", "Relu", "Gemm"]


def test_a_parameter_that_is_also_read_plainly_keeps_its_own_numbers() -> None:
    nodes = [
        node("Mul", "w m", "masked"),
        node("MatMul", "x masked", "a"),
        node("MatMul", "a w", "logits"),
    ]
    before = graph(nodes, {"w": randn(1, 4, 4), "m": randn(2, 4, 4)}, (4,), (4,))
    after = fold_constants(before)
    np.testing.assert_array_equal(after.weights["w"], before.weights["w"])
    np.testing.assert_array_equal(after.weights["m"], before.weights["w"] * before.weights["m"])


def test_a_constant_output_is_kept_under_its_name() -> None:
    before = graph([node("Mul", "w w", "logits")], {"w": randn(1, 4, 4)}, (4,), (4,))
    after = fold_constants(before)
    np.testing.assert_array_equal(after.weights["logits"], before.weights["w"] ** 2)


def test_random_numbers_are_never_folded() -> None:
    nodes = [node("RandomNormalLike", "w", "noise"), node("Add", "x noise", "logits")]
    before = graph(nodes, {"w": randn(1, 4)}, (4,), (4,))
    assert [item.op for item in fold_constants(before).nodes] == ["RandomNormalLike", "Add"]


def test_unused_nodes_weights_and_identities_go() -> None:
    nodes = [
        node("Relu", "x", "unused"),
        node("Identity", "x", "same"),
        node("MatMul", "same w", "logits"),
    ]
    after = drop_unused(graph(nodes, {"w": randn(1, 4, 4), "v": randn(2, 4)}, (4,), (4,)))
    assert [item.inputs for item in after.nodes] == [("x", "w")]
    assert set(after.weights) == {"w"}


def test_an_identity_that_is_the_output_stays() -> None:
    after = drop_unused(graph([node("Identity", "x", "logits")], {}, (4,), (4,)))
    assert [item.op for item in after.nodes] == ["Identity"]
