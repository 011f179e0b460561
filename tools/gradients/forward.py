"""The forward graph as differentiation sees it: nodes that vary, constants as arrays, types and shapes of values."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, inliner, version_converter

from mindveil.tools.gradients.constants import fold_constants, split_constant_nodes
from mindveil.tools.gradients.simplify import pool_before_relu

__all__ = ["MINIMUM_OPSET", "Dim", "Forward", "current", "load_model", "prepare"]

MINIMUM_OPSET = 18  # the rules emit reductions with axes as an input and ScatterElements with reduction, as of 18

_KEEPS_SHAPE = frozenset({"GroupNormalization", "InstanceNormalization", "Mish", "HardSwish"})

Dim = int | str | None
Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Forward:
    """One model, cut at the wanted values and ready to be differentiated.

    Attributes:
        nodes: the nodes that depend on an input and lead to a wanted value, in execution order.
        inputs: the graph inputs that the nodes read, without initializers.
        constants: every value that depends on no input, by name.
        types: the ONNX element type of every value.
        shapes: dims of every value of known rank; a dim is an int, a symbol's name, or None (unknown).
        opset: the version of the default operator set, at least ``MINIMUM_OPSET``.
        ir_version: of the file format.
    """

    nodes: tuple[NodeProto, ...]
    inputs: tuple[ValueInfoProto, ...]
    constants: dict[str, Array]
    types: dict[str, int]
    shapes: dict[str, tuple[Dim, ...]]
    opset: int
    ir_version: int


def load_model(model: str | PathLike[str] | ModelProto) -> ModelProto:
    """The model itself, or the one stored at a path.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an ONNX model.
    """
    if isinstance(model, ModelProto):
        return model
    path = Path(model)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file; an ONNX model is wanted")
    try:
        loaded = onnx.load(path)
    except Exception as error:
        raise ValueError(f"{path} is not a readable ONNX model: {error}") from error
    if not loaded.graph.node:
        raise ValueError(f"{path} holds no graph with nodes; an ONNX model is wanted")
    return loaded


def prepare(model: ModelProto, outputs: Sequence[str]) -> Forward:
    """The part of ``model`` that computes ``outputs``; the model given is left alone.

    Model-local functions are inlined, operator sets below ``MINIMUM_OPSET`` are lifted, constants are folded.

    Raises:
        ValueError: a wanted output is no value of the graph, or depends on no graph input.
    """
    model = current(model)
    _check_names(model.graph, outputs)
    stored = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in stored]
    constant, varying = split_constant_nodes(model.graph, [value.name for value in inputs])
    nodes = pool_before_relu(_ancestors(varying, outputs), outputs)
    _check_dependence(nodes, inputs, outputs)
    needed = {name for node in nodes for name in node.input if name}
    arrays = fold_constants(model, constant, needed)
    types, shapes = _types_and_shapes(_with_nodes(model, [*constant, *nodes]), arrays)
    return Forward(
        nodes=tuple(nodes),
        inputs=tuple(value for value in inputs if value.name in needed | set(outputs)),
        constants=arrays,
        types=types,
        shapes=shapes,
        opset=_opset(model),
        ir_version=model.ir_version,
    )


def _opset(model: ModelProto) -> int:
    return max((item.version for item in model.opset_import if item.domain in ("", "ai.onnx")), default=0)


def current(model: ModelProto) -> ModelProto:
    """A copy with functions inlined, and a recent operator set."""
    copy = ModelProto()
    copy.CopyFrom(model)
    if copy.functions:
        copy = inliner.inline_local_functions(copy)
    if _opset(copy) < MINIMUM_OPSET:
        copy = version_converter.convert_version(copy, MINIMUM_OPSET)
    copy.ir_version = max(copy.ir_version, 8)
    return copy


def _check_names(graph: GraphProto, outputs: Sequence[str]) -> None:
    known = {value.name for value in graph.input} | {name for node in graph.node for name in node.output}
    for name in outputs:
        if name not in known:
            listed = [node.output[0] for node in graph.node]
            shown = ", ".join(listed[:40]) + (f", and {len(listed) - 40} more" if len(listed) > 40 else "")
            raise ValueError(f"the graph has no value {name!r}. Its values: {shown}")


def _ancestors(nodes: Sequence[NodeProto], outputs: Iterable[str]) -> list[NodeProto]:
    wanted = set(outputs)
    kept: list[NodeProto] = []
    for node in reversed(nodes):
        if any(name in wanted for name in node.output):
            kept.append(node)
            wanted.update(name for name in node.input if name)
    return kept[::-1]


def _check_dependence(nodes: Sequence[NodeProto], inputs: Sequence[ValueInfoProto], outputs: Sequence[str]) -> None:
    varying = {name for node in nodes for name in node.output} | {value.name for value in inputs}
    for name in outputs:
        if name not in varying:
            raise ValueError(f"the value {name!r} is a constant: it depends on no graph input, so it has no gradient")


def _with_nodes(model: ModelProto, nodes: Sequence[NodeProto]) -> ModelProto:
    """The model with these nodes instead of its own, and shapes inferred for every value."""
    copy = ModelProto()
    copy.CopyFrom(model)
    del copy.graph.node[:]
    copy.graph.node.extend(nodes)
    copy = onnx.shape_inference.infer_shapes(copy, data_prop=True)
    if not any(node.op_type in _KEEPS_SHAPE for node in nodes):
        return copy
    # onnx infers nothing behind these operators, so each gets its input's shape and inference goes on from there
    for node in nodes:
        known = {value.name: value for value in [*copy.graph.input, *copy.graph.value_info]}
        if node.op_type in _KEEPS_SHAPE and node.input[0] in known and node.output[0] not in known:
            value = copy.graph.value_info.add()
            value.CopyFrom(known[node.input[0]])
            value.name = node.output[0]
            copy = onnx.shape_inference.infer_shapes(copy, data_prop=True)
    return copy


def _types_and_shapes(model: ModelProto, arrays: dict[str, Array]) -> tuple[dict[str, int], dict[str, tuple[Dim, ...]]]:
    types: dict[str, int] = {}
    shapes: dict[str, tuple[Dim, ...]] = {}
    for value in [*model.graph.input, *model.graph.value_info, *model.graph.output]:
        tensor = value.type.tensor_type
        if tensor.elem_type != TensorProto.UNDEFINED:
            types[value.name] = tensor.elem_type
        if tensor.HasField("shape") and value.name not in shapes:
            shapes[value.name] = tuple(_dim(dim) for dim in tensor.shape.dim)
    for name, array in arrays.items():
        types[name] = helper.np_dtype_to_tensor_dtype(array.dtype)
        shapes[name] = tuple(array.shape)
    return types, shapes


def _dim(dim: Any) -> Dim:
    if dim.HasField("dim_value"):
        return int(dim.dim_value)
    return str(dim.dim_param) if dim.HasField("dim_param") and dim.dim_param else None
