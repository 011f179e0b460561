"""Filter gradients of convolutions, summed over the rows of an example or of all, without unfolding the input."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np

from mindveil.passes.bridge.kernels import WIDEST_FILTER, available, custom
from mindveil.passes.edits import FLOAT, Builder
from mindveil.passes.graph import Node, Shape, StepGraph, TensorType
from mindveil.passes.infer import Typed
from mindveil.passes.operations.patches import Window
from mindveil.passes.operations.table import RefusedError
from mindveil.passes.privacy import PerExample

__all__ = ["LIBRARY", "Filter", "find_filters", "window_of"]

LIBRARY = "convolution"

#: Gradients of single examples are kept up to so many bytes in all; the largest beyond that are computed twice instead,
#: once for their norm and once for their weighted sum.
BUDGET = 64 << 20


@dataclass(frozen=True, slots=True)
class Filter:
    """The gradient of a 2-D convolution's filter: dY times what the window met of x, in sums over some rows each.

    Attributes:
        given, seen: nodes of dY ``[rows, co, oh, ow]`` and x ``[rows, ci, H, W]``, before any padding.
        window: kernel, stride, dilation, zeros before, zeros after; of height and width each.
        examples, size: number of sums, of neighbouring rows, and values of one.
        kept: whether the sums are written out; otherwise norm and weighted sum are computed apart.
    """

    given: int
    seen: int
    window: tuple[int, ...]
    examples: int
    size: int
    kept: bool = True

    @classmethod
    def of(cls, graph: StepGraph, node: Node, examples: int) -> Filter | None:
        """The gradient that a Conv2DBackpropFilter computes, if the kernels take it."""
        given, seen = (graph[i] for i in node.inputs[:2])
        window = window_of(node, seen.shape[2:], given.shape[2:], node.shape, unread=True)
        if window is None or window.kernel[1] > WIDEST_FILTER or given.shape[0] % examples:
            return None
        if {given.type.dtype, seen.type.dtype} != {FLOAT}:
            return None
        before, after = zip(*window.pads, strict=True)
        numbers = (*window.kernel, *window.stride, *window.dilation, *before, *(max(a, 0) for a in after))
        return cls(given.id, seen.id, numbers, examples, prod(node.shape))

    def terms(self, build: Builder) -> int:
        """``[examples, size]``."""
        return self._kernel(build, "mindveil_filter_terms", [], (self.examples, self.size))

    def squares(self, build: Builder) -> int:
        """``[examples, 1]``: the squared norms."""
        return self._kernel(build, "mindveil_filter_squares", [], (self.examples, 1))

    def weighted(self, build: Builder, weights: int) -> int:
        """``[1, size]``: the sum over the examples, weighted."""
        flat = build.reshape(weights, (self.examples,))
        return self._kernel(build, "mindveil_filter_weighted", [flat], (1, self.size))

    def _kernel(self, build: Builder, function: str, first: list[int], shape: tuple[int, ...]) -> int:
        window = build.constant("tensor", np.array(self.window, np.int64), "int64")
        inputs = [*first, self.given, self.seen, window]
        return build.op("Custom", inputs, TensorType(shape, FLOAT), custom(LIBRARY, function))


def find_filters(graph: StepGraph, typed: Typed) -> dict[int, Filter]:
    """The nodes that a pass made for per-example filter gradients, with what the kernels need to compute them.

    Args:
        graph: the one that is rewritten; ``typed`` is what it was made from. Empty where the kernels cannot be built.
    """
    if not available(LIBRARY):
        return {}
    found = {}
    for node in graph.operations:
        source = typed.graph[node.role[0]] if node.role is not None else None
        if source is not None and source.op == "Conv2DBackpropFilter" and _in_order(typed, source):
            filters = Filter.of(graph, graph[source.id], typed.batch)
            if filters is not None:
                found[node.id] = filters
    left = BUDGET - sum(4 * f.examples * f.size for f in found.values())
    for key, filters in sorted(found.items(), key=lambda item: -item[1].size):
        if left >= 0:
            break
        found[key] = replace(filters, kept=False)
        left += 4 * filters.examples * filters.size
    return found


def window_of(node: Node, seen: Shape, given: Shape, weight: Shape, *, unread: bool = False) -> Window | None:
    """How a convolution of one group walks over its input, if that is something a kernel takes.

    Args:
        unread: whether the kernel takes an input with rows or columns at the end that no window meets.
    """
    layout = node.attrs.get("format", node.attrs.get("data_format", "NCHW"))
    if int(node.attrs.get("groups", node.attrs.get("group", 1))) != 1 or len(weight) != 4 or layout not in ("NCHW", 0):
        return None
    try:
        window = Window.of(node.attrs, seen, given, weight[2:])
    except RefusedError:
        return None
    before, after = zip(*window.pads, strict=True)
    # An input that is longer than what the windows meet has "zeros" below 0 behind it.
    return window if min(before) >= 0 and (unread or min(after) >= 0) else None


def _in_order(typed: Typed, node: Node) -> bool:
    """Whether the rows of one example are neighbours in both operands."""
    return all(typed.types.get(i) == PerExample(1) for i in node.inputs[:2])
