"""Gradients of functions of one value, element by element: the cotangent times a derivative."""

from __future__ import annotations

import math
from collections.abc import Callable

from onnx import helper

from mindveil.tools.gradients.broadcast import sum_to
from mindveil.tools.gradients.call import Call, Rule
from mindveil.tools.gradients.errors import refuse

__all__ = ["RULES"]


def _times(derivative: Callable[[Call], str]) -> Rule:
    """The rule that multiplies the cotangent by ``derivative``."""

    def rule(call: Call) -> list[str | None]:
        return [call.op("Mul", call.dy, derivative(call))]

    return rule


def _select(call: Call, condition: str, inside: str | float, outside: str | float) -> str:
    names = [item if isinstance(item, str) else call.scalar(item) for item in (inside, outside)]
    return call.op("Where", condition, *names)


def _gate(call: Call, condition: str, value: str) -> str:
    """``value`` where the condition holds, else 0; a product, because Where takes four times as long in onnxruntime."""
    kind = helper.np_dtype_to_tensor_dtype(call.dtype(call.x()))
    return call.op("Mul", value, call.op("Cast", condition, to=kind))


def _above(call: Call, value: str, bound: float) -> str:
    return call.op("Greater", value, call.scalar(bound))


def relu(call: Call) -> list[str | None]:
    """The gradient at 0 is 0, as every training framework has it."""
    return [_gate(call, _above(call, call.y, 0.0), call.dy)]


def leaky_relu(call: Call) -> list[str | None]:
    """Slope 1 above 0, ``alpha`` at 0 and below."""
    below = call.op("Mul", call.dy, call.scalar(call.attribute("alpha", 0.01)))
    return [_select(call, _above(call, call.x(), 0.0), call.dy, below)]


def thresholded_relu(call: Call) -> list[str | None]:
    """Slope 1 above the threshold, 0 elsewhere."""
    return [_gate(call, _above(call, call.x(), call.attribute("alpha", 1.0)), call.dy)]


def shrink(call: Call) -> list[str | None]:
    """Slope 1 beyond ``lambd`` on either side, 0 between."""
    return [_gate(call, _above(call, call.op("Abs", call.x()), call.attribute("lambd", 0.5)), call.dy)]


def prelu(call: Call) -> list[str | None]:
    """Slope 1 above 0, the learned slope at 0 and below."""
    positive = _above(call, call.x(), 0.0)
    gradients: list[str | None] = [None, None]
    if call.active[0]:
        gradients[0] = _select(call, positive, call.dy, call.op("Mul", call.dy, call.x(1)))
    if call.active[1]:
        below = _select(call, positive, 0.0, call.op("Mul", call.dy, call.x()))
        gradients[1] = sum_to(call, below, call.x(1), call.y)
    return gradients


def clip(call: Call) -> list[str | None]:
    """Slope 1 inside the bounds and on them, 0 outside; a bound that depends on the input is refused."""
    if any(call.active[1:]):
        raise refuse(call.node, "a bound is computed from the graph input", "constant bounds")
    gradient = call.dy
    if call.x(1):
        gradient = _gate(call, call.op("GreaterOrEqual", call.x(), call.x(1)), gradient)
    if call.x(2):
        gradient = _gate(call, call.op("LessOrEqual", call.x(), call.x(2)), gradient)
    return [gradient]


def _exponential_tail(call: Call, gamma: float, alpha: float) -> str:
    """gamma above 0, gamma * alpha * exp(x) below: the derivative of the Elu family."""
    # exp of the smaller of x and 0, because Where computes both branches and exp(large) would be infinite
    lower = call.op("Exp", call.op("Min", call.x(), call.scalar(0.0)))
    return _select(call, _above(call, call.x(), 0.0), gamma, call.op("Mul", lower, call.scalar(gamma * alpha)))


def _elu(call: Call) -> str:
    return _exponential_tail(call, 1.0, call.attribute("alpha", 1.0))


def _selu(call: Call) -> str:
    alpha = call.attribute("alpha", 1.67326319217681884765625)
    return _exponential_tail(call, call.attribute("gamma", 1.05070102214813232421875), alpha)


def _celu(call: Call) -> str:
    lower = call.op("Min", call.x(), call.scalar(0.0))
    tail = call.op("Exp", call.op("Div", lower, call.scalar(call.attribute("alpha", 1.0))))
    return _select(call, _above(call, call.x(), 0.0), 1.0, tail)


def _sigmoid(call: Call) -> str:
    return call.op("Mul", call.y, call.op("Sub", call.scalar(1.0), call.y))


def _tanh(call: Call) -> str:
    return call.op("Sub", call.scalar(1.0), call.op("Mul", call.y, call.y))


