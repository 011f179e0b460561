"""Reads MindSpore's serialised graphs (MINDIR protobuf) into a `SourceGraph` of plain values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindveil.tools.exporting.source import (
    Constant,
    Operand,
    Operation,
    Reference,
    SourceGraph,
    TensorType,
    UnsupportedModelError,
)

__all__ = ["read"]

# TensorProto.DataType of MINDIR; it differs from ONNX's at 17.
ELEMENT_TYPES = {
    1: "float32",
    2: "uint8",
    3: "int8",
    4: "uint16",
    5: "int16",
    6: "int32",
    7: "int64",
    9: "bool",
    10: "float16",
    11: "float64",
    12: "uint32",
    13: "uint64",
    17: "float64",
}
ABSENT = frozenset({"NONE", "UMONAD", "IOMONAD"})
REFERENCE_PREFIX = "REF::"


def read(model: Any) -> SourceGraph:
    """The main graph of a MINDIR ``ModelProto``, at the batch size it was traced with.

    Raises:
        UnsupportedModelError: the graph has a branch or a loop that depends on data, or a value of an unknown kind.
    """
    primitives = {primitive.name: primitive for primitive in model.primitives}
    constants: dict[str, Constant] = {}
    operations = []
    for node in model.graph.node:
        if node.op_type == "Constant":
            constants[node.output[0]] = Constant(_value(node.attribute[0]))
        else:
            operations.append(_operation(node, primitives, constants))
    return SourceGraph(
        inputs=tuple((value.name, _tensor_type(value.tensor[0])) for value in model.graph.input),
        parameters={parameter.name: parameter.name.split(":", 1)[-1] for parameter in model.graph.parameter},
        operations=tuple(operations),
        output=model.graph.output[0].name,
    )


def _operation(node: Any, primitives: dict[str, Any], constants: dict[str, Constant]) -> Operation:
    primitive = primitives.get(node.op_type.removeprefix(REFERENCE_PREFIX))
    if primitive is None:
        raise UnsupportedModelError(
            f"{node.domain or node.name}: the network calls a sub-graph, so its path depends on the data; "
            "ONNX export needs one straight path: replace `if` or `while` on tensors by ops.where or masks"
        )
    operands: tuple[Operand, ...] = tuple(constants.get(name) or Reference(name) for name in node.input)
    shape = [attribute for attribute in node.attribute if attribute.name == "shape"]
    return Operation(
        op=primitive.op_type,
        scope=node.domain,
        output=node.output[0],
        operands=operands,
        attributes={attribute.name: _value(attribute) for attribute in primitive.attribute},
        results=_result_types(shape[0]) if shape else (),
    )


def _result_types(attribute: Any) -> tuple[TensorType, ...]:
    kind = _kind(attribute)
    if kind == "TENSORS":
        return tuple(_tensor_type(tensor) for tensor in attribute.tensors)
    if kind in ("TUPLE", "LIST"):
        return tuple(found for value in attribute.values for found in _result_types(value))
    return ()


def _tensor_type(tensor: Any) -> TensorType:
    return TensorType(_element_type(tensor.data_type), tuple(int(size) for size in tensor.dims))


def _element_type(code: int) -> str:
    if code not in ELEMENT_TYPES:
        raise UnsupportedModelError(
            f"a tensor has MINDIR element type {code}; export knows {', '.join(sorted(set(ELEMENT_TYPES.values())))}"
        )
    return ELEMENT_TYPES[code]


def _kind(attribute: Any) -> str:
    return str(attribute.DESCRIPTOR.fields_by_name["type"].enum_type.values_by_number[attribute.type].name)


def _value(attribute: Any) -> Any:
    """The Python value of an attribute; elements of tuples keep theirs in the plural fields."""
    kind = _kind(attribute)
    if kind in ABSENT:
        return None
    if kind in ("TUPLE", "LIST"):
        return tuple(_value(element) for element in attribute.values)
    if kind in ("TENSOR", "TENSORS"):
        tensors = list(attribute.tensors) or [attribute.t]
        arrays = tuple(_array(tensor) for tensor in tensors)
        return arrays[0] if len(arrays) == 1 else arrays
    if kind in _SCALARS:
        return _SCALARS[kind](attribute)
    return f"<{kind.lower()}>"


def _array(tensor: Any) -> NDArray[Any]:
    shape = tuple(tensor.dims)
    array = np.frombuffer(tensor.raw_data, _element_type(tensor.data_type))
    if array.size != int(np.prod(shape)):
        raise UnsupportedModelError(
            f"constant {tensor.name!r} of shape {shape} holds {array.size} values; it is stored outside the graph, "
            "which export does not read"
        )
    return array.reshape(shape)


def _integer(attribute: Any) -> int:
    return int(attribute.ints[0] if attribute.ints else attribute.i)


def _real(attribute: Any) -> float:
    # A float32 widened to a double keeps its rounding; the literal the user wrote is what is wanted.
    return float(str(np.float32(attribute.floats[0] if attribute.floats else attribute.f)))


def _double(attribute: Any) -> float:
    return float(attribute.doubles[0] if attribute.doubles else attribute.d)


def _text(attribute: Any) -> str:
    raw = attribute.strings[0] if attribute.strings else attribute.s
    return raw.decode("utf-8", "replace") if isinstance(raw, bytes) else str(raw)


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "BOOL": lambda attribute: bool(_integer(attribute)),
    "FLOAT": _real,
    "DOUBLE": _double,
    "STRING": _text,
    **{f"{sign}INT{bits}": _integer for sign in ("", "U") for bits in (8, 16, 32, 64)},
}
