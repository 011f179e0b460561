"""Translates between `Graph` and ONNX protobuf."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from mindveil.tools.onnx_passes.graph import Array, Attribute, Graph, Node, Value

__all__ = ["from_model", "to_model"]

PRODUCER = "mindveil"
DEFAULT_DOMAINS = ("", "ai.onnx")
IR_VERSION = 10
"""The oldest IR version that has opset 21 and earlier; a newer one only shuts out older runtimes."""


def to_model(graph: Graph, metadata: Mapping[str, str] | None = None, producer_version: str = "") -> onnx.ModelProto:
    """The graph as a model, with ``metadata`` as its ``metadata_props``.

    The same graph always gives the same bytes.
    """
    computed = [value for name, value in graph.shapes.items() if name not in {item.name for item in graph.outputs}]
    proto = helper.make_graph(
        [_node_proto(node) for node in graph.nodes],
        graph.name,
        [_value_proto(value) for value in graph.inputs],
        [_value_proto(value) for value in graph.outputs],
        initializer=[numpy_helper.from_array(_contiguous(array), name) for name, array in graph.weights.items()],
        value_info=[_value_proto(value) for value in computed],
    )
    model = helper.make_model(
        proto,
        opset_imports=[helper.make_opsetid("", graph.opset)],
        producer_name=PRODUCER,
        producer_version=producer_version,
        ir_version=IR_VERSION,
    )
    for key, text in (metadata or {}).items():
        model.metadata_props.add(key=key, value=text)
    return model


def from_model(model: onnx.ModelProto) -> Graph:
    """The model's main graph; sparse initializers become dense, `Constant` nodes become weights.

    Raises:
        ValueError: the model has local functions, foreign operators' opsets or control flow, which the passes do not
            rewrite.
    """
    if model.functions:
        raise ValueError(f"the model has {len(model.functions)} local functions; inline them first (onnx.inliner)")
    opsets = {item.domain: item.version for item in model.opset_import}
    opset = next((opsets[domain] for domain in DEFAULT_DOMAINS if domain in opsets), None)
    if opset is None:
        raise ValueError(f"the model imports opsets {opsets} and not the default domain's")
    weights = {item.name: np.array(numpy_helper.to_array(item)) for item in model.graph.initializer}
    for sparse in model.graph.sparse_initializer:
        weights[sparse.values.name] = _dense(sparse)
    nodes = []
    for proto in model.graph.node:
        node = _node(proto)
        if node.op == "Constant" and "value" in node.attributes:
            weights[node.outputs[0]] = node.attributes["value"]
        else:
            nodes.append(node)
    return Graph(
        nodes=tuple(nodes),
        weights=weights,
        inputs=tuple(_value(item) for item in model.graph.input if item.name not in weights),
        outputs=tuple(_value(item) for item in model.graph.output),
        opset=opset,
        name=model.graph.name,
        shapes={item.name: _value(item) for item in model.graph.value_info},
    )


def _node_proto(node: Node) -> onnx.NodeProto:
    proto = helper.make_node(node.op, list(node.inputs), list(node.outputs), name=node.name, domain=node.domain)
    for key, value in node.attributes.items():
        tensor = numpy_helper.from_array(value) if isinstance(value, np.ndarray) else value
        proto.attribute.append(helper.make_attribute(key, list(tensor) if isinstance(tensor, tuple) else tensor))
    return proto


def _node(proto: onnx.NodeProto) -> Node:
    attributes = {item.name: _attribute(helper.get_attribute_value(item), proto) for item in proto.attribute}
    return Node(proto.op_type, tuple(proto.input), tuple(proto.output), attributes, proto.name, proto.domain)


def _attribute(value: Any, proto: onnx.NodeProto) -> Attribute:
    if isinstance(value, onnx.GraphProto):
        raise ValueError(f"node {proto.name or proto.op_type!r} holds a sub-graph; passes rewrite straight graphs only")
    if isinstance(value, onnx.TensorProto):
        return np.array(numpy_helper.to_array(value))
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, (int, float)):
        return value
    return tuple(item.decode("utf-8") if isinstance(item, bytes) else item for item in value)


def _value_proto(value: Value) -> onnx.ValueInfoProto:
    element = helper.np_dtype_to_tensor_dtype(np.dtype(value.dtype))
    return helper.make_tensor_value_info(value.name, element, list(value.shape))


def _value(proto: onnx.ValueInfoProto) -> Value:
    tensor = proto.type.tensor_type
    shape = tuple(dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None for dim in tensor.shape.dim)
    return Value(proto.name, helper.tensor_dtype_to_np_dtype(tensor.elem_type).name, shape)


def _contiguous(array: Array) -> Array:
    """NumPy's own function turns a scalar into a vector."""
    return np.ascontiguousarray(array).reshape(array.shape)


def _dense(sparse: onnx.SparseTensorProto) -> Array:
    values = numpy_helper.to_array(sparse.values)
    places = numpy_helper.to_array(sparse.indices)
    dense = np.zeros(tuple(sparse.dims), values.dtype)
    if places.ndim == 1:
        dense.reshape(-1)[places] = values
    else:
        dense[tuple(places.T)] = values
    return dense
