"""Exports a network without a file and compares it with MindSpore."""

from __future__ import annotations

from typing import Any

import numpy as np

from mindveil.tools.exporting import network as mindspore_side
from mindveil.tools.exporting.translate import translate
from mindveil.tools.exporting.verify import verify
from mindveil.tools.onnx_passes.check import check_model
from mindveil.tools.onnx_passes.graph import Array, Graph
from mindveil.tools.onnx_passes.pipeline import optimise
from mindveil.tools.onnx_passes.protobuf import to_model

from .function_cases import Case

__all__ = ["differences", "inputs", "translated"]

ROWS = 64


def inputs(case: Case) -> Array:
    rng = np.random.default_rng(7)
    if case.ids:
        return rng.integers(0, case.ids, (ROWS, *case.shape)).astype(np.int32)
    return rng.normal(size=(ROWS, *case.shape)).astype(np.float32)


def translated(network: Any, x: Array, opset: int = 20) -> Graph:
    """The network's graph before any pass, checked as an ONNX model."""
    with mindspore_side.evaluation_mode(network):
        source = mindspore_side.trace(network, [x.shape], [x.dtype.name])
        graph = translate(source, mindspore_side.parameters(network), mindspore_side.input_names(network, 1), opset)
    check_model(graph)
    return graph


def differences(network: Any, graph: Graph, x: Array) -> dict[int, float]:
    """Largest differences at batch 1, 7 and 64, after the passes that fold and prune; raises beyond the tolerance."""
    final, _ = optimise(graph, "size")
    with mindspore_side.evaluation_mode(network):
        model = to_model(final).SerializeToString()
        names = [value.name for value in final.inputs]
        return dict(verify(model, lambda batch: mindspore_side.run(network, batch), [x], names))
