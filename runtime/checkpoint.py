"""Saves a training run whole, and goes on with it: parameters, optimizer, masks, position, the ledger's head."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

import mindspore as ms
import numpy as np
from mindspore import Parameter, Tensor

from mindveil import accountant
from mindveil.accountant.records import scan
from mindveil.runtime.step import PrivateStep

__all__ = ["CheckpointError", "restore", "save"]

_STATE = "mindveil.state"
FORMAT = 1


class CheckpointError(ValueError):
    """A checkpoint that does not fit the run; nothing was loaded."""


def save(path: str | Path, step: PrivateStep, batches: Any = None) -> None:
    """Writes one file, atomically; it appears whole or not at all.

    It holds the parameters under the names of the user's network, the optimizer's state, masks, the number of steps,
    the position of ``batches``, and the head of the ledger. It never holds the noise key: a resumed private run draws
    new noise, since noise that is replayed on other data can be subtracted.

    Raises:
        CheckpointError: a logical batch is half done: its sums are not released and must not be stored.
        OSError: the file cannot be written.
    """
    if step.pending:
        raise CheckpointError("a logical batch is half done; save after its last physical batch")
    state = {
        "format": FORMAT,
        "mode": step.mode,
        "steps_done": step.steps_done,
        "batches": None if batches is None else batches.state(),
        "released": accountant.event_to_json(step.events) if step.private else None,
        "clip_norm": step.clip_norm,
        "ledger_head": step.ledger.head if step.ledger is not None else None,
    }
    saved = [{"name": name, "data": Tensor(p.asnumpy())} for name, p in _parameters(step).items()]
    target = Path(path)
    handle, partial = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-", suffix=".ckpt")
    os.close(handle)
    try:
        os.chmod(partial, 0o600)
        ms.save_checkpoint(saved, partial, append_dict={_STATE: json.dumps(state)})
        os.chmod(partial, 0o644)
        os.replace(partial, target)
    finally:
        Path(partial).unlink(missing_ok=True)


def restore(path: str | Path, step: PrivateStep, batches: Any = None) -> None:
    """Puts a run back where `save` left it.

    Public and suppressed runs go on bit for bit. A private run goes on with new noise, and with all that its ledger
    holds: an older checkpoint never rewinds what was spent after it.

    Raises:
        CheckpointError: the file is none of ours, belongs to another network, mode or optimizer, or names a ledger
            that is not the step's.
    """
    loaded = _load(Path(path))
    if _STATE not in loaded:
        raise CheckpointError(
            f"{path} was not written by mindveil.runtime.checkpoint; load weights with MindSpore itself"
        )
    state = json.loads(str(loaded.pop(_STATE)))
    targets = _parameters(step)
    _check(state, step, loaded, targets)
    if batches is not None:
        if state["batches"] is None:
            raise CheckpointError(f"{path} holds no position of batches; save it with the batches to resume them")
        batches.restore(state["batches"])
    for name, parameter in targets.items():
        parameter.set_data(Tensor(loaded[name].asnumpy()))
    step.steps_done = state["steps_done"]
    step.resume_clip_norm(state["clip_norm"])
    if state["released"] is not None:
        step.released.resume(accountant.event_from_json(state["released"]))


def _parameters(step: PrivateStep) -> dict[str, Parameter]:
    """Everything that a run is made of, by name: network, optimizer (its own copies), masks."""
    found = {p.name: p for p in step.network.get_parameters()}
    found |= {p.name: p for p in step.optimizer.get_parameters()}
    return found | {p.name: p for p in step.mask_parameters}


def _load(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    try:
        return dict(ms.load_checkpoint(str(path)))
    except (ValueError, RuntimeError) as error:
        raise CheckpointError(f"{path} is no readable checkpoint: {error}") from error


def _check(state: dict[str, Any], step: PrivateStep, loaded: dict[str, Any], targets: dict[str, Parameter]) -> None:
    if state["format"] != FORMAT or state["mode"] != step.mode:
        raise CheckpointError(
            f"the checkpoint is of a {state['mode']} run (format {state['format']}), the step is {step.mode}"
        )
    missing, extra = sorted(targets.keys() - loaded.keys()), sorted(loaded.keys() - targets.keys())
    if missing or extra:
        raise CheckpointError(f"the checkpoint is of another run: it lacks {missing[:5]}, and has {extra[:5]} besides")
    for name, parameter in targets.items():
        got = loaded[name].asnumpy()
        if got.shape != tuple(parameter.shape) or got.dtype != parameter.asnumpy().dtype:
            raise CheckpointError(
                f"{name} is {got.dtype}{list(got.shape)} in the checkpoint, and {list(parameter.shape)} here"
            )
        if not np.isfinite(got).all():
            raise CheckpointError(f"{name} is not finite in the checkpoint")
    head = state["ledger_head"]
    if (
        step.workers.rank == 0
        and head is not None
        and (step.ledger is None or head not in scan(step.ledger.path.read_bytes()).hashes)
    ):
        raise CheckpointError(
            "the checkpoint names a ledger that is not this step's; open that one, or what it holds would be forgotten"
        )
