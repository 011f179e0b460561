"""Gradients of trigonometric and hyperbolic functions and their inverses."""

from __future__ import annotations

from collections.abc import Callable

from mindveil.tools.gradients.call import Call, Rule

__all__ = ["RULES"]


def _times(derivative: Callable[[Call], str]) -> Rule:
    def rule(call: Call) -> list[str | None]:
        return [call.op("Mul", call.dy, derivative(call))]

    return rule


def _quadratic(call: Call, value: str, constant: float, factor: float) -> str:
    """constant + factor * value^2."""
    return call.op("Add", call.op("Mul", call.op("Mul", value, value), call.scalar(factor)), call.scalar(constant))


def _reciprocal(constant: float, factor: float) -> Callable[[Call], str]:
    return lambda call: call.op("Reciprocal", _quadratic(call, call.x(), constant, factor))


def _reciprocal_root(constant: float, factor: float, sign: float = 1.0) -> Callable[[Call], str]:
    def derivative(call: Call) -> str:
        return call.op("Div", call.scalar(sign), call.op("Sqrt", _quadratic(call, call.x(), constant, factor)))

    return derivative


RULES: dict[str, Rule] = {
    "Sin": _times(lambda call: call.op("Cos", call.x())),
    "Cos": _times(lambda call: call.op("Neg", call.op("Sin", call.x()))),
    "Tan": _times(lambda call: _quadratic(call, call.y, 1.0, 1.0)),
    "Asin": _times(_reciprocal_root(1.0, -1.0)),
    "Acos": _times(_reciprocal_root(1.0, -1.0, -1.0)),
    "Atan": _times(_reciprocal(1.0, 1.0)),
    "Sinh": _times(lambda call: call.op("Cosh", call.x())),
    "Cosh": _times(lambda call: call.op("Sinh", call.x())),
    "Asinh": _times(_reciprocal_root(1.0, 1.0)),
    "Acosh": _times(_reciprocal_root(-1.0, 1.0)),
    "Atanh": _times(_reciprocal(1.0, -1.0)),
}
