"""Sums, means and extremes over axes, and where the extremes are."""

from __future__ import annotations

import math
from typing import Any

from mindveil.tools.exporting.call import Call, Translation
from mindveil.tools.exporting.emitter import vector
from mindveil.tools.exporting.source import Batch

__all__ = ["TRANSLATIONS"]


def _reduction(op: str, keep_index: int = 2) -> Translation:
    """``Reduce*(x, axes, keep dimensions, ...)``; no axes means all of them."""

    def translate(call: Call) -> str:
        axes = call.constant(1) if call.has_constant(1) else call.attribute("axis", ())
        keep = call.constant(keep_index) if call.has_constant(keep_index) else call.attribute("keep_dims", False)
        return _reduce(call, op, axes, bool(keep))

    return translate


def _reduce(call: Call, op: str, axes: Any, keep: bool) -> str:
    rank = len(call.type_of(0).shape)
    chosen = range(rank) if axes is None or axes == () else (axes,) if isinstance(axes, int) else tuple(axes)
    value = call.tensor(0, call.result().dtype)
    return call.emit(op, value, call.array(vector([int(axis) % rank for axis in chosen]), "axes"), keepdims=int(keep))


def _arg(op: str) -> Translation:
    """``Argmax(x, axis, type)``."""

    def translate(call: Call) -> str:
        axis = call.constant(1) if call.has_constant(1) else call.attribute("axis", -1)
        place = call.emit(op, call.tensor(0), axis=int(axis), keepdims=0)
        return place if call.result().dtype == "int64" else call.cast(place, call.result().dtype)

    return translate


def _arg_with_value(arg: str, reduce: str) -> Translation:
    """``ArgMaxWithValue(x, axis, keep dimensions)``: the place and the value."""

    def translate(call: Call) -> list[str]:
        axis = call.constant(1) if call.has_constant(1) else call.attribute("axis", 0)
        keep = int(call.constant(2) if call.has_constant(2) else call.attribute("keep_dims", False))
        place = call.emit(arg, call.tensor(0), axis=int(axis), keepdims=keep)
        value = call.emit(reduce, call.tensor(0), call.array(vector([int(axis)]), "axes"), keepdims=keep)
        wanted = call.result(0).dtype
        return [place if wanted == "int64" else call.cast(place, wanted), value]

    return translate


def _deviation(call: Call) -> list[str]:
    """``ReduceStd(x, axes, unbiased, keep dimensions)``: the standard deviation and the mean."""
    axes, unbiased, keep = (_setting(call, k + 1, name) for k, name in enumerate(("axis", "unbiased", "keep_dims")))
    shape = call.type_of(0).shape
    chosen = [int(axis) % len(shape) for axis in (axes if isinstance(axes, tuple) else (axes,))] or list(
        range(len(shape))
    )
    sizes = [shape[axis] for axis in chosen]
    count = math.prod(size for size in sizes if isinstance(size, int))
    if any(isinstance(size, Batch) for size in sizes):
        call.refuse("it measures the spread over the batch, so rows would influence each other")
    kind, spread = call.result().dtype, call.array(vector(chosen), "axes")
    mean = call.emit("ReduceMean", call.tensor(0), spread, keepdims=1)
    away = call.emit("Sub", call.tensor(0), mean)
    total = call.emit("ReduceSumSquare", away, spread, keepdims=int(keep))
    variance = call.emit("Div", total, call.floats(float(count - bool(unbiased)), kind))
    return [call.emit("Sqrt", variance), mean if keep else call.emit("Squeeze", mean, spread)]


def _setting(call: Call, index: int, name: str) -> Any:
    return call.constant(index) if call.has_constant(index) else call.attribute(name)


def _cumulative_sum(call: Call) -> str:
    axis = call.constant(1)
    flags = {name: int(bool(call.attribute(name, False))) for name in ("exclusive", "reverse")}
    return call.emit("CumSum", call.tensor(0, call.result().dtype), call.array(vector([axis])[0], "axis"), **flags)


TRANSLATIONS: dict[str, Translation] = {
    **dict.fromkeys(("ReduceMean", "MeanExt"), _reduction("ReduceMean")),
    **dict.fromkeys(("ReduceSum", "SumExt"), _reduction("ReduceSum")),
    "ReduceMax": _reduction("ReduceMax"),
    "ReduceMin": _reduction("ReduceMin"),
    "ReduceProd": _reduction("ReduceProd"),
    "ProdExt": _reduction("ReduceProd"),
    **dict.fromkeys(("Argmax", "ArgMax", "ArgMaxExt"), _arg("ArgMax")),
    **dict.fromkeys(("Argmin", "ArgMin", "ArgMinExt"), _arg("ArgMin")),
    "ArgMaxWithValue": _arg_with_value("ArgMax", "ReduceMax"),
    "ArgMinWithValue": _arg_with_value("ArgMin", "ReduceMin"),
    "ReduceStd": _deviation,
    "CumSum": _cumulative_sum,
    "CumsumExt": _cumulative_sum,
}
