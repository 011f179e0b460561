"""Operations that treat every element, or every example, by itself: arithmetic, activations, dropout, pooling."""

from __future__ import annotations

from math import prod
from typing import Any

from mindveil.passes.graph import Node
from mindveil.passes.operations.table import Operation, Refused, View, many
from mindveil.passes.privacy import Bounded, Many, PerExample, Privacy, Summed, is_free

__all__ = ["POINTWISE"]


def _broadcast(view: View, node: Node) -> Privacy:
    """Dimensions count from the right; operands must agree on where the examples lie."""
    found: PerExample | None = None
    for i in node.inputs:
        kind = view.types[i]
        if isinstance(kind, Summed | Bounded):
            raise Refused(f"it is not linear in {view[i].describe()}, a sum over examples")
        if not isinstance(kind, PerExample):
            continue
        place = view.place(i)
        here = view.at(node.shape, place.axis + len(node.shape) - len(view.shape(i)), place.outer)
        if found is not None and found != here:
            raise Refused("its operands hold the examples in different places")
        found = here
    if found is None:
        raise Refused("none of its operands is a tensor of examples")
    return found


def _linear(view: View, node: Node) -> Privacy:
    """Add, Sub, AddN, Neg: a sum of sums over examples is one."""
    kinds = _kinds(view, node)
    if not any(isinstance(k, Summed | Bounded) for k in kinds):
        return _broadcast(view, node) if node.op != "AddN" else _same(view, node, kinds)
    if any(isinstance(k, PerExample) for k in kinds):
        raise Refused("it adds examples to a sum over examples")
    if all(isinstance(k, Summed) for k in kinds):
        return Summed()
    raise Refused("it adds values of different or doubled sensitivity")


def _same(view: View, node: Node, kinds: list[Privacy]) -> Privacy:
    found = {k for k in kinds if not is_free(k)}
    if len(found) == 1:
        return found.pop()
    raise Refused("its operands hold the examples in different places")


def _scale(view: View, node: Node) -> Privacy:
    """Mul and Div: linear in one operand if the other is public."""
    kinds = _kinds(view, node)
    summed = [k for k in kinds if isinstance(k, Summed)]
    if summed and all(isinstance(k, Summed) or is_free(k) for k in kinds) and len(summed) == 1:
        position = kinds.index(summed[0])
        if "Div" in node.op and position == 1:
            raise Refused("it divides by a sum over examples")
        if view.shape(node.inputs[position]) != node.shape:
            raise Refused("it broadcasts a sum over examples")
        return Summed()
    return _broadcast(view, node)


def _kinds(view: View, node: Node) -> list[Privacy]:
    kinds: list[Privacy] = []
    for i in node.inputs:
        kind = view.types[i]
        kinds.extend(kind.parts if isinstance(kind, Many) else [kind])
    return kinds


def _scale_terms(terms: Any, node: Node, parts: list[int]) -> int:
    """The terms times (or over) the public operand, which needs no example axis: it broadcasts from the right."""
    summed = isinstance(terms.view.types[node.inputs[0]], Summed)
    other = node.inputs[1] if summed else node.inputs[0]
    result: int = terms.build.binary("RealDiv" if "Div" in node.op else "Mul", parts[0], terms.tensor(other))
    return result


def _add_terms(terms: Any, node: Node, parts: list[int]) -> int:
    total = parts[0]
    for part in parts[1:]:
        total = terms.build.binary("Sub" if node.op == "Sub" else "Add", total, part)
    return total


def _axis_free(axes: Any) -> Any:
    """Softmax and its relatives: refused along the examples."""

    def rule(view: View, node: Node) -> Privacy:
        kind = _broadcast(view, node)
        source = view.first_example(node)
        acted = axes(view, node, len(view.shape(source)))
        if view.place(source).axis in acted:
            raise Refused("it acts along the examples")
        return kind

    return rule


