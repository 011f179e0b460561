"""Cases for products, convolutions and pooling."""

from __future__ import annotations

from .case import Case, grouped, normal

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
    Case("MaxPool", attributes={"kernel_shape": [4, 1]}, shape=(2, 1, 4, 5), note="whole-line"),
    Case("MaxPool", attributes={"kernel_shape": [1, 3]}, shape=(2, 2, 4, 3), note="whole-row"),
    # double: the evaluator returns wrong indices where strides are 1
    Case("MaxPool", attributes={"kernel_shape": [4, 2]}, shape=(2, 1, 4, 5), note="one-window-down", double=False),
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
