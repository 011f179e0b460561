"""Replaces operations whose stock kernels are slow by this product's own, in private and in ordinary steps alike."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from mindveil.passes import filters
from mindveil.passes.bridge.kernels import available, custom
from mindveil.passes.edits import FLOAT, Builder
from mindveil.passes.filters import Filter, window_of
from mindveil.passes.graph import Node, Shape, StepGraph, TensorType
from mindveil.passes.infer import Typed
from mindveil.passes.operations.patches import Window
from mindveil.passes.privacy import PerExample

__all__ = ["lower"]

#: Convolutions with fewer channels than this do not fill the registers, and stay with the stock kernel.
FULL = 16


def lower(typed: Typed) -> StepGraph:
    """The same step, to rounding, with faster kernels for what MindSpore's own take long for on the CPU.

    Group and layer normalisation with their gradients, gradients of maximum pooling without padding, and
    convolutions that fill a register. Whatever no kernel takes, or cannot be built here, stays as it is. The graph was
    typed and found private before: a kernel computes what the operation did.

    The gradients of a normalisation's scale and shift come out of its kernel for each example, so that what the passes
    built for them (`Node.role`) is replaced as well.
    """
    return _Lowering(typed).result()


class _Lowering:
    def __init__(self, typed: Typed) -> None:
        self._typed = typed
        self._graph = typed.graph
        self._build = Builder(typed.graph)
        self._instead: dict[int, int] = {}
        self._roles = {n.role: n for n in typed.graph.operations if n.role is not None}
        rules: dict[str, tuple[str, Callable[[Node], None]]] = {
            "GroupNorm": ("normalisation", self._group_norm),
            "GroupNormGrad": ("normalisation", self._group_norm_grad),
            "LayerNorm": ("normalisation", self._layer_norm),
            "LayerNormGrad": ("normalisation", self._layer_norm_grad),
            "MaxPoolGrad": ("pooling", self._max_pool_grad),
            "Conv2D": ("direct_convolution", self._convolution),
            "Conv2DBackpropInput": ("direct_convolution", self._convolution_of_gradient),
            "Conv2DBackpropFilter": (filters.LIBRARY, self._filter_gradient),
        }
        for node in typed.graph.operations:
            library, rule = rules.get(node.op, ("", None))
            if rule is not None and not node.made and self._plain(node) and available(library):
                rule(node)

    def result(self) -> StepGraph:
        """The graph in which every user reads the replacements."""
        return self._build.with_replaced(self._instead)

    def _plain(self, node: Node) -> bool:
        """Whether every tensor is float32 and has channels in axis 1."""
        types = [self._graph[i].type for i in node.inputs] + list(node.type.elements or (node.type,))
        layout = node.attrs.get("format", node.attrs.get("data_format", "NCHW"))
        return all(t.dtype == FLOAT for t in types if t.shape is not None) and layout in ("NCHW", 0)

    # ----------------------------------------------------------------------------------------------- normalisation
    def _group_norm(self, node: Node) -> None:
        x, groups, scale, shift, epsilon = (self._graph[i] for i in node.inputs[:5])
        count = self._ints([int(groups.plain)])
        inputs = [x.id, scale.id, shift.id, count, self._build.scalar(float(epsilon.plain))]
        self._instead[node.id] = self._kernel("normalisation", "mindveil_group_norm", inputs, node.type)

    def _group_norm_grad(self, node: Node) -> None:
        rows, channels = self._graph[node.inputs[1]].shape[:2]
        parts = rows if rows == self._typed.batch and self._wanted(node) else 1
        made = self._gradient("mindveil_group_norm_grad", list(node.inputs[:5]), node, (parts, channels))
        self._hand_out(node, made, parts)

    def _layer_norm(self, node: Node) -> None:
        x, scale, shift, begin, first, epsilon = (self._graph[i] for i in node.inputs[:6])
        rows, size = self._rows(x.shape, int(begin.plain))
        if prod(scale.shape) != size or int(first.plain) % len(x.shape) != int(begin.plain) % len(x.shape):
            return
        flat = [self._build.reshape(n.id, s) for n, s in ((x, (rows, size)), (scale, (size,)), (shift, (size,)))]
        types = [TensorType(shape, FLOAT) for shape in ((rows, size), (rows,), (rows,))]
        inputs = [*flat, self._build.scalar(float(epsilon.plain))]
        made = self._kernel("normalisation", "mindveil_layer_norm", inputs, TensorType(elements=tuple(types)))
        for user, index in self._users(node):
            shape = self._graph[user].shape
            self._instead[user] = self._build.reshape(self._item(made, index, types[index]), shape)

    def _layer_norm_grad(self, node: Node) -> None:
        x, dy, variance, mean, scale, begin, first = (self._graph[i] for i in node.inputs[:7])
        rows, size = self._rows(x.shape, int(begin.plain))
        if prod(scale.shape) != size or int(first.plain) % len(x.shape) != int(begin.plain) % len(x.shape):
            return
        batch, kind = self._typed.batch, self._typed.types[x.id]
        apart = isinstance(kind, PerExample) and kind.before == 1 and rows % batch == 0
        parts = batch if apart and self._wanted(node) else 1
        shapes = ((x, (rows, size)), (dy, (rows, size)), (variance, (rows,)), (mean, (rows,)), (scale, (size,)))
        inputs = [self._build.reshape(n.id, s) for n, s in shapes]
        inputs.append(self._build.scalar(float(node.attrs["epsilon"])))
        self._hand_out(node, self._gradient("mindveil_layer_norm_grad", inputs, node, (parts, size)), parts)

    def _gradient(self, function: str, inputs: list[int], node: Node, parts: tuple[int, int]) -> tuple[int, int, int]:
        """The gradients of x, scale and shift, the last two in parts."""
        x = self._build[inputs[1]].type
        joint = TensorType(elements=(x, TensorType(parts, FLOAT), TensorType(parts, FLOAT)))
        made = self._kernel("normalisation", function, inputs, joint)
        first, second, third = (self._item(made, k, t) for k, t in enumerate(joint.elements or ()))
        return first, second, third

    def _wanted(self, node: Node) -> bool:
        """Whether a pass asked for the terms of each example."""
        return any((node.id, index) in self._roles for index in (1, 2))

    def _hand_out(self, node: Node, made: tuple[int, int, int], parts: int) -> None:
        """Gives every user of a gradient its part of the kernel's results."""
        for user, index in self._users(node):
            shape = self._graph[user].shape
            whole = made[index] if index == 0 or parts == 1 else self._build.total(made[index], [0])
            self._instead[user] = self._build.reshape(whole, shape)
        for index in (1, 2):
            terms = self._roles.get((node.id, index))
            if terms is not None and parts == self._typed.batch:
                self._instead[terms.id] = self._build.reshape(made[index], terms.shape)

    # -------------------------------------------------------------------------------------- pooling and convolution
    def _max_pool_grad(self, node: Node) -> None:
        window, stride = (tuple(node.attrs[k])[-2:] for k in ("kernel_size", "strides"))
        if node.attrs.get("pad_mode") not in (2, "valid", "VALID") or len(node.shape) != 4:
            return
        inputs = [*node.inputs[:3], self._ints([*window, *stride])]
        self._instead[node.id] = self._kernel("pooling", "mindveil_max_pool_grad", inputs, node.type)

    def _convolution(self, node: Node) -> None:
        x, weight = (self._graph[i] for i in node.inputs[:2])
        found = self._gaining(node, x.shape[2:], node.shape[2:], weight.shape)
        if found is not None:
            before, after = zip(*found.pads, strict=True)
            numbers = [*found.kernel, *found.stride, *found.dilation, *before, *after, 0]
            inputs = [x.id, weight.id, self._ints(numbers)]
            self._instead[node.id] = self._kernel("direct_convolution", "mindveil_convolve", inputs, node.type)

    def _convolution_of_gradient(self, node: Node) -> None:
        """At stride 1 the gradient of the input is a convolution of dY with the filter turned around."""
        dy, weight = (self._graph[i] for i in node.inputs[:2])
        found = self._gaining(node, node.shape[2:], dy.shape[2:], weight.shape)
        if found is None or set(found.stride) != {1}:
            return
        reach = [(k - 1) * d for k, d in zip(found.kernel, found.dilation, strict=True)]
        before = [r - b for r, (b, _) in zip(reach, found.pads, strict=True)]
        after = [r - a for r, (_, a) in zip(reach, found.pads, strict=True)]
        if min(*before, *after) < 0:
            return
        numbers = [*found.kernel, 1, 1, *found.dilation, *before, *after, 1]
        inputs = [dy.id, weight.id, self._ints(numbers)]
        self._instead[node.id] = self._kernel("direct_convolution", "mindveil_convolve", inputs, node.type)

    def _filter_gradient(self, node: Node) -> None:
        """The sum of the gradients of all examples."""
        found = Filter.of(self._graph, node, self._graph[node.inputs[0]].shape[0])
        if found is not None:
            total = found.weighted(self._build, self._build.constant("tensor", np.ones(found.examples, np.float32)))
            self._instead[node.id] = self._build.reshape(total, node.shape)

    def _gaining(self, node: Node, seen: Shape, given: Shape, weight: Shape) -> Window | None:
        """How a convolution walks, if the kernel gains by it."""
        return window_of(node, seen, given, weight) if min(weight[:2]) >= FULL else None

    # ------------------------------------------------------------------------------------------------------ pieces
    def _rows(self, shape: Shape, begin: int) -> tuple[int, int]:
        axis = begin % len(shape)
        return prod(shape[:axis]), prod(shape[axis:])

    def _users(self, node: Node) -> list[tuple[int, int]]:
        """(user, index) of everything that reads one output."""
        users = [u for u, _ in self._graph.users(node.id)]
        return [(u, int(self._graph[self._graph[u].inputs[1]].plain)) for u in users]

    def _ints(self, numbers: list[int] | tuple[int, ...]) -> int:
        return self._build.constant("tensor", np.array([int(n) for n in numbers], np.int64), "int64")

    def _item(self, node: int, index: int, type_: TensorType) -> int:
        return self._build.op("TupleGetItem", [node, self._build.constant("int", index)], type_)

    def _kernel(self, library: str, function: str, inputs: list[int], type_: TensorType) -> int:
        return self._build.op("Custom", inputs, type_, custom(library, function))
