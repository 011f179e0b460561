"""Normalisation layers, as they compute in evaluation."""

from __future__ import annotations

import numpy as np

from mindveil.tools.exporting.call import Call, Translation
from mindveil.tools.exporting.emitter import vector
from mindveil.tools.exporting.source import Dim

__all__ = ["TRANSLATIONS"]


def _batch_norm(call: Call) -> list[str]:
    """``BatchNorm(x, gamma, beta, mean, variance, training, epsilon, momentum, format)`` with stored statistics."""
    training = call.constant(5) if call.has_constant(5) else call.attribute("is_training", False)
    if training:
        call.refuse(
            "it normalises by the statistics of the batch, so rows would influence each other; set_train(False)"
        )
    epsilon = call.constant(6) if call.has_constant(6) else call.attribute("epsilon", 1e-5)
    return [call.emit("BatchNormalization", *(call.tensor(index) for index in range(5)), epsilon=float(epsilon))]


def _layer_norm(call: Call) -> list[str]:
    """``LayerNorm(x, gamma, beta, first normalised axis, first parameter axis, epsilon)``."""
    axis, parameter_axis = (
        int(_option(call, 3 + k, name)) for k, name in enumerate(("begin_norm_axis", "begin_params_axis"))
    )
    rank = len(call.type_of(0).shape)
    if axis % rank != parameter_axis % rank:
        call.refuse(f"it normalises from axis {axis} and scales from axis {parameter_axis}; ONNX needs them equal")
    epsilon = float(_option(call, 5, "epsilon"))
    inputs = [call.tensor(index) for index in range(3)]
    return [call.emit("LayerNormalization", *inputs, axis=axis, epsilon=epsilon)]


def _group_norm(call: Call) -> list[str]:
    """``GroupNorm(x, groups, gamma, beta, epsilon)``: each group is an instance; then every channel is scaled."""
    groups = int(call.constant(1))
    shape = call.type_of(0).shape
    kind = call.type_of(0).dtype
    grouped = call.emit("Reshape", call.tensor(0), call.array(vector([0, groups, -1]), "groups"))
    ones, zeros = call.array(np.ones(groups, kind), "ones"), call.array(np.zeros(groups, kind), "zeros")
    normal = call.emit("InstanceNormalization", grouped, ones, zeros, epsilon=float(call.constant(4)))
    back: list[Dim] = [0, *shape[1:]]
    value = call.emit("Reshape", normal, call.sizes(back))
    per_channel: list[Dim] = [shape[1], *([1] * (len(shape) - 2))]
    scale = call.emit("Reshape", call.tensor(2), call.sizes(per_channel, "per_channel"))
    shift = call.emit("Reshape", call.tensor(3), call.sizes(per_channel, "per_channel"))
    return [call.emit("Add", call.emit("Mul", value, scale), shift)]


def _l2_normalize(call: Call) -> str:
    """``x / sqrt(max(sum(x^2), epsilon))``."""
    axes = call.attribute("axis", 0)
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    value, kind = call.tensor(0), call.result().dtype
    total = call.emit("ReduceSumSquare", value, call.array(vector(axes), "axes"), keepdims=1)
    floor = call.floats(float(call.attribute("epsilon", 1e-4)), kind)
    return call.emit("Div", value, call.emit("Sqrt", call.emit("Max", total, floor)))


def _lp_norm(call: Call) -> str:
    """The 1- or 2-norm over axes."""
    order, axes = int(call.attribute("p", 2)), call.attribute("axis", 0)
    if order not in (1, 2):
        call.refuse(f"it is the {order}-norm; ONNX has the 1-norm and the 2-norm")
    axes = (axes,) if isinstance(axes, int) else tuple(axes)
    keep = int(bool(call.attribute("keep_dims", False)))
    return call.emit(f"ReduceL{order}", call.tensor(0), call.array(vector(axes), "axes"), keepdims=keep)


def _option(call: Call, index: int, name: str) -> float:
    value = call.constant(index) if call.has_constant(index) else call.attribute(name)
    if value is None:
        call.refuse(f"its {name} is not known")
    return float(value)


TRANSLATIONS: dict[str, Translation] = {
    "BatchNorm": _batch_norm,
    "LayerNorm": _layer_norm,
    "GroupNorm": _group_norm,
    "L2Normalize": _l2_normalize,
    "LpNorm": _lp_norm,
}
