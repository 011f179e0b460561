"""Convolutions in NCHW: examples stay in axis 0, the filter gradient sums over them."""

from __future__ import annotations

from math import prod
from typing import Any

from mindveil.passes.graph import Constant, Node, TensorType
from mindveil.passes.operations.table import Operation, Refused, View
from mindveil.passes.privacy import PerExample, Privacy, Summed

__all__ = ["CONVOLUTION"]


def _forward(view: View, node: Node) -> Privacy:
    for i in node.inputs[:2]:
        if isinstance(view.types[i], PerExample) and view.place(i).axis != 0:
            raise Refused("it does not hold the examples in axis 0")
    if not isinstance(view.types[node.inputs[1]], PerExample):
        return PerExample(1)
    raise Refused("its filter is computed from the examples")


def _filter(view: View, node: Node) -> Privacy:
    for i in node.inputs[:2]:
        if not isinstance(view.types[i], PerExample) or view.place(i) != view.place(node.inputs[0]):
            raise Refused("its operands do not both hold the examples in axis 0")
    return Summed()


def _filter_terms(terms: Any, node: Node, index: int) -> int:
    """Each example's filter gradient: the product of dY with the patches of x that it met.

    Source: Rochette, Manoel and Tramel 2019, "Efficient per-example gradient computations in convolutional networks".
    """
    view, build = terms.view, terms.build
    dy, x = node.inputs[:2]
    co, ci_group, kh, kw = node.shape
    groups = node.attrs.get("groups", node.attrs.get("group", 1))
    batch, _, oh, ow = view.shape(dy)
    stride, dilation = node.attrs["stride"][-2:], node.attrs["dilation"][-2:]
    padded = _pad(build, x, node.attrs["pad_list"])
    channels = view.shape(x)[1]
    patches = build.op(
        "Im2Col",
        [padded],
        TensorType((batch, channels, kh * kw, oh * ow), view[x].type.dtype),
        {
            "ksizes": Constant("ints", (kh, kw)),
            "strides": Constant("ints", tuple(stride)),
            "dilations": Constant("ints", tuple(dilation)),
            "pads": Constant("ints", (0, 0)),
        },
    )
    left = build.reshape(dy, (batch, groups, co // groups, oh * ow))
    right = build.reshape(patches, (batch, groups, ci_group * kh * kw, oh * ow))
    if groups == 1:
        left, right = build.reshape(left, (batch, co, oh * ow)), build.reshape(right, (batch, ci_group * kh * kw, oh * ow))
    result: int = build.reshape(build.matmul(left, right, False, True), (batch, *node.shape))
    return result


def _pad(build: Any, x: int, pads: list[int]) -> int:
    """The input with its border of zeros written out: Im2Col knows symmetric ones only."""
    if not any(pads):
        return x
    b, c, h, w = build[x].shape
    top, bottom, left, right = pads
    zero = build.constant("float", 0.0)
    widths = build.ints([left, right, top, bottom, 0, 0, 0, 0])
    type_ = TensorType((b, c, h + top + bottom, w + left + right), build[x].type.dtype)
    attrs = {"mode": Constant("str", "constant"), "paddings_contiguous": Constant("bool", True)}
    result: int = build.op("PadV3", [x, widths, zero], type_, attrs)
    return result


def _filter_terms_swapped(terms: Any, node: Node, index: int) -> int:
    raise Refused("per-example gradients of this convolution are not built yet")


def _scaled(view: View, node: Node) -> int:
    return min((0, 1), key=lambda k: prod(view.shape(node.inputs[k])))


_FORWARD = Operation(_forward)

CONVOLUTION: dict[str, Operation] = {
    "Conv2D": _FORWARD,
    "Conv2DBackpropInput": _FORWARD,
    "Conv2DTranspose": _FORWARD,
    "Conv3D": _FORWARD,
    "Conv3DBackpropInput": _FORWARD,
    "Conv3DTranspose": _FORWARD,
    "Conv2DBackpropFilter": Operation(_filter, terms=_filter_terms, scaled=_scaled),
}