def _softplus(call: Call) -> str:
    return call.op("Sigmoid", call.x())


def _softsign(call: Call) -> str:
    below = call.op("Add", call.scalar(1.0), call.op("Abs", call.x()))
    return call.op("Reciprocal", call.op("Mul", below, below))


def _hard_sigmoid(call: Call) -> str:
    inside = call.op("And", _above(call, call.y, 0.0), call.op("Less", call.y, call.scalar(1.0)))
    return _select(call, inside, call.attribute("alpha", 0.2), 0.0)


def _hard_swish(call: Call) -> str:
    middle = call.op("Add", call.op("Div", call.x(), call.scalar(3.0)), call.scalar(0.5))
    upper = _select(call, _above(call, call.x(), 3.0), 1.0, middle)
    return _select(call, _above(call, call.x(), -3.0), upper, 0.0)


def _mish(call: Call) -> str:
    """t + x (1 - t^2) sigmoid(x) with t = tanh(softplus(x))."""
    t = call.op("Tanh", call.op("Softplus", call.x()))
    slope = call.op("Sub", call.scalar(1.0), call.op("Mul", t, t))
    tail = call.op("Mul", call.op("Mul", call.x(), call.op("Sigmoid", call.x())), slope)
    return call.op("Add", t, tail)


def _gelu(call: Call) -> str:
    return _gelu_tanh(call) if call.attribute("approximate", "none") == "tanh" else _gelu_exact(call)


def _gelu_exact(call: Call) -> str:
    """Phi(x) + x phi(x), the normal distribution and its density."""
    x = call.x()
    distribution = call.op("Erf", call.op("Mul", x, call.scalar(math.sqrt(0.5))))
    distribution = call.op("Mul", call.op("Add", distribution, call.scalar(1.0)), call.scalar(0.5))
    density = call.op("Exp", call.op("Mul", call.op("Mul", x, x), call.scalar(-0.5)))
    density = call.op("Mul", density, call.scalar(1 / math.sqrt(math.tau)))
    return call.op("Add", distribution, call.op("Mul", x, density))


def _gelu_tanh(call: Call) -> str:
    """d/dx of x (1 + t) / 2 with t = tanh(c (x + k x^3))."""
    x, c, k = call.x(), math.sqrt(2 / math.pi), 0.044715
    square = call.op("Mul", x, x)
    inner = call.op("Mul", x, call.op("Add", call.scalar(c), call.op("Mul", square, call.scalar(c * k))))
    t = call.op("Tanh", inner)
    slope = call.op("Add", call.scalar(c), call.op("Mul", square, call.scalar(3 * c * k)))
    bend = call.op("Mul", call.op("Sub", call.scalar(1.0), call.op("Mul", t, t)), call.op("Mul", x, slope))
    return call.op("Mul", call.op("Add", call.op("Add", t, call.scalar(1.0)), bend), call.scalar(0.5))


def _erf(call: Call) -> str:
    bell = call.op("Exp", call.op("Neg", call.op("Mul", call.x(), call.x())))
    return call.op("Mul", bell, call.scalar(2 / math.sqrt(math.pi)))


def _sqrt(call: Call) -> str:
    return call.op("Div", call.scalar(0.5), call.y)


def _reciprocal(call: Call) -> str:
    return call.op("Neg", call.op("Mul", call.y, call.y))


def negate(call: Call) -> list[str | None]:
    """The negated cotangent."""
    return [call.op("Neg", call.dy)]


def divide_by_input(call: Call) -> list[str | None]:
    """Log."""
    return [call.op("Div", call.dy, call.x())]


RULES: dict[str, Rule] = {
    "Relu": relu,
    "LeakyRelu": leaky_relu,
    "ThresholdedRelu": thresholded_relu,
    "PRelu": prelu,
    "Clip": clip,
    "Elu": _times(_elu),
    "Selu": _times(_selu),
    "Celu": _times(_celu),
    "Sigmoid": _times(_sigmoid),
    "Tanh": _times(_tanh),
    "Softplus": _times(_softplus),
    "Softsign": _times(_softsign),
    "HardSigmoid": _times(_hard_sigmoid),
    "HardSwish": _times(_hard_swish),
    "Mish": _times(_mish),
    "Gelu": _times(_gelu),
    "Erf": _times(_erf),
    "Exp": _times(lambda call: call.y),
    "Log": divide_by_input,
    "Sqrt": _times(_sqrt),
    "Reciprocal": _times(_reciprocal),
    "Abs": _times(lambda call: call.op("Sign", call.x())),
    "Neg": negate,
    "Shrink": shrink,
}
