"""Activation functions."""

from __future__ import annotations

import numpy as np

from mindveil.tools.exporting.call import Call, Translation

__all__ = ["TRANSLATIONS"]


def _named(op: str) -> Translation:
    """An activation that ONNX has under another name, with the same meaning."""

    def translate(call: Call) -> str:
        return call.emit(op, call.tensor(0))

    return translate


def _relu6(call: Call) -> str:
    kind = call.result().dtype
    return call.emit("Clip", call.tensor(0), call.floats(0.0, kind), call.floats(6.0, kind))


def _fast_gelu(call: Call) -> str:
    """``x * sigmoid(1.702 x)``."""
    value, kind = call.tensor(0), call.result().dtype
    return call.emit("Mul", value, call.emit("Sigmoid", call.emit("Mul", value, call.floats(1.702, kind))))


def _celu(call: Call) -> str:
    alpha = call.constant(1) if call.has_constant(1) else call.attribute("alpha", 1.0)
    return call.emit("Celu", call.tensor(0), alpha=float(alpha))


def _silu(call: Call) -> str:
    value = call.tensor(0)
    return call.emit("Mul", value, call.emit("Sigmoid", value))


def _hard_sigmoid(call: Call) -> str:
    return call.emit("HardSigmoid", call.tensor(0), alpha=1 / 6, beta=0.5)


def _gelu_tanh(call: Call) -> str:
    """MindSpore's ``GeLU`` is the approximation by tanh; the exact form comes as arithmetic on Erf."""
    return call.emit("Gelu", call.tensor(0), approximate="tanh")


def _elu(call: Call) -> str:
    alpha = call.constant(1) if call.has_constant(1) else call.attribute("alpha", 1.0)
    return call.emit("Elu", call.tensor(0), alpha=float(alpha))


def _leaky_relu(call: Call) -> str:
    slope = call.constant(1) if call.has_constant(1) else call.attribute("negative_slope", 0.01)
    return call.emit("LeakyRelu", call.tensor(0), alpha=float(slope))


def _prelu(call: Call) -> str:
    """``PReLU(x, slope)``: one slope for each channel (axis 1), or one in all."""
    rank, count = len(call.type_of(0).shape), call.type_of(1).shape[0]
    slope = call.tensor(1)
    if rank > 2 and count != 1:
        slope = call.emit("Reshape", slope, call.sizes([count] + [1] * (rank - 2)))
    return call.emit("PRelu", call.tensor(0), slope)


def _softmax(call: Call) -> str:
    return _over_axis(call, "Softmax", 1)


def _log_softmax(call: Call) -> str:
    return _over_axis(call, "LogSoftmax", 1)


def _over_axis(call: Call, op: str, index: int) -> str:
    axis = call.constant(index) if call.has_constant(index) else call.attribute("axis", -1)
    if isinstance(axis, tuple):
        if len(axis) != 1:
            call.refuse(f"it normalises over axes {axis}; ONNX has {op} over one axis")
        axis = axis[0]
    return call.emit(op, call.tensor(0), axis=-1 if axis is None else int(axis))


def _log_sigmoid(call: Call) -> str:
    return call.emit("Neg", call.emit("Softplus", call.emit("Neg", call.tensor(0))))


def _softshrink(call: Call) -> str:
    width = call.constant(1) if call.has_constant(1) else call.attribute("lambd", 0.5)
    return call.emit("Shrink", call.tensor(0), lambd=float(width), bias=float(width))


def _hardshrink(call: Call) -> str:
    width = call.constant(1) if call.has_constant(1) else call.attribute("lambd", 0.5)
    return call.emit("Shrink", call.tensor(0), lambd=float(width), bias=0.0)


def _hard_tanh(call: Call) -> str:
    kind = np.dtype(call.result().dtype).name
    low = call.constant(1) if call.has_constant(1) else -1.0
    high = call.constant(2) if call.has_constant(2) else 1.0
    return call.emit("Clip", call.tensor(0), call.floats(low, kind), call.floats(high, kind))


TRANSLATIONS: dict[str, Translation] = {
    "ReLU": _named("Relu"),
    "ReLU6": _relu6,
    "Sigmoid": _named("Sigmoid"),
    "Tanh": _named("Tanh"),
    "Softsign": _named("Softsign"),
    "Softplus": _named("Softplus"),
    "Mish": _named("Mish"),
    "HSwish": _named("HardSwish"),
    "HSigmoid": _hard_sigmoid,
    "SeLU": _named("Selu"),
    "SeLUExt": _named("Selu"),
    "SiLU": _silu,
    "GeLU": _gelu_tanh,
    "FastGeLU": _fast_gelu,
    "CeLU": _celu,
    "Elu": _elu,
    "EluExt": _elu,
    "LeakyReLU": _leaky_relu,
    "LeakyReLUExt": _leaky_relu,
    "PReLU": _prelu,
    "Softmax": _softmax,
    "LogSoftmax": _log_softmax,
    "LogSoftmaxExt": _log_softmax,
    "LogSigmoid": _log_sigmoid,
    "SoftShrink": _softshrink,
    "HShrink": _hardshrink,
    "Hardtanh": _hard_tanh,
}
