"""The computing kernels that the passes put into a graph: where they are, and how noise is keyed."""

from __future__ import annotations

import ctypes
import itertools
from functools import cache

from mindveil.passes.bridge.build import BuildError, kernel_library
from mindveil.passes.bridge.plugin import PluginError, device_target
from mindveil.passes.graph import Constant

__all__ = ["NOISE", "SECRET_SLOT", "WIDEST_FILTER", "available", "custom", "seeded_slot"]

NOISE = "mindveil_noise"
#: The kernel for filter gradients keeps the taps of one row in registers.
WIDEST_FILTER = 8
#: The key of this slot comes from the operating system and never leaves the kernel.
SECRET_SLOT = 0
_HEADERS = {"noise": ("gauss.h",)}
_slots = itertools.count(1)


def custom(library: str, function: str) -> dict[str, Constant]:
    """The attributes of a Custom node that runs ``function`` of a kernel library.

    Raises:
        PluginError: the library could not be compiled.
    """
    name = f"{_path(library)}:{function}"
    return {
        "func_name": Constant("str", name),
        "uniq_name": Constant("str", f"Custom_{name}"),
        "imply_path": Constant("str", ""),
        "func_type": Constant("str", "aot"),
        "multi_output": Constant("bool", True),
        "autodiff": Constant("bool", False),
    }


def available(library: str) -> bool:
    """Whether a library that has a plain substitute can be built on this machine, and runs on the present device."""
    return device_target() == "CPU" and _builds(library)


@cache
def _builds(library: str) -> bool:
    try:
        _path(library)
    except PluginError:
        return False
    return True


def seeded_slot(seed: int) -> int:
    """A slot whose noise anybody who knows ``seed`` can repeat and subtract: for tests, never for a private run."""
    slot = next(_slots)
    _library("noise").mindveil_noise_seed(ctypes.c_int64(slot), ctypes.c_uint64(seed))
    return slot


@cache
def _path(library: str) -> str:
    try:
        return str(kernel_library(library, _HEADERS.get(library, ())).build())
    except BuildError as error:
        raise PluginError(
            f"the kernel {library} could not be built, so private training cannot start.\n{error}"
        ) from error


@cache
def _library(library: str) -> ctypes.CDLL:
    return ctypes.CDLL(_path(library))
