"""Shows a rewritten step: where each gradient is clipped, noised and masked, and the type of every value."""

from __future__ import annotations

from mindveil.passes.graph import Node, StepGraph
from mindveil.passes.noise import is_noise
from mindveil.passes.operations.update import is_update
from mindveil.passes.pipeline import Compiled
from mindveil.passes.privacy import Bounded, is_free

__all__ = ["explain", "parameter_rows", "value_rows"]


def explain(compiled: Compiled) -> str:
    """The step as text: what is released and what is not, a row for each trained parameter, one for each value."""
    graph, types = compiled.typed.graph, compiled.typed.types
    lines = [
        f"step over {compiled.typed.batch} rows; passes: "
        + ", ".join(f"{t.name} ({t.before} -> {t.after})" for t in compiled.trace)
    ]
    for r in compiled.releases:
        lines.append(
            f"every run releases {r.tensors} {r.what} with Gaussian noise {r.noise_multiplier} * {r.clip_norm}, "
            f"sampled at rate {r.sampling_rate:.6g}"
        )
    returned = graph[graph[graph[graph.output].inputs[0]].inputs[0]]
    for value in graph.inputs(returned.id) if returned.op == "MakeTuple" else (returned,):
        if not is_free(types[value.id]):
            lines.append(f"returned and not released: {value.describe()} is {types[value.id]}; keep it on the console")
    lines += [
        "",
        *_table(("parameter", "updated by", "clipped", "noised", "masked", "divided"), parameter_rows(compiled)),
    ]
    lines += ["", *_table(("node", "operation", "type", "privacy", "scope"), value_rows(compiled))]
    return "\n".join(lines)


def parameter_rows(compiled: Compiled) -> list[tuple[str, ...]]:
    """(parameter, update, clipped, noised, masked, divided) for each parameter that an optimizer's update writes."""
    graph, types = compiled.typed.graph, compiled.typed.types
    rows = []
    for update in graph.operations:
        if not is_update(update) or update.op in ("Assign", "AssignAdd") or graph[update.inputs[0]].kind != "parameter":
            continue
        path = _path(graph, update)
        clipped = next((types[n.id] for n in path if isinstance(types[n.id], Bounded)), None)
        noised = next((n for n in path if is_noise(n)), None)
        mask = next((_mask(graph, n) for n in path if _mask(graph, n)), "")
        constant = next(
            (1 / float(v) for n in path if n.op == "Mul" and n.made for v in [_constant(graph, n)] if v), None
        )
        rows.append(
            (
                graph[update.inputs[0]].name,
                update.op,
                clipped.l2 if isinstance(clipped, Bounded) else "-",
                f"node {noised.id}" if noised else "-",
                mask or "-",
                f"{constant:g}" if constant else "-",
            )
        )
    return sorted(rows)


def value_rows(compiled: Compiled) -> list[tuple[str, ...]]:
    """(node, operation, tensor type, privacy type, scope) for each operation of the finished graph."""
    hidden = ("UpdateState", "Load", "MakeTuple", "TupleGetItem")
    return [
        (str(n.id), n.op, n.type.describe(), str(compiled.typed.types[n.id]), ("added" if n.made else n.name))
        for n in compiled.typed.graph.operations
        if n.op not in hidden
    ]


def _path(graph: StepGraph, update: Node) -> list[Node]:
    """The nodes between an update and the contraction: those that passes added, nearest first."""
    path: list[Node] = []
    todo = [i for i in update.inputs if graph[i].made]
    while todo:
        node = graph[todo.pop(0)]
        if node in path or node.kind != "op":
            continue
        path.append(node)
        if node.op == "TupleGetItem" and graph[node.inputs[0]].op == "Custom":
            noise = graph[node.inputs[0]]
            path.append(noise)
            todo.append(noise.inputs[2 + int(graph[node.inputs[1]].plain)])
        elif node.op == "Custom":
            todo += list(node.inputs[2:])
        elif not isinstance(node.stamp, Bounded):
            todo += [i for i in node.inputs if graph[i].made]
    return path


def _mask(graph: StepGraph, node: Node) -> str:
    return next((p.name for p in graph.inputs(node.id) if p.kind == "parameter" and p.name.startswith("mask.")), "")


def _constant(graph: StepGraph, node: Node) -> float | None:
    found = [n for n in graph.inputs(node.id) if n.kind == "value" and n.made and n.shape == ()]
    return float(found[0].value.value) if found else None


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(r[k]) for r in [head, *rows]) for k in range(len(head))]
    return [
        "  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip()
        for r in [head, tuple("-" * w for w in widths), *rows]
    ]
