"""Operations that treat every element by itself: arithmetic, comparisons, activations, dropout."""

from __future__ import annotations

from math import prod
from typing import Any

from mindveil.passes.graph import Node
from mindveil.passes.operations.table import APART, Operation, RefusedError, View, many, words
from mindveil.passes.privacy import Many, PerExample, Privacy, Summed, is_free

__all__ = ["POINTWISE", "broadcast"]


def broadcast(view: View, node: Node) -> Privacy:
    """Dimensions count from the right; operands must agree on where the examples lie."""
    found: PerExample | None = None
    for i in node.inputs:
        kind = view.types[i]
        if isinstance(kind, Summed):
            raise RefusedError(f"it is not linear in {view[i].describe()}, a sum over examples")
        if not isinstance(kind, PerExample):
            continue
        place = view.place(i)
        axis = place.axis + len(node.shape) - len(view.shape(i))
        if axis < 0:
            raise RefusedError("it reduces its operands")
        if node.shape[axis] != view.shape(i)[place.axis]:
            raise RefusedError("it repeats the examples")
        here = view.at(node.shape, axis, place.outer)
        if found is not None and found != here:
            raise RefusedError(APART)
        found = here
    if found is None:
        raise RefusedError("none of its operands is a tensor of examples")
    return found


def _add(view: View, node: Node) -> Privacy:
    """Add, Sub, AddN, Neg: a sum of sums over examples is one."""
    kinds = [k for i in node.inputs for k in _parts(view.types[i])]
    members = view[node.inputs[0]].inputs if node.op == "AddN" else node.inputs[:2]
    if not any(isinstance(k, Summed) for k in kinds):
        return broadcast(view, node) if node.op != "AddN" else _same(view, node, kinds)
    if not all(isinstance(k, Summed) for k in kinds[: len(members)]):
        raise RefusedError(
            "it adds something else to a sum over examples; a penalty on weights belongs into weight_decay"
        )
    if any(view.shape(i) != node.shape for i in members):
        raise RefusedError("it broadcasts a sum over examples")
    if len(kinds) == 3 and node.op != "AddN" and view.value(node.inputs[2]) not in (1, 1.0):
        raise RefusedError("it scales a sum over examples; multiply first")
    return Summed()


def _same(view: View, node: Node, kinds: list[Privacy]) -> Privacy:
    found = {k for k in kinds if not is_free(k)}
    if len(found) == 1:
        return found.pop()
    raise RefusedError(APART)


def _scale(view: View, node: Node) -> Privacy:
    """Mul and Div: linear in one operand if the other is public."""
    kinds = [view.types[i] for i in node.inputs]
    summed = [k for k, kind in enumerate(kinds) if isinstance(kind, Summed)]
    if len(summed) != 1:
        return broadcast(view, node)
    if "Div" in node.op and summed[0] == 1:
        raise RefusedError("it divides by a sum over examples")
    if not is_free(kinds[1 - summed[0]]):
        raise RefusedError("it multiplies a sum over examples by something that is not public")
    return Summed()


def _parts(kind: Privacy) -> tuple[Privacy, ...]:
    return kind.parts if isinstance(kind, Many) else (kind,)


def _scale_terms(terms: Any, node: Node, parts: list[int], index: int) -> int:
    """The terms times (or over) the public operand, which needs no example axis: it broadcasts from the right."""
    build = terms.build
    summed = isinstance(terms.view.types[node.inputs[0]], Summed)
    other = node.inputs[1] if summed else node.inputs[0]
    shape = build[parts[0]].shape
    wide = build.reshape(parts[0], (shape[0], *(1,) * (len(node.shape) + 1 - len(shape)), *shape[1:]))
    return int(build.binary("RealDiv" if "Div" in node.op else "Mul", wide, terms.tensor(other)))


def _add_terms(terms: Any, node: Node, parts: list[int], index: int) -> int:
    total = parts[0]
    for part in parts[1:]:
        total = terms.build.binary("Sub" if node.op.startswith("Sub") else "Add", total, part)
    return int(total)


def _negative(view: View, node: Node) -> Privacy:
    return Summed() if isinstance(view.types[node.inputs[0]], Summed) else broadcast(view, node)


def _cast(view: View, node: Node) -> Privacy:
    kind = view.types[node.inputs[0]]
    if isinstance(kind, Summed) and not (node.type.dtype or "").startswith("Float"):
        raise RefusedError("it rounds a sum over examples to whole numbers")
    return kind


def _axis_free(axes: Any) -> Operation:
    """Softmax and its relatives: refused along the examples."""

    def rule(view: View, node: Node) -> Privacy:
        kind = broadcast(view, node)
        for source in view.examples(node.inputs):
            if view.place(source).axis in axes(view, node, len(view.shape(source))):
                raise RefusedError("it acts along the examples")
        return kind

    return Operation(rule)


