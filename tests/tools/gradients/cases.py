"""One or more small graphs for every operator in the table of gradient rules."""

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
            array = item.astype(dtype) if item.dtype.kind == "f" else item
            tensors.append(numpy_helper.from_array(array, f"constant{position}"))
            names.append(f"constant{position}")
        nodes = [*_prelude(set(names), tensors), self._node(names)]
        graph = helper.make_graph(
            nodes,
            str(self),
            [helper.make_tensor_value_info("x", kind, ["batch", *self.shape[1:]])],
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


_SMOOTH = ("Sigmoid", "Tanh", "Softplus", "Softsign", "Mish", "Erf", "Exp", "Sin", "Cos", "Gelu", "Neg", "Identity")
_BENT = ("Relu", "HardSwish", "Abs", "Elu", "Selu", "Celu", "LeakyRelu", "HardSigmoid")

POINTWISE = [
    *(Case(name) for name in (*_SMOOTH, *_BENT)),
    Case("Elu", attributes={"alpha": 0.7}, note="alpha"),
    Case("Selu", attributes={"alpha": 1.5, "gamma": 0.8}, note="parameters"),
    Case("Celu", attributes={"alpha": 0.6}, note="alpha"),
    Case("LeakyRelu", attributes={"alpha": 0.3}, note="alpha"),
    Case("ThresholdedRelu", attributes={"alpha": 0.4}),
    Case("HardSigmoid", attributes={"alpha": 0.4, "beta": 0.3}, note="parameters"),
    Case("Gelu", attributes={"approximate": "tanh"}, note="tanh"),
    Case("Log", low=0.2),
    Case("Sqrt", low=0.2),
    Case("Reciprocal", low=0.4),
    Case("PRelu", ("x", normal(4))),
    Case("PRelu", ("x", "row"), note="slope-varies"),
    Case("Clip", ("x", np.array(-0.5), np.array(0.8))),
    Case("Clip", ("x", "", np.array(0.8)), note="above-only"),
    Case("Clip", ("x", np.array(-0.5)), note="below-only"),
    Case("Cast", attributes={"to": TensorProto.DOUBLE}),
    Case("CastLike", ("x", np.array([1.0]))),
    Case("Dropout"),
    Case("Dropout", ("x", np.array(0.3), np.array(False)), note="ratio"),
]

ARITHMETIC = [
    Case("Add", ("x", normal(4))),
    Case("Add", ("x", "row"), note="both-vary"),
    Case("Add", (normal(3, 1), "row"), note="constant-broadcasts-the-row"),
    Case("Add", ("x", normal(2, 1, 4)), note="rank-grows"),
    Case("Add", ("x", "x"), note="same-input-twice"),
    Case("Sub", ("x", "row")),
    Case("Sub", (normal(4), "x"), note="constant-first"),
    Case("Mul", ("x", normal(4))),
    Case("Mul", ("x", "row"), note="both-vary"),
    Case("Mul", ("x", "x"), note="square"),
    Case("Div", ("x", uniform(4))),
    Case("Div", ("x", "positive"), note="both-vary"),
    Case("Div", (normal(4), "positive"), note="constant-first"),
    Case("Pow", ("x", np.array(2.0))),
    Case("Pow", ("x", np.array(3, np.int64)), note="integer-exponent"),
    Case("Pow", ("positive", np.array(-1.5)), note="negative-exponent"),
    Case("Pow", ("positive", "u"), note="exponent-varies"),
    Case("Sum", ("x", "u", "row")),
    Case("Mean", ("x", "u", "row")),
    Case("Where", ("above", "u", "x")),
    Case("Where", ("above", "x", np.array(0.1)), note="constant-branch"),
    Case("Max", ("x", "u", normal(4))),
    Case("Min", ("x", "u", normal(4))),
    Case("Expand", ("x", ints(2, 3, 4))),
    Case("Expand", ("row", ints(3, 5)), note="last-axis"),
]

PRODUCT = [
    Case("Gemm", ("x", normal(4, 5), normal(5))),
    Case("Gemm", ("x", normal(5, 4)), {"transB": 1, "alpha": 0.7}, note="transB"),
    Case("Gemm", (normal(5, 3), "x"), note="right-factor"),
    Case("Gemm", (normal(5, 4), "x"), {"transB": 1, "alpha": 0.5}, note="right-factor-transB"),
    Case("Gemm", (normal(3, 5), "x"), {"transA": 1}, note="right-factor-transA"),
    Case("Gemm", (normal(4, 5), "x"), {"transA": 1, "transB": 1}, note="right-factor-both"),
    Case("Gemm", ("x", normal(3, 5)), {"transA": 1, "alpha": 2.0}, note="transA"),
    Case("Gemm", ("x", normal(5, 3)), {"transA": 1, "transB": 1}, note="transA-transB"),
    Case("Gemm", ("x", normal(4, 5), "row"), {"beta": 0.3}, note="addend-varies"),
    Case("MatMul", ("x", normal(4, 5))),
    Case("MatMul", (normal(5, 3), "x"), note="right-factor"),
    Case("MatMul", ("x", "turned"), note="both-vary"),
    Case("MatMul", ("x", normal(4)), note="vector-right"),
    Case("MatMul", (normal(3), "x"), note="vector-left"),
    Case("MatMul", ("x", normal(2, 4, 3)), note="rank-grows", shape=(2, 4)),
    Case("MatMul", ("x", normal(4, 5)), shape=(2, 3, 4), note="batched"),
    Case("MatMul", (normal(2, 1, 5, 3), "x"), shape=(2, 3, 3, 4), note="batch-broadcast-right"),
    Case("MatMul", ("x", normal(2, 5, 4, 2)), shape=(2, 1, 3, 4), note="batch-broadcast-left"),
    Case("MatMul", ("x", normal(4)), shape=(2, 3, 4), note="batched-vector"),
    Case("MatMul", (normal(3), "x"), shape=(2, 3, 4), note="vector-batched"),
]

_KERNEL = normal(1, 1, 3, 3)

CONVOLUTION = [
    Case("Conv", ("x", normal(3, 2, 3, 3), normal(3)), shape=(2, 2, 5, 6)),
    Case("Conv", ("x", normal(3, 2, 3, 2)), {"strides": [2, 3]}, (2, 2, 6, 8), note="strides"),
    Case("Conv", ("x", normal(2, 2, 3, 3)), {"pads": [1, 0, 2, 1], "strides": [2, 2]}, (1, 2, 5, 6), note="pads"),
    Case("Conv", ("x", normal(2, 2, 2, 3)), {"dilations": [2, 2], "strides": [2, 1]}, (1, 2, 6, 7), note="dilations"),
    grouped("Conv", normal(4, 1, 3, 3), {"group": 2, "pads": [1, 1, 1, 1]}, (2, 2, 4, 5), "depthwise"),
    grouped("Conv", normal(4, 2, 2, 2), {"group": 2, "strides": [2, 2]}, (1, 4, 5, 5), "groups"),
    Case("Conv", ("x", normal(2, 1, 3, 3)), {"auto_pad": "SAME_UPPER", "strides": [2, 2]}, (1, 1, 6, 5), note="upper"),
    Case("Conv", ("x", normal(2, 1, 2, 2)), {"auto_pad": "SAME_LOWER"}, (1, 1, 4, 5), note="lower"),
    Case("Conv", ("x", normal(2, 1, 3, 2)), {"auto_pad": "VALID"}, (1, 1, 4, 5), note="valid"),
    Case("Conv", ("x", normal(2, 3, 3)), {"strides": [2]}, (2, 3, 8), note="one-dimension"),
    Case("Conv", ("x", normal(2, 1, 2, 2, 2)), {}, (1, 1, 3, 4, 3), note="three-dimensions"),
    Case("ConvTranspose", ("x", normal(2, 3, 3, 3), normal(3)), shape=(2, 2, 3, 4)),
    Case("ConvTranspose", ("x", normal(2, 3, 3, 2)), {"strides": [2, 3]}, (1, 2, 3, 3), note="strides"),
    Case("ConvTranspose", ("x", normal(2, 2, 3, 3)), {"pads": [1, 0, 1, 2]}, (1, 2, 4, 4), note="pads"),
    Case("ConvTranspose", ("x", normal(2, 2, 2, 2)), {"dilations": [2, 2]}, (1, 2, 3, 3), note="dilations"),
    Case(
        "ConvTranspose",
        ("x", normal(2, 2, 3, 3)),
        {"strides": [2, 2], "output_padding": [1, 1], "pads": [1, 1, 1, 1]},
        (1, 2, 3, 4),
        note="output-padding",
    ),
    grouped("ConvTranspose", normal(4, 1, 2, 2), {"group": 2, "strides": [2, 2]}, (1, 4, 2, 3), "groups"),
    Case(
        "ConvTranspose",
        ("x", _KERNEL),
        {"strides": [2, 2], "output_shape": [6, 8]},
        (1, 1, 3, 4),
        note="output-shape",
        double=False,
        twin=Case("ConvTranspose", ("x", _KERNEL), {"strides": [2, 2], "pads": [1, 1, 0, 0]}, (1, 1, 3, 4)),
    ),
    Case(
        "ConvTranspose",
        ("x", _KERNEL),
        {"strides": [2, 2], "auto_pad": "SAME_UPPER"},
        (1, 1, 3, 4),
        note="upper",
        twin=Case("ConvTranspose", ("x", _KERNEL), {"strides": [2, 2], "pads": [0, 0, 1, 1]}, (1, 1, 3, 4)),
    ),
]

POOLING = [
    Case("MaxPool", attributes={"kernel_shape": [2, 2], "strides": [2, 2]}, shape=(2, 2, 4, 6)),
    Case("MaxPool", attributes={"kernel_shape": [2, 2], "strides": [2, 2]}, shape=(2, 1, 5, 7), note="remainder"),
    Case("MaxPool", attributes={"kernel_shape": [3, 2], "strides": [1, 2]}, shape=(2, 2, 5, 5), note="overlapping"),
    Case(
        "MaxPool",
        attributes={"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        shape=(1, 2, 5, 5),
        note="pads",
    ),
    Case(
        "MaxPool",
        attributes={"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
        shape=(1, 2, 5, 5),
        note="ceil",
    ),
    Case("MaxPool", attributes={"kernel_shape": [3], "strides": [3]}, shape=(2, 2, 7), note="one-dimension"),
    Case("AveragePool", attributes={"kernel_shape": [2, 2], "strides": [2, 2]}, shape=(2, 2, 4, 6)),
    Case("AveragePool", attributes={"kernel_shape": [3, 2], "strides": [1, 2]}, shape=(1, 2, 5, 5), note="overlapping"),
    Case(
        "AveragePool",
        attributes={"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
        shape=(1, 2, 5, 6),
        note="pads",
    ),
    Case(
        "AveragePool",
        attributes={"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "count_include_pad": 1},
        shape=(1, 2, 5, 6),
        note="count-include-pad",
    ),
    Case(
        "AveragePool",
        attributes={"kernel_shape": [2, 2], "strides": [2, 2], "ceil_mode": 1},
        shape=(1, 1, 5, 5),
        note="ceil",
    ),
    Case("AveragePool", attributes={"kernel_shape": [2], "strides": [2]}, shape=(2, 2, 6), note="one-dimension"),
    Case("GlobalAveragePool", shape=(2, 3, 3, 4)),
    Case("GlobalMaxPool", shape=(2, 3, 3, 4)),
]

_SCALE = normal(4)

NORMALISATION = [
    Case("BatchNormalization", ("x", normal(3), normal(3), normal(3), uniform(3)), shape=(2, 3, 2, 2)),
    Case("BatchNormalization", ("x", normal(4), normal(4), normal(4), uniform(4)), {"epsilon": 0.1}, note="two-axes"),
    Case("LayerNormalization", ("x", normal(4), normal(4)), shape=(3, 4)),
    Case("LayerNormalization", ("x", normal(3, 4)), {"axis": -2, "epsilon": 0.01}, (2, 3, 4), note="two-axes"),
    Case("InstanceNormalization", ("x", normal(3), normal(3)), shape=(2, 3, 2, 3)),
    Case(
        "GroupNormalization",
        ("x", _SCALE, _SCALE),
        {"num_groups": 2},
        (2, 4, 2, 2),
        # stash_type: the evaluator would compute the statistics in single precision
        twin=Case("GroupNormalization", ("x", _SCALE, _SCALE), {"num_groups": 2, "stash_type": 11}, (2, 4, 2, 2)),
    ),
]

REDUCTION = [
    *(
        Case(name, ("x", ints(*axes)), {"keepdims": keep}, (2, 3, 4), note=f"{axes}-{keep}".replace(" ", ""))
        for name in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSumSquare", "ReduceL1")
        for axes, keep in (((1,), 1), ((-1, 1), 0), ((2,), 0))
    ),
    Case("ReduceL2", ("x", ints(1)), {"keepdims": 0}),
    Case("ReduceLogSumExp", ("x", ints(-1)), {"keepdims": 0}, (2, 3, 4)),
    Case("ReduceSum", attributes={"keepdims": 0}, note="all-axes"),
    Case("ReduceMean", note="batch-axis-too"),
    Case("ReduceMax", ("x", ints(0, 1)), {"keepdims": 0}, note="batch-axis-too"),
    Case("ReduceSum", attributes={"noop_with_empty_axes": 1}, note="no-axes"),
    Case("Softmax"),
    Case("Softmax", attributes={"axis": 1}, shape=(2, 3, 4), note="inner-axis"),
    Case("LogSoftmax"),
    Case("LogSoftmax", attributes={"axis": 1}, shape=(2, 3, 4), note="inner-axis"),
]

SHAPE = [
    Case("Reshape", ("x", ints(-1, 2, 2))),
    Case("Reshape", ("x", ints(0, 4, 3)), shape=(2, 3, 4), note="zero-keeps"),
    Case("Flatten", shape=(2, 3, 2)),
    Case("Squeeze", ("x", ints(1)), shape=(3, 1, 4)),
    Case("Unsqueeze", ("x", ints(1, 3))),
    Case("Transpose", attributes={"perm": [0, 2, 1]}, shape=(2, 3, 4)),
    Case("Transpose", shape=(2, 3, 4), note="reversed"),
    Case("Concat", ("x", "u", normal(3, 2)), {"axis": 1}),
    Case("Split", attributes={"axis": 1, "num_outputs": 2}, outputs=2, use_output=1),
    Case("Split", ("x", ints(1, 3)), {"axis": -1}, outputs=2, note="sizes"),
    Case("Slice", ("x", ints(1), ints(3), ints(1))),
    Case("Slice", ("x", ints(-3), ints(2**31), ints(-1)), note="from-the-end"),
    Case("Slice", ("x", ints(0), ints(7), ints(1), ints(3)), shape=(2, 7), note="steps"),
    Case("Slice", ("x", ints(5), ints(0), ints(1), ints(-2)), shape=(2, 7), note="backwards"),
    Case("Slice", ("x", ints(-1), ints(-(2**31)), ints(1), ints(-1)), shape=(2, 5), note="reversed"),
    Case("Slice", ("x", ints(1, 0), ints(3, 2), ints(2, 1)), shape=(2, 3, 4), note="two-axes"),
    Case("Gather", ("x", ints(2, 0, 2, -1)), {"axis": 1}),
    Case("Gather", ("x", np.array(1, np.int64)), {"axis": 1}, shape=(2, 3, 4), note="one-index"),
    Case("Gather", ("x", np.array([[0, 2], [1, 1]], np.int64)), {"axis": 1}, (2, 3, 4), note="matrix-of-indices"),
    Case("Pad", ("x", ints(0, 1, 0, 2))),
    Case("Pad", ("x", ints(1, 2), np.array(0.5), ints(-1)), note="axes"),
    Case("Pad", ("x", ints(0, -1, 0, 1)), note="negative", twin=Case("MatMul", ("x", np.eye(4, k=-1))), double=False),
    Case("Tile", ("x", ints(1, 3))),
    Case("DepthToSpace", attributes={"blocksize": 2}, shape=(1, 4, 2, 2)),
    Case("SpaceToDepth", attributes={"blocksize": 2}, shape=(1, 2, 4, 4)),
]

CASES: list[Case] = [
    *POINTWISE,
    *ARITHMETIC,
    *PRODUCT,
    *CONVOLUTION,
    *POOLING,
    *NORMALISATION,
    *REDUCTION,
    *SHAPE,
]


def small_network(seed: int = 0) -> ModelProto:
    """Images (batch, 1, 12, 12) through a convolution, Relu, pooling, ``hidden`` (12 units) and ``logits`` (5)."""
    rng = np.random.default_rng(seed)
    shapes = {"conv.weight": (4, 1, 3, 3), "fc1.weight": (12, 100), "fc1.bias": (12,), "fc2.weight": (5, 12)}
    make = helper.make_node
    nodes = [
        make("Conv", ["input", "conv.weight"], ["conv.sum"], kernel_shape=[3, 3]),
        make("Relu", ["conv.sum"], ["conv"]),
        make("MaxPool", ["conv"], ["pool"], kernel_shape=[2, 2], strides=[2, 2]),
        make("Flatten", ["pool"], ["flat"]),
        make("Gemm", ["flat", "fc1.weight", "fc1.bias"], ["hidden.sum"], transB=1),
        make("Relu", ["hidden.sum"], ["hidden"]),
        make("Gemm", ["hidden", "fc2.weight"], ["logits"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "network",
        [helper.make_tensor_value_info("input", 1, ["batch", 1, 12, 12])],
        [helper.make_tensor_value_info("logits", 1, ["batch", 5])],
        [numpy_helper.from_array(rng.normal(size=s).astype(np.float32), n) for n, s in shapes.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
