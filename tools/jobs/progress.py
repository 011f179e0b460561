"""How a job tells whoever started it how far it is; the command line draws a bar, a test listens."""

from __future__ import annotations

from typing import Protocol

__all__ = ["Progress", "Silent"]


class Progress(Protocol):
    """Listens to a job."""

    def begin(self, title: str, total: int) -> None:
        """A stage of ``total`` parts begins; the one before it is over."""

    def advance(self, detail: str = "") -> None:
        """One part is done; ``detail`` is how things stand."""

    def say(self, line: str) -> None:
        """Something worth keeping on the screen."""


class Silent:
    """Listens to nothing."""

    def begin(self, title: str, total: int) -> None:
        """Nothing."""

    def advance(self, detail: str = "") -> None:
        """Nothing."""

    def say(self, line: str) -> None:
        """Nothing."""
