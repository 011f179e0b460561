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
from mindveil.tools.onnx_passes.measure import TIMED_BATCHES, Size, latencies, size_of
from mindveil.tools.onnx_passes.protobuf import to_model
from mindveil.tools.onnx_passes.shapes import with_shapes

__all__ = ["OPTIMIZE", "Optimize", "PassStep", "optimise"]

Optimize: TypeAlias = Literal["none", "size", "speed", "both"]
OPTIMIZE: tuple[str, ...] = get_args(Optimize)
LANES = (1, 4, 8, 16)
MARGIN = 1.02
"""A candidate may take this much longer than the graph before (the noise of measuring) and still count as no slower."""


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


def optimise(graph: Graph, level: Optimize) -> tuple[Graph, tuple[PassStep, ...]]:
    """The graph after the passes of a level, with one step for each pass.

    Levels: ``none`` folds masks and other constants only; ``size`` makes the smallest file; ``speed`` removes and
    reshapes what measurably helps under onnxruntime on this machine; ``both`` is ``speed``, then stored compactly.

    Raises:
        PassError: a pass broke the graph (with the pass's name); this is a fault of the pass, never of the model.
    """
    steps: list[PassStep] = []
    graph = _apply(graph, "fold_constants", fold_constants, steps)
    if level == "none":
        return _annotated(graph), tuple(steps)
    graph = _apply(graph, "fold_batch_norm", fold_batch_norm, steps)
    if level == "size":
        graph = _apply(graph, "remove_dead_units", remove_dead_units, steps)
    else:
        graph = _fastest(graph, _candidates(), steps)
    if level in ("size", "both"):
        graph = _compacted(graph, steps)
    return _annotated(graph), tuple(steps)


def _annotated(graph: Graph) -> Graph:
    """With the shape of every value that depends on the input; what is rebuilt at load needs none in the file."""
    lasting = {name for node in fold_constants(graph).nodes for name in node.outputs}
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


def _candidates() -> tuple[_Candidate, ...]:
    def lane(multiple: int) -> Callable[[Graph], Graph]:
        return lambda graph: remove_dead_units(graph, multiple=multiple)

    return tuple(_Candidate(f"remove_dead_units(multiple={multiple})", lane(multiple)) for multiple in LANES)


def _fastest(graph: Graph, candidates: Sequence[_Candidate], steps: list[PassStep]) -> Graph:
    """The candidate with the least time over the batches, if none of them takes longer than the graph as it is."""
    made = _distinct([(item.name, *_checked(graph, item.name, item.rewrite)) for item in candidates], graph)
    graphs = [graph, *(after for _, after, _ in made)]
    times = list(zip(*(latencies(graphs, rows) for rows in TIMED_BATCHES), strict=True))
    allowed = [index for index, row in enumerate(times) if _no_slower(row, times[0])]
    best = min(allowed, key=lambda index: sum(one / base for one, base in zip(times[index], times[0], strict=True)))
    for index, (name, after, difference) in enumerate(made, start=1):
        note = "slower than another candidate" if index in allowed else "slower than before"
        kept = index == best
        step = PassStep(name, size_of(graph), size_of(after), difference, times[0], times[index], kept)
        steps.append(step if kept else replace(step, note=note))
    return graphs[best]


def _no_slower(row: Sequence[float], base: Sequence[float]) -> bool:
    return all(one <= other * MARGIN for one, other in zip(row, base, strict=True))


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
