"""The append-only file of everything that one run has spent, on disk before it is spent."""

import os
from pathlib import Path
from types import TracebackType
from typing import Any, cast

from mindveil.accountant.checks import Relation, count, delta_value, positive, real, relation
from mindveil.accountant.errors import BudgetExceeded, LedgerError
from mindveil.accountant.events import Event, Sequence
from mindveil.accountant.records import FORMAT, Entry, Scan, entry_fields, scan, write_line
from mindveil.accountant.serialise import Json

__all__ = ["Ledger"]


class Ledger:
    """What a run has spent: a file that only grows, one writer at a time.

    An event is on disk before :meth:`append` returns, so it is counted whatever happens to the step that it pays for.
    Made by :meth:`create` or :meth:`open`.
    """

    def __init__(self, path: Path, descriptor: int, content: Scan) -> None:
        from mindveil.accountant.meter import Meter  # loads NumPy, which takes most of an import's time

        self._path = path
        self._descriptor = descriptor
        self._header = content.header
        self._hashes = list(content.hashes)
        self._meter = Meter(self.neighbouring, self.filter_order)
        for entry in content.entries:
            self._meter.add(entry.event, entry.count)

    @classmethod
    def create(
        cls,
        path: str | os.PathLike[str],
        *,
        dataset_id: str,
        dataset_size: int,
        neighbouring: Relation = "add_or_remove_one",
        target_epsilon: float | None = None,
        target_delta: float | None = None,
        filter_order: float | None = None,
    ) -> "Ledger":
        """A new ledger at ``path``; the target, once set, can never be exceeded.

        Args:
            filter_order: fix the Renyi order now, because noise or sampling will be chosen from private results; the
                ledger is then a privacy filter (see :class:`RenyiFilter`). Without it both must follow a public plan.

        Raises:
            FileExistsError: there is a file already; open it, for a ledger is never begun anew.
        """
        if not isinstance(dataset_id, str) or not dataset_id:
            raise TypeError(f"dataset_id is {dataset_id!r}, and must be a non-empty string; hash the data set's index")
        if (target_epsilon is None) != (target_delta is None):
            raise ValueError(
                f"target_epsilon is {target_epsilon} and target_delta is {target_delta}; give both or neither"
            )
        header: dict[str, Json] = {
            "format": FORMAT,
            "run": os.urandom(16).hex(),
            "dataset_id": dataset_id,
            "dataset_size": count("dataset_size", dataset_size, 1),
            "neighbouring": relation(neighbouring),
            "target_epsilon": None if target_epsilon is None else positive("target_epsilon", target_epsilon).hex(),
            "target_delta": None if target_delta is None else delta_value(target_delta).hex(),
            "filter_order": None if filter_order is None else _order(filter_order).hex(),
        }
        line, digest = write_line(header, "")
        where = Path(path)
        descriptor = os.open(where, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            _lock(descriptor, where)
            _append(descriptor, line)
            _sync_directory(where.parent)
            return cls(where, descriptor, Scan(header, (), (digest,), len(line), b""))
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, head: str | None = None) -> "Ledger":
        """Go on with a ledger after checking every byte of it.

        Args:
            head: the :attr:`head` that a checkpoint was saved under; it must occur in the ledger. What was spent after
                it stays spent: going back to an older checkpoint rewinds nothing.

        Raises:
            LedgerError: edited, damaged, shortened before ``head``, or held open by another writer.
        """
        where = Path(path)
        descriptor = os.open(where, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
        try:
            _lock(descriptor, where)
            content = scan(where.read_bytes())
            if head is not None and head not in content.hashes:
                raise LedgerError(
                    f"{where} does not contain {head}, under which the checkpoint was saved: "
                    "the ledger was shortened or belongs to another run"
                )
            ledger = cls(where, descriptor, content)
            if content.torn:
                ledger._count_torn_line(content)
            return ledger
        except BaseException:
            os.close(descriptor)
            raise

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    @property
    def run(self) -> str:
        """The random name of the run."""
        return str(self._header["run"])

    @property
    def dataset_id(self) -> str:
        """What identifies the data."""
        return str(self._header["dataset_id"])

    @property
    def dataset_size(self) -> int:
        """Records in the data."""
        return cast(int, self._header["dataset_size"])

    @property
    def neighbouring(self) -> Relation:
        """The neighbouring relation of all that is said about this run."""
        return relation(self._header["neighbouring"])

    @property
    def target_epsilon(self) -> float | None:
        """The epsilon that is never exceeded, if one was set."""
        return _maybe_float(self._header["target_epsilon"])

    @property
    def target_delta(self) -> float | None:
        """The delta of the target, if one was set."""
        return _maybe_float(self._header["target_delta"])

    @property
    def filter_order(self) -> float | None:
        """The Renyi order that all accounting of this run uses, if the run chooses its noise from private results."""
        return _maybe_float(self._header["filter_order"])

    @property
    def head(self) -> str:
        """The hash of the last record: what a checkpoint stores to prove what the ledger held."""
        return self._hashes[-1]

    @property
    def records(self) -> int:
        """Spendings in the file."""
        return len(self._hashes) - 1

    @property
    def spent(self) -> Sequence:
        """Everything that was spent, equal neighbours merged."""
        return self._meter.spent

    def epsilon(self, delta: float) -> float:
        """An upper bound of the epsilon spent so far, cheap enough for every step."""
        return self._meter.epsilon(delta)

    def append(self, event: Event, count: int = 1) -> None:
        """Spend ``count`` times ``event``. When this returns it is on disk, and what it pays for may begin.

        Raises:
            BudgetExceeded: the target would be exceeded; nothing was written and nothing may be released.
        """
        entry = Entry(event, _times(count))
        if self._descriptor < 0:
            raise LedgerError(f"{self._path} is closed, so nothing can be spent; open it again")
        target, delta = self.target_epsilon, self.target_delta
        if target is not None and delta is not None and self._meter.exceeds(event, entry.count, target, delta):
            raise BudgetExceeded(
                f"{entry.count} x {event} after {self.records} records would exceed epsilon {target} at delta {delta}; "
                f"spent so far: {self.epsilon(delta):.6g}; stop here, or start a new ledger with a larger target"
            )
        self._write(entry, {})

    def close(self) -> None:
        """Let another writer open the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self, entry: Entry, extra: dict[str, Json]) -> None:
        line, digest = write_line({**entry_fields(entry, self.records + 1), **extra}, self.head)
        self._meter.add(entry.event, entry.count)  # before the write: a failed write may have reached the disk
        try:
            _append(self._descriptor, line)
        except BaseException:
            # What reached the disk is unknown; opening the file again finds out, writing on would bury a torn line.
            self.close()
            raise
        self._hashes.append(digest)

    def _count_torn_line(self, content: Scan) -> None:
        """Replace a line that a crash cut off by one that counts as one step of what was spent last."""
        os.ftruncate(self._descriptor, content.length)
        if content.entries:
            self._write(Entry(content.entries[-1].event, 1), {"torn": content.torn.decode("ascii", "replace")})


def _times(value: Any) -> int:
    return count("count", value, 1)


def _order(value: object) -> float:
    order = real("filter_order", value)
    if order <= 1:
        raise ValueError(f"filter_order is {order}, and must be above 1; order_for() finds a good one for a plan")
    return order


def _maybe_float(value: Json) -> float | None:
    return None if value is None else float.fromhex(str(value))


def _lock(descriptor: int, path: Path) -> None:
    import fcntl  # POSIX only, as the training runtime is; the rest of the accountant is not

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise LedgerError(f"{path} is open for writing elsewhere; two writers would not see each other") from error


def _append(descriptor: int, line: bytes) -> None:
    written = os.write(descriptor, line)
    if written != len(line):
        raise OSError(f"only {written} of {len(line)} bytes reached the ledger; the disk may be full")
    os.fsync(descriptor)


def _sync_directory(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
