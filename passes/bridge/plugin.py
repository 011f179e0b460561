"""Loads the compiled bridge into MindSpore and hands every graph that is compiled to whoever its marker names."""

from __future__ import annotations

import ctypes
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mindveil.passes.bridge.build import BuildError, bridge_library

__all__ = [
    "Document",
    "Edits",
    "Handler",
    "PluginError",
    "PluginStatus",
    "connect",
    "device_target",
    "load",
    "plugin_status",
    "source_lines",
]

Document = dict[str, Any]
Edits = dict[str, Any]
Handler = Callable[[Document], "Edits | None"]

#: The primitive that marks a training step; it has no kernel, so that a step that no pass rewrote cannot run.
MARKER = "MindveilStep"


class PluginError(RuntimeError):
    """The graph passes cannot run on this machine, so nothing that needs them may run either."""


@dataclass(frozen=True, slots=True)
class PluginStatus:
    """Whether the plugin can be used, and if not, why and what to do."""

    available: bool
    detail: str


def load() -> None:
    """Compiles the bridge if need be and registers it with MindSpore; later calls do nothing.

    Raises:
        PluginError: there is no compiler, the build failed, or MindSpore refused the plugin.
    """
    if _state.library is not None:
        return
    try:
        path = bridge_library().build()
    except BuildError as error:
        raise PluginError(
            f"the graph passes could not be built, so private and suppressed training cannot start.\n{error}"
        ) from error
    import mindspore.graph as graph

    if not graph.register_custom_pass("mindveil", str(path), "all", graph.CustomPassType.FULL_GRAPH):
        raise PluginError(f"MindSpore refused the plugin {path}; delete it and try again, and run 'mindveil doctor'")
    library = ctypes.CDLL(str(path))
    library.mindveil_source.restype = ctypes.c_char_p
    library.mindveil_source.argtypes = [ctypes.c_size_t]
    library.mindveil_set_callback.argtypes = [_CALLBACK]
    library.mindveil_set_callback(_state.callback)
    _state.library = library


def device_target() -> str:
    """The device that graphs are compiled for: ``CPU``, ``Ascend`` or ``GPU``."""
    import mindspore as ms

    return str(ms.get_context("device_target"))


def connect(token: str, handler: Handler) -> None:
    """Sends every graph whose marker carries ``token`` to ``handler``; what it raises aborts the compilation."""
    _state.handlers[token] = handler


def plugin_status() -> PluginStatus:
    """Builds and loads the plugin, and says how that went."""
    try:
        load()
    except PluginError as error:
        return PluginStatus(False, str(error))
    return PluginStatus(True, "the graph passes are built and registered")


def source_lines(node: int) -> tuple[str, ...]:
    """The Python lines that made a node of the graph being compiled, innermost first; empty outside a compilation."""
    if _state.library is None:
        return ()
    text: bytes = _state.library.mindveil_source(node) or b""
    return tuple(text.decode(errors="replace").splitlines())


def _on_compile(text: bytes) -> int:
    try:
        edits = _dispatch(json.loads(text))
    except BaseException as error:  # noqa: BLE001  whatever it is must abort the compilation, not be lost in C++
        edits = {"error": f"{type(error).__name__}: {error}"}
    if edits is None:
        return 0
    _state.reply = ctypes.create_string_buffer(json.dumps(edits).encode())
    return ctypes.addressof(_state.reply)


def _dispatch(document: Document) -> Edits | None:
    tokens = {
        n["op"]["attrs"].get("token") for n in document["nodes"] if n["kind"] == "op" and n["op"]["prim"] == MARKER
    }
    if not tokens:
        return None
    if len(tokens) > 1:
        raise PluginError(f"one compiled function holds {len(tokens)} training steps; compile each by itself")
    token = str(tokens.pop())
    if token not in _state.handlers:
        raise PluginError(
            "a training step was compiled that no policy in this process belongs to; make a new PrivateStep"
        )
    return _state.handlers[token](document)


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_char_p)


class _State:
    """What must live as long as the process: MindSpore cannot unload a plugin."""

    def __init__(self) -> None:
        self.library: Any = None
        self.handlers: dict[str, Handler] = {}
        self.reply: Any = None
        self.callback = _CALLBACK(_on_compile)


_state = _State()
