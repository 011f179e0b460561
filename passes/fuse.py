"""Replaces chains of small operations that the passes made by kernels that read their tensor once."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from mindveil.passes.bridge.kernels import NOISE, available, custom
from mindveil.passes.edits import FLOAT, Builder
from mindveil.passes.filters import Filter, find_filters
from mindveil.passes.graph import Node, StepGraph, TensorType
from mindveil.passes.infer import Typed
from mindveil.passes.noise import is_noise

__all__ = ["fuse"]

LIBRARY = "rows"
#: Operations whose result lies in the memory of their first input.
VIEWS = ("Reshape", "ExpandDims", "Squeeze", "Flatten")


def fuse(graph: StepGraph, typed: Typed) -> StepGraph:
    """The same graph, to rounding, with fewer passes over memory; the graph itself where the kernels cannot be built.

    Only what a pass made is replaced, after the graph was typed and found private: a kernel computes what the chain
    did, and has no type of its own. Sums of squares, sums over neighbouring axes, products of every example with its
    weight and their sum are fused; so is the unfolding of a convolution's input.
    """
    if not available(LIBRARY):
        return graph
    fusion = _Fusion(graph, typed)
    for node in graph.operations:
        if node.made and node.stamp is None:
            fusion.replace(node)
    return fusion.result()


class _Fusion:
    def __init__(self, graph: StepGraph, typed: Typed) -> None:
        self._graph = graph
        self._build = Builder(graph)
        self._instead: dict[int, int] = {}
        self._live = {n.id for n in graph.operations}
        self._filters = find_filters(graph, typed)
        self._scale_noise()
        self._rules: dict[str, Callable[[Node], int | None]] = {
            "ReduceSum": self._sum,
            "MatMul": self._weighted,
            "NanToNum": self._finite,
        }

    def replace(self, node: Node) -> None:
        """Builds what stands for a node from now on, if a kernel does."""
        rule = self._terms if node.id in self._filters else self._rules.get(node.op)
        if rule is not None and node.type.dtype == FLOAT:
            made = rule(node)
            if made is not None:
                self._instead[node.id] = made

    def result(self) -> StepGraph:
        """The graph in which every user reads the replacements."""
        return self._build.with_replaced(self._instead)

    # ------------------------------------------------------------------------------------------------------- rules
    def _scale_noise(self) -> None:
        """The noise kernel also multiplies by the constant that every noisy sum is divided by, in the same pass."""
        for node in self._graph.operations:
            if not is_noise(node):
                continue
            single = node.type.elements is None
            items = [node] if single else [self._graph[u] for u, _ in self._graph.users(node.id)]
            products = [[self._graph[u] for u, _ in self._graph.users(i.id)] for i in items]
            factors = {p.inputs[1] for found in products for p in found if p.op == "Mul" and p.made}
            if len(factors) != 1 or any(len(f) != 1 or f[0].op != "Mul" or not f[0].made for f in products):
                continue
            factor = self._graph[next(iter(factors))]
            if factor.kind != "value" or factor.shape != ():
                continue
            sigma, key, *sums = node.inputs
            inputs, found = [sigma, key, factor.id, *sums], [product.id for (product,) in products]
            if all(self._own(value, node.id) for value in sums):
                self._noise_within(node, inputs, dict(zip(found, sums, strict=True)))
            else:
                self._noise_beside(node, inputs, dict(zip(found, items, strict=True)))

    def _noise_within(self, node: Node, inputs: list[int], sums: dict[int, int]) -> None:
        """The sums take the noise in their own memory: the kernel gives out only a sign that it is done."""
        attrs = {**node.attrs, **custom("noise", NOISE + "_within")}
        done = self._build.unique("Custom", inputs, None, TensorType((1,), FLOAT), attrs)
        for product, value in sums.items():
            self._instead[product] = self._build.unique("Depend", [value, done], value, self._graph[value].type, {})

    def _noise_beside(self, node: Node, inputs: list[int], items: dict[int, Node]) -> None:
        attrs = {**node.attrs, **custom("noise", NOISE + "_times")}
        made = self._build.unique("Custom", inputs, None, node.type, attrs)
        for product, item in items.items():
            if node.type.elements is None:
                self._instead[product] = made
            else:
                index = self._build.constant("int", self._graph[item.inputs[1]].plain)
                self._instead[product] = self._build.op("TupleGetItem", [made, index], item.type)

    def _own(self, value: int, reader: int) -> bool:
        """Whether a value lies in memory that nothing else reads: what computes it and its views have one reader."""
        while True:
            node = self._graph[value]
            readers = [u for u, _ in self._graph.users(value) if u in self._live]
            if readers != [reader] or node.kind != "op":
                return False
            if node.op not in VIEWS:
                return node.made and node.op not in ("Load", "TupleGetItem", "Depend")
            value, reader = node.inputs[0], value

    def _sum(self, node: Node) -> int | None:
        """``ReduceSum`` over neighbouring axes, of squares if they are those of a matrix's rows."""
        source, axes = self._graph.inputs(node.id)[:2]
        summed = [k for k in axes.plain if source.shape[k] > 1]
        if not summed or len({source.shape[k] for k in summed} - {1}) == 0:
            return None
        first, last = min(summed), max(summed)
        if any(source.shape[k] > 1 for k in range(first, last) if k not in summed):
            return None
        before, middle = prod(source.shape[:first]), prod(source.shape[first : last + 1])
        after = prod(source.shape[last + 1 :])
        squared = source.op == "Square" and source.made and after == 1
        filters = self._recomputed(source.inputs[0]) if squared else None
        if filters is not None:
            total = filters.squares(self._build)
        elif squared:
            flat = self._build.reshape(source.inputs[0], (before, middle))
            total = self._kernel("mindveil_squares", [flat], (before, 1))
        else:
            flat = self._build.reshape(source.id, (before, middle, after))
            total = self._kernel("mindveil_sums", [flat], (before, after))
        return self._build.reshape(total, node.shape)

    def _weighted(self, node: Node) -> int | None:
        """A row of weights times a matrix whose values were made finite."""
        row, matrix = self._graph.inputs(node.id)[:2]
        plain = not any(self._graph[i].plain for i in node.inputs[2:4])
        if matrix.op != "NanToNum" or not matrix.made or row.shape[0] != 1 or not plain:
            return None
        filters = self._recomputed(matrix.inputs[0])
        if filters is not None:
            return self._build.reshape(filters.weighted(self._build, row.id), node.shape)
        weights = self._build.reshape(row.id, (row.shape[1],))
        return self._kernel("mindveil_weighted", [weights, matrix.inputs[0]], node.shape)

    def _finite(self, node: Node) -> int | None:
        """``NanToNum``, of a product with one weight for each example if that is what it reads."""
        source = self._graph[node.inputs[0]]
        product = self._graph[source.inputs[0]] if source.op == "Reshape" and source.made else source
        if product.op == "Mul" and product.made:
            x, weights = self._graph.inputs(product.id)
            rows = prod(weights.shape)
            axis = len(x.shape) - len(weights.shape)
            if x.shape == product.shape and axis >= 0 and weights.shape[:1] == (rows,) and x.shape[axis] == rows:
                wide = (prod(x.shape[:axis]), rows, prod(x.shape[axis + 1 :]))
                operands = [self._build.reshape(x.id, wide), self._build.reshape(weights.id, (rows,))]
                return self._build.reshape(self._kernel("mindveil_scaled", operands, wide), node.shape)
        return self._kernel("mindveil_finite", [source.id], node.shape)

    def _terms(self, node: Node) -> int | None:
        """The per-example gradient of a convolution's filter."""
        found = self._filters[node.id]
        return self._build.reshape(found.terms(self._build), node.shape) if found.kept else None

    def _recomputed(self, node: int) -> Filter | None:
        """The filter gradient behind some reshapes, if it is not to be kept."""
        while node not in self._filters and self._graph[node].op == "Reshape" and self._graph[node].made:
            node = self._graph[node].inputs[0]
        found = self._filters.get(node)
        return None if found is None or found.kept else found

    def _kernel(self, function: str, inputs: list[int], shape: tuple[int, ...]) -> int:
        return self._build.op("Custom", inputs, TensorType(shape, FLOAT), custom(LIBRARY, function))
