"""Logs what training has spent, after each epoch."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Callable
from typing import Any

from mindspore.train.callback import Callback

from mindveil.runtime.lipdp.balls import DP_ClipGradient

__all__ = ["DP_Accountant"]

Log = Callable[[dict[str, Any]], Any]


class DP_Accountant(Callback):
    """Logs ``{"epsilon", "delta", "epoch"}`` after each epoch, from the updates that were made.

    Args:
        log_fn: ``wandb``, ``logging``, ``all`` (``logging``, and ``wandb`` where it is installed and has a run), or a
            function of the dictionary. A clip-gradient layer at the end adds ``clipping_value``.

    Raises:
        ValueError: ``log_fn`` is none of these.
        ImportError: ``wandb`` is asked for and not installed.
    """

    def __init__(self, log_fn: str | Log = "all") -> None:
        super().__init__()
        self.log_fn = log_fn if callable(log_fn) else _log(log_fn)

    def on_train_epoch_end(self, run_context: Any) -> None:
        """Logs."""
        arguments = run_context.original_args()
        model, step = arguments.network, arguments.train_network
        model = getattr(step, "model", model)
        delta = model.dp_parameters.delta
        entry = {"epsilon": step.released.epsilon(delta), "delta": delta, "epoch": arguments.cur_epoch_num}
        last = model.layers_backward_order()[0]
        if isinstance(last, DP_ClipGradient):
            entry["clipping_value"] = float(last.clip_value.asnumpy())
        self.log_fn(entry)


def _log(name: str) -> Log:
    if name == "logging":
        return _to_logging
    if name == "wandb":
        log: Log = importlib.import_module("wandb").log
        return log
    if name == "all":
        return _to_all
    raise ValueError(f"log_fn is {name!r}, and must be 'wandb', 'logging', 'all' or a function")


def _to_logging(entry: dict[str, Any]) -> None:
    logging.getLogger("mindveil.lipdp").info("%s", entry)


def _to_all(entry: dict[str, Any]) -> None:
    _to_logging(entry)
    try:
        wandb = importlib.import_module("wandb")
    except ImportError:
        return
    if getattr(wandb, "run", None) is not None:
        wandb.log(entry)
