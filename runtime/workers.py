"""The processes that train one model together: who is here, what they must agree on, and what the first hands out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any
from zlib import crc32

import numpy as np
from mindspore import Tensor, nn, ops
from mindspore.communication import GlobalComm, get_group_size, get_rank
from numpy.typing import NDArray

from mindveil.accountant import BudgetExceeded, MismatchError
from mindveil.passes.privacy import PrivacyError

__all__ = ["Workers"]

Words = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Workers:
    """``size`` processes, of which this is number ``rank``; ``group`` is MindSpore's name for them, None for one alone.

    All of them call `agree` and `share` at the same moments: these are collective operations, as is a whole step.
    """

    rank: int = 0
    size: int = 1
    group: str | None = None

    @classmethod
    def here(cls, expected: int | None) -> Workers:
        """The workers that MindSpore's communication connects.

        Args:
            expected: how many the policy accounts for; None without a private policy, for one worker alone.

        Raises:
            MismatchError: there are fewer or more, or they are not connected.
        """
        connected = bool(GlobalComm.INITED)
        size = get_group_size() if connected else 1
        started = int(os.environ.get("MS_WORKER_NUM", "1"))
        if not connected and started > 1:
            raise MismatchError(
                f"{started} workers were started, but are not connected: call mindspore.communication.init() before "
                "the step is made"
            )
        if expected is None and size > 1:
            raise MismatchError(f"{size} workers train together, but only DPSGD and LipschitzDP add their gradients up")
        if expected not in (size, None):
            raise MismatchError(
                f"the policy is for workers={expected}, but {size} train together; give the policy workers={size}, and "
                "each worker its own records (num_shards and shard_id of PoissonBatches)"
            )
        return cls(get_rank(), size, str(GlobalComm.WORLD_COMM_GROUP)) if size > 1 else cls()

    def share(self, parameters: Sequence[Any]) -> None:
        """Gives all workers the first one's values, bit for bit."""
        for p in parameters if self.size > 1 else ():
            values = np.ascontiguousarray(p.asnumpy())
            padded = values.tobytes().ljust(-(-values.nbytes // 4) * 4, b"\0")
            sent = _broadcast(self.group)(Tensor(np.frombuffer(padded, np.int32))).asnumpy().tobytes()
            p.set_data(Tensor(np.frombuffer(sent[: values.nbytes], values.dtype).reshape(values.shape)))

    def agree(
        self, refused: Exception | None, position: object, settings: Sequence[Any], trained: Sequence[Any]
    ) -> None:
        """Returns where every worker is about to run the same step with the same settings from the same weights.

        Args:
            refused: why this worker will not run it, if so.
            position: the number of the step and the shapes of its batch.
            settings, trained: Parameters; of the trained ones the smallest is compared, which depends on all others.

        Raises:
            refused, here; BudgetExceeded or PrivacyError on the other workers.
            MismatchError: the workers are not at one.
        """
        said = self._said(refused, position, settings, trained) if self.size > 1 else None
        if refused is not None:
            raise refused
        if said is not None:
            _check(said)

    def _said(
        self, refused: Exception | None, position: object, settings: Sequence[Any], trained: Sequence[Any]
    ) -> Words:
        """One row for each worker."""
        smallest = min(trained, key=lambda p: int(p.size)).asnumpy()
        mine = [
            _OUTCOMES.index(_outcome(refused)),
            _short(repr(position).encode()),
            _short(b"".join(p.asnumpy().tobytes() for p in settings)),
            _short(np.ascontiguousarray(smallest).tobytes()),
        ]
        gathered = _all_gather(self.group)(Tensor(np.array(mine, np.int32))).asnumpy()
        return np.asarray(gathered, np.int32).reshape(self.size, -1)


_OUTCOMES = ("goes on", "over budget", "refused")


def _outcome(refused: Exception | None) -> str:
    if refused is None:
        return "goes on"
    return "over budget" if isinstance(refused, BudgetExceeded) else "refused"


def _short(content: bytes) -> int:
    return crc32(content) >> 1  # fits into int32


def _check(said: Words) -> None:
    outcomes = [_OUTCOMES[int(v)] for v in said[:, 0]]
    for outcome, error in (("over budget", BudgetExceeded), ("refused", PrivacyError)):
        if outcome in outcomes:
            raise error(f"worker {outcomes.index(outcome)} stopped ({outcome}); its own message says why")
    for column, what in ((1, "numbers of steps or shapes of batches"), (2, "settings"), (3, "weights")):
        if len(set(said[:, column].tolist())) > 1:
            raise MismatchError(f"the workers have different {what}; start them from the same script and checkpoint")


@cache
def _broadcast(group: str | None) -> _Broadcast:
    """One for the process: a new Cell would be compiled anew for every Parameter."""
    return _Broadcast(group)


@cache
def _all_gather(group: str | None) -> _AllGather:
    """One for the process: a new Cell would be compiled anew before every step."""
    return _AllGather(group)


class _Broadcast(nn.Cell):
    def __init__(self, group: str | None) -> None:
        super().__init__(auto_prefix=False)
        self.send = ops.Broadcast(0, group)

    def construct(self, x: Tensor) -> Tensor:
        return self.send((x,))[0]


class _AllGather(nn.Cell):
    def __init__(self, group: str | None) -> None:
        super().__init__(auto_prefix=False)
        self.gather = ops.AllGather(group)

    def construct(self, x: Tensor) -> Tensor:
        return self.gather(x)
