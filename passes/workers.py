"""Data-parallel steps: adds up the clipped sums of all workers before the noise, and takes the noisy ones from one."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from mindveil.passes.edits import FLOAT, Builder
from mindveil.passes.graph import Constant, StepGraph, TensorType
from mindveil.passes.infer import Typed
from mindveil.passes.marker import Marker, read_marker, with_count, with_gradients
from mindveil.passes.privacy import Bounded, Privacy, PrivacyError, Released

__all__ = ["FromFirstWorker", "SumOverWorkers"]


@dataclass(frozen=True, slots=True)
class SumOverWorkers:
    """One AllReduce of all clipped sums. Each record is on one worker only: the whole moves by one clip norm still.

    One node, because workers of one logical step may run different graphs (one physical batch, or the last of several):
    only a single collective has one order.

    Attributes:
        group: MindSpore's name of the workers.
    """

    group: str
    name: str = "all-reduce"

    def __call__(self, typed: Typed) -> StepGraph:
        marker = read_marker(typed.graph)
        build = Builder(typed.graph)
        wanted = {n: g for n, g in _values(marker).items() if isinstance(typed.types[g], Bounded)}
        if not wanted:
            raise PrivacyError("there is no clipped sum to add up over the workers; clip first")
        bound = typed.types[next(iter(wanted.values()))]
        flat = _joined(build, list(wanted.values()), bound)
        attrs = _collective(self.group) | {
            "op": Constant("str", "sum"),
            "fusion": Constant("int", 0),
            "index": Constant("int", 0),
        }
        total = build.stamp(build.unique("AllReduce", [flat], None, build[flat].type, attrs), bound)
        parts = _parts(build, total, list(wanted.values()))
        for part, value in zip(parts, wanted.values(), strict=True):
            build.stamp(part, typed.types[value])
        return _with_values(build, marker, dict(zip(wanted, parts, strict=True)))


@dataclass(frozen=True, slots=True)
class FromFirstWorker:
    """One Broadcast of all noisy sums from rank 0: its noise is the only one that is released, and all workers update
    alike, bit for bit. What the others drew is dropped unseen.
    """

    group: str
    name: str = "broadcast"

    def __call__(self, typed: Typed) -> StepGraph:
        marker = read_marker(typed.graph)
        build = Builder(typed.graph)
        values = _values(marker)
        unreleased = [n for n, v in values.items() if isinstance(typed.types[v], Bounded)]
        noisy = {n: v for n, v in values.items() if isinstance(typed.types[v], Released)}
        if unreleased or not noisy:
            raise PrivacyError(f"only noisy sums may be handed to all workers, but these are not: {unreleased}")
        flat = _joined(build, list(noisy.values()))
        group = TensorType(elements=(build[flat].type,))
        attrs = _collective(self.group) | {"root_rank": Constant("int", 0)}
        sent = build.unique("Broadcast", [build.op("MakeTuple", [flat], group)], None, group, attrs)
        got = build.op("TupleGetItem", [sent, build.constant("int", 0)], build[flat].type)
        return _with_values(build, marker, dict(zip(noisy, _parts(build, got, list(noisy.values())), strict=True)))


#: Stands for the count of unclipped examples among the names of parameters, which hold no space.
_COUNT = "the count"


def _values(marker: Marker) -> dict[str, int]:
    return marker.gradients | ({} if marker.count is None else {_COUNT: marker.count})


def _with_values(build: Builder, marker: Marker, changed: dict[str, int]) -> StepGraph:
    if _COUNT in changed:
        with_count(build, marker, changed[_COUNT])
    return with_gradients(build, marker, {n: changed.get(n, g) for n, g in marker.gradients.items()})


def _collective(group: str) -> dict[str, Constant]:
    return {"group": Constant("str", group), "no_eliminate": Constant("bool", True)}


def _joined(build: Builder, values: list[int], stamp: Privacy | None = None) -> int:
    """All values one after another, stamped if they are bounded."""
    flat = [build.reshape(v, (prod(build[v].shape),)) for v in values]
    for part in set(flat) - set(values) if stamp else ():
        build.stamp(part, stamp)
    group = build.op("MakeTuple", flat, TensorType(elements=tuple(build[f].type for f in flat)))
    size = sum(build[f].shape[0] for f in flat)
    joined = build.op("Concat", [group, build.constant("int", 0)], TensorType((size,), FLOAT))
    return build.stamp(joined, stamp) if stamp else joined


def _parts(build: Builder, flat: int, values: list[int]) -> list[int]:
    """The parts of ``flat`` in the shapes of ``values``, in nodes that this pass made."""
    found, start = [], 0
    for value in values:
        shape = build[value].shape
        size = prod(shape)
        piece = build.op("Slice", [flat, build.ints([start]), build.ints([size])], TensorType((size,), FLOAT))
        if isinstance(build[flat].stamp, Bounded):
            build.stamp(piece, build[flat].stamp)
        found.append(build.reshape(piece, shape))
        start += size
    return found
