"""Cases for normalisations, reductions and operators that move elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from .case import Case, ints, normal, uniform

_SCALE = normal(4)

NORMALISATION = [
    Case("BatchNormalization", ("x", normal(3), normal(3), normal(3), uniform(3)), shape=(2, 3, 2, 2)),
    Case("BatchNormalization", ("x", normal(4), normal(4), normal(4), uniform(4)), {"epsilon": 0.1}, note="two-axes"),
    Case("LayerNormalization", ("x", normal(4), normal(4)), shape=(3, 4)),
    Case("LayerNormalization", ("x", normal(3, 4)), {"axis": -2, "epsilon": 0.01}, (2, 3, 4), note="two-axes"),
    Case("RMSNormalization", ("x", normal(4)), opset=23),
    Case("RMSNormalization", ("x", normal(3, 4)), {"axis": -2, "epsilon": 0.1}, (2, 3, 4), note="two-axes", opset=23),
    Case("LpNormalization"),
    Case("LpNormalization", attributes={"axis": 1}, shape=(2, 3, 4), note="inner-axis"),
    Case("LRN", attributes={"size": 3, "alpha": 0.5, "beta": 0.6, "bias": 1.5}, shape=(2, 5, 2, 2)),
    Case("LRN", attributes={"size": 5, "alpha": 0.9}, shape=(1, 7, 2, 1), note="wide"),
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
        for name in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceProd", "ReduceMin", "ReduceSumSquare", "ReduceL1")
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

RESIZES: dict[str, dict[str, Any]] = {
    "nearest": {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    "nearest-half-pixel": {"mode": "nearest"},
    "linear": {"mode": "linear"},
    "linear-corners": {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
    "cubic": {"mode": "cubic"},
}

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
    Case("Pad", ("x", ints(0, 2, 0, 1)), {"mode": "reflect"}, note="reflect"),
    Case("Pad", ("x", ints(0, 2, 1, 0, 1, 0)), {"mode": "edge"}, (2, 3, 4), note="edge"),
    Case("Pad", ("x", ints(0, 1, 0, 2)), {"mode": "wrap"}, note="wrap"),
    Case("Tile", ("x", ints(1, 3))),
    Case("CumSum", ("x", np.array(1, np.int64))),
    Case("CumSum", ("x", np.array(1, np.int64)), {"exclusive": 1, "reverse": 1}, note="exclusive-reverse"),
    Case("GatherElements", ("x", np.array([[0, 0, 2], [1, 3, 1], [2, 2, 2]], np.int64)), {"axis": 1}),
    Case("GatherND", ("x", np.array([[0, 1], [2, 3], [0, 1]], np.int64))),
    Case("TopK", ("x", ints(2)), outputs=2, shape=(3, 5)),
    Case("TopK", ("x", ints(2)), {"largest": 0, "axis": 1}, (2, 4, 3), outputs=2, note="smallest"),
    Case("Trilu", shape=(2, 3, 4)),
    Case("Trilu", ("x", np.array(1, np.int64)), {"upper": 0}, (2, 3, 4), note="lower"),
    *(
        Case("Resize", ("x", "", np.array([1, 1, 2, 1.5], np.float32)), options, (2, 1, 3, 4), note=note)
        for note, options in RESIZES.items()
    ),
    Case("Resize", ("x", "", "", ints(1, 2, 5, 2)), {"mode": "linear"}, (1, 2, 3, 4), note="sizes", batch=1),
    Case("Resize", ("x", "", "", ints(5, 2)), {"mode": "linear", "axes": [2, 3]}, (2, 1, 3, 4), note="axes"),
    Case("DepthToSpace", attributes={"blocksize": 2}, shape=(1, 4, 2, 2)),
    Case("SpaceToDepth", attributes={"blocksize": 2}, shape=(1, 2, 4, 4)),
]
