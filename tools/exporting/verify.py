"""Compares an exported file under onnxruntime with the network under MindSpore."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from mindveil.tools.onnx_passes.graph import Array
from mindveil.tools.onnx_passes.session import make_session

__all__ = ["BATCHES", "RELATIVE_TOLERANCE", "VerificationError", "verify"]

BATCHES = (1, 7, 64)
RELATIVE_TOLERANCE = 1e-4
"""Largest difference allowed, times max(1, largest |logit|)."""

Network: TypeAlias = Callable[[Sequence[Array]], tuple[Array, ...]]


class VerificationError(RuntimeError):
    """The exported model does not compute what the network computes; no file was written."""


def verify(model: bytes, network: Network, samples: Sequence[Array], names: Sequence[str]) -> Mapping[int, float]:
    """The largest absolute difference at batch 1, 7 and 64.

    Args:
        model: the serialised model.
        network: the reference, from inputs to results.
        samples: one array for each input; batches are cut from them, repeating them where they are short.
        names: the inputs' names in the model.

    Raises:
        VerificationError: a difference above the tolerance, another shape or type, or a number that only one side
            calls NaN or infinite.
    """
    session = make_session(model)
    differences = {}
    for rows in BATCHES:
        batch = [array[np.arange(rows) % len(array)] for array in samples]
        expected = network(batch)
        got = session.run(None, dict(zip(names, batch, strict=True)))
        if len(expected) != len(got):
            raise VerificationError(f"the network returns {len(expected)} results and the exported model {len(got)}")
        differences[rows] = max(
            _difference(one, two, f"result {index} at batch {rows}")
            for index, (one, two) in enumerate(zip(expected, got, strict=True))
        )
    return differences


def _difference(expected: Array, got: Array, where: str) -> float:
    if expected.shape != got.shape or expected.dtype != got.dtype:
        raise VerificationError(
            f"{where}: MindSpore gives {expected.dtype}{expected.shape}, the exported model {got.dtype}{got.shape}"
        )
    if expected.size == 0:
        return 0.0
    one, two = expected.astype(np.float64), got.astype(np.float64)
    finite = np.isfinite(one)
    if not np.array_equal(one[~finite], two[~finite], equal_nan=True) or not np.isfinite(two[finite]).all():
        raise VerificationError(f"{where}: NaN or infinite numbers appear on one side only")
    if not finite.any():
        return 0.0
    difference = float(np.abs(one[finite] - two[finite]).max())
    allowed = RELATIVE_TOLERANCE * max(1.0, float(np.abs(one[finite]).max()))
    if difference > allowed:
        raise VerificationError(
            f"{where}: the exported model differs from MindSpore by {difference:.3g}, and {allowed:.3g} is allowed; "
            "no file was written"
        )
    return difference
