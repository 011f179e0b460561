"""What each pass vouches for, and what is refused where passes are missing, in another order, or wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from mindspore import nn

from mindveil.passes.average import Average
from mindveil.passes.clip import Clip
from mindveil.passes.edits import Builder
from mindveil.passes.graph import Node, StepGraph, TensorType
from mindveil.passes.infer import Declared, Typed, infer
from mindveil.passes.marker import read_marker, with_gradients
from mindveil.passes.mask import Mask
from mindveil.passes.noise import Noise, noise_node
from mindveil.passes.pipeline import Compiled, GraphPass, Purpose, run
from mindveil.passes.privacy import Bounded, Mixed, PrivacyError, Public, Summed
from mindveil.passes.workers import FromFirstWorker, SumOverWorkers
from mindveil.runtime import DPSGD, PrivateStep, Suppression
from mindveil.runtime import step as step_module

RATE = 0.1
Change = Callable[[Typed, Builder], dict[str, int]]


@dataclass(frozen=True)
class Instead:
    """A pass that hands other gradients to the optimizer."""

    change: Change
    name: str = "instead"

    def __call__(self, typed: Typed) -> StepGraph:
        build = Builder(typed.graph)
        return with_gradients(build, read_marker(typed.graph), self.change(typed, build))


@pytest.fixture(scope="module")
def graph() -> tuple[StepGraph, Declared]:
    """The graph of a small private step with masks and dropout, before any pass."""
    seen: list[tuple[StepGraph, Declared]] = []
    whole = getattr(step_module, "rewrite")  # noqa: B009  imported there, and looked up there

    def watched(graph: StepGraph, *rest: Any) -> Compiled:
        seen.append((graph, rest[3]))
        compiled: Compiled = whole(graph, *rest)
        return compiled

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(step_module, "rewrite", watched)
        network = nn.SequentialCell(nn.Dense(3, 4), nn.Dropout(p=0.3), nn.Dense(4, 2))
        policies: list[Any] = [DPSGD(1.0, 1.0, RATE, 40), Suppression(0.5, steps=4)]
        step = PrivateStep(network, nn.MSELoss(), nn.SGD(network.trainable_params(), 0.1), policies)
        step.prepare(np.ones((4, 3), np.float32), np.ones((4, 2), np.float32))
    return seen[0]


Graph = tuple[StepGraph, Declared]


def ran(given: Graph, *passes: GraphPass, purpose: Purpose = "private", declared: Declared | None = None) -> Compiled:
    return run(given[0], passes, purpose=purpose, declared=declared or given[1])


def zeros(typed: Typed, build: Builder) -> dict[str, int]:
    marker = read_marker(typed.graph)
    return {
        name: build.constant("tensor", np.zeros(typed.graph[g].shape, np.float32))
        for name, g in marker.gradients.items()
    }


def swapped(typed: Typed, build: Builder) -> dict[str, int]:
    """Noise of deviation C, times a multiplier that is the noise's own: what scales it is not what bounds the sums."""
    marker = read_marker(typed.graph)
    c = marker.controls
    values = list(marker.gradients.values())
    noisy = noise_node(build, c["clip_norm"], c["noise_multiplier"], c["noise_key"], values, typed.batch, RATE, "x")
    return dict(zip(marker.gradients, noisy, strict=True))


def vouched(typed: Typed, build: Builder) -> dict[str, int]:
    """Two sums in one tensor, of which one was computed with, stamped as bounded all the same."""
    marker = read_marker(typed.graph)
    first, *rest = marker.gradients.values()
    flat = [build.reshape(g, (int(np.prod(typed.graph[g].shape)),)) for g in (first, rest[0])]
    flat[0] = build.binary("Mul", flat[0], build.scalar(2.0))
    group = build.op("MakeTuple", flat, TensorType(elements=tuple(build[f].type for f in flat)))
    size = sum(build[f].shape[0] for f in flat)
    joined = build.op("Concat", [group, build.constant("int", 0)], TensorType((size,), "Float32"))
    build.stamp(joined, typed.types[first])
    part = build.op("Slice", [joined, build.ints([0]), build.ints([size - 4])], TensorType((size - 4,), "Float32"))
    build.stamp(part, typed.types[first])
    whole = build.stamp(build.reshape(part, typed.graph[first].shape), typed.types[first])
    return {**marker.gradients, next(iter(marker.gradients)): whole}


def test_gradients_stay_unbounded_sums_behind_the_marker(graph: Graph) -> None:
    typed = infer(*graph)
    marker = read_marker(typed.graph)
    items = {typed.graph[typed.graph[u].inputs[1]].plain: typed.types[u] for u, _ in typed.graph.users(marker.node.id)}
    assert items == {**dict.fromkeys(range(4), Summed()), 4: Public()}  # the last is the place of the count


