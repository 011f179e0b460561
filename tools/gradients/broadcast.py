"""The gradient of broadcasting: sums over the axes along which a value was repeated."""

from __future__ import annotations

from mindveil.tools.gradients.call import Call

__all__ = ["sum_to"]


def sum_to(call: Call, gradient: str, value: str, result: str) -> str:
    """``gradient``, which has the shape of ``result``, summed to the shape of ``value``, which was broadcast to it."""
    small, large = call.shape(value), call.shape(result)
    if small == large and None not in small:
        return gradient
    lead = len(large) - len(small)
    axes = list(range(lead))
    for offset, dim in enumerate(small):
        other = large[lead + offset]
        if dim == 1 and other != 1:
            axes.append(lead + offset)
        elif dim != other and not (isinstance(dim, int) and dim != 1):
            # dims with different symbols, one of which may be 1 when the graph runs
            return _sum_to_at_run_time(call, gradient, value, lead)
        elif dim is None:
            return _sum_to_at_run_time(call, gradient, value, lead)
    if not axes:
        return gradient
    summed = call.op("ReduceSum", gradient, call.integers(axes), keepdims=1)
    return call.op("Squeeze", summed, call.integers(range(lead))) if lead else summed


def _sum_to_at_run_time(call: Call, gradient: str, value: str, lead: int) -> str:
    """As `sum_to`, with the axes found from the sizes that the graph sees when it runs."""
    shape = call.op("Shape", value)
    ones = call.integers([1] * lead)
    padded = call.op("Concat", ones, shape, axis=0) if lead else shape
    repeated = call.op("Not", call.op("Equal", padded, call.op("Shape", gradient)))
    axes = call.op("Reshape", call.op("NonZero", repeated), call.integers([-1]))
    summed = call.op("ReduceSum", gradient, axes, keepdims=1, noop_with_empty_axes=1)
    return call.op("Reshape", summed, shape)