def _first_axis(view: View, node: Node) -> Privacy:
    """Pooling: examples stand in axis 0 before and after."""
    for i in node.inputs:
        if isinstance(view.types[i], PerExample) and view.place(i).axis != 0:
            raise Refused("it does not hold the examples in axis 0")
    if node.type.elements is not None:
        return many([PerExample(1)] * len(node.type.elements))
    return PerExample(1)


def _dropout(view: View, node: Node) -> Privacy:
    place, rank = view.place(node.inputs[0]), len(view.shape(node.inputs[0]))
    parts: list[Privacy] = []
    for shape in view.outputs(node):
        if prod(shape) != prod(view.shape(node.inputs[0])) or len(shape) != rank:
            raise Refused("its mask has another shape than its input; use nn.Dropout")
        parts.append(view.at(shape, place.axis, place.outer))
    return many(parts)


def _pad_axes(view: View, node: Node, rank: int) -> list[int]:
    widths = view.value(node.inputs[1])
    return [rank - 1 - k for k in range(len(widths) // 2) if widths[2 * k] or widths[2 * k + 1]]


_BROADCAST = Operation(_broadcast)
_SAME = """Muls Neg Square Sqrt Rsqrt Exp Log Log1p Abs Sign Erf Pow PowTensorScalar Reciprocal Maximum Minimum Select Greater
GreaterEqual Less LessEqual Equal NotEqual LogicalNot LogicalAnd LogicalOr ClampScalar ClampTensor ReLU ReluGrad ReLU6
ReLU6Grad Sigmoid SigmoidGrad Tanh TanhGrad Elu EluGrad GeLU GeLUGrad SiLU SiLUGrad HSwish HSwishGrad HSigmoid HSigmoidGrad
Mish Softplus SoftplusGrad SeLU BiasAdd PReLU AddScalar SubScalar Divs IsFinite NanToNum MaskedFill DropoutGrad
FloorDiv ZerosLike OnesLike StopGradient SigmoidCrossEntropyWithLogits LeakyReLU LeakyReLUExt""".split()
_POOL = """MaxPool MaxPoolGrad AvgPool AvgPoolGrad AdaptiveAvgPool2D AdaptiveAvgPool2DGrad AdaptiveMaxPool2D
AdaptiveMaxPool2DGrad MaxPool3DWithArgmax MaxPool3DGradWithArgmax ResizeNearestNeighborV2 ResizeNearestNeighborV2Grad
ResizeBilinearV2 ResizeBilinearGrad Im2Col""".split()
_SCALE = Operation(_scale, linear=_scale_terms)

POINTWISE: dict[str, Operation] = {
    **{name: _BROADCAST for name in _SAME},
    **{name: Operation(_first_axis) for name in _POOL},
    "Add": Operation(_linear, linear=_add_terms),
    "Sub": Operation(_linear, linear=_add_terms),
    "AddN": Operation(_linear, linear=_add_terms),
    "Mul": _SCALE,
    "Muls": _SCALE,
    "Div": _SCALE,
    "Divs": _SCALE,
    "RealDiv": _SCALE,
    "Cast": Operation(
        lambda view, node: view.types[node.inputs[0]],
        linear=lambda terms, node, parts: terms.build.cast(parts[0], node.type.dtype),
    ),
    "Softmax": Operation(_axis_free(lambda view, node, rank: view.axes(node.inputs[1], rank))),
    "SoftmaxBackward": Operation(_axis_free(lambda view, node, rank: view.axes(node.inputs[2], rank))),
    "LogSoftmax": Operation(_axis_free(lambda view, node, rank: view.axes(node.inputs[1], rank))),
    "LogSoftmaxExt": Operation(_axis_free(lambda view, node, rank: view.axes(node.inputs[1], rank))),
    "LogSoftmaxGrad": Operation(_axis_free(lambda view, node, rank: view.axes(node.inputs[2], rank))),
    "CumSum": Operation(_axis_free(lambda view, node, rank: view.axes(node.inputs[1], rank))),
    "ReverseV2": Operation(_axis_free(lambda view, node, rank: [a % rank for a in node.attrs["axis"]])),
    "PadV3": Operation(_axis_free(_pad_axes)),
    "Dropout": Operation(_dropout, effect="random"),
}
