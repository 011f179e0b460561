"""Finds the per-example filter gradients in a step graph, and the kernels that compute them without unfolding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from mindveil.passes.bridge.kernels import available, custom
from mindveil.passes.edits import FLOAT, Builder
from mindveil.passes.graph import Constant, Node, StepGraph, TensorType

__all__ = ["LIBRARY", "Filter", "find_filters", "value"]

LIBRARY = "convolution"

#: The kernel keeps the taps of one row in registers.
WIDEST = 8

#: Gradients of single examples are kept up to so many bytes in all; the largest beyond that are computed twice instead,
#: once for their norm and once for their weighted sum.
BUDGET = 64 << 20


@dataclass(frozen=True, slots=True)
class Filter:
    """The per-example gradient of a 2-D convolution's filter, as the passes built it: dY times the patches of x.

    Attributes:
        given, seen: nodes of dY ``[B, co, oh, ow]`` and x ``[B, ci, H, W]``, before any padding.
        window: kernel, stride, dilation, zeros before, zeros after; of height and width each.
        batch, size: rows, and values of one gradient.
        kept: whether the gradients are written out; otherwise norm and weighted sum are computed apart.
    """

    given: int
    seen: int
    window: tuple[int, ...]
    batch: int
    size: int
    kept: bool = True

    def terms(self, build: Builder) -> int:
        """``[B, size]``."""
        return self._kernel(build, "mindveil_filter_terms", [], (self.batch, self.size))

    def squares(self, build: Builder) -> int:
        """``[B, 1]``: the squared norms."""
        return self._kernel(build, "mindveil_filter_squares", [], (self.batch, 1))

    def weighted(self, build: Builder, weights: int) -> int:
        """``[1, size]``: the sum over the examples, weighted."""
        flat = build.reshape(weights, (self.batch,))
        return self._kernel(build, "mindveil_filter_weighted", [flat], (1, self.size))

    def _kernel(self, build: Builder, function: str, first: list[int], shape: tuple[int, ...]) -> int:
        window = build.constant("tensor", np.array(self.window, np.int64), "int64")
        inputs = [*first, self.given, self.seen, window]
        return build.op("Custom", inputs, TensorType(shape, FLOAT), custom(LIBRARY, function))


def find_filters(graph: StepGraph) -> dict[int, Filter]:
    """The products that are per-example filter gradients, by node; empty where the kernels cannot be built."""
    if not available(LIBRARY):
        return {}
    found = {n.id: f for n in graph.operations if (f := _filter(graph, n)) is not None}
    left = BUDGET - sum(4 * f.batch * f.size for f in found.values())
    for node, f in sorted(found.items(), key=lambda item: -item[1].size):
        if left >= 0:
            break
        found[node] = Filter(f.given, f.seen, f.window, f.batch, f.size, kept=False)
        left += 4 * f.batch * f.size
    return found


def value(node: Node) -> Any:
    """What a constant holds, whether a pass made it or the compiler."""
    return node.value.value if isinstance(node.value, Constant) else node.value


def _filter(graph: StepGraph, node: Node) -> Filter | None:
    """The product ``[B, 1, co, L] x [B, 1, ci k, L]^T`` of dY and unfolded patches, if this is one."""
    if node.op != "BatchMatMul" or not node.made or node.type.dtype != FLOAT or len(node.shape) != 4:
        return None
    left, right, ta, tb = graph.inputs(node.id)
    patches = graph[right.inputs[0]] if right.op == "Reshape" else right
    given = graph[left.inputs[0]] if left.op == "Reshape" else left
    if value(ta) or not value(tb) or patches.op != "Im2Col" or not patches.made or left.shape[1] != 1:
        return None
    if len(given.shape) != 4 or given.shape[0] != node.shape[0] or patches.shape[0] != node.shape[0]:
        return None
    kernel, stride, dilation = (tuple(patches.attrs[k].value) for k in ("ksizes", "strides", "dilations"))
    seen, before, after = _unpadded(graph, graph[patches.inputs[0]])
    if len(kernel) != 2 or kernel[1] > WIDEST or seen.type.dtype != FLOAT:
        return None
    window = (*_pair(kernel), *_pair(stride), *_pair(dilation), *before, *after)
    return Filter(given.id, seen.id, window, node.shape[0], prod(node.shape[1:]))


def _unpadded(graph: StepGraph, x: Node) -> tuple[Node, tuple[int, int], tuple[int, int]]:
    """The input without the border of zeros that a pass wrote around it, and that border."""
    if x.op != "PadV3" or not x.made:
        return x, (0, 0), (0, 0)
    left, right, top, bottom = value(graph[x.inputs[1]])[:4]  # the last dimension comes first
    return graph[x.inputs[0]], (top, left), (bottom, right)


def _pair(values: Sequence[int]) -> tuple[int, int]:
    first, *rest = values
    return int(first), int(rest[0] if rest else first)
