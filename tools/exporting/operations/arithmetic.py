"""Arithmetic, comparisons and choices, element by element."""

from __future__ import annotations

from functools import reduce

import numpy as np

from mindveil.tools.exporting.call import Call, Translation
from mindveil.tools.exporting.source import Constant

__all__ = ["TRANSLATIONS"]


def _unary(op: str) -> Translation:
    """A function that ONNX has with the same meaning."""

    def translate(call: Call) -> str:
        return call.emit(op, call.tensor(0, call.result().dtype))

    return translate


def _binary(op: str) -> Translation:
    """Both operands are converted to the type of the result first."""

    def translate(call: Call) -> str:
        kind = call.result().dtype
        return call.emit(op, call.tensor(0, kind), call.tensor(1, kind))

    return translate


def _scaled(op: str) -> Translation:
    """``x + alpha * y`` and ``x - alpha * y``."""

    def translate(call: Call) -> str:
        kind = call.result().dtype
        other = call.tensor(1, kind)
        alpha = call.constant(2) if call.has_constant(2) else 1
        if alpha != 1:
            other = call.emit("Mul", other, call.floats(float(alpha), kind))
        return call.emit(op, call.tensor(0, kind), other)

    return translate


def _comparison(op: str, negate: bool = False) -> Translation:
    def translate(call: Call) -> str:
        kind = _common_type(call)
        value = call.emit(op, call.tensor(0, kind), call.tensor(1, kind))
        return call.emit("Not", value) if negate else value

    return translate


def _logical(op: str) -> Translation:
    def translate(call: Call) -> str:
        return call.emit(op, *(call.tensor(index, "bool") for index in range(len(call.operands))))

    return translate


def _common_type(call: Call) -> str:
    """The type that both operands fit into; a Python number adapts to the tensor beside it."""
    kinds = [np.dtype(call.type_of(index).dtype) for index in (0, 1) if not _is_number(call, index)]
    numbers = [bound.value for bound in call.operands[:2] if isinstance(bound, Constant)]
    kind = np.result_type(*kinds) if kinds else np.dtype("float32")
    if kind.kind in "iub" and any(isinstance(value, float) for value in numbers):
        return "float32"
    return str(kind.name)


def _is_number(call: Call, index: int) -> bool:
    bound = call.operands[index]
    return isinstance(bound, Constant) and isinstance(bound.value, (bool, int, float))


def _square(call: Call) -> str:
    value = call.tensor(0)
    return call.emit("Mul", value, value)


def _reciprocal_root(call: Call) -> str:
    return call.emit("Reciprocal", call.emit("Sqrt", call.tensor(0)))


def _log1p(call: Call) -> str:
    kind = call.result().dtype
    return call.emit("Log", call.emit("Add", call.tensor(0, kind), call.floats(1.0, kind)))


def _expm1(call: Call) -> str:
    kind = call.result().dtype
    return call.emit("Sub", call.emit("Exp", call.tensor(0, kind)), call.floats(1.0, kind))


def _erfc(call: Call) -> str:
    kind = call.result().dtype
    return call.emit("Sub", call.floats(1.0, kind), call.emit("Erf", call.tensor(0, kind)))


def _floor_div(call: Call) -> str:
    """Rounds towards minus infinity; ONNX divides whole numbers towards zero, so they take the way through floats."""
    kind = call.result().dtype
    if np.dtype(kind).kind == "f":
        return call.emit("Floor", call.emit("Div", call.tensor(0, kind), call.tensor(1, kind)))
    ratio = call.emit("Div", call.tensor(0, "float64"), call.tensor(1, "float64"))
    return call.cast(call.emit("Floor", ratio), kind)


def _add_n(call: Call) -> str:
    return reduce(lambda total, value: call.emit("Add", total, value), call.tensors(0))


def _clamp(call: Call) -> str:
    """``clamp(x, low or None, high or None)``."""
    kind, value = call.result().dtype, call.tensor(0, call.result().dtype)
    for index, op in ((1, "Max"), (2, "Min")):
        absent = index >= len(call.operands) or (call.has_constant(index) and call.constant(index) is None)
        if not absent and call.operands[index] is not None:
            value = call.emit(op, value, call.tensor(index, kind))
    return value


def _select(call: Call) -> str:
    kind = call.result().dtype
    return call.emit("Where", call.tensor(0, "bool"), call.tensor(1, kind), call.tensor(2, kind))


def _masked_fill(call: Call) -> str:
    kind = call.result().dtype
    return call.emit("Where", call.tensor(1, "bool"), call.tensor(2, kind), call.tensor(0, kind))


def _cast(call: Call) -> str:
    return call.emit("Cast", call.tensor(0), to=call.type_code(call.result().dtype))


def _filled(value: float) -> Translation:
    """An array of the operand's shape, whatever its numbers are."""

    def translate(call: Call) -> str:
        fill = np.array([value], call.result().dtype)
        return call.emit("ConstantOfShape", call.emit("Shape", call.tensor(0)), value=fill)

    return translate


TRANSLATIONS: dict[str, Translation] = {
    **dict.fromkeys(("Add", "AddScalar"), _binary("Add")),
    **dict.fromkeys(("Sub", "SubScalar"), _binary("Sub")),
    **dict.fromkeys(("Mul", "Muls"), _binary("Mul")),
    **dict.fromkeys(("Div", "RealDiv", "Divs"), _binary("Div")),
    **dict.fromkeys(("Pow", "PowTensorScalar", "PowScalarTensor"), _binary("Pow")),
    "AddExt": _scaled("Add"),
    "SubExt": _scaled("Sub"),
    "Maximum": _binary("Max"),
    "Minimum": _binary("Min"),
    "AddN": _add_n,
    "FloorDiv": _floor_div,
    "Square": _square,
    "Rsqrt": _reciprocal_root,
    "Log1p": _log1p,
    "Expm1": _expm1,
    "Erfc": _erfc,
    **{
        op: _unary(op)
        for op in ("Sqrt", "Exp", "Log", "Erf", "Abs", "Neg", "Reciprocal", "Sign", "Floor", "Ceil", "Round")
    },
    **{
        op: _unary(op)
        for op in ("Sin", "Cos", "Tan", "Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Acosh", "Atanh")
    },
    "ACos": _unary("Acos"),
    "Rint": _unary("Round"),
    "Inv": _unary("Reciprocal"),
    "Greater": _comparison("Greater"),
    "GreaterEqual": _comparison("GreaterOrEqual"),
    "Less": _comparison("Less"),
    "LessEqual": _comparison("LessOrEqual"),
    "Equal": _comparison("Equal"),
    "NotEqual": _comparison("Equal", negate=True),
    "LogicalAnd": _logical("And"),
    "LogicalOr": _logical("Or"),
    "LogicalXor": _logical("Xor"),
    "LogicalNot": _logical("Not"),
    "ClampScalar": _clamp,
    "ClampTensor": _clamp,
    "ClipByValue": _clamp,
    "Select": _select,
    "MaskedFill": _masked_fill,
    "Cast": _cast,
    "ZerosLike": _filled(0.0),
    "ZerosLikeExt": _filled(0.0),
    "OnesLike": _filled(1.0),
    "OnesLikeExt": _filled(1.0),
}
