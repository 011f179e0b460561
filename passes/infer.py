"""Finds the privacy type of every value of a step graph, by abstract interpretation over the operation table."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from mindveil.passes.bridge.plugin import source_lines
from mindveil.passes.graph import Constant, Node, StepGraph
from mindveil.passes.operations import OPERATIONS, Operation
from mindveil.passes.operations.table import RefusedError, View, mixed
from mindveil.passes.operations.update import is_update
from mindveil.passes.privacy import Bounded, Many, Mixed, PerExample, Privacy, PrivacyError, Public, Summed, is_free

__all__ = ["Declared", "Typed", "batch_size", "check", "infer", "problems", "where"]

#: A constant with more values than this, not all equal, could be a data set in disguise.
LARGE = 64
#: Operations that hand values on as they are, whatever their types; they are typed by their rules alone.
_ORDERING = ("Depend", "Load", "UpdateState", "Return", "MakeTuple", "make_list", "TupleGetItem", "MindveilStep")


@dataclass(frozen=True, slots=True)
class Declared:
    """What the graph itself cannot say of its Parameters.

    Attributes:
        public: untrained Parameters that hold no private data; ``*`` stands for large constants.
        sums: Parameters that add up clipped gradients over the physical batches of one step.
    """

    public: frozenset[str] = frozenset()
    sums: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Typed:
    """A step graph with the privacy type of each value, and the number of rows of its batch."""

    graph: StepGraph
    types: dict[int, Privacy]
    batch: int


def batch_size(graph: StepGraph) -> int:
    """The number of rows, which every graph input must have as its first dimension.

    Raises:
        PrivacyError: there is no input with examples, or the inputs disagree.
    """
    sizes = {}
    for n in graph.data:
        if n.type.shape is not None:
            sizes[n.name] = n.shape[0] if n.shape else None
    if not sizes:
        raise PrivacyError(
            "the step has no input that holds examples: tensors in a tuple, list or dict argument become constants of "
            "the compiled graph; pass images, labels and weights as arguments of their own"
        )
    if len(set(sizes.values())) != 1 or None in sizes.values():
        raise PrivacyError(f"every input needs the examples in axis 0, but the first dimensions are {sizes}")
    return int(next(iter(sizes.values())) or 0)


def infer(graph: StepGraph, declared: Declared = Declared()) -> Typed:
    """The privacy type of every value that the output depends on."""
    types: dict[int, Privacy] = {}
    batch = batch_size(graph)
    bound = _bound(graph)
    view = View(graph, types, batch)
    for i in graph.order():
        node = graph[i]
        if node.kind == "op":
            types[i] = _operation(view, node)
        elif node.kind == "parameter":
            types[i] = _parameter(node, declared, bound)
        else:
            types[i] = _constant(node, declared)
    return Typed(graph, types, batch)


def _bound(graph: StepGraph) -> Privacy:
    """What the sums of a step are bounded by: the clip norm of its marker, or of the values that flow into them."""
    stamps = {n.stamp for n in graph.nodes.values() if isinstance(n.stamp, Bounded)}
    return stamps.pop() if len(stamps) == 1 else Mixed("a sum of gradients that no pass has clipped", graph.output)


def _parameter(node: Node, declared: Declared, bound: Privacy) -> Privacy:
    if not node.weight:
        return Public() if node.type.shape is None else PerExample(1)
    if node.name in declared.sums:
        return bound
    if not node.trainable and node.name not in declared.public:
        return Mixed(
            f"Parameter {node.name} is not trained, so that it could hold data; declare it public if it holds none",
            node.id,
        )
    return Public()


def _constant(node: Node, declared: Declared) -> Privacy:
    if node.uniform or isinstance(node.value, Constant) or prod(node.shape) <= LARGE or "*" in declared.public:
        return Public()
    return Mixed(
        f"a constant of {prod(node.shape)} values could hold data; declare constants public ('*') if it holds none",
        node.id,
    )


def _operation(view: View, node: Node) -> Privacy:
    entry = OPERATIONS.get(node.op)
    if node.stamp is not None:
        return _stamped(view, node)
    if entry is not None and node.op in _ORDERING:
        return entry.privacy(view, node)
    ignored = entry.ignored if entry is not None else ()
    kinds = [view.types[i] for k, i in enumerate(node.inputs) if k not in ignored]
    if all(is_free(k) for k in kinds) and not is_update(node):
        return Public()
    try:
        return _ruled(view, node, entry, kinds)
    except RefusedError as why:
        return mixed(node, str(why))


def _ruled(view: View, node: Node, entry: Operation | None, kinds: list[Privacy]) -> Privacy:
    """What the operation's rule says, after the checks that hold for every rule: it meets no unknown type."""
    if entry is not None and entry.forbids is not None:
        reason = entry.forbids(view, node)
        if reason is not None:
            raise RefusedError(reason)
    flat = [p for k in kinds for p in (k.parts if isinstance(k, Many) else (k,))]
    lost = next((p for p in flat if isinstance(p, Mixed)), None)
    if lost is not None:
        return lost
    if entry is None:
        raise RefusedError("the table has no rule for this operation")
    if entry.effect == "state":
        return entry.privacy(view, node)
    if any(isinstance(p, Bounded) for p in flat):
        raise RefusedError("clipped sums must reach the noise as they are")
    if entry.linear is None and any(isinstance(p, Summed) for p in flat):
        raise RefusedError("it is not linear in a sum over examples")
    if not entry.grouped and any(isinstance(k, Many) for k in kinds):
        raise RefusedError("it takes a tuple of tensors, which its rule does not know")
    return entry.privacy(view, node)


