"""Prepares the process for MindSpore, and refuses settings under which a step could run without its passes."""

from __future__ import annotations

import os
from pathlib import Path

from mindveil.passes.privacy import PrivacyError

__all__ = ["prepare", "refuse_bypass"]

_SLOW = ("avx512f", "amx_tile")


def prepare() -> None:
    """Sets ``ONEDNN_MAX_CPU_ISA=AVX2`` where MindSpore's convolutions need it; call before MindSpore is imported.

    On processors with AVX-512 or AMX the convolutions of MindSpore 2.10.0 are 15 to 50 times slower without it. A value
    that the user has set stays.
    """
    if any(flag in _processor_flags() for flag in _SLOW):
        os.environ.setdefault("ONEDNN_MAX_CPU_ISA", "AVX2")
    os.environ.setdefault("GLOG_v", "3")


def refuse_bypass() -> None:
    """Raises if compiled graphs may come from a cache, which stores them after the passes and never calls these again.

    Raises:
        PrivacyError: the compile cache is on.
    """
    import mindspore as ms

    if os.environ.get("MS_COMPILER_CACHE_ENABLE", "0") not in ("", "0"):
        raise PrivacyError("MS_COMPILER_CACHE_ENABLE is set: a cached graph would run without the passes; unset it")
    if ms.get_context("enable_compile_cache"):
        raise PrivacyError("enable_compile_cache is on: a cached graph would run without the passes; set it to False")
    if os.environ.get("MS_JIT", "1") == "0":
        raise PrivacyError(
            "MS_JIT=0 runs every operation by itself, so that no graph is compiled for the passes; unset it"
        )


def _processor_flags() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line for line in lines if line.startswith("flags")), "")
