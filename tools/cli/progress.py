"""Draws the progress of a job: one bar for the stage that runs, with how things stand beside it."""

from __future__ import annotations

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

__all__ = ["Bar"]


class Bar:
    """A `mindveil.tools.jobs.progress.Progress` on a terminal; where there is none, it prints the lines alone."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)
        columns = (
            TextColumn("{task.description:<18}"),
            BarColumn(24),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}"),
        )
        self._progress = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task: TaskID | None = None
        self._title, self._detail = "", ""

    def __enter__(self) -> Bar:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_stage()
        self._progress.stop()

    def begin(self, title: str, total: int) -> None:
        """Starts a bar for a stage."""
        self._end_stage()
        self._title, self._detail = title, ""
        self._task = self._progress.add_task(title, total=total, detail="")

    def advance(self, detail: str = "") -> None:
        """Moves the bar on by one."""
        self._detail = detail
        if self._task is not None:
            self._progress.update(self._task, advance=1, detail=detail)

    def say(self, line: str) -> None:
        """Prints a line above the bar."""
        self._progress.console.print(line, highlight=False, soft_wrap=True)

    def _end_stage(self) -> None:
        """Without a terminal there is no bar to look at, so that each stage leaves its last state as a line."""
        if self._title and not self._console.is_terminal:
            self._console.print(f"{self._title}: {self._detail}", highlight=False)
        self._title = ""
