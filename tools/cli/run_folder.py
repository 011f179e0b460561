"""The folder that a run writes: complete under its name, or not there at all."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["MARKER", "RunFolder", "RunFolderError"]

#: The file that every finished run holds, and by which a folder is known to be a run and not something of the user's.
MARKER = "metrics.json"


class RunFolderError(OSError):
    """A run cannot be written where it was asked for; the message says why and what to do."""


class RunFolder:
    """Collects the files of a run in ``<name>.unfinished``, and renames that folder to ``<name>`` when all are there.

    Used as a context: leaving it without an error finishes the run, an error or Ctrl-C takes its files away.

    Args:
        runs: the folder of all runs; made if need be.
        name: of this run; one folder name.
        overwrite: replace a finished run of that name. Only a folder that holds ``MARKER`` is ever replaced, and only
            after the new run is complete.
        resume: go on in an unfinished folder that a run with ``keep_unfinished`` left.
        keep_unfinished: after an error, keep the files that were complete (checkpoints, the ledger).

    Guarantee: whatever happens to the process, ``<name>`` holds either a complete run or what it held before.

    Raises:
        RunFolderError: the name is no folder name, the run exists, another process is writing it, or the folder cannot
            be written.
    """

    def __init__(
        self,
        runs: str | Path,
        name: str,
        *,
        overwrite: bool = False,
        resume: bool = False,
        keep_unfinished: bool = False,
    ) -> None:
        if not name or name != Path(name).name or name.startswith(".") or name.endswith(".unfinished"):
            raise RunFolderError(f"the run's name is {name!r}, and must be a single folder name without a leading dot")
        self.runs = Path(runs)
        self.final = self.runs / name
        self.path = self.runs / f"{name}.unfinished"
        self._overwrite, self._resume, self._keep = overwrite, resume, keep_unfinished
        self._lock = -1

    def __enter__(self) -> RunFolder:
        self._refuse_existing()
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(self.path, os.O_RDONLY)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not self._resume:
                _clear(self.path)
            _remove_parts(self.path)
        except BlockingIOError as error:
            os.close(self._lock)
            raise RunFolderError(
                f"another process is writing {self.path}; wait for it, or choose another name"
            ) from error
        except OSError as error:
            raise _unwritable(self.path, error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
            elif not self._keep:
                shutil.rmtree(self.path, ignore_errors=True)
        finally:
            os.close(self._lock)

    @contextmanager
    def new_file(self, name: str) -> Iterator[Path]:
        """A path to write a file at, which gets its name when the block ends without an error.

        The path has the ending of the name. Sub-folders are made.

        Raises:
            RunFolderError: the name leads out of the folder, or nothing can be written.
        """
        target = self._target(name)
        part = target.with_name(f".part-{target.name}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield part
            os.replace(part, target)
        except OSError as error:
            if isinstance(error, RunFolderError) or error.filename not in (str(part), str(target), str(target.parent)):
                raise
            raise _unwritable(target, error) from error
        finally:
            part.unlink(missing_ok=True)

    def write_bytes(self, name: str, content: bytes) -> Path:
        """Writes a whole file; returns its present path."""
        with self.new_file(name) as part:
            part.write_bytes(content)
        return self._target(name)

    def write_text(self, name: str, text: str) -> Path:
        """Writes a whole text file in UTF-8; returns its present path."""
        return self.write_bytes(name, text.encode())

    def write_json(self, name: str, value: Any) -> Path:
        """Writes a value as JSON; returns its present path.

        Raises:
            ValueError: a number is not finite, which JSON cannot hold.
        """
        return self.write_text(name, json.dumps(value, indent=2, allow_nan=False) + "\n")

    def _target(self, name: str) -> Path:
        target = self.path / name
        if ".." in Path(name).parts or Path(name).is_absolute() or target == self.path:
            raise RunFolderError(f"the file's name is {name!r}, and must lie within {self.path}")
        return target

    def _refuse_existing(self) -> None:
        if not self.final.exists():
            return
        if not (self.final / MARKER).is_file():
            raise RunFolderError(f"{self.final} exists and is no run (it holds no {MARKER}); choose another name")
        if not self._overwrite:
            raise RunFolderError(f"{self.final} holds a finished run; choose another name, or say --overwrite")

    def _finish(self) -> None:
        if not (self.path / MARKER).is_file():
            shutil.rmtree(self.path, ignore_errors=True)
            raise RunFolderError(f"{self.path} holds no {MARKER}, without which no run is complete; write it last")
        self._refuse_existing()
        replaced = self.runs / f".replaced-{self.final.name}"
        try:
            if self.final.exists():
                os.rename(self.final, replaced)
            os.rename(self.path, self.final)
        except OSError as error:
            raise _unwritable(self.final, error) from error
        finally:
            if replaced.exists() and not self.final.exists():
                os.rename(replaced, self.final)
            shutil.rmtree(replaced, ignore_errors=True)


def _clear(folder: Path) -> None:
    """Removes what a killed process left; the folder itself stays, since it carries the lock."""
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _remove_parts(folder: Path) -> None:
    for part in folder.rglob(".part-*"):
        part.unlink()


def _unwritable(path: Path, error: OSError) -> RunFolderError:
    return RunFolderError(f"{path} cannot be written: {error.strerror or error}; choose another folder with --runs")
