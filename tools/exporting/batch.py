"""Joins two traces of one network, made at different batch sizes, into one graph with a symbolic batch size."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from mindveil.tools.exporting.source import (
    Batch,
    Constant,
    Operand,
    Operation,
    Reference,
    RepeatedRow,
    SourceGraph,
    TensorType,
    UnsupportedModelError,
)

__all__ = ["TRACED_BATCHES", "join"]

TRACED_BATCHES = (2, 3)


def join(first: SourceGraph, second: SourceGraph) -> SourceGraph:
    """The graph of both traces, where each number proportional to the batch size has become a `Batch`.

    Args:
        first, second: the traces at ``TRACED_BATCHES`` rows.

    Raises:
        UnsupportedModelError: the traces differ in more than numbers proportional to the batch size, so that no
            single graph serves every batch size.
    """
    if [node.op for node in first.operations] != [node.op for node in second.operations]:
        raise UnsupportedModelError(
            f"the network runs {len(first.operations)} operations on {TRACED_BATCHES[0]} rows and "
            f"{len(second.operations)} on {TRACED_BATCHES[1]}, or in another order; the exported file needs the same "
            "operations at every batch size: do not loop over rows or branch on x.shape[0] in construct"
        )
    names = dict(zip(_names(second), _names(first), strict=True))
    operations = tuple(
        _join_operation(one, two, names) for one, two in zip(first.operations, second.operations, strict=True)
    )
    inputs = tuple(
        (name, _join_type(one, two, f"input {name}"))
        for (name, one), (_, two) in zip(first.inputs, second.inputs, strict=True)
    )
    return replace(first, inputs=inputs, operations=operations)


def _names(graph: SourceGraph) -> list[str]:
    return [name for name, _ in graph.inputs] + list(graph.parameters) + [node.output for node in graph.operations]


def _join_operation(one: Operation, two: Operation, names: dict[str, str]) -> Operation:
    where = f"{one.scope} ({one.op})"
    if len(one.operands) != len(two.operands):
        raise UnsupportedModelError(f"{where}: it has {len(one.operands)} operands in one trace, {len(two.operands)}")
    attributes = {key: _join_value(value, two.attributes.get(key), where) for key, value in one.attributes.items()}
    operands = tuple(_join_operand(a, b, names, where) for a, b in zip(one.operands, two.operands, strict=True))
    results = tuple(_join_type(a, b, where) for a, b in zip(one.results, two.results, strict=True))
    return replace(one, operands=operands, attributes=attributes, results=results)


def _join_operand(one: Operand, two: Operand, names: dict[str, str], where: str) -> Operand:
    if isinstance(one, Reference) and isinstance(two, Reference):
        if names.get(two.name) != one.name:
            raise UnsupportedModelError(f"{where}: its operands are wired differently at different batch sizes")
        return one
    if isinstance(one, Constant) and isinstance(two, Constant):
        return Constant(_join_value(one.value, two.value, where))
    raise UnsupportedModelError(f"{where}: an operand is a constant at one batch size and computed at another")


def _join_type(one: TensorType, two: TensorType, where: str) -> TensorType:
    if one.dtype != two.dtype or len(one.shape) != len(two.shape):
        raise UnsupportedModelError(f"{where}: type {one} at one batch size, {two} at another")
    shape = tuple(_join_value(a, b, where) for a, b in zip(one.shape, two.shape, strict=True))
    return TensorType(one.dtype, shape)


def _join_value(one: Any, two: Any, where: str) -> Any:
    if isinstance(one, tuple) and isinstance(two, tuple) and len(one) == len(two):
        return tuple(_join_value(a, b, where) for a, b in zip(one, two, strict=True))
    if isinstance(one, np.ndarray) and isinstance(two, np.ndarray):
        return _join_array(one, two, where)
    if type(one) is type(two) and (one == two or one != one):
        return one
    if isinstance(one, int) and isinstance(two, int):
        return _proportional(one, two, where)
    raise UnsupportedModelError(f"{where}: a constant is {one!r} at one batch size and {two!r} at another")


def _proportional(one: int, two: int, where: str) -> Batch:
    rows, other_rows = TRACED_BATCHES
    if one % rows == 0 and one // rows * other_rows == two:
        return Batch(one // rows)
    raise UnsupportedModelError(
        f"{where}: a number is {one} for {rows} rows and {two} for {other_rows}, and so is no multiple of the "
        "batch size; the exported file could not follow the batch size"
    )


def _join_array(one: np.ndarray[Any, Any], two: np.ndarray[Any, Any], where: str) -> Any:
    """The constant itself, or the part that is the same for every row (to be broadcast along the batch)."""
    if one.shape == two.shape and np.array_equal(one, two, equal_nan=one.dtype.kind == "f"):
        return one
    if one.ndim == two.ndim == 1 and len(one) == len(two) and one.dtype.kind in "iu":
        return _join_value(tuple(one.tolist()), tuple(two.tolist()), where)
    if one.ndim == two.ndim:
        axes = [axis for axis in range(one.ndim) if one.shape[axis] != two.shape[axis]]
        if len(axes) == 1 and (one.shape[axes[0]], two.shape[axes[0]]) == TRACED_BATCHES:
            row = np.take(one, [0], axes[0])
            if np.array_equal(np.broadcast_to(row, one.shape), one) and np.array_equal(
                np.broadcast_to(row, two.shape), two
            ):
                return RepeatedRow(row, axes[0])
    raise UnsupportedModelError(
        f"{where}: a constant of shape {one.shape} depends on the batch size in more than its number of equal rows; "
        "build it from the input instead (for instance from ops.zeros_like(x))"
    )
