"""What a translation sees of one MindSpore operation, and what it may do: read operands, emit ONNX nodes, refuse."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import numpy as np
from onnx import helper

from mindveil.tools.exporting.emitter import Emitter, is_known, vector
from mindveil.tools.exporting.source import (
    Batch,
    Constant,
    Dim,
    Operation,
    RepeatedRow,
    TensorType,
    UnsupportedModelError,
)
from mindveil.tools.onnx_passes.graph import Array

__all__ = ["Bound", "Call", "Translation"]

Bound: TypeAlias = "str | tuple[Bound, ...] | Constant | None"
"""What an operand stands for: an ONNX value, a tuple, a constant, or nothing (a monad)."""


@dataclass(frozen=True, slots=True)
class Call:
    """One operation with its operands resolved to ONNX values."""

    operation: Operation
    operands: tuple[Bound, ...]
    label: str
    emitter: Emitter
    reads: int = 0
    """How many operations read the value of the first operand."""

    def tensor(self, index: int, dtype: str | None = None) -> str:
        """The ONNX value of an operand; a constant becomes an initializer (of type ``dtype`` where given)."""
        return self.as_value(self.operands[index], dtype)

    def as_value(self, bound: Bound, dtype: str | None = None) -> str:
        """The ONNX value of an operand, cast to ``dtype`` where given."""
        if isinstance(bound, str):
            return bound if dtype in (None, self.emitter.types[bound].dtype) else self.cast(bound, str(dtype))
        if isinstance(bound, Constant):
            return self._constant_value(bound.value, dtype)
        self.refuse(f"it wants a tensor and got {bound!r}")

    def tensors(self, index: int) -> list[str]:
        """The ONNX values of a tuple operand."""
        bound = self.operands[index]
        if not isinstance(bound, tuple):
            self.refuse(f"operand {index} is no tuple of tensors")
        return [self.as_value(item) for item in bound]

    def constant(self, index: int) -> Any:
        """The value of an operand that must be known at export."""
        bound = self.operands[index]
        if isinstance(bound, Constant):
            return bound.value
        self.refuse(f"operand {index} is computed by the network, and ONNX needs it known at export")

    def has_constant(self, index: int) -> bool:
        """Whether the operand exists and is known at export."""
        return index < len(self.operands) and isinstance(self.operands[index], Constant)

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute of MindSpore's primitive."""
        return self.operation.attributes.get(name, default)

    def type_of(self, index: int) -> TensorType:
        """Type of a tensor operand."""
        bound = self.operands[index]
        if isinstance(bound, str):
            return self.emitter.types[bound]
        return self.emitter.types[self.tensor(index)]

    def result(self, index: int = 0) -> TensorType:
        """Type of a result."""
        return self.operation.results[index]

    def emit(self, op: str, *inputs: str, **attributes: Any) -> str:
        """One node with one output."""
        return self.emit_many(op, inputs, 1, attributes)[0]

    def emit_many(self, op: str, inputs: Sequence[str], outputs: int, attributes: dict[str, Any]) -> list[str]:
        """One node with several outputs."""
        names = [self.emitter.unique(f"{self.label}/{op.lower()}") for _ in range(outputs)]
        self.emitter.add_node(op, inputs, names, attributes)
        return names

    def cast(self, name: str, dtype: str) -> str:
        """The value converted to another element type."""
        value = self.emit("Cast", name, to=self.type_code(dtype))
        if name in self.emitter.types:
            self.emitter.types[value] = TensorType(dtype, self.emitter.types[name].shape)
        return value

    def type_code(self, dtype: str) -> int:
        """ONNX's number for an element type."""
        return int(helper.np_dtype_to_tensor_dtype(np.dtype(dtype)))

    def array(self, array: Array, role: str = "constant") -> str:
        """An initializer for this operation."""
        return self.emitter.add_weight(f"{self.label}/{role}", array)

    def floats(self, value: float, dtype: str) -> str:
        """A scalar initializer."""
        return self.array(np.array(value, dtype))

    def sizes(self, shape: Sequence[Dim], role: str = "shape") -> str:
        """A vector of sizes, computed from the batch size where one depends on it."""
        if is_known(shape):
            return self.array(vector([int(size) for size in shape if isinstance(size, int)]), role)
        parts = [self._size(size) for size in shape]
        return self.emit("Concat", *parts, axis=0)

    def refuse(self, reason: str) -> NoReturn:
        """Ends the export with an error that names the operation.

        Raises:
            UnsupportedModelError: always.
        """
        raise UnsupportedModelError(f"{self.operation.scope}: {self.operation.op} cannot be exported: {reason}")

    def _size(self, size: Dim) -> str:
        if isinstance(size, int):
            return self.array(vector([size]), "size")
        rows = self.emitter.batch_size()
        return rows if size.factor == 1 else self.emit("Mul", rows, self.array(vector([size.factor]), "factor"))

    def _constant_value(self, value: Any, dtype: str | None) -> str:
        if isinstance(value, RepeatedRow):
            return self._repeat(value, dtype)
        if isinstance(value, Batch):
            rows = self.emit("Squeeze", self._size(value), self.array(vector([0]), "axes"))
            self.emitter.types[rows] = TensorType("int64", ())
            return rows if dtype in (None, "int64") else self.cast(rows, str(dtype))
        if isinstance(value, (bool, int, float, np.ndarray)):
            return self.array(np.array(value, dtype or _default_type(value)))
        self.refuse(f"it wants a tensor and got the constant {value!r}")

    def _repeat(self, value: RepeatedRow, dtype: str | None) -> str:
        shape = [*value.row.shape]
        row = value.row if dtype is None else value.row.astype(dtype)
        sizes: list[Dim] = [*shape[: value.axis], Batch(1), *shape[value.axis + 1 :]]
        name = self.emit("Expand", self.array(row), self.sizes(sizes))
        self.emitter.types[name] = TensorType(row.dtype.name, tuple(sizes))
        return name


Translation: TypeAlias = Callable[[Call], "str | list[str]"]


def _default_type(value: Any) -> str:
    if isinstance(value, np.ndarray):
        return str(value.dtype.name)
    return "bool" if isinstance(value, bool) else "int64" if isinstance(value, int) else "float32"
