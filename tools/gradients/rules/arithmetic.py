"""Gradients of arithmetic between values, with broadcasting: sums, products, quotients, powers, choices."""

from __future__ import annotations

from collections.abc import Sequence

from mindveil.tools.gradients.broadcast import sum_to
from mindveil.tools.gradients.call import Call, Rule

__all__ = ["RULES"]


def _summed(call: Call, full: Sequence[str | None]) -> list[str | None]:
    """Each gradient of the result's shape, summed to its input's shape."""
    return [
        None if gradient is None else sum_to(call, gradient, name, call.y)
        for gradient, name in zip(full, call.node.input, strict=True)
    ]


def add(call: Call) -> list[str | None]:
    """Add and Sum: the cotangent, to every input."""
    return _summed(call, [call.dy if wanted else None for wanted in call.active])


def mean(call: Call) -> list[str | None]:
    """Mean of several inputs."""
    share = call.op("Mul", call.dy, call.scalar(1 / len(call.node.input)))
    return _summed(call, [share if wanted else None for wanted in call.active])


def subtract(call: Call) -> list[str | None]:
    """The cotangent, and its negative."""
    return _summed(call, [call.dy if call.active[0] else None, call.op("Neg", call.dy) if call.active[1] else None])


def multiply(call: Call) -> list[str | None]:
    """The cotangent times the other factor."""
    first, second = call.node.input
    return _summed(
        call,
        [
            call.op("Mul", call.dy, second) if call.active[0] else None,
            call.op("Mul", call.dy, first) if call.active[1] else None,
        ],
    )


def divide(call: Call) -> list[str | None]:
    """dy / b, and -dy y / b."""
    ratio = call.op("Div", call.dy, call.x(1))
    below = call.op("Neg", call.op("Mul", ratio, call.y)) if call.active[1] else None
    return _summed(call, [ratio if call.active[0] else None, below])


def power(call: Call) -> list[str | None]:
    """b x^(b-1), and x^b log x for an exponent that varies."""
    base, exponent = call.node.input
    gradients: list[str | None] = [None, None]
    if call.active[0]:
        stored = call.constant(1)
        if stored is not None and stored.size == 1 and float(stored.item()) == 2.0:
            slope = call.op("Mul", base, call.scalar(2.0))  # exact and far cheaper than Pow
        else:
            cast = exponent
            if call.dtype(exponent) != call.dtype(base):
                cast = call.op("CastLike", exponent, base)
            slope = call.op("Mul", cast, call.op("Pow", base, call.op("Sub", cast, call.scalar(1.0))))
        gradients[0] = call.op("Mul", call.dy, slope)
    if call.active[1]:
        gradients[1] = call.op("Mul", call.dy, call.op("Mul", call.y, call.op("Log", base)))
    return _summed(call, gradients)


def where(call: Call) -> list[str | None]:
    """The cotangent goes to the branch that was taken."""
    zero = call.builder.constant(0.0, call.dtype(call.x(1)))
    return _summed(
        call,
        [
            None,
            call.op("Where", call.x(0), call.dy, zero) if call.active[1] else None,
            call.op("Where", call.x(0), zero, call.dy) if call.active[2] else None,
        ],
    )


def extremum(call: Call) -> list[str | None]:
    """Max and Min of several inputs: the first one that has the extreme value takes the whole cotangent."""
    gradients: list[str | None] = []
    rest = call.dy
    for name, wanted in zip(call.node.input, call.active, strict=True):
        hit = call.op("Equal", call.op("Expand", name, call.op("Shape", call.y)), call.y)
        gradients.append(call.op("Where", hit, rest, call.scalar(0.0)) if wanted else None)
        rest = call.op("Where", hit, call.scalar(0.0), rest)
    return _summed(call, gradients)


RULES: dict[str, Rule] = {
    "Add": add,
    "Sum": add,
    "Mean": mean,
    "Sub": subtract,
    "Mul": multiply,
    "Div": divide,
    "Pow": power,
    "Where": where,
    "Max": extremum,
    "Min": extremum,
}
