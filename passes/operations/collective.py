"""Operations over several workers: the passes add them after clipping, and refuse them before."""

from __future__ import annotations

from mindveil.passes.operations.table import Operation, refuse, words

__all__ = ["COLLECTIVE"]

_EARLY = Operation(
    refuse(
        "it combines examples of several workers; leave that to the step, which adds clipped sums up (workers= of the "
        "policy)"
    )
)

COLLECTIVE: dict[str, Operation] = {
    name: _EARLY for name in words("AllReduce AllGather ReduceScatter Broadcast AlltoAll NeighborExchange")
}
