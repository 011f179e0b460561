"""Look-ups by computed or constant indices."""

from __future__ import annotations

import numpy as np

from mindveil.tools.exporting.call import Call, Translation
from mindveil.tools.exporting.emitter import vector

__all__ = ["TRANSLATIONS"]


def _gather(call: Call) -> str:
    """``Gather(x, indices, axis, batch dimensions)``."""
    if call.has_constant(3) and call.constant(3):
        call.refuse("it gathers within batch dimensions; use gather_elements")
    return call.emit("Gather", call.tensor(0), _indices(call, 1), axis=int(call.constant(2)))


def _gather_elements(call: Call) -> str:
    """``GatherD(x, axis, indices)``."""
    return call.emit("GatherElements", call.tensor(0), _indices(call, 2), axis=int(call.constant(1)))


def _gather_nd(call: Call) -> str:
    return call.emit("GatherND", call.tensor(0), call.tensor(1, "int64"))


def _embedding(call: Call) -> str:
    """``Embedding(ids, table, ...)``."""
    return call.emit("Gather", call.tensor(1), _indices(call, 0), axis=0)


def _one_hot(call: Call) -> str:
    """``OneHot(ids, depth, on, off, axis)``."""
    kind = call.result().dtype
    levels = call.emit("Concat", _flat(call, 3, kind), _flat(call, 2, kind), axis=0)
    depth = call.array(vector([int(call.constant(1))]), "depth")
    axis = call.constant(4) if call.has_constant(4) else call.attribute("axis", -1)
    return call.emit("OneHot", call.tensor(0, "int64"), depth, levels, axis=int(axis))


def _flat(call: Call, index: int, kind: str) -> str:
    if call.has_constant(index):
        return call.array(np.asarray(call.constant(index), kind).reshape(1), "level")
    return call.emit("Reshape", call.tensor(index, kind), call.array(vector([1]), "one"))


def _top_k(call: Call) -> list[str]:
    """``TopK(x, k)`` along the last axis, largest first."""
    count = call.array(vector([int(call.constant(1))]), "k")
    values, places = call.emit_many("TopK", [call.tensor(0), count], 2, {"axis": -1, "largest": 1, "sorted": 1})
    wanted = call.result(1).dtype
    return [values, places if wanted == "int64" else call.cast(places, wanted)]


def _indices(call: Call, index: int) -> str:
    name = call.tensor(index)
    kind = call.emitter.types[name].dtype
    return name if kind in ("int32", "int64") else call.cast(name, "int64")


def _sort(call: Call) -> list[str]:
    """``Sort(x)`` along one axis: the values and where they were."""
    axis = int(call.attribute("axis", -1))
    count = call.sizes([call.type_of(0).shape[axis]], "k")
    largest = int(bool(call.attribute("descending", False)))
    values, places = call.emit_many("TopK", [call.tensor(0), count], 2, {"axis": axis, "largest": largest, "sorted": 1})
    return [values, call.cast(places, call.result(1).dtype)]


TRANSLATIONS: dict[str, Translation] = {
    "Gather": _gather,
    "GatherD": _gather_elements,
    "GatherNd": _gather_nd,
    "Embedding": _embedding,
    "OneHot": _one_hot,
    "TopK": _top_k,
    "Sort": _sort,
}
