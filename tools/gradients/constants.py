"""Values that do not depend on any graph input: found, computed once, kept as plain arrays."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

__all__ = ["fold_constants", "split_constant_nodes"]

Array = NDArray[Any]

# An operator that draws random numbers has no inputs to speak of, and must not be frozen into one draw.
_RANDOM = frozenset(
    {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Multinomial", "Bernoulli"}
)


def split_constant_nodes(graph: GraphProto, inputs: Iterable[str]) -> tuple[list[NodeProto], list[NodeProto]]:
    """The nodes that depend on none of ``inputs``, and the others; both in graph order."""
    varying = set(inputs)
    constant: list[NodeProto] = []
    other: list[NodeProto] = []
    for node in graph.node:
        varies = node.op_type in _RANDOM or any(name in varying for name in node.input)
        if varies:
            varying.update(node.output)
        (other if varies else constant).append(node)
    return constant, other


def fold_constants(model: ModelProto, nodes: Sequence[NodeProto], wanted: Iterable[str]) -> dict[str, Array]:
    """Arrays of the ``wanted`` values: initializers as they are stored, the rest computed by running ``nodes``.

    Whatever operators make a constant (a weight rebuilt from a compact form, a shape, a table) it costs one run at
    build time and no time later. onnxruntime runs them; what it lacks, the reference evaluator runs.
    """
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    produced = {name for node in nodes for name in node.output if name}
    wanted = set(wanted)
    arrays = {name: stored[name] for name in wanted if name in stored}
    computed = sorted(wanted & produced)
    if computed:
        part = _constant_model(model, nodes, computed)
        arrays.update(zip(computed, _run(part, computed), strict=True))
    return arrays


def _constant_model(model: ModelProto, nodes: Sequence[NodeProto], outputs: Sequence[str]) -> ModelProto:
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        list(nodes),
        "constants",
        [],
        [helper.make_empty_tensor_value_info(name) for name in outputs],
        [tensor for tensor in model.graph.initializer if tensor.name in used],
    )
    part = helper.make_model(graph, opset_imports=list(model.opset_import), ir_version=model.ir_version)
    return onnx.shape_inference.infer_shapes(part)


def _run(part: ModelProto, outputs: Sequence[str]) -> list[Array]:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(part.SerializeToString(), options, providers=["CPUExecutionProvider"])
        results = session.run(list(outputs), {})
    except Exception as error:  # noqa: BLE001  onnxruntime's own exceptions share no public base class
        results = _run_reference(part, outputs, error)
    return [np.asarray(value) for value in results]


def _run_reference(part: ModelProto, outputs: Sequence[str], reason: Exception) -> Sequence[Any]:
    try:
        return list(ReferenceEvaluator(part).run(list(outputs), {}))
    except Exception as error:
        raise ValueError(
            f"the constant values {', '.join(outputs)} could not be computed: onnxruntime says {reason}; "
            f"the reference evaluator says {error}. Store them as plain initializers."
        ) from error