def _stamped(view: View, node: Node) -> Privacy:
    """A pass vouches for a bound only on what is a sum over examples, and for a release only on what is bounded."""
    stamp = node.stamp
    kinds = [view.types[i] for i in node.inputs]
    flat = [p for k in kinds for p in (k.parts if isinstance(k, Many) else (k,))]
    if any(isinstance(p, Mixed) for p in flat):
        return next(p for p in flat if isinstance(p, Mixed))
    wants = PerExample | Summed | Bounded if isinstance(stamp, Bounded) else Bounded
    if not any(isinstance(p, wants) for p in flat) or stamp is None:
        return mixed(node, f"stamped as {stamp}, but made from ({', '.join(map(str, flat))})")
    if not isinstance(stamp, Bounded) and any(isinstance(p, PerExample | Summed) for p in flat):
        return mixed(node, "noise is added to a gradient that is not clipped")
    return stamp


def problems(typed: Typed, sums: frozenset[str] = frozenset()) -> list[str]:
    """Every way in which something unreleased reaches memory that outlives the step, each with place and reason.

    Args:
        sums: Parameters that may hold clipped sums, because they never leave the process before noise is added.
    """
    found: dict[str, None] = {}
    for node in typed.graph.operations:
        if not is_update(node):
            continue
        adds = node.op == "AssignAdd" and typed.graph[node.inputs[0]].name in sums
        for i in node.inputs:
            kind = typed.types[i]
            for part in kind.parts if isinstance(kind, Many) else (kind,):
                if not is_free(part) and not (adds and isinstance(part, Bounded)):
                    found[_problem(typed.graph, node, part)] = None
    return list(found)


def _problem(graph: StepGraph, update: Node, kind: Privacy) -> str:
    target = next((graph[i].name for i in update.inputs if graph[i].kind == "parameter"), "a Parameter")
    if isinstance(kind, Mixed):
        return f"{kind.why}{where(kind.node)}; it reaches {target}"
    return f"{target} is updated by {update.op} with a value that is {kind}, not released{where(update.id)}"


def where(node: int) -> str:
    """`` (file:line: source)`` of the user's line that made a node, where MindSpore knows it; otherwise nothing."""
    for line in source_lines(node):
        if "In file" in line and "/mindspore/" not in line and "/mindveil/" not in line:
            return f" ({line.strip().removeprefix('In file').strip()})"
    return ""


def check(typed: Typed, sums: frozenset[str] = frozenset()) -> None:
    """Refuses a finished step in which something unreleased outlives the step.

    Raises:
        PrivacyError: something that is neither public nor released reaches a Parameter or optimizer state.
    """
    if typed.graph.subgraphs:
        raise PrivacyError(
            f"the step calls {len(typed.graph.subgraphs)} sub-graph(s) (a loop or a branch on a tensor), which cannot "
            "be followed; write the loop over a fixed number in Python, and the branch as ops.where"
        )
    found = problems(typed, sums)
    if found:
        raise PrivacyError("this step is not private:\n- " + "\n- ".join(found))
