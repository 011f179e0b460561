"""Walks a `SourceGraph` and writes each operation in ONNX operators, with the help of the table of translations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from mindveil.tools.exporting.activations import name_activations
from mindveil.tools.exporting.call import Bound, Call
from mindveil.tools.exporting.emitter import Emitter
from mindveil.tools.exporting.naming import layer_of, output_names, value_name
from mindveil.tools.exporting.operations import TABLE
from mindveil.tools.exporting.source import (
    Constant,
    Operand,
    Operation,
    Reference,
    SourceGraph,
    UnsupportedModelError,
)
from mindveil.tools.onnx_passes.graph import Array, Graph

__all__ = ["supported_operations", "translate"]

NOT_IN_ONNX = frozenset({"UpdateState"})
TUPLES = frozenset({"MakeTuple", "make_list", "MakeList"})
SAME_VALUE = frozenset({"Load", "Depend"})
PICKS = frozenset({"TupleGetItem", "list_getitem"})


def supported_operations() -> tuple[str, ...]:
    """MindSpore's names of the operations that can be exported."""
    return tuple(sorted({*TABLE, *TUPLES, *SAME_VALUE, *PICKS, *NOT_IN_ONNX}))


def translate(graph: SourceGraph, parameters: Mapping[str, Array], input_names: Sequence[str], opset: int) -> Graph:
    """The ONNX graph of a traced network, every parameter under its own name.

    Args:
        parameters: the numbers of each parameter, by its name in the network.
        input_names: names for the graph's inputs, in order.

    Raises:
        UnsupportedModelError: an operation has no translation; all such operations are listed.
    """
    _refuse_unknown(graph)
    walk = _Walk(Emitter(opset), Counter(_reads(graph)))
    for name, (key, kind) in zip(input_names, graph.inputs, strict=True):
        walk.bound[key] = walk.emitter.add_input(name, kind)
    for key, parameter in graph.parameters.items():
        if walk.readers[key]:
            value = walk.emitter.add_weight(parameter, parameters[parameter])
            walk.bound[key] = value
            walk.layers[value] = layer_of(parameter)
    for operation in graph.operations:
        walk.bound[operation.output] = walk.visit(operation)
    return name_activations(walk.finish(walk.bound[graph.output]))


def _reads(graph: SourceGraph) -> list[str]:
    """The trace name behind every operand that is really read; monads and state updates read nothing."""
    alias: dict[str, str] = {}
    found = [graph.output]
    for node in graph.operations:
        names = [operand.name for operand in node.operands if isinstance(operand, Reference)]
        if node.op in SAME_VALUE:
            alias[node.output] = alias.get(names[0], names[0]) if names else ""
        elif node.op not in NOT_IN_ONNX:
            found.extend(names)
    return [alias.get(name, name) for name in found]


def _refuse_unknown(graph: SourceGraph) -> None:
    known = set(supported_operations())
    unknown = [node for node in graph.operations if node.op not in known]
    if not unknown:
        return
    lines = [f"  {node.op} at {node.scope}{_parameter_note(graph, node)}" for node in unknown]
    raise UnsupportedModelError(
        f"{len(unknown)} operations have no translation to ONNX:\n" + "\n".join(lines) + "\n"
        "replace them by operations in docs/export.md, or add them to mindveil.tools.exporting.operations"
    )


def _parameter_note(graph: SourceGraph, node: Operation) -> str:
    loads = {item.output: item.operands[0] for item in graph.operations if item.op == "Load"}
    names = []
    for operand in node.operands:
        source: Operand | None = loads.get(operand.name, operand) if isinstance(operand, Reference) else None
        if isinstance(source, Reference) and source.name in graph.parameters:
            names.append(graph.parameters[source.name])
    return f" (parameter {', '.join(names)})" if names else ""


