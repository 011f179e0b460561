"""A small graph that applies one operator, for tests of its gradient rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, helper, numpy_helper

Array = NDArray[Any]
_RNG = np.random.default_rng(20240607)


@dataclass(frozen=True)
class Case:
    """``operator`` applied to ``inputs``: the graph input ``x``, values made from it, or constant arrays.

    Ready-made values: ``u`` is sin(x), ``positive`` is exp(x), ``row`` the mean of x over its last axis (size 1).
    """

    operator: str
    inputs: tuple[str | Array, ...] = ("x",)
    attributes: dict[str, Any] = field(default_factory=dict)
    shape: tuple[int, ...] = (3, 4)
    outputs: int = 1
    use_output: int = 0
    note: str = ""
    opset: int = 21
    low: float = -2.0
    high: float = 2.0
    twin: Case | None = None  # the same function, written so that the reference evaluator can run it
    batch: str | int = "batch"
    double: bool = True  # whether the reference evaluator can run the gradient graph

    def __str__(self) -> str:
        return f"{self.operator}-{self.note}" if self.note else self.operator

    def model(self, dtype: type[np.floating[Any]]) -> ModelProto:
        """The graph in single or double precision; integer constants stay integers."""
        kind = TensorProto.DOUBLE if dtype is np.float64 else TensorProto.FLOAT
        names, tensors = [], []
        for position, item in enumerate(self.inputs):
            if isinstance(item, str):
                names.append(item)
                continue
            # single precision is kept where it was asked for: Resize takes its scales in no other type
            array = item.astype(dtype) if item.dtype == np.float64 else item
            tensors.append(numpy_helper.from_array(array, f"constant{position}"))
            names.append(f"constant{position}")
        nodes = [*_prelude(set(names), tensors), self._node(names)]
        graph = helper.make_graph(
            nodes,
            str(self),
            [helper.make_tensor_value_info("x", kind, [self.batch, *self.shape[1:]])],
            [helper.make_tensor_value_info(f"y{self.use_output}", self.attributes.get("to", kind), None)],
            tensors,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)

    def _node(self, names: list[str]) -> Any:
        outputs = [f"y{index}" for index in range(self.outputs)]
        return helper.make_node(self.operator, names, outputs, name="probe", **self.attributes)

    def point(self) -> Array:
        """Where the gradient is taken; drawn so that no two elements are equal and none is at a kink."""
        rng = np.random.default_rng(len(str(self)))
        return rng.uniform(self.low, self.high, self.shape)


def _prelude(names: set[str], tensors: list[TensorProto]) -> Iterator[Any]:
    if "u" in names:
        yield helper.make_node("Sin", ["x"], ["u"])
    if "positive" in names:
        yield helper.make_node("Exp", ["x"], ["positive"])
    if "row" in names:
        tensors.append(numpy_helper.from_array(np.array([-1], np.int64), "last"))
        yield helper.make_node("ReduceMean", ["x", "last"], ["row"], keepdims=1)
    if "turned" in names:
        yield helper.make_node("Transpose", ["x"], ["turned"], perm=[1, 0])
    if "above" in names:
        tensors.append(numpy_helper.from_array(np.array(0.3, np.float64), "bar64"))
        yield helper.make_node("CastLike", ["bar64", "x"], ["bar"])
        yield helper.make_node("Greater", ["x", "bar"], ["above"])


def normal(*shape: int) -> Array:
    return _RNG.normal(size=shape)


def uniform(*shape: int) -> Array:
    return _RNG.uniform(0.5, 1.5, size=shape)


def block_diagonal(weights: Array, groups: int, axis: int) -> Array:
    """The weights of one dense convolution that equals a grouped one; ``axis`` holds each group's own channels."""
    outer = np.split(weights, groups, axis=1 - axis)
    zero = np.zeros_like(outer[0])
    rows = [np.concatenate([outer[g] if g == h else zero for h in range(groups)], axis=axis) for g in range(groups)]
    return np.concatenate(rows, axis=1 - axis)


def grouped(operator: str, weights: Array, attributes: dict[str, Any], shape: tuple[int, ...], note: str) -> Case:
    """A grouped convolution; the reference evaluator gets the dense one that it equals."""
    dense = {name: value for name, value in attributes.items() if name != "group"}
    twin = Case(operator, ("x", block_diagonal(weights, attributes["group"], 1)), dense, shape)
    return Case(operator, ("x", weights), attributes, shape, note=note, twin=twin, double=False)


def ints(*values: int) -> Array:
    return np.array(values, np.int64)
