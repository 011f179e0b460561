"""Calls a computing kernel as MindSpore's Custom node does, without MindSpore."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mindveil.passes.bridge.build import kernel_library

Floats = NDArray[np.float32]


def call_kernel(
    library: str, function: str, inputs: Sequence[NDArray[Any]], outputs: list[tuple[int, ...]]
) -> list[Floats]:
    """The outputs, of these shapes, float32.

    Raises:
        RuntimeError: the kernel returned another code than 0.
    """
    made = [np.full(shape, np.nan, np.float32) for shape in outputs]
    arrays = [np.ascontiguousarray(a) for a in inputs] + made
    count = len(arrays)
    shapes = [(ctypes.c_int64 * max(a.ndim, 1))(*a.shape) for a in arrays]
    code = ctypes.CDLL(str(kernel_library(library).build()))[function](
        count,
        (ctypes.c_void_p * count)(*(a.ctypes.data for a in arrays)),
        (ctypes.c_int * count)(*(a.ndim for a in arrays)),
        (ctypes.POINTER(ctypes.c_int64) * count)(*(ctypes.cast(s, ctypes.POINTER(ctypes.c_int64)) for s in shapes)),
        (ctypes.c_char_p * count)(*(str(a.dtype).encode() for a in arrays)),
        None,
        None,
    )
    if code != 0:
        raise RuntimeError(f"{function} returned {code}")
    return made
