"""What ``mindveil doctor`` looks at: each check says what it found and how to mend it."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import os
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

__all__ = ["CHECKS", "Finding", "Status", "findings"]

Status = Literal["ok", "advice", "missing"]

MINDSPORE = "2.10.0"
PYTHONS = ((3, 10), (3, 11), (3, 12))
PACKAGES = ("scipy", "networkx", "mlxtend", "matplotlib", "onnx")
#: What a broken installation raises when it is imported.
BROKEN = (ImportError, OSError, RuntimeError, AttributeError, SystemError, ValueError)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked.

    Attributes:
        status: ``missing`` when a command cannot work, ``advice`` when it works but not well.
        fix: what to do; empty when there is nothing to do.
    """

    name: str
    status: Status
    detail: str
    fix: str = ""


def findings() -> Iterator[Finding]:
    """The findings of all checks, one at a time, since some of them take seconds."""
    for check in CHECKS:
        yield check()


def check_python() -> Finding:
    """MindSpore 2.10.0 has packages for three versions of Python."""
    wanted = ", ".join(".".join(map(str, version)) for version in PYTHONS)
    if sys.version_info[:2] in PYTHONS and platform.python_implementation() == "CPython":
        return Finding("Python", "ok", platform.python_version())
    return Finding("Python", "missing", platform.python_version(), f"use CPython {wanted}: make PYTHON=python3.11")


def check_numpy() -> Finding:
    """MindSpore 2.10.0 is compiled against NumPy 1."""
    fix = 'pip install "numpy>=1.26,<2"'
    version = _version("numpy")
    if version is None:
        return Finding("NumPy", "missing", "not installed", fix)
    if int(version.split(".")[0]) >= 2:
        return Finding("NumPy", "missing", f"{version}, but MindSpore {MINDSPORE} is compiled against NumPy 1", fix)
    return _imported("NumPy", "numpy", version, fix)


def check_mindspore() -> Finding:
    """The bridge is compiled against the headers of one version of MindSpore."""
    fix = f"pip install mindspore=={MINDSPORE}"
    version = _version("mindspore")
    if version is None:
        return Finding("MindSpore", "missing", "not installed", fix)
    if version != MINDSPORE:
        return Finding("MindSpore", "missing", f"{version}, but the bridge is written for {MINDSPORE}", fix)
    return _imported("MindSpore", "mindspore", version, f"pip install --force-reinstall mindspore=={MINDSPORE}")


def check_compiler() -> Finding:
    """The bridge is compiled on the user's machine."""
    from mindveil.passes.bridge.build import BuildError, compiler

    try:
        return Finding("C++ compiler", "ok", compiler())
    except BuildError as error:
        return Finding("C++ compiler", "missing", str(error), "apt-get install g++, or set CXX to a compiler")


def check_plugin() -> Finding:
    """Private and suppressed training need the graph passes, which need the plugin."""
    name = "Graph passes"
    try:
        from mindveil.passes.bridge.plugin import plugin_status

        status = plugin_status()
    except BROKEN as error:
        return Finding(name, "missing", f"{type(error).__name__}: {error}", "mend MindSpore first")
    if status.available:
        return Finding(name, "ok", status.detail)
    fix = "mend what is said here; public training, export and attacks work without the plugin"
    return Finding(name, "missing", status.detail, fix)


def check_cache() -> Finding:
    """A graph from MindSpore's compile cache would run without the passes, so that the step refuses to start."""
    name = "Compile cache"
    try:
        from mindveil.runtime.environment import refuse_bypass

        refuse_bypass()
    except ImportError:
        return Finding(name, "missing", "unknown without MindSpore", "mend MindSpore first")
    except (RuntimeError, ValueError) as error:
        return Finding(name, "missing", str(error).partition(";")[0], str(error).partition("; ")[2])
    return Finding(name, "ok", "off")


def check_onnxruntime() -> Finding:
    """Exports are verified, and attacks run, under onnxruntime."""
    version = _version("onnxruntime")
    fix = 'pip install "onnxruntime>=1.20"'
    if version is None:
        return Finding("onnxruntime", "missing", "not installed", fix)
    return _imported("onnxruntime", "onnxruntime", version, fix)


def check_packages() -> Finding:
    """The other packages that commands import."""
    absent = [name for name in PACKAGES if _version(name) is None]
    if absent:
        return Finding(
            "Other packages", "missing", f"{', '.join(absent)} not installed", f"pip install {' '.join(absent)}"
        )
    return Finding("Other packages", "ok", ", ".join(f"{name} {_version(name)}" for name in PACKAGES))


def check_convolutions() -> Finding:
    """On some processors MindSpore's convolutions are many times slower than they need to be."""
    name, variable = "Convolutions", "ONEDNN_MAX_CPU_ISA"
    flags = _processor_flags()
    if not any(flag in flags for flag in ("avx512f", "amx_tile")):
        return Finding(name, "ok", "this processor needs no setting")
    value = os.environ.get(variable)
    if value == "AVX2":
        return Finding(name, "ok", f"{variable}=AVX2")
    detail = f"{variable} is {value or 'not set'}; MindSpore's convolutions are many times slower without AVX2"
    return Finding(name, "advice", detail, f"export {variable}=AVX2 before MindSpore is imported")


#: The checks in the order in which their faults should be mended.
CHECKS: tuple[Callable[[], Finding], ...] = (
    check_python,
    check_numpy,
    check_mindspore,
    check_compiler,
    check_plugin,
    check_cache,
    check_onnxruntime,
    check_packages,
    check_convolutions,
)


def _version(package: str) -> str | None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def _imported(name: str, module: str, version: str, fix: str) -> Finding:
    try:
        importlib.import_module(module)
    except BROKEN as error:
        return Finding(name, "missing", f"{version} is installed but cannot be imported: {error}", fix)
    return Finding(name, "ok", version)


def _processor_flags() -> list[str]:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("flags"):
                return line.split()
    return []
