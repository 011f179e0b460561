"""The gradient of Resize: a linear map along each axis, whose matrix is measured once and transposed."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from mindveil.tools.gradients.call import Call, Rule
from mindveil.tools.gradients.errors import refuse
from mindveil.tools.gradients.forward import Dim

__all__ = ["RULES"]


def resize(call: Call) -> list[str | None]:
    """The cotangent times the transposed matrix of every axis that changes."""
    if call.attribute("coordinate_transformation_mode", "half_pixel") == "tf_crop_and_resize":
        raise refuse(call.node, "it crops while it resizes", "another coordinate_transformation_mode")
    policy = call.attribute("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        raise refuse(call.node, f"keep_aspect_ratio_policy is {policy}", "'stretch'")
    gradient = call.dy
    for axis, (before, after) in enumerate(zip(call.shape(call.x()), call.shape(call.y), strict=True)):
        if _keeps(call, axis, before, after):
            continue
        if not isinstance(before, int) or not isinstance(after, int):
            raise refuse(call.node, f"axis {axis} goes from {before} to {after}", "numbers at axes that change")
        gradient = _along(call, gradient, axis, _matrix(call, axis, before, after))
    return [gradient]


def _scale(call: Call, axis: int) -> float | None:
    """The scale that the node gives for an axis; None where it gives sizes."""
    scales = call.constant(2)
    if scales is None or not scales.size:
        return None
    named = call.attribute("axes")
    axes = list(range(scales.size)) if named is None else [item % call.rank(call.x()) for item in named]
    return float(scales.reshape(-1)[axes.index(axis)]) if axis in axes else 1.0


def _keeps(call: Call, axis: int, before: Dim, after: Dim) -> bool:
    """Whether the node leaves an axis alone; a symbolic axis, the batch as a rule, counts where its scale is 1."""
    scale = _scale(call, axis)
    if scale is not None:
        return scale == 1.0
    named = call.attribute("axes")
    if named is not None and axis not in [item % call.rank(call.x()) for item in named]:
        return True
    return before == after or (not isinstance(before, int) and not isinstance(after, int))


def _matrix(call: Call, axis: int, before: int, after: int) -> NDArray[np.float64]:
    """(before, after): the resized unit vectors, by a Resize of the same attributes along one axis."""
    scale = _scale(call, axis)
    given: list[NDArray[Any]] = [np.array([], np.float32)]
    if scale is not None:
        given.append(np.array([1.0, scale], np.float32))
    else:
        given.extend([np.array([], np.float32), np.array([before, after], np.int64)])
    names = ["roi", "scales", "sizes"][: len(given)]
    node = onnx.NodeProto()
    node.CopyFrom(call.node)
    del node.input[:], node.output[:]
    for index, attribute in reversed(list(enumerate(node.attribute))):
        if attribute.name == "axes":
            del node.attribute[index]
    node.input.extend(["unit", *names])
    node.output.append("resized")
    graph = helper.make_graph(
        [node],
        "resize_axis",
        [helper.make_tensor_value_info("unit", TensorProto.DOUBLE, [before, before])],
        [helper.make_tensor_value_info("resized", TensorProto.DOUBLE, [before, after])],
        [numpy_helper.from_array(array, name) for array, name in zip(given, names, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", call.forward.opset)])
    (resized,) = list(ReferenceEvaluator(model).run(None, {"unit": np.eye(before)}))
    return np.asarray(resized, np.float64)


def _along(call: Call, value: str, axis: int, matrix: NDArray[np.float64]) -> str:
    """``value`` with its axis of size ``after`` taken back to ``before``."""
    rank = call.rank(call.x())
    order = [item for item in range(rank) if item != axis] + [axis]
    moved = call.op("Transpose", value, perm=order)
    product = call.op("MatMul", moved, call.values(matrix.T))
    return call.op("Transpose", product, perm=[order.index(item) for item in range(rank)])


RULES: dict[str, Rule] = {"Resize": resize}