def _along(position: int) -> Operation:
    """It acts along the axes that input number ``position`` names."""
    return _axis_free(lambda view, node, rank: view.axes(node.inputs[position], rank))


def _sort(view: View, node: Node) -> Privacy:
    """Values and their order along one axis, which must not be that of the examples."""
    axis = int(node.attrs["axis"]) % len(view.shape(node.inputs[0]))
    if axis == view.place(node.inputs[0]).axis:
        raise RefusedError("it sorts along the examples")
    return many([view.types[node.inputs[0]]] * 2)


def _pad_axes(view: View, node: Node, rank: int) -> list[int]:
    """PadV3 names widths from the last dimension on; only in this order is it known which dimensions they belong to."""
    if not node.attrs.get("paddings_contiguous", True):
        raise RefusedError("its widths are not in pairs")
    widths = view.value(node.inputs[1])
    return [rank - 1 - k for k in range(len(widths) // 2) if widths[2 * k] or widths[2 * k + 1]]


def _dropout(view: View, node: Node) -> Privacy:
    source = node.inputs[0]
    place, shape = view.place(source), view.shape(source)
    parts: list[Privacy] = []
    for out in view.outputs(node):
        if prod(out) != prod(shape) or len(out) != len(shape):
            raise RefusedError("its mask has another shape than its input; use nn.Dropout")
        parts.append(view.at(out, place.axis, place.outer))
    return many(parts)


_ELEMENTWISE = words(
    """Square Sqrt SqrtGrad Rsqrt RsqrtGrad Exp Expm1 Log Log1p Abs AbsGrad Sign Erf Erfc Pow PowTensorScalar
    PowScalarTensor Reciprocal ReciprocalGrad Inv InvGrad Maximum Minimum Select Greater GreaterEqual Less
    LessEqual Equal NotEqual LogicalNot LogicalAnd LogicalOr LogicalXor ClampScalar ClampTensor Sin Cos Tan
    Atan Asin Acos Sinh Cosh Asinh Acosh Atanh AtanGrad AsinGrad AcosGrad AsinhGrad AcoshGrad Floor Ceil Round
    Trunc Xlogy Xdivy SquaredDifference DivNoNan FloorDiv Mod FloorMod ReLU ReluGrad ReLU6 ReLU6Grad ReLUV3
    Sigmoid SigmoidGrad Tanh TanhGrad Elu EluGrad EluExt EluGradExt CeLU SeLU SeLUExt SeluExt SeluGrad GeLU
    GeLUGrad FastGeLU FastGeLUGrad SiLU SiLUGrad HSwish HSwishGrad HSigmoid HSigmoidGrad Mish Softplus
    SoftplusGrad SoftplusExt SoftplusGradExt Softsign LogSigmoid LogSigmoidGrad HShrink HShrinkGrad SoftShrink
    SoftShrinkGrad LeakyReLU LeakyReLUExt LeakyReLUGradExt Threshold ThresholdGrad HardTanh AddScalar
    SubScalar GreaterScalar GreaterEqualScalar LessScalar LessEqualScalar EqScalar NeScalar EqualScalar
    NotEqualScalar FloorDivScalar RemainderTensorScalar MaskedFillScalar IsFinite IsNan IsInf NanToNum
    MaskedFill DropoutGrad ZerosLike OnesLike ZerosLikeExt OnesLikeExt StopGradient SmoothL1Loss
    SmoothL1LossGrad SigmoidCrossEntropyWithLogits SigmoidCrossEntropyWithLogitsGrad LerpScalar Lerp Identity"""
)
_ADD = Operation(_add, linear=_add_terms)
_SCALE = Operation(_scale, linear=_scale_terms)

POINTWISE: dict[str, Operation] = {
    **{name: Operation(broadcast) for name in _ELEMENTWISE},
    **{name: _ADD for name in words("Add Sub AddExt SubExt")},
    **{name: _SCALE for name in words("Mul Muls Div Divs RealDiv")},
    "AddN": Operation(_add, linear=_add_terms, grouped=True),
    "Neg": Operation(
        _negative, linear=lambda terms, node, parts, index: terms.build.unary("Neg", parts[0]), isometric=True
    ),
    "Cast": Operation(_cast, linear=lambda terms, node, parts, index: parts[0], isometric=True),
    **{name: _along(1) for name in words("Softmax LogSoftmax LogSoftmaxExt CumSum CumsumExt CumProd")},
    **{name: _along(2) for name in words("SoftmaxBackward LogSoftmaxGrad")},
    "ReverseV2": _along(1),
    "Sort": Operation(_sort),
    "PadV3": _axis_free(_pad_axes),
    **{name: Operation(_dropout, effect="random") for name in words("Dropout Dropout2D Dropout3D")},
}
