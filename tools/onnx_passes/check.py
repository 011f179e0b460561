"""Checks a graph after a pass: it is valid ONNX, and computes what it computed before."""

from __future__ import annotations

import numpy as np
import onnx

from mindveil.tools.onnx_passes.graph import Graph
from mindveil.tools.onnx_passes.protobuf import to_model
from mindveil.tools.onnx_passes.session import random_inputs, run

__all__ = ["BATCHES", "TOLERANCE", "PassError", "check_model", "largest_difference", "same_numbers"]

BATCHES = (1, 7, 64)
TOLERANCE = 1e-5
"""Largest difference allowed between a rewritten graph and the one before, relative to max(1, largest output)."""


class PassError(RuntimeError):
    """A rewrite broke a graph; the file is not written."""


def check_model(graph: Graph) -> None:
    """Raises `PassError` unless the graph is valid ONNX with consistent types and shapes."""
    try:
        onnx.checker.check_model(to_model(graph), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise PassError(f"not a valid ONNX model: {error}") from error


def largest_difference(one: Graph, two: Graph, rows: int, seed: int = 0) -> float:
    """Largest difference of any output on random inputs, relative to max(1, largest output); a lone NaN is infinite."""
    inputs = random_inputs(one, rows, seed)
    worst = 0.0
    for (name, expected), got in zip(run(one, inputs).items(), run(two, inputs).values(), strict=True):
        if expected.shape != got.shape:
            raise PassError(f"output {name} has shape {got.shape} and had {expected.shape}")
        if expected.size:
            scale = max(1.0, float(np.nanmax(np.abs(expected.astype(np.float64)))))
            gap = np.abs(expected.astype(np.float64) - got.astype(np.float64))
            gap = np.where(np.isnan(expected) & np.isnan(got), 0.0, gap) if expected.dtype.kind == "f" else gap
            worst = max(worst, float("inf") if np.isnan(gap).any() else float(gap.max()) / scale)
    return worst


def same_numbers(before: Graph, after: Graph, tolerance: float = TOLERANCE) -> float:
    """The largest difference at batch 1, 7 and 64.

    Raises:
        PassError: the difference exceeds the tolerance.
    """
    worst = max(largest_difference(before, after, rows) for rows in BATCHES)
    if worst > tolerance:
        raise PassError(f"the outputs differ by {worst:.3g} of the largest output, and {tolerance:g} is allowed")
    return worst
