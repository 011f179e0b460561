"""Training with MindSpore: policies, the compiled step, the model, batches, checkpoints."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from mindveil.runtime.batches import PoissonBatches, ShuffledBatches
from mindveil.runtime.card import PrivacyCard
from mindveil.runtime.environment import prepare
from mindveil.runtime.lipschitz import LipschitzDP
from mindveil.runtime.policies import DPSGD, Suppression

if TYPE_CHECKING:
    from mindveil.runtime.checking import check, with_group_norm
    from mindveil.runtime.model import PrivateModel
    from mindveil.runtime.step import PrivateStep

__all__ = [
    "DPSGD",
    "LipschitzDP",
    "PoissonBatches",
    "PrivacyCard",
    "PrivateModel",
    "PrivateStep",
    "ShuffledBatches",
    "Suppression",
    "check",
    "with_group_norm",
]

prepare()

#: What needs MindSpore is imported when it is asked for, so that cards and batches load without it.
_LATE = {
    "PrivateModel": "model",
    "PrivateStep": "step",
    "check": "checking",
    "with_group_norm": "checking",
}


def __getattr__(name: str) -> Any:
    if name in _LATE:
        return getattr(import_module(f"mindveil.runtime.{_LATE[name]}"), name)
    raise AttributeError(f"module 'mindveil.runtime' has no attribute {name!r}")
