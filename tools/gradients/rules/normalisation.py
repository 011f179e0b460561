"""Gradients of normalisations: fixed statistics are a factor, statistics of the input are projected out."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mindveil.tools.gradients.call import Call, Rule
from mindveil.tools.gradients.errors import refuse

__all__ = ["RULES"]


def _refuse_parameters(call: Call) -> None:
    if any(call.active[1:]):
        raise refuse(call.node, "a parameter is computed from the graph input", "constant parameters")


def batch_normalization(call: Call) -> list[str | None]:
    """dy scale / sqrt(var + epsilon), with the stored statistics; training mode is refused."""
    _refuse_parameters(call)
    if call.attribute("training_mode", 0):
        raise refuse(call.node, "training_mode is 1", "inference mode: rows must not influence each other")
    scale = call.required_constant(1, "scale").astype(np.float64)
    variance = call.required_constant(4, "variance").astype(np.float64)
    factor = scale / np.sqrt(variance + call.attribute("epsilon", 1e-5))
    factor = factor.reshape(-1, *[1] * (call.rank(call.x()) - 2))
    return [call.op("Mul", call.dy, call.values(factor))]


def standardise(call: Call, value: str, cotangent: str, axes: Sequence[int], epsilon: float) -> str:
    """Gradient of (v - mean) / sqrt(var + epsilon), mean and biased variance over ``axes``.

    (g - mean(g) - n mean(g n)) / sqrt(var + epsilon), where n is the normalised value.
    """
    over = call.integers(axes)
    centred = call.op("Sub", value, call.op("ReduceMean", value, over, keepdims=1))
    variance = call.op("ReduceMean", call.op("Mul", centred, centred), over, keepdims=1)
    scale = call.op("Reciprocal", call.op("Sqrt", call.op("Add", variance, call.scalar(epsilon))))
    normal = call.op("Mul", centred, scale)
    level = call.op("ReduceMean", cotangent, over, keepdims=1)
    slope = call.op("ReduceMean", call.op("Mul", cotangent, normal), over, keepdims=1)
    rest = call.op("Sub", call.op("Sub", cotangent, level), call.op("Mul", normal, slope))
    return call.op("Mul", scale, rest)


def layer_normalization(call: Call) -> list[str | None]:
    """Statistics over the axes from ``axis`` on."""
    _refuse_parameters(call)
    rank = call.rank(call.x())
    axes = range(int(call.attribute("axis", -1)) % rank, rank)
    cotangent = call.op("Mul", call.dy, call.x(1))
    return [standardise(call, call.x(), cotangent, axes, call.attribute("epsilon", 1e-5))]


def instance_normalization(call: Call) -> list[str | None]:
    """Statistics over the positions of each channel of each row."""
    _refuse_parameters(call)
    rank = call.rank(call.x())
    scale = call.values(call.required_constant(1, "scale").reshape(-1, *[1] * (rank - 2)))
    cotangent = call.op("Mul", call.dy, scale)
    return [standardise(call, call.x(), cotangent, range(2, rank), call.attribute("epsilon", 1e-5))]


def group_normalization(call: Call) -> list[str | None]:
    """Statistics over each group of channels; the scale has an entry per channel (opset 21)."""
    _refuse_parameters(call)
    rank = call.rank(call.x())
    groups = int(call.attribute("num_groups"))
    channels, *positions = call.static(call.x(), range(1, rank), "groups")
    scale = call.required_constant(1, "scale")
    if scale.size != channels:
        raise refuse(call.node, f"its scale has {scale.size} entries for {channels} channels", "one per channel")
    cotangent = call.op("Mul", call.dy, call.values(scale.reshape(-1, *[1] * (rank - 2))))
    folded = call.integers([-1, groups, channels // groups * math.prod(positions)])
    gradient = standardise(
        call,
        call.op("Reshape", call.x(), folded),
        call.op("Reshape", cotangent, folded),
        [2],
        call.attribute("epsilon", 1e-5),
    )
    return [call.op("Reshape", gradient, call.shape_of(call.x()))]


def rms_normalization(call: Call) -> list[str | None]:
    """x / sqrt(mean(x^2) + epsilon) times the scale, over the axes from ``axis`` on."""
    _refuse_parameters(call)
    rank = call.rank(call.x())
    over = call.integers(range(int(call.attribute("axis", -1)) % rank, rank))
    square = call.op("ReduceMean", call.op("Mul", call.x(), call.x()), over, keepdims=1)
    epsilon = call.scalar(call.attribute("epsilon", 1e-5))
    scale = call.op("Reciprocal", call.op("Sqrt", call.op("Add", square, epsilon)))
    return [_project(call, call.op("Mul", call.x(), scale), call.op("Mul", call.dy, call.x(1)), scale, over)]


def lp_normalization(call: Call) -> list[str | None]:
    """x over its Euclidean length along an axis."""
    if call.attribute("p", 2) != 2:
        raise refuse(call.node, f"p is {call.attribute('p')}", "p 2")
    over = call.integers([call.attribute("axis", -1)])
    scale = call.op("Reciprocal", call.op("ReduceL2", call.x(), over, keepdims=1))
    slope = call.op("ReduceSum", call.op("Mul", call.dy, call.y), over, keepdims=1)
    return [call.op("Mul", scale, call.op("Sub", call.dy, call.op("Mul", call.y, slope)))]


def _project(call: Call, normal: str, cotangent: str, scale: str, over: str) -> str:
    """(g - n mean(g n)) * scale."""
    slope = call.op("ReduceMean", call.op("Mul", cotangent, normal), over, keepdims=1)
    return call.op("Mul", scale, call.op("Sub", cotangent, call.op("Mul", normal, slope)))


def local_response_normalization(call: Call) -> list[str | None]:
    """x / (bias + alpha / size * S)^beta, S the sum of squares over ``size`` neighbouring channels."""
    size, rank = int(call.attribute("size")), call.rank(call.x())
    alpha, beta = float(call.attribute("alpha", 1e-4)), float(call.attribute("beta", 0.75))
    (channels,) = call.static(call.x(), [1], "neighbouring channels")
    near = np.subtract.outer(np.arange(channels), np.arange(channels))  # [c, k] = c - k
    band = ((near >= -((size - 1) - (size - 1) // 2)) & (near <= (size - 1) // 2)).astype(np.float64)

    def mixed(value: str, matrix: NDArray[np.float64]) -> str:
        order = [0, *range(2, rank), 1]
        moved = call.op("MatMul", call.op("Transpose", value, perm=order), call.values(matrix.T))
        return call.op("Transpose", moved, perm=[order.index(axis) for axis in range(rank)])

    squares = mixed(call.op("Mul", call.x(), call.x()), band)
    level = call.op("Add", call.op("Mul", squares, call.scalar(alpha / size)), call.scalar(call.attribute("bias", 1.0)))
    direct = call.op("Mul", call.dy, call.op("Pow", level, call.scalar(-beta)))
    spread = mixed(call.op("Div", call.op("Mul", call.dy, call.y), level), band.T)
    indirect = call.op("Mul", call.op("Mul", call.x(), spread), call.scalar(2 * alpha * beta / size))
    return [call.op("Sub", direct, indirect)]


RULES: dict[str, Rule] = {
    "BatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "InstanceNormalization": instance_normalization,
    "GroupNormalization": group_normalization,
    "RMSNormalization": rms_normalization,
    "LpNormalization": lp_normalization,
    "LRN": local_response_normalization,
}
