"""Normalisation inside an example, and parametric activations: gradients of scale, shift and slope."""

from __future__ import annotations

from math import prod
from typing import Any

from mindveil.passes.graph import Node
from mindveil.passes.operations.table import Operation, Place, RefusedError, View, many, mixed
from mindveil.passes.privacy import PerExample, Privacy, Summed

__all__ = ["NORMALISATION"]


# ------------------------------------------------------------------------------------------------------- LayerNorm
def _layer_norm(view: View, node: Node) -> Privacy:
    """LayerNorm(x, scale, shift, first normalised axis, first axis of the parameters, epsilon) -> y, mean, variance."""
    x, scale, shift, begin = node.inputs[:4]
    view.free(scale, "scale")
    view.free(shift, "shift")
    place = _in_front(view, [x], view.value(begin))
    return many([view.at(shape, place.axis, place.outer) for shape in view.outputs(node)])


def _layer_norm_grad(view: View, node: Node) -> Privacy:
    """LayerNormGrad(x, dY, variance, mean, scale, axes) -> gradients of x, scale, shift."""
    view.free(node.inputs[4], "scale")
    place = _in_front(view, node.inputs[:4], view.value(node.inputs[5]))
    _in_front(view, node.inputs[:4], view.value(node.inputs[6]))
    if len(view.examples(node.inputs[:4])) != 4:
        raise RefusedError("one of its operands is not computed from the examples")
    return many([view.at(view.outputs(node)[0], place.axis, place.outer), Summed(), Summed()])


def _in_front(view: View, inputs: Any, begin: int) -> Place:
    """The examples must lie in front of the normalised axes, or it would take their mean."""
    rank = len(view.shape(inputs[0]))
    place = view.common(inputs)
    if place.axis >= begin % rank:
        raise RefusedError("it normalises over the examples")
    return place


def _layer_norm_terms(terms: Any, node: Node, index: int) -> int:
    x, dy, variance, mean, _, _, begin = node.inputs[:7]
    build, view = terms.build, terms.view
    product = build.cast(dy)
    if index == 1:
        epsilon = build.scalar(float(node.attrs["epsilon"]))
        spread = build.unary("Rsqrt", build.binary("Add", build.cast(variance), epsilon))
        centred = build.binary("Sub", build.cast(x), build.cast(mean))
        product = build.binary("Mul", product, build.binary("Mul", centred, spread))
    front = terms.front(product, view.place(dy))
    rank = len(view.shape(x))
    total = build.total(front, [1 + k for k in range(view.value(begin) % rank)])
    return int(build.reshape(total, (terms.batch, *node.type.elements[index].shape)))  # type: ignore[index, misc]


# ------------------------------------------------------------------------------------------------------- GroupNorm
def _group_norm(view: View, node: Node) -> Privacy:
    """GroupNorm(x, groups, scale, shift, epsilon) -> y, mean, 1 / deviation."""
    view.free(node.inputs[2], "scale")
    view.free(node.inputs[3], "shift")
    outer = view.rows(node.inputs[:1]).outer
    return many([PerExample(outer)] * 3)


def _group_norm_grad(view: View, node: Node) -> Privacy:
    """GroupNormGrad(dY, x, mean, 1 / deviation, scale, ...) -> gradients of x, scale, shift."""
    view.free(node.inputs[4], "scale")
    if len(view.examples(node.inputs[:4])) != 4:
        raise RefusedError("one of its operands is not computed from the examples")
    return many([PerExample(view.rows(node.inputs[:4]).outer), Summed(), Summed()])


