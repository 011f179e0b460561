"""The traced forward graph of a network: operations, operands and shapes in which the batch size is a symbol."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from numpy.typing import NDArray

__all__ = [
    "Batch",
    "Constant",
    "Dim",
    "Operand",
    "Operation",
    "Reference",
    "RepeatedRow",
    "SourceGraph",
    "TensorType",
    "UnsupportedModelError",
]


class UnsupportedModelError(ValueError):
    """The network holds something that has no translation to ONNX, or none that keeps the batch size free."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A number that is ``factor`` times the number of rows in the batch."""

    factor: int

    def __str__(self) -> str:
        return "batch" if self.factor == 1 else f"{self.factor}*batch"


Dim: TypeAlias = int | Batch


@dataclass(frozen=True, slots=True)
class TensorType:
    """Element type (a NumPy name such as ``float32``) and shape of a value."""

    dtype: str
    shape: tuple[Dim, ...]


@dataclass(frozen=True, slots=True)
class Reference:
    """An operand that another operation, an input or a parameter produces."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """An operand known at export: number, boolean, string, None, array, or tuple of these; numbers may be `Batch`."""

    value: Any


@dataclass(frozen=True, slots=True, eq=False)
class RepeatedRow:
    """A constant array that repeats ``row`` (of length 1 along ``axis``) once for each row of the batch."""

    row: NDArray[Any]
    axis: int


Operand: TypeAlias = Reference | Constant


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the trace.

    Attributes:
        op: MindSpore's name for it, such as ``Conv2D``.
        scope: the Cell that it came from, such as ``Default/fc1-Dense/MatMul-op0``.
        output: the name other operations know its result by.
        results: one type for each tensor of the result; empty where the result is no tensor.
    """

    op: str
    scope: str
    output: str
    operands: tuple[Operand, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    results: tuple[TensorType, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceGraph:
    """A whole forward graph.

    Attributes:
        inputs: name and type of each input, in the order of ``construct``.
        parameters: trace name to parameter name, for instance ``12_net:fc1.weight`` to ``fc1.weight``.
        output: the trace name of the result.
    """

    inputs: tuple[tuple[str, TensorType], ...]
    parameters: Mapping[str, str]
    operations: tuple[Operation, ...]
    output: str
