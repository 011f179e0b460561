"""What happens to a trained model: export, inspection, attacks, the report, the command line.

    from mindveil.tools import export, inspect

    export(network, "model.onnx", inputs=(1, 1, 32, 32), optimize="both", card=step.card())
    print(inspect("model.onnx"))

MindSpore is imported when a network is exported, and not before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mindveil.tools.exporting.pipeline import export as export
    from mindveil.tools.inspection import inspect as inspect

__all__ = ["export", "inspect"]

_HOMES = {"export": "mindveil.tools.exporting.pipeline", "inspect": "mindveil.tools.inspection"}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}; it has {', '.join(__all__)}")
