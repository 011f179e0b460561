"""Cases for functions of one value, and for arithmetic between values."""

from __future__ import annotations

import numpy as np
from onnx import TensorProto

from .case import Case, ints, normal, uniform

_SMOOTH = ("Sigmoid", "Tanh", "Softplus", "Softsign", "Mish", "Erf", "Exp", "Sin", "Cos", "Gelu", "Neg", "Identity")
_CURVES = ("Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Atanh")
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
    *(Case(name, low=-0.9, high=0.9) for name in _CURVES),
    Case("Acosh", low=1.2, high=3.0),
    Case("Shrink"),
    Case("Shrink", attributes={"lambd": 0.7, "bias": 0.2}, note="parameters"),
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