def _group_norm_terms(terms: Any, node: Node, index: int) -> int:
    dy, x, mean, spread = node.inputs[:4]
    build, view = terms.build, terms.view
    rows, channels, *space = view.shape(x)
    groups = view.shape(mean)[1] if len(view.shape(mean)) > 1 else prod(view.shape(mean)) // rows
    product = build.cast(dy)
    if index == 1:
        shape = (rows, groups, channels // groups * prod(space))
        centred = build.binary(
            "Sub", build.reshape(build.cast(x), shape), build.reshape(build.cast(mean), (rows, groups, 1))
        )
        scaled = build.binary("Mul", centred, build.reshape(build.cast(spread), (rows, groups, 1)))
        product = build.binary("Mul", product, build.reshape(scaled, view.shape(x)))
    return _over_channels(terms, product, view.place(dy))


def _over_channels(terms: Any, product: int, place: Place) -> int:
    """``[B, C]``: the sum over all but examples and channels of ``[rows, C, ...]``."""
    front = terms.front(product, place)
    rank = len(terms.build[front].shape)
    result: int = terms.build.total(front, [k for k in range(1, rank) if k != 2])
    return result


# ------------------------------------------------------------------------------------------------------- BatchNorm
_REPLACE = (
    "BatchNorm in training mode takes the mean and variance of the whole batch, which mixes the examples, and keeps "
    "them; replace it by nn.GroupNorm or nn.LayerNorm, or freeze its statistics (use_batch_statistics=False)"
)


def _training(position: int) -> Any:
    def rule(view: View, node: Node) -> str | None:
        return f"{_layer(view, node)}: {_REPLACE}" if view.value(node.inputs[position]) else None

    return rule


def _layer(view: View, node: Node) -> str:
    """The layer, by its scale's name: ``features.1`` for the Parameter ``features.1.gamma``."""
    for i in node.inputs:
        source = view[i]
        source = view[source.inputs[0]] if source.op == "Load" else source
        if source.kind == "parameter" and source.weight:
            return source.name.rpartition(".")[0] or source.name
    return "a layer"


def _batch_norm(view: View, node: Node) -> Privacy:
    """BatchNorm(x, scale, shift, mean, variance, False, ...): an affine map of each channel, with public statistics."""
    for i, what in zip(node.inputs[1:5], ("scale", "shift", "mean", "variance"), strict=True):
        view.free(i, what)
    place = view.rows(node.inputs[:1])
    # What else it gives are copies of the statistics, and a workspace that nothing but its gradient may read.
    return many(
        [PerExample(place.outer), *[mixed(node, "its statistics must not be used")] * (len(view.outputs(node)) - 1)]
    )


def _batch_norm_grad(view: View, node: Node) -> Privacy:
    """BatchNormGrad(dY, x, scale, mean, variance, reserve, False, epsilon, format) -> gradients of x, scale, shift."""
    for i, what in zip(node.inputs[2:5], ("scale", "mean", "variance"), strict=True):
        view.free(i, what)
    return many([PerExample(view.rows(node.inputs[:2]).outer), Summed(), Summed()])


def _batch_norm_terms(terms: Any, node: Node, index: int) -> int:
    dy, x, _, mean, variance, _, _, epsilon = node.inputs[:8]
    build, view = terms.build, terms.view
    product = build.cast(dy)
    if index == 1:
        shape = (1, view.shape(x)[1], *(1 for _ in view.shape(x)[2:]))
        shifted = build.binary("Add", variance, build.scalar(float(view.value(epsilon))))
        centred = build.binary("Sub", build.cast(x), build.reshape(mean, shape))
        scaled = build.binary("Mul", centred, build.reshape(build.unary("Rsqrt", shifted), shape))
        product = build.binary("Mul", product, scaled)
    return _over_channels(terms, product, view.place(dy))


# ----------------------------------------------------------------------------------------------------------- PReLU
def _prelu(view: View, node: Node) -> Privacy:
    """The slope follows the channel in axis 1, not the last dimension, so that it must be public."""
    view.free(node.inputs[1], "slope")
    place = view.place(node.inputs[0])
    if place.axis == 1 and view.shape(node.inputs[1]) != (1,):
        raise RefusedError("its channels hold the examples")
    return view.types[node.inputs[0]]


def _prelu_grad(view: View, node: Node) -> Privacy:
    """PReLUGrad(dY, x, slope) -> gradients of x, slope."""
    view.free(node.inputs[2], "slope")
    place = view.common(node.inputs[:2])
    if place.axis == 1 and view.shape(node.inputs[2]) != (1,):
        raise RefusedError("its channels hold the examples")
    return many([view.at(view.outputs(node)[0], place.axis, place.outer), Summed()])


def _prelu_terms(terms: Any, node: Node, index: int) -> int:
    dy, x, slope = node.inputs[:3]
    build, view = terms.build, terms.view
    negative = build.binary("Minimum", build.cast(x), build.scalar(0.0))
    product = build.binary("Mul", build.cast(dy), negative)
    front = terms.front(product, view.place(dy))
    rank = len(build[front].shape)
    kept = () if view.shape(slope) == (1,) else (2,)
    total = build.total(front, [k for k in range(1, rank) if k not in kept])
    return int(build.reshape(total, (terms.batch, *view.shape(slope))))


NORMALISATION: dict[str, Operation] = {
    "LayerNorm": Operation(_layer_norm),
    "LayerNormGrad": Operation(_layer_norm_grad, terms=_layer_norm_terms),
    "GroupNorm": Operation(_group_norm),
    "GroupNormGrad": Operation(_group_norm_grad, terms=_group_norm_terms),
    "BatchNorm": Operation(_batch_norm, forbids=_training(5)),
    "BatchNormGrad": Operation(_batch_norm_grad, terms=_batch_norm_terms, forbids=_training(6), ignored=(5,)),
    "PReLU": Operation(_prelu),
    "PReLUGrad": Operation(_prelu_grad, terms=_prelu_terms),
}
