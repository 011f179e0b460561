"""Runs a `Graph` under onnxruntime, on one thread and on request without its own rewriting."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import onnxruntime

from mindveil.tools.onnx_passes.graph import Array, Graph, Value
from mindveil.tools.onnx_passes.protobuf import to_model

__all__ = ["make_session", "random_inputs", "run"]

SEVERITY_ERROR = 3
SYMBOLIC_ROWS = "batch"


def make_session(model: bytes | str, *, threads: int = 1, optimise: bool = True) -> onnxruntime.InferenceSession:
    """A CPU session for a serialised model or a file's path."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = SEVERITY_ERROR
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(
    graph: Graph, inputs: Mapping[str, Array], *, outputs: Sequence[str] = (), optimise: bool = True
) -> dict[str, Array]:
    """The named values (default: the graph's outputs) for ``inputs``."""
    if outputs:
        graph = replace(graph, outputs=tuple(Value(name, "float32", ()) for name in outputs))
    model = to_model(graph)
    if outputs:
        for item in model.graph.output:
            item.ClearField("type")
    session = make_session(model.SerializeToString(), optimise=optimise)
    names = [value.name for value in graph.outputs]
    return dict(zip(names, session.run(names, dict(inputs)), strict=True))


def random_inputs(graph: Graph, rows: int, seed: int = 0) -> dict[str, Array]:
    """Inputs with ``rows`` rows: normal numbers for floats, zeros and ones for integers and booleans."""
    rng = np.random.default_rng(seed)
    found = {}
    for value in graph.inputs:
        shape = tuple(rows if not isinstance(size, int) else size for size in value.shape)
        if np.dtype(value.dtype).kind == "f":
            found[value.name] = rng.normal(size=shape).astype(value.dtype)
        else:
            found[value.name] = rng.integers(0, 2, size=shape).astype(value.dtype)
    return found
