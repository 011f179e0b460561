"""Convolutions with channels in axis 1: the rows of axis 0 stay apart, the filter gradient sums over them."""

from __future__ import annotations

from math import prod
from typing import Any

from mindveil.passes.bridge.kernels import WIDEST_FILTER, available
from mindveil.passes.graph import Node
from mindveil.passes.operations.cost import ghost_pays
from mindveil.passes.operations.patches import Window, patches
from mindveil.passes.operations.table import Operation, RefusedError, View
from mindveil.passes.privacy import PerExample, Privacy, Summed

__all__ = ["CONVOLUTION"]

_FORMATS = ("NCHW", "NCDHW", 0, 14)


def _forward(filter_at: int) -> Any:
    """Rules for a convolution whose filter is input number ``filter_at``; the other of the first two holds the rows."""

    def rule(view: View, node: Node) -> Privacy:
        _channels_second(node)
        view.free(node.inputs[filter_at], "filter")
        source = node.inputs[1 - filter_at]
        return PerExample(view.rows([source]).outer)

    return Operation(rule)


def _filter(view: View, node: Node) -> Privacy:
    _channels_second(node)
    if len(view.examples(node.inputs[:2])) != 2:
        raise RefusedError("one of its operands is not computed from the examples")
    view.rows(node.inputs[:2])
    return Summed()


def _channels_second(node: Node) -> None:
    layout = node.attrs.get("format", node.attrs.get("data_format", "NCHW"))
    if layout not in _FORMATS:
        raise RefusedError(f"its layout is {layout!r}: only channels in axis 1 (NCHW, NCDHW) are known")


def _sides(terms: Any, node: Node, swapped: bool) -> tuple[int, int, int]:
    """``[rows, groups, co, L]`` of what the convolution gave, ``[rows, groups, ci * k, L]`` of the patches it saw.

    With T rows an example they are ``[B, groups, .., T * L]``. Filter gradients differ in the order of their operands,
    and a transposed convolution is the same with the roles of its input and output exchanged.
    """
    view, build = terms.view, terms.build
    seen, given = (0, 1) if swapped else (1, 0)
    x, y = node.inputs[seen], node.inputs[given]
    place = view.place(x)
    groups = int(node.attrs.get("groups", node.attrs.get("group", 1)))
    filters, per_group, *kernel = node.shape
    rows, positions = view.shape(x)[0], prod(view.shape(y)[2:])
    window = Window.of(node.attrs, view.shape(x)[2:], view.shape(y)[2:], tuple(kernel))
    unfolded = patches(build, build.cast(x), window)
    left = build.reshape(build.cast(y), (rows, groups, filters // groups, positions))
    right = build.reshape(unfolded, (rows, groups, per_group * prod(kernel), positions))
    if rows > terms.batch:
        left, right = (_per_example(terms, n, place.outer) for n in (left, right))
    return left, right, groups


def _per_example(terms: Any, node: int, outer: int) -> int:
    """``[outer * B * inner, g, c, L]`` as ``[B, g, c, outer * inner * L]``."""
    rows, groups, channels, positions = terms.build[node].shape
    inner = rows // (outer * terms.batch)
    split = terms.build.reshape(node, (outer, terms.batch, inner, groups, channels, positions))
    moved = terms.build.transpose(split, [1, 3, 4, 0, 2, 5])
    result: int = terms.build.reshape(moved, (terms.batch, groups, channels, outer * inner * positions))
    return result


def _gradient(swapped: bool) -> Operation:
    """The filter gradient; ``swapped``: its first operand is what the convolution saw, not what it gave."""

    def terms_of(terms: Any, node: Node, index: int) -> int:
        """Each example's filter gradient: the product of dY with the patches of x that it met.

        Source: Rochette, Manoel and Tramel 2019, "Efficient per-example gradient computations in convolutional
        networks".
        """
        left, right, _ = _sides(terms, node, swapped)
        result: int = terms.build.reshape(terms.build.matmul(left, right, False, True), (terms.batch, *node.shape))
        return result

    def norm(terms: Any, node: Node) -> int | None:
        """Ghost norms with one row for each output position, where they are cheaper.

        They never are where a kernel computes the gradients without unfolding the input.

        Source: Bu, Mao and Xu 2022, "Scalable and efficient training of large convolutional neural networks with
        differential privacy".
        """
        view = terms.view
        given = node.inputs[1 if swapped else 0]
        groups = int(node.attrs.get("groups", node.attrs.get("group", 1)))
        rows = prod(view.shape(given)[2:]) * (view.shape(given)[0] // terms.batch)
        if groups == 1 and len(node.shape) == 4 and node.shape[3] <= WIDEST_FILTER and available("convolution"):
            return None
        if not ghost_pays(rows, node.shape[0] // groups, prod(node.shape[1:]), terms.batch * groups):
            return None
        left, right, _ = _sides(terms, node, swapped)
        result: int = terms.gram_norm(left, right, rows_first=(False, False))
        return result

    return Operation(_filter, terms=terms_of, norm=norm, scaled=_scaled)


def _scaled(view: View, node: Node) -> int:
    return min((0, 1), key=lambda k: prod(view.shape(node.inputs[k])))


CONVOLUTION: dict[str, Operation] = {
    "Conv2D": _forward(1),
    "Conv2DBackpropInput": _forward(1),
    "Conv2DTranspose": _forward(1),
    "Conv3D": _forward(1),
    "Conv3DBackpropInput": _forward(0),
    "Conv3DTranspose": _forward(1),
    "Conv2DBackpropFilter": _gradient(swapped=False),
    "Conv3DBackpropFilter": _gradient(swapped=True),
}
