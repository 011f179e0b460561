"""Measures graphs: parameters, non-zeros, bytes, and the CPU time of a run, compared side by side."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mindveil.tools.onnx_passes.graph import Graph
from mindveil.tools.onnx_passes.protobuf import to_model
from mindveil.tools.onnx_passes.session import make_session, random_inputs

__all__ = ["TIMED_BATCHES", "Size", "Timing", "compare", "size_of"]

TIMED_BATCHES = (1, 32)
ROUNDS = 21
FEWEST_ROUNDS = 5
BUDGET_MS = 4000.0
"""Large models get fewer rounds: their runs are long enough to be measured well."""
LOW = 0.25
MOST_RUNS = 200
SLICE_MS = 3.0
"""How long one candidate runs before the next has its turn."""
NS_PER_MS = 1e6


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


@dataclass(frozen=True, slots=True)
class Timing:
    """One graph timed against the first of its group.

    Attributes:
        milliseconds: median CPU time of one run.
        ratio: median over the rounds of its time to the first graph's in the same round.
        low: the ratio that three rounds in four exceed; above 1 the graph is slower, whatever the noise.
    """

    milliseconds: float
    ratio: float
    low: float


def compare(graphs: Sequence[Graph], rows: int) -> tuple[Timing, ...]:
    """Times graphs side by side at a batch size, on one thread.

    The graphs take turns in every round and are compared within it, so that a machine busy with other work slows all
    of them alike.
    """
    turns = [_Turn(graph, rows) for graph in graphs]
    first = [turn.milliseconds() * turn.count for turn in turns]
    rounds = max(FEWEST_ROUNDS, min(ROUNDS, int(BUDGET_MS / sum(first))))
    times = np.array([[turn.milliseconds() for turn in turns] for _ in range(rounds)])
    ratios = times / times[:, :1]
    return tuple(
        Timing(
            float(np.median(times[:, index])),
            float(np.median(ratios[:, index])),
            float(np.quantile(ratios[:, index], LOW)),
        )
        for index in range(len(graphs))
    )


class _Turn:
    """A session that runs for about one slice at a time."""

    def __init__(self, graph: Graph, rows: int) -> None:
        self._session = make_session(to_model(graph).SerializeToString())
        self._feed = random_inputs(graph, rows)
        self.count = 1
        self.milliseconds()
        self.count = max(1, min(MOST_RUNS, int(SLICE_MS / max(self.milliseconds(), 1e-3))))

    def milliseconds(self) -> float:
        """CPU time of one run, averaged over a slice."""
        start = time.thread_time_ns()
        for _ in range(self.count):
            self._session.run(None, self._feed)
        return max(time.thread_time_ns() - start, 1) / self.count / NS_PER_MS
