"""Writes ONNX nodes and constants one after another, and hands out their names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper, numpy_helper

__all__ = ["Builder"]

Array = NDArray[Any]


class Builder:
    """A growing list of nodes; equal constants are stored once."""

    def __init__(self, taken: Iterable[str], prefix: str = "grad") -> None:
        self.nodes: list[NodeProto] = []
        self._taken = set(taken)
        self._prefix = prefix
        self._count = 0
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        self._arrays: dict[str, Array] = {}

    @property
    def initializers(self) -> list[TensorProto]:
        """The constants made so far."""
        return [numpy_helper.from_array(array, name) for name, array in self._arrays.items()]

    def name(self, hint: str) -> str:
        """A name that nothing else in the graph has."""
        while True:
            self._count += 1
            candidate = f"{self._prefix}/{hint}_{self._count}"
            if candidate not in self._taken:
                self._taken.add(candidate)
                return candidate

    def op(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """Append one node with one output, and return the output's name."""
        output = self.name(operator)
        self.nodes.append(helper.make_node(operator, list(inputs), [output], name=output, **attributes))
        return output

    def constant(self, values: Any, dtype: Any) -> str:
        """An initializer with these values."""
        array = np.ascontiguousarray(values, dtype=dtype).reshape(np.shape(values))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = self.name("constant")
            self._constants[key] = name
            self._arrays[name] = array
        return self._constants[key]

    def integers(self, values: Iterable[int]) -> str:
        """A 1-D int64 initializer, as axes and shapes are given to operators."""
        return self.constant(list(values), np.int64)
