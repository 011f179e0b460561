"""Logging with a tag on every line, as MindArmour's users call it, over Python's ``logging``."""

from __future__ import annotations

import logging
from typing import Any

__all__ = ["LogUtil"]

NAME = "mindveil"
FORMAT = (
    "[%(levelname)s] %(name)s(%(process)d:%(thread)d,%(processName)s):%(asctime)s [%(filename)s:%(lineno)d] %(message)s"
)
#: Frames between the caller's line and the logger's: the method here, and `_log`.
_CALLER = 3


class LogUtil:
    """The one logger of this library; ask for it with `get_instance`.

    >>> log = LogUtil.get_instance()
    >>> log.set_level("INFO")
    >>> log.info("Train", "accuracy %.2f", 0.97)
    """

    _instance: LogUtil | None = None

    def __init__(self) -> None:
        self._logger = logging.getLogger(NAME)
        if not self._logger.handlers:
            handler = logging.StreamHandler()
            handler.setFormatter(logging.Formatter(FORMAT))
            self._logger.addHandler(handler)
            self._logger.setLevel(logging.WARNING)
            self._logger.propagate = False  # its lines would appear twice where the application logs too

    @classmethod
    def get_instance(cls) -> LogUtil:
        """The logger, made when first asked for. It shows warnings and errors until `set_level` says otherwise."""
        if cls._instance is None:
            cls._instance = cls()
        return cls._instance

    def set_level(self, level: int | str) -> None:
        """Shows lines of this level and above: a name such as ``"INFO"``, or a number of ``logging``.

        Raises:
            ValueError: there is no level of that name.
        """
        self._logger.setLevel(level)

    def add_handler(self, handler: logging.Handler) -> None:
        """Sends the lines to another place as well.

        Raises:
            ValueError: it is no ``logging.Handler``.
        """
        if not isinstance(handler, logging.Handler):
            raise ValueError(f"handler is {handler!r}, and must be a logging.Handler")
        self._logger.addHandler(handler)

    def debug(self, tag: str, msg: Any, *args: Any) -> None:
        """A line for whoever looks for a fault; ``args`` fill in ``msg`` as with ``%``."""
        self._log(logging.DEBUG, tag, msg, args)

    def info(self, tag: str, msg: Any, *args: Any) -> None:
        """A line about how the work goes on."""
        self._log(logging.INFO, tag, msg, args)

    def warn(self, tag: str, msg: Any, *args: Any) -> None:
        """A line about something that is probably not meant."""
        self._log(logging.WARNING, tag, msg, args)

    def error(self, tag: str, msg: Any, *args: Any) -> None:
        """A line about something that failed."""
        self._log(logging.ERROR, tag, msg, args)

    def _log(self, level: int, tag: str, msg: Any, args: tuple[Any, ...]) -> None:
        if self._logger.isEnabledFor(level):
            # The tag goes in as an argument: a per cent sign in it would otherwise be taken for a place to fill in.
            self._logger.log(level, f"[%s] {msg}", tag, *args, stacklevel=_CALLER)