@dataclass(slots=True)
class _Walk:
    """What the walk knows so far."""

    emitter: Emitter
    readers: Counter[str]
    bound: dict[str, Bound] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)
    """The layer of each value that is computed from parameters and constants alone."""
    behind: dict[str, str] = field(default_factory=dict)
    """For every other computed value, in order of execution: the layer that it was last made by."""

    def visit(self, operation: Operation) -> Bound:
        operands = tuple(self.resolve(operand) for operand in operation.operands)
        if operation.op in NOT_IN_ONNX:
            return None
        if operation.op in SAME_VALUE:
            return operands[0]
        if operation.op in TUPLES:
            return operands
        if operation.op in PICKS:
            return _pick(operation, operands)
        return self.emit(operation, operands)

    def resolve(self, operand: Operand) -> Bound:
        if isinstance(operand, Reference):
            return self.bound[operand.name]
        if isinstance(operand.value, tuple) and any(isinstance(item, np.ndarray) for item in operand.value):
            return tuple(Constant(item) for item in operand.value)
        return operand

    def emit(self, operation: Operation, operands: tuple[Bound, ...]) -> Bound:
        values = list(_values(operands))
        layers = [self.layers[value] for value in values if value in self.layers]
        sources = [value for value in dict.fromkeys(values) if value not in self.layers]
        made_of_parameters, latest = bool(layers) and not sources, ""
        if made_of_parameters:
            wish = value_name(operation.op, operation.scope, values[:1], [])
        else:
            latest = max(sources, key=self.order, default="")
            wish = value_name(operation.op, operation.scope, sources, layers, self.behind.get(latest, ""))
        first = operation.operands[0] if operation.operands else None
        reads = self.readers[first.name] if isinstance(first, Reference) else 0
        start = len(self.emitter.nodes)
        made = TABLE[operation.op](Call(operation, operands, wish, self.emitter, reads))
        single = isinstance(made, str)
        names = [made] if isinstance(made, str) else made
        names = [self.label(name, wish, start) for name in names]
        for name, kind in zip(names, operation.results, strict=False):
            self.emitter.types[name] = kind
            if made_of_parameters:
                self.layers[name] = layers[0]
            else:
                self.behind[name] = layers[0] if layers else self.behind.get(latest, "")
        return names[0] if single else tuple(names)

    def order(self, value: str) -> int:
        """Position of a computed value in the order of execution; inputs come first."""
        return list(self.behind).index(value) if value in self.behind else -1

    def label(self, name: str, wish: str, start: int) -> str:
        """Names a value made by this operation; one that an earlier operation made keeps its name."""
        made_here = any(name in node.outputs for node in self.emitter.nodes[start:])
        return self.emitter.rename(name, wish) if made_here else name

    def finish(self, result: Bound) -> Graph:
        values = list(_values((result,)))
        if not values:
            raise UnsupportedModelError("the network returns no tensor that depends on its input")
        outputs = []
        for value, name in zip(values, output_names(len(values)), strict=True):
            if self.emitter.producer(value) is None or value in outputs:
                self.emitter.add_node("Identity", [value], [self.emitter.unique(name)], {})
                self.emitter.types[name] = self.emitter.types[value]
                outputs.append(name)
            else:
                outputs.append(self.emitter.rename(value, name))
        return self.emitter.finish(outputs, "mindveil")


def _pick(operation: Operation, operands: tuple[Bound, ...]) -> Bound:
    source, index = operands[0], operands[1]
    if not isinstance(source, tuple) or not isinstance(index, Constant):
        raise UnsupportedModelError(f"{operation.scope}: it picks from no tuple, or by a computed index")
    position = int(index.value)
    if position >= len(source):
        raise UnsupportedModelError(
            f"{operation.scope}: the network uses result {position} of an operation of which ONNX keeps "
            f"{len(source)}; only the main result can be exported"
        )
    return source[position]


def _values(bound: tuple[Bound, ...]) -> list[str]:
    found: list[str] = []
    for item in bound:
        if isinstance(item, str):
            found.append(item)
        elif isinstance(item, tuple):
            found.extend(_values(item))
    return found
