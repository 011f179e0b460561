"""One node as its gradient rule sees it: names of values, shapes, attributes, and the cotangents of the outputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, helper

from mindveil.tools.gradients.builder import Builder
from mindveil.tools.gradients.errors import refuse
from mindveil.tools.gradients.forward import Dim, Forward

__all__ = ["Call", "Rule"]


@dataclass(frozen=True, slots=True)
class Call:
    """The occurrence of an operator in a graph, and the place to write its gradient to.

    Attributes:
        forward: the graph that is differentiated.
        builder: where a rule appends its nodes.
        node: the forward node; a rule may ask for an optional output with `need_output`.
        cotangents: one name per output of the node, None where no gradient arrives.
        active: one flag per input, True where a gradient is wanted.
    """

    forward: Forward
    builder: Builder
    node: NodeProto
    cotangents: tuple[str | None, ...]
    active: tuple[bool, ...]

    @property
    def dy(self) -> str:
        """The cotangent of the first output.

        Raises:
            UnsupportedNodeError: only another output is used further on.
        """
        first = self.cotangents[0]
        if first is None:
            raise refuse(self.node, "a gradient arrives at another output than the first", "the first output's alone")
        return first

    def x(self, index: int = 0) -> str:
        """The name of an input; the empty string for an optional input that is left out."""
        return str(self.node.input[index]) if index < len(self.node.input) else ""

    @property
    def y(self) -> str:
        """The name of the first output."""
        return str(self.node.output[0])

    def need_output(self, index: int) -> str:
        """The name of an optional output of the forward node, which is switched on if it was not."""
        while len(self.node.output) <= index:
            self.node.output.append("")
        if not self.node.output[index]:
            self.node.output[index] = self.builder.name(f"output{index}")
        return str(self.node.output[index])

    def attribute(self, name: str, default: Any = None) -> Any:
        """An attribute's value, strings decoded; ``default`` where the node does not have it."""
        for item in self.node.attribute:
            if item.name == name:
                value = helper.get_attribute_value(item)
                return value.decode() if isinstance(value, bytes) else value
        return default

    def constant(self, index: int) -> NDArray[Any] | None:
        """The array of an input that does not depend on the graph input, else None."""
        return self.forward.constants.get(self.x(index))

    def required_constant(self, index: int, what: str) -> NDArray[Any]:
        """As `constant`, but refuses the node where the input is computed from the graph input."""
        array = self.constant(index)
        if array is None:
            raise refuse(self.node, f"its {what} {self.x(index)!r} depends on the graph input", f"constant {what}")
        return array

    def shape(self, value: str) -> tuple[Dim, ...]:
        """The dims of a value, each an int, a symbol or None.

        Raises:
            UnsupportedNodeError: shape inference does not know the value's rank.
        """
        if value not in self.forward.shapes:
            raise refuse(self.node, f"the rank of {value!r} is unknown", "known ranks; declare the model's input shape")
        return self.forward.shapes[value]

    def rank(self, value: str) -> int:
        """The number of axes of a value."""
        return len(self.shape(value))

    def static(self, value: str, axes: Sequence[int], why: str) -> tuple[int, ...]:
        """The sizes of these axes, all of which must be numbers.

        Raises:
            UnsupportedNodeError: one of them is symbolic or unknown.
        """
        dims = [self.shape(value)[axis] for axis in axes]
        if not all(isinstance(dim, int) for dim in dims):
            got = f"the size of {value!r} is {self.shape(value)}"
            raise refuse(self.node, got, f"numbers at axes {list(axes)} for {why}")
        return tuple(int(dim) for dim in dims if dim is not None)

    def dtype(self, value: str) -> np.dtype[Any]:
        """The NumPy type of a value's elements; that of the first input where inference knows nothing."""
        kind = self.forward.types.get(value) or self.forward.types.get(self.x()) or 1
        return helper.tensor_dtype_to_np_dtype(kind)

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append a node to the gradient graph."""
        return self.builder.op(operator, *inputs, **attributes)

    def split(self, value: str, axis: int, count: int) -> list[str]:
        """Append the division of a value into ``count`` equal parts along ``axis``."""
        names = [self.builder.name("Split") for _ in range(count)]
        self.builder.nodes.append(
            helper.make_node("Split", [value], names, name=names[0], axis=axis, num_outputs=count)
        )
        return names

    def scalar(self, number: float) -> str:
        """A constant of the first input's type."""
        return self.builder.constant(number, self.dtype(self.x()))

    def values(self, array: Any) -> str:
        """A constant tensor of the first input's type."""
        return self.builder.constant(array, self.dtype(self.x()))

    def integers(self, numbers: Sequence[int]) -> str:
        """A constant 1-D int64 tensor."""
        return self.builder.integers(int(number) for number in numbers)

    def shape_of(self, value: str) -> str:
        """A 1-D int64 tensor to give to Reshape: constant where at most one axis is symbolic, else read at run time."""
        dims = self.forward.shapes.get(value)
        if dims is not None and sum(not isinstance(dim, int) for dim in dims) <= 1 and 0 not in dims:
            return self.integers([dim if isinstance(dim, int) else -1 for dim in dims])
        return self.op("Shape", value)


Rule = Callable[[Call], Sequence[str | None]]
