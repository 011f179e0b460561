"""Runs passes over a graph, checks after each, measures what each gained, and keeps only what gains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias, get_args

from mindveil.tools.onnx_passes.batch_norm import fold_batch_norm
from mindveil.tools.onnx_passes.check import PassError, check_model, same_numbers
from mindveil.tools.onnx_passes.compact import compact_sparse_weights
from mindveil.tools.onnx_passes.constants import fold_constants
from mindveil.tools.onnx_passes.dead_units import remove_dead_units
from mindveil.tools.onnx_passes.graph import Graph
from mindveil.tools.onnx_passes.measure import TIMED_BATCHES, Size, Timing, compare, size_of
from mindveil.tools.onnx_passes.polyphase import pool_by_phases, poolable
from mindveil.tools.onnx_passes.protobuf import to_model
from mindveil.tools.onnx_passes.shapes import with_shapes

__all__ = ["OPTIMIZE", "Optimize", "PassStep", "optimise"]

Optimize: TypeAlias = Literal["none", "size", "speed", "both"]
OPTIMIZE: tuple[str, ...] = get_args(Optimize)
LANES = (1, 4, 8, 16)
ABOUT = 1.02
"""Times closer than this count as equal: repeated measurements of one graph differ as much."""


@dataclass(frozen=True, slots=True)
class PassStep:
    """What one pass did. Latencies are milliseconds of CPU time on one thread at batch 1 and 32; None: not measured."""

    name: str
    before: Size
    after: Size
    difference: float
    latency_before: tuple[float, ...] | None = None
    latency_after: tuple[float, ...] | None = None
    kept: bool = True
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Candidate:
    name: str
    rewrite: Callable[[Graph], Graph]


def optimise(graph: Graph, level: Optimize, keep: Sequence[str] = ()) -> tuple[Graph, tuple[PassStep, ...]]:
    """The graph after the passes of a level, with one step for each pass.

    Args:
        keep: names of values that must still be in the graph afterwards.

    Levels: ``none`` folds masks and other constants only; ``size`` makes the smallest file; ``speed`` removes and
    reshapes what measurably helps under onnxruntime on this machine; ``both`` is ``speed``, then stored compactly.

    Raises:
        PassError: a pass broke the graph (with the pass's name); this is a fault of the pass, never of the model.
    """
    steps: list[PassStep] = []
    graph = _apply(graph, "fold_constants", fold_constants, steps)
    if level == "none":
        return _annotated(graph), tuple(steps)
    graph = _apply(graph, "fold_batch_norm", lambda before: fold_batch_norm(before, keep), steps)
    if level == "size":
        graph = _apply(graph, "remove_dead_units", remove_dead_units, steps)
    else:
        graph = _fastest(graph, _lane_candidates(), steps)
        graph = _fastest(graph, _phase_candidates(graph, keep), steps)
    if level in ("size", "both"):
        graph = _compacted(graph, steps)
    return _annotated(graph), tuple(steps)


def _annotated(graph: Graph) -> Graph:
    """With the shapes of the values that depend on the input; steps inside an operation need none in the file."""
    lasting = {name for node in fold_constants(graph).nodes for name in node.outputs if "/" not in name}
    shapes = {name: value for name, value in with_shapes(graph).shapes.items() if name in lasting}
    return replace(graph, shapes=shapes)


def _apply(graph: Graph, name: str, rewrite: Callable[[Graph], Graph], steps: list[PassStep]) -> Graph:
    after, difference = _checked(graph, name, rewrite)
    steps.append(PassStep(name, size_of(graph), size_of(after), difference))
    return after


def _checked(graph: Graph, name: str, rewrite: Callable[[Graph], Graph]) -> tuple[Graph, float]:
    try:
        after = rewrite(graph)
        check_model(after)
        return after, same_numbers(graph, after)
    except PassError as error:
        raise PassError(f"pass {name}: {error}") from error


def _lane_candidates() -> tuple[_Candidate, ...]:
    def lane(multiple: int) -> Callable[[Graph], Graph]:
        return lambda graph: remove_dead_units(graph, multiple=multiple)

    return tuple(_Candidate(f"remove_dead_units(multiple={multiple})", lane(multiple)) for multiple in LANES)


def _phase_candidates(graph: Graph, keep: Sequence[str]) -> tuple[_Candidate, ...]:
    """The first pool by phases, or all of them."""
    pooled = poolable(graph, keep)

    def phases(names: Sequence[str]) -> Callable[[Graph], Graph]:
        return lambda before: pool_by_phases(before, names)

    chosen = {len(names): names for names in (pooled[:1], pooled) if names}
    return tuple(_Candidate(f"pool_by_phases({', '.join(names)})", phases(names)) for names in chosen.values())


def _fastest(graph: Graph, candidates: Sequence[_Candidate], steps: list[PassStep]) -> Graph:
    """The fastest of the candidates and the graph itself; a candidate slower at any batch size is out."""
    if not candidates:
        return graph
    made = _distinct([(item.name, *_checked(graph, item.name, item.rewrite)) for item in candidates], graph)
    graphs = [graph, *(after for _, after, _ in made)]
    timings = list(zip(*(compare(graphs, rows) for rows in TIMED_BATCHES), strict=True))
    best = _choice(graphs, timings)
    base = tuple(timing.milliseconds for timing in timings[0])
    for index, (name, after, difference) in enumerate(made, start=1):
        own = tuple(timing.milliseconds for timing in timings[index])
        note = "" if index == best else "slower than before" if _slower(timings[index]) else "another is better"
        steps.append(PassStep(name, size_of(graph), size_of(after), difference, base, own, index == best, note))
    return graphs[best]


def _choice(graphs: Sequence[Graph], timings: Sequence[Sequence[Timing]]) -> int:
    """Among the graphs that are about as fast as the fastest, the smallest."""
    scores = {
        index: sum(timing.ratio for timing in row)
        for index, row in enumerate(timings)
        if index == 0 or not _slower(row)
    }
    fast = [index for index, score in scores.items() if score <= min(scores.values()) * ABOUT]
    return min(fast, key=lambda index: size_of(graphs[index]).bytes)


def _slower(row: Sequence[Timing]) -> bool:
    """Whether a graph is slower than the one before at some batch size, beyond the noise of measuring."""
    return any(timing.low > ABOUT for timing in row)


def _distinct(made: list[tuple[str, Graph, float]], graph: Graph) -> list[tuple[str, Graph, float]]:
    """Without candidates that are the same as an earlier one, or as the graph itself."""
    seen = {to_model(graph).SerializeToString(deterministic=True)}
    kept = []
    for item in made:
        data = to_model(item[1]).SerializeToString(deterministic=True)
        if data not in seen:
            kept.append(item)
            seen.add(data)
    return kept


def _compacted(graph: Graph, steps: list[PassStep]) -> Graph:
    after, difference = _checked(graph, "compact_sparse_weights", compact_sparse_weights)
    before_size, after_size = size_of(graph), size_of(after)
    smaller = after_size.bytes < before_size.bytes
    note = "" if smaller else "not smaller"
    steps.append(PassStep("compact_sparse_weights", before_size, after_size, difference, kept=smaller, note=note))
    return after if smaller else graph
