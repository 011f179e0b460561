"""Levels, checks after each pass, and the choice by measurement."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from mindveil.tools.onnx_passes import pipeline
from mindveil.tools.onnx_passes.check import PassError, check_model, largest_difference, same_numbers
from mindveil.tools.onnx_passes.graph import Graph
from mindveil.tools.onnx_passes.measure import Timing, compare
from mindveil.tools.onnx_passes.pipeline import optimise

from .models import graph, lenet, masked_mlp, node, randn


@pytest.mark.parametrize("level", ["none", "size", "speed", "both"])
def test_every_level_keeps_the_function_and_reports(level: Any) -> None:
    before = lenet()
    after, steps = optimise(before, level)
    assert same_numbers(before, after) < 1e-6
    assert steps[0].name == "fold_constants"
    assert [name for name in ("fc1", "fc1_relu", "logits") if name not in after.shapes] == []
    assert after.shapes["fc1_relu"].shape[0] == "batch"


def test_level_none_only_folds() -> None:
    after, steps = optimise(masked_mlp(), "none")
    assert [step.name for step in steps] == ["fold_constants"]
    assert [item.op for item in after.nodes] == ["Gemm", "Relu", "Gemm"]


def test_a_kept_value_survives_every_level() -> None:
    for level in ("size", "speed", "both"):
        after, _ = optimise(lenet(), level, keep=["conv1", "conv2_relu"])
        assert {"conv1", "conv2_relu"} <= set(after.shapes)


def test_a_pass_that_changes_numbers_is_stopped_with_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(before: Graph) -> Graph:
        weights = dict(before.weights)
        weights["fc3.bias"] = weights["fc3.bias"] + 0.01
        return before.with_nodes(before.nodes, weights)

    monkeypatch.setattr(pipeline, "fold_constants", broken)
    with pytest.raises(PassError, match=r"pass fold_constants: the outputs differ by .* and 1e-05 is allowed"):
        optimise(lenet(), "none")


def test_a_pass_that_breaks_the_graph_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "fold_constants", lambda before: before.with_nodes(before.nodes[1:]))
    with pytest.raises(PassError, match="pass fold_constants: not a valid ONNX model"):
        optimise(lenet(), "none")


def test_a_slower_candidate_is_never_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(graphs: list[Graph], rows: int) -> tuple[Timing, ...]:
        return (Timing(1.0, 1.0, 1.0), *(Timing(1.5, 1.5, 1.4) for _ in graphs[1:]))

    monkeypatch.setattr(pipeline, "compare", timed)
    before = lenet()
    after, steps = optimise(before, "speed")
    assert {name: array.shape for name, array in after.weights.items()} == {
        name: array.shape for name, array in before.weights.items()
    }
    assert {step.note for step in steps if not step.kept} == {"slower than before"}


def test_slow_at_one_batch_size_is_enough_to_be_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(graphs: list[Graph], rows: int) -> tuple[Timing, ...]:
        ratio = 1.1 if rows == 1 else 0.2
        return (Timing(1.0, 1.0, 1.0), *(Timing(ratio, ratio, ratio) for _ in graphs[1:]))

    monkeypatch.setattr(pipeline, "compare", timed)
    _, steps = optimise(lenet(), "speed")
    assert not any(step.kept for step in steps if step.latency_after)


def test_of_equally_fast_candidates_the_smallest_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    def timed(graphs: list[Graph], rows: int) -> tuple[Timing, ...]:
        return tuple(Timing(1.0, 1.0, 1.0) for _ in graphs)

    monkeypatch.setattr(pipeline, "compare", timed)
    after, steps = optimise(lenet(), "speed")
    assert [step.name for step in steps if step.kept][-1] == "remove_dead_units(multiple=1)"
    assert "conv1_relu" in after.shapes


def test_timing_sees_a_graph_with_twice_the_work() -> None:
    def work(times: int) -> Graph:
        names = ["x", *(f"v{number}" for number in range(times - 1)), "logits"]
        nodes = [node("MatMul", f"{one} w", two) for one, two in itertools.pairwise(names)]
        return graph(nodes, {"w": randn(1, 300, 300) / 20}, (300,), (300,))

    one, two = compare([work(2), work(4)], 16)
    assert one.ratio == 1
    assert 1.4 < two.ratio < 3


def test_check_refuses_an_invalid_graph() -> None:
    with pytest.raises(PassError, match="not a valid ONNX model"):
        check_model(graph([node("Relu", "nothing", "logits")], {}, (3,), (3,)))


def test_a_lone_nan_is_an_infinite_difference() -> None:
    one = graph([node("Identity", "x", "logits")], {}, (3,), (3,))
    two = graph([node("Mul", "x nan", "logits")], {"nan": np.float32(np.nan).reshape(())}, (3,), (3,))
    assert largest_difference(one, two, 4) == float("inf")
