"""Compiles a C++ source that the package ships, once, into the user's cache folder."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sysconfig
import tempfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BuildError", "Library", "bridge_library", "cache_folder", "compiler", "kernel_library"]

HERE = Path(__file__).resolve().parent


class BuildError(RuntimeError):
    """A library could not be compiled; the message says what was run, what it printed and what to install."""


@dataclass(frozen=True, slots=True)
class Library:
    """A source to compile.

    ``native``: use the instructions of this very processor, so that the result is not shared between processors.
    """

    name: str
    source: Path
    headers: tuple[Path, ...]
    flags: tuple[str, ...]
    libraries: tuple[str, ...]
    native: bool

    def build(self) -> Path:
        """The compiled library; compiled now if the cache does not hold it.

        Raises:
            BuildError: no compiler, or the compiler failed.
        """
        command = compiler()
        target = cache_folder() / f"{self.name}-{self._key(command)}.so"
        if not target.exists():
            self._compile(command, target)
        return target

    def _key(self, command: str) -> str:
        parts = [command, _compiler_version(command), platform.machine(), *self.flags, *self.libraries]
        parts += [_processor() if self.native else "", _mindspore_version()]
        digest = hashlib.sha256("\n".join(parts).encode())
        for path in (self.source, *self.headers):
            digest.update(path.read_bytes())
        return digest.hexdigest()[:16]

    def _compile(self, command: str, target: Path) -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            handle, partial = tempfile.mkstemp(dir=target.parent, suffix=".so.partial")
        except OSError as error:
            raise BuildError(
                f"the cache folder {target.parent} cannot be written ({error}); set MINDVEIL_CACHE to a folder that can"
            ) from error
        os.close(handle)
        line = [command, *self.flags, str(self.source), "-o", partial, *self.libraries]
        try:
            done = subprocess.run(line, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise BuildError(_explain(line, done))
            os.replace(partial, target)
        finally:
            Path(partial).unlink(missing_ok=True)


def bridge_library() -> Library:
    """The door into MindSpore's compiler, built against the headers that the installed MindSpore ships."""
    package = _mindspore_folder()
    include = package / "include"
    core = include / "mindspore"
    third = include / "third_party"
    if not (core / "include" / "custom_pass_api.h").exists():
        raise BuildError(
            f"MindSpore at {package} ships no include/mindspore/include/custom_pass_api.h; "
            "the graph passes need MindSpore 2.10.0: pip install mindspore==2.10.0"
        )
    folders = [include, core, core / "core/include", core / "core/mindrt/include", core / "core/mindrt"]
    folders += [core / "ccsrc", core / "ccsrc/include", core / "ops/include", core / "ops", third]
    folders += [
        third / "robin_hood_hashing",
        third / "nlohmann",
        third / "pybind11",
        Path(sysconfig.get_paths()["include"]),
    ]
    # MindSpore is built with the old string ABI and the fast hash tables: with other settings the classes have other
    # layouts and the graph reads as empty, with no error.
    flags = ["-std=c++17", "-fPIC", "-shared", "-O1", "-w", "-D_GLIBCXX_USE_CXX11_ABI=0", "-DENABLE_FAST_HASH_TABLE=1"]
    lib = package / "lib"
    links = (f"-L{lib}", "-lmindspore_core", "-lmindspore_common", f"-Wl,-rpath,{lib}")
    return Library("bridge", HERE / "bridge.cc", (), (*flags, *(f"-I{f}" for f in folders)), links, native=False)


def kernel_library(name: str, headers: tuple[str, ...] = ()) -> Library:
    """A computing kernel of this folder, built for this processor; it needs no MindSpore header."""
    flags = ("-std=c++17", "-O3", "-march=native", "-fPIC", "-shared", "-pthread", "-w")
    return Library(name, HERE / f"{name}.cc", tuple(HERE / h for h in headers), flags, (), native=True)


def compiler() -> str:
    """The C++ compiler: ``CXX`` if set, otherwise g++, c++ or clang++.

    Raises:
        BuildError: there is none.
    """
    wanted = [os.environ["CXX"]] if os.environ.get("CXX") else ["g++", "c++", "clang++"]
    for name in wanted:
        found = shutil.which(name)
        if found:
            return found
    raise BuildError(
        f"no C++ compiler found (looked for {', '.join(wanted)}); the graph passes are compiled on this machine: "
        "install one, for instance 'apt-get install g++', or set CXX"
    )


def cache_folder() -> Path:
    """Where compiled libraries are kept: ``MINDVEIL_CACHE``, or mindveil in the user's cache folder."""
    if os.environ.get("MINDVEIL_CACHE"):
        return Path(os.environ["MINDVEIL_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mindveil"


def _explain(line: list[str], done: subprocess.CompletedProcess[str]) -> str:
    last = "\n".join((done.stderr or done.stdout).strip().splitlines()[-12:])
    return (
        f"the compiler ended with status {done.returncode}.\nIt was run as: {' '.join(line)}\nIts last lines:\n{last}\n"
        "The graph passes need g++ 7 or newer and the Python headers, for instance 'apt-get install g++ python3-dev'."
    )


def _mindspore_folder() -> Path:
    spec = importlib.util.find_spec("mindspore")
    if spec is None or spec.origin is None:
        raise BuildError("MindSpore is not installed; run: pip install mindspore==2.10.0")
    return Path(spec.origin).parent


def _mindspore_version() -> str:
    try:
        return importlib.metadata.version("mindspore")
    except importlib.metadata.PackageNotFoundError:
        return "none"


def _compiler_version(command: str) -> str:
    return subprocess.run([command, "--version"], capture_output=True, text=True, check=False).stdout


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next((line for line in lines if line.startswith(("flags", "Features"))), platform.processor())
