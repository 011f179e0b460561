"""The error for a name that is not in a table of mechanisms, rules or optimizers."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["UnknownNameError", "known"]


class UnknownNameError(NameError, ValueError):
    """A name that no table holds; MindArmour raises NameError in some places and ValueError in others."""


def known(what: str, name: object, names: Iterable[str]) -> str:
    """``name`` as one of ``names``, whatever the case of its letters.

    Raises:
        TypeError: it is no string.
        UnknownNameError: there is no such name.
    """
    if not isinstance(name, str):
        raise TypeError(f"{what} is {name!r}, and must be a string")
    table = {n.lower(): n for n in names}
    if name.lower() not in table:
        raise UnknownNameError(f"{what} is {name!r}, and must be one of {', '.join(table.values())}")
    return table[name.lower()]