def test_the_passes_in_their_order_are_private(graph: Graph) -> None:
    compiled = ran(graph, Clip(), Noise(RATE), Mask(), Average(4.0))
    assert [(r.what, r.tensors, r.sampling_rate) for r in compiled.releases] == [("gradients", 4, RATE)]


@pytest.mark.parametrize(
    ("passes", "message"),
    [
        ([], r"with a value that is sum over examples, unbounded, not released"),
        ([Clip()], r"with a value that is bounded by mindveil\.clip_norm, not released"),
        ([Noise(RATE)], "pass noise: .* noise on an unbounded value releases it; clip first"),
        ([Clip(), Average(4.0), Noise(RATE)], "clipped sums must reach the noise as they are"),
        ([Clip(), Clip()], "pass clip: these gradients cannot be clipped example by example"),
        ([Instead(zeros)], "a private step must release something through noise, but its graph holds no noise node"),
        (
            [Clip(), Instead(swapped)],
            r"scaled by mindveil\.noise_multiplier, but the gradients are bounded by mindveil",
        ),
        ([Clip(), Instead(vouched), Noise(RATE)], "clipped sums must reach the noise as they are"),
        ([SumOverWorkers("all"), Clip(), Noise(RATE)], "pass all-reduce: there is no clipped sum to add up"),
        ([Clip(), FromFirstWorker("all"), Noise(RATE)], "pass broadcast: only noisy sums may be handed to all workers"),
    ],
)
def test_other_passes_or_another_order_are_refused(graph: Graph, passes: list[GraphPass], message: str) -> None:
    with pytest.raises(PrivacyError, match=message):
        ran(graph, *passes)


def test_a_step_with_sub_graphs_is_refused(graph: Graph) -> None:
    with pytest.raises(PrivacyError, match=r"the step calls 1 sub-graph\(s\)"):
        ran((replace(graph[0], subgraphs=("a loop",)), graph[1]), Clip(), Noise(RATE))


def test_inputs_of_other_sizes_are_refused(graph: Graph) -> None:
    data = graph[0].data[0]
    other = graph[0].with_nodes({data.id: replace(data, type=TensorType((5, *data.shape[1:]), data.type.dtype))})
    with pytest.raises(PrivacyError, match="every input needs the examples in axis 0"):
        ran((other, graph[1]), Clip(), Noise(RATE))


def test_a_large_constant_could_hold_data_and_small_or_uniform_ones_could_not(graph: Graph) -> None:
    many = Node(9999, "value", TensorType((1000,), "Float32"), value="a tensor", uniform=False)
    for node, kind in (
        (many, Mixed),
        (replace(many, uniform=True), Public),
        (replace(many, type=TensorType((64,), "Float32")), Public),
    ):
        reader = Node(10000, "op", TensorType((), "Float32"), "Depend", (graph[0].output, node.id))
        extended = replace(graph[0].with_nodes({node.id: node, reader.id: reader}), output=reader.id)
        assert isinstance(infer(extended, graph[1]).types[node.id], kind)


def test_a_random_operation_that_a_pass_loses_is_missed(graph: Graph) -> None:
    with pytest.raises(PrivacyError, match=r"pass instead: random operations were lost: \{'Dropout': 1\}"):
        ran(graph, Instead(without_dropout), purpose="other")


def without_dropout(typed: Typed, build: Builder) -> dict[str, int]:
    (drop,) = typed.graph.find("Dropout")
    for item, _ in typed.graph.users(drop.id):
        for reader, position in typed.graph.users(item):
            build.rewire(reader, position, drop.inputs[0])
    return dict(read_marker(typed.graph).gradients)


def test_a_mask_of_unknown_origin_is_refused(graph: Graph) -> None:
    without = replace(graph[1], public=frozenset(n for n in graph[1].public if not n.startswith("mask.")))
    with pytest.raises(PrivacyError, match=r"the mask of 0\.weight is .*; it must come from public or released values"):
        ran(graph, Mask(), purpose="other", declared=without)


def test_a_stamp_on_something_mixed_stays_mixed(graph: Graph) -> None:
    typed = infer(Clip()(infer(*graph)), graph[1])
    after = infer(Instead(vouched)(typed), graph[1])
    first = next(iter(read_marker(after.graph).gradients.values()))
    assert isinstance(after.types[first], Mixed)
    assert isinstance(typed.types[next(iter(read_marker(typed.graph).gradients.values()))], Bounded)


def test_a_graph_without_a_marker_is_no_training_step(graph: Graph) -> None:
    finished = ran(graph, Clip(), Noise(RATE)).typed.graph
    with pytest.raises(PrivacyError, match="needs exactly one marker, but this graph has 0"):
        read_marker(replace(finished, nodes={n: finished[n] for n in finished.order()}))
