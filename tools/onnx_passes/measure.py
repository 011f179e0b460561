"""Measures graphs: parameters, non-zeros, bytes, and the CPU time of a run, compared side by side."""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mindveil.tools.onnx_passes.graph import Graph
from mindveil.tools.onnx_passes.protobuf import to_model
from mindveil.tools.onnx_passes.session import make_session, random_inputs

__all__ = ["TIMED_BATCHES", "Size", "latencies", "size_of"]

TIMED_BATCHES = (1, 32)
ROUNDS = 15
SLICE_NS = 3_000_000
"""How long one candidate runs before the next has its turn."""


@dataclass(frozen=True, slots=True)
class Size:
    """Numbers in the weights, those of them that are not zero, and bytes of the serialised model."""

    parameters: int
    nonzeros: int
    bytes: int


def size_of(graph: Graph) -> Size:
    """Floating-point weights and file size of a graph as stored."""
    floats = [array for array in graph.weights.values() if array.dtype.kind == "f"]
    return Size(
        parameters=sum(array.size for array in floats),
        nonzeros=sum(int(np.count_nonzero(array)) for array in floats),
        bytes=to_model(graph).ByteSize(),
    )


def latencies(graphs: Sequence[Graph], rows: int) -> tuple[float, ...]:
    """Milliseconds of CPU time of one run for each graph, on one thread.

    The candidates take turns, and each has the median of its turns, so that a machine busy with other work slows all
    of them alike and the ratios stay fair.
    """
    sessions = [make_session(to_model(graph).SerializeToString()) for graph in graphs]
    names = [[value.name for value in graph.outputs] for graph in graphs]
    feeds = [random_inputs(graph, rows) for graph in graphs]
    counts = []
    for session, outputs, feed in zip(sessions, names, feeds, strict=True):
        session.run(outputs, feed)
        start = time.thread_time_ns()
        session.run(outputs, feed)
        counts.append(max(1, min(200, SLICE_NS // max(time.thread_time_ns() - start, 1))))
    turns: list[list[float]] = [[] for _ in graphs]
    for _ in range(ROUNDS):
        for found, session, outputs, feed, count in zip(turns, sessions, names, feeds, counts, strict=True):
            start = time.thread_time_ns()
            for _ in range(count):
                session.run(outputs, feed)
            found.append((time.thread_time_ns() - start) / count / 1e6)
    return tuple(statistics.median(found) for found in turns)
